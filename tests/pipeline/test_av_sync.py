"""`--sound` and what goes with it: who speaks, in whose time, who may be seen, what is refused."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bundles import one_line
from commands import Call
from fakes import FakeSource
from heads import CLIP as HEAD
from speaking import a_cast, voice_file

from realtime.config import Settings, make_config
from realtime.errors import ConfigError
from realtime.models.library import AVATARS
from realtime.pipeline.active_identity import Selection, reselect, select_identity
from realtime.pipeline.av_sync import AvPlan, check_change, picture_age_s, plan_av


@pytest.fixture
def eve(tmp_path: Path) -> Path:
    return a_cast(tmp_path / "eve")


def plan(selection: Selection, **options: Any) -> AvPlan:
    return plan_av(make_config({}, {"model": selection.bundle.name, **options}), selection)


@pytest.mark.parametrize(("live", "rate_hz", "age_s"), [(True, 30.0, 0.025), (True, 2.0, 0.075), (False, 30.0, 0.0)])
def test_a_camera_s_picture_is_older_than_its_time(live: bool, rate_hz: float, age_s: float) -> None:
    source = FakeSource([])
    source.live, source.rate_hz = live, rate_hz
    assert picture_age_s(source) == age_s


def test_what_goes_with_what(eve: Path, tmp_path: Path) -> None:
    speaking, alone = select_identity(str(eve), "pia"), select_identity(str(eve), None)
    ada = select_identity("ada", None)
    wav = str(voice_file(tmp_path / "v.wav", [0.2], 0.5))
    picture = str(speaking.avatars[0].picture)
    out = str(tmp_path / "a.mp4")
    talk = plan(speaking, sound="mic", output=["camera"])
    assert (talk.source, talk.pace, talk.still) == (picture, "live", True)
    assert (talk.finds_faces, talk.call_hears) == (False, None)
    assert not plan(speaking, sound="mic", output=[out]).sound_follows_source
    assert plan(speaking, sound="mic", output=[out]).pace == "live"  # a microphone takes its time
    assert plan(speaking, sound=wav, output=[out]).pace == "all"
    beat = plan(speaking, sound=wav, source="synthetic", output=[out])
    assert (beat.source, beat.still, beat.finds_faces, beat.pace) == ("synthetic", False, False, "live")
    film = plan(alone, sound=wav, source=str(HEAD), allow_raw=True, output=[out])
    assert (film.dubbed, film.still, film.sound_follows_source, film.call_hears) == (True, False, True, False)
    # Into a call the voice must be heard, so it is spoken in real time.
    called = plan(alone, sound=wav, source=str(HEAD), allow_raw=True, output=["camera"])
    assert (called.sound_follows_source, called.call_hears) == (False, None)
    assert plan(alone, sound=wav, source=picture, allow_raw=True, output=[out]).still
    live = plan(alone, sound="mic", allow_raw=True)
    assert (live.source, live.dubbed, live.finds_faces) == ("0", False, True)
    pip = select_identity("figure", "pip")
    spoken = plan(pip, sound="mic", output=["camera"])
    assert (spoken.still, spoken.drives_lips, spoken.finds_faces, spoken.call_hears) == (True, True, False, None)
    assert (spoken.source, spoken.size) == (str(pip.avatars[0].picture), (1280, 720))
    assert plan(pip, sound=wav, output=[out], size="320x240").size == (320, 240)
    both = plan(pip, sound="mic", source="0")
    assert (both.source, both.still, both.drives_lips, both.finds_faces, both.dubbed) == ("0", False, True, True, False)
    assert (plan(pip).source, plan(pip).drives_lips) == ("0", False)
    assert plan(ada, sound="mic", virtual_microphone=True).call_hears is True
    assert plan(ada).call_hears is False


@pytest.mark.parametrize(
    ("avatar", "options", "says"),
    [
        ("pia", {}, "needs a voice"),
        (None, {"sound": "mic"}, "--allow-raw"),
        (None, {"sound": "mic", "source": str(HEAD)}, "--allow-raw"),
        ("pia", {"sound": "mic", "pace": "all"}, "cannot wait for a microphone"),
        ("pia", {"sound": "v.wav", "pace": "all", "virtual_microphone": True}, "speaks live"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    eve: Path, avatar: str | None, options: dict[str, Any], says: str
) -> None:
    selection = select_identity(str(eve), avatar)
    assert says in one_line(lambda: plan(selection, **options), ConfigError)


def test_other_families(eve: Path) -> None:
    ada = select_identity("ada", None)
    assert "needs a voice" in one_line(lambda: plan(ada, virtual_microphone=True), ConfigError)
    assert "swap model" in one_line(lambda: plan(ada, avatar="pia"), ConfigError)
    speaking = select_identity(str(eve), "pia")
    heard = make_config({}, {"sound": "mic"})
    lips, carried = plan(speaking, sound="mic"), plan(ada, sound="mic")
    figure = select_identity("figure", "pip")
    check_change(heard, lips, speaking)
    check_change(heard, carried, select_identity("motion", "pia"))
    for either in (lips, carried):
        check_change(heard, either, figure)
    for now, after in ((carried, speaking), (lips, ada), (plan(figure, sound="mic"), ada)):
        assert "restart with --model" in one_line(partial(check_change, heard, now, after), ConfigError)
    check_change(make_config({}, {}), plan(figure), ada)
    # Nor may somebody's own face come in by a change.
    somebody = select_identity(str(eve), None)
    assert "--allow-raw" in one_line(partial(check_change, heard, lips, somebody), ConfigError)


def test_avatars_from_the_library_join_while_it_speaks(eve: Path) -> None:
    other = next(AVATARS.folders()).name
    chosen = partial(reselect, model=str(eve), avatar="pia")
    speaking = select_identity(str(eve), "pia")
    assert chosen(Settings(avatar=other), speaking).avatar_names == ("pia", other)
    alone = select_identity(str(eve), None)  # nobody but those in the source
    assert reselect(Settings(avatar=other), alone, model=str(eve), avatar=None).avatars == ()


def test_a_live_face_is_refused_before_a_camera_is_touched(call: Call, eve: Path) -> None:
    code, _, err = call("run", "--model", eve, "--sound", "mic", "--source", "0")
    assert (code, err.count("\n")) == (2, 1)
    assert "--allow-raw" in err


def test_the_badge_stays_on_other_peoples_faces(eve: Path) -> None:
    assert not select_identity(str(eve), None).may_hide_badge
    assert select_identity(str(eve), "pia").may_hide_badge

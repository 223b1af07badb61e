"""A still picture that speaks: its mouth moves in speech only, and no pixel of a camera gets out."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import a_face, pixels
from mesh_faces import a_face as a_mesh_face
from mesh_faces import a_picture, head
from puppets import an_avatar
from test_lip_sync_effect import LOUD, QUIET, Says, a_frame, timer
from test_lip_sync_network import Lips, lip_bundle

from realtime.audio.speech_buffer import MelWindow
from realtime.errors import ConfigError
from realtime.families.lip_sync.effect import TalkingAvatar
from realtime.families.lip_sync.network import open_lip_sync
from realtime.frame import Pixels
from realtime.models.avatar import Avatar
from realtime.settings import Settings

SIZE = (320, 180)


def talking(tmp_path: Path, speech: Says, *avatars: Avatar) -> tuple[TalkingAvatar, Lips]:
    script = Lips()
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=script.open)
    return TalkingAvatar(network, speech, avatars or [an_avatar("ann", 90)]), script


def camera(value: int = 7) -> Pixels:
    return pixels(value, SIZE)


def changed(a: Pixels, b: Pixels) -> tuple[float, float]:
    """The middle of what differs, in shares of the width and height."""
    rows, columns = np.nonzero((a != b).any(axis=2))
    return float(columns.mean() / SIZE[0]), float(rows.mean() / SIZE[1])


def test_the_mouth_moves_and_nothing_of_the_camera_is_seen(tmp_path: Path) -> None:
    speech = Says(QUIET)
    character, script = talking(tmp_path, speech)
    before = len(script.fed)
    rest = character(a_frame(camera()), [], Settings(), timer())
    assert rest is not None
    assert rest.shape == (SIZE[1], SIZE[0], 3)
    assert not (rest == 7).all(axis=2).any()
    assert len(script.fed) == before  # nobody speaks: the network rests too
    speech.spoken = LOUD
    timed = timer()
    said = character(a_frame(camera(200)), [a_face()], Settings(), timed)
    assert said is not None
    x, y = changed(said, rest)
    assert x == pytest.approx(0.5, abs=0.03)
    assert 0.5 < y < 0.75
    speech.spoken = MelWindow(LOUD.mel, 0.4, True)
    half = character(a_frame(camera()), [], Settings(), timer())
    assert half is not None
    assert np.abs(half.astype(int) - rest).sum() < np.abs(said.astype(int) - rest).sum()
    assert {"align", "swap", "blend"} <= set(timed.spans)
    assert (character.title, character.sessions, character.resting) == ("Ann", [script], False)
    character.close()
    assert script.closed


def test_the_picture_given_out_is_the_caller_s(tmp_path: Path) -> None:
    character, _ = talking(tmp_path, Says(QUIET))
    first = character(a_frame(camera()), [], Settings(), timer())
    assert first is not None
    first[:] = 0
    second = character(a_frame(camera()), [], Settings(), timer())
    assert second is not None
    assert second.any()


@pytest.mark.parametrize("size", [(640, 360), (200, 300), (1234, 700)])
def test_wherever_the_face_lies_its_mouth_is_what_moves(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    face = a_face((0.4 * width, 0.45 * height), 0.5 * height)
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), (0, 0), 3)
    avatar = Avatar("ann", "Ann", "synthetic", np.asarray(picture, np.uint8), None, face)
    speech = Says(QUIET)
    character, _ = talking(tmp_path, speech, avatar)
    rest = character(a_frame(camera()), [], Settings(), timer())
    speech.spoken = LOUD
    said = character(a_frame(camera()), [], Settings(), timer())
    assert rest is not None
    assert said is not None
    scale = min(SIZE[0] / width, SIZE[1] / height)
    at = (face.landmarks[13, :2] - (width / 2, height / 2)) * scale / SIZE + 0.5
    assert changed(said, rest) == pytest.approx((at[0], at[1]), abs=0.06)


def test_avatars_are_changed_live_and_a_bad_background_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    character, _ = talking(tmp_path, Says(QUIET), an_avatar("ann", 90), an_avatar("bob", 150))
    ann = character(a_frame(camera()), [], Settings(), timer())
    bob = character(a_frame(camera()), [], Settings(avatar="bob"), timer())
    assert ann is not None
    assert bob is not None
    assert (ann[90, 160, 0], bob[90, 160, 0], character.title) == (90, 150, "Bob")
    for _ in range(3):
        assert character(a_frame(camera()), [], Settings(background="nowhere"), timer()) is not None
    assert sum("stays as it is" in record.getMessage() for record in caplog.records) == 1
    fresh, _ = talking(tmp_path / "fresh", Says())
    with pytest.raises(ConfigError, match="nowhere"):
        fresh.prepare(SIZE, Settings(background="nowhere"))


def test_without_a_picture_or_a_face_there_is_nobody_to_speak(tmp_path: Path) -> None:
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=Lips().open)
    with pytest.raises(ConfigError, match="--avatar"):
        TalkingAvatar(network, Says(), [])
    faceless = Avatar("tree", "Tree", "synthetic", camera())
    with pytest.raises(ConfigError, match="tree has no face"):
        TalkingAvatar(network, Says(), [faceless])


def living(tmp_path: Path, speech: Says) -> TalkingAvatar:
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=Lips().open)
    avatar = Avatar("ann", "Ann", "synthetic", a_picture(), None, a_mesh_face())
    return TalkingAvatar(network, speech, [avatar], head=head())


def over(character: TalkingAvatar, settings: Settings, start: int = 0, count: int = 100) -> list[Pixels]:
    """What leaves in four seconds."""
    frames = [a_frame(camera(), (start + i) / 25) for i in range(count)]
    shown = [character(frame, [], settings, timer()) for frame in frames]
    return [picture for picture in shown if picture is not None]


def test_a_picture_that_speaks_is_alive_unless_told_not_to_be(tmp_path: Path) -> None:
    character = living(tmp_path, Says(QUIET))
    lively = over(character, Settings())
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(lively)]
    assert min(steps) > 0
    assert max(steps) < 6  # of a picture full of detail: no jump
    ending = over(character, Settings(idle=False), 100, 50)
    np.testing.assert_array_equal(ending[-1], ending[-2])
    glide = [np.abs(a.astype(int) - ending[-1]).mean() for a in ending]
    assert glide[0] > glide[12] > glide[-1] == 0  # it comes to rest, it does not jump
    still = living(tmp_path / "still", Says(QUIET))
    calm = over(still, Settings(idle=False), count=3)
    for picture in calm:
        np.testing.assert_array_equal(picture, ending[-1])


def test_the_mouth_goes_with_the_head(tmp_path: Path) -> None:
    quiet, loud = living(tmp_path / "quiet", Says(QUIET)), living(tmp_path / "loud", Says(LOUD))
    rest, said = over(quiet, Settings(), count=80), over(loud, Settings(), count=80)
    middles = np.array([changed(a, b) for a, b in zip(said, rest, strict=True)]) * SIZE
    assert np.ptp(middles[:, 0]) > 0.5  # pixels of a small picture: the head sways by more than that
    assert np.all(np.abs(middles - middles.mean(axis=0)) < 4)

"""The motion family in the loop: never the driver's pixels, a calm picture without one, neutral without a ritual."""

from pathlib import Path

import numpy as np
import pytest
from bundles import a_bundle, one_line
from fakes import SIZE, FakeClock, a_face
from motion_models import PLAIN, RATE, Show, ToyModel, a_reenactment, an_avatar, light, turned

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.motion.effect import (
    GRACE_S,
    REST_S,
    RISE_S,
    DriverActivity,
    ReenactmentEffect,
    open_motion_model,
)
from realtime.families.motion.motion_model import Motion
from realtime.frame import Frame
from realtime.models.bundle import open_bundle
from realtime.models.library import load_bundle
from realtime.tracking.face import Face


def test_no_pixel_of_the_driver_goes_out() -> None:
    show = Show(avatars=[an_avatar("ann", 90)])
    quiet = [show(100) for _ in range(3)]
    assert all(p is not None and (p == p[0, 0]).all() for p in quiet)  # the frame is noise, the picture is not
    assert light(quiet[0]) == 90
    assert light(show(130)) > 90
    # Frames are read-only, and a picture is the caller's own.
    assert quiet[0] is not None
    assert quiet[0].flags.writeable
    quiet[0][...] = 1
    assert light(show(100)) == 90


def test_before_there_is_a_neutral_pose_nothing_goes_out() -> None:
    show = Show()
    assert show(face=None) is None
    assert show(face=turned(40)) is None  # readable, but nobody's neutral
    assert show(face=turned(5)) is not None


def test_the_worst_first_frames_still_end_in_a_neutral_pose() -> None:
    """Somebody who only ever looks to the side waits no longer than three seconds."""
    show = Show()
    shown = show.run(4, face=turned(38))
    waited = next(i for i, p in enumerate(shown) if p is not None)
    assert 2.5 < waited / RATE <= 3.1
    assert show.model.asked[-1][1] == 100


def test_the_best_pose_of_the_first_moments_becomes_neutral_smoothly() -> None:
    show = Show()
    show.run(0.4, 120, face=turned(12))  # passable
    show.run(0.2, 110, face=turned(10.5))  # better, but not clearly
    assert show.model.asked[-1][1] == 120
    show.run(0.6, 140, face=turned(12))
    show.run(1.5, 140, face=turned(12))  # the moments are over: the best of them
    references = [r for _, r, _ in show.model.asked if r is not None]
    assert references[-1] == 110
    steps = np.abs(np.diff(references))
    assert steps.max() < 10 / RATE * 1.6  # over a second, eased
    assert (steps > 0).sum() >= 0.8 * RATE


def test_a_clearly_better_pose_of_the_first_moments_does_not_wait() -> None:
    show = Show()
    show.run(0.4, 120, face=turned(14))
    show.run(0.6, 100, face=turned(2))
    references = [r for _, r, _ in show.model.asked if r is not None]
    assert references[-1] == 100
    assert np.abs(np.diff(references)).max() < 20 / (0.5 * RATE) * 1.6


def test_a_bad_first_frame_waits_for_a_better_one() -> None:
    """Turned by 25 degrees is somebody looking aside: their next look at the camera is worth a moment."""
    show = Show()
    assert show.run(0.4, 140, face=turned(25)) == [None] * 10
    assert show(100, face=turned(3)) is not None
    assert show.model.asked[-1][1] == 100


def test_a_much_better_pose_takes_over_later_and_a_blink_never_does() -> None:
    show = Show()
    show.run(6, 120, face=turned(14))
    blink = turned(0)
    blink.blendshapes[9] = blink.blendshapes[10] = 0.9
    show.run(1, 60, face=blink)
    show.run(1, 120, face=turned(14))
    assert show.model.asked[-1][1] == 120
    show.run(2 / RATE, 60, face=turned(0))  # too short to be more than a mistake of the tracker
    show.run(1, 120, face=turned(14))
    assert show.model.asked[-1][1] == 120
    show.run(1, 100, face=turned(0))
    show.run(1.5, 120, face=turned(14))
    assert show.model.asked[-1][1] == 100


def test_by_hand_is_at_once_and_final() -> None:
    show = Show()
    show.run(2, 100)
    by_hand = PLAIN.model_copy(update={"reference": 1})
    show.run(0.5, 150, by_hand, face=turned(20))
    assert show.model.asked[-1][1] == 150
    show.run(8, 100, by_hand, face=turned(0))
    assert show.model.asked[-1][1] == 150


def test_somebody_who_leaves_lets_the_avatar_come_to_rest() -> None:
    show = Show()
    show.run(2, 100)
    assert light(show(160)) > 140
    lights = [light(p) for p in show.run(1.2, 0, face=None)]
    assert lights == sorted(lights, reverse=True)
    assert max(-np.diff(lights)) < 12  # 60 in 0.7 seconds, eased
    assert show.effect.resting
    drawn = len(show.model.asked)
    rest = show(face=None)
    assert len(show.model.asked) == drawn  # nothing is drawn at rest: it is the picture itself
    assert light(rest) == 90
    # And back within half a second, without a jump.
    back = [light(p) for p in show.run(0.5, 160)]
    assert max(np.diff(back)) < 25
    assert back[-1] > 140
    assert not show.effect.resting


def test_a_blink_of_the_tracker_is_not_seen() -> None:
    show = Show()
    show.run(2, 100)
    before = light(show(160))
    assert [light(p) for p in show.run(0.12, 0, face=None)] == [before] * 3
    assert not show.effect.resting


@pytest.mark.parametrize("face", [turned(75), turned(-80), turned(0, score=0.55)], ids=["left", "right", "covered"])
def test_a_face_that_cannot_be_read_is_nobody(face: Face) -> None:
    show = Show()
    show.run(2, 100)
    show(150)
    lights = [light(p) for p in show.run(1.2, 250, face=face)]
    assert lights == sorted(lights, reverse=True)
    assert lights[-1] == 90
    assert 250 not in [driving for driving, _, _ in show.model.asked]


def test_a_face_suddenly_in_doubt_is_covered_and_one_always_in_doubt_is_not() -> None:
    show = Show()
    show.run(2, 100, face=turned(0, score=1.0))
    lights = [light(p) for p in show.run(0.8, 200, face=turned(0, score=0.9995))]
    assert 200 not in [driving for driving, _, _ in show.model.asked]
    assert lights[-1] <= 91
    dim = Show()
    dim.run(2, 100, face=turned(0, score=0.9995))
    assert light(dim(160, face=turned(0, score=0.9995))) > 140


def test_what_the_puppet_cannot_read_is_nobody() -> None:
    show = Show()
    show.run(2, 100)
    show.model.readable = lambda frame: False
    assert light(show.run(1.2, 250)[-1]) == 90


@pytest.mark.parametrize("choice", ["card", "blur", "raw"])
def test_other_choices_for_a_lost_face_are_the_guards(choice: str) -> None:
    show = Show()
    settings = PLAIN.model_copy(update={"on_miss": choice})
    show.run(2, 100, settings)
    assert show(100, settings, face=None) is None
    assert show(100, settings) is not None


def test_another_person_starts_at_rest_with_a_neutral_pose_of_their_own() -> None:
    show = Show()
    show.run(2, 100)
    assert light(show(150)) > 130
    lights = [light(p) for p in show.run(1, 200, face=turned(3, track=5))]
    assert abs(lights[0] - 90) <= 1  # at rest, and neutral from the first
    assert abs(lights[-1] - 90) <= 1
    assert show.model.asked[-1][1] == 200


def test_avatars_change_at_once_and_are_encoded_ahead() -> None:
    avatars = [an_avatar(f"a{i}", 20 * i + 20) for i in range(10)]
    show = Show(avatars=avatars)
    show(100)
    assert show.model.casts == 10
    dice = np.random.default_rng(5)
    worn = 0
    for turn in range(1000):
        if dice.random() < 0.7:
            worn = int(dice.integers(10))
        settings = PLAIN.model_copy(update={"avatar": f"a{worn}"})
        face = None if dice.random() < 0.1 else a_face()
        picture = show(100, settings, face=face)
        assert light(picture) == 20 * worn + 20, turn  # this very frame
        assert (picture == picture[0, 0]).all()
        assert show.effect.title == f"A{worn}"
    assert show.model.casts == 10


def test_settings_reach_the_puppet_and_absolute_needs_no_neutral() -> None:
    show = Show()
    settings = Settings(sharpen=0, movement="absolute", adapt_scale=False, region="head")
    assert show(100, settings, face=turned(40)) is not None
    assert show.model.asked[-1] == (100, None, Motion(False, False, "head", 1.0))


def test_models_of_other_things_need_no_face_and_begin_at_the_first_frame() -> None:
    show = Show(ToyModel(needs_face=False))
    assert light(show(100, face=None)) == 90
    assert light(show(140, face=None)) > 120
    assert show.model.asked[-1][1] == 100


def test_faces_that_come_and_go_mean_nothing_to_such_a_model() -> None:
    show = Show(ToyModel(needs_face=False))
    show(100)
    for turn in range(60):
        show(140, face=turned(0, track=turn) if turn % 2 else None)
    assert {reference for _, reference, _ in show.model.asked} == {100}


def test_a_key_pressed_before_this_model_was_worn_is_not_pressed_now() -> None:
    show = Show()
    before = PLAIN.model_copy(update={"reference": 3})
    show.run(0.2, 150, before, face=turned(12))
    show.run(3, 100, before, face=turned(0))
    assert show.model.asked[-1][1] == 100
    show.run(0.5, 160, before.model_copy(update={"reference": 4}), face=turned(12))
    assert show.model.asked[-1][1] == 160


def test_no_avatar_is_refused_and_all_is_closed() -> None:
    model = ToyModel()
    with pytest.raises(ConfigError, match="--avatar"):
        ReenactmentEffect(model, [])
    effect = a_reenactment(model)
    effect.close()
    effect.close()
    assert model.closed == 2


def test_a_background_that_cannot_be_read_is_refused_first_and_later_leaves_the_old(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = ToyModel()
    effect = ReenactmentEffect(model, [an_avatar("tall", 90, (60, 120))])
    bad = PLAIN.model_copy(update={"background": "/nowhere.png"})
    with pytest.raises(ConfigError, match="is neither"):
        effect.prepare(SIZE, bad)
    frame = Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 0, 0, 0.0)
    timer = StageTimer(FakeClock())
    first = effect(frame, [a_face()], PLAIN, timer)
    again = effect(frame, [a_face()], bad, timer)
    effect(frame, [a_face()], bad, timer)
    assert np.array_equal(first, again)
    assert len([r for r in caplog.records if "stays as it is" in r.getMessage()]) == 1
    blue = effect(frame, [a_face()], PLAIN.model_copy(update={"background": "#070707"}), timer)
    assert (blue[:, :5] == 7).all()
    assert model.casts == 1  # an opaque picture is what it was


HZ = 100


def strengths(script: list[tuple[bool, float]]) -> list[float]:
    presence, now_s, out = DriverActivity(), 0.0, []
    for readable, seconds in script:
        for _ in range(round(seconds * HZ)):
            out.append(presence(readable, now_s))
            now_s += 1 / HZ
    return out


def test_who_is_there_from_the_start_drives_at_once() -> None:
    assert strengths([(True, 0.1)]) == [1.0] * 10


def test_rest_is_reached_in_time_and_left_quicker() -> None:
    away = strengths([(True, 1), (False, 2)])[HZ:]
    first_zero = next(i for i, level in enumerate(away) if level == 0.0) / HZ
    assert abs(first_zero - (GRACE_S + REST_S)) < 0.03
    assert all(level == 1.0 for level in away[: int(GRACE_S * HZ) - 1])
    back = strengths([(True, 1), (False, 2), (True, 1)])[3 * HZ :]
    assert abs(next(i for i, level in enumerate(back) if level == 1.0) / HZ - RISE_S) < 0.03


def test_nothing_jumps_whatever_comes() -> None:
    dice = np.random.default_rng(0)
    script = [(bool(dice.random() < 0.5), float(dice.uniform(0.02, 0.6))) for _ in range(200)]
    levels = np.array(strengths(script))
    assert np.abs(np.diff(levels)).max() <= 1.5 / (RISE_S * HZ) + 1e-9
    assert levels.min() >= 0
    assert levels.max() <= 1


def test_time_that_stands_still_or_runs_back_changes_nothing_much() -> None:
    presence = DriverActivity()
    presence(True, 10.0)
    assert presence(False, 10.0) == 1.0
    assert presence(False, 3.0) == 1.0
    assert presence(False, 1000.0) > 0.5  # a gap counts as a short one


def test_the_built_in_model_moves_faces() -> None:
    model = open_motion_model(load_bundle("motion"), provider="cpu")
    assert model.needs_face
    assert len(model.sessions) == 2
    model.close()


def test_a_bundle_of_no_known_motion_model_is_refused(tmp_path: Path) -> None:
    card = {"family": "motion", "identity": {"kind": "none"}, "input": {"size": 64}}
    made = a_bundle(tmp_path / "eve", contents={"x.onnx": b"x"}, **card)
    assert "this has neither" in one_line(lambda: open_motion_model(open_bundle(made)))

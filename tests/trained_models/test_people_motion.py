"""How people move by seed, how a sweep becomes a calibration, and what webcams do. None of it needs a renderer."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the people recipe needs the extra `train`")

from test_people_speech import NAMES

from trained_models.recipes.people.calibrate import (
    LEAST,
    READ,
    REST,
    TOGETHER,
    WANTED,
    amplitude,
    calibrate,
    uncalibrated,
)
from trained_models.recipes.people.develop import Webcam
from trained_models.recipes.people.geometry import in_picture
from trained_models.recipes.people.performance import babble, improvise, sway

FPS = 25.0


def face(strength: float, raised: float = 0.0) -> "object":
    """A reader of a made-up face: each action reads a logistic curve of its amplitude times `strength`."""

    def read(actions: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        out = np.zeros(len(READ), np.float32)
        for name in READ:
            if name in NAMES:
                at = actions[NAMES.index(name)] * strength + (raised if name == "browInnerUp" else 0)
                out[READ.index(name)] = 1 / (1 + np.exp(-5 * (at - 1))) - 1 / (1 + np.exp(5))
        return out

    return read


def test_every_swept_action_is_read_once() -> None:
    swept = [action for group in TOGETHER for action in group]
    assert sorted(swept) == sorted(WANTED)
    assert set(REST) == set(LEAST)
    assert all(0 < w.half < w.full < 1 for w in WANTED.values())


@pytest.mark.parametrize(
    ("goal", "expected"),
    [(0.25, 0.75), (0.5, 1.0), (0.05, 0.15), (0.95, 2.0)],
)
def test_a_sweep_is_turned_round(goal: float, expected: float) -> None:
    levels, readings = np.array([0, 0.3, 1.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.5, 0.9, 0.4])
    found = amplitude(levels, readings, goal)
    assert found == pytest.approx(expected if goal != 0.25 else 0.3 + 0.15 / 0.4 * 0.7)


def test_an_action_that_reads_nothing_says_so() -> None:
    assert amplitude(np.array([0, 1.0, 2.0]), np.array([0.2, 0.21, 0.19]), 0.5) is None


@pytest.mark.parametrize("action", ["mouthPucker", "mouthSmileLeft", "mouthFunnel", "jawOpen"])
def test_the_same_weight_reads_the_same_on_a_weak_and_a_strong_face(action: str) -> None:
    index, seen = NAMES.index(action), READ.index(action)
    readings, fixed = [], []
    for strength in (0.85, 1.3):
        own, read = calibrate(NAMES, face(strength)), face(strength)
        weights = np.zeros(52, np.float32)
        weights[index] = 1.0
        readings.append(read(own.drive(weights))[seen])
        fixed.append(read(uncalibrated(NAMES).drive(weights))[seen])
    apart = abs(readings[0] - readings[1])
    assert apart < 0.13
    assert apart < 0.6 * abs(fixed[0] - fixed[1])


def test_brows_that_look_raised_are_lowered_at_rest() -> None:
    raised = face(1.0, raised=0.8)
    own = calibrate(NAMES, raised)
    before, after = (raised(rest)[READ.index("browInnerUp")] for rest in (np.zeros(52), own.rest))
    assert before > REST["browInnerUp"] >= after
    assert own.rest[NAMES.index("browInnerUp")] < 0
    assert own.rest[NAMES.index("jawOpen")] == 0


def test_driving_goes_through_rest_half_and_full() -> None:
    own = calibrate(NAMES, face(1.2))
    index = NAMES.index("mouthPucker")
    at = [own.drive(np.full(52, weight, np.float32))[index] for weight in (0, 0.25, 0.5, 1.0)]
    assert at[0] == own.rest[index]
    assert at[2] == pytest.approx(own.half[index])
    assert at[3] == pytest.approx(own.full[index])
    assert at == sorted(at)


def test_a_performance_follows_from_its_seed() -> None:
    first, again, other = (improvise(seed, 75, FPS, NAMES) for seed in (3, 3, 4))
    assert np.array_equal(first.actions, again.actions)
    assert np.array_equal(first.rot, again.rot)
    assert not np.array_equal(first.actions, other.actions)


def test_performances_are_in_range_smooth_and_lively() -> None:
    for seed in range(6):
        played = improvise(seed, 200, FPS, NAMES)
        assert played.actions.shape == (200, 52)
        assert played.actions.min() >= 0
        assert played.actions.max() <= 1.05
        assert np.abs(played.rot).max() <= 48
        assert np.abs(np.diff(played.rot, axis=0)).max() < 12  # degrees a frame
        assert played.actions[:, NAMES.index("jawOpen")].std() > 0.03
        blink = played.actions[:, NAMES.index("eyeBlinkLeft")]
        assert ((blink[1:] > 0.5) & (blink[:-1] <= 0.5)).sum() >= 1


def test_a_clip_may_be_one_frame_long() -> None:
    assert np.isfinite(sway(np.random.default_rng(3), 1, 5.0, 4)).all()


def test_babble_is_ordered_and_ends_in_time() -> None:
    sounds = babble(np.random.default_rng(1), 4.0)
    starts = [t for t, _ in sounds]
    assert starts == sorted(starts)
    assert starts[-1] < 4.0
    assert len(sounds) > 8


def test_points_land_where_they_are_seen() -> None:
    points = np.array([[0, 0, 0], [1, 1, 0], [-1, 0.5, 0]], np.float32)
    assert in_picture(points, np.eye(4), (200, 100)).tolist() == [[100, 50], [200, 0], [0, 25]]


def test_webcams_differ_by_seed_and_keep_the_pictures_form() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    seen = [Webcam.drawn(np.random.default_rng(seed)).seen(picture, (3.0, 1.0)) for seed in range(8)]
    assert all(s.shape == picture.shape and s.dtype == np.uint8 for s in seen)
    assert len({s.tobytes() for s in seen}) > 5
    assert np.array_equal(Webcam().seen(picture), picture)


def test_motion_smears_along_its_way_only() -> None:
    picture = np.zeros((41, 41, 3), np.uint8)
    picture[20, 20] = 255
    seen = Webcam(smear=8.0).seen(picture, (12.0, 0.0))[..., 0]
    rows, columns = np.nonzero(seen)
    assert set(rows) == {20}
    assert columns.min() < 19 < 21 < columns.max()


def test_jpeg_and_half_colour_lose_a_little() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (64, 1, 3))
    seen = Webcam(jpeg=60, chroma=True).seen(ramp)
    off = np.abs(seen.astype(int) - ramp).mean()
    assert 0 < off < 6

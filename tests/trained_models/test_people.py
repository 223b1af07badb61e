"""Sounds become mouth movements; what is drawn for a pair; calibration, webcams, files. None of it needs a renderer."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.metrics.acting import BLENDSHAPES
from trained_models.recipes.autoencoder.prepare import read_pairs
from trained_models.recipes.people import calibrate as cal
from trained_models.recipes.people.develop import Webcam
from trained_models.recipes.people.geometry import in_picture
from trained_models.recipes.people.moments import DRAWN, STRONGEST, draw_moment
from trained_models.recipes.people.pairs import SAMPLES, held_by
from trained_models.recipes.people.performance import babble, improvise, sway
from trained_models.recipes.people.speech import DOMINANCE, VISEMES, mouth_curves, speak, viseme
from trained_models.recipes.sample_files import joined, numbered
from trained_models.training.files import save_arrays

FPS = 100
EYES = [f"eyeLook{way}{side}" for way in ("Down", "In", "Out", "Up") for side in ("Left", "Right")]
NAMES = sorted({half for action in DRAWN for half in cal.side_names(action)} | {"mouthClose", "tongueOut", *EYES})


def test_sounds_have_shapes_and_every_shape_is_known_everywhere() -> None:
    sounds = ["p", "m", "v", "ˈoʊ", "uː", "_", "tS", "aX", "¿"]
    assert [viseme(sound) for sound in sounds] == ["PP", "PP", "FF", "O", "U", "sil", "CH", "aa", "DD"]
    assert len(NAMES) == 52
    assert set(VISEMES) == set(DOMINANCE)
    assert all(action in NAMES for shape in VISEMES.values() for action in shape)


def curve(sounds: list[tuple[float, str]], action: str) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return mouth_curves(sounds, 1.0, FPS, NAMES)[:, NAMES.index(action)]


def test_the_jaw_opens_for_an_a_before_it_is_heard_and_lips_close_for_a_p() -> None:
    jaw = curve([(0.0, "_"), (0.4, "a"), (0.6, "_")], "jawOpen")
    assert jaw.shape == (FPS,)
    assert jaw[5] < 0.02
    assert jaw[:35].max() < jaw[44:52].max()
    assert 0.25 < jaw.max() <= 0.52  # between silences, an a does not get to its full width
    assert 44 <= int(jaw.argmax()) <= 50
    closed = curve([(0.0, "a"), (0.45, "p"), (0.55, "a")], "jawOpen")
    assert closed[48] < 0.1 < closed[20]
    assert not mouth_curves([], 0.5, FPS, NAMES).any()


def test_espeak_tells_when_sounds_begin() -> None:
    try:
        said = speak("Hello")
    except OSError as missing:
        pytest.skip(f"espeak-ng: {missing}")
    starts = [t for t, _ in said.sounds]
    assert said.samples.dtype == np.int16
    assert starts == sorted(starts)
    assert starts[-1] <= len(said.samples) / said.rate_hz


def test_gains_hold_for_both_sides_and_every_swept_action_is_read_once() -> None:
    weights = dict(zip(NAMES, cal.gains(NAMES), strict=True))
    assert weights["browDownLeft"] == weights["browDownRight"] == pytest.approx(cal.GAINS["browDown"])
    assert weights["tongueOut"] == 1
    assert set(cal.GAINS) <= set(DRAWN)
    assert all(name in NAMES for weights in cal.EXPRESSIONS.values() for name in cal.both_sides(weights))
    assert sorted(action for group in cal.TOGETHER for action in group) == sorted(cal.WANTED)
    assert set(cal.REST) == set(cal.LEAST)
    assert all(0 < w.half < w.full < 1 for w in cal.WANTED.values())


def test_moments_and_performances_follow_from_their_numbers() -> None:
    first, again, other = (draw_moment(1, 2, k, NAMES) for k in (3, 3, 4))
    assert np.array_equal(first.actions, again.actions)
    assert first.light == again.light
    assert not np.array_equal(first.rot, other.rot)
    played, same, unlike = (improvise(seed, 75, CLIP_FPS, NAMES) for seed in (3, 3, 4))
    assert np.array_equal(played.actions, same.actions)
    assert np.array_equal(played.rot, same.rot)
    assert not np.array_equal(played.actions, unlike.actions)


def test_moments_cover_every_action_and_stay_in_range() -> None:
    draws = [draw_moment(1, 0, k, NAMES) for k in range(1500)]
    actions = np.stack([d.actions for d in draws])
    assert actions.min() >= 0
    assert actions.max() <= STRONGEST + 1e-6
    drawn = [NAMES.index(half) for action in DRAWN for half in cal.side_names(action)]
    assert (actions[:, drawn].max(0) > 0.3).all()
    blinks = actions[:, NAMES.index("eyeBlinkLeft")] > 0.5
    assert 0.1 < blinks.mean() < 0.35
    yaw = np.array([d.rot[1] for d in draws])
    assert abs(yaw).max() <= 50
    assert 14 < yaw.std() < 21
    for action in cal.PAIRED:
        left, right = (actions[:, NAMES.index(half)] for half in cal.side_names(action))
        assert (np.abs(left - right) > 0.2).any()


def test_some_drivers_hold_something_before_the_face() -> None:
    held = [held_by(1, 0, k) for k in range(3 * SAMPLES)]
    kinds = [one.kind for one in held if one]
    assert 0.2 < len(kinds) / len(held) < 0.4
    assert set(kinds) == {"hand", "cup", "microphone"}
    first, again = held_by(1, 0, 7), held_by(1, 0, 7)
    assert (first is None) == (again is None)


def test_a_shard_comes_back(tmp_path: Path) -> None:
    fields: dict[str, object] = {}
    for name in ("person_jpg", "target_jpg", "target_mask_png"):
        kind = ".jpg" if name.endswith("jpg") else ".png"
        shape = (32, 32, 3) if kind == ".jpg" else (32, 32)
        files = [cv2.imencode(kind, np.full(shape, 40 * k, np.uint8))[1].tobytes() for k in range(3)]
        fields[name], fields[name + "_offsets"] = joined(files)
    save_arrays(numbered(tmp_path, 7, "shard"), fields)
    pairs = list(read_pairs(tmp_path / "shard_00007.npz"))
    assert all(person.shape == target.shape == (32, 32, 3) for person, target, _ in pairs)
    assert [region[0, 0] for _, _, region in pairs] == [0, 40, 80]
    assert abs(int(pairs[2][0][5, 5, 0]) - 80) <= 2
    fields["person_jpg"] = np.zeros_like(fields["person_jpg"])
    save_arrays(tmp_path / "shard_00008.npz", fields)
    with pytest.raises(ValueError, match="render the file again"):
        list(read_pairs(tmp_path / "shard_00008.npz"))


CLIP_FPS = 25.0


def face(strength: float, raised: float = 0.0) -> "object":
    """A reader of a made-up face: each action reads a logistic curve of its cal.amplitude times `strength`."""

    def read(actions: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        out = np.zeros(len(BLENDSHAPES), np.float32)
        for name in BLENDSHAPES:
            if name in NAMES:
                at = actions[NAMES.index(name)] * strength + (raised if name == "browInnerUp" else 0)
                out[BLENDSHAPES.index(name)] = 1 / (1 + np.exp(-5 * (at - 1))) - 1 / (1 + np.exp(5))
        return out

    return read


@pytest.mark.parametrize(("goal", "expected"), [(0.25, 0.3 + 0.15 / 0.4 * 0.7), (0.5, 1.0), (0.05, 0.15), (0.95, 2.0)])
def test_a_sweep_is_turned_round(goal: float, expected: float) -> None:
    levels, readings = np.array([0, 0.3, 1.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.5, 0.9, 0.4])
    found = cal.amplitude(levels, readings, goal)
    assert found == pytest.approx(expected)
    assert cal.amplitude(levels[:3], np.array([0.2, 0.21, 0.19]), goal) is None  # an action that reads nothing


@pytest.mark.parametrize("action", ["mouthPucker", "mouthSmileLeft", "mouthFunnel", "jawOpen"])
def test_the_same_weight_reads_the_same_on_a_weak_and_a_strong_face(action: str) -> None:
    index, seen = NAMES.index(action), BLENDSHAPES.index(action)
    readings, fixed = [], []
    for strength in (0.85, 1.3):
        own, read = cal.calibrate(NAMES, face(strength)), face(strength)
        weights = np.zeros(52, np.float32)
        weights[index] = 1.0
        readings.append(read(own.drive(weights))[seen])
        fixed.append(read(cal.uncalibrated(NAMES).drive(weights))[seen])
    apart = abs(readings[0] - readings[1])
    assert apart < 0.13
    assert apart < 0.6 * abs(fixed[0] - fixed[1])


def test_brows_that_look_raised_are_lowered_and_driving_goes_through_rest_half_and_full() -> None:
    raised = face(1.0, raised=0.8)
    own = cal.calibrate(NAMES, raised)
    before, after = (raised(rest)[BLENDSHAPES.index("browInnerUp")] for rest in (np.zeros(52), own.rest))
    assert before > cal.REST["browInnerUp"] >= after
    assert own.rest[NAMES.index("browInnerUp")] < 0
    assert own.rest[NAMES.index("jawOpen")] == 0
    own = cal.calibrate(NAMES, face(1.2))
    index = NAMES.index("mouthPucker")
    at = [own.drive(np.full(52, weight, np.float32))[index] for weight in (0, 0.25, 0.5, 1.0)]
    assert at[0] == own.rest[index]
    assert at[2] == pytest.approx(own.half[index])
    assert at[3] == pytest.approx(own.full[index])
    assert at == sorted(at)


def test_performances_are_in_range_smooth_and_lively() -> None:
    for seed in range(6):
        played = improvise(seed, 200, CLIP_FPS, NAMES)
        assert played.actions.shape == (200, 52)
        assert played.actions.min() >= 0
        assert played.actions.max() <= 1.05
        assert np.abs(played.rot).max() <= 48
        assert np.abs(np.diff(played.rot, axis=0)).max() < 12  # degrees a frame
        assert played.actions[:, NAMES.index("jawOpen")].std() > 0.03
        blink = played.actions[:, NAMES.index("eyeBlinkLeft")]
        assert ((blink[1:] > 0.5) & (blink[:-1] <= 0.5)).sum() >= 1


def test_babble_is_ordered_and_ends_in_time() -> None:
    sounds = babble(np.random.default_rng(1), 4.0)
    starts = [t for t, _ in sounds]
    assert starts == sorted(starts)
    assert starts[-1] < 4.0
    assert len(sounds) > 8
    assert np.isfinite(sway(np.random.default_rng(3), 1, 5.0, 4)).all()  # a clip of one frame


def test_points_land_where_they_are_seen() -> None:
    points = np.array([[0, 0, 0], [1, 1, 0], [-1, 0.5, 0]], np.float32)
    assert in_picture(points, np.eye(4), (200, 100)).tolist() == [[100, 50], [200, 0], [0, 25]]


def test_webcams_differ_by_seed_and_keep_the_pictures_form() -> None:
    picture = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    seen = [Webcam.drawn(np.random.default_rng(seed)).seen(picture, (3.0, 1.0)) for seed in range(8)]
    assert all(s.shape == picture.shape and s.dtype == np.uint8 for s in seen)
    assert len({s.tobytes() for s in seen}) > 5
    assert np.array_equal(Webcam().seen(picture), picture)
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    rows, columns = np.nonzero(Webcam(smear=8.0).seen(dot, (12.0, 0.0))[..., 0])
    assert set(rows) == {20}
    assert columns.min() < 19 < 21 < columns.max()
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (64, 1, 3))
    assert 0 < np.abs(Webcam(jpeg=60, chroma=True).seen(ramp).astype(int) - ramp).mean() < 6

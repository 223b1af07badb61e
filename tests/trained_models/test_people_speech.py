"""Sounds become mouth movements; what is drawn for a pair; how shards are stored. None of it needs a renderer."""

from pathlib import Path

import numpy as np
import pytest

from trained_models.recipes.autoencoder.prepare import read_pairs
from trained_models.recipes.people.calibrate import EXPRESSIONS, GAINS, PAIRED, both_sides, gains, side_names
from trained_models.recipes.people.moments import DRAWN, STRONGEST, draw_moment
from trained_models.recipes.people.pairs import SAMPLES, held_by
from trained_models.recipes.people.speech import DOMINANCE, VISEMES, mouth_curves, speak, viseme
from trained_models.recipes.sample_files import joined, numbered
from trained_models.training.files import save_arrays

FPS = 100
EYES = [f"eyeLook{way}{side}" for way in ("Down", "In", "Out", "Up") for side in ("Left", "Right")]
NAMES = sorted({half for action in DRAWN for half in side_names(action)} | {"mouthClose", "tongueOut", *EYES})


def test_there_are_52_actions() -> None:
    assert len(NAMES) == 52


@pytest.mark.parametrize(
    ("sound", "shape"),
    [
        ("p", "PP"),
        ("m", "PP"),
        ("v", "FF"),
        ("ˈoʊ", "O"),
        ("uː", "U"),
        ("_", "sil"),
        ("tS", "CH"),
        ("aX", "aa"),
        ("¿", "DD"),
    ],
)
def test_sounds_have_shapes(sound: str, shape: str) -> None:
    assert viseme(sound) == shape


def test_every_shape_is_known_everywhere() -> None:
    assert set(VISEMES) == set(DOMINANCE)
    assert all(action in NAMES for shape in VISEMES.values() for action in shape)


def curve(sounds: list[tuple[float, str]], action: str) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    return mouth_curves(sounds, 1.0, FPS, NAMES)[:, NAMES.index(action)]


def test_an_a_opens_the_jaw_just_before_it_is_heard() -> None:
    jaw = curve([(0.0, "_"), (0.4, "a"), (0.6, "_")], "jawOpen")
    assert jaw.shape == (FPS,)
    assert jaw[5] < 0.02
    assert jaw[:35].max() < jaw[44:52].max()
    assert 0.25 < jaw.max() <= 0.52  # between silences, an a does not get to its full width
    assert 44 <= int(jaw.argmax()) <= 50


def test_lips_close_for_a_p_between_vowels() -> None:
    jaw = curve([(0.0, "a"), (0.45, "p"), (0.55, "a")], "jawOpen")
    assert jaw[48] < 0.1 < jaw[20]


def test_a_silent_sentence_does_not_move() -> None:
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


def test_gains_hold_for_both_sides() -> None:
    weights = dict(zip(NAMES, gains(NAMES), strict=True))
    assert weights["browDownLeft"] == weights["browDownRight"] == pytest.approx(GAINS["browDown"])
    assert weights["tongueOut"] == 1
    assert set(GAINS) <= set(DRAWN)
    assert all(name in NAMES for weights in EXPRESSIONS.values() for name in both_sides(weights))


def test_a_moment_follows_from_its_numbers() -> None:
    first, again, other = (draw_moment(1, 2, k, NAMES) for k in (3, 3, 4))
    assert np.array_equal(first.actions, again.actions)
    assert first.light == again.light
    assert not np.array_equal(first.rot, other.rot)


def test_moments_cover_every_action_and_stay_in_range() -> None:
    draws = [draw_moment(1, 0, k, NAMES) for k in range(1500)]
    actions = np.stack([d.actions for d in draws])
    assert actions.min() >= 0
    assert actions.max() <= STRONGEST + 1e-6
    drawn = [NAMES.index(half) for action in DRAWN for half in side_names(action)]
    assert (actions[:, drawn].max(0) > 0.3).all()
    blinks = actions[:, NAMES.index("eyeBlinkLeft")] > 0.5
    assert 0.1 < blinks.mean() < 0.35
    yaw = np.array([d.rot[1] for d in draws])
    assert abs(yaw).max() <= 50
    assert 14 < yaw.std() < 21


def test_the_two_halves_are_sometimes_apart() -> None:
    actions = np.stack([draw_moment(1, 1, k, NAMES).actions for k in range(600)])
    for action in PAIRED:
        left, right = (actions[:, NAMES.index(half)] for half in side_names(action))
        assert (np.abs(left - right) > 0.2).any()


def test_some_drivers_hold_something_before_the_face() -> None:
    pytest.importorskip("moderngl", reason="the people are drawn with moderngl: the extra `train`")
    held = [held_by(1, 0, k) for k in range(3 * SAMPLES)]
    kinds = [one.kind for one in held if one]
    assert 0.2 < len(kinds) / len(held) < 0.4
    assert set(kinds) == {"hand", "cup", "microphone"}
    first, again = held_by(1, 0, 7), held_by(1, 0, 7)
    assert (first is None) == (again is None)


def test_a_shard_comes_back(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    fields: dict[str, object] = {}
    for name in ("person_jpg", "target_jpg", "target_mask_png"):
        kind = ".jpg" if name.endswith("jpg") else ".png"
        shape = (32, 32, 3) if kind == ".jpg" else (32, 32)
        files = [cv2.imencode(kind, np.full(shape, 40 * k, np.uint8))[1].tobytes() for k in range(3)]
        fields[name], fields[name + "_offsets"] = joined(files)
    save_arrays(numbered(tmp_path, 7, "shard"), fields)
    pairs = list(read_pairs(tmp_path / "shard_00007.npz"))
    assert all(pair.person.shape == pair.target.shape == (32, 32, 3) for pair in pairs)
    assert [pair.region[0, 0] for pair in pairs] == [0, 40, 80]
    assert abs(int(pairs[2].person[5, 5, 0]) - 80) <= 2
    fields["person_jpg"] = np.zeros_like(fields["person_jpg"])
    save_arrays(tmp_path / "shard_00008.npz", fields)
    with pytest.raises(ValueError, match="render the file again"):
        list(read_pairs(tmp_path / "shard_00008.npz"))

"""What the built-in lip-sync model is measured by, and what its bundle says and does."""

import cv2
import numpy as np
import pytest

from realtime.audio.mel import mel_frames
from realtime.clock import NS_PER_S
from realtime.families.lip_sync.network import open_lip_sync
from realtime.models.library import built_in_folder, load_bundle
from trained_models.recipes.lip_sync.measure import envelope, in_step, windows

torch = pytest.importorskip("torch")

from trained_models.recipes.lip_sync.network import SIZE, TOP  # noqa: E402


def test_offset_and_correlation_are_found() -> None:
    rng = np.random.default_rng(8)
    loud = np.convolve(rng.uniform(0, 1, 220), np.ones(5) / 5, "same").astype(np.float32)
    late = in_step(0.2 * np.roll(loud, 2), loud)
    assert late.offset == pytest.approx(2, abs=0.05)
    assert late.r > 0.95 > late.r_at_0
    assert in_step(np.roll(loud, -3), loud).offset == pytest.approx(-3, abs=0.05)
    assert in_step(np.zeros_like(loud), loud).r == 0


def test_loudness_is_that_of_each_pictures_time() -> None:
    sound = np.zeros(32_000, np.float32)
    sound[16_000:17_600] = 0.5
    loud = envelope(sound, 50)
    assert 25 <= int(loud.argmax()) <= 28
    assert loud[:23].max() < 1e-5


def test_windows_are_those_of_the_live_voice() -> None:
    sound = (0.3 * np.sin(np.arange(24_000) / 9)).astype(np.float32)
    spoken = windows(sound)(0.4)
    np.testing.assert_array_equal(spoken.mel, mel_frames(sound)[:, 32:48])
    assert spoken.openness == 1
    assert NS_PER_S == 1_000_000_000


def test_the_bundle_is_small_and_says_what_it_measured() -> None:
    bundle = load_bundle(built_in_folder() / "lip-sync")
    assert bundle.path("lip_sync.onnx").stat().st_size < 4e6
    assert (bundle.card.identity.kind, bundle.card.input.size) == ("none", SIZE)
    assert {"export", "work", "held_out"} <= set(bundle.card.measured.facts)


def test_the_built_in_model_moves_mouths_and_nothing_else() -> None:
    network = open_lip_sync(load_bundle(built_in_folder() / "lip-sync"), provider="cpu", threads=1)
    face = cv2.resize(cv2.imread(str(built_in_folder() / "ada" / "preview.jpg")), (SIZE, SIZE))
    try:
        silent = network.mouth(face, np.full((80, 16), -4, np.float32))
        spoken = np.full((80, 16), -4, np.float32)
        spoken[4:40] = 2.0
        loud = network.mouth(face, spoken)
    finally:
        network.close()
    np.testing.assert_array_equal(silent[:TOP], face[:TOP])
    moved = np.abs(loud.astype(int) - silent).mean(2)
    assert moved[70:120, 35:93].mean() > 1.0
    assert moved[70:120, 35:93].mean() > 4 * moved[TOP:70, :20].mean()

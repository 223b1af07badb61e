"""The landmark filter: steady where nothing moves, close behind where something does."""

import numpy as np
import pytest

from realtime.tracking.smoothing import MAX_STEP_S, FaceFilter, OneEuro

RATE_HZ = 30.0
SIZE_PX = 300.0  # of a face in a 720p talking head
NOISE_PX = 0.6  # a coordinate: what the landmark network has on filmed faces


def head() -> np.ndarray:
    """(478, 3): an egg of points."""
    rng = np.random.default_rng(1)
    angles, radii = rng.uniform(0, 2 * np.pi, 478), np.sqrt(rng.uniform(0, 1, 478)) * SIZE_PX / 2
    flat = np.column_stack([np.cos(angles) * radii, np.sin(angles) * radii * 1.2])
    return np.column_stack([flat, rng.normal(0, 30, 478)])


def filtered(frames: np.ndarray, rate_hz: float = RATE_HZ, steadiness: float = 1.0) -> np.ndarray:
    steady, none = FaceFilter(), np.zeros(52, np.float32)
    return np.array([steady(f.astype(np.float32), none, 1 + i / rate_hz, steadiness)[0] for i, f in enumerate(frames)])


def moving(x_px: np.ndarray, y_px: np.ndarray, size: np.ndarray, noise_px: float = NOISE_PX) -> np.ndarray:
    """(n, 478, 3): the head at these places and sizes, with the network's noise."""
    rng = np.random.default_rng(2)
    frames = head()[None] * size[:, None, None]
    frames = frames + np.stack([640 + x_px, 360 + y_px, 0 * x_px], axis=-1)[:, None]
    return frames + rng.normal(0, noise_px, frames.shape)


def lag_frames(steady: np.ndarray, truth: np.ndarray) -> float:
    """By how many frames a delayed truth fits best, from the cross-correlation's peak (parabola)."""
    a, b = steady - steady.mean(), truth - truth.mean()
    shifts = range(-2, 7)
    middle = slice(10, len(a) - 10)
    scores = [float(np.corrcoef(a[middle], np.roll(b, s)[middle])[0, 1]) for s in shifts]
    best = int(np.argmax(scores))
    left, peak, right = scores[best - 1 : best + 2]
    return shifts[best] + 0.5 * (left - right) / (left - 2 * peak + right)


@pytest.mark.parametrize("swing_px", [20.0, 60.0, 150.0])
@pytest.mark.parametrize("swing_hz", [0.4, 0.8, 1.5])
def test_a_moving_head_is_followed_within_a_frame(swing_px: float, swing_hz: float) -> None:
    times = np.arange(150) / RATE_HZ
    x = swing_px * np.sin(2 * np.pi * swing_hz * times)
    frames = moving(x, 0.3 * x, 1 + 0.0 * x)
    steady = filtered(frames)[:, :, 0].mean(axis=1)
    assert lag_frames(steady, x) <= 1.0


def test_a_nodding_head_and_one_that_comes_closer_are_followed() -> None:
    times = np.arange(150) / RATE_HZ
    size = 1 + 0.25 * np.sin(2 * np.pi * 0.5 * times)
    steady = filtered(moving(0 * times, 0 * times, size))
    sizes = np.ptp(steady[:, :, 1], axis=1)
    assert lag_frames(sizes, size) <= 1.0


def test_a_talking_mouth_is_followed_within_a_frame() -> None:
    times = np.arange(150) / RATE_HZ
    opening = 12 * (1 + np.sin(2 * np.pi * 3 * times))  # syllables
    frames = moving(0 * times, 0 * times, 1 + 0 * times)
    frames[:, :40, 1] += opening[:, None]
    steady = filtered(frames)[:, :40, 1].mean(axis=1)
    assert lag_frames(steady, opening) <= 1.0


def test_a_still_head_is_steady() -> None:
    frames = moving(np.zeros(120), np.zeros(120), np.ones(120), noise_px=0.2)
    raw, steady = frames[30:, :, :2].std(axis=0).mean(), filtered(frames)[30:, :, :2].std(axis=0).mean()
    assert steady < 0.5 * raw


def test_the_rate_makes_little_difference() -> None:
    """A camera at 60 Hz gives the same delay in seconds, not in frames."""
    lags = []
    for rate_hz in (30.0, 60.0):
        times = np.arange(int(5 * rate_hz)) / rate_hz
        x = 60 * np.sin(2 * np.pi * 0.8 * times)
        steady = filtered(moving(x, x, 1 + 0 * x), rate_hz)
        lags.append(lag_frames(steady[:, :, 0].mean(axis=1), x) / rate_hz)
    assert lags[1] <= lags[0] + 0.005


def test_steadiness_goes_from_off_to_more() -> None:
    frames = moving(np.zeros(90), np.zeros(90), np.ones(90))
    spread = [filtered(frames, steadiness=s)[20:, :, :2].std(axis=0).mean() for s in (0.0, 0.5, 1.0, 4.0)]
    assert spread == sorted(spread, reverse=True)
    np.testing.assert_allclose(filtered(frames, steadiness=0.0), frames, atol=1e-3)


def test_the_first_face_and_one_after_a_gap_are_not_touched() -> None:
    steady, none = FaceFilter(), np.zeros(52, np.float32)
    here, there = head().astype(np.float32), (head() + 200).astype(np.float32)
    np.testing.assert_allclose(steady(here, none, 5.0)[0], here, atol=1e-3)
    assert not np.allclose(steady(there, none, 5.03)[0], there, atol=0.5)
    for later_s in (5.04 + MAX_STEP_S * 2, 1.0, 1.0):  # a gap, a looped file, time standing still
        np.testing.assert_allclose(steady(there, none, later_s)[0], there, atol=1e-3)


def test_blinks_come_through() -> None:
    steady, face = FaceFilter(), head().astype(np.float32)
    lids = np.array([0, 0, 0, 0.5, 1, 1, 0.5, 0, 0, 0], np.float32)
    out = []
    for i, lid in enumerate(lids):
        shapes = np.zeros(52, np.float32)
        shapes[9] = lid
        out.append(steady(face, shapes, 1 + i / RATE_HZ)[1][9])
    assert max(out) > 0.9
    assert out[-1] < 0.15
    assert all(0 <= value <= 1 for value in out)


def test_a_face_of_one_point_does_not_break_it() -> None:
    steady = FaceFilter()
    flat = np.full((478, 3), 7.0, np.float32)
    for i in range(3):
        out, _ = steady(flat, np.zeros(52, np.float32), 1 + i / RATE_HZ)
        assert np.isfinite(out).all()


def test_one_euro_converges() -> None:
    low_pass = OneEuro(1.0, 0.0, 1.0)
    values = [float(low_pass(np.array([[float(i > 0)]]), 1 / RATE_HZ)[0, 0]) for i in range(100)]
    assert values == sorted(values)
    # 1 Hz: 63 % after 1/(2π) s
    assert values[int(RATE_HZ / (2 * np.pi)) + 1] == pytest.approx(0.63, abs=0.08)

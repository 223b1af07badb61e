"""The body tracker against MediaPipe's own pose solution and against the truth of a rendered body."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from heads import DATA, pictures

from realtime.frame import Frame
from realtime.models.library import built_in_folder
from realtime.tracking.body import AT, LANDMARK_SIZE, BodyTracker, refine, region_between

FOLDER = built_in_folder() / "figure"
RATE_HZ = 30.0
JOINTS = [
    AT[f"{side}_{joint}"]
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]
WHOLE = ("wave", "jacks", "cross", "squat", "turn")


@pytest.fixture(scope="module")
def tracker() -> Iterator[BodyTracker]:
    opened = BodyTracker(FOLDER, provider="cpu", steadiness=0)
    yield opened
    opened.close()


def frame(pixels: np.ndarray, number: int) -> Frame:
    return Frame(pixels, number, 0, number / RATE_HZ)


def test_a_rendered_body_is_read_as_mediapipe_reads_it_and_as_near_to_the_truth(tracker: BodyTracker) -> None:
    """`rendered_body.mp4`: six acts of eight frames, and what mediapipe 0.10.14 (full, unsmoothed) said of them."""
    clip = pictures(DATA / "rendered_body.mp4")
    with np.load(DATA / "rendered_body.npz") as stored:
        act, truth, theirs, world = (stored[name] for name in ("act", "truth", "landmarks", "world"))
    ours, metres = np.full((2, len(clip), 33, 3), np.nan)
    for i, pixels in enumerate(clip):
        # Back to the start of time at a cut: the tracker begins anew, as the other did.
        bodies = tracker(frame(pixels, i - int(np.flatnonzero(act == act[i])[0])))
        assert len(bodies) == 1
        ours[i], metres[i] = bodies[0].landmarks, bodies[0].world
        assert 0 <= bodies[0].seen.min() <= bodies[0].seen.max() <= 1
    inside = ((truth > 0) & (truth < (1280, 720))).all(axis=2)
    apart = np.linalg.norm(ours[:, JOINTS, :2] - theirs[:, JOINTS, :2], axis=2)
    off, their_off = (np.linalg.norm(a[:, JOINTS, :2] - truth, axis=2) for a in (ours, theirs))
    whole = np.isin(act, WHOLE)[:, None] & inside
    desk = (act == "desk")[:, None] & inside
    assert np.median(apart[whole]) < 2.0
    assert np.median(apart[desk]) < 4.0
    for some in (whole, desk):
        assert np.median(off[some]) < np.median(their_off[some]) * 1.03
    assert np.abs(metres - world)[:, JOINTS].mean() < 0.012


def test_an_empty_picture_has_nobody_and_the_detector_rests_meanwhile(
    tracker: BodyTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    detect = tracker._networks.detect
    monkeypatch.setattr(tracker._networks, "detect", lambda pixels: asked.append(1) or detect(pixels))
    empty = np.full((240, 320, 3), 90, np.uint8)
    assert [tracker(frame(empty, -1000 + i)) for i in range(7)] == [[]] * 7
    assert len(asked) == 3


def test_a_region_reaches_around_the_circle_and_turns_with_the_body() -> None:
    upright = region_between(np.array([100.0, 200.0]), np.array([100.0, 120.0]))
    assert (upright.x, upright.y, upright.width, upright.turn) == pytest.approx((100, 200, 200, 0))
    lying = region_between(np.array([100.0, 200.0]), np.array([180.0, 200.0]))
    assert lying.turn == pytest.approx(np.pi / 2)


def test_landmarks_move_to_a_sure_heat_maps_middle_and_stay_under_a_faint_one() -> None:
    landmarks = np.full((39, 5), 100.0, np.float32)
    landmarks[2, :2] = -500.0  # far outside: there is no map to ask
    heat = np.full((39, 64, 64), -9.0, np.float32)
    heat[0, 26, 24] = 9.0  # sure, one cell to the left and one down
    heat[1, 26, 24] = -3.0
    refine(landmarks, heat)
    cell = LANDMARK_SIZE / 64
    assert landmarks[0, :2] == pytest.approx((24 * cell, 26 * cell), abs=0.1)
    assert landmarks[1, :2] == pytest.approx((100, 100))
    assert landmarks[2, :2] == pytest.approx((-500, -500))


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("tflite", reason="the recipe needs the extra `train`")
    import zipfile

    from trained_models.recipes.body import NETS, convert

    wheel = tmp_path / "mediapipe.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr(NETS["detector.onnx"][0], b"something else")
    with pytest.raises(ValueError, match=r"is not the file of mediapipe 0\.10\.14"):
        convert(wheel, tmp_path / "out")

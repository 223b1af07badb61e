"""The tracker on pictures: agreement with MediaPipe, steadiness, bad input."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from heads import RATE_HZ, RECORDED, MediapipeFilter, ask_mediapipe, jitter_px, pictures, time_ms, turn_deg

from realtime.errors import ConfigError, ModelError
from realtime.frame import Frame
from realtime.inference.session import report
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

FILMED = ("man_720p.mp4", "woman_720p.mp4")
FILMED_HZ = 29.97


@pytest.fixture(scope="module")
def head() -> list[np.ndarray]:
    return pictures()


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    opened = Tracker(face_folder(), provider="cpu")
    yield opened
    opened.close()


def frame(pixels: np.ndarray, number: int, rate_hz: float = RATE_HZ) -> Frame:
    return Frame(np.ascontiguousarray(pixels), number, int(number * 1e9 / rate_hz))


def followed(tracker: Tracker, frames: list[np.ndarray], rate_hz: float = RATE_HZ) -> list[Face]:
    """The one face of every frame."""
    found = [tracker(frame(pixels, i, rate_hz)) for i, pixels in enumerate(frames)]
    assert [len(f) for f in found] == [1] * len(frames)
    return [f[0] for f in found]


def apart_px(ours: list[Face], theirs: np.ndarray) -> np.ndarray:
    """(n, 478) distances of landmarks in the picture."""
    mine = np.array([f.landmarks[:, :2] for f in ours])
    return np.asarray(np.linalg.norm(mine - theirs[..., :2], axis=-1))


def test_stills_agree_with_mediapipe(tracker: Tracker, head: list[np.ndarray]) -> None:
    with np.load(RECORDED) as recorded:
        landmarks, shapes, poses = (recorded[f"still_{n}"] for n in ("landmarks", "blendshapes", "poses"))
    ours = [tracker.find(pixels)[0] for pixels in head[::3]]
    distances = apart_px(ours, landmarks)
    assert np.percentile(distances, 95) < 0.5
    assert distances.max() < 2.5
    assert np.abs([f.blendshapes for f in ours] - shapes).max() < 0.1
    assert max(turn_deg(f.pose, p) for f, p in zip(ours, poses, strict=True)) < 1.0
    assert max(np.abs(f.pose[:3, 3] - p[:3, 3]).max() for f, p in zip(ours, poses, strict=True)) < 0.5


def test_tracking_is_mediapipes_but_for_the_filter(head: list[np.ndarray]) -> None:
    """With MediaPipe's filter in place of ours the tracked landmarks are the same."""
    with np.load(RECORDED) as recorded:
        theirs = recorded["tracked_landmarks"]
    tracker, their_filter = Tracker(face_folder(), provider="cpu", steadiness=0), MediapipeFilter()
    raw = [f.landmarks for f in followed(tracker, head)]
    ours = [their_filter(points, time_ms(i) / 1000)[:, :2] for i, points in enumerate(raw)]
    tracker.close()
    distances = np.linalg.norm(np.array(ours) - theirs, axis=-1)
    assert np.percentile(distances, 95) < 0.5
    assert distances.max() < 2.5


def test_it_is_steadier_than_mediapipe_and_as_close(tracker: Tracker, head: list[np.ndarray]) -> None:
    with np.load(RECORDED) as recorded:
        theirs = recorded["tracked_landmarks"]
    ours = followed(tracker, head)
    assert jitter_px(np.array([f.landmarks for f in ours])) < jitter_px(theirs)
    assert np.percentile(apart_px(ours, theirs), 95) < 2.5


@pytest.mark.slow
@pytest.mark.parametrize("clip", FILMED)
def test_filmed_people_are_steady(shared: Path, tracker: Tracker, clip: str) -> None:
    ours = followed(tracker, pictures(shared / "clips" / clip), FILMED_HZ)
    assert jitter_px(np.array([f.landmarks for f in ours])) <= 0.52  # MediaPipe's own: 0.48 and 0.61
    assert {f.track for f in ours} == {0}


@pytest.mark.parametrize("clip", FILMED)
def test_filmed_people_agree_with_mediapipe_live(shared: Path, tracker: Tracker, clip: str) -> None:
    pytest.importorskip("mediapipe", reason='needs the package: pip install "masquerade[mediapipe]"')
    frames = pictures(shared / "clips" / clip, most=60)
    still = ask_mediapipe(frames, "IMAGE")
    stills = [tracker.find(pixels)[0] for pixels in frames]
    assert np.percentile(apart_px(stills, still["landmarks"]), 95) < 0.15
    assert np.abs([f.blendshapes for f in stills] - still["blendshapes"]).max() < 0.02
    assert max(turn_deg(f.pose, p) for f, p in zip(stills, still["poses"], strict=True)) < 0.5
    video = ask_mediapipe(frames, "VIDEO", rate_hz=FILMED_HZ)
    assert np.percentile(apart_px(followed(tracker, frames, FILMED_HZ), video["landmarks"]), 95) <= 2.5


@pytest.mark.parametrize("found", ["0.10.35", "1.2.3"])
def test_a_mediapipe_that_reports_to_its_makers_is_refused(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    from realtime.tracking import mediapipe_detector

    monkeypatch.setattr(mediapipe_detector, "version", lambda package: found)
    with pytest.raises(ModelError, match=rf"{found}.*pip install"):
        mediapipe_detector.MediapipeDetector(face_folder())


def test_the_mediapipe_detector_is_a_finder_too(head: list[np.ndarray]) -> None:
    pytest.importorskip("mediapipe", reason='needs the package: pip install "masquerade[mediapipe]"')
    from realtime.tracking.mediapipe_detector import MediapipeDetector

    theirs, ours = MediapipeDetector(face_folder(), steadiness=0), Tracker(face_folder(), provider="cpu", steadiness=0)
    for i, pixels in enumerate(head[:6]):
        (a,), (b,) = theirs(frame(pixels, i)), ours(frame(pixels, i))
        assert np.percentile(apart_px([a], b.landmarks[None]), 95) < 6  # it looks from the detector each time
        assert a.track == b.track == 0
    assert apart_px(theirs.find(head[0]), ours.find(head[0])[0].landmarks[None]).max() < 2.5
    assert report(theirs.sessions).spent_ns > 0
    assert "mediapipe" in report(theirs.sessions).provider
    theirs.close()
    theirs.close()
    with pytest.raises(ModelError, match="closed"):
        theirs(frame(head[0], 7))


def test_a_face_is_what_it_says(tracker: Tracker, head: list[np.ndarray]) -> None:
    (face,) = tracker(frame(head[0], 0))
    assert (face.landmarks.shape, face.landmarks.dtype) == ((478, 3), np.float32)
    assert (face.blendshapes.shape, face.blendshapes.dtype) == ((52,), np.float32)
    assert (face.pose.shape, face.pose.dtype) == ((4, 4), np.float32)
    assert 0.5 <= face.score <= 1
    assert face.track == 0
    x0, y0, x1, y1 = face.box
    assert 0 < x0 < x1 < head[0].shape[1]
    assert 0 < y0 < y1 < head[0].shape[0]
    assert report(tracker.sessions).spent_ns > 0
    assert report(tracker.sessions).provider == "CPU"


def test_nobody_is_an_empty_list(tracker: Tracker, head: list[np.ndarray]) -> None:
    grey = np.full_like(head[0], 127)
    assert tracker(frame(grey, 0)) == []
    assert tracker.find(grey) == []
    assert len(tracker(frame(head[0], 1))) == 1
    assert tracker(frame(grey, 2)) == []
    (back,) = tracker(frame(head[1], 3))
    assert back.track == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (31, 17), (4320, 7680)])
def test_any_size_of_picture_is_taken(tracker: Tracker, size: tuple[int, int]) -> None:
    assert tracker(frame(np.zeros((*size, 3), np.uint8), 0)) == []


def test_the_size_may_change_while_it_runs(tracker: Tracker, head: list[np.ndarray]) -> None:
    for i, scale in enumerate((1.0, 0.5, 1.5)):
        pixels = np.ascontiguousarray(cv2.resize(head[i], None, fx=scale, fy=scale))
        (face,) = tracker(frame(pixels, i))
        x0, _, x1, _ = face.box
        assert 0 < x0 < x1 < pixels.shape[1]


def test_a_face_half_out_of_the_picture_does_no_harm(tracker: Tracker, head: list[np.ndarray]) -> None:
    width = head[0].shape[1]
    for i, x in enumerate(range(0, width, 60)):
        shifted = np.zeros_like(head[0])
        shifted[:, x:] = head[0][:, : width - x]
        for face in tracker(frame(shifted, i)):
            assert np.isfinite(face.landmarks).all()
            assert np.isfinite(face.pose).all()


def test_several_are_found_in_a_still(head: list[np.ndarray]) -> None:
    half = cv2.resize(head[0], None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    width = half.shape[1]
    cut = half[:, width // 4 : -width // 4]
    both = np.ascontiguousarray(np.hstack([cut, cv2.flip(cut, 1)]))
    tracker = Tracker(face_folder(), provider="cpu", faces=5)
    found = tracker.find(both)
    assert [f.track for f in found] == [0, 1]
    left, right = sorted(f.box[0] for f in found)
    assert left < both.shape[1] / 2 < right
    tracker.close()


def test_steadiness_can_be_changed_while_it_runs(tracker: Tracker, head: list[np.ndarray]) -> None:
    raw = Tracker(face_folder(), provider="cpu", steadiness=0)
    for i, pixels in enumerate(head[:6]):
        tracker.steadiness = 0.0 if i >= 3 else 1.0
        (steady,), (plain,) = tracker(frame(pixels, i)), raw(frame(pixels, i))
        same = np.array_equal(steady.landmarks, plain.landmarks)
        assert same == (i >= 3)
    raw.close()


def test_a_looped_clip_keeps_the_person(tracker: Tracker, head: list[np.ndarray]) -> None:
    for number in range(12):
        pixels, media_s = head[number % 6 * 3], number % 6 * 3 / RATE_HZ
        (face,) = tracker(Frame(pixels, number, number, media_s))
        assert face.track == 0


def test_after_close_it_says_so(tracker: Tracker, head: list[np.ndarray]) -> None:
    tracker.close()
    tracker.close()
    with pytest.raises(ModelError, match="closed"):
        tracker(frame(head[0], 0))


def test_fewer_than_one_face_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 faces"):
        Tracker(face_folder(), faces=0)

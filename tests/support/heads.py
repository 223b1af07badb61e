"""The rendered head that the face tests look at, and what MediaPipe 1.2.2 says of it.

`python tests/support/heads.py` (where `mediapipe` is installed) records `data/rendered_head.npz` anew.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

DATA = Path(__file__).resolve().parents[1] / "data"
CLIP = DATA / "rendered_head.mp4"
RECORDED = DATA / "rendered_head.npz"
TASK = DATA.parent.parent / "trained_models" / "face" / "face_landmarker.task"
RATE_HZ = 25.0


def pose_of(pitch: float, yaw: float, roll: float, scale: float = 1.0) -> np.ndarray:
    """A head's (4, 4) pose from its angles in radians, by the plain rotation matrices."""
    (cp, cy, cr), (sp, sy, sr) = np.cos([pitch, yaw, roll]), np.sin([pitch, yaw, roll])
    rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = scale * rz @ ry @ rx
    return pose


def pictures(clip: Path = CLIP, most: int = 1000) -> list[np.ndarray]:
    """The frames of a clip, (H, W, 3) uint8 BGR."""
    reader = cv2.VideoCapture(str(clip))
    found: list[np.ndarray] = []
    while len(found) < most:
        there, pixels = reader.read()
        if not there:
            break
        found.append(np.ascontiguousarray(pixels))
    reader.release()
    return found


def ask_mediapipe(frames: list[np.ndarray], mode: str, faces: int = 1, rate_hz: float = RATE_HZ) -> dict[str, Any]:
    """MediaPipe's landmarks (n, 478, 3) in pixels, blendshapes (n, 52), matrices (n, 4, 4) of the first face."""
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(TASK)),
        running_mode=vision.RunningMode[mode],
        num_faces=faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    rows: dict[str, list[Any]] = {"landmarks": [], "blendshapes": [], "poses": []}
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        for i, frame in enumerate(frames):
            height, width = frame.shape[:2]
            rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            image = mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb)
            video = mode == "VIDEO"
            result = landmarker.detect_for_video(image, time_ms(i, rate_hz)) if video else landmarker.detect(image)
            rows["landmarks"].append([(p.x * width, p.y * height, p.z * width) for p in result.face_landmarks[0]])
            rows["blendshapes"].append([c.score for c in result.face_blendshapes[0]])
            rows["poses"].append(result.facial_transformation_matrixes[0])
    return {name: np.array(values, np.float32) for name, values in rows.items()}


def time_ms(number: int, rate_hz: float = RATE_HZ) -> int:
    """When frame `number` was, as MediaPipe is told."""
    return int(number * 1000 / rate_hz)


class MediapipeFilter:
    """MediaPipe's own landmark filter: One-Euro a coordinate, cutoff 0.05 Hz + 80 Hz × face sizes a second."""

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __call__(self, landmarks: np.ndarray, now_s: float) -> np.ndarray:
        landmarks = landmarks.astype(np.float64)
        if self.value is None:
            self.value, self.raw, self.speed = landmarks, landmarks, np.zeros_like(landmarks)
        else:
            step_s = now_s - self.now_s
            size = np.ptp(landmarks[:, :2], axis=0).mean()
            speed = (landmarks - self.raw) / step_s / size
            self.speed = self.speed + _share(1.0, step_s) * (speed - self.speed)
            self.value = self.value + _share(0.05 + 80 * np.abs(self.speed), step_s) * (landmarks - self.value)
            self.raw = landmarks
        self.now_s = now_s
        return self.value


def _share(cutoff_hz: Any, step_s: float) -> Any:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * step_s))


def turn_deg(a: np.ndarray, b: np.ndarray) -> float:
    """The angle between two poses."""
    a, b = (m[:3, :3] / np.linalg.norm(m[:3, 0]) for m in (a.astype(np.float64), b.astype(np.float64)))
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))


def jitter_px(landmarks: np.ndarray) -> float:
    """Root mean square of the second difference of x and y over (n, points, 2 or 3)."""
    return float(np.sqrt(np.mean(np.diff(landmarks[..., :2].astype(np.float64), 2, axis=0) ** 2)))


if __name__ == "__main__":
    heads = pictures()
    still, tracked = ask_mediapipe(heads[::3], "IMAGE"), ask_mediapipe(heads, "VIDEO")
    np.savez_compressed(
        RECORDED, **{f"still_{k}": v for k, v in still.items()}, tracked_landmarks=tracked["landmarks"][..., :2]
    )

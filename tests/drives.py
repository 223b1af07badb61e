"""Small drives for tests: a clip's file with a script, and parts that play in it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from realtime.frame import Pixels


def joined(pictures: Sequence[Pixels], kind: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    files = [cv2.imencode(kind, picture)[1].ravel() for picture in pictures]
    return np.concatenate(files), np.cumsum([0, *map(len, files)])


def a_drive(
    path: Path,
    pictures: Sequence[Pixels],
    *,
    yaw_deg: Sequence[float] | None = None,
    fps: float = 25.0,
) -> Path:
    """A clip in the form of `film_drive`; `yaw_deg`: what the actor was asked, straight ahead if not given."""
    count = len(pictures)
    rot = np.zeros((count, 3), np.float32)
    rot[:, 1] = np.zeros(count) if yaw_deg is None else yaw_deg
    data, offsets = joined(pictures, ".png")
    still = np.zeros(count, np.float32)
    np.savez(
        path,
        frame_jpg=data,
        frame_jpg_offsets=offsets,
        fps=np.float64(fps),
        rot=rot,
        near=still,
        aside=still,
        person_seed=7,
    )
    return path


def rendered_head(count: int) -> list[Pixels]:
    """The first frames of the rendered head, 960 x 540."""
    video = cv2.VideoCapture(str(Path(__file__).resolve().parent / "data" / "rendered_head.mp4"))
    found = [video.read()[1] for _ in range(count)]
    video.release()
    return [np.asarray(picture, np.uint8) for picture in found]

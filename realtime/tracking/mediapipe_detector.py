"""Faces from Google's `mediapipe` package: the same networks in other code (extra `mediapipe`).

It needs more time and memory than `Tracker` and follows people by the same rules.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from realtime.errors import ModelError, pip_install
from realtime.frame import Frame, Pixels
from realtime.home import user_cache
from realtime.inference.session import Array, Session, TensorSpec
from realtime.tracking.face import Face
from realtime.tracking.person_selection import SAME_FACE, Observation, Track, overlap
from realtime.tracking.tracker import FaceTracker

LAST_QUIET = (0, 10, 33)
"""Later versions, 0.10.35 to 1.2.3 at least, look up play.googleapis.com and report to it, and nothing turns it off."""
STEP_MS = 33  # MediaPipe only needs times that rise; its own filter, which would use them, is off


class MediapipeDetector(FaceTracker):
    """A `FaceTracker` on the `mediapipe` package. Raises ModelError where it is missing."""

    def __init__(self, folder: Path, *, faces: int = 1, steadiness: float = 1.0) -> None:
        super().__init__(folder, faces, steadiness)
        # Two at least: with one, MediaPipe filters the landmarks in its own way.
        self._network = _Landmarker(folder / "face_landmarker.task", faces + 1)
        self.sessions = (self._network,)
        self._seen: list[Observation] = []

    def __call__(self, frame: Frame) -> list[Face]:
        self._seen = self._observe_all(frame.pixels)
        return super().__call__(frame)

    def find(self, pixels: Pixels) -> list[Face]:
        self._seen = self._observe_all(pixels)
        return super().find(pixels)

    def _follow(self, pixels: Pixels, people: list[Track]) -> list[Observation | None]:
        return [self._nearest(person) for person in people]

    def _search(self, pixels: Pixels) -> list[Observation]:
        return self._seen

    def _nearest(self, person: Track) -> Observation | None:
        best = max(self._seen, key=lambda seen: overlap(person.last, seen), default=None)
        return best if best is not None and overlap(person.last, best) > SAME_FACE else None

    def _observe_all(self, pixels: Pixels) -> list[Observation]:
        height, width = pixels.shape[:2]
        out = self._network.run({"image": cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)})
        found = []
        for points, scores, pose in zip(out["landmarks"], out["blendshapes"], out["poses"], strict=True):
            landmarks = (points * (width, height, width)).astype(np.float32)
            seen = self._observe(landmarks, scores.astype(np.float32), 1.0, (width, height))
            found.append(replace(seen, pose=pose.astype(np.float32)))
        return found


class _Landmarker(Session):
    """MediaPipe's face landmarker as a session: `image` (H, W, 3) uint8 RGB in; `landmarks` (n, 478, 3) in 0..1,
    `blendshapes` (n, 52) and `poses` (n, 4, 4) out."""

    inputs = MappingProxyType({"image": TensorSpec((None, None, 3), np.dtype(np.uint8))})

    def __init__(self, task: Path, faces: int) -> None:
        super().__init__("the mediapipe detector")
        self._mediapipe, vision, options = _import_mediapipe()
        self.ran_on = f"mediapipe {self._mediapipe.__version__} (CPU)"
        self._time_ms = 0
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=options(model_asset_path=str(task)),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=faces,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )

    @property
    def _running(self) -> bool:
        return self._landmarker is not None

    def _run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=feed["image"])
        self._time_ms += STEP_MS
        result = self._landmarker.detect_for_video(image, self._time_ms)
        return {
            "landmarks": np.array([[(p.x, p.y, p.z) for p in face] for face in result.face_landmarks]),
            "blendshapes": np.array([[c.score for c in face] for face in result.face_blendshapes]),
            "poses": np.array(result.facial_transformation_matrixes),
        }

    def close(self) -> None:
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None


def _import_mediapipe() -> tuple[Any, Any, Any]:
    """The package, its vision tasks and its base options. Raises ModelError, for one that reports to its makers too."""
    try:
        found = version("mediapipe")
        if tuple(int(part) for part in found.split(".")[:3]) > LAST_QUIET:
            raise ModelError(f"mediapipe {found} tells Google that it is used: {pip_install('mediapipe')}")
        os.environ.setdefault("MPLCONFIGDIR", str(user_cache() / "matplotlib"))  # which it imports, and which writes
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise ModelError(f"mediapipe is not installed: {pip_install('mediapipe')}") from error
    except OSError as error:
        raise ModelError(f"mediapipe does not load ({error}): sudo apt install libegl1 libgles2") from error
    return mediapipe, vision, BaseOptions

"""Faces from Google's `mediapipe` package: the same networks in other code (extra `mediapipe`).

It needs more time and memory than `detect.Tracker` and follows people by the same rules.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.clock import now_ns
from realtime.errors import ModelError
from realtime.frame import Frame, Pixels
from realtime.models.library import built_in_folder, load_bundle
from realtime.tracking.face import Face
from realtime.tracking.person_selection import SAME_FACE, Observation, Track, overlap
from realtime.tracking.tracker import FaceTracker

STEP_MS = 33  # MediaPipe only needs times that rise; its own filter, which would use them, is off


class MediapipeDetector(FaceTracker):
    """A `FaceTracker` on the `mediapipe` package. Raises ModelError where it is missing."""

    def __init__(self, folder: Path | None = None, *, faces: int = 1, steadiness: float = 1.0) -> None:
        bundle = load_bundle(folder or built_in_folder() / "face")
        super().__init__(faces, steadiness, bundle)
        self._mediapipe, vision, options = _import_mediapipe()
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=options(model_asset_path=str(bundle.path("face_landmarker.task"))),
                running_mode=vision.RunningMode.VIDEO,
                # Two at least: with one, MediaPipe filters the landmarks in its own way.
                num_faces=faces + 1,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )
        self._time_ms = 0
        self._spent_ns = 0
        self._seen: list[Observation] = []

    @property
    def ran_on(self) -> str:
        return f"mediapipe {self._mediapipe.__version__} (CPU)"

    @property
    def spent_ns(self) -> int:
        return self._spent_ns

    def close(self) -> None:
        if self._landmarker is not None:
            self._landmarker.close()
            self._landmarker = None

    def __call__(self, frame: Frame) -> list[Face]:
        self._seen = self._run(frame.pixels)
        return super().__call__(frame)

    def find(self, pixels: Pixels) -> list[Face]:
        self._seen = self._run(pixels)
        return super().find(pixels)

    def _in_places(self, pixels: Pixels, people: list[Track]) -> list[Observation | None]:
        return [self._nearest(person) for person in people]

    def _search(self, pixels: Pixels) -> list[Observation]:
        return self._seen

    def _nearest(self, person: Track) -> Observation | None:
        best = max(self._seen, key=lambda seen: overlap(person.last, seen), default=None)
        return best if best is not None and overlap(person.last, best) > SAME_FACE else None

    def _run(self, pixels: Pixels) -> list[Observation]:
        if self._landmarker is None:
            raise ModelError("the mediapipe detector is closed: open it again")
        height, width = pixels.shape[:2]
        rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=rgb)
        started = now_ns()
        self._time_ms += STEP_MS
        result = self._landmarker.detect_for_video(image, self._time_ms)
        self._spent_ns += now_ns() - started
        found = []
        rows = zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        )
        for points, scores, matrix in rows:
            landmarks = np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32)
            blendshapes = np.array([c.score for c in scores], np.float32)
            seen = self._seen_of(landmarks, blendshapes, 1.0, (width, height))
            found.append(replace(seen, pose=np.asarray(matrix, np.float32)))
        return found


def _import_mediapipe() -> tuple[Any, Any, Any]:
    """The package, its vision tasks and its base options."""
    try:
        import mediapipe
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise ModelError('mediapipe is not installed: pip install "masquerade[mediapipe]"') from error
    except OSError as error:
        raise ModelError(f"mediapipe does not load ({error}): sudo apt install libegl1 libgles2") from error
    return mediapipe, vision, BaseOptions

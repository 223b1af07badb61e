"""Who reads faces for the quality figures: our tracker or Google's package, and dlib as the second reader.

The second reader shares neither code nor weights with what drives the swap. Its models come inside the package
`face-recognition-models` (extra `quality`): dlib's own, given to the public domain (CC0) by their author. Used are
dlib's detector (a histogram of gradients; Dalal and Triggs, 2005), the five-point predictor (Kazemi and Sullivan, 2014)
and the 128-number embedding. The 68-point predictor in the same package is not touched: it was trained on pictures for
research only.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from benchmarks.metrics import Reals
from realtime.config import RunConfig
from realtime.errors import ConfigError, ModelError, pip_install
from realtime.frame import Frame, Pixels
from realtime.pipeline.parts import open_tracker
from realtime.tracking.face import Face

ReaderName = Literal["own", "mediapipe"]
Box = tuple[float, float, float, float]

POINTS_SHA256 = "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888"
EMBEDDING_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""Of the two files in face-recognition-models 0.3.0: figures and gallery hold for these weights only."""

_FIND_PX, _READ_PX = 240, 480
_ROOM = 2.0
"""The square looked at, in sides of the box: dlib's detector wants a whole head."""

_SHIFTS = ((0, 0), (9, 0), (-9, 0), (0, 9), (0, -9))
"""The predictor gives whole pixels and leans on its start: five starts averaged give finer points."""


class TrackerReader:
    """Reads the one face of a video, frame by frame: a tracker as runs open it, but without its filter."""

    def __init__(self, name: ReaderName, config: RunConfig) -> None:
        self._finder: Any = open_tracker(config.model_copy(update={"detector": name, "faces": 1}))
        self._finder.steadiness = 0.0
        self._fresh = name == "own"
        self._seen = False
        self.close: Callable[[], None] = self._finder.close

    def read(self, frame: Frame) -> Face | None:
        """The face found; None if there is none, or it is lost."""
        face: Face | None = next(iter(self._finder(frame)), None)
        self._seen = face is not None
        return face

    def visible(self, frame: Frame) -> bool:
        """True if a face is found in this frame alone. The own tracker may have lost what its detector sees afresh."""
        return bool(self._finder.find(frame.pixels)) if self._fresh else self._seen


def choose_reader(name: str) -> ReaderName:
    """The reader meant: `auto` is mediapipe where it is installed, because it is not our code."""
    installed = find_spec("mediapipe") is not None
    if name == "mediapipe" and not installed:
        raise ConfigError(f"--reader mediapipe needs the package: {pip_install('mediapipe')}")
    return "mediapipe" if installed and name != "own" else "own"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face: `points` (5, 2) float64, pixels: outer, inner, outer, inner corner of the eyes, and below the nose.

    `crop` and `shape` are dlib's, for its embedding.
    """

    points: Reals
    crop: Pixels
    shape: Any


class SecondReader:
    """dlib's detector, five points and embedding. Raises ModelError where the files are not the known ones."""

    def __init__(self, folder: Path) -> None:
        import dlib

        points = _known(folder / "shape_predictor_5_face_landmarks.dat", POINTS_SHA256)
        network = _known(folder / "dlib_face_recognition_resnet_model_v1.dat", EMBEDDING_SHA256)
        self._rectangle: Any = dlib.rectangle
        self._detector: Any = dlib.get_frontal_face_detector()
        self._points: Any = dlib.shape_predictor(points)
        self._network: Any = dlib.face_recognition_model_v1(network)

    def find(self, pixels: Pixels, box: Box) -> Found | None:
        """The largest face within twice the box (x0, y0, x1, y1), or None."""
        x0, y0, x1, y1 = box
        side = _ROOM * max(x1 - x0, y1 - y0)
        if not side > 8:
            return None
        scale = _READ_PX / side
        left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
        matrix = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
        kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        seen = cv2.warpAffine(pixels, matrix, (_READ_PX, _READ_PX), flags=kernel)
        crop = np.ascontiguousarray(cv2.cvtColor(seen, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        small = cv2.resize(crop, (_FIND_PX, _FIND_PX), interpolation=cv2.INTER_AREA)
        best = max(self._detector(np.ascontiguousarray(small), 0), key=lambda r: r.area(), default=None)
        if best is None:
            return None
        k = _READ_PX // _FIND_PX
        starts = [
            self._rectangle(k * best.left() + x, k * best.top() + y, k * best.right() + x, k * best.bottom() + y)
            for x, y in _SHIFTS
        ]
        shapes = [self._points(crop, start) for start in starts]
        read = np.array([[(p.x, p.y) for p in shape.parts()] for shape in shapes], dtype=np.float64).mean(axis=0)
        return Found(read / scale + (left, top), crop, shapes[0])

    def embedding(self, found: Found) -> Reals:
        """(128,) float64; the same person lies within about 0.6 (dlib's own threshold)."""
        return np.array(self._network.compute_face_descriptor(found.crop, found.shape), dtype=np.float64)


def open_second_reader() -> SecondReader | str:
    """The second reader, or what to install for it."""
    spec = find_spec("face_recognition_models")
    if find_spec("dlib") is None or spec is None or not spec.submodule_search_locations:
        return f"needs dlib and its models: {pip_install('quality')}"
    return SecondReader(Path(next(iter(spec.submodule_search_locations))) / "models")


def middle_of(size: tuple[int, int]) -> Box:
    """The middle half of a picture of (width, height): the whole picture is within twice this box."""
    width, height = size
    return width / 4, height / 4, 3 * width / 4, 3 * height / 4


def reencoded(pixels: Pixels) -> Pixels:
    """The picture after JPEG at quality 75: the same face with other noise, for a reader's own error."""
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def _known(path: Path, sha256: str) -> str:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path} can't be read: reinstall face-recognition-models 0.3.0") from error
    if found != sha256:
        raise ModelError(f"{path.name} is not the file of face-recognition-models 0.3.0: install that version")
    return str(path)

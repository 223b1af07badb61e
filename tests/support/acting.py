"""Made-up acting: heads that turn, faces that act, readers that know what they did, and pictures that move."""

import cv2
import numpy as np
import numpy.typing as npt
from fakes import a_face

from benchmarks.metrics.acting import BLENDSHAPES
from realtime.frame import Frame, Pixels
from realtime.tracking.face import Face

SIZE = (320, 240)


def turned(degrees: float) -> npt.NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def texture(shift: int = 0) -> Pixels:
    rng = np.random.default_rng(3)
    wide = cv2.GaussianBlur(rng.integers(0, 255, (SIZE[1], SIZE[0] + 40, 3)).astype(np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    return np.ascontiguousarray(wide[:, shift : shift + SIZE[0]], dtype=np.uint8)


def acting_face(seq: int, gain: float = 1.0) -> Face:
    """A face that turns, drifts, and opens and shuts its jaw."""
    face = a_face((150 + seq, 120), 140)
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPES.index("jawOpen")] = gain * (0.5 + 0.5 * np.sin(seq))
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = turned(seq)
    return Face(face.landmarks, shapes, pose, 0.9)


class FakeReader:
    """Reads what the actor did, whatever the picture, until it is blind; counts what it was shown."""

    def __init__(self, blind_from: int = 10**9, gain: float = 1.0) -> None:
        self.blind_from, self.gain = blind_from, gain
        self.seen = 0

    def read(self, frame: Frame) -> Face | None:
        self.seen += 1
        return acting_face(frame.seq, self.gain) if self.visible(frame) else None

    def visible(self, frame: Frame) -> bool:
        return frame.seq < self.blind_from

    def close(self) -> None:
        pass

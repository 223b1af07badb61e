"""Who reads faces for the quality figures, and the two swappers that bound what can be read."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

import cv2
import numpy as np

from realtime.errors import ConfigError
from realtime.families.face_swap.effect import Swapper
from realtime.frame import Frame, Pixels
from realtime.imaging.blend import Swapped
from realtime.pipeline.engine import FaceFinder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

ReaderName = Literal["auto", "own", "mediapipe"]


class Reader(Protocol):
    """Reads the one face of a video, frame by frame, unfiltered; one reader a video."""

    def read(self, frame: Frame) -> Face | None: ...

    def visible(self, frame: Frame) -> bool:
        """True if a face is there, whatever the frames before held. Call it after `read`."""
        ...

    def close(self) -> None: ...


class OwnReader:
    """Our own tracker without its filter; whether a face is visible is asked of the detector, afresh."""

    def __init__(self, provider: str) -> None:
        self._tracker = Tracker(provider=provider, steadiness=0.0)

    def read(self, frame: Frame) -> Face | None:
        """The face followed; None if it is lost."""
        return next(iter(self._tracker(frame)), None)

    def visible(self, frame: Frame) -> bool:
        """True if the detector and the landmark network find a face in this frame alone."""
        return bool(self._tracker.find(frame.pixels))

    def close(self) -> None:
        """Close the networks."""
        self._tracker.close()


class MediapipeReader:
    """Google's own package: other code than what drives the swap, though the same weights."""

    def __init__(self) -> None:
        from realtime.tracking.mediapipe_detector import MediapipeDetector

        self._detector = MediapipeDetector(faces=1)
        self._detector.steadiness = 0.0
        self._seen = False

    def read(self, frame: Frame) -> Face | None:
        """The face found; None if there is none."""
        face = next(iter(self._detector(frame)), None)
        self._seen = face is not None
        return face

    def visible(self, frame: Frame) -> bool:
        """True if `read` found it in this frame."""
        return self._seen

    def close(self) -> None:
        """Close the detector."""
        self._detector.close()


def choose_reader(name: ReaderName) -> Literal["own", "mediapipe"]:
    """The reader meant: `auto` is mediapipe where it is installed, because it is not our code."""
    installed = find_spec("mediapipe") is not None
    if name == "mediapipe" and not installed:
        raise ConfigError('--reader mediapipe needs the package: pip install "masquerade[mediapipe]"')
    return "mediapipe" if installed and name != "own" else "own"


def open_reader(name: Literal["own", "mediapipe"], provider: str) -> Reader:
    """A new reader, for one video."""
    return MediapipeReader() if name == "mediapipe" else OwnReader(provider)


@dataclass(slots=True, eq=False)
class WatchedFinder:
    """A finder that remembers the faces of the last frame. Obeys `FaceFinder`."""

    inner: FaceFinder
    last: list[Face]

    @property
    def steadiness(self) -> float:
        """The inner finder's."""
        return self.inner.steadiness

    @steadiness.setter
    def steadiness(self, value: float) -> None:
        self.inner.steadiness = value

    @property
    def ran_on(self) -> str:
        """The inner finder's."""
        return self.inner.ran_on

    @property
    def spent_ns(self) -> int:
        """The inner finder's."""
        return self.inner.spent_ns

    def __call__(self, frame: Frame) -> list[Face]:
        """The inner finder's faces, remembered."""
        self.last = self.inner(frame)
        return self.last

    def close(self) -> None:
        """Close the inner finder."""
        self.inner.close()


class SameFaces:
    """Finds what another finder found in the same frame. Obeys `FaceFinder`; closes nothing."""

    spent_ns = 0

    def __init__(self, watched: WatchedFinder) -> None:
        self._watched = watched
        self.steadiness = 1.0

    @property
    def ran_on(self) -> str:
        """The other finder's."""
        return self._watched.ran_on

    def __call__(self, frame: Frame) -> list[Face]:
        """The other finder's faces of the last frame."""
        return self._watched.last

    def close(self) -> None:
        """Nothing: the other finder is not ours."""


class WatchedSwapper:
    """A swapper that remembers the last thing it made. Obeys `Swapper`."""

    def __init__(self, inner: Swapper) -> None:
        self._inner = inner
        self.last: Swapped | None = None
        self.face_type, self.size, self.coverage = inner.face_type, inner.size, inner.coverage
        self.title = inner.title

    @property
    def ran_on(self) -> str:
        """The inner swapper's."""
        return self._inner.ran_on

    @property
    def precision(self) -> str:
        """The inner swapper's."""
        return self._inner.precision

    @property
    def spent_ns(self) -> int:
        """The inner swapper's."""
        return self._inner.spent_ns

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        """The inner swapper's, remembered."""
        self.last = self._inner(crop, face)
        return self.last

    def close(self) -> None:
        """Close the inner swapper."""
        self._inner.close()


class OwnFace:
    """Gives the driver's own crop back, at the network's size, under the network's mask: the ceiling.

    What is lost with it is lost to the crop's resolution, the blend and the reader, and no network
    could have kept it. Obeys `Swapper`.
    """

    ran_on, precision, spent_ns = "nothing", "fp32", 0

    def __init__(self, like: WatchedSwapper) -> None:
        self._like = like
        self.face_type, self.size, self.coverage = like.face_type, like.size, like.coverage
        self.title = "the driver's own face"

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        """The crop, as large as what the network made of it, and the network's masks."""
        made = self._like.last
        if made is None:
            return Swapped(crop, np.ones(crop.shape[:2], np.float32))
        side = made.pixels.shape[0]
        own = crop if side == crop.shape[0] else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return Swapped(np.asarray(own, dtype=np.uint8), made.mask, made.driver_mask, made.visible)

    def close(self) -> None:
        """Nothing is open."""

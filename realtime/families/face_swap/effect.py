"""The `swap` family as a character: each face of the frame replaced in its own place."""

from collections.abc import Sequence
from typing import Protocol

from realtime.clock import StageTimer
from realtime.frame import Frame, Pixels
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped, Uncovered, blend
from realtime.imaging.masks import oval_mask
from realtime.settings import Settings
from realtime.tracking.face import Face


class Swapper(Protocol):
    """One identity ready to be worn. Called from the engine's thread only."""

    @property
    def face_type(self) -> str:
        """`half`, `mid-full`, `full`, `whole_face` or `head`: how `align` must cut the crop."""
        ...

    @property
    def size(self) -> int:
        """The crop's side in pixels."""
        ...

    @property
    def coverage(self) -> float | None:
        """The crop's side as a multiple of the mean face's, None for the face type's own."""
        ...

    @property
    def title(self) -> str:
        """The identity's name as people read it."""
        ...

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        ...

    @property
    def precision(self) -> str:
        """What the arithmetic really was: fp32, bf16, fp16 or int8."""
        ...

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the network since it was loaded."""
        ...

    def __call__(self, crop: Pixels, face: Face) -> Swapped: ...

    def close(self) -> None: ...


class FaceSwap:
    """A `Effect` made of one swap network. Owns `swapper` and closes it."""

    resting = False

    def __init__(self, swapper: Swapper) -> None:
        self._swapper = swapper

    @property
    def title(self) -> str:
        """The identity's name as people read it."""
        return self._swapper.title

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        return self._swapper.ran_on

    @property
    def precision(self) -> str:
        """What the arithmetic really was."""
        return self._swapper.precision

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the network since it was loaded."""
        return self._swapper.spent_ns

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Nothing: a crop is as large in every frame."""

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The frame with every face replaced, a new array; None without a face, or with one that is covered."""
        pixels: Pixels | None = None
        try:
            for face in faces:
                pixels = self._put_on(frame.pixels if pixels is None else pixels, face, settings, timer)
        except Uncovered:
            # A hand before the face, say: no picture to show, and nothing is broken.
            return None
        return pixels

    def _put_on(self, pixels: Pixels, face: Face, settings: Settings, timer: StageTimer) -> Pixels:
        swapper = self._swapper
        matrix = crop_from_frame(face.landmarks, swapper.face_type, swapper.size, coverage=swapper.coverage)
        crop = cut(pixels, matrix, swapper.size)
        region = oval_mask(face.landmarks, matrix, swapper.size)
        timer.lap("align")
        swapped = swapper(crop, face)
        timer.lap("swap")
        picture = blend(pixels, crop, swapped, matrix, settings, region)
        timer.lap("blend")
        return picture

    def close(self) -> None:
        """Give the network back. May be called twice."""
        self._swapper.close()

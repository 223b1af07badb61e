"""Clips to measure with: videos, and rendered clips with the truth beside them.

A rendered clip (`trained_models/recipes/people`) is an `.npz` without pickles: `frame_jpg` and `mask_png` are uint8,
files one after the other, picture i at `offsets[i]:offsets[i + 1]` of `frame_jpg_offsets` and `mask_png_offsets`
(int64, n + 1); `fps`. Masks are 8-bit grey, 255 = face (skin, eyes, mouth; nothing of what is before it). It is a
source itself; beside a video NAME.mp4 lies NAME.npz with the masks alone.
"""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.recording import Recording
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import letterbox

LARGEST_PX = 4096
"""A PNG may say it is larger than memory: what is wider or higher is not read."""


class JoinedPictures:
    """Pictures stored as files one after the other in an `.npz`. Raises ConfigError where the form is another."""

    def __init__(self, path: Path, name: str) -> None:
        self._what = f"{path}: {name}"
        try:
            with np.load(path, allow_pickle=False) as stored:
                if name not in stored.files or f"{name}_offsets" not in stored.files:
                    raise ConfigError(f"{path} holds no {name} with {name}_offsets: see benchmarks/clips.py")
                self._bytes: npt.NDArray[np.uint8] = stored[name]
                self._offsets = np.asarray(stored[f"{name}_offsets"], dtype=np.int64)
                self.fps = float(stored["fps"]) if "fps" in stored.files else 25.0
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise ConfigError(f"{path} is not a readable .npz file: {error}") from error
        steps = np.diff(self._offsets)
        fits = len(steps) > 0 and self._offsets[0] == 0 and self._offsets[-1] == len(self._bytes)
        if self._bytes.dtype != np.uint8 or self._bytes.ndim != 1 or not fits or (steps <= 0).any():
            raise ConfigError(f"{self._what} does not match its offsets: make the file again")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def read(self, number: int, flags: int) -> Pixels:
        """Picture `number`, decoded. Raises ConfigError where it can't be."""
        decoded = cv2.imdecode(self._bytes[self._offsets[number] : self._offsets[number + 1]], flags)
        if decoded is None or max(decoded.shape[:2]) > LARGEST_PX:
            raise ConfigError(f"{self._what} number {number} is no picture up to {LARGEST_PX} px: make the file again")
        return np.ascontiguousarray(decoded, dtype=np.uint8)


class RenderedClip:
    """A rendered clip's pictures, one after the other. Obeys `Source`."""

    live, state = False, "ok"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        self.name = path.name
        self._pictures = JoinedPictures(path, "frame_jpg")
        self.rate_hz = self._pictures.fps
        first = self._pictures.read(0, cv2.IMREAD_COLOR)
        self.size = size or (first.shape[1], first.shape[0])
        self._next = 0

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        if self._next >= len(self._pictures):
            return None
        number, self._next = self._next, self._next + 1
        pixels = letterbox(self._pictures.read(number, cv2.IMREAD_COLOR), self.size)
        return Frame(pixels, number, now_ns(), number / self.rate_hz)

    def unblock(self) -> None:
        """Make `read` return None."""
        self._next = len(self._pictures)

    def close(self) -> None:
        """Nothing is open."""


def open_clip(path: Path, size: tuple[int, int] | None) -> Source:
    """A video, or a rendered clip's `.npz`."""
    return RenderedClip(path, size) if path.suffix.lower() == ".npz" else Recording(path, size=size)

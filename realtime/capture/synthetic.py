"""A moving test picture that carries its own number, for tests of order and latency.

The number stands in the lower left corner as two rows of twenty black or white squares: 32 bits of the number, then the
8 bits of a CRC, so that a squashed or foreign picture reads as None, not as a wrong number. The squares are 1/40 of the
width, which survives scaling, JPEG and 4:2:0 colour.
"""

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels


class CountedSource:
    """Frame after frame at `rate_hz` until there were `count` (None: without end). Lacks only `name`."""

    live = False
    state = "ok"

    def __init__(self, size: tuple[int, int], rate_hz: float, count: int | None, clock: Clock) -> None:
        self.size, self.rate_hz = size, rate_hz
        self.duration_s = None if count is None else count / rate_hz
        self._count, self._clock = count, clock
        self._ended = False
        self._seq = 0
        self._start = 0

    def read(self) -> Frame | None:
        """The next picture; None after `count` of them."""
        position = self._seq - self._start
        if self._ended or (self._count is not None and position >= self._count):
            return None
        frame = Frame(self._picture(self._seq), self._seq, self._clock(), position / self.rate_hz)
        self._seq += 1
        return frame

    @abstractmethod
    def _picture(self, seq: int) -> Pixels:
        """Frame `seq`, counted from the first one whatever was rewound: (H, W, 3) uint8 BGR, read-only."""

    def rewind(self) -> None:
        """Start again; the numbers of the frames go on, so that order shows across the seam."""
        self._start = self._seq

    def unblock(self) -> None:
        self._ended = True

    def close(self) -> None:
        self._ended = True


COLUMNS, ROWS = 20, 2
DARK, BRIGHT = 16, 235  # video's own black and white, so that a limited-range copy keeps both
SMALLEST = (80, 16)


class Synthetic(CountedSource):
    """Numbered pictures. Obeys `Source`; reads never block."""

    name = "synthetic"

    def __init__(
        self,
        size: tuple[int, int] = (1280, 720),
        rate_hz: float = 30.0,
        count: int | None = None,
        clock: Clock = now_ns,
    ) -> None:
        if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
            raise ConfigError(
                f"the synthetic source needs at least {SMALLEST[0]}x{SMALLEST[1]}, not {size[0]}x{size[1]}: "
                "pass a larger --size"
            )
        super().__init__(size, rate_hz, count, clock)
        self._wide = _backdrop(size)

    def _picture(self, seq: int) -> Pixels:
        return numbered(self._wide, self.size, seq)


def _backdrop(size: tuple[int, int]) -> Pixels:
    """A picture twice as wide as `size` whose left and right halves join: panning it moves without a seam."""
    width, height = size
    x = np.arange(2 * width)[None, :] / width
    y = np.arange(height)[:, None] / height
    blue = 128 + 100 * np.sin(2 * np.pi * x) * np.cos(np.pi * y)
    green = 128 + 100 * np.sin(4 * np.pi * x + 2 * np.pi * y)
    red = np.broadcast_to(28 + 200 * y, blue.shape)
    return np.stack([blue, green, red], axis=2).astype(np.uint8)


def numbered(wide: Pixels, size: tuple[int, int], number: int) -> Pixels:
    """A fresh picture of `size`, cut from the backdrop `wide` and stamped with `number`."""
    width, height = size
    left = number * 4 % width
    pixels = np.array(wide[:height, left : left + width], order="C")
    side = width // (2 * COLUMNS)
    squares = np.where(number_bits(number).reshape(ROWS, COLUMNS), BRIGHT, DARK).astype(np.uint8)
    strip = np.kron(squares, np.ones((side, side), np.uint8))
    pixels[height - ROWS * side :, : COLUMNS * side] = strip[..., None]
    return pixels


def number_bits(number: int) -> npt.NDArray[np.bool_]:
    """32 bits of the number and 8 of its CRC, most significant first."""
    data = (number & 0xFFFFFFFF).to_bytes(4, "big")
    return np.unpackbits(np.frombuffer(data + bytes([_crc8(data)]), np.uint8)).astype(np.bool_)


def _crc8(data: bytes) -> int:
    """CRC-8 with polynomial x^8 + x^5 + x^3 + x^2 + x + 1 (0x2F, as AUTOSAR), inverted at both ends.

    Inverted so that neither an all-black nor an all-white strip is a valid number.
    """
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x2F) & 0xFF if crc & 0x80 else crc << 1
    return crc ^ 0xFF

"""The form in which a swap network takes and gives pictures; everything else of ours is uint8 BGR."""

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.frame import Floats, Pixels
from realtime.inference.session import Array, TensorSpec

Range = Literal["0..1", "-1..1", "0..255"]

# Of each range: the number that stands for black, and how much one uint8 level is.
_BLACK_AND_LEVEL = MappingProxyType({"0..1": (0.0, 1 / 255), "-1..1": (-1.0, 2 / 255), "0..255": (0.0, 1.0)})


@dataclass(frozen=True, slots=True)
class CropFormat:
    """A square picture of `size` pixels a side as one network's float32 numbers, batch of one.

    `layout` NCHW is (1, 3, S, S), NHWC is (1, S, S, 3). Masks are 0..1 in either layout.
    """

    size: int
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    colour: Literal["BGR", "RGB"] = "BGR"
    range: Range = "0..1"

    def shape(self, channels: int) -> tuple[int, int, int, int]:
        """The shape of a picture (3) or mask (1) of this format."""
        s = self.size
        return (1, channels, s, s) if self.layout == "NCHW" else (1, s, s, channels)

    def fill(self, numbers: Floats, crop: Pixels) -> None:
        """Write `crop`, (S, S, 3) uint8 BGR, into `numbers`, an array of `shape(3)`, with no other copy."""
        if crop.shape != (self.size, self.size, 3) or crop.dtype != np.uint8:
            raise ValueError(f"a crop is ({self.size}, {self.size}, 3) uint8, not {crop.shape} {crop.dtype}")
        black, level = _BLACK_AND_LEVEL[self.range]
        view = crop if self.colour == "BGR" else crop[:, :, ::-1]
        np.multiply(view.transpose(2, 0, 1) if self.layout == "NCHW" else view, np.float32(level), out=numbers[0])
        if black:
            numbers += np.float32(black)

    def pixels(self, numbers: Array) -> Pixels:
        """A network's picture as a new (S, S, 3) uint8 BGR array, rounded. Raises as `_checked`."""
        black, level = _BLACK_AND_LEVEL[self.range]
        picture = self._checked(numbers, 3)[0]
        values = np.asarray(cv2.merge(list(picture)) if self.layout == "NCHW" else picture, np.float32)
        if black:
            values = values - np.float32(black)
        # convertScaleAbs rounds and cuts at 255 in one pass, but would fold what is below 0.
        rounded = cv2.convertScaleAbs(np.maximum(values, np.float32(0)), alpha=1 / level)
        return np.asarray(rounded if self.colour == "BGR" else cv2.cvtColor(rounded, cv2.COLOR_RGB2BGR), np.uint8)

    def mask(self, numbers: Array) -> Floats:
        """A network's mask as a new (S, S) float32 array, 0..1. Raises as `_checked`."""
        return np.clip(self._checked(numbers, 1).reshape(self.size, self.size), 0, 1)

    def _checked(self, numbers: Array, channels: int) -> Floats:
        """Refuse what is no picture: another shape, or values that are not finite (they show as noise).

        Raises ModelError.
        """
        if numbers.shape != self.shape(channels):
            raise ModelError(f"the network gave {numbers.shape}, its card promises {self.shape(channels)}: replace it")
        floats = np.asarray(numbers, np.float32)
        # A sum is as finite as its parts, and quicker than asking each; only then is overflow to be told apart.
        if not math.isfinite(float(floats.sum())) and not np.isfinite(floats).all():
            raise ModelError("the network gave values that are no numbers: try --precision fp32 or --provider cpu")
        return floats


def check_port(model: str, name: str, port: TensorSpec, shape: tuple[int, ...]) -> None:
    """Raise ModelError unless `port` takes float32 of `shape`; dynamic sizes fit anything."""
    if not port.takes(shape) or port.dtype != np.float32:
        raise ModelError(
            f"model {model}: {name!r} is {port} {port.dtype}, needed is {shape} float32: "
            "correct the card or export it again"
        )

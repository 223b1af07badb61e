"""Brings colours to what the loop works with: opaque SDR with BT.709's primaries and the sRGB curve.

Primaries and transfer are the code points of ITU-T H.273, as files carry them.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels

Doubles = npt.NDArray[np.float64]

NEUTRAL: Final = 128
"""What shows through transparent places: mid grey, which favours neither light nor dark hair."""

PQ: Final = 16  # SMPTE ST 2084
HLG: Final = 18  # ARIB STD-B67
_BT2020: Final = 9
_DISPLAY_P3: Final = 12

WHITE_NITS: Final = 203.0
"""What SDR white becomes in HDR programmes, ITU-R BT.2408."""

KNEE: Final = 0.8
"""Of linear SDR white: below it light is kept as it is, above it compressed."""

_HLG_PEAK_NITS: Final = 1000.0
_HLG_GAMMA: Final = 1.2  # of the reference display above, ITU-R BT.2100
_NODES: Final = 36  # a square number, as FFmpeg's Hald images need

_TO_BT709: Final = {
    _BT2020: np.array(
        [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
    ),  # ITU-R BT.2407
    _DISPLAY_P3: np.array(
        [[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098274]]
    ),
}  # fmt: skip


def is_sdr(primaries: int, transfer: int) -> bool:
    """True where pixels can be shown as they are."""
    return transfer not in (PQ, HLG) and primaries not in _TO_BT709


@lru_cache(maxsize=4)
def sdr_lut(primaries: int, transfer: int) -> Doubles:
    """A 3-D table from full-range R'G'B' to SDR: (36, 36, 36, 3) in 0..1, indexed blue, green, red."""
    steps = np.linspace(0, 1, _NODES)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    light = _light(np.stack([red, green, blue], axis=-1), transfer)
    hdr = transfer in (PQ, HLG)
    # Nobody grades HDR in other primaries than BT.2020, so that is what untagged ones are.
    matrix = _TO_BT709.get(_BT2020 if hdr and primaries == 2 else primaries)
    if matrix is not None:
        light = np.maximum(light @ matrix.T, 0)
    if hdr:
        light = light * _gain(light.max(axis=-1, keepdims=True))
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)  # IEC 61966-2-1


def _gain(brightest: Doubles) -> Doubles:
    """What scales a colour whose largest part is `brightest`, so that it ends below 1 and keeps its hue."""
    over = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
    return np.where(over > 0, (KNEE + (1 - KNEE) * over / (1 + over)) / np.maximum(brightest, KNEE), 1.0)


def _light(coded: Doubles, transfer: int) -> Doubles:
    """Display light of R'G'B' (..., 3) in 0..1, as a share of SDR white."""
    if transfer == PQ:
        m1, m2 = 2610 / 16384, 2523 / 32
        c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
        root = coded ** (1 / m2)
        return np.power(np.maximum(root - c1, 0) / (c2 - c3 * root), 1 / m1) * (10000 / WHITE_NITS)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
        luma: Doubles = scene @ np.array([0.2627, 0.6780, 0.0593])
        return _HLG_PEAK_NITS / WHITE_NITS * scene * np.power(luma, _HLG_GAMMA - 1)[..., None]
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def over_grey(pixels: npt.NDArray[np.uint8]) -> Pixels:
    """(H, W, 3 or 4) uint8 BGR(A) as BGR, laid over NEUTRAL."""
    if pixels.shape[2] == 3:
        return pixels
    colour, alpha = pixels[..., :3], pixels[..., 3]
    if int(alpha.min()) == 255:
        return np.ascontiguousarray(colour)
    share = cv2.cvtColor(np.ascontiguousarray(alpha), cv2.COLOR_GRAY2BGR)
    grey = np.arange(255, -1, -1) * (NEUTRAL / 255)
    mixed = cv2.add(
        cv2.multiply(np.ascontiguousarray(colour), share, scale=1 / 255), cv2.LUT(share, grey.round().astype(np.uint8))
    )
    return np.asarray(mixed, np.uint8)

"""What a picture read from the virtual camera shows: the card, a replaced face, or the user's own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from realtime.disclose import badge
from realtime.frame import Pixels
from realtime.guard import Guard
from realtime.settings import Settings

Mask = npt.NDArray[np.bool_]
Kind = Literal["card", "replaced", "raw", "unknown"]

CODEC = 5.0
"""Mean difference, in grey levels, that two trips through 4:2:0 video leave; measured: 2 to 3."""
REPLACED = 6.0
"""Mean difference inside the face above which it is another's; the bundled clip as Ada gives 13."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`number` of the picture that went in, where it can be told. Differences are means in grey levels:
    `face` inside the face and `around` far from it, to what went in; `corner` under the badge, to what
    went in with a badge; `bare` there, to what went in without."""

    kind: Kind
    number: int | None = None
    face: float = 0.0
    around: float = 0.0
    corner: float = 0.0
    bare: float = 0.0

    @property
    def has_badge(self) -> bool:
        return self.corner <= 2 * CODEC and self.bare >= 2 * self.corner

    def __str__(self) -> str:
        return (
            f"{self.kind} {'' if self.number is None else self.number} (face {self.face:.1f}, "
            f"around {self.around:.1f}, corner {self.corner:.1f} with a badge, {self.bare:.1f} without)"
        )


def difference(a: Pixels, b: Pixels, where: Mask | None = None) -> float:
    """The mean absolute difference in grey levels, over a region (H, W) or everywhere."""
    each = np.abs(a.astype(np.int16) - b)
    return float((each if where is None else each[where]).mean())


def the_card(size: tuple[int, int], title: str) -> Pixels:
    """The card as it must leave the program: with the badge."""
    return badge(Guard(size, title, Settings).picture(None, 0).pixels)


def badge_region(size: tuple[int, int]) -> Mask:
    """Where the badge covers a picture of this (width, height): (H, W) bool."""
    grey = np.full((size[1], size[0], 3), 128, np.uint8)
    return np.asarray((badge(grey) != grey).any(axis=2))


def judge(seen: Pixels, number: int | None, pictures: Pixels, face: Mask, around: Mask, card: Pixels) -> Verdict:
    """The verdict on one picture, given all that went in: (N, H, W, 3) and the (N, H, W) regions.

    `number` is the one it carries. A face that is any of those that went in is `raw`, whatever number
    the picture carries: a mixture of two must not pass.
    """
    if difference(seen, card) <= CODEC:
        return Verdict("card")
    nearest = min(difference(seen, p, f) for p, f in zip(pictures, face, strict=True))
    if number is None or number >= len(pictures):
        return Verdict("raw" if nearest < REPLACED else "unknown", face=nearest)
    sent = pictures[number]
    corner = badge_region((seen.shape[1], seen.shape[0]))
    inside, outside = difference(seen, sent, face[number]), difference(seen, sent, around[number] & ~corner)
    kind: Kind = "unknown"
    if min(inside, nearest) < REPLACED:
        kind = "raw"
    elif outside <= CODEC:
        kind = "replaced"
    under = difference(seen, badge(sent), corner), difference(seen, sent, corner)
    return Verdict(kind, number, inside, outside, *under)

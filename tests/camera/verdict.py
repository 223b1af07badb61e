"""What a picture read from the virtual camera shows: the card, a replaced face, or the user's own."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from realtime.config import Settings
from realtime.frame import Pixels
from realtime.output.disclosure import badge
from realtime.pipeline.fallback import Fallback

Mask = npt.NDArray[np.bool_]
Spots = npt.NDArray[np.intp]
Kind = Literal["card", "replaced", "raw", "unknown"]

CODEC = 5.0
"""Mean difference, in grey levels, that two trips through 4:2:0 video leave; measured: 2 to 3."""
REPLACED = 6.0
"""Mean difference inside the face above which it is another's; the bundled clip as Ada gives 12."""
SPARSE = 13
"""Not a divisor of the usual widths, so that the pixels looked at do not lie in columns."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`number` of the picture that went in, where it can be told. Differences are means in grey levels:
    `face` inside the face and `around` far from it, to what went in; `corner` under the badge, to what
    went in (or the card) with a badge; `bare` there, to the same without."""

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


def difference(a: Pixels, b: Pixels, where: Spots) -> float:
    """The mean absolute difference in grey levels at some pixels, given by their flat numbers."""
    one, other = a.reshape(-1, 3)[where], b.reshape(-1, 3)[where]
    return float(np.abs(one.astype(np.int16) - other).mean())


def the_card(size: tuple[int, int], title: str) -> Pixels:
    """The card of an identity, without its badge."""
    return Fallback(size, title).picture(None, 0, Settings()).pixels


def badge_region(size: tuple[int, int]) -> Mask:
    """Where the badge covers a picture of this (width, height): (H, W) bool."""
    grey = np.full((size[1], size[0], 3), 128, np.uint8)
    return np.asarray((badge(grey) != grey).any(axis=2))


class Judge:
    """Gives the verdict on pictures, knowing all that went in: (N, H, W, 3) and the (N, H, W) regions.

    It looks at every SPARSE-th pixel of a region, so that it keeps up with a camera even where the
    processor is emulated.
    """

    def __init__(self, pictures: Pixels, face: Mask, around: Mask, title: str) -> None:
        height, width = pictures.shape[1:3]
        corner = badge_region((width, height))
        self._everywhere = _spots(np.ones((height, width), bool))
        self._corner = _spots(corner, 1)
        self._face = [_spots(region, 3) for region in face]
        self._around = [_spots(region & ~corner) for region in around]
        self._card = the_card((width, height), title)
        self._badged_card = badge(self._card)
        self._sent = pictures
        self._badged = [badge(picture) for picture in pictures]

    def __call__(self, seen: Pixels, number: int | None) -> Verdict:
        """The verdict on a picture that carries this number, or none.

        A face that is any of those that went in is `raw`, whatever number the picture carries: a
        mixture of two must not pass.
        """
        if difference(seen, self._card, self._everywhere) <= CODEC:
            with_badge = difference(seen, self._badged_card, self._corner)
            bare = difference(seen, self._card, self._corner)
            return Verdict("card", corner=with_badge, bare=bare)
        nearest = min(difference(seen, p, f) for p, f in zip(self._sent, self._face, strict=True))
        if number is None or number >= len(self._sent):
            return Verdict("raw" if nearest < REPLACED else "unknown", face=nearest)
        sent = self._sent[number]
        inside = difference(seen, sent, self._face[number])
        outside = difference(seen, sent, self._around[number])
        kind: Kind = "unknown"
        if nearest < REPLACED:
            kind = "raw"
        elif outside <= CODEC:
            kind = "replaced"
        with_badge = difference(seen, self._badged[number], self._corner)
        return Verdict(kind, number, inside, outside, with_badge, difference(seen, sent, self._corner))


def _spots(region: Mask, sparse: int = SPARSE) -> Spots:
    """The flat numbers of every so-many-th pixel of a region."""
    return np.flatnonzero(region)[::sparse]

"""What a face does, in the few numbers that a drawing needs; and which of its drawn mouths fits."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from realtime.frame import Floats

# Places in MediaPipe's 52 blendshapes.
_BROW_DOWN, _BROW_INNER_UP, _BROW_OUTER_UP = (1, 2), 3, (4, 5)
_BLINK, _WIDE = (9, 10), (21, 22)
_LOOK_DOWN, _LOOK_IN, _LOOK_OUT, _LOOK_UP = (11, 12), (13, 14), (15, 16), (17, 18)
_JAW_OPEN, _CLOSE, _FUNNEL, _PUCKER = 25, 27, 32, 38
_FROWN, _SMILE, _STRETCH, _PRESS = (30, 31), (44, 45), (46, 47), (36, 37)
_ROLL_LOWER = 40

# Readings as a drawing takes them: (what a resting face reads, what a full movement reads).
_BLINK_RANGE = (0.10, 0.90)
_JAW_RANGE = (0.04, 0.60)
_SMILE_RANGE = (0.08, 0.75)
_ROUND_RANGE = (0.15, 0.75)

LEFT, RIGHT = 0, 1
"""Of pairs: the driver's own left and right."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One moment of a face. Pairs are (left, right); numbers are 0..1 unless said.

    `gaze`: the eyes' turn, -1..1, to the picture's right and down. `brows`: -1 (down) .. 1 (up), `frown` how much they
    are drawn together. `jaw`: how far the mouth is open. `smile`: -1 (corners down) .. 1. `round`: lips pushed forward.
    `wide`: lips drawn to the sides. `bite`: the lower lip is under the teeth.
    """

    blink: tuple[float, float] = (0.0, 0.0)
    wide_eyes: tuple[float, float] = (0.0, 0.0)
    gaze: tuple[float, float] = (0.0, 0.0)
    brows: tuple[float, float] = (0.0, 0.0)
    frown: float = 0.0
    jaw: float = 0.0
    smile: float = 0.0
    round: float = 0.0
    wide: float = 0.0
    bite: float = 0.0

    def blinking(self, shut: float) -> "Expression":
        """The same with lids at least so far shut."""
        return replace(self, blink=(max(self.blink[0], shut), max(self.blink[1], shut)))


def read_expression(blendshapes: Floats) -> Expression:
    """The expression in MediaPipe's blendshapes (52,)."""
    b = np.clip(np.nan_to_num(blendshapes.astype(np.float64)), 0, 1)

    def pair(places: tuple[int, int]) -> float:
        return float(b[list(places)].mean())

    # The person's left eye looks to the picture's right when it turns outwards.
    right = float(b[_LOOK_OUT[0]] - b[_LOOK_IN[0]] + b[_LOOK_IN[1]] - b[_LOOK_OUT[1]]) / 2
    brows = [
        float(0.5 * b[_BROW_OUTER_UP[k]] + 0.5 * b[_BROW_INNER_UP] - 0.8 * b[_BROW_DOWN[k]]) for k in (LEFT, RIGHT)
    ]
    return Expression(
        blink=(within(b[_BLINK[0]], _BLINK_RANGE), within(b[_BLINK[1]], _BLINK_RANGE)),
        wide_eyes=(float(b[_WIDE[0]]), float(b[_WIDE[1]])),
        gaze=(right, pair(_LOOK_DOWN) - pair(_LOOK_UP)),
        brows=(brows[0], brows[1]),
        frown=pair(_BROW_DOWN) - 0.5 * float(b[_BROW_INNER_UP]),
        jaw=within(float(b[_JAW_OPEN]) - 0.3 * float(b[_CLOSE]), _JAW_RANGE),
        smile=within(pair(_SMILE), _SMILE_RANGE) - within(pair(_FROWN), _SMILE_RANGE),
        round=within(max(float(b[_PUCKER]), float(b[_FUNNEL])), _ROUND_RANGE),
        wide=within(pair(_STRETCH), _SMILE_RANGE),
        bite=within(float(b[_ROLL_LOWER]) - 0.5 * float(b[_JAW_OPEN]), (0.15, 0.6)),
    )


# What each drawn mouth stands for: (jaw, smile, round, wide, bite). The names are those that artists give the layers
# of puppets for Adobe Character Animator (its guide "Prepare artwork"), without case.
MOUTHS: dict[str, tuple[float, float, float, float, float]] = {
    "neutral": (0.00, 0.0, 0.0, 0.0, 0.0),
    "smile": (0.00, 0.8, 0.0, 0.1, 0.0),
    "surprised": (0.90, -0.1, 0.5, 0.0, 0.0),
    "ah": (0.75, 0.1, 0.0, 0.1, 0.0),
    "d": (0.25, 0.1, 0.0, 0.2, 0.0),
    "ee": (0.25, 0.5, 0.0, 0.6, 0.0),
    "f": (0.08, 0.0, 0.0, 0.1, 0.8),
    "l": (0.40, 0.1, 0.0, 0.1, 0.0),
    "m": (0.00, -0.05, 0.1, 0.0, 0.25),
    "oh": (0.55, -0.1, 0.7, 0.0, 0.0),
    "r": (0.25, -0.1, 0.5, 0.0, 0.0),
    "s": (0.10, 0.2, 0.0, 0.5, 0.0),
    "uh": (0.40, -0.1, 0.1, 0.0, 0.0),
    "w-oo": (0.15, -0.1, 1.0, 0.0, 0.0),
}
ALIASES = {"closed": "neutral", "oo": "w-oo"}
"""Other names of the same mouths."""
OPEN, OPENS_FROM = "open", 0.10
"""One drawing for every opening, stretched as it opens: it fits from so much of `jaw` on."""
_WEIGHTS = np.array([1.6, 0.8, 1.0, 0.6, 0.9])
STAYS = 0.08  # a mouth is changed only for one that fits so much better: no flicker between two


def choose_mouth(face: Expression, drawn: Collection[str], now: str | None) -> str | None:
    """The drawn mouth that fits best, `now` unless another is clearly better; None where there is none."""
    if OPEN in drawn and face.jaw > (OPENS_FROM if now != OPEN else OPENS_FROM - 0.5 * STAYS):
        return OPEN
    reading = np.array([face.jaw, face.smile, face.round, face.wide, face.bite])
    distances = {
        name: float(np.linalg.norm((reading - MOUTHS[ALIASES.get(name, name)]) * _WEIGHTS))
        for name in drawn
        if ALIASES.get(name, name) in MOUTHS
    }
    if not distances:
        return next(iter(drawn), None)
    best = min(distances, key=lambda name: distances[name])
    return now if now in distances and distances[now] < distances[best] + STAYS else best


def within(value: float, span: tuple[float, float]) -> float:
    """How far a value is from the span's start to its end, 0..1."""
    return min(max((float(value) - span[0]) / (span[1] - span[0]), 0.0), 1.0)

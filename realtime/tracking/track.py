"""One face in one frame (`Observation`), and what is known of somebody over time (`Track`).

The skull (see `skull`) tells people apart well enough to notice that the face under the landmarks has become
somebody else's. No single frame decides: an open mouth, a hand, or a face half out of the picture can look like
another skull for a moment. Doubt adds up over frames, by how far each is beyond what the same person's are, and
is taken back by frames that fit. Three clips of a minute, two rendered people who turn up to 40°, cover their faces
and leave the picture by half, kept one number each (by the points alone they got 2, 6 and 9). Of 20 cuts between five
people, filmed and rendered, in the same place all were noticed: 12 of them in the fifth frame, the slowest in the 29th
(by the points alone 5 were within 30 frames).

A poster's expression and direction stay as they are, however the camera shakes: with noise and shaking its
filtered blendshapes moved by 0.11 at most and it turned by 2.0°; talking people passed 0.3 and 5° within 2 s.
"""

from dataclasses import dataclass, field

import numpy as np

from realtime.frame import Floats
from realtime.tracking.shape_embedding import NUMBERS, Doubles

SURE = 2.5  # skulls so near are one person's, wherever the face turns up
SAME = 4.0  # so near they may be, in a likely place
OTHER = 5.0  # what is beyond this adds to the doubt, what is below takes from it
DOUBT_STEP = 2.0  # the most that one frame adds
DOUBT = 9.0  # from here on it is somebody else: five frames at least
FRONTAL_COS = 0.87  # skulls are compared only up to 30° from the camera's axis
KNOWN_AFTER = 5  # frames after which a person's skull is known
LEARNT_OVER = 60  # frames over which it is averaged

PATIENCE_S = 2.0
EXPRESSION_CHANGE = 0.22  # of a blendshape's 0..1, filtered
TURN_CHANGE_DEG = 5.0  # of the direction the head looks in: a camera's roll does not count
EXPRESSION_SHARE = 1 / 3  # how much of a new expression the filter takes in
# Blinks, jaw, smile, pucker, brows: large in life, still on a poster.
LIVE_BLENDSHAPES = np.array([1, 2, 3, 9, 10, 25, 38, 44, 45])


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face in one frame, unfiltered. `skull` is (8,), see `skull`. `whole`: all of it is in the picture."""

    landmarks: Floats
    blendshapes: Floats
    pose: Floats
    skull: Doubles
    score: float
    whole: bool = True

    @property
    def box(self) -> tuple[Doubles, Doubles]:
        """The corners (2,) and (2,) in frame pixels."""
        flat = self.landmarks[:, :2].astype(np.float64)
        return flat.min(axis=0), flat.max(axis=0)

    @property
    def centre(self) -> Doubles:
        low, high = self.box
        return (low + high) / 2

    @property
    def side(self) -> float:
        """The face's size in pixels: the mean of its box's sides."""
        low, high = self.box
        return float((high - low).mean())

    @property
    def telling(self) -> bool:
        """True where the skull can be told: the head looks towards the camera, within 30°, and is in the picture."""
        return self.whole and bool(self.forward[2] > FRONTAL_COS)

    @property
    def forward(self) -> Doubles:
        """(3,) the direction the head looks in, as a unit vector in the camera's space."""
        forward = self.pose[:3, 2].astype(np.float64)
        return np.asarray(forward / max(float(np.linalg.norm(forward)), 1e-9))


def overlap(a: Observation, b: Observation) -> float:
    """Intersection over union of the boxes."""
    (a0, a1), (b0, b1) = a.box, b.box
    common = float(np.clip(np.minimum(a1, b1) - np.maximum(a0, b0), 0, None).prod())
    union = float((a1 - a0).prod() + (b1 - b0).prod()) - common
    return common / union if union > 0 else 0.0


def prominence(seen: Observation, size: tuple[int, int]) -> float:
    """How large and central a face is in a frame of `size` (width, height)."""
    middle = np.array(size) / 2
    away = float(np.linalg.norm(seen.centre - middle) / np.linalg.norm(middle))
    return seen.side / max(size) * (1.0 - 0.5 * min(away, 1.0))


@dataclass(slots=True, eq=False)
class Track:
    """Someone followed, or a candidate: what is known of them so far."""

    track: int
    last: Observation
    last_s: float
    alive: bool = False
    frames: int = 1
    _skull: Doubles = field(default_factory=lambda: np.zeros(NUMBERS))
    _skulls: int = 0
    _doubt: float = 0.0
    _low: Floats = field(default_factory=lambda: np.full(len(LIVE_BLENDSHAPES), np.inf, np.float32))
    _high: Floats = field(default_factory=lambda: np.full(len(LIVE_BLENDSHAPES), -np.inf, np.float32))
    _expression: Floats | None = None
    _first_forward: Doubles | None = None

    def __post_init__(self) -> None:
        self._learn(self.last)

    def update(self, seen: Observation, now_s: float) -> None:
        """The same person in a new frame."""
        self.last, self.last_s = seen, now_s
        self.frames += 1
        self._learn(seen)

    def welcome(self, seen: Observation, now_s: float) -> None:
        """The same person after a loss: whatever doubt there was is over."""
        self._doubt = 0.0
        self.update(seen, now_s)

    def is_other(self, seen: Observation) -> bool:
        """True once enough frames have shown somebody else's face in this place."""
        if self._known and seen.telling:
            self._doubt = max(0.0, self._doubt + min(self.distance(seen) - OTHER, DOUBT_STEP))
        return self._doubt > DOUBT

    def distance(self, seen: Observation) -> float:
        """How far a face's skull is from this person's, see `skull`; 0 before anything is known of it."""
        return float(np.linalg.norm(seen.skull - self._skull)) if self._skulls else 0.0

    def returns_as(self, seen: Observation, now_s: float) -> bool:
        """True if a face found after a loss is this person's."""
        away_s = max(0.0, now_s - self.last_s)
        distance = self.distance(seen)
        if self._known and distance <= SURE and seen.telling:
            return True
        reach = (0.75 + 1.5 * min(away_s, PATIENCE_S)) * self.last.side
        scale = seen.side / max(self.last.side, 1.0)
        near = float(np.linalg.norm(seen.centre - self.last.centre)) <= reach
        alike = distance <= SAME or not self._known
        return near and alike and 1 / (1.6 + away_s) <= scale <= 1.6 + away_s and away_s <= PATIENCE_S

    @property
    def _known(self) -> bool:
        return self._skulls >= KNOWN_AFTER

    def _learn(self, seen: Observation) -> None:
        if seen.telling and not self._doubt:
            self._skulls += 1
            self._skull = self._skull + (seen.skull - self._skull) / min(self._skulls, LEARNT_OVER)
        if self.alive:
            return
        live = seen.blendshapes[LIVE_BLENDSHAPES]
        before = live if self._expression is None else self._expression
        self._expression = before + EXPRESSION_SHARE * (live - before)
        self._low = np.minimum(self._low, self._expression)
        self._high = np.maximum(self._high, self._expression)
        forward = seen.forward
        if self._first_forward is None:
            self._first_forward = forward
        turned_deg = float(np.degrees(np.arccos(np.clip(forward @ self._first_forward, -1, 1))))
        self.alive = turned_deg > TURN_CHANGE_DEG or bool((self._high - self._low).max() > EXPRESSION_CHANGE)

"""Who is followed: the rules by which one person keeps the swap and nobody else gets it by accident.

- A face alone in the picture is taken at once; until it shows signs of life it is on trial.
- With several faces and nobody confirmed there is doubt: nobody is followed (so nothing leaves unreplaced, the
  fallback's picture stands in) until one shows life. The most prominent of the living is taken; for this it gets a
  second's lead. If none moves within `PATIENCE_S`, as in a still picture, the most prominent is taken.
- A confirmed person is followed by continuity alone, whoever else comes or moves. If the face in that place becomes
  somebody else's, the person is lost.
- After a loss, at once: a face near the last place (the gate widens with time) and of the same shape, or one anywhere
  of very much the same shape. Anybody else only after `PATIENCE_S` and with signs of life: the poster that is left
  behind never gets the swap.
- With several faces asked for each keeps its number by the same rules, and new faces are taken without delay.

That the face under the landmarks has become somebody else's is told by its shape, and no single frame decides: an open
mouth or a hand looks like another shape for a moment. Doubt adds up over frames, by how far each is beyond what the
same person's are, and is taken back by frames that fit (docs/studies/face-shape-embedding.md). Life is a changing
expression or direction: with noise and a shaking camera a poster's blendshapes moved by 0.11 at most and it turned by
2.0°; talking people passed 0.3 and 5° within 2 s. It counts from SETTLE_S on: in the first frames a poster reads 0.23.
"""

from dataclasses import dataclass, field

import numpy as np

from realtime.frame import Doubles, Floats
from realtime.tracking.pose import forward
from realtime.tracking.shape_embedding import NUMBERS

SURE = 2.5  # embeddings so near are one person's, wherever the face turns up
SAME = 4.0  # so near they may be, in a likely place
OTHER = 5.0  # what is beyond this adds to the doubt, what is below takes from it
DOUBT_STEP = 2.0  # the most that one frame adds
DOUBT = 9.0  # from here on it is somebody else: five frames at least
FRONTAL_COS = 0.87  # embeddings are compared only up to 30° from the camera's axis
KNOWN_AFTER = 5  # frames after which a person's embedding is known
LEARNT_OVER = 60  # frames over which it is averaged

PATIENCE_S = 2.0
EXPRESSION_CHANGE = 0.22  # of a blendshape's 0..1, filtered
TURN_CHANGE_DEG = 5.0  # of the direction the head looks in: a camera's roll does not count
SETTLE_S = 0.4  # before that, what changes in a face is the landmarks that find their places on it
EXPRESSION_SHARE = 1 / 3  # how much of a new expression the filter takes in
# Blinks, jaw, smile, pucker, brows: large in life, still on a poster.
LIVE_BLENDSHAPES = np.array([1, 2, 3, 9, 10, 25, 38, 44, 45])

DETECT_EVERY = 5  # frames between two runs of the detector while somebody is already followed
LEAD_S = 1.0  # how long a less prominent face waits although it shows life
RIVAL = 0.4  # a face this prominent, compared with the followed one, brings doubt
SAME_FACE = 0.3  # overlap of two boxes above which they are one face
FORGET_S = 10.0  # how long people who are lost keep their numbers where several are followed
MOST_CANDIDATES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face in one frame, unfiltered. `embedding`: (8,), of its shape. `whole`: all of it is in the picture."""

    landmarks: Floats
    blendshapes: Floats
    pose: Floats
    embedding: Doubles
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
    def frontal(self) -> bool:
        """True where the embedding is reliable: the head looks to the camera, within 30°, and is in the picture."""
        return self.whole and bool(forward(self.pose)[2] > FRONTAL_COS)


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
    """One person followed, or a candidate: what is known of them so far. `alive`: has shown signs of life."""

    track: int
    last: Observation
    last_s: float
    alive: bool = False
    _since_s: float = field(init=False)
    _embedding: Doubles = field(default_factory=lambda: np.zeros(NUMBERS))
    _averaged: int = 0
    _doubt: float = 0.0
    _low: Floats = field(default_factory=lambda: np.full(len(LIVE_BLENDSHAPES), np.inf, np.float32))
    _high: Floats = field(default_factory=lambda: np.full(len(LIVE_BLENDSHAPES), -np.inf, np.float32))
    _expression: Floats | None = None
    _first_forward: Doubles | None = None

    def __post_init__(self) -> None:
        self._since_s = self.last_s
        self._learn(self.last)

    def update(self, seen: Observation, now_s: float) -> None:
        """The same person in a new frame."""
        self.last, self.last_s = seen, now_s
        self._learn(seen)

    def resume(self, seen: Observation, now_s: float) -> None:
        """The same person after a loss: whatever doubt there was is over."""
        self._doubt = 0.0
        self.update(seen, now_s)

    def is_other(self, seen: Observation) -> bool:
        """True once enough frames have shown somebody else's face in this place."""
        if self._known and seen.frontal:
            self._doubt = max(0.0, self._doubt + min(self.distance(seen) - OTHER, DOUBT_STEP))
        return self._doubt > DOUBT

    def distance(self, seen: Observation) -> float:
        """How far a face's embedding is from this person's; 0 before anything is known of it."""
        return float(np.linalg.norm(seen.embedding - self._embedding)) if self._averaged else 0.0

    def returns_as(self, seen: Observation, now_s: float) -> bool:
        """True if a face found after a loss is this person's."""
        away_s = max(0.0, now_s - self.last_s)
        distance = self.distance(seen)
        if self._known and distance <= SURE and seen.frontal:
            return True
        reach = (0.75 + 1.5 * min(away_s, PATIENCE_S)) * self.last.side
        scale = seen.side / max(self.last.side, 1.0)
        near = float(np.linalg.norm(seen.centre - self.last.centre)) <= reach
        alike = distance <= SAME or not self._known
        return near and alike and 1 / (1.6 + away_s) <= scale <= 1.6 + away_s and away_s <= PATIENCE_S

    @property
    def _known(self) -> bool:
        return self._averaged >= KNOWN_AFTER

    def _learn(self, seen: Observation) -> None:
        if seen.frontal and not self._doubt:
            self._averaged += 1
            self._embedding = self._embedding + (seen.embedding - self._embedding) / min(self._averaged, LEARNT_OVER)
        if self.alive:
            return
        live = seen.blendshapes[LIVE_BLENDSHAPES]
        before = live if self._expression is None else self._expression
        self._expression = before + EXPRESSION_SHARE * (live - before)
        if abs(self.last_s - self._since_s) < SETTLE_S:
            return
        self._low = np.minimum(self._low, self._expression)
        self._high = np.maximum(self._high, self._expression)
        now = forward(seen.pose)
        first = self._first_forward = now if self._first_forward is None else self._first_forward
        turned_deg = float(np.degrees(np.arccos(np.clip(now @ first, -1, 1))))
        self.alive = turned_deg > TURN_CHANGE_DEG or bool((self._high - self._low).max() > EXPRESSION_CHANGE)


class PersonSelection:
    """The people followed, those lost and those watched, from frame to frame. Knows no networks."""

    def __init__(self, faces: int) -> None:
        self.followed: list[Track] = []
        self._faces = faces
        self._lost: list[Track] = []
        self._watched: list[Track] = []
        self._confirmed = False  # somebody followed has shown life
        self._settled = False  # a doubt ended without any sign of life
        self._doubt_since_s: float | None = None
        self._tracks = 0
        self._frames = 0

    def rewind(self, now_s: float) -> None:
        """A looped file: the people are the same, time starts again."""
        self._doubt_since_s = None
        for person in self.followed + self._lost + self._watched:
            person.last_s = min(person.last_s, now_s)

    def update(self, found: list[Observation | None], now_s: float) -> None:
        """What is in the places of the people followed in a new frame, in the order of `followed`."""
        self._frames += 1
        kept: list[Track] = []
        for person, seen in zip(self.followed, found, strict=True):
            taken = seen is not None and any(overlap(seen, other.last) > SAME_FACE for other in kept)
            if seen is None or taken or person.is_other(seen):
                self._lost.append(person)
            else:
                person.update(seen, now_s)
                kept.append(person)
                self._confirmed |= person.alive
        self.followed = kept
        self._lost = [p for p in self._lost if self._faces == 1 or now_s - p.last_s <= FORGET_S]
        self._lost = self._lost[-self._faces :]

    def needs_detection(self, now_s: float) -> bool:
        """Whether this frame is to be searched for faces that are not followed."""
        if not self.followed:
            return True
        if self._faces == 1:
            return not self.followed[0].alive and self._frames % DETECT_EVERY == 0
        just_lost = any(now_s - person.last_s <= LEAD_S for person in self._lost)
        return len(self.followed) < self._faces and (just_lost or self._frames % DETECT_EVERY == 0)

    def match(self, faces: list[Observation], now_s: float, size: tuple[int, int]) -> None:
        """Decides about the faces that a search found in a frame of `size` (width, height)."""
        unmatched = [s for s in faces if all(overlap(s, p.last) < SAME_FACE for p in self.followed)]
        unmatched.sort(key=lambda s: prominence(s, size), reverse=True)
        self._match_lost(unmatched, now_s)
        if self._faces > 1:
            while unmatched and len(self.followed) < self._faces:
                self._follow(Track(0, unmatched.pop(0), now_s))
        elif not (self.followed and self.followed[0].alive):
            self._watch(unmatched[:MOST_CANDIDATES], now_s)
            self._choose(now_s, size)

    def _match_lost(self, unmatched: list[Observation], now_s: float) -> None:
        for person in reversed(self._lost.copy()):
            back = min(unmatched, key=person.distance, default=None)
            if back is not None and len(self.followed) < self._faces and person.returns_as(back, now_s):
                self._lost.remove(person)
                unmatched.remove(back)
                person.resume(back, now_s)
                self.followed.append(person)

    def _watch(self, unmatched: list[Observation], now_s: float) -> None:
        """Gathers signs of life from the faces not followed."""
        before = [p for p in self._watched if now_s - p.last_s <= PATIENCE_S]
        self._watched = []
        for seen in unmatched:
            person = max(before, key=lambda p: overlap(p.last, seen), default=None)
            if person is not None and overlap(person.last, seen) > SAME_FACE:
                before.remove(person)
                person.update(seen, now_s)
            else:
                person = Track(0, seen, now_s)
            self._watched.append(person)
        self._watched += before

    def _choose(self, now_s: float, size: tuple[int, int]) -> None:
        """Takes one of the watched faces, or none yet. Whoever is followed here is still on trial."""
        here = [p for p in self._watched if p.last_s == now_s]
        here.sort(key=lambda p: prominence(p.last, size), reverse=True)
        if not here:
            return
        if self._confirmed:  # and lost: only the living may follow, and not at once
            living = [p for p in here if p.alive]
            if living and not self.followed and all(now_s - p.last_s >= PATIENCE_S for p in self._lost):
                self._lost.clear()
                self._follow(living[0])
            return
        self._choose_first(here, now_s, size)

    def _choose_first(self, here: list[Track], now_s: float, size: tuple[int, int]) -> None:
        if self.followed and not self._settled:
            floor = RIVAL * prominence(self.followed[0].last, size)
            if prominence(here[0].last, size) < floor:
                return
            here = sorted(here + self.followed, key=lambda p: prominence(p.last, size), reverse=True)
            self._watched += self.followed
            self.followed = []
        rivals = [p for p in here if prominence(p.last, size) >= RIVAL * prominence(here[0].last, size)]
        living = [p for p in rivals if p.alive]
        if self._settled:
            if living or not self.followed:
                self.followed = []
                self._follow(living[0] if living else here[0])
            return
        if len(rivals) == 1 and self._doubt_since_s is None:
            self._follow(rivals[0])
            return
        since_s = self._doubt_since_s = now_s if self._doubt_since_s is None else self._doubt_since_s
        if living and (living[0] is rivals[0] or now_s - since_s >= LEAD_S):
            self._follow(living[0])
        elif now_s - since_s >= PATIENCE_S:
            self._settled = True
            self._follow(here[0])

    def _follow(self, person: Track) -> None:
        """Starts to follow somebody new, under a new number."""
        if person in self._watched:
            self._watched.remove(person)
        person.track = self._tracks
        self._tracks += 1
        self._doubt_since_s = None
        self.followed.append(person)
        self._confirmed |= person.alive

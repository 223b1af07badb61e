"""Who is followed: the rules by which one person keeps the swap and nobody else gets it by accident.

- A face alone in the picture is taken at once; until it shows signs of life (see `person`) it is on trial.
- With several faces and nobody confirmed there is doubt: nobody is followed (so nothing leaves unreplaced,
  the guard's picture stands in) until one shows life. The most prominent of the living is taken; for this it
  gets a second's lead. If none moves within `PATIENCE_S`, as in a still picture, the most prominent is taken.
- A confirmed person is followed by continuity alone, whoever else comes or moves. If the face in that place
  becomes somebody else's, the person is lost.
- After a loss, at once: a face near the last place (the gate widens with time) and of the same skull, or one
  anywhere of very much the same skull. Anybody else only after `PATIENCE_S` and with signs of life: the
  poster that is left behind never gets the swap.
- With several faces asked for each keeps its number by the same rules, and new faces are taken without delay.
"""

from realtime.tracking.track import PATIENCE_S, Observation, Track, overlap, prominence

LOOK_EVERY = 5  # frames between two runs of the detector while somebody is already followed
LEAD_S = 1.0  # how long a less prominent face waits although it shows life
RIVAL = 0.4  # a face this prominent, compared with the followed one, brings doubt
SAME_FACE = 0.3  # overlap of two boxes above which they are one face
FORGET_S = 10.0  # how long people who are lost keep their numbers where several are followed
MOST_CANDIDATES = 4


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

    def keep(self, found: list[Observation | None], now_s: float) -> None:
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

    def must_look(self, now_s: float) -> bool:
        """Whether this frame is to be searched for faces that are not followed."""
        if not self.followed:
            return True
        if self._faces == 1:
            return not self.followed[0].alive and self._frames % LOOK_EVERY == 0
        just_lost = any(now_s - person.last_s <= LEAD_S for person in self._lost)
        return len(self.followed) < self._faces and (just_lost or self._frames % LOOK_EVERY == 0)

    def meet(self, faces: list[Observation], now_s: float, size: tuple[int, int]) -> None:
        """Decides about the faces that a search found in a frame of `size` (width, height)."""
        strangers = [s for s in faces if all(overlap(s, p.last) < SAME_FACE for p in self.followed)]
        strangers.sort(key=lambda s: prominence(s, size), reverse=True)
        self._welcome_back(strangers, now_s)
        if self._faces > 1:
            while strangers and len(self.followed) < self._faces:
                self._take(Track(0, strangers.pop(0), now_s))
        elif not (self.followed and self.followed[0].alive):
            self._watch(strangers[:MOST_CANDIDATES], now_s)
            self._choose(now_s, size)

    def _welcome_back(self, strangers: list[Observation], now_s: float) -> None:
        for person in reversed(self._lost.copy()):
            back = min(strangers, key=person.distance, default=None)
            if back is not None and len(self.followed) < self._faces and person.returns_as(back, now_s):
                self._lost.remove(person)
                strangers.remove(back)
                person.welcome(back, now_s)
                self.followed.append(person)

    def _watch(self, strangers: list[Observation], now_s: float) -> None:
        """Gathers signs of life from the faces not followed."""
        before = [p for p in self._watched if now_s - p.last_s <= PATIENCE_S]
        self._watched = []
        for seen in strangers:
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
                self._take(living[0])
            return
        self._first_choice(here, now_s, size)

    def _first_choice(self, here: list[Track], now_s: float, size: tuple[int, int]) -> None:
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
                self._take(living[0] if living else here[0])
            return
        if len(rivals) == 1 and self._doubt_since_s is None:
            self._take(rivals[0])
            return
        since_s = self._doubt_since_s = now_s if self._doubt_since_s is None else self._doubt_since_s
        if living and (living[0] is rivals[0] or now_s - since_s >= LEAD_S):
            self._take(living[0])
        elif now_s - since_s >= PATIENCE_S:
            self._settled = True
            self._take(here[0])

    def _take(self, person: Track) -> None:
        """Starts to follow somebody new, under a new number."""
        if person in self._watched:
            self._watched.remove(person)
        person.track = self._tracks
        self._tracks += 1
        self._doubt_since_s = None
        self.followed.append(person)
        self._confirmed |= person.alive

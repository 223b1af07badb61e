"""Finds faces and follows people: the tracker that the live loop asks for every frame.

MediaPipe's way: the detector runs only to find a face; from then on the landmark network looks where the
landmarks of the last frame were. Who is followed is decided in `follow`, steadiness made in `smooth`.
"""

from pathlib import Path

from realtime.clock import NS_PER_S
from realtime.errors import ModelError
from realtime.face import Face
from realtime.face_networks import MIN_SCORE, Detection, FaceNetworks, Region, region_around
from realtime.follow import PATIENCE_S, SHAPE_POINTS, Person, Seen, overlap, prominence
from realtime.frame import Frame, Pixels
from realtime.pose import HeadPose, head_shape
from realtime.smooth import FaceFilter

LOOK_EVERY = 5  # frames between two runs of the detector while somebody is already followed
MOST_CANDIDATES = 4
SAME_FACE = 0.3  # overlap of two boxes above which they are one face
FORGET_S = 10.0  # how long several lost people keep their numbers


def packaged_folder() -> Path:
    """The face bundle that comes with masquerade."""
    import trained_models

    return Path(next(iter(trained_models.__path__))) / "face"


class Tracker:
    """Calls with frames, gives the faces of the people followed; for one thread.

    `folder`: a `landmarks` bundle, None for the packaged one. `faces`: how many people at most.
    `steadiness`: 0 = unfiltered landmarks, 1 = default; may be set between frames. The networks always run
    in fp32. Raises ModelError where the bundle is not whole or the provider cannot run.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        provider: str = "auto",
        faces: int = 1,
        steadiness: float = 1.0,
        threads: int = 1,
    ) -> None:
        if faces < 1:
            raise ModelError(f"{faces} faces cannot be followed: pass 1 or more")
        folder = folder or packaged_folder()
        self.steadiness = steadiness
        self._faces = faces
        self._pose = HeadPose(folder / "pose.npz")
        self._networks = FaceNetworks(folder, provider, threads)
        self._followed: list[Person] = []
        self._lost: list[Person] = []
        self._candidates: list[Person] = []
        self._filters: dict[int, FaceFilter] = {}
        self._tracks = 0
        self._frames = 0
        self._now_s = 0.0
        self._someone_lived = False

    @property
    def ran_on(self) -> str:
        """The provider that the landmark network really ran on."""
        return self._networks.ran_on

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the networks so far."""
        return self._networks.spent_ns

    def __call__(self, frame: Frame) -> list[Face]:
        """The faces of the people followed, steadied; empty when none of them is seen."""
        now_s = frame.captured_ns / NS_PER_S if frame.media_s is None else frame.media_s
        if now_s < self._now_s:  # a looped file: the people are the same, time starts again
            for person in self._followed + self._lost + self._candidates:
                person.last_s = min(person.last_s, now_s)
        self._now_s = now_s
        self._frames += 1
        self._follow(frame.pixels, now_s)
        if self._must_look():
            self._look(frame.pixels, now_s)
        return [self._steadied(person, frame.size) for person in self._followed]

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of a still picture, up to `faces`, the largest and most central first.

        Unfiltered, and without any memory. `pixels` is (H, W, 3) uint8 BGR.
        """
        height, width = pixels.shape[:2]
        found: list[Seen] = []
        for detection in self._networks.detect(pixels):
            seen = self._see(pixels, detection.region)
            if seen is not None and all(overlap(seen, other) < SAME_FACE for other in found):
                found.append(seen)
        found.sort(key=lambda s: prominence(s, (width, height)), reverse=True)
        return [Face(s.landmarks, s.blendshapes, s.pose, s.score, i) for i, s in enumerate(found[: self._faces])]

    def close(self) -> None:
        """Frees the networks; may be called twice."""
        self._networks.close()

    def _see(self, pixels: Pixels, region: Region) -> Seen | None:
        """What the networks say of one place, None where there is no face."""
        landmarks, score = self._networks.landmarks(pixels, region)
        if score < MIN_SCORE:
            return None
        pose, space = self._pose.fit(landmarks, (pixels.shape[1], pixels.shape[0]))
        shape = head_shape(pose, space)[SHAPE_POINTS]
        return Seen(landmarks, self._networks.blendshapes(landmarks), pose, shape, score)

    def _follow(self, pixels: Pixels, now_s: float) -> None:
        """Every person followed, in this frame; who is not there is lost."""
        kept: list[Person] = []
        for person in self._followed:
            seen = self._see(pixels, region_around(person.last.landmarks))
            taken = seen is not None and any(overlap(seen, other.last) > SAME_FACE for other in kept)
            if seen is None or taken or person.is_other(seen):
                self._lost.append(person)
                self._filters.pop(person.track, None)
            else:
                person.update(seen, now_s)
                kept.append(person)
                self._someone_lived |= person.alive
        self._followed = kept
        self._lost = [p for p in self._lost if self._faces == 1 or now_s - p.last_s <= FORGET_S][-self._faces :]

    def _must_look(self) -> bool:
        """Whether the detector is needed in this frame."""
        if not self._followed:
            return True
        if self._faces > 1:
            return len(self._followed) < self._faces and self._frames % LOOK_EVERY == 0
        return not self._followed[0].alive and self._frames % LOOK_EVERY == 0

    def _look(self, pixels: Pixels, now_s: float) -> None:
        """Runs the detector and decides about the faces that nobody followed has."""
        size = (pixels.shape[1], pixels.shape[0])
        strangers: list[Seen] = []
        for detection in self._nearest_first(self._networks.detect(pixels)):
            seen = self._see(pixels, detection.region)
            if seen and all(overlap(seen, p.last) < SAME_FACE for p in self._followed):
                strangers.append(seen)
        strangers.sort(key=lambda s: prominence(s, size), reverse=True)
        for person in reversed(self._lost.copy()):
            back = min(strangers, key=person.distance_cm, default=None)
            if back is not None and person.returns_as(back, now_s) and len(self._followed) < self._faces:
                self._lost.remove(person)
                strangers.remove(back)
                person.update(back, now_s)
                self._followed.append(person)
        if self._faces > 1 or not self._someone_lived:
            while strangers and len(self._followed) < self._faces:
                self._take(Person(0, strangers.pop(0), now_s))
        if self._faces == 1:
            self._weigh(strangers, now_s, size)

    def _nearest_first(self, detections: list[Detection]) -> list[Detection]:
        """The few largest detections: the landmark network must not run on a crowd of twenty."""
        largest = sorted(detections, key=lambda d: d.region.width, reverse=True)
        return largest[: MOST_CANDIDATES + self._faces]

    def _weigh(self, strangers: list[Seen], now_s: float, size: tuple[int, int]) -> None:
        """Gathers signs of life from the faces not followed; the first to show them may take over."""
        known = [p for p in self._candidates if now_s - p.last_s <= PATIENCE_S]
        self._candidates = []
        for seen in strangers[:MOST_CANDIDATES]:
            person = max(known, key=lambda p: overlap(p.last, seen), default=None)
            if person is not None and overlap(person.last, seen) > SAME_FACE:
                known.remove(person)
                person.update(seen, now_s)
            else:
                person = Person(0, seen, now_s)
            self._candidates.append(person)
        self._candidates += known
        if self._followed and self._followed[0].alive:
            return
        waited = all(now_s - p.last_s >= PATIENCE_S for p in self._lost if p.alive)
        living = [p for p in self._candidates if p.alive and p.last_s == now_s]
        if living and waited:
            for person in self._followed:
                self._filters.pop(person.track, None)
            self._followed.clear()
            self._lost.clear()
            self._take(max(living, key=lambda p: prominence(p.last, size)))

    def _take(self, person: Person) -> None:
        """Starts to follow somebody new."""
        if person in self._candidates:
            self._candidates.remove(person)
        person.track = self._tracks
        self._tracks += 1
        self._followed.append(person)
        self._someone_lived |= person.alive

    def _steadied(self, person: Person, size: tuple[int, int]) -> Face:
        seen = person.last
        steady = self._filters.setdefault(person.track, FaceFilter())
        landmarks, blendshapes = steady(seen.landmarks, seen.blendshapes, self._now_s, self.steadiness)
        pose = self._pose(landmarks, size) if self.steadiness > 0 else seen.pose
        return Face(landmarks, blendshapes, pose, seen.score, person.track)

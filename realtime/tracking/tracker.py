"""Finds faces and follows people: the tracker that the live loop asks for every frame.

MediaPipe's way: the detector runs only to find a face; from then on the landmark network looks where the landmarks of
the last frame were. Who is followed is decided in `person_selection`, steadiness made in `smoothing`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from realtime.errors import ConfigError
from realtime.frame import Floats, Frame, Pixels
from realtime.inference.session import Session
from realtime.tracking.face import Face
from realtime.tracking.face_networks import MIN_SCORE, FaceNetworks, Region, region_around
from realtime.tracking.person_selection import (
    MOST_CANDIDATES,
    SAME_FACE,
    Observation,
    PersonSelection,
    Track,
    overlap,
    prominence,
)
from realtime.tracking.pose import HeadPose
from realtime.tracking.shape_embedding import SHAPE_POINTS, ShapeEmbedding
from realtime.tracking.smoothing import FaceFilter

WHOLE = 0.97  # the share of a face's landmarks that must be in the picture: an ear may be cut off


class FaceTracker(ABC):
    """Called with frames, gives the faces of the people followed; for one thread.

    `folder`: the verified `face` bundle. `faces`: how many people at most. `steadiness`: 0 = unfiltered landmarks,
    1 = default; may be set between frames. Raises ConfigError for fewer than one face.
    """

    sessions: Sequence[Session] = ()

    def __init__(self, folder: Path, faces: int, steadiness: float) -> None:
        if faces < 1:
            raise ConfigError(f"{faces} faces cannot be followed: pass 1 or more")
        self.steadiness = steadiness
        self._faces = faces
        self._pose = HeadPose(folder / "pose.npz")
        self._shape_embedding = ShapeEmbedding(folder / "skull.npz")
        self._people = PersonSelection(faces)
        self._filters: dict[int, FaceFilter] = {}
        self._now_s = 0.0

    def close(self) -> None:
        """Frees the networks; may be called twice."""
        for session in self.sessions:
            session.close()

    @abstractmethod
    def _follow(self, pixels: Pixels, people: list[Track]) -> list[Observation | None]:
        """What is in this frame where these people were in the last one."""

    @abstractmethod
    def _search(self, pixels: Pixels) -> list[Observation]:
        """Every face in the whole picture, each once."""

    def __call__(self, frame: Frame) -> list[Face]:
        """The faces of the people followed, steadied; empty when none of them is seen."""
        now_s = frame.time_s
        people = self._people
        if now_s < self._now_s:
            people.rewind(now_s)
        self._now_s = now_s
        people.update(self._follow(frame.pixels, people.followed), now_s)
        if people.needs_detection(now_s):
            people.match(self._search(frame.pixels), now_s, frame.size)
        tracks = {person.track for person in people.followed}
        self._filters = {track: f for track, f in self._filters.items() if track in tracks}
        return [self._steadied(person, frame.size) for person in people.followed]

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of a still picture, up to `faces`, the largest and most central first.

        Unfiltered, and without any memory. `pixels` is (H, W, 3) uint8 BGR.
        """
        size = (pixels.shape[1], pixels.shape[0])
        found = sorted(self._search(pixels), key=lambda s: prominence(s, size), reverse=True)
        return [Face(s.landmarks, s.blendshapes, s.pose, s.score, i) for i, s in enumerate(found[: self._faces])]

    def _observe(self, landmarks: Floats, blendshapes: Floats, score: float, size: tuple[int, int]) -> Observation:
        """What the networks said of one face in a frame of `size` (width, height), and what follows from it."""
        pose, shape = self._pose.fit(landmarks, size, SHAPE_POINTS)
        inside = (landmarks[:, :2] >= 0) & (landmarks[:, :2] <= size)
        whole = bool(inside.all(axis=1).mean() > WHOLE)
        return Observation(landmarks, blendshapes, pose, self._shape_embedding(shape, pose), score, whole)

    def _steadied(self, person: Track, size: tuple[int, int]) -> Face:
        seen = person.last
        if self.steadiness <= 0:
            self._filters.pop(person.track, None)
            return Face(seen.landmarks, seen.blendshapes, seen.pose, seen.score, person.track)
        steady = self._filters.setdefault(person.track, FaceFilter())
        landmarks, blendshapes = steady(seen.landmarks, seen.blendshapes, self._now_s, self.steadiness)
        # Fitted anew: the filter has moved the landmarks.
        return Face(landmarks, blendshapes, self._pose(landmarks, size), seen.score, person.track)


class Tracker(FaceTracker):
    """A `FaceTracker` on our own sessions, always in fp32. Raises ModelError where the provider cannot run."""

    def __init__(
        self, folder: Path, *, provider: str = "auto", faces: int = 1, steadiness: float = 1.0, threads: int = 1
    ) -> None:
        super().__init__(folder, faces, steadiness)
        self._networks = FaceNetworks(folder, provider, threads)
        self.sessions = self._networks.sessions

    def _follow(self, pixels: Pixels, people: list[Track]) -> list[Observation | None]:
        return [self._look(pixels, region_around(person.last.landmarks)) for person in people]

    def _search(self, pixels: Pixels) -> list[Observation]:
        """The largest faces only: the landmark network must not run on a crowd of twenty."""
        largest = sorted(self._networks.search(pixels), key=lambda d: d.region.width, reverse=True)
        found: list[Observation] = []
        for detection in largest[: self._faces + MOST_CANDIDATES]:
            seen = self._look(pixels, detection.region)
            if seen is not None and all(overlap(seen, other) < SAME_FACE for other in found):
                found.append(seen)
        return found

    def _look(self, pixels: Pixels, region: Region) -> Observation | None:
        """What the networks say of one place, None where there is no face."""
        landmarks, score = self._networks.landmarks(pixels, region)
        if score < MIN_SCORE:
            return None
        size = (pixels.shape[1], pixels.shape[0])
        return self._observe(landmarks, self._networks.blendshapes(landmarks), score, size)


class NoFaces:
    """Finds no face in any frame, at no cost: a still picture speaks, and no camera is open. Obeys `FaceFinder`."""

    steadiness = 1.0
    sessions: Sequence[Session] = ()

    def __call__(self, frame: Frame) -> list[Face]:
        """Nobody."""
        return []

    def close(self) -> None:
        """Nothing is held."""

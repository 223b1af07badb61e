"""Finds faces and follows people: the tracker that the live loop asks for every frame.

MediaPipe's way: the detector runs only to find a face; from then on the landmark network looks where the
landmarks of the last frame were. Who is followed is decided in `follow`, steadiness made in `smooth`.
"""

from pathlib import Path

from realtime.clock import NS_PER_S
from realtime.errors import ModelError
from realtime.face import Face
from realtime.face_networks import MIN_SCORE, FaceNetworks, Region, region_around
from realtime.follow import MOST_CANDIDATES, SAME_FACE, Followers
from realtime.frame import Frame, Pixels
from realtime.person import SHAPE_POINTS, Person, Seen, overlap, prominence
from realtime.pose import HeadPose, head_shape
from realtime.smooth import FaceFilter


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
        self._people = Followers(faces)
        self._filters: dict[int, FaceFilter] = {}
        self._now_s = 0.0

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
        people, pixels = self._people, frame.pixels
        if now_s < self._now_s:
            people.rewind(now_s)
        self._now_s = now_s
        places = [region_around(person.last.landmarks) for person in people.followed]
        people.keep([self._see(pixels, place) for place in places], now_s)
        if people.must_look():
            people.meet(self._search(pixels), now_s, frame.size)
        tracks = {person.track for person in people.followed}
        self._filters = {track: f for track, f in self._filters.items() if track in tracks}
        return [self._steadied(person, frame.size) for person in people.followed]

    def find(self, pixels: Pixels) -> list[Face]:
        """All faces of a still picture, up to `faces`, the largest and most central first.

        Unfiltered, and without any memory. `pixels` is (H, W, 3) uint8 BGR.
        """
        size = (pixels.shape[1], pixels.shape[0])
        found = sorted(self._search(pixels), key=lambda s: prominence(s, size), reverse=True)
        return [
            Face(s.landmarks, s.blendshapes, s.pose, s.score, i) for i, s in enumerate(found[: self._faces])
        ]

    def close(self) -> None:
        """Frees the networks; may be called twice."""
        self._networks.close()

    def _search(self, pixels: Pixels) -> list[Seen]:
        """The largest faces in the whole picture: the landmark network must not run on a crowd of twenty."""
        largest = sorted(self._networks.search(pixels), key=lambda d: d.region.width, reverse=True)
        found: list[Seen] = []
        for detection in largest[: self._faces + MOST_CANDIDATES]:
            seen = self._see(pixels, detection.region)
            if seen is not None and all(overlap(seen, other) < SAME_FACE for other in found):
                found.append(seen)
        return found

    def _see(self, pixels: Pixels, region: Region) -> Seen | None:
        """What the networks say of one place, None where there is no face."""
        landmarks, score = self._networks.landmarks(pixels, region)
        if score < MIN_SCORE:
            return None
        pose, space = self._pose.fit(landmarks, (pixels.shape[1], pixels.shape[0]))
        shape = head_shape(pose, space)[SHAPE_POINTS]
        return Seen(landmarks, self._networks.blendshapes(landmarks), pose, shape, score)

    def _steadied(self, person: Person, size: tuple[int, int]) -> Face:
        seen = person.last
        steady = self._filters.setdefault(person.track, FaceFilter())
        landmarks, blendshapes = steady(seen.landmarks, seen.blendshapes, self._now_s, self.steadiness)
        pose = self._pose(landmarks, size) if self.steadiness > 0 else seen.pose
        return Face(landmarks, blendshapes, pose, seen.score, person.track)

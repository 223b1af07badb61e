"""Finds faces and follows people: the tracker that the live loop asks for every frame.

MediaPipe's way: the detector runs only to find a face; from then on the landmark network looks where the
landmarks of the last frame were. Who is followed is decided in `follow`, steadiness made in `smooth`.
"""

from pathlib import Path

from realtime.frame import Pixels
from realtime.models.library import built_in_folder, load_bundle
from realtime.tracking.face_networks import MIN_SCORE, FaceNetworks, Region, region_around
from realtime.tracking.face_tracker import FaceTracker
from realtime.tracking.person_selection import MOST_CANDIDATES, SAME_FACE
from realtime.tracking.track import Observation, Track, overlap


class Tracker(FaceTracker):
    """A `FaceTracker` on our own sessions.

    `folder`: a `landmarks` bundle, None for the packaged one. The networks always run in fp32. Raises
    ModelError where the bundle is not whole or the provider cannot run.
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
        bundle = load_bundle(folder or built_in_folder() / "face")
        super().__init__(faces, steadiness, bundle)
        self._networks = FaceNetworks(
            bundle.path("detector.onnx"),
            bundle.path("landmarks.onnx"),
            bundle.path("blendshapes.onnx"),
            provider,
            threads,
        )

    @property
    def ran_on(self) -> str:
        return self._networks.ran_on

    @property
    def spent_ns(self) -> int:
        return self._networks.spent_ns

    def close(self) -> None:
        self._networks.close()

    def _in_places(self, pixels: Pixels, people: list[Track]) -> list[Observation | None]:
        return [self._see(pixels, region_around(person.last.landmarks)) for person in people]

    def _search(self, pixels: Pixels) -> list[Observation]:
        """The largest faces only: the landmark network must not run on a crowd of twenty."""
        largest = sorted(self._networks.search(pixels), key=lambda d: d.region.width, reverse=True)
        found: list[Observation] = []
        for detection in largest[: self._faces + MOST_CANDIDATES]:
            seen = self._see(pixels, detection.region)
            if seen is not None and all(overlap(seen, other) < SAME_FACE for other in found):
                found.append(seen)
        return found

    def _see(self, pixels: Pixels, region: Region) -> Observation | None:
        """What the networks say of one place, None where there is no face."""
        landmarks, score = self._networks.landmarks(pixels, region)
        if score < MIN_SCORE:
            return None
        return self._seen_of(
            landmarks, self._networks.blendshapes(landmarks), score, (pixels.shape[1], pixels.shape[0])
        )

"""What the tracker finds: one face in one frame."""

from dataclasses import dataclass

from realtime.frame import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face.

    `landmarks`: (478, 3) float32, MediaPipe's order; x and y in frame pixels, z in the same scale
    (smaller is nearer). `blendshapes`: (52,) float32 0..1, MediaPipe's order (index 0 is
    `_neutral`). `pose`: (4, 4) float32, camera-from-canonical-head in centimetres. `score`: 0..1,
    how sure the landmark network is that this is a face. `track`: the number of the person
    followed, stable while continuity holds.
    """

    landmarks: Floats
    blendshapes: Floats
    pose: Floats
    score: float
    track: int = 0

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) in frame pixels, around the landmarks."""
        x0, y0 = self.landmarks[:, :2].min(axis=0)
        x1, y1 = self.landmarks[:, :2].max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)

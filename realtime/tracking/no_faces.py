"""The finder of a run that looks at nobody: a still picture speaks, and no camera is open."""

from realtime.frame import Frame
from realtime.tracking.face import Face


class NoFaces:
    """Finds no face in any frame, at no cost. Obeys `FaceFinder`."""

    steadiness = 1.0
    ran_on = "none"
    spent_ns = 0

    def __call__(self, frame: Frame) -> list[Face]:
        """Nobody."""
        return []

    def close(self) -> None:
        """Nothing is held."""

"""A source that ends when something else does: a still picture lasts as long as what is said in it."""

from collections.abc import Callable

from realtime.capture import Source
from realtime.frame import Frame


class Until:
    """The frames of `source` before the first for which `over` says True. Obeys `Source`; owns `source`."""

    def __init__(self, source: Source, over: Callable[[Frame], bool]) -> None:
        self._source, self._over = source, over

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self._source.size

    @property
    def rate_hz(self) -> float:
        """Frames a second, the source's own."""
        return self._source.rate_hz

    @property
    def live(self) -> bool:
        """As the source."""
        return self._source.live

    @property
    def state(self) -> str:
        """As the source."""
        return self._source.state

    def read(self) -> Frame | None:
        """The next frame; None from the end on."""
        frame = self._source.read()
        if frame is None or self._over(frame):
            self._source.unblock()  # no frame comes after the end
            return None
        return frame

    def unblock(self) -> None:
        """Make `read` return None. From any thread."""
        self._source.unblock()

    def close(self) -> None:
        """Close the source. May be called twice."""
        self._source.close()

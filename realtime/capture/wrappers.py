"""A source around another: the ground for those that change one thing about it."""

from collections.abc import Callable

from realtime.capture.source import Source
from realtime.frame import Frame


class AroundSource:
    """Everything as `source` has it. Obeys `Source`; owns `source`. What derives from it changes `read`."""

    def __init__(self, source: Source) -> None:
        self._source = source

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
        """The source's next frame; None at its end."""
        return self._source.read()

    def unblock(self) -> None:
        """Make `read` return None. From any thread."""
        self._source.unblock()

    def close(self) -> None:
        """Close the source. May be called twice."""
        self._source.close()


class Until(AroundSource):
    """The frames of `source` before the first for which `over` says True."""

    def __init__(self, source: Source, over: Callable[[Frame], bool]) -> None:
        super().__init__(source)
        self._over = over

    def read(self) -> Frame | None:
        """The next frame; None from the end on."""
        frame = super().read()
        if frame is None or self._over(frame):
            self.unblock()  # no frame comes after the end
            return None
        return frame

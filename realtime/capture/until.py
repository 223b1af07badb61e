"""A source that ends when something else does: a still picture lasts as long as what is said in it."""

from collections.abc import Callable

from realtime.capture.around import AroundSource
from realtime.capture.source import Source
from realtime.frame import Frame


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

"""The live page as a sink."""

from realtime.frame import Frame
from realtime.web.server import Panel


class PageSink:
    """Hands pictures to the panel, which serves them to open pages.

    Never blocks: the panel keeps the newest picture and encodes it in its own thread, and only while
    somebody looks. The panel belongs to whoever made it and is not closed here.
    """

    name = "page"

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def show(self, frame: Frame) -> None:
        """Offer the picture to the open pages."""
        self._panel.show(frame)

    def close(self) -> None:
        """Nothing to free: the panel's owner closes it."""

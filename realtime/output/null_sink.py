"""A sink that keeps nothing: for measuring, and for runs where only the side effects count."""

from realtime.frame import Frame


class NullSink:
    """Takes every picture and forgets it; `shown` says how many came."""

    name = "null"

    def __init__(self) -> None:
        self.shown = 0

    def show(self, frame: Frame) -> None:
        """Count the picture."""
        self.shown += 1

    def close(self) -> None:
        """Nothing to free."""

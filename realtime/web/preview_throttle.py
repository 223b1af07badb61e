"""How often the page gets a picture while the loop is short of time: those who are called come first."""

from collections.abc import Mapping
from typing import Any

from realtime.clock import NS_PER_S, Clock

BUSY_HZ = 10.0
"""A picture costs the browser and us about 14 ms of a processor (720p, measured): at 10 a second 7 % of two."""

SHORT = 0.1
"""From this share of dropped frames on the loop is short of time."""

LASTS_S = 10.0
"""It stays so for a while, else the page would be quick and slow by turns."""


class Courtesy:
    """Learns from the reports of a run. `hz` is None where the page may have every picture.

    It gives way only where somebody else sees the picture, too: with the page as its only output a run works for it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen = (0, 0)
        self._short_ns: int | None = None
        self._others = False

    def note(self, report: Mapping[str, Any]) -> None:
        """Look at a newer report."""
        frames = report.get("frames", {})
        captured, dropped = frames.get("captured", 0), frames.get("dropped", 0)
        more, lost = captured - self._seen[0], dropped - self._seen[1]
        self._others = any(name != "page" for name in report.get("outputs", ()))
        if more <= 0:
            return
        self._seen = captured, dropped
        if lost > SHORT * more:
            self._short_ns = self._clock()

    @property
    def hz(self) -> float | None:
        """Pictures a second at most, None for all."""
        if self._short_ns is None or not self._others:
            return None
        return BUSY_HZ if self._clock() - self._short_ns < LASTS_S * NS_PER_S else None

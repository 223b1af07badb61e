"""When a stream of sound happened: sample numbers laid on the clock, block by block.

A microphone's crystal and the computer's run apart (some 50 ppm: 30 ms in ten minutes), its blocks arrive with jitter,
and now and then some are lost. The stream's time follows the earliest arrivals slowly, so that jitter moves nothing;
what is missing becomes silence, what is too much is cut.
"""

from collections import deque

from realtime.clock import NS_PER_S

GAP_S = 0.060
"""A block later (or earlier) than this does not belong behind the one before."""

LONGEST_S = 5.0
"""A longer gap is not filled: nothing keeps so much sound, so the stream simply begins again there."""

_WATCHED_S = 2.0
_SLEW = 0.005
"""Seconds a second: ten times what crystals differ by, and less than anybody sees on a mouth."""


class Arrival:
    """Keeps `zero_ns`, the clock's time of the stream's second 0. `exact` where stamps have no jitter (files)."""

    def __init__(self, *, exact: bool = False) -> None:
        self.zero_ns = 0
        self.gaps = 0
        self.missing_s = self.cut_s = 0.0
        self._exact = exact
        self._tolerance_s = 0.020 if exact else GAP_S
        # (start, the zero it speaks for) of the last blocks, ns; only those no later one undercuts, so rising.
        self._earliest: deque[tuple[int, int]] = deque()
        self._since_ns = self._before_ns = 0
        self._begun = False

    def place(self, position_s: float, start_ns: int) -> float:
        """Seconds of silence to put before a block that comes when the stream is `position_s` long.

        Negative: so much of the block's beginning is to be cut off. `start_ns` is the block's own stamp.
        """
        position_ns = round(position_s * NS_PER_S)
        if not self._begun:
            self._begun = True
            self._restart(start_ns, start_ns - position_ns)
            return 0.0
        late_ns = start_ns - self.zero_ns - position_ns
        late_s = late_ns / NS_PER_S
        if abs(late_s) > self._tolerance_s:
            return self._jump(start_ns, late_s, late_ns)
        if not self._exact:
            self._follow(start_ns, start_ns - position_ns)
        return 0.0

    def _restart(self, start_ns: int, zero_ns: int) -> None:
        self.zero_ns = zero_ns
        self._earliest.clear()
        self._since_ns = self._before_ns = start_ns

    def _jump(self, start_ns: int, late_s: float, late_ns: int) -> float:
        self.gaps += 1
        if abs(late_s) > LONGEST_S:
            self.missing_s += max(late_s, 0.0)
            self._restart(start_ns, self.zero_ns + late_ns)
            return 0.0
        self._restart(start_ns, self.zero_ns)
        if late_s > 0:
            self.missing_s += late_s
        else:
            self.cut_s -= late_s
        return late_s

    def _follow(self, start_ns: int, zero_ns: int) -> None:
        while self._earliest and self._earliest[-1][1] >= zero_ns:
            self._earliest.pop()
        self._earliest.append((start_ns, zero_ns))
        while start_ns - self._earliest[0][0] > _WATCHED_S * NS_PER_S:
            self._earliest.popleft()
        step_ns, self._before_ns = start_ns - self._before_ns, start_ns
        if start_ns - self._since_ns < 0.5 * _WATCHED_S * NS_PER_S:
            return
        most = round(_SLEW * max(step_ns, 0))
        self.zero_ns += max(-most, min(most, self._earliest[0][1] - self.zero_ns))

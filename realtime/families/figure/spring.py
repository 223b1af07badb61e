"""What hangs loose: a damped spring that follows what it hangs on."""

import math


class Spring:
    """Follows a value, which moves evenly in each step, with a swing of its own.

    The equation is solved, not integrated: it is stable, and the same, at any frame rate.
    """

    def __init__(self, hz: float, damping: float) -> None:
        self._rate, self._damping = 2 * math.pi * hz, damping
        self._at: float | None = None
        self._speed = self._aim = 0.0

    def __call__(self, aim: float, step_s: float) -> float:
        """Where it is after a step in which what it follows came to `aim`; it begins there, at rest."""
        if self._at is None:
            self._at = self._aim = aim
        if step_s <= 0:
            return self._at
        pace = (aim - self._aim) / step_s
        lag = 2 * self._damping / self._rate * pace  # behind what goes on at this pace for ever
        away, speed = self._at - (self._aim - lag), self._speed - pace
        decay = self._damping * self._rate
        turn = self._rate * math.sqrt(1 - self._damping**2)
        left, cos, sin = math.exp(-decay * step_s), math.cos(turn * step_s), math.sin(turn * step_s)
        self._at = aim - lag + left * (away * cos + (speed + decay * away) / turn * sin)
        self._speed = pace + left * (speed * cos - (decay * speed + self._rate**2 * away) / turn * sin)
        self._aim = aim
        return self._at

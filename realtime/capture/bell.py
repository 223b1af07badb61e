"""A wait that another thread can end: what makes every `read` unblockable.

Made of a socket pair and `select`, so that no lock is needed outside `threads.py`.
"""

import contextlib
import select
import socket
import sys
import time

# `select` on Windows wakes on the 15.6 ms tick; `time.sleep` does not (high-resolution timer since
# Python 3.11). So there the last stretch of a wait is slept.
_COARSE_S = 0.02 if sys.platform == "win32" else 0.0


class Bell:
    """Rung once, it ends every wait, now and later. `ring` may be called from any thread, and twice."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self._rung = False

    @property
    def rung(self) -> bool:
        """True once somebody rang."""
        return self._rung

    def ring(self) -> None:
        """End all waits."""
        self._rung = True
        # Closed, or rung so often that the pipe is full: either way nobody waits in vain.
        with contextlib.suppress(OSError):
            self._far.send(b"!")

    def wait(self, seconds: float) -> bool:
        """Wait so long; True at once when rung."""
        if self._rung or seconds <= 0:
            return self._rung
        until = time.monotonic() + seconds
        if seconds > _COARSE_S:
            select.select([self._near], [], [], seconds - _COARSE_S)
        rest = until - time.monotonic()
        if _COARSE_S and rest > 0 and not self._rung:
            time.sleep(rest)
        return self._rung

    def close(self) -> None:
        """Let go of the sockets; counts as a ring. May be called twice."""
        self.ring()
        self._near.close()
        self._far.close()

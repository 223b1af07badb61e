"""What the program warned of, for people who don't look at its terminal."""

import logging
from collections import OrderedDict
from typing import Any

from realtime.clock import NS_PER_S, Clock
from realtime.text import printable

MOST = 12


class Notices(logging.Handler):
    """Keeps the newest warnings of this program, each text once. Any thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._said: OrderedDict[str, int] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Note a warning. Called by `logging`, which holds the handler's lock."""
        text = printable(record.getMessage(), 400)
        self._said.pop(text, None)
        self._said[text] = self._clock()
        while len(self._said) > MOST:
            self._said.popitem(last=False)

    def report(self) -> list[dict[str, Any]]:
        """The warnings, newest first, and how many seconds ago each was."""
        now = self._clock()
        self.acquire()
        try:
            said = list(self._said.items())
        finally:
            self.release()
        return [{"text": text, "ago_s": (now - at) // NS_PER_S} for text, at in reversed(said)]

"""How many may hold the line: connections cost a file descriptor each, and a process that has none left cannot go on.

aiohttp gives no bound to connections, nor a time to those that never ask anything. Whoever opens a thousand of them and
stays silent must neither use up the descriptors that cameras and recordings need, nor keep the page's owner out.
"""

import asyncio
from collections.abc import Callable

MOST = 128
"""A browser opens six a page, and its WebSockets. Eight times as many as the server takes at once: so an owner who
comes in a crowd is heard, a few turns of the loop later, before the crowd pushes it out."""

PATIENCE_S = 10.0
"""So long may a connection take to show that it is the owner's."""


class Connections:
    """Makes the protocol of each new connection; give it to `loop.create_server`. Runs on the server's loop.

    `make` makes the protocols that answer. One that has not been `let_in` within `patience_s` is hung up, and where
    there are `most` the oldest of those gives way to a new one; where all are let in the new one is turned away.
    """

    def __init__(
        self, make: Callable[[], asyncio.Protocol], *, most: int = MOST, patience_s: float = PATIENCE_S
    ) -> None:
        self._make, self._most, self._patience_s = make, most, patience_s
        self._strangers: dict[asyncio.Protocol, Line] = {}
        self._owners: dict[asyncio.Protocol, Line] = {}

    def __len__(self) -> int:
        return len(self._strangers) + len(self._owners)

    def __call__(self) -> "Line":
        return Line(self, self._make())

    def let_in(self, answering: object) -> None:
        """The one who speaks through this protocol is the owner: it may stay."""
        line = self._strangers.pop(answering, None)  # type: ignore[call-overload]
        if line is not None:
            self._owners[line.answering] = line

    def opened(self, line: "Line") -> bool:
        """Note a new connection; False where there is no room for it."""
        if len(self) >= self._most:
            if not self._strangers:
                return False
            next(iter(self._strangers.values())).hang_up()  # dicts keep the order in which they came
        self._strangers[line.answering] = line
        line.timer = asyncio.get_running_loop().call_later(self._patience_s, self._impatient, line)
        return True

    def _impatient(self, line: "Line") -> None:
        if line.answering in self._strangers:
            line.hang_up()

    def closed(self, line: "Line") -> None:
        """It is over, from either side."""
        self._strangers.pop(line.answering, None)
        self._owners.pop(line.answering, None)
        if line.timer is not None:
            line.timer.cancel()


class Line(asyncio.Protocol):
    """One connection, which passes everything on to the protocol that answers, if there is room for it."""

    def __init__(self, connections: Connections, answering: asyncio.Protocol) -> None:
        self._connections, self.answering = connections, answering
        self.timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer, or turn away."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open = self._connections.opened(self)
        if self._open:
            self.answering.connection_made(transport)
        else:
            transport.abort()

    def hang_up(self) -> None:
        """Now; what was to be sent is not."""
        self._connections.closed(self)
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Passed on."""
        self._connections.closed(self)
        if self._open:
            self.answering.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        self.answering.data_received(data)

    def eof_received(self) -> bool | None:
        """Passed on."""
        return self.answering.eof_received()

    def pause_writing(self) -> None:
        """Passed on."""
        self.answering.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        self.answering.resume_writing()

"""Those who hold the line and say nothing: they are hung up, and never keep the page's owner out."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession
from pages import Opened, open_page

from realtime.web.connections import MOST, Connections, Line


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as panel:
        yield panel


class Answering(asyncio.Protocol):
    """Notes what reaches it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.heard.append("made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append("lost")

    def data_received(self, data: bytes) -> None:
        self.heard.append(data.decode())


class FakeTransport(asyncio.Transport):
    """Hung up or not."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def call(connections: Connections) -> tuple[Line, FakeTransport]:
    line, transport = connections(), FakeTransport()
    line.connection_made(transport)
    return line, transport


def test_the_oldest_stranger_gives_way_and_the_owner_never_does() -> None:
    async def story() -> None:
        connections = Connections(Answering, most=3)
        calls = [call(connections) for _ in range(3)]
        connections.let_in(calls[0][0].answering)
        calls.append(call(connections))
        assert [transport.aborted for _, transport in calls] == [False, True, False, False]
        calls[1][0].connection_lost(None)
        for line, _ in calls[2:]:
            connections.let_in(line.answering)
        turned_away, transport = call(connections)
        assert transport.aborted
        turned_away.connection_lost(None)
        answering = turned_away.answering
        assert isinstance(answering, Answering)
        assert answering.heard == []
        assert len(connections) == 3
        line, _ = calls[0]
        line.data_received(b"hello")
        line.connection_lost(None)
        answering = line.answering
        assert isinstance(answering, Answering)
        assert answering.heard == ["made", "hello", "lost"]
        assert len(connections) == 2
        for line, _ in calls[2:]:
            line.connection_lost(None)

    asyncio.run(story())


def test_silence_is_not_waited_out() -> None:
    async def story() -> None:
        connections = Connections(Answering, patience_s=0)
        owner, kept = connections(), FakeTransport()
        owner.connection_made(kept)
        connections.let_in(owner.answering)
        silent, transport = call(connections)
        while not transport.aborted:
            await asyncio.sleep(0)
        assert not kept.aborted
        for line in (owner, silent):
            line.connection_lost(None)

    asyncio.run(story())


def test_hundreds_who_say_nothing_or_half_a_word_keep_nobody_out(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            assert (await ws.receive(timeout=10)).data
            crowd = []
            for number in range(3 * MOST):
                reader, writer = await asyncio.open_connection("127.0.0.1", opened.page.port)
                if number % 2:
                    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
                crowd.append((reader, writer))
            async with (
                ClientSession(cookie_jar=browser.cookie_jar) as again,
                again.get(opened.home + "/api/settings") as answer,
            ):
                assert answer.status == 200
            for reader, _ in crowd[: 2 * MOST - 2]:
                with contextlib.suppress(ConnectionError):  # as good
                    assert await asyncio.wait_for(reader.read(), 10) == b""
            await ws.send_str("nonsense")  # the owner's line was there all the time
            while not (await ws.receive(timeout=10)).type.name.startswith("CLOS"):
                pass
            for _, writer in crowd:
                writer.close()

    opened.browse(visit)

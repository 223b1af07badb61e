"""Stream addresses, against servers on this machine."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sources import JpegServer
from written_video import number_of, numbered_pictures, written

from realtime.capture.stream import Stream, without_password
from realtime.errors import DeviceError
from realtime.threads import Crew

Serve = Callable[..., JpegServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with Crew() as crew:

        def start(connections: list[tuple[int, tuple[int, int]]], **options: bool) -> JpegServer:
            server = JpegServer(connections, **options)
            crew.start("server", server.serve, server.stop)
            return server

        yield start


def test_frames_arrive_in_order_and_a_lost_line_is_opened_again(serve: Serve) -> None:
    server = serve([(20, (320, 180)), (20, (160, 160))])
    source = Stream(server.address, clock=lambda: 9)
    try:
        assert (source.size, source.live, source.finite) == ((320, 180), True, False)
        numbers: list[int | None] = []
        while source.losses == 0 or len(numbers) < 25:
            frame = source.read()
            assert frame.size == (320, 180)
            assert (frame.seq, frame.captured_ns, frame.media_s) == (len(numbers), 9, None)
            numbers.append(number_of(frame.pixels))
        assert numbers[:15] == list(range(15))
        assert source.losses == 1
        assert source.state == "ok"
    finally:
        source.close()
        source.close()


def test_a_line_that_falls_silent_is_noticed_and_unblock_ends_the_wait(serve: Serve) -> None:
    server = serve([(10, (320, 180))], silent_at_end=True)
    source = Stream(server.address, silent_s=1.0)
    said: list[str] = []

    def wait(seconds: float) -> bool:
        said.append(source.state)
        source.unblock()
        return True

    source._wait = wait
    source._timeouts = (1.0, 1.0)
    try:
        while source.read() is not None:
            pass
        assert said == [f"the stream {server.address} is gone: waiting for it"]
    finally:
        source.close()


def test_what_does_not_open_is_one_line_without_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeviceError) as caught:
        Stream(f"http://user:secret@127.0.0.1:{port}/live?token=hidden")
    text = str(caught.value)
    assert f"the stream http://127.0.0.1:{port}/live does not open" in text
    assert "check the address" in text
    assert "secret" not in text
    assert "hidden" not in text
    assert "\n" not in text


def test_udp_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ts", numbered_pictures(30), codec="mpeg2video", options={"b": "4M", "g": "5"})
    data = path.read_bytes()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with Crew() as crew:
        stopped: list[bool] = []

        def send() -> None:
            while not stopped and not crew.stopping:
                for at in range(0, len(data), 1316):
                    sender.sendto(data[at : at + 1316], ("127.0.0.1", port))

        crew.start("sender", send, lambda: stopped.append(True))
        source = Stream(f"udp://127.0.0.1:{port}?overrun_nonfatal=1", silent_s=2.0)
        try:
            numbers = {number_of(frame.pixels) for _ in range(40) if (frame := source.read()) is not None}
        finally:
            source.close()
    sender.close()
    assert source.size == (320, 180)
    assert len(numbers - {None}) > 5


def test_addresses_are_shown_without_secrets() -> None:
    assert without_password("rtsp://me:pw@cam.local:554/s1?auth=x#y") == "rtsp://cam.local:554/s1"
    assert without_password("udp://@239.0.0.1:1234") == "udp://239.0.0.1:1234"

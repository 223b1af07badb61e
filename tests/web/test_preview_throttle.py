"""The page gives way to a call while the loop is short of time, and only then."""

import asyncio
from typing import Any

import cv2
import numpy as np
from fakes import pixels

from realtime.clock import NS_PER_S
from realtime.frame import Frame
from realtime.web.preview import Live
from realtime.web.preview_throttle import BUSY_HZ, Courtesy


class Time:
    now = 0

    def __call__(self) -> int:
        return self.now


def report(captured: int, dropped: int, *outputs: str) -> dict[str, Any]:
    return {"frames": {"captured": captured, "dropped": dropped}, "outputs": ["page", *outputs]}


def test_it_gives_way_where_frames_are_dropped_and_others_see_them() -> None:
    time = Time()
    courtesy = Courtesy(time)
    assert courtesy.hz is None
    courtesy.note({"state": "starting"})
    courtesy.note(report(100, 0, "camera /dev/video9"))
    assert courtesy.hz is None
    courtesy.note(report(130, 15, "camera /dev/video9"))
    assert courtesy.hz == BUSY_HZ
    courtesy.note(report(130, 15))  # the camera was switched off: the page is all there is
    assert courtesy.hz is None
    courtesy.note(report(160, 16, "camera /dev/video9"))
    assert courtesy.hz == BUSY_HZ  # for a while
    time.now += 11 * NS_PER_S
    assert courtesy.hz is None
    courtesy.note(report(20, 15, "camera /dev/video9"))  # another run's numbers: no judgement
    assert courtesy.hz is None


def test_a_page_that_gives_way_gets_the_newest_picture_and_not_one_that_aged() -> None:
    sent: list[int] = []

    class Socket:
        """Notes how light the pictures are. With the first a new one is offered at once, and another a while later."""

        async def send_bytes(self, data: bytes) -> None:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            sent.append(round(float(picture.mean())))
            if len(sent) == 1:
                offer(100)
                again()

        def __aiter__(self) -> "Socket":
            return self

        async def __anext__(self) -> Any:
            while len(sent) < 2:
                await asyncio.sleep(0)
            raise StopAsyncIteration

    async def story() -> None:
        live.append(Live(asyncio.get_running_loop(), lambda: len(sent), most_hz=lambda: 100.0))
        offer(10)
        socket: Any = Socket()
        await asyncio.wait_for(live[0].serve(socket), 10)

    def offer(level: int) -> None:
        live[0].offer(Frame(pixels(level), level, 0))

    def again() -> None:
        if len(sent) < 2:
            asyncio.get_running_loop().call_later(0.03, lambda: (offer(200), again()))

    live: list[Live] = []
    asyncio.run(story())
    assert sent == [10, 200]

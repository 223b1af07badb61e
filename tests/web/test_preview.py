"""What open pages get: fewer pictures while a call is short of time, and the voice in step with them."""

import asyncio
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import WSServerHandshakeError
from fakes import FakeClock, pixels
from pages import ENDED, Opened, open_page
from sounds import NS, filled, noise

from realtime.audio.delay_line import DelayLine
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.config import Settings
from realtime.frame import Floats, Frame
from realtime.web.preview import BUSY_FOR_S, MOST_LISTENERS, Preview, packed

START = 100 * NS
DELAY_S = 0.3


def report(captured: int, dropped: int, *outputs: str) -> dict[str, Any]:
    return {"frames": {"captured": captured, "dropped": dropped}, "outputs": ["page", *outputs]}


def test_pages_get_fewer_pictures_where_frames_are_dropped_and_a_call_sees_them() -> None:
    now = NS
    camera = "camera /dev/video9"

    async def story() -> None:
        nonlocal now
        preview = Preview(asyncio.get_running_loop(), lambda: now)
        for seen, busy in (
            ({"state": "starting"}, False),
            (report(100, 0, camera), False),
            (report(130, 15, camera), True),
            (report(130, 15), False),  # the camera was switched off: the page is all there is
            (report(160, 16, camera), False),
            (report(190, 30, camera), True),  # for a while
        ):
            preview.note_load(seen)
            assert preview.busy == busy, seen
        now += round(BUSY_FOR_S * NS)
        assert not preview.busy
        preview.note_load(report(20, 15, camera))  # another run's numbers: no judgement
        assert not preview.busy

    asyncio.run(story())


def test_a_page_of_a_busy_run_gets_the_newest_picture_and_not_one_that_aged() -> None:
    sent: list[int] = []

    class Socket:
        """Notes how light the pictures are. With the first a new one is offered at once, and more while it waits."""

        async def send_bytes(self, data: bytes) -> None:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            sent.append(round(float(picture.mean())))
            offer(100)

        def __aiter__(self) -> "Socket":
            return self

        async def __anext__(self) -> Any:
            while len(sent) < 2:
                await asyncio.sleep(0.001)
                if sent:
                    offer(250)
            raise StopAsyncIteration

    def offer(level: int) -> None:
        live[0].offer(Frame(pixels(level), level, 0))

    async def story() -> None:
        live.append(Preview(asyncio.get_running_loop(), lambda: len(sent)))
        live[0].note_load(report(10, 9, "camera /dev/video9"))
        offer(10)
        socket: Any = Socket()
        await asyncio.wait_for(live[0].serve(socket), 60)

    live: list[Preview] = []
    asyncio.run(story())
    assert sent[:2] == [10, 250]


def stepping() -> FakeClock:
    """10 ms at each reading."""
    clock = FakeClock(NS // 100)
    clock.now = START + NS
    return clock


SOUND = noise(4.0, 48_000, level=0.1)


def a_voice() -> SpeechBuffer:
    return filled(SOUND, 48_000, START)


def overhear() -> DelayLine:
    return DelayLine(a_voice(), lambda: DELAY_S)


def heard(opened: Opened, held_s: float, count: int) -> Floats:
    with opened.browser.socket("/ws/sound") as ws:
        ws.send(str(held_s))
        pieces = [np.frombuffer(ws.next().data, "<i2") for _ in range(count)]
    return np.asarray(np.concatenate(pieces) / 32767, np.float32)


class Watched(DelayLine):
    """Notes what it was asked: when, and how long before it is heard."""

    def __init__(self, voice: SpeechBuffer) -> None:
        super().__init__(voice, lambda: DELAY_S)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, now_ns: int, ahead_ns: int = 0) -> Floats:
        self.asked.append((now_ns, ahead_ns))
        return super().__call__(now_ns, ahead_ns)


def test_a_listener_hears_the_voice_delayed_and_without_holes() -> None:
    voice = a_voice()
    with open_page(stepping()) as opened:
        for held_s in (0.05, 0.25):
            watched = Watched(voice)
            opened.attach(overhear=lambda watched=watched: watched)
            got = heard(opened, held_s, 8)
            # Found again in what was said: one stretch of it, from when it was first asked for, less the delay; and
            # that is shorter by what the page holds back.
            at = int(np.correlate(SOUND, got, "valid").argmax())
            np.testing.assert_allclose(got, SOUND[at : at + len(got)], atol=1e-4)
            first_ns, ahead_ns = watched.asked[0]
            assert ahead_ns == round((held_s + 0.02) * NS)
            began_s = (first_ns - START) / NS - max(DELAY_S - held_s - 0.02, 0.0)
            assert at / HEARD_HZ == pytest.approx(began_s, abs=0.002)


def test_during_a_panic_nothing_is_heard() -> None:
    with open_page(stepping()) as opened:
        opened.attach(overhear=overhear)
        opened.settings.set(Settings(panic=True))
        got = heard(opened, 0.05, 4)
    assert len(got) > 0
    assert not got.any()


def test_who_may_not_listen_does_not() -> None:
    def refused(status: int) -> None:
        with pytest.raises(WSServerHandshakeError) as error, opened.browser.socket("/ws/sound"):
            pass
        assert error.value.status == status

    with open_page(stepping()) as opened:
        refused(404)  # a run without a voice
        opened.attach(overhear=overhear)
        for said in ("drawn", "nan", "-1", "2"):
            with opened.browser.socket("/ws/sound") as ws:
                ws.send(said)
                assert ws.next().type in ENDED
        with ExitStack() as stack:
            for _ in range(MOST_LISTENERS):
                stack.enter_context(opened.browser.socket("/ws/sound"))
            refused(503)


def test_listeners_are_told_that_it_is_over() -> None:
    with open_page(stepping()) as opened:
        opened.attach(overhear=overhear)
        with opened.browser.socket("/ws/sound") as ws:
            closing = opened.browser.start(asyncio.to_thread(opened.page.close))
            assert ws.next().type in ENDED
            opened.browser.run(closing)


def test_samples_beyond_full_scale_stay_in_range() -> None:
    loud = np.array([2.0, -2.0, 0.5, 0.0], np.float32)
    assert np.frombuffer(packed(loud, silent=False), "<i2").tolist() == [32767, -32767, 16384, 0]
    assert packed(loud, silent=True) == bytes(8)

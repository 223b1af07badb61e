"""The voice on the page: in time, to those who may hear it, and silent when the card is up."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from pages import open_page
from sounds import NS, FakeInput, blocks, noise

from realtime.audio.delay_line import DelayLine
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.audio.voice_pipeline import open_speaker
from realtime.frame import Floats
from realtime.settings import Settings
from realtime.web.sound_routes import MOST_LISTENERS, packed

START = 100 * NS
DELAY_S = 0.3


class Stepping:
    """10 ms at each look at it."""

    def __init__(self) -> None:
        self.now = START + NS

    def __call__(self) -> int:
        self.now += NS // 100
        return self.now


def a_voice() -> tuple[SpeechBuffer, Floats]:
    voice, sound = SpeechBuffer(NoVad()), noise(4.0, 48_000, level=0.1)
    for block in blocks(sound, 48_000, START):
        voice.push(block)
    return voice, sound


async def heard(browser: ClientSession, home: str, held_s: float, count: int) -> Floats:
    async with browser.ws_connect(home + "/ws/sound", origin=home) as ws:
        await ws.send_str(str(held_s))
        pieces = [np.frombuffer(await ws.receive_bytes(timeout=5), "<i2") for _ in range(count)]
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
    voice, sound = a_voice()
    with open_page(Stepping()) as opened:

        async def visit(browser: ClientSession) -> None:
            for held_s in (0.05, 0.25):
                watched = Watched(voice)
                opened.attach(overhear=lambda watched=watched: watched)
                got = await heard(browser, opened.home, held_s, 8)
                # Found again in what was said: one stretch of it, from when it was first asked for, less the delay; and
                # that is shorter by what the page holds back.
                at = int(np.correlate(sound, got, "valid").argmax())
                np.testing.assert_allclose(got, sound[at : at + len(got)], atol=1e-4)
                first_ns, ahead_ns = watched.asked[0]
                assert ahead_ns == round((held_s + 0.02) * NS)
                began_s = (first_ns - START) / NS - max(DELAY_S - held_s - 0.02, 0.0)
                assert at / HEARD_HZ == pytest.approx(began_s, abs=0.002)

        opened.browse(visit)


def test_while_the_card_is_up_nothing_is_heard() -> None:
    voice, _ = a_voice()
    with open_page(Stepping()) as opened:
        opened.attach(overhear=lambda: DelayLine(voice, lambda: DELAY_S))
        opened.settings.set(Settings(panic=True))

        async def visit(browser: ClientSession) -> None:
            got = await heard(browser, opened.home, 0.05, 4)
            assert len(got) > 0
            assert not got.any()

        opened.browse(visit)


def test_who_may_not_listen_does_not() -> None:
    voice, _ = a_voice()
    with open_page(Stepping()) as opened:
        path = opened.home + "/ws/sound"

        async def refused(browser: ClientSession, status: int, origin: str = opened.home) -> None:
            with pytest.raises(WSServerHandshakeError) as error:
                await browser.ws_connect(path, origin=origin)
            assert error.value.status == status

        async def stranger(browser: ClientSession) -> None:
            await refused(browser, 403)

        async def visit(browser: ClientSession) -> None:
            await refused(browser, 404)  # a run without a voice
            opened.attach(overhear=lambda: DelayLine(voice, lambda: DELAY_S))
            await refused(browser, 403, "http://evil.example")
            for said in ("drawn", "nan", "-1", "2"):
                async with browser.ws_connect(path, origin=opened.home) as ws:
                    await ws.send_str(said)
                    assert (await ws.receive(timeout=5)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            pages = [await browser.ws_connect(path, origin=opened.home) for _ in range(MOST_LISTENERS)]
            await refused(browser, 503)
            for page in pages:
                await page.close()

        opened.browse(stranger, let_in=False)
        opened.browse(visit)


def test_listeners_are_told_that_it_is_over() -> None:
    voice, _ = a_voice()
    with open_page(Stepping()) as opened:
        opened.attach(overhear=lambda: DelayLine(voice, lambda: DELAY_S))

        async def visit(browser: ClientSession) -> None:
            async with browser.ws_connect(opened.home + "/ws/sound", origin=opened.home) as ws:
                await asyncio.to_thread(opened.page.close)
                assert (await ws.receive(timeout=5)).type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)

        opened.browse(visit)


def test_samples_beyond_full_scale_stay_in_range() -> None:
    loud = np.array([2.0, -2.0, 0.5, 0.0], np.float32)
    assert np.frombuffer(packed(loud, silent=False), "<i2").tolist() == [32767, -32767, 16384, 0]
    assert packed(loud, silent=True) == bytes(8)


def test_only_a_live_voice_can_be_overheard(tmp_path: Path) -> None:
    live = open_speaker(
        "mic",
        along_with_media=False,
        latency_s=lambda: 0.04,
        make_voice=lambda exact: SpeechBuffer(NoVad(), exact=exact),
        open_input=lambda name: FakeInput([]),
    )
    overheard = live.overhear()
    assert overheard is not None
    assert overheard.delay_s == pytest.approx(live.speech.delay_s + 0.04)
    assert live.overhear() is not overheard
    assert live.report()["live"] is True
    live.close()

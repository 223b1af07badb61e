"""The voice in real browsers: silent until it is asked for, played when it is, and off again."""

import numpy as np
import pytest
from browsers import OpenTab, Tab
from evenings import BROWSERS, walk
from pages import open_page
from sounds import NS, blocks, noise

from realtime.audio.delay_line import DelayLine
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.clock import now_ns

COUNT = """(() => {
  window.power = 0;
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when) {
    window.power += this.buffer.getChannelData(0).reduce((sum, one) => sum + one * one, 0);
    return start.call(this, when);
  };
  return true;
})()"""


@pytest.mark.parametrize("open_tab", BROWSERS)
def test_the_voice_is_heard_when_asked_for(open_tab: OpenTab) -> None:
    voice = SpeechBuffer(NoVad())
    listeners: list[DelayLine] = []

    def overhear() -> DelayLine:
        for block in blocks(noise(5.9, 48_000, 0.1), 48_000, now_ns() - NS):
            voice.push(block)
        listeners.append(DelayLine(voice, lambda: 0.3))
        return listeners[-1]

    with open_page(now_ns) as opened:
        opened.report |= {"sound": {"state": "ok", "delay_s": 0.27, "live": True}}
        opened.attach(overhear=overhear)

        async def story(tab: Tab) -> None:
            await tab.until("!document.getElementById('hear').hidden")
            await tab.js(COUNT)
            assert not listeners  # nobody asked yet
            await tab.click("#hear")
            await tab.until("window.power > 10")
            assert await tab.js("document.getElementById('hear').getAttribute('aria-pressed')") == "true"
            await tab.click("#hear")
            await tab.until("document.getElementById('hear').getAttribute('aria-pressed') === 'false'")
            before = float(await tab.js("window.power"))
            await tab.click("#hear")  # a listener of its own, from the start
            await tab.until(f"window.power > {before + 5}")
            assert not tab.faults

        walk(opened, story, open_tab)
    assert len(listeners) == 2
    assert all(np.isfinite(one.delay_s) for one in listeners)


def test_without_a_voice_there_is_no_button() -> None:
    with open_page(now_ns) as opened:

        async def story(tab: Tab) -> None:
            assert await tab.js("document.getElementById('hear').hidden")
            assert not tab.faults

        walk(opened, story)

"""The page in a real browser: identities, settings, recordings and the voice, by clicking and by keys."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsers import PIXEL, Tab, walk
from pages import Opened, open_page
from sounds import NS, filled, noise

from realtime.audio.delay_line import DelayLine
from realtime.clock import now_ns
from realtime.config import Settings

PAGE = Path(__file__).resolve().parents[2] / "realtime" / "web"


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page(now_ns) as page:
        yield page


def test_a_first_session_by_clicking(opened: Opened, tmp_path: Path) -> None:
    drawing = tmp_path / "My Drawing.png"
    cv2.imwrite(str(drawing), np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    opened.report["outputs"] = ["page", "camera /dev/video9"]
    opened.report |= {"source": "camera 0", "size": [1280, 720], "sound": {"state": "ok", "delay_s": 0.12}}

    async def story(tab: Tab) -> None:
        # Who am I, and what do others see?
        await tab.says("You are Ada")
        assert "the call sees Ada" in await tab.text("#state")
        assert abs(int(await tab.js(PIXEL.format("picture"))) - 200) < 3
        # Another face, by a click on its picture.
        await tab.click("[data-kind=avatar][data-name=mira]")
        await tab.says("You are Mira")
        await tab.until("document.querySelector('[data-name=mira]').getAttribute('aria-pressed') === 'true'")
        settings = opened.settings.get()
        assert (settings.model, settings.avatar) == ("motion", "mira")
        await tab.until("!document.getElementById('neutral').closest('details').hidden")
        # My own camera, for me alone.
        await tab.click("#see-own")
        await tab.until(f"Math.abs({PIXEL.format('own')} - 90) < 3")
        await tab.click("#see-own")
        await tab.until("document.getElementById('own').hidden")
        # A picture of my own: not without a word on whose face it is.
        await tab.page.set_input_files("#file", drawing)
        await tab.until("document.getElementById('adding').open")
        await tab.click("#offer-add")
        assert "whose face" in await tab.text("#offer-error")
        await tab.click("[name=whose][value=synthetic]")
        await tab.click("#offer-add")
        assert "who it is" in await tab.text("#offer-error")
        await tab.type("#offer-statement", "Drawn by me.")
        await tab.click("#offer-add")
        await tab.click("[data-name=my-drawing]")
        await tab.says("You are My Drawing")
        # What is in use stays; then it goes.
        await tab.click("[aria-label='Remove My Drawing']")
        await tab.until("document.getElementById('error').textContent.includes('in use')")
        await tab.click("[data-name=ada]")
        await tab.says("You are Ada")
        await tab.click("[aria-label='Remove My Drawing']")
        await tab.until("!document.querySelector('[data-name=my-drawing]')")
        # A picture can be dropped, too.
        await tab.drop("Dropped thing.png")
        await tab.until("document.getElementById('adding').open")
        assert await tab.js("document.getElementById('offer-title').value") == "Dropped thing"
        await tab.click("#offer-cancel")
        await tab.until("!document.getElementById('adding').open")
        # A snapshot. A recording, and playing it.
        async with tab.page.expect_download() as download:
            await tab.click("#snapshot")
        assert Path(await (await download.value).path()).read_bytes().startswith(b"\x89PNG")
        await tab.click("#record")
        await tab.until("document.getElementById('record').textContent.includes('Stop')")
        await tab.click("#record")
        await tab.click("#files .play")
        await tab.until("document.getElementById('player').readyState > 0 || document.getElementById('player').error")
        # How fast is it?
        await tab.click("#charts summary")
        await tab.until("document.querySelectorAll('#stages tr').length === 2")
        assert "20.0" in await tab.text("#stages")
        await tab.until("document.getElementById('sound').textContent === 'ok, 120 ms behind'")
        assert await tab.text("#ends") == "camera 0 at 1280×720, page and camera /dev/video9"
        await tab.click("#copy")
        await tab.until("document.getElementById('copied').textContent.includes('Copied')")
        assert json.loads(await tab.js("navigator.clipboard.readText()"))["model"] == "ada"
        # Nothing was asked of anybody else, and nothing went wrong but the refusal above.
        there = re.compile(rf"(http|ws|blob:http)://127\.0\.0\.1:{opened.page.port}/|data:")
        assert not [address for address in tab.asked if not there.match(address)]
        assert [fault for fault in tab.faults if "409" not in fault] == []

    walk(opened, story)


@pytest.mark.slow
def test_everything_by_keys(opened: Opened) -> None:
    async def story(tab: Tab) -> None:
        assert await tab.js("document.getElementById('hear').hidden")  # without a voice there is no button for it
        await tab.key("p")
        await tab.says("a slate")
        assert opened.settings.get().panic
        assert await tab.js("document.getElementById('panic').getAttribute('aria-pressed')") == "true"
        await tab.key("p")
        await tab.says("You are Ada")
        pressed = [("m", "mirror", "true"), ("v", "variant", "fine"), ("c", "color_transfer", "idt")]
        for key, name, value in [*pressed, ("h", "on_miss", "card"), ("h", "on_miss", "blur")]:
            await tab.key(key)
            field = f"document.querySelector('[data-key={name}]')"
            await tab.until(f"String({field}.type === 'checkbox' ? {field}.checked : {field}.value) === '{value}'")
        await tab.key("?")
        await tab.until("document.getElementById('help').open")
        assert await tab.js("document.querySelectorAll('#key-list dt').length") >= 13
        await tab.key("m")  # behind the list nothing happens
        await tab.key("Escape")
        await tab.until("!document.getElementById('help').open")
        assert opened.settings.get().mirror
        # Typing a name is no command.
        await tab.type("#preset-name", "pm")
        await tab.key("Enter")
        await tab.until("document.querySelector('#presets .use')?.textContent === 'pm'")
        assert not opened.settings.get().panic
        assert opened.settings.get().mirror
        # A preset brings back what it kept.
        await tab.js("document.activeElement.blur()")
        await tab.key("m")
        await tab.until("!document.querySelector('[data-key=mirror]').checked")
        await tab.click("#presets .use")
        await tab.until("document.querySelector('[data-key=mirror]').checked")
        # Tab reaches everything that a mouse can use, in order, and shows where it is.
        await tab.js("document.getElementById('panic').focus()")
        reached = []
        for _ in range(5):
            await tab.key("Tab")
            reached.append(await tab.js("document.activeElement.id || document.activeElement.className"))
        assert reached == ["snapshot", "record", "see-own", "keys", "add"]
        assert await tab.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert tab.faults == []

    walk(opened, story)


@pytest.mark.slow
def test_it_fits_every_screen_and_every_control_has_a_name(opened: Opened) -> None:
    async def story(tab: Tab) -> None:
        for width, height in ((360, 740), (768, 1024), (1280, 800), (3840, 2160)):
            for dark in (False, True):
                await tab.page.set_viewport_size({"width": width, "height": height})
                await tab.page.emulate_media(color_scheme="dark" if dark else "light")
                await tab.until(f"innerWidth === {width}")
                assert await tab.js("document.documentElement.scrollWidth") <= width
                assert await tab.js("document.getElementById('state').getBoundingClientRect().top") < 60
        devtools = await tab.page.context.new_cdp_session(tab.page)
        nodes = (await devtools.send("Accessibility.getFullAXTree"))["nodes"]
        usable = {"button", "checkbox", "slider", "combobox", "textbox", "link", "radio", "image", "ColorWell"}
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"] and node.get("role", {}).get("value") in usable
        ]
        assert len(named) > 20
        assert [role for role, name in named if not name.strip()] == []

    walk(opened, story)


def test_markup_in_names_stays_text(opened: Opened) -> None:
    evil = "<img src=x onerror=alert(1)>"
    opened.report["title"] = evil
    opened.report["state"] = f"camera {evil} is gone"

    async def story(tab: Tab) -> None:
        await tab.says("camera <img")
        await tab.type("#preset-name", evil)
        await tab.key("Enter")
        await tab.until("document.querySelector('#presets .use')")
        assert await tab.text("#presets .use") == evil
        assert await tab.js("document.querySelectorAll('img[src=x]').length") == 0
        assert tab.faults == []

    walk(opened, story)


COUNT = """(() => {
  window.power = 0;
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when) {
    window.power += this.buffer.getChannelData(0).reduce((sum, one) => sum + one * one, 0);
    return start.call(this, when);
  };
  return true;
})()"""


@pytest.mark.slow
def test_the_voice_is_heard_when_asked_for(opened: Opened) -> None:
    listeners: list[DelayLine] = []

    def overhear() -> DelayLine:
        voice = filled(noise(5.9, 48_000, 0.1), 48_000, now_ns() - NS)
        listeners.append(DelayLine(voice, lambda: 0.3))
        return listeners[-1]

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

    walk(opened, story)
    assert len(listeners) == 2
    assert all(np.isfinite(one.delay_s) for one in listeners)


def test_every_live_setting_has_a_control() -> None:
    html = (PAGE / "page.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'data-key="(\w+)"', html))
    elsewhere = {"panic", "reference", "background", "model", "avatar"}
    assert shown | elsewhere == set(Settings.model_fields)
    assert all(f'id="{name}"' in html for name in ("panic", "neutral", "background", "gallery"))


def test_no_file_of_the_page_writes_markup_or_asks_elsewhere() -> None:
    for file in [*PAGE.glob("*.js"), PAGE / "page.html", PAGE / "page.css"]:
        text = file.read_text(encoding="utf-8")
        for forbidden in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "https:", "@import", "eval("):
            assert forbidden not in text, (file.name, forbidden)

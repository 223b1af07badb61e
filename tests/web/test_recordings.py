"""The page's recordings, snapshots, own view, charts and warnings, by their routes."""

import json
import logging
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession, WSMsgType
from fakes import FakeSink, pixels
from pages import Opened, open_page

from realtime.frame import Frame
from realtime.output.recorder import Recorder
from realtime.pipeline.metrics import LastMinute
from realtime.web.notices import Notices


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as panel:
        yield panel


def test_a_snapshot_is_what_others_see_and_says_that_it_is_synthetic(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + "/api/snapshot") as answer:
            assert answer.status == 404
        shown = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
        opened.page.show(Frame(shown, 0, 0))
        async with browser.get(opened.home + "/api/snapshot") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="masquerade-')
            png = await answer.read()
        assert b"compositeWithTrainedAlgorithmicMedia" in png
        assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), shown)

    opened.browse(visit)


def test_a_recording_is_made_listed_and_served_in_parts(opened: Opened) -> None:
    sink = FakeSink()

    async def visit(browser: ClientSession) -> None:
        async with browser.post(opened.home + "/api/recording", json={"do": "start"}) as answer:
            assert answer.status == 409  # this run has none
        recorder = Recorder(lambda path: path.write_bytes(b"0123456789") and sink)
        opened.attach(recorder=recorder)
        async with browser.post(opened.home + "/api/recording", json={"do": "start"}) as answer:
            name = (await answer.json())["name"]
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            assert json.loads((await ws.receive(timeout=10)).data)["recording"] == name
        recorder.show(Frame(pixels(), 0, 0))
        assert len(sink.shown) == 1
        async with browser.post(opened.home + "/api/recording", json={"do": "start"}) as answer:
            assert answer.status == 400
            assert "already" in await answer.text()
        async with browser.get(opened.home + "/api/recordings") as answer:
            assert (await answer.json())["files"] == []
        async with browser.post(opened.home + "/api/recording", json={"do": "stop"}) as answer:
            assert await answer.json() == {"name": name}
        assert sink.closed == 1
        async with browser.get(opened.home + "/api/recordings") as answer:
            assert (await answer.json())["files"] == [{"name": name, "bytes": 10}]
        part = {"Range": "bytes=2-5"}
        async with browser.get(opened.home + f"/api/recordings/{name}", headers=part) as answer:
            assert answer.status == 206
            assert answer.headers["Content-Type"] == "video/mp4"
            assert answer.headers["Content-Security-Policy"]
            assert await answer.read() == b"2345"
        async with browser.get(opened.home + f"/api/recordings/{name}?download=1") as answer:
            assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        async with browser.post(opened.home + "/api/recording", json={"do": "burn"}) as answer:
            assert answer.status == 400

    opened.browse(visit)


def test_the_own_camera_is_shown_to_who_asks_and_kept_from_nobody_else(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        opened.page.see(Frame(pixels(10), 0, 0))  # nobody looks: it is not even kept
        async with browser.ws_connect(opened.home + "/ws/own", origin=opened.home) as ws:
            async with browser.get(opened.home + "/api/settings"):
                pass  # by now the viewer is known
            opened.page.see(Frame(pixels(90, (1920, 1080)), 1, 0))
            message = await ws.receive(timeout=10)
            assert message.type is WSMsgType.BINARY
            seen = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
            assert seen.shape == (270, 480, 3)
            assert abs(float(seen.mean()) - 90) < 2
        async with browser.get(opened.home + "/api/snapshot") as answer:
            assert answer.status == 404  # what the camera sees is no picture of the character

    opened.browse(visit)


def test_the_last_minute_and_the_warnings_reach_the_page(opened: Opened) -> None:
    minute = LastMinute()
    minute.add(10**9, 5_000_000, {"swap": 2_000_000}, 0)
    opened.attach(minute=minute.report)

    async def visit(browser: ClientSession) -> None:
        async with browser.get(opened.home + "/api/minute") as answer:
            assert (await answer.json())["stages_ms"] == {"swap": {"p50": 2.0, "p95": 2.0}}
        logging.getLogger("realtime.output.recorder").warning("the disk is full: free some space")
        async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
            said = json.loads((await ws.receive(timeout=10)).data)
        assert [notice["text"] for notice in said["notices"]] == ["the disk is full: free some space"]

    opened.browse(visit)
    assert any(isinstance(handler, Notices) for handler in logging.getLogger("realtime").handlers)
    opened.page.close()
    assert not any(isinstance(handler, Notices) for handler in logging.getLogger("realtime").handlers)


@pytest.mark.parametrize("body", [{"do": "use"}, {"do": "use", "name": 3}, {"do": "fly", "name": "x"}, [], "x", {}])
def test_presets_want_two_words(opened: Opened, body: object) -> None:
    async def visit(browser: ClientSession) -> None:
        async with browser.post(opened.home + "/api/presets", json=body) as answer:
            assert answer.status == 400

    opened.browse(visit)


def test_a_preset_is_worn_whole_or_not_at_all(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        url = opened.home + "/api/presets"
        async with browser.post(opened.home + "/api/settings", json={"sharpen": 5, "avatar": "mira"}) as answer:
            assert answer.status == 200
        async with browser.post(url, json={"do": "save", "name": "soft"}) as answer:
            assert await answer.json() == ["soft"]
        async with browser.post(opened.home + "/api/settings", json={"sharpen": 80, "panic": True}) as answer:
            assert answer.status == 200
        async with browser.post(url, json={"do": "use", "name": "soft"}) as answer:
            assert answer.status == 200
        settings = opened.settings.get()
        assert (settings.sharpen, settings.model) == (5, "ada")
        assert settings.panic  # a preset does not end a panic
        stored = json.loads((opened.folder / "presets.json").read_text(encoding="utf-8"))
        stored["presets"]["soft"] |= {"badge": "off", "sharpen": 99}
        (opened.folder / "presets.json").write_text(json.dumps(stored), encoding="utf-8")
        async with browser.post(url, json={"do": "use", "name": "soft"}) as answer:
            assert answer.status == 400
            assert "badge" in await answer.text()
        assert opened.settings.get() == settings

    opened.browse(visit)

"""The page of the installed program on real devices: choose a webcam, its size, and let a call see it, or not.

    python tests/camera/page_guest.py FEED.npz FOLDER

Needs the devices of `make test-camera` (see run.py). The run begins with pictures of its own; the rest is asked for
over HTTP and WebSockets, as a browser would. That pictures really come from vivid shows in its test picture, which is
changed under way; what a call sees is read back from the virtual camera. One line a check; ends with 1 when one failed.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from clip_feed import Feed
from loop_guest import OUT, PATIENCE_S, VIVID, WEBCAM, Program, ask_device, check, ended, webcam_fed
from loop_guest import until as wait_until
from reader import Reader

CAMERA, FED = VIVID.removeprefix("/dev/video"), WEBCAM.removeprefix("/dev/video")
COLOURS = {"red": (7, (0, 0, 255)), "green": (8, (0, 255, 0)), "blue": (9, (255, 0, 0))}
"""vivid's test pictures of one colour: their number in its menu, and what they are in BGR."""


def show_colour(name: str) -> None:
    """What vivid films from now on, without the text that it writes into its pictures."""
    settings = f"test_pattern={COLOURS[name][0]},osd_text_mode=2"
    subprocess.run(["v4l2-ctl", "-d", VIVID, "-c", settings], check=True)


def is_a_camera() -> bool:
    """Whether other programs can choose the virtual camera just now."""
    return "Video Capture" in ask_device(OUT, "-D").partition("Device Caps")[2]


class Page:
    """A browser's stand-in, let in: its session sends the token."""

    def __init__(self, browser: ClientSession, home: str) -> None:
        self._browser, self._home = browser, home

    async def get(self, path: str) -> dict[str, Any]:
        async with self._browser.get(self._home + path) as answer:
            return dict(await answer.json())

    async def post(self, path: str, **body: str) -> tuple[int, str]:
        async with self._browser.post(self._home + path, json=body, headers={"Origin": self._home}) as answer:
            return answer.status, await answer.text()

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[ClientWebSocketResponse]:
        async with self._browser.ws_connect(self._home + path, origin=self._home) as socket:
            yield socket

    async def own_becomes(self, colour: str, size: tuple[int, int], what: str) -> None:
        """Check that the view of one's own camera shows a picture of that (width, height), all in that colour."""
        seen, good = None, False
        started = time.monotonic()
        async with self.socket("/ws/own") as socket:
            while time.monotonic() - started < PATIENCE_S:
                try:
                    message = await socket.receive(timeout=5.0)
                except TimeoutError:
                    continue
                if message.type is not WSMsgType.BINARY:
                    continue
                await socket.send_str("drawn")
                seen = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)
                off = np.abs(seen.astype(int) - COLOURS[colour][1]).mean()
                if good := seen.shape[1::-1] == size and float(off) < 40:
                    break
        middle = "no picture" if seen is None else seen[seen.shape[0] // 2, seen.shape[1] // 2]
        check(good, f"{what}: {seen is not None and seen.shape}, in the middle {middle}")

    async def report(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The report, once it is so; as it is after PATIENCE_S."""
        started = time.monotonic()
        while not wanted(told := await self.get("/api/report")) and time.monotonic() - started < PATIENCE_S:
            await asyncio.sleep(0.5)
        return told


async def until(condition: Callable[[], bool]) -> bool:
    started = time.monotonic()
    while not (there := condition()) and time.monotonic() - started < PATIENCE_S:
        await asyncio.sleep(0.3)
    return there


async def vivid_is_chosen(page: Page) -> None:
    listed = await page.get("/api/devices")
    known = {source["id"]: source for source in listed["sources"]}
    check(listed["source"] == "start", f"it began with {known.get('start')}")
    check("vivid" in known.get(CAMERA, {}).get("name", ""), f"a webcam is offered: {known.get(CAMERA)}")
    check("masquerade" in str(listed["camera"]), f"there is a virtual camera: {listed['camera']}")
    check(OUT.removeprefix("/dev/video") not in known, "which is not offered as a source")
    show_colour("red")
    status, said = await page.post("/api/source", source=CAMERA, size="640x360")
    check(status == 200, f"chosen: {status} {said}")
    await page.own_becomes("red", (480, 270), "its pictures come")
    show_colour("green")
    await page.own_becomes("green", (480, 270), "and change as what it films does")
    listed = await page.get("/api/devices")
    check((listed["source"], listed["size"]) == (CAMERA, "640x360"), f"listed as chosen: {listed['source']}")
    report = await page.report(lambda told: "vivid" in told["source"])
    check("vivid" in report["source"], f"reported: {report['source']}")


async def another_size_is_chosen(page: Page) -> None:
    status, said = await page.post("/api/source", source=CAMERA, size="1001x77")
    check(status == 400, f"a size that it has not: {status} {said}")
    status, said = await page.post("/api/source", source=CAMERA, size="320x180")
    check(status == 200, f"another size: {status} {said}")
    await page.own_becomes("green", (320, 180), "and its pictures come")
    told = ask_device(VIVID, "--get-fmt-video")
    check("320/180" in told, f"the device itself says so: {' '.join(told.split())[:80]}")


async def a_call_sees_it_or_not(page: Page, feed: Feed) -> None:
    check(not is_a_camera(), "nobody can choose the virtual camera yet")
    check((await page.post("/api/camera", do="on"))[0] == 200, "it is switched on")
    report = await page.report(lambda told: any(name.startswith("camera") for name in told["outputs"]))
    check(f"camera {OUT}" in report["outputs"], f"pictures go to {report['outputs']}")
    check(await until(is_a_camera), "now it is a camera")
    with closing(Reader(OUT, feed)) as reader:
        await until(lambda: reader.count >= 5)
        kinds = reader.kinds()
        check(set(kinds) == {"card"}, f"nobody is before vivid, so {reader.count} pictures show {dict(kinds)}")
    check((await page.post("/api/camera", do="off"))[0] == 200, "it is switched off")
    check(await until(lambda: not is_a_camera()), "and is a camera no longer")
    report = await page.report(lambda told: not any(name.startswith("camera") for name in told["outputs"]))
    check(report["outputs"] == ["page"], f"pictures go to {report['outputs']}")


async def a_face_from_another_webcam(page: Page, feed: Feed, folder: Path) -> None:
    check((await page.post("/api/camera", do="on"))[0] == 200, "on again")
    status, said = await page.post("/api/source", source=FED, size="")
    check(status == 200, f"the other webcam is chosen: {status} {said}")
    with closing(Reader(OUT, feed)) as reader:
        await until(lambda: len(reader.replaced()) >= 2)
        check(len(reader.replaced()) >= 2, f"a call sees replaced faces, in pictures {reader.replaced()}")
        check(reader.kinds()["raw"] == 0, f"never the user's own: {dict(reader.kinds())}")
        reader.leave_a_picture(folder / "page.png")
    async with page.socket("/ws/live") as socket:
        while (message := await socket.receive(timeout=PATIENCE_S)).type is not WSMsgType.BINARY:
            pass
        (folder / "page_live.jpg").write_bytes(message.data)


async def visit(address: str, feed: Feed, stored: Path, folder: Path) -> None:
    home = address.partition("/?")[0]
    async with ClientSession() as browser:
        async with browser.get(address, headers={"Accept": "application/json"}) as answer:
            if not check(answer.status == 200, f"the page opens: {answer.status}"):
                return
            browser.headers["Authorization"] = f"Bearer {(await answer.json())['token']}"
        page = Page(browser, home)
        await page.report(lambda told: told["state"] != "starting")
        await vivid_is_chosen(page)
        await another_size_is_chosen(page)
        await a_call_sees_it_or_not(page, feed)
        with webcam_fed(stored, 0, len(feed.pictures)):
            await a_face_from_another_webcam(page, feed, folder)


def main(stored: Path, folder: Path) -> int:
    address = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
    with closing(Program(folder, "page", "--source", "synthetic", "--output", "page")) as program:
        waited = wait_until(lambda: bool(address.search("\n".join(program.lines))) or not program.running)
        found = address.search("\n".join(program.lines))
        if check(found is not None, f"it printed an address after {waited:.0f} s") and found:
            asyncio.run(visit(found.group(), Feed.load(stored), stored, folder))
        check(program.running, f"and runs still: {program.complaints[-5:]}")
    return ended()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

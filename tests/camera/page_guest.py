"""The page of the installed program on real devices: choose a webcam, its size, and let a call see it, or not.

    python tests/camera/page_guest.py FEED.npz FOLDER

Run it in a machine with these devices (`make test-camera` boots one): v4l2loopback as /dev/video10 "masquerade (AI)"
and /dev/video30 "Test Webcam", vivid as /dev/video20. The run begins with pictures of its own; everything after that
is asked for through the page's own HTTP and WebSockets, as a browser would. That pictures really come from vivid shows
in its test picture, which is changed under way; what a call sees is read back from the virtual camera by another
program. FEED.npz is a `clip_feed.Feed`. One line a check; ends with 1 when one failed.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType
from clip_feed import Feed
from loop_guest import OUT, PATIENCE_S, VIVID, WEBCAM, check, failures, webcam_fed
from reader import Reader

PROGRAM = Path(sys.executable).parent / "masquerade"
CAMERA, FED = VIVID.removeprefix("/dev/video"), WEBCAM.removeprefix("/dev/video")
COLOURS = {"red": (7, (0, 0, 255)), "green": (8, (0, 255, 0)), "blue": (9, (255, 0, 0))}
"""vivid's test pictures of one colour: their number in its menu, and what they are in BGR."""


def show_colour(name: str) -> None:
    """What vivid films from now on, without the text that it writes into its pictures."""
    settings = f"test_pattern={COLOURS[name][0]},osd_text_mode=2"
    subprocess.run(["v4l2-ctl", "-d", VIVID, "-c", settings], check=True)


def is_a_camera() -> bool:
    """Whether other programs can choose the virtual camera just now."""
    told = subprocess.run(["v4l2-ctl", "-d", OUT, "-D"], capture_output=True, text=True).stdout
    return "Video Capture" in told.partition("Device Caps")[2]


class Page:
    """A browser's stand-in, let in."""

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

    async def own(self, wanted: Callable[[np.ndarray], bool]) -> np.ndarray | None:
        """The first picture of the view of one's own camera that is so; the last one seen where none is in time."""
        seen = None
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
                if wanted(seen):
                    break
        return seen

    async def report(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The report, once it is so; as it is after PATIENCE_S."""
        started = time.monotonic()
        while not wanted(told := await self.get("/api/report")) and time.monotonic() - started < PATIENCE_S:
            await asyncio.sleep(0.5)
        return told


def is_all(colour: str, size: tuple[int, int]) -> Callable[[np.ndarray], bool]:
    """True for a picture of that (width, height) and that colour, all over."""

    def looked_at(picture: np.ndarray) -> bool:
        off = np.abs(picture.astype(int) - np.array(COLOURS[colour][1])).mean()
        return picture.shape[1::-1] == size and float(off) < 40

    return looked_at


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
    seen = await page.own(is_all("red", (480, 270)))
    check(seen is not None and is_all("red", (480, 270))(seen), f"its pictures come: {_what(seen)}")
    show_colour("green")
    seen = await page.own(is_all("green", (480, 270)))
    check(seen is not None and is_all("green", (480, 270))(seen), f"and change as what it films does: {_what(seen)}")
    listed = await page.get("/api/devices")
    check((listed["source"], listed["size"]) == (CAMERA, "640x360"), f"listed as chosen: {listed['source']}")
    report = await page.report(lambda told: "vivid" in told["source"])
    check("vivid" in report["source"], f"reported: {report['source']}")


async def another_size_is_chosen(page: Page) -> None:
    status, said = await page.post("/api/source", source=CAMERA, size="1001x77")
    check(status == 400, f"a size that it has not: {status} {said}")
    status, _ = await page.post("/api/source", source=CAMERA, size="320x180")
    seen = await page.own(is_all("green", (320, 180)))
    check(status == 200 and seen is not None and is_all("green", (320, 180))(seen), f"another size: {_what(seen)}")
    told = subprocess.run(["v4l2-ctl", "-d", VIVID, "--get-fmt-video"], capture_output=True, text=True).stdout
    check("320/180" in told, f"the device itself says so: {' '.join(told.split())[:80]}")


async def a_call_sees_it_or_not(page: Page, feed: Feed) -> None:
    check(not is_a_camera(), "nobody can choose the virtual camera yet")
    check((await page.post("/api/camera", do="on"))[0] == 200, "it is switched on")
    report = await page.report(lambda told: any(name.startswith("camera") for name in told["outputs"]))
    check(f"camera {OUT}" in report["outputs"], f"pictures go to {report['outputs']}")
    check(await until(is_a_camera), "now it is a camera")
    reader = Reader(OUT, feed)
    try:
        await until(lambda: reader.count >= 5)
        kinds = reader.kinds()
        check(set(kinds) == {"card"}, f"nobody is before vivid, so {reader.count} pictures show {dict(kinds)}")
    finally:
        reader.close()
    check((await page.post("/api/camera", do="off"))[0] == 200, "it is switched off")
    check(await until(lambda: not is_a_camera()), "and is a camera no longer")
    report = await page.report(lambda told: not any(name.startswith("camera") for name in told["outputs"]))
    check(report["outputs"] == ["page"], f"pictures go to {report['outputs']}")


async def a_face_from_another_webcam(page: Page, feed: Feed, folder: Path) -> None:
    check((await page.post("/api/camera", do="on"))[0] == 200, "on again")
    status, said = await page.post("/api/source", source=FED, size="")
    check(status == 200, f"the other webcam is chosen: {status} {said}")
    reader = Reader(OUT, feed)
    try:
        await until(lambda: len(reader.replaced()) >= 2)
        check(len(reader.replaced()) >= 2, f"a call sees replaced faces, in pictures {reader.replaced()}")
        check(reader.kinds()["raw"] == 0, f"never the user's own: {dict(reader.kinds())}")
        reader.leave_a_picture(folder / "page.png")
    finally:
        reader.close()
    async with page.socket("/ws/live") as socket:
        while (message := await socket.receive(timeout=PATIENCE_S)).type is not WSMsgType.BINARY:
            pass
        (folder / "page_live.jpg").write_bytes(message.data)


def _what(picture: np.ndarray | None) -> str:
    if picture is None:
        return "no picture"
    return (
        f"{picture.shape[1]}x{picture.shape[0]}, in the middle {picture[picture.shape[0] // 2, picture.shape[1] // 2]}"
    )


async def visit(address: str, feed: Feed, stored: Path, folder: Path) -> None:
    home = address.partition("/?")[0]
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser:
        async with browser.get(address) as answer:
            if not check(answer.status == 200, f"the page opens: {answer.status}"):
                return
        page = Page(browser, home)
        await page.report(lambda told: told["state"] != "starting")
        await vivid_is_chosen(page)
        await another_size_is_chosen(page)
        await a_call_sees_it_or_not(page, feed)
        with webcam_fed(stored, 0, len(feed.pictures)):
            await a_face_from_another_webcam(page, feed, folder)


def main(stored: Path, folder: Path) -> int:
    feed = Feed.load(stored)
    command = [str(PROGRAM), "run", "--source", "synthetic", "--model", "ada", "--size", "640x360", "--fps", "10"]
    command += ["--output", "page"]
    print("      $ masquerade " + " ".join(command[1:]), flush=True)
    with ExitStack() as stack:
        said = folder / "page.out"
        out, err = stack.enter_context(said.open("w")), stack.enter_context((folder / "page.err").open("w"))
        program = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        stack.callback(program.wait)
        stack.callback(program.kill)
        started = time.monotonic()
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said.read_text())):
            if program.poll() is not None or time.monotonic() - started > PATIENCE_S:
                break
            time.sleep(0.3)
        if check(found is not None, f"it printed an address after {time.monotonic() - started:.0f} s") and found:
            asyncio.run(visit(found.group(), feed, stored, folder))
        check(program.poll() is None, "and runs still")
    complaints = (folder / "page.err").read_text().splitlines()
    print("\n".join(["      it said:", *said.read_text().splitlines()[-3:], *complaints[-5:]]), flush=True)
    print(json.dumps({"failed": failures}, indent=1))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

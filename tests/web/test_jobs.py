"""Files that the page makes of others: the queue, its limits, and what is left behind."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from pages import Opened, open_page

from realtime.errors import DeviceError
from realtime.models.library import built_in_folder
from realtime.web.answers import Refused
from realtime.web.incoming import store
from realtime.web.job_process import CHILD
from realtime.web.results import Results

MP4 = b"\0\0\0\x18ftypisom" + bytes(800)

SAYS = """
import json, sys
order = json.loads(sys.argv[1])
def tell(**what): print(json.dumps(what), flush=True)
print("a library's own words")
tell(done=30, of=120, fps=15.0)
"""
MAKES = SAYS + "open(order['output'][0], 'wb').write(json.dumps(order).encode())"
REFUSES = SAYS + "tell(error=order['source'] + ' holds no picture'); sys.exit(1)"
CRASHES = (
    SAYS + "import os, signal; open(order['output'][0], 'wb').write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
)
LASTS = (
    SAYS
    + "open(order['output'][0], 'wb').write(b'half'); tell(done=60, of=120, fps=15.0); import signal; signal.pause()"
)


@contextmanager
def panel(script: str | None = None, **rest: Any) -> Iterator[Opened]:
    child: Sequence[str] = CHILD if script is None else (sys.executable, "-c", script)
    with open_page(child=child, **rest) as opened:
        yield opened


async def send(opened: Opened, browser: ClientSession, body: Any = MP4, **said: str) -> tuple[int, dict[str, Any]]:
    query = {"title": "My Clip.mp4", "model": "ada", **said}
    headers = {"Content-Type": "application/octet-stream"}
    async with browser.post(opened.home + "/api/jobs", params=query, data=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def until(opened: Opened, browser: ClientSession, *states: str) -> list[dict[str, Any]]:
    """The jobs, once they have these states."""
    async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
        while True:
            jobs: list[dict[str, Any]] = json.loads((await ws.receive(timeout=60)).data)["jobs"]
            if tuple(job["state"] for job in jobs) == states:
                return jobs


async def results(opened: Opened, browser: ClientSession) -> list[str]:
    async with browser.get(opened.home + "/api/results") as answer:
        return [file["name"] for file in (await answer.json())["files"]]


async def drop(opened: Opened, browser: ClientSession, job: object) -> int:
    async with browser.post(opened.home + "/api/jobs/drop", json={"job": str(job)}) as answer:
        return answer.status


def unfinished(opened: Opened) -> list[Path]:
    return list(opened.folder.glob(".incoming-*"))


def test_files_are_made_one_after_the_other_listed_played_and_removed() -> None:
    with panel(MAKES) as opened:

        async def visit(browser: ClientSession) -> None:
            opened.settings.set(opened.settings.get().model_copy(update={"sharpen": 35, "mirror": True, "panic": True}))
            opened.attach(job_options={"provider": "cpu"})
            assert (await send(opened, browser))[1] == {"job": 1}
            assert (await send(opened, browser, title="../../My Clip.mp4"))[1] == {"job": 2}
            assert (await send(opened, browser, title="я", model="motion", avatar="mira"))[1] == {"job": 3}
            jobs = await until(opened, browser, "done", "done", "done")
            assert [job["result"] for job in jobs] == [
                "my-clip-as-ada.mp4",
                "my-clip-as-ada-2.mp4",
                "video-as-mira.mp4",
            ]
            assert [job["who"] for job in jobs] == ["Ada", "Ada", "Mira"]
            assert sorted(await results(opened, browser)) == sorted(job["result"] for job in jobs)
            async with browser.get(opened.home + "/api/results/video-as-mira.mp4") as answer:
                assert answer.status == 200
                order = json.loads(await answer.read())
            assert (order["model"], order["avatar"], order["sharpen"], order["provider"]) == (
                "motion",
                "mira",
                35,
                "cpu",
            )
            assert order["pace"] == "all"
            assert not {"panic", "mirror", "on_miss", "opacity"} & set(order)
            part = {"Range": "bytes=0-3"}
            async with browser.get(opened.home + "/api/results/my-clip-as-ada.mp4?download=1", headers=part) as answer:
                assert answer.status == 206
                assert answer.headers["Content-Disposition"].startswith("attachment")
            body = {"do": "remove", "name": "my-clip-as-ada.mp4"}
            async with browser.post(opened.home + "/api/results", json=body) as answer:
                assert answer.status == 200
            assert sorted(await results(opened, browser)) == ["my-clip-as-ada-2.mp4", "video-as-mira.mp4"]
            async with browser.post(opened.home + "/api/results", json=body) as answer:
                assert answer.status == 400
            for name in ("..%2fpresets.json", "%2e%2e", "secret.mp4"):
                async with browser.get(opened.home + "/api/results/" + name) as answer:
                    assert answer.status in (400, 404)
            assert await drop(opened, browser, 1) == 200
            await until(opened, browser, "done", "done")

        opened.browse(visit)
        assert unfinished(opened) == []
        # The next run finds them.
        assert [file.name for file in Results().files()] == ["video-as-mira.mp4", "my-clip-as-ada-2.mp4"]


def test_progress_is_told_and_what_is_cancelled_leaves_nothing() -> None:
    with panel(LASTS) as opened:

        async def visit(browser: ClientSession) -> None:
            await send(opened, browser)
            await send(opened, browser, title="second.mkv")
            jobs = await until(opened, browser, "running", "waiting")
            while jobs[0]["share"] != 0.5:
                jobs = await until(opened, browser, "running", "waiting")
            assert jobs[0]["left_s"] == 4
            assert jobs[1]["title"] == "second.mkv"
            assert len(unfinished(opened)) == 2
            assert await drop(opened, browser, 1) == 200
            assert [job["title"] for job in await until(opened, browser, "running")] == ["second.mkv"]
            assert await drop(opened, browser, 2) == 200
            assert await drop(opened, browser, 2) == 404
            assert await drop(opened, browser, "x") == 404
            await send(opened, browser, title="third.mp4")  # and this one is running when masquerade ends
            await send(opened, browser, title="fourth.mp4")
            await until(opened, browser, "running", "waiting")

        opened.browse(visit)
        opened.page.close()
        assert unfinished(opened) == []
        assert Results().files() == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (REFUSES, "My Clip.mp4 holds no picture"),
        (CRASHES, "signal 9"),
        ("import nothing", "code 1"),
        ("pass", "there is no file"),
        ("import os; os.write(1, bytes(200_000)); os.write(1, b'{}')", "there is no file"),
        ('import signal; print(\'{"done": "all"}\', flush=True); signal.pause()', "did not get on"),
    ],
)
def test_what_cannot_be_made_says_why_in_one_line_and_the_next_goes_on(script: str, words: str) -> None:
    with panel(script, stalled_s=1.0) as opened:

        async def visit(browser: ClientSession) -> None:
            await send(opened, browser)
            await send(opened, browser)
            jobs = await until(opened, browser, "failed", "failed")
            assert words in jobs[0]["said"]
            assert "\n" not in jobs[0]["said"]
            assert str(opened.folder) not in jobs[0]["said"]

        opened.browse(visit)
        assert unfinished(opened) == []
        assert Results().files() == []


def test_what_is_no_video_or_nobody_is_refused_at_once() -> None:
    with panel(MAKES) as opened:

        async def endless() -> AsyncIterator[bytes]:
            yield MP4
            raise ConnectionResetError

        async def visit(browser: ClientSession) -> None:
            wrong: list[tuple[Any, dict[str, str], str]] = [
                (b"#EXTM3U\nfile:///etc/passwd", {}, "no video"),
                (b"ffconcat version 1.0\nfile /etc/passwd", {}, "no video"),
                (b"RIFF\0\0\0\0WAVE" + bytes(900), {}, "no video"),
                (b"", {}, "empty"),
                (MP4, {"model": "../ada"}, "gallery"),
                (MP4, {"model": "/etc"}, "gallery"),
                (MP4, {"model": ""}, "gallery"),
                (MP4, {"model": "nobody"}, "no model"),
                (MP4, {"model": "face"}, "nobody to wear"),
                (MP4, {"model": "motion"}, "picture that it moves"),
                (MP4, {"model": "motion", "avatar": "../mira"}, "gallery"),
                (MP4, {"model": "motion", "avatar": "stranger"}, "no avatar"),
            ]
            for body, said, words in wrong:
                status, answer = await send(opened, browser, body, **said)
                assert status == 400, answer
                assert words in answer["error"], answer
            with pytest.raises(Exception):  # noqa: B017, PT011 (our own sender breaks off)
                await send(opened, browser, endless())
            async with browser.post(opened.home + "/api/jobs", data=FormData({"file": "x"})) as plain:
                assert plain.status == 415
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(9 << 30)}
            async with browser.post(
                opened.home + "/api/jobs?title=x&model=ada", data=b"", headers=headers, skip_auto_headers=[]
            ) as large:
                assert large.status == 413
            await until(opened, browser)

        opened.browse(visit)
        assert unfinished(opened) == []


def test_a_file_of_unknown_size_never_fills_the_disk(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 20
            yield bytes(1 << 20)

    async def story() -> None:
        with pytest.raises(DeviceError, match="nearly full"):
            await store(endless(), tmp_path / "file", 1 << 40, Refused(413, "x"), spare_bytes=1 << 62)

    asyncio.run(story())
    assert sent <= 16 << 20


def test_so_many_wait_and_no_more() -> None:
    with panel(LASTS) as opened:

        async def visit(browser: ClientSession) -> None:
            assert [(await send(opened, browser))[0] for _ in range(21)] == [200] * 20 + [429]

        opened.browse(visit)


def test_a_real_file_becomes_a_real_file(tmp_path: Path) -> None:
    """With the child that is really used: a short video, and one that is broken."""
    clip = tmp_path / "clip.mkv"
    with av.open(str(built_in_folder() / "clips" / "driving.mp4")) as whole, av.open(str(clip), "w") as cut:
        video = cut.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 480, 270, "yuv420p"
        for _, picture in zip(range(12), whole.decode(video=0), strict=False):
            smaller = picture.reformat(480, 270, "yuv420p")
            smaller.pts = None
            cut.mux(video.encode(smaller))
        cut.mux(video.encode(None))
    with panel() as opened:

        async def visit(browser: ClientSession) -> None:
            opened.attach(job_options={"provider": "cpu"})
            await send(opened, browser, clip.read_bytes(), title="clip.mkv")
            await send(opened, browser)
            jobs = await until(opened, browser, "done", "failed")
            assert "My Clip.mp4" in jobs[1]["said"]
            assert str(opened.folder) not in jobs[1]["said"]

        opened.browse(visit)
        (made,) = Results().files()
        with av.open(str(made)) as result:
            pictures = [frame.to_ndarray(format="bgr24") for frame in result.decode(video=0)]
            assert "ada" in str(result.metadata)
        assert len(pictures) == 12
        with av.open(str(clip)) as before:
            originals = [frame.to_ndarray(format="bgr24") for frame in before.decode(video=0)]
        changed = np.abs(pictures[6].astype(int) - originals[6].astype(int)).max(axis=2) > 24
        assert 0.01 < changed.mean() < 0.6  # a face and a badge, and the rest as it was

"""Files rendered from videos sent to the page: the queue, its limits, and what is left behind."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import FormData
from pages import Opened, open_page

from realtime.config import Settings
from realtime.models.library import built_in_folder
from realtime.pipeline.render_process import CHILD
from realtime.web.render_jobs import HEADER_BYTES, job_identity, make_job, media_suffix, results

MP4 = b"\0\0\0\x18ftypisom" + bytes(800)

SAYS = """
import json, sys
options = json.loads(sys.argv[1])
def tell(**what): print(json.dumps(what), flush=True)
print("a library's own words")
tell(done=30, of=120, fps=15.0)
"""
HALF = SAYS + "open(options['output'][0], 'wb').write(b'half'); import os, signal; "
MAKES = SAYS + "open(options['output'][0], 'wb').write(json.dumps(options).encode())"
REFUSES = SAYS + "tell(error=options['source'] + ' holds no picture'); sys.exit(1)"
CRASHES = HALF + "os.kill(os.getpid(), signal.SIGKILL)"
LASTS = HALF + "tell(done=60, of=120, fps=15.0); signal.pause()"
REAL = f"""
import os, runpy
os.nice = lambda increment: 0  # with its priority lowered, it gets next to nothing of a busy machine
runpy.run_module({CHILD[-1]!r}, run_name="__main__")
"""


@contextmanager
def page(script: str, **rest: Any) -> Iterator[Opened]:
    with open_page(child=(sys.executable, "-P", "-c", script), **rest) as opened:
        yield opened


def send(opened: Opened, body: Any = MP4, **said: str) -> tuple[int, dict[str, Any]]:
    said = {"title": "My Clip.mp4", "model": "ada", **said}
    answer = opened.browser.run(opened.browser.upload("/api/jobs", body, said))
    return answer.status, answer.json


def until(opened: Opened, *states: str, share: float | None = None) -> list[dict[str, Any]]:
    """The jobs, once they have these states, and the first that `share`."""
    with opened.browser.socket("/ws/live") as ws:
        while True:
            jobs: list[dict[str, Any]] = ws.status()["jobs"]
            if tuple(job["state"] for job in jobs) == states and (share is None or jobs[0]["share"] == share):
                return jobs


def listed(opened: Opened) -> list[str]:
    return sorted(file["name"] for file in opened.browser.get("/api/results").json["files"])


def drop(opened: Opened, job: object) -> int:
    return opened.browser.post("/api/jobs/drop", {"job": str(job)}).status


def unfinished(opened: Opened) -> list[Path]:
    return list(opened.folder.glob(".incoming-*"))


def test_files_are_made_one_after_the_other_listed_played_and_removed() -> None:
    with page(MAKES) as opened:
        browser = opened.browser
        opened.settings.set(opened.settings.get().model_copy(update={"sharpen": 35, "mirror": True, "panic": True}))
        opened.attach(job_options={"provider": "cpu"})
        assert send(opened)[1] == {"job": 1}
        assert send(opened, title="../../My Clip.mp4")[1] == {"job": 2}
        assert send(opened, title="я", model="motion", avatar="mira")[1] == {"job": 3}
        jobs = until(opened, "done", "done", "done")
        names = ["my-clip-as-ada.mp4", "my-clip-as-ada-2.mp4", "video-as-mira.mp4"]
        assert [job["result"] for job in jobs] == names
        assert [job["who"] for job in jobs] == ["Ada", "Ada", "Mira"]
        assert listed(opened) == sorted(names)
        options = browser.get("/api/results/video-as-mira.mp4").json
        expected = {"model": "motion", "avatar": "mira", "sharpen": 35, "provider": "cpu", "pace": "all"}
        assert {key: options[key] for key in expected} == expected
        assert not {"panic", "mirror", "on_miss", "opacity"} & set(options)
        part = browser.get("/api/results/my-clip-as-ada.mp4?download=1", headers={"Range": "bytes=0-3"})
        assert part.status == 206
        assert part.headers["Content-Disposition"].startswith("attachment")
        remove = {"do": "remove", "name": "my-clip-as-ada.mp4"}
        assert browser.post("/api/results", remove).status == 200
        assert listed(opened) == sorted(names[1:])
        assert browser.post("/api/results", remove).status == 400
        assert drop(opened, 1) == 200
        until(opened, "done", "done")
        opened.page.close()
        assert unfinished(opened) == []
        # The next run finds them.
        assert [file.name for file in results()] == [names[2], names[1]]


def test_progress_is_shown_and_what_is_cancelled_leaves_nothing() -> None:
    with page(LASTS) as opened:
        send(opened)
        send(opened, title="second.mkv")
        jobs = until(opened, "running", "waiting", share=0.5)
        assert jobs[0]["left_s"] == 4
        assert jobs[1]["title"] == "second.mkv"
        assert len(unfinished(opened)) == 2
        assert drop(opened, 1) == 200
        assert [job["title"] for job in until(opened, "running")] == ["second.mkv"]
        assert drop(opened, 2) == 200
        assert drop(opened, 2) == 404
        assert drop(opened, "x") == 404
        send(opened, title="third.mp4")  # and this one is running when masquerade ends
        send(opened, title="fourth.mp4")
        until(opened, "running", "waiting")
        assert [send(opened)[0] for _ in range(19)] == [200] * 18 + [429]  # so many wait and no more
        opened.page.close()
        assert unfinished(opened) == []
        assert results() == []


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (REFUSES, "My Clip.mp4 holds no picture"),
        (CRASHES, "signal 9"),
        ("import nothing", "code 1"),
        ("pass", "there is no file"),
        ("import os; os.write(1, bytes(200_000)); os.write(1, b'{}')", "there is no file"),
        ('import signal; print(\'{"done": "all"}\', flush=True); signal.pause()', "no progress"),
    ],
)
def test_what_cannot_be_made_says_why_in_one_line_and_the_next_goes_on(script: str, words: str) -> None:
    with page(script, stalled_s=0.2 if "pause" in script else 600.0) as opened:
        send(opened)
        send(opened)
        jobs = until(opened, "failed", "failed")
        assert words in jobs[0]["said"]
        assert "\n" not in jobs[0]["said"]
        assert str(opened.folder) not in jobs[0]["said"]
        opened.page.close()
        assert unfinished(opened) == []
        assert results() == []


def test_what_is_no_video_or_no_identity_is_refused_at_once() -> None:
    async def breaks_off() -> AsyncIterator[bytes]:
        yield MP4
        raise ConnectionResetError

    with page(MAKES) as opened:
        wrong: list[tuple[Any, dict[str, str], str]] = [
            (b"#EXTM3U\nfile:///etc/passwd", {}, "no video"),
            (b"ffconcat version 1.0\nfile /etc/passwd", {}, "no video"),
            (b"RIFF\0\0\0\0WAVE" + bytes(900), {}, "no video"),
            (b"", {}, "empty"),
            (MP4, {"model": "../ada"}, "gallery"),
            (MP4, {"model": "/etc"}, "gallery"),
            (MP4, {"model": ""}, "gallery"),
            (MP4, {"model": "nobody"}, "no model"),
            (MP4, {"model": "face_mask"}, "not an identity"),
            (MP4, {"model": "motion"}, "picture that it moves"),
            (MP4, {"model": "face"}, "picture that it moves"),
            (MP4, {"model": "motion", "avatar": "../mira"}, "gallery"),
            (MP4, {"model": "motion", "avatar": "stranger"}, "no avatar"),
        ]
        for body, said, words in wrong:
            status, answer = send(opened, body, **said)
            assert status == 400, answer
            assert words in answer["error"], answer
        assert opened.browser.post("/api/jobs", data=FormData({"file": "x"})).status == 415
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(9 << 30)}
        assert opened.browser.post("/api/jobs?title=x&model=ada", data=b"", headers=headers).status == 413
        with pytest.raises(Exception):  # noqa: B017, PT011 (our own sender breaks off)
            send(opened, breaks_off())
        until(opened)
        opened.page.close()
        assert unfinished(opened) == []


def test_containers_are_known_by_what_they_are_not_by_their_names() -> None:
    with (built_in_folder() / "clips" / "driving.mp4").open("rb") as opened:
        assert media_suffix(opened.read(HEADER_BYTES)) == "mp4"
    packets = b"".join(b"\x47" + bytes(187) for _ in range(5))
    known = {
        b"\x1a\x45\xdf\xa3\x01": "mkv", b"RIFF\0\0\0\0AVI LIST": "avi", b"RIFF\0\0\0\0WAVEfmt": "wav", b"OggS": "ogg",
        b"GIF89a": "gif", b"FLV\x01": "flv", b"ID3\x04": "mp3", b"\xff\xfb\x90\x00": "mp3", packets: "ts",
        b"\x00\x00\x01\xba\x44": "mpg", b"fLaC\0": "flac",
    }  # fmt: skip
    assert {start: media_suffix(start) for start in known} == known
    others = [b"", b"#EXTM3U", b"<MPD>", b"v=0\r\no=-", b"ffconcat", b"RIFF", b"\xff\xd8\xff\xe0", b"\x89PNG", b"%PDF"]
    assert [other for other in others if media_suffix(other + b"\n" * 100) is not None] == []


@pytest.mark.parametrize(
    ("model", "avatar", "start", "taken_as"),
    [
        ("lip-sync", "mira", MP4, "sound"),
        ("lip-sync", "mira", b"fLaC" + bytes(60), "sound"),
        ("figure", "pip", b"fLaC" + bytes(60), "sound"),
        ("figure", "pip", MP4, "source"),
        ("ada", None, MP4, "source"),
    ],
)
def test_a_mouth_speaks_with_a_file_that_is_a_sound(
    model: str, avatar: str | None, start: bytes, taken_as: str, tmp_path: Path
) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(start)
    job = make_job("My file", job_identity(model, avatar), sent, Settings(), {})
    assert {"sound", "source"} & job.options.keys() == {taken_as}


@pytest.mark.slow
def test_a_real_file_becomes_a_real_file(tmp_path: Path) -> None:
    """With the child that is really used, at full priority: a short video, and one that is broken."""
    clip = tmp_path / "clip.mkv"
    with av.open(str(built_in_folder() / "clips" / "driving.mp4")) as whole, av.open(str(clip), "w") as cut:
        video = cut.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 480, 270, "yuv420p"
        for _, picture in zip(range(12), whole.decode(video=0), strict=False):
            smaller = picture.reformat(480, 270, "yuv420p")
            smaller.pts = None
            cut.mux(video.encode(smaller))
        cut.mux(video.encode(None))
    with page(REAL) as opened:
        opened.attach(job_options={"provider": "cpu"})
        send(opened, clip.read_bytes(), title="clip.mkv")
        send(opened)
        jobs = until(opened, "done", "failed")
        assert "My Clip.mp4" in jobs[1]["said"]
        assert str(opened.folder) not in jobs[1]["said"]
        (made,) = results()
        with av.open(str(made)) as result:
            pictures = [frame.to_ndarray(format="bgr24") for frame in result.decode(video=0)]
            assert "ada" in str(result.metadata)
        assert len(pictures) == 12
        with av.open(str(clip)) as before:
            originals = [frame.to_ndarray(format="bgr24") for frame in before.decode(video=0)]
        changed = np.abs(pictures[6].astype(int) - originals[6].astype(int)).max(axis=2) > 24
        assert 0.01 < changed.mean() < 0.6  # a face and a badge, and the rest as it was

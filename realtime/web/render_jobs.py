"""Files rendered from videos sent to the page: the queue, one at a time, and the finished ones in the user's folder."""

import asyncio
import itertools
import logging
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from realtime.config import Settings
from realtime.errors import ConfigError, MasqueradeError
from realtime.families import family_of
from realtime.home import close_to_others, private_dir, private_opener, user_home
from realtime.models.atomic_dir import storage_error
from realtime.models.card import NAME_PATTERN, name_from, title_from
from realtime.models.library import AVATARS, load_bundle
from realtime.pipeline.render_process import CHILD, STALLED_S, Progress, render
from realtime.text import printable
from realtime.web.auth import Refused, read_strings
from realtime.web.controls import controls
from realtime.web.recordings import listed, listed_file
from realtime.web.upload import body, one_upload, store

log = logging.getLogger(__name__)

MOST_BYTES = 8 << 30
"""Of a video: an hour from a phone in 4K."""

MOST_WAITING = 20
MOST_ENDED = 20
ENOUGH_FRAMES = 10
"""With fewer the first ones, which are slow, would say how long the rest takes."""

UNFINISHED = "made.mp4"
"""What a job writes, in its own folder; only a whole file ever leaves it."""

_SOUNDS = ("wav", "flac", "mp3", "ogg")
_LIVE_ONLY = {"model", "avatar", "mirror", "panic", "reference", "on_miss", "opacity"}
"""Settings of a moment or a webcam, and those that could show the person in the video."""

State = Literal["waiting", "running", "done", "failed"]


def results_folder() -> Path:
    """Where the finished files lie, which two runs may share."""
    return user_home() / "results"


def results() -> list[Path]:
    """The finished files, newest first, without links and empty files."""
    found: list[tuple[int, Path]] = []
    with suppress(OSError):  # no folder yet, or a file that just went
        for path in results_folder().glob("*.mp4"):
            at = path.lstat()
            if stat.S_ISREG(at.st_mode) and at.st_size > 0:
                found.append((at.st_mtime_ns, path))
    return [path for _, path in sorted(found, reverse=True)]


def keep_result(finished: Path, stem: str) -> str:
    """Move a finished file there; gives its name, which is new. `stem` is a safe name. Raises DeviceError."""
    folder = results_folder()
    try:
        private_dir(folder)
        close_to_others(finished)
        for number in itertools.count(1):
            name = f"{stem}.mp4" if number == 1 else f"{stem}-{number}.mp4"
            with suppress(FileExistsError):
                open(folder / name, "xb", opener=private_opener).close()  # reserves the name
                break
        os.replace(finished, folder / name)
        return name
    except OSError as error:
        raise storage_error("the file cannot be stored in", folder, error, "make room there") from error


def remove_result(name: str) -> None:
    """Delete a finished file. Raises ConfigError, DeviceError."""
    file = next((file for file in results() if file.name == name), None)
    if file is None:
        raise ConfigError(f"there is no file {printable(name, 80)!r}: it was removed, or never made")
    try:
        file.unlink()
    except OSError as error:
        raise storage_error(f"{name} cannot be removed from", file.parent, error, "close what uses it") from error


@dataclass(slots=True, eq=False)
class Job:
    """One file to render. `source` lies in a folder of its own, which goes with the job; `options` are the run's."""

    title: str
    who: str
    stem: str
    source: Path
    options: Mapping[str, Any]
    number: int = 0
    state: State = "waiting"
    progress: Progress = field(default_factory=lambda: Progress(0, None, 0.0))
    said: str | None = None
    result: str | None = None

    @property
    def folder(self) -> Path:
        return self.source.parent

    def report(self) -> dict[str, Any]:
        """As the page shows it. `left_s` is None until it can be estimated."""
        done, of, fps = self.progress.done, self.progress.of, self.progress.fps
        return {
            "number": self.number,
            "title": self.title,
            "who": self.who,
            "state": self.state,
            "share": round(min(done / of, 1.0), 3) if of else None,
            "left_s": round(max(of - done, 0) / fps) if of and fps > 0 and done >= ENOUGH_FRAMES else None,
            "said": self.said,
            "result": self.result,
        }


class RenderJobs:
    """The queue. Runs on the page's loop; `close` leaves no process and nothing unfinished behind.

    `child` is the command that gets a run's options as JSON; one without progress for `stalled_s` is stopped.
    """

    def __init__(self, child: Sequence[str] = CHILD, stalled_s: float = STALLED_S) -> None:
        self._child, self._stalled_s = child, stalled_s
        self._numbers = itertools.count(1)
        self._jobs: list[Job] = []
        self._worker: asyncio.Task[None] | None = None
        self._rendering: asyncio.Task[None] | None = None

    def report(self) -> list[dict[str, Any]]:
        return [job.report() for job in self._jobs]

    def check_room(self) -> None:
        if sum(job.state in ("waiting", "running") for job in self._jobs) >= MOST_WAITING:
            raise Refused(429, f"{MOST_WAITING} files wait already: let one be finished first")

    def add(self, job: Job) -> int:
        """Take a job into the queue; gives its number."""
        job.number = next(self._numbers)
        self._jobs.append(job)
        ended = [job for job in self._jobs if job.state in ("done", "failed")]
        for old in ended[:-MOST_ENDED]:
            self._jobs.remove(old)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return job.number

    def drop(self, number: int) -> None:
        """Cancel a job, or take an ended one off the list. Raises Refused where there is none of that number."""
        job = next((job for job in self._jobs if job.number == number), None)
        if job is None:
            raise Refused(404, "there is no such job")
        self._jobs.remove(job)
        if job.state == "running" and self._rendering is not None:
            self._rendering.cancel()
        elif job.state == "waiting":
            shutil.rmtree(job.folder, ignore_errors=True)

    async def _work(self) -> None:
        while (job := next((job for job in self._jobs if job.state == "waiting"), None)) is not None:
            job.state = "running"
            self._rendering = asyncio.create_task(self._render(job))
            try:
                await self._rendering
                job.state = "done"
            except asyncio.CancelledError:  # by `drop`
                pass
            except (MasqueradeError, OSError) as error:
                named = str(error).replace(str(job.source), job.title).replace(str(job.folder), "")
                job.state, job.said = "failed", printable(named, 400)
            except Exception as error:  # whatever it is: the next file is made, and this one does not run for ever
                log.exception("a file could not be made")
                job.state, job.said = "failed", f"unexpected {type(error).__name__}: please report it"
            finally:
                await asyncio.to_thread(shutil.rmtree, job.folder, True)

    async def _render(self, job: Job) -> None:
        def on_progress(now: Progress) -> None:
            job.progress = now

        def on_note(line: str) -> None:
            job.said = printable(line, 400)

        unfinished = job.folder / UNFINISHED
        options = {**job.options, "output": [str(unfinished)], "pace": "all"}
        await render(options, on_progress=on_progress, on_note=on_note, command=self._child, stalled_s=self._stalled_s)
        if not unfinished.is_file():
            raise MasqueradeError("it said it was done, but there is no file: try it again")
        job.result = keep_result(unfinished, job.stem)  # a rename on one disk

    async def close(self) -> None:
        """Cancel everything, and wait until it is gone."""
        for job in self._jobs[:]:
            self.drop(job.number)
        if self._worker is not None:
            await self._worker


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """Whom a file shows. `avatar`: for a model that moves a picture. `voice`: whether a file is taken for its sound."""

    model: str
    avatar: str | None
    title: str
    voice: Literal["never", "sounds", "always"]
    badge_optional: bool


def job_identity(model: str, avatar: str | None) -> JobIdentity:
    """By the names of model and avatar. Raises ConfigError, ModelError."""
    for name in (model, avatar):
        if name is not None and not NAME_PATTERN.fullmatch(name):
            raise ConfigError(f"{printable(name, 80)!r} is not a name: choose one from the gallery")
    card = load_bundle(model).card
    family = family_of(card)
    if family.open is None:
        raise ConfigError(f"{model} is a part of masquerade, not an identity: choose one from the gallery")
    if not family.takes_avatars:
        return JobIdentity(model, None, card.title, "never", card.identity.may_hide_badge)
    if avatar is None:
        raise ConfigError(f"{model} needs a picture that it moves: choose one from the gallery")
    shown = AVATARS.find(avatar).card
    voice: Literal["never", "sounds", "always"] = (
        "always" if family.speaks else "sounds" if family.may_speak else "never"
    )
    return JobIdentity(model, avatar, shown.title, voice, shown.identity.may_hide_badge)


def make_job(title: str, who: JobIdentity, source: Path, settings: Settings, options: Mapping[str, Any]) -> Job:
    """A job for a file that was sent. Raises ConfigError where it is none of those that can be read."""
    with source.open("rb") as opened:
        suffix = media_suffix(opened.read(HEADER_BYTES))
    if suffix is None or (suffix in _SOUNDS and who.voice == "never"):
        raise ConfigError(
            f"{printable(title, 60)} is no video known here: give an MP4, MOV, MKV, WebM, AVI, TS, WMV or GIF"
        )
    source = source.rename(source.with_suffix(f".{suffix}"))
    look = settings.model_dump(exclude=_LIVE_ONLY)
    if not who.badge_optional:
        look["badge"] = "on"
    media = "sound" if who.voice == "always" or suffix in _SOUNDS else "source"
    try:
        stem = name_from(title.rpartition(".")[0] or title)[:40].rstrip("-._")
    except ConfigError:  # in letters that no plain name can be made of
        stem = "video"
    stem = f"{stem}-as-{who.avatar or who.model}"
    chosen = {**look, **options, "model": who.model, "avatar": who.avatar, media: str(source)}
    return Job(title, who.title, stem, source, chosen)


HEADER_BYTES = 4 + 4 * 192
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_MAGICS = {
    b"\x1a\x45\xdf\xa3": "mkv", b"\x00\x00\x01\xba": "mpg", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "wmv",
    b"FLV\x01": "flv", b"OggS": "ogg", b"GIF8": "gif", b"fLaC": "flac", b"ID3": "mp3",
}  # fmt: skip


def media_suffix(start: bytes) -> str | None:
    """The suffix of a video or sound by the first bytes of its file, such as `mp4`; None for any other.

    Asked before FFmpeg is given a file that somebody sent: it also reads playlists, which could name any file of this
    machine or an address elsewhere. Only containers that hold their own pictures and sound pass. The signatures are
    the specifications' (ISO 14496-12, RFC 8794, RIFF, ISO 13818-1, ASF, FLV 10.1, RFC 3533, GIF89a, ID3v2.4).
    """
    if start[4:8] in _ISO_BOXES:
        return "mp4"
    if start[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(start[8:12])
    for magic, suffix in _MAGICS.items():
        if start.startswith(magic):
            return suffix
    for first, step in ((0, 188), (4, 192)):
        packets = start[first::step][:4]
        if len(packets) == 4 and set(packets) == {0x47}:
            return "ts"
    if len(start) > 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0 and start[1] & 0x06:
        return "mp3"
    return None


JOBS = web.AppKey("jobs", RenderJobs)
SENDING: web.AppKey[asyncio.Lock] = web.AppKey("sending", asyncio.Lock)
routes = web.RouteTableDef()


@routes.post("/api/jobs")
async def _add(request: web.Request) -> web.StreamResponse:
    """The file is the body, as it is; its title and whom it is to show stand in the query."""
    jobs, said, run = request.app[JOBS], request.query, controls(request)
    async with one_upload(request, SENDING):
        jobs.check_room()
        title = title_from(said.get("title", "")) or "a file without a name"
        who = await asyncio.to_thread(job_identity, said.get("model", ""), said.get("avatar") or None)
        too_large = f"the file is larger than {MOST_BYTES >> 30} GiB: cut it into parts"
        source = await store(body(request), request.content_length, MOST_BYTES, too_large)
        try:
            job = await asyncio.to_thread(make_job, title, who, source, run.get_settings(), run.job_options)
        except BaseException:
            shutil.rmtree(source.parent, ignore_errors=True)
            raise
        return web.json_response({"job": jobs.add(job)})


@routes.post("/api/jobs/drop")
async def _drop(request: web.Request) -> web.StreamResponse:
    (number,) = await read_strings(request, "job")
    request.app[JOBS].drop(int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0)
    return web.json_response({})


@routes.get("/api/results")
async def _list(request: web.Request) -> web.StreamResponse:
    files = await asyncio.to_thread(lambda: listed(request, results()))
    return web.json_response({"folder": str(results_folder()), "files": files})


@routes.post("/api/results")
async def _remove(request: web.Request) -> web.StreamResponse:
    do, name = await read_strings(request, "do", "name")
    if do != "remove":
        raise Refused(400, "a finished file can be removed")
    await asyncio.to_thread(remove_result, name)
    return web.json_response({})


@routes.get("/api/results/{name}")
async def _file(request: web.Request) -> web.StreamResponse:
    return listed_file(request, await asyncio.to_thread(results))

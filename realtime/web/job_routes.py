"""The finished files' part of the server: a video and somebody to wear go in, a file comes out."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from realtime.errors import ConfigError
from realtime.models.card import NAME_PATTERN, name_from, title_from
from realtime.models.library import AVATARS, load_bundle
from realtime.settings import Settings
from realtime.text import printable
from realtime.web.answers import Refused, read_words
from realtime.web.gallery import WORN
from realtime.web.incoming import SPARE_BYTES, body, incoming_folder, store
from realtime.web.jobs import Job, Jobs
from realtime.web.listed import listed_file
from realtime.web.media_header import ENOUGH, media_header

MOST_BYTES = 8 << 30
"""Of a video: an hour from a phone in 4K."""

_SOUNDS = ("wav", "flac", "mp3", "ogg")
_NOT_THE_LOOK = {"model", "avatar", "mirror", "panic", "reference", "on_miss", "opacity"}
"""Settings of a moment or a webcam, and those that could show whoever is in the video."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is worn in a file. `avatar`: for a model that moves a picture; `speaks`: its mouth follows a voice."""

    model: str
    avatar: str | None
    title: str
    speaks: bool
    badge_optional: bool


def cast(model: str, avatar: str | None) -> Cast:
    """By their names on the shelves. Raises ConfigError, ModelError."""
    for name in (model, avatar):
        if name is not None and not NAME_PATTERN.fullmatch(name):
            raise ConfigError(f"{printable(name, 80)!r} is not a name: choose somebody from the gallery")
    card = load_bundle(model).card
    if card.family not in WORN:
        raise ConfigError(f"{model} is a part of masquerade and nobody to wear: choose somebody from the gallery")
    if card.family == "swap":
        return Cast(model, None, card.title, speaks=False, badge_optional=card.identity.may_hide_badge)
    if avatar is None:
        raise ConfigError(f"{model} needs a picture that it moves: choose one from the gallery")
    shown = AVATARS.find(avatar).card
    own = shown.identity.kind in ("synthetic", "self")
    return Cast(model, avatar, shown.title, speaks=card.family == "lip-sync", badge_optional=own)


class JobRoutes:
    """Runs on the panel's loop. `look` gives the live settings; `options` what else of the run a job takes over."""

    def __init__(
        self,
        jobs: Jobs,
        look: Callable[[], Settings],
        options: Callable[[], Mapping[str, Any]],
        *,
        most_bytes: int = MOST_BYTES,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        self._jobs, self._look, self._options = jobs, look, options
        self._most, self._spare = most_bytes, spare_bytes
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What this part answers."""
        return [
            web.post("/api/jobs", self._add),
            web.post("/api/jobs/drop", self._drop),
            web.get("/api/results", self._list),
            web.post("/api/results", self._remove),
            web.get("/api/results/{name}", self._file),
        ]

    async def _add(self, request: web.Request) -> web.StreamResponse:
        """The file is the body, as it is; how it is called and whom to wear stands in the query."""
        if request.content_type != "application/octet-stream":
            raise Refused(415, "send application/octet-stream")
        self._jobs.check_room()
        title = title_from(request.query.get("title", "")) or "a file without a name"
        worn = await asyncio.to_thread(cast, request.query.get("model", ""), request.query.get("avatar") or None)
        length = request.content_length or 0
        too_large = Refused(413, f"the file is larger than {self._most >> 30} GiB: cut it into parts")
        if length > self._most:
            raise too_large
        if self._one_at_a_time.locked():
            raise Refused(429, "another file is being sent: wait for it")
        async with self._one_at_a_time:
            folder = incoming_folder(length + self._spare)
            try:
                source = folder / "source"
                await store(body(request), source, self._most, too_large, spare_bytes=self._spare)
                job = await asyncio.to_thread(self._job, title, worn, folder, source)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return web.json_response({"job": self._jobs.add(job)})

    def _job(self, title: str, worn: Cast, folder: Path, source: Path) -> Job:
        """Raises ConfigError for a file that is none of those that can be read."""
        with source.open("rb") as opened:
            suffix = media_header(opened.read(ENOUGH))
        if suffix is None or (suffix in _SOUNDS and not worn.speaks):
            raise ConfigError(
                f"{printable(title, 60)} is no video known here: give an MP4, MOV, MKV, WebM, AVI, TS, WMV or GIF"
            )
        source = source.rename(source.with_suffix(f".{suffix}"))
        look = self._look().model_dump(exclude=_NOT_THE_LOOK)
        if not worn.badge_optional:
            look["badge"] = "on"
        options = {**look, **self._options(), "model": worn.model, "avatar": worn.avatar}
        options["sound" if worn.speaks else "source"] = str(source)
        try:
            stem = name_from(title.rpartition(".")[0] or title)[:40].rstrip("-._")
        except ConfigError:  # in letters that no plain name can be made of
            stem = "video"
        return Job(title, worn.title, f"{stem}-as-{worn.avatar or worn.model}", folder, source, options)

    async def _drop(self, request: web.Request) -> web.StreamResponse:
        (number,) = await read_words(request, "job")
        self._jobs.drop(int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0)
        return web.json_response({})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        files = await asyncio.to_thread(self._jobs.results.files)
        listed = await asyncio.to_thread(lambda: [{"name": f.name, "bytes": f.stat().st_size} for f in files[:200]])
        return web.json_response({"folder": str(self._jobs.results.folder), "files": listed})

    async def _remove(self, request: web.Request) -> web.StreamResponse:
        do, name = await read_words(request, "do", "name")
        if do != "remove":
            raise Refused(400, "a finished file can be removed")
        await asyncio.to_thread(self._jobs.results.remove, name)
        return web.json_response({})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return listed_file(request, await asyncio.to_thread(self._jobs.results.files))

"""The page's server: on this machine only, for the one browser that was given the address."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from aiohttp import web

from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError, DeviceError, MasqueradeError
from realtime.frame import Frame
from realtime.output.recorder import Recorder
from realtime.pipeline.presets import Presets
from realtime.pipeline.session import Session
from realtime.settings import Settings
from realtime.threads import Crew
from realtime.web.answers import Refused, read_object, refusal
from realtime.web.auth import HEADERS, Doorkeeper
from realtime.web.connections import Connections
from realtime.web.debounced_save import Keeping
from realtime.web.device_routes import DeviceRoutes
from realtime.web.gallery_routes import GalleryRoutes
from realtime.web.job_routes import JobRoutes
from realtime.web.jobs import Jobs
from realtime.web.live_devices import LiveDevices
from realtime.web.notices import Notices
from realtime.web.preset_routes import PresetRoutes
from realtime.web.preview import Live
from realtime.web.preview_throttle import Courtesy
from realtime.web.prometheus import CONTENT_TYPE, metrics_text
from realtime.web.recording_routes import RecordingRoutes
from realtime.web.settings_change import changed_settings
from realtime.web.sound_routes import Overhear, SoundRoutes

_SCRIPTS = "page sound talk state settings gallery adding charts keyboard recordings making devices dropping"
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS.split()},
}
MAX_BODY = 16 * 1024
"""Of everything but a file that is added, which has limits of its own."""

OWN_LARGEST = (480, 270)
"""The view of one's own camera is there to sit well before it, no more."""

LINGER_S = 0.5
"""How long what a refused sender still sends is thrown away, so that it gets to read the refusal."""

KEPT_ALIVE_S = 75.0
BACKLOG = 1024
"""Connections that the system holds until they are taken: with fewer, a crowd keeps the page's owner waiting."""
AT_ONCE = 16
"""So many are taken before those taken are listened to again: see `Connections`."""

MAX_VIEWERS = 8

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _refuse(*_: Settings) -> object:
    raise ConfigError("the run is still starting: try again in a moment")


@dataclass(frozen=True, slots=True)
class Controls:
    """What the page asks of a run and changes in it. Called from the page's threads.

    `report` gives the metrics so far, `get_settings` the live settings; `set_settings` gets those wanted and those they
    were made from, and raises ConfigError for what this run may not do. `minute` gives the last minute for the charts,
    `keep` stores the settings for the next run, `overhear` opens the live voice, None in a run without one.
    `recorder` and `devices` are None where they are fixed; `job_options` are run options that rendered files share.
    """

    report: Callable[[], dict[str, Any]] = lambda: {"schema": 1, "state": "starting"}
    get_settings: Callable[[], Settings] = Settings
    set_settings: Callable[[Settings, Settings], object] = _refuse
    minute: Callable[[], dict[str, Any]] = dict
    keep: Callable[[], object] = lambda: None
    overhear: Overhear = lambda: None
    recorder: Recorder | None = None
    devices: LiveDevices | None = None
    job_options: Mapping[str, Any] = field(default_factory=dict)


def controls(session: Session) -> Controls:
    """What the page may ask of a session and change in it."""
    parts, switches = session.parts, session.parts.switches
    return Controls(
        report=session.report,
        get_settings=parts.settings.get,
        set_settings=session.change,
        minute=parts.tally.minute.report,
        keep=session.keep,
        overhear=parts.voice.overhear if parts.voice is not None else lambda: None,
        recorder=switches.recorder if switches is not None else None,
        devices=LiveDevices(switches) if switches is not None else None,
        job_options=parts.config.model_dump(include={"provider", "precision", "detector", "faces"}),
    )


class Page:
    """The live page, a sink. Constructed means listening; runs in a thread of its own until `close`.

    It is opened before the run: until `attach` it says that the run is starting. `port` 0 takes any free port. `url`
    carries a token that opens the page once. Raises DeviceError where the port is taken.
    """

    name = "page"

    def __init__(self, *, clock: Clock = now_ns, port: int = 0, jobs: Jobs | None = None) -> None:
        self.controls = Controls()
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._door = Doorkeeper(self.port)
        self.url = self.new_url()
        self._loop = asyncio.new_event_loop()
        self._courtesy = Courtesy(clock)
        self._live = Live(self._loop, clock, self._status, most_hz=lambda: self._courtesy.hz)
        self._own = Live(self._loop, clock, largest=OWN_LARGEST)
        self._sound = SoundRoutes(lambda: self.controls.overhear, self._get, self._live.delay_ms, clock)
        self._notices = Notices(clock)
        self._keeping = Keeping(self._loop, lambda: self.controls.keep())
        self._jobs = jobs or Jobs()
        self._stop = asyncio.Event()
        self._closed = False
        logging.getLogger("realtime").addHandler(self._notices)
        self._crew = Crew()
        self._crew.start("page", self._run, self._wake)

    def attach(self, controls: Controls) -> None:
        """Show and change that run from now on. Any thread."""
        self.controls = controls

    def _report(self) -> dict[str, Any]:
        return self.controls.report()

    def _get(self) -> Settings:
        return self.controls.get_settings()

    def new_url(self) -> str:
        """Another address that opens the page once (for a second browser)."""
        return f"http://127.0.0.1:{self.port}/?token={self._door.new_token()}"

    def show(self, frame: Frame) -> None:
        """Offer a picture to the open pages. Any thread; never blocks."""
        if not self._closed:
            self._live.offer(frame)

    def see(self, frame: Frame) -> None:
        """Offer what the camera sees to its owner's pages, if one asks for it. Any thread; never blocks."""
        if not self._closed and self._own.viewers:
            self._own.offer(frame)

    @property
    def delay_ms(self) -> float | None:
        """The median time from `show` to drawn in the page; None before any picture was drawn."""
        return self._live.delay_ms()

    def close(self) -> None:
        """Say good-bye to the open pages and stop listening. May be called twice."""
        if self._closed:
            return
        self._closed = True
        logging.getLogger("realtime").removeHandler(self._notices)
        self._crew.close()
        self._socket.close()

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._check], client_max_size=MAX_BODY)
        app.add_routes(
            [
                *(web.get(path, self._file) for path in FILES),
                web.get("/api/report", self._get_report),
                web.get("/api/settings", self._get_settings),
                web.post("/api/settings", self._post_settings),
                web.get("/api/minute", self._get_minute),
                web.get("/metrics", self._metrics),
                web.get("/ws/live", self._ws_live),
                web.get("/ws/own", self._ws_own),
                *GalleryRoutes(self._report).routes(),
                *PresetRoutes(Presets(), self._report, self._get, self._change).routes(),
                *DeviceRoutes(lambda: self.controls.devices).routes(),
                *self._sound.routes(),
                *JobRoutes(self._jobs, self._get, lambda: self.controls.job_options).routes(),
                *RecordingRoutes(lambda: self.controls.recorder, lambda: self._live.newest).routes(),
            ]
        )
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            lingering_time=LINGER_S,
            keepalive_timeout=KEPT_ALIVE_S,
        )
        await runner.setup()
        assert runner.server is not None
        self._connections = Connections(runner.server)
        server = await self._loop.create_server(self._connections, sock=self._socket, backlog=AT_ONCE)
        self._socket.listen(BACKLOG)
        try:
            await self._stop.wait()
            await self._live.close()
            await self._own.close()
            await self._sound.close()
            await self._jobs.close()
            await self._keeping.close()
        finally:
            server.close()
            await runner.cleanup()

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here: Host, Origin, then the cookie, or the token in its stead."""
        answer = await self._answer(request, handler)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        websocket = request.headers.get("Upgrade", "").lower() == "websocket"
        objection = self._door.objection(request.method, request.headers, websocket=websocket)
        if objection is not None:
            return refusal(403, objection)
        token = request.query.get("token")
        if request.path == "/" and token is not None:
            return self._let_in(token, known=self._door.knows(request.headers))
        if not self._door.knows(request.headers):
            return refusal(403, "open the address that masquerade printed; it works once")
        self._connections.let_in(request.protocol)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return refusal(error.status, error.reason.lower())
        except Refused as error:
            return refusal(error.status, str(error))
        except MasqueradeError as error:
            return refusal(400, str(error))

    def _let_in(self, token: str, *, known: bool) -> web.StreamResponse:
        if not self._door.redeem(token) and not known:
            return refusal(403, "this address was used before: masquerade prints a new one when it starts")
        answer = web.Response(status=303, headers={"Location": "/"})
        if not known:
            answer.set_cookie(self._door.cookie_name, self._door.cookie, httponly=True, samesite="Strict", path="/")
        return answer

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name, kind = FILES[request.path]
        text = resources.files("realtime.web").joinpath(name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind)

    async def _get_report(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._report())

    async def _get_settings(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._get().model_dump())

    async def _post_settings(self, request: web.Request) -> web.StreamResponse:
        """Change the settings named in the body, all or none; answers with all of them."""
        change = await read_object(request, "settings")
        if change.keys() & {"model", "avatar"}:
            await asyncio.to_thread(self._change, change)  # it reads what is on the shelf
        else:
            self._change(change)
        return web.json_response(self._get().model_dump())

    def _change(self, change: dict[str, Any]) -> None:
        before = self._get()
        self.controls.set_settings(changed_settings(before, change), before)
        self._keeping.touch()

    async def _get_minute(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self.controls.minute))

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=metrics_text(self._report()), headers={"Content-Type": CONTENT_TYPE})

    async def _ws_live(self, request: web.Request) -> web.StreamResponse:
        return await self._serve_view(request, self._live)

    async def _ws_own(self, request: web.Request) -> web.StreamResponse:
        return await self._serve_view(request, self._own)

    async def _serve_view(self, request: web.Request, live: Live) -> web.StreamResponse:
        if live.viewers >= MAX_VIEWERS:
            raise Refused(503, f"{MAX_VIEWERS} pages are open already: close one")
        # JPEGs don't shrink further; the page says only short words.
        ws = web.WebSocketResponse(compress=False, max_msg_size=1024, heartbeat=10.0, timeout=1.0)
        ws.headers.update(HEADERS)
        await ws.prepare(request)
        await live.serve(ws)
        return ws

    def _status(self) -> dict[str, Any]:
        report = self._report()
        self._courtesy.note(report)
        recorder, devices = self.controls.recorder, self.controls.devices
        return {
            "report": report,
            "settings": self._get().model_dump(),
            "recording": recorder.recording if recorder is not None else None,
            "can_record": recorder is not None,
            "devices": devices.report() if devices is not None else None,
            "jobs": self._jobs.report(),
            "notices": self._notices.report(),
        }


def _listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1, so that connections wait from now on."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    except OSError as error:
        raise DeviceError(
            f"the page cannot listen on 127.0.0.1:{port} ({error.strerror or error}): choose another port"
        ) from error

"""The page's server: on this machine only, for the one browser that was given the address."""

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import resources
from typing import Any

from aiohttp import ClientPayloadError, web

from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError, MasqueradeError
from realtime.frame import Frame
from realtime.text import printable
from realtime.threads import Crew
from realtime.web import controls, gallery, recordings, render_jobs, rigging, settings, upload
from realtime.web.auth import AUTH, HEADERS, Auth, Refused, refusal
from realtime.web.controls import CONTROLS, Controls
from realtime.web.preview import PREVIEW, Preview, VoicePreview
from realtime.web.render_jobs import RenderJobs

_SCRIPTS = "page sound talk state settings gallery adding charts keyboard recordings making devices dropping rigging"
FILES = {
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in _SCRIPTS.split()},
}
"""Served to whoever asks by our name: they are the program's own text and hold nothing of a run's."""

TOKEN_META = '<meta name="token" content="{}">'
MAX_BODY = 16 * 1024
"""Of everything but an uploaded file, which has limits of its own."""

OWN_LARGEST = (480, 270)
"""The view of one's own camera is there to sit well before it, no more."""

MOST_NOTICES = 12
NOT_LET_IN = "open the address that masquerade printed; it works once (a program sends the token that it gives)"
log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The live page, a sink. Constructed means listening; runs in a thread of its own until `close`.

    It is opened before the run: until `attach` it says that the run is starting. `port` 0 takes any free port. `url`
    carries a token that opens the page once. Raises DeviceError where the port is taken.
    """

    name = "page"

    def __init__(self, *, clock: Clock = now_ns, port: int = 0, jobs: RenderJobs | None = None) -> None:
        self.controls = Controls()
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._auth = Auth(self.port)
        self.url = self.new_url()
        self._loop = asyncio.new_event_loop()
        self._preview = Preview(self._loop, clock, self._status)
        self._own = Preview(self._loop, clock, largest=OWN_LARGEST)
        self._voice = VoicePreview(lambda: self.controls, self._preview.delay_ms, clock)
        self._notices = Notices(clock)
        self._save = settings.DebouncedSave(self._loop, lambda: self.controls.keep())
        self._jobs = jobs or RenderJobs()
        self._stop = asyncio.Event()
        self._closed = False
        logging.getLogger("realtime").addHandler(self._notices)
        self._crew = Crew()
        self._crew.start("page", self._run, self._wake)

    def attach(self, run: Controls) -> None:
        """Show and change that run from now on. Any thread."""
        self.controls = run

    def new_url(self) -> str:
        """An address that opens the page once."""
        return f"http://127.0.0.1:{self.port}/?token={self._auth.new_code()}"

    def show(self, frame: Frame) -> None:
        """Offer a picture to the open pages. Any thread; never blocks."""
        if not self._closed:
            self._preview.offer(frame)

    def see(self, frame: Frame) -> None:
        """Offer what the camera sees to its owner's pages, if one asks for it. Any thread; never blocks."""
        if not self._closed and self._own.viewers:
            self._own.offer(frame)

    def close(self) -> None:
        """Close the open pages and stop listening. May be called twice."""
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
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # ends what connections leave unfinished
            runner.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._check], client_max_size=MAX_BODY)
        app[AUTH], app[CONTROLS] = self._auth, lambda: self.controls
        app[PREVIEW], app[settings.SAVE], app[render_jobs.JOBS] = self._preview, self._save, self._jobs
        for lock in (upload.ADDING, recordings.RECORDING, render_jobs.SENDING, rigging.RIGGING):
            app[lock] = asyncio.Lock()
        app.add_routes(
            [
                web.get("/", self._home),
                *(web.get(path, _file) for path in FILES),
                web.get("/api/report", self._get_report),
                web.get("/api/minute", self._get_minute),
                web.get("/metrics", self._get_metrics),
                web.get("/ws/live", self._preview.answer),
                web.get("/ws/own", self._own.answer),
                web.get("/ws/sound", self._voice.answer),
            ]
        )
        for part in (settings, controls, gallery, upload, recordings, render_jobs, rigging):
            app.add_routes(part.routes)
        # Lingering throws away what a refused sender still sends, so that it gets to read the refusal.
        waits: dict[str, Any] = {"shutdown_timeout": 1.0, "lingering_time": 0.5, "keepalive_timeout": 75.0}
        runner = web.AppRunner(app, access_log=None, handle_signals=False, logger=QuietLog(log), **waits)
        await runner.setup()
        try:
            await web.SockSite(runner, self._socket).start()
            await self._stop.wait()
            for opened in (self._preview, self._own, self._voice, self._jobs, self._save):
                await opened.close()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here: Host, Origin, then the token."""
        answer = await self._answer(request, handler)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._auth.check_origin(request)
            if request.path != "/" and request.path not in FILES and not self._auth.has_token(request):
                raise Refused(403, NOT_LET_IN)
            return await handler(request)
        except web.HTTPException as error:
            return refusal(error.status, error.reason.lower())
        except Refused as error:
            return refusal(error.status, str(error))
        except MasqueradeError as error:
            return refusal(400, str(error))
        except (ClientPayloadError, web.RequestPayloadError):
            return refusal(400, "the body did not come whole, or not as its headers say")
        except ConnectionError:  # the sender has gone
            raise
        except Exception as error:
            log.error("the page could not answer: unexpected %s", type(error).__name__)
            log.debug("while answering %s", printable(request.path, 200), exc_info=True)
            return refusal(500, f"unexpected {type(error).__name__}: please report it")

    async def _home(self, request: web.Request) -> web.StreamResponse:
        """The page with the run's token for a code never used, without it for anybody else.

        Without it the answer is a refusal, as programs read it; in a browser that was let in before, the page finds the
        token where it kept it. A program may ask for JSON instead.
        """
        code = request.query.get("token", "") if request.method == "GET" else ""
        let_in = self._auth.redeem(code) or self._auth.has_token(request)
        if request.headers.get("Accept", "").startswith("application/json"):
            return web.json_response({"token": self._auth.token}) if let_in else refusal(403, NOT_LET_IN)
        text = _text("page.html")
        if let_in:
            text = text.replace(TOKEN_META.format(""), TOKEN_META.format(self._auth.token))
        return web.Response(text=text, content_type="text/html", status=200 if let_in else 403)

    async def _get_report(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.controls.report())

    async def _get_minute(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self.controls.minute))

    async def _get_metrics(self, request: web.Request) -> web.StreamResponse:
        text = "".join(f"{line}\n" for line in prometheus_lines(self.controls.report()))
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    def _status(self) -> dict[str, Any]:
        run = self.controls
        report = run.report()
        self._preview.note_load(report)
        return {
            "report": report,
            "settings": run.get_settings().model_dump(),
            "recording": run.recorder.recording if run.recorder is not None else None,
            "can_record": run.recorder is not None,
            "devices": run.devices.report() if run.devices is not None else None,
            "jobs": self._jobs.report(),
            "notices": self._notices.report(),
        }


class QuietLog(logging.LoggerAdapter[logging.Logger]):
    """The HTTP parser's log: a request that it cannot read is its sender's fault, and a line with --debug."""

    def exception(self, msg: object, *args: object, exc_info: object = None, **rest: Any) -> None:
        self.logger.debug("a request could not be read: %s", printable(exc_info, 200))


async def _file(request: web.Request) -> web.StreamResponse:
    name, kind = FILES[request.path]
    return web.Response(text=_text(name), content_type=kind)


def _text(name: str) -> str:
    return resources.files("realtime.web").joinpath(name).read_text(encoding="utf-8")


def _listen(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1, so that connections wait from now on."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        raise DeviceError(
            f"the page cannot listen on 127.0.0.1:{port} ({error.strerror or error}): choose another port"
        ) from error


class Notices(logging.Handler):
    """Keeps the newest warnings of this program for the page, each text once. Any thread."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._texts: OrderedDict[str, int] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        text = printable(record.getMessage(), 400)
        self._texts[text] = self._clock()
        self._texts.move_to_end(text)
        while len(self._texts) > MOST_NOTICES:
            self._texts.popitem(last=False)

    def report(self) -> list[dict[str, Any]]:
        """The warnings, newest first, and how many seconds ago each was."""
        now = self._clock()
        self.acquire()
        try:
            texts = list(self._texts.items())
        finally:
            self.release()
        return [{"text": text, "ago_s": (now - at) // NS_PER_S} for text, at in reversed(texts)]


def prometheus_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of a report in Prometheus' text format 0.0.4; what is missing is left out."""
    frames = [(f'kind="{kind}"', count) for kind, count in report.get("frames", {}).items()]
    yield from _metric("frames_total", "counter", "Frames by what became of them.", frames)
    for key, name, what in (
        ("fps", "fps", "New pictures handed over a second."),
        ("seconds", "seconds", "Time from the first to the last picture."),
        ("peak_memory_mb", "peak_memory_megabytes", "The most memory the process held."),
    ):
        yield from _metric(name, "gauge", what, [("", report.get(key))])
    latency = [(f'at="{at}"', value) for at, value in report.get("latency_ms", {}).items()]
    yield from _metric("latency_milliseconds", "gauge", "From capture to hand-over.", latency)
    stages = [
        (f'stage="{stage}",at="{at}"', value)
        for stage, times in report.get("stages_ms", {}).items()
        for at, value in times.items()
    ]
    yield from _metric("stage_milliseconds", "gauge", "Time spent in each stage.", stages)
    labels = ",".join(f'{key}="{_escaped(report.get(key, ""))}"' for key in ("model", "family", "version"))
    yield from _metric("info", "gauge", "What runs.", [(labels, 1)])


def _metric(name: str, kind: str, what: str, values: list[tuple[str, Any]]) -> Iterator[str]:
    numbers = [(labels, value) for labels, value in values if isinstance(value, int | float)]
    if numbers:
        yield f"# HELP masquerade_{name} {what}"
        yield f"# TYPE masquerade_{name} {kind}"
        yield from (f"masquerade_{name}{f'{{{labels}}}' if labels else ''} {value:g}" for labels, value in numbers)


def _escaped(label: object) -> str:
    return str(label).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""`masquerade run`: opens the parts in order, turns the loop, closes them in reverse."""

import json
import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from realtime import __version__
from realtime.avatars.background import read_background
from realtime.capture import Source
from realtime.capture.open_source import open_source
from realtime.character import Character
from realtime.clock import Clock, now_ns
from realtime.config import RunConfig
from realtime.detect import Tracker
from realtime.disclose import CAMERA_LABEL, metadata
from realtime.engine import Engine, FaceFinder
from realtime.errors import ConfigError, DeviceError
from realtime.guard import Guard, check_allowed
from realtime.keys import changed, typed_keys
from realtime.metrics import machine, peak_memory_mb
from realtime.output.open_sink import check_specs, open_sinks, wants_page
from realtime.output.sound_track import SoundTrack
from realtime.output.timeline import Pace
from realtime.panel import Panel
from realtime.pipeline import Loop, run_live, run_offline
from realtime.role import Role, find_role, open_character
from realtime.sessions.providers import why_not
from realtime.settings import Settings
from realtime.threads import Crew, Latest

log = logging.getLogger(__name__)

Say = Callable[[str], None]


class Run:
    """One run, from its configuration to its summary.

    `say` prints a line for the user; `on_page` gets the page's address once it can be opened.
    """

    def __init__(self, config: RunConfig, *, say: Say, on_page: Say | None = None, clock: Clock = now_ns) -> None:
        self._config = config
        self._say = say
        self._clock = clock
        self._on_page = on_page or (lambda address: say(f"page: {address}"))
        self._settings: Latest[Settings] = Latest(config.settings())
        self._loop: Loop | None = None
        self._role: Role | None = None
        self._facts: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """Run to the end and return the report (CONTRACT: `--metrics`). Raises MasqueradeError."""
        with ExitStack() as stack:
            stack.callback(self._write_metrics)
            loop = self._open(stack)
            if self._pace == "live":
                self._turn_live(loop)
            else:
                self._turn_offline(loop)
        if loop.lost:
            raise loop.lost[0]
        return self.report()

    @property
    def _pace(self) -> Pace:
        """A file that goes into files only is worked off in full; everything else is live."""
        config = self._config
        if config.pace is not None:
            return config.pace
        live_outputs = not config.output or any(o in ("page", "null") or o.startswith("camera") for o in config.output)
        return "live" if live_outputs or not os.path.isfile(config.source) else "all"

    def _open(self, stack: ExitStack) -> Loop:
        """What can be refused is refused before a device is touched: options, models, outputs' names.

        The source comes before the sinks, because its size is theirs.
        """
        config = self._config
        if config.model is None:
            raise ConfigError("no model given: choose one with --model (masquerade models lists them)")
        check_specs(config.output, config.source)
        role = self._role = find_role(config.model, config.avatar)
        self._check(config, role)
        family = role.bundle.card.family
        if family == "swap" and (config.avatar or config.sound):
            name = config.model
            raise ConfigError(f"--avatar and --sound are for motion and lip-sync models: {name} is a swap model")
        if family == "motion" and config.sound:
            raise ConfigError(f"--sound is for lip-sync models: {config.model} is a motion model")
        character = self._character(role)
        finder = _finder(config)
        engine = Engine(finder, character, self._settings.get, self._clock)
        stack.callback(engine.close)
        source: Source = open_source(
            config.source, size=config.size, fps=config.fps, clock=self._clock, pace=self._pace, loop=config.loop
        )
        stack.callback(source.close)
        character.prepare(source.size, self._settings.get())
        size = config.size or source.size
        rate_hz = config.fps or source.rate_hz or 30.0
        panel = self._panel(stack)
        sinks = open_sinks(
            config.output,
            size=size,
            rate_hz=rate_hz,
            label=CAMERA_LABEL,
            metadata=metadata(role.name, role.identity_kind, __version__),
            sound=SoundTrack.of(source),
            panel=panel,
            source=config.source,
            pace=self._pace,
            clock=self._clock,
        )
        if panel is not None and any(sink.name == "page" for sink in sinks):
            self._on_page(panel.url)
        loop = self._loop = Loop(
            source,
            engine,
            Guard(size, character.title, self._settings.get, allow_raw=config.allow_raw),
            sinks,
            self._settings.get,
            self._another,
            self._clock,
            rate_hz,
        )
        stack.callback(_close_all, loop)
        self._facts = {
            "source": source.name,
            "size": list(size),
            "providers": {"detect": finder.ran_on, "swap": character.ran_on},
            "precision": {"detect": "fp32", "swap": character.precision},
        }
        return loop

    def _character(self, role: Role) -> Character:
        return open_character(
            role, provider=self._config.provider, precision=self._config.precision, settings=self._settings.get
        )

    def _check(self, settings: Settings, role: Role) -> None:
        check_allowed(settings, allow_raw=self._config.allow_raw, badge_optional=role.may_hide_badge)

    def _another(self, name: str) -> Character:
        role = find_role(name, self._config.avatar)
        self._check(self._settings.get(), role)
        character = self._character(role)
        self._role = role
        return character

    def change(self, settings: Settings) -> Settings:
        """Replace the live settings, if this run may use them. Raises ConfigError. Any thread."""
        role = self._role
        assert role is not None
        self._check(settings, role)
        if settings.avatar != self._settings.get().avatar:
            role.check(settings)
        if settings.background != self._settings.get().background:
            read_background(settings.background)
        self._settings.set(settings)
        return settings

    def _panel(self, stack: ExitStack) -> Panel | None:
        if not wants_page(self._config.output):
            return None
        panel = Panel(report=self.report, get_settings=self._settings.get, set_settings=self.change)
        stack.callback(panel.close)
        return panel

    def _turn_offline(self, loop: Loop) -> None:
        limit = self._config.seconds
        started = self._clock()
        last_line = started

        def stop() -> bool:
            nonlocal last_line
            now = self._clock()
            if now - last_line > 1e9:
                last_line = now
                self._say(self.line())
            return limit is not None and (now - started) / 1e9 >= limit

        run_offline(loop, stop)

    def _turn_live(self, loop: Loop) -> None:
        limit = self._config.seconds
        with Crew() as crew, typed_keys() as read_key:
            run_live(loop, crew)
            started = last_line = self._clock()
            while not crew.wait("output", 0):
                key = read_key(0.1)
                if key == "q":
                    break
                if key and (settings := changed(self._settings.get(), key, self._avatars)) is not None:
                    self.change(settings)
                now = self._clock()
                if now - last_line >= 1e9:
                    last_line = now
                    self._say(self.line())
                if limit is not None and (now - started) / 1e9 >= limit:
                    break

    @property
    def _avatars(self) -> tuple[str, ...]:
        return self._role.avatar_names if self._role else ()

    def line(self) -> str:
        """The live line: frames a second, latency, drops, what runs, and what goes out."""
        if self._loop is None:
            return "starting"
        tally = self._loop.tally
        return (
            f"{max(tally.fps, 0):5.1f} fps   latency p50 {tally.latency.percentile_ms(50):.0f} "
            f"p95 {tally.latency.percentile_ms(95):.0f} ms   dropped {tally.dropped}   "
            f"{self._facts['providers']['swap']}   {self._loop.state}"
        )

    def report(self) -> dict[str, Any]:
        """The metrics so far, as the contract shapes them. Any thread."""
        if self._loop is None or self._role is None:
            return {"schema": 1, "state": "starting", "version": __version__}
        return {
            "schema": 1,
            "model": self._role.bundle.name,
            "title": self._loop.engine.character.title,
            "family": self._role.bundle.card.family,
            "avatars": list(self._avatars),
            "state": self._loop.state,
            **self._facts,
            **self._loop.tally.report(),
            "peak_memory_mb": peak_memory_mb(),
            "machine": machine(),
            "version": __version__,
            "commit": commit(),
        }

    def _write_metrics(self) -> None:
        path = self._config.metrics
        if path is None or self._loop is None:
            return
        try:
            path.write_text(json.dumps(self.report(), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"the metrics can't be written to {path}: {error.strerror}") from error


def _close_all(loop: Loop) -> None:
    for sink in loop.sinks:
        try:
            sink.close()
        except DeviceError as error:
            log.warning("%s", error)
            loop.lost.append(error)


def _finder(config: RunConfig) -> FaceFinder:
    if config.detector == "mediapipe":
        from realtime.mediapipe_detector import MediapipeDetector

        return MediapipeDetector(faces=config.faces)
    # Three small networks in a row: on a graphics card their transfers cost more than they save.
    on_cpu = ("cpu", "openvino")
    provider = config.provider if config.provider in on_cpu else "cpu" if why_not("openvino") else "openvino"
    return Tracker(provider=provider, faces=config.faces, steadiness=config.steadiness)


def commit() -> str | None:
    """The commit of the checkout this runs from, None for an installed package."""
    git = Path(__file__).resolve().parent.parent / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        return (git / head[5:]).read_text(encoding="utf-8").strip()[:12]
    except OSError:
        return None

"""`masquerade run`: opens the parts in order, turns the loop, closes them in reverse."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from realtime import __version__
from realtime.audio.audio_track import SoundTrack
from realtime.audio.voice_pipeline import OpenSpeaker, VoicePipeline, open_speaker
from realtime.clock import Clock, now_ns
from realtime.config import RunConfig
from realtime.errors import DeviceError
from realtime.families.effect import Effect
from realtime.families.motion.canvas import read_background
from realtime.output.disclosure import CAMERA_LABEL, metadata
from realtime.output.open_sink import check_specs, open_sinks, wants_page
from realtime.output.recorder import Recorder
from realtime.output.sink import Sink
from realtime.output.virtual_camera import OFF
from realtime.pipeline.active_identity import ActiveIdentity, open_character
from realtime.pipeline.av_sync import AvPlan, check_change, is_silent, open_pictures, open_voice, settings_of, voicing
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import Fallback, check_allowed
from realtime.pipeline.hotkeys import changed
from realtime.pipeline.last_session import begin, keep_look
from realtime.pipeline.loop import Loop
from realtime.pipeline.metrics import commit, machine, peak_memory_mb, write_report
from realtime.pipeline.open_tracker import open_finder
from realtime.pipeline.select_identity import role_for, same_cast
from realtime.pipeline.switches import Switches, chosen_microphone, switchable, with_switches
from realtime.pipeline.turning import turn_live, turn_offline
from realtime.settings import Settings
from realtime.threads import Latest
from realtime.tracking.tracker import NoFaces
from realtime.web.live_devices import LiveDevices
from realtime.web.server import Controls, Page

log = logging.getLogger(__name__)

Say = Callable[[str], None]


class Run:
    """One run, from its configuration to its summary.

    `say` prints a line for the user; `on_page` gets the page's address once it can be opened. `open_speaker` stands in
    for this machine's own way to a voice.
    """

    def __init__(
        self,
        config: RunConfig,
        *,
        say: Say,
        on_page: Say | None = None,
        clock: Clock = now_ns,
        open_speaker: OpenSpeaker = open_speaker,
    ) -> None:
        self._config = config
        self._open_speaker = open_speaker
        self._say = say
        self._clock = clock
        self._on_page = on_page or (lambda address: say(f"page: {address}"))
        self._settings: Latest[Settings] = Latest(config.settings())
        self._loop: Loop | None = None
        self._role: ActiveIdentity | None = None
        self._plan: AvPlan | None = None
        self._speaker: VoicePipeline | None = None
        self._facts: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """Run to the end and return the report (CONTRACT: `--metrics`). Raises MasqueradeError."""
        with ExitStack() as stack:
            stack.callback(self._write_metrics)
            loop = self._open(stack)
            self._turn(loop)
        if loop.lost:
            raise loop.lost[0]
        return self.report()

    def _open(self, stack: ExitStack) -> Loop:
        """What can be refused is refused before a device is touched: options, models, outputs' names.

        The source comes before the sinks, because its size is theirs.
        """
        config = self._config
        check_specs(config.output, config.source)
        config, role, avatar = begin(config, recall=wants_page(config.output) and config.pace != "all")
        self._config, self._role = config, role
        self._check(config, role)
        plan = self._plan = voicing(config, role)
        self._settings.set(settings_of(config, plan).model_copy(update={"avatar": avatar}))
        microphone, open_speaker = None, self._open_speaker
        if wants_page(config.output):
            microphone, open_speaker = chosen_microphone(config, open_speaker)
        speaker = self._speaker = open_voice(config, plan, open_speaker, lambda: self._loop, self._clock)
        if speaker is not None:
            stack.callback(speaker.close)
        character = self._character(role)
        finder = open_finder(config) if plan.looks else NoFaces()
        engine = Engine(finder, character, self._settings.get, self._clock)
        stack.callback(engine.close)
        source = open_pictures(config, plan, speaker, self._clock)
        switched = switchable(source, config, plan, self._clock) if wants_page(config.output) else None
        source = switched or source
        stack.callback(source.close)
        character.prepare(source.size, self._settings.get())
        size = config.size or source.size
        rate_hz = config.fps or source.rate_hz or 30.0
        page = None
        if wants_page(config.output):
            page = Page(clock=self._clock)
            stack.callback(page.close)

        def sinks_of(specs: Sequence[str]) -> list[Sink]:
            worn = self._role or role
            return open_sinks(
                specs,
                size=size,
                rate_hz=rate_hz,
                label=CAMERA_LABEL,
                metadata=metadata(worn.name, worn.identity_kind, __version__),
                sound=speaker.track if speaker is not None else SoundTrack.of(source, lambda: is_silent(self._loop)),
                page=page,
                source=plan.source,
                pace=plan.pace,
                clock=self._clock,
            )

        sinks, lost = sinks_of(config.output), list[DeviceError]()
        on_page, switches = page in sinks, None
        if on_page and plan.pace == "live":
            sinks, switches = with_switches(sinks, lambda spec: sinks_of([spec])[0], switched, microphone, lost.append)
        loop = self._loop = Loop(
            source,
            engine,
            Fallback(size, character.title, self._settings.get, allow_raw=config.allow_raw),
            sinks,
            self._settings.get,
            self._another,
            self._clock,
            rate_hz,
            lost=lost,
            see=page.see if page is not None else None,
        )
        if page is not None and on_page:
            page.attach(self._controls(loop, switches))
            self._on_page(page.url)
        stack.callback(_close_all, loop)
        self._facts = {
            "size": list(size),
            "providers": {"detect": finder.ran_on, "swap": character.ran_on},
            "precision": {"detect": "fp32", "swap": character.precision},
        }
        return loop

    def _character(self, role: ActiveIdentity) -> Effect:
        return open_character(
            role,
            provider=self._config.provider,
            precision=self._config.precision,
            settings=self._settings.get,
            speech=self._speaker.speech if self._speaker is not None else None,
        )

    def _check(self, settings: Settings, role: ActiveIdentity) -> None:
        check_allowed(settings, allow_raw=self._config.allow_raw, badge_optional=role.may_hide_badge)

    def _another(self, name: str) -> Effect:
        role = self._cast(self._settings.get().model_copy(update={"model": name}))
        self._check(self._settings.get(), role)
        character = self._character(role)
        self._role = role
        self._facts["providers"] = {**self._facts["providers"], "swap": character.ran_on}
        self._facts["precision"] = {**self._facts["precision"], "swap": character.precision}
        return character

    def _cast(self, settings: Settings) -> ActiveIdentity:
        assert self._role is not None
        role = role_for(settings, self._role, model=self._config.model, avatar=self._config.avatar)
        check_change(self._config, self._role, role)
        return role

    def change(self, settings: Settings, before: Settings) -> Settings:
        """Change the live settings by what `settings` has other than `before`, if this run may use them. Any thread.

        Raises ConfigError, ModelError.
        """
        role, again = self._role, False
        assert role is not None
        if (settings.model, settings.avatar) != (before.model, before.avatar):
            wanted = self._cast(settings)
            if settings.avatar != before.avatar:
                wanted.check(settings)
            if not same_cast(wanted, role):
                settings = settings.model_copy(update={"model": settings.model or self._config.model})
                again = settings.model == before.model  # with another avatar, or because it failed before
            role = wanted
        self._check(settings, role)
        if settings.background != before.background:
            read_background(settings.background)
        # What took long must not undo what was changed meanwhile, least of all `panic`.
        change = {key: value for key, value in settings if value != getattr(before, key)}
        now = self._settings.update(lambda now: now.model_copy(update=change))
        if again and self._loop is not None:
            self._loop.edition += 1
        return now

    def _controls(self, loop: Loop, switches: Switches | None) -> Controls:
        controls = Controls(
            self.report,
            self._settings.get,
            self.change,
            loop.tally.minute.report,
            self._keep_look,
            recorder=switches.recorder if switches is not None else None,
            devices=LiveDevices(switches) if switches is not None else None,
            job_options=self._config.model_dump(include={"provider", "precision", "detector", "faces"}),
        )
        return controls if self._speaker is None else replace(controls, overhear=self._speaker.overhear)

    def _keep_look(self) -> None:
        now, role = self._settings.get(), self._role
        if role is not None:
            keep_look(now.model_copy(update={"model": role.bundle.name, "avatar": role.shown(now)}))

    def _turn(self, loop: Loop) -> None:
        limit_s = self._config.seconds
        if self._plan is None or self._plan.pace != "live":
            turn_offline(loop, limit_s=limit_s, say=self._say_line, clock=self._clock)
            return
        works = self._speaker.works if self._speaker is not None else ()
        turn_live(loop, works, limit_s=limit_s, say=self._say_line, press=self._press, clock=self._clock)

    def _press(self, key: str) -> None:
        before = self._settings.get()
        if (settings := changed(before, key, self._avatars)) is not None:
            self.change(settings, before)

    def _say_line(self) -> None:
        self._say(self.line())

    @property
    def _avatars(self) -> tuple[str, ...]:
        return self._role.avatar_names if self._role else ()

    def line(self) -> str:
        """The live line: frames a second, latency, drops, what runs, and what goes out."""
        if self._loop is None:
            return "starting"
        tally = self._loop.tally
        sound = self._speaker.state if self._speaker is not None else "ok"
        return (
            f"{max(tally.fps, 0):5.1f} fps   latency p50 {tally.latency.percentile_ms(50):.0f} "
            f"p95 {tally.latency.percentile_ms(95):.0f} ms   dropped {tally.dropped}   "
            f"{self._facts['providers']['swap']}   {self._loop.state}{'' if sound == 'ok' else f'   {sound}'}"
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
            "avatar": self._role.shown(self._settings.get()),
            "state": self._loop.state,
            "changing": self._loop.changing,
            "outputs": [sink.name for sink in self._loop.sinks if sink.name not in (Recorder.name, OFF)],
            **self._facts,
            "source": self._loop.source.name,
            **({"sound": self._speaker.report()} if self._speaker is not None else {}),
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
        write_report(path, self.report())


def _close_all(loop: Loop) -> None:
    for sink in loop.sinks:
        try:
            sink.close()
        except DeviceError as error:
            log.warning("%s", error)
            loop.lost.append(error)

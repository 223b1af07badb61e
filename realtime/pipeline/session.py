"""One run from start to summary: its loop, its live settings, its report."""

from collections.abc import Callable
from typing import Any

from realtime import __version__
from realtime.clock import NS_PER_S
from realtime.config import Settings
from realtime.families import family_of
from realtime.families.motion.canvas import read_background
from realtime.inference.session import report
from realtime.output.recorder import Recorder
from realtime.output.virtual_camera import OFF
from realtime.pipeline.active_identity import reselect
from realtime.pipeline.av_sync import check_change
from realtime.pipeline.engine import Engine
from realtime.pipeline.fallback import check_allowed
from realtime.pipeline.hotkeys import changed, typed_keys
from realtime.pipeline.loop import Loop, run_live, run_offline
from realtime.pipeline.metrics import commit, machine, peak_memory_mb, write_report
from realtime.pipeline.parts import Parts
from realtime.pipeline.presets import keep_session
from realtime.threads import Crew

Say = Callable[[str], None]


class Session:
    """A run of open parts, which belong to the caller. `say` gets the status line once a second.

    `change`, `report`, `line` and `keep` may be called from any thread.
    """

    def __init__(self, parts: Parts, *, say: Say = lambda line: None) -> None:
        self.parts = parts
        self._say = say
        active = parts.identities.active
        may_hide = active.selection.may_hide_badge
        engine = Engine(
            parts.tracker, active.effect, parts.settings.get, parts.clock, guard=parts.guard, may_hide_badge=may_hide
        )
        self.loop = Loop(
            parts.source,
            engine,
            parts.fallback,
            parts.sinks,
            parts.settings.get,
            parts.clock,
            parts.rate_hz,
            identities=parts.identities,
            tally=parts.tally,
            lost=parts.lost,
        )

    def run(self) -> dict[str, Any]:
        """Run to the end, close the parts, and give the report (CONTRACT: `--metrics`). Raises MasqueradeError."""
        config = self.parts.config
        try:
            with self.parts:
                if self.parts.plan.pace == "live":
                    self._run_live()
                else:
                    self._run_offline()
        finally:
            if config.metrics is not None:
                write_report(config.metrics, self.report())
        if self.parts.lost:
            raise self.parts.lost[0]
        return self.report()

    def _run_offline(self) -> None:
        clock = self.parts.clock
        last_line = clock()

        def tick() -> None:
            nonlocal last_line
            now = clock()
            if now - last_line > NS_PER_S:
                last_line = now
                self._say(self.line())

        family = family_of(self.parts.identities.active.selection.bundle.card)
        run_offline(self.loop, tick, ahead=family.seeks_rest)

    def _run_live(self) -> None:
        """In threads, the newest frame winning, until the source ends, the time is over or q is pressed."""
        clock, limit_s = self.parts.clock, self.parts.config.seconds
        with Crew() as crew, typed_keys() as read_key:
            for work in self.parts.voice.works if self.parts.voice is not None else ():
                crew.start(work.name, work.do, work.unblock)
            run_live(self.loop, crew)
            started = last_line = clock()
            while not crew.wait("output", 0):
                key = read_key(0.1)
                if key == "q":
                    break
                if key:
                    self.press(key)
                now = clock()
                if now - last_line >= NS_PER_S:
                    last_line = now
                    self._say(self.line())
                # Files end by their own time (`MediaLimit`), on which a slow machine has no influence.
                if limit_s is not None and self.parts.source.live and now - started >= limit_s * NS_PER_S:
                    break

    def press(self, key: str) -> None:
        """Change the settings as a key of the terminal says (`hotkeys.changed`)."""
        before = self.parts.settings.get()
        if (settings := changed(before, key, self.parts.identities.wanted.avatar_names)) is not None:
            self.change(settings, before)

    def change(self, settings: Settings, before: Settings) -> Settings:
        """Change the live settings by what `settings` has other than `before`, if this run may use them.

        Another identity is checked here and loaded beside the active one, which goes on until it is ready.
        Raises ConfigError, ModelError.
        """
        config, identities = self.parts.config, self.parts.identities
        now = selection = identities.wanted
        if (settings.model, settings.avatar) != (before.model, before.avatar):
            selection = reselect(settings, now, model=config.model, avatar=config.avatar)
            check_change(config, self.parts.plan, selection)
            if settings.avatar != before.avatar:
                selection.check(settings)
            if not selection.same(now):
                settings = settings.model_copy(update={"model": settings.model or config.model})
        check_allowed(settings, allow_raw=config.allow_raw, badge_optional=selection.may_hide_badge)
        if settings.background != before.background:
            read_background(settings.background)
        # What took long must not undo what was changed meanwhile, least of all `panic`.
        change = {key: value for key, value in settings if value != getattr(before, key)}
        changed_to = self.parts.settings.update(lambda live: live.model_copy(update=change))
        if not selection.same(now):
            identities.request(selection)
        return changed_to

    def keep(self) -> None:
        """Save the identity and the settings, for the next session to begin with."""
        now, selection = self.parts.settings.get(), self.parts.identities.active.selection
        keep_session(now.model_copy(update={"model": selection.bundle.name, "avatar": selection.shown(now)}))

    def line(self) -> str:
        """The status line: frames a second, latency, drops, what runs, and what goes out."""
        tally, voice = self.parts.tally, self.parts.voice
        sound = voice.state if voice is not None else "ok"
        ran = report(self.loop.engine.effect.sessions)
        return (
            f"{max(tally.fps, 0):5.1f} fps   latency p50 {tally.latency.percentile_ms(50):.0f} "
            f"p95 {tally.latency.percentile_ms(95):.0f} ms   dropped {tally.dropped}   "
            f"{ran.provider}   {self.loop.state}{'' if sound == 'ok' else f'   {sound}'}"
        )

    def report(self) -> dict[str, Any]:
        """The metrics so far, as the contract shapes them."""
        parts = self.parts
        selection, effect = parts.identities.active.selection, parts.identities.active.effect
        ran, found = report(effect.sessions), report(parts.tracker.sessions)
        return {
            "schema": 1,
            "model": selection.bundle.name,
            "title": effect.title,
            "family": selection.bundle.card.family,
            "avatars": list(selection.avatar_names),
            "avatar": selection.shown(parts.settings.get()),
            "state": self.loop.state,
            "changing": parts.identities.changing,
            "outputs": [sink.name for sink in parts.sinks if sink.name not in (Recorder.name, OFF)],
            "size": list(parts.size),
            "providers": {"detect": found.provider if parts.tracker.sessions else "none", "swap": ran.provider},
            "precision": {"detect": "fp32", "swap": ran.precision},
            "source": parts.source.name,
            **({"sound": parts.voice.report()} if parts.voice is not None else {}),
            **parts.tally.report(),
            "peak_memory_mb": peak_memory_mb(),
            "machine": machine(),
            "version": __version__,
            "commit": commit(),
        }

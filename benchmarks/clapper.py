"""`masquerade bench clapper`: a flash and a click through the whole live program, for minutes: do they stay together?

A microphone of its own clicks every two seconds. A model that speaks flashes in the picture in which its mouth hears
the click; for one that is driven by a camera, the camera sees the flash when the microphone hears the click: it is in
the first picture that comes after it. How much later the sound comes is taken at both ways out: in the recording, and
in a call, where the picture is seen when it is handed over and the virtual microphone is heard when its buffer has
played. What happens falls anywhere within the 40 ms of its picture, so that single claps differ by as much. A mouth's
sound comes 0 to 40 ms after the flash where it is exactly in step. A camera's picture is from the 40 ms before it, and
stands on the screen for as long: sound is held back by three quarters of that (`voicing.PICTURE_AGE`), so that it comes
-10 to 30 ms after the flash.
"""

import json
import os
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.clap_figures import EARLY_MS, LATE_MS, offsets, pairs, recording
from benchmarks.clap_parts import (
    ClickGate,
    ClickingMicrophone,
    FlashingCharacter,
    FlashingSource,
    ListeningCable,
    Overheard,
    WatchingSink,
)
from benchmarks.stamp import one_line, stamp
from realtime.character import Character
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.config import RunConfig, make_config
from realtime.errors import ConfigError, MasqueradeError
from realtime.models import built_in_folder, load_bundle
from realtime.pipeline import Loop
from realtime.role import Role, open_character
from realtime.run import Run
from realtime.sound.device import InputDevice, OutputDevice
from realtime.sound.speaker import open_speaker
from realtime.sound.voice import Voice

SCHEMA = 1
MOST_DRIFT_MS = {"recording": 10.0, "call": 10.0}
"""A recording's time is exact. In a call sound follows how old pictures are, which changes with the machine's load, in
steps that nobody sees (`delayed.UNSEEN_S`)."""
ENOUGH = 100
"""Claps that a drift can be told from: each falls into another phase of its picture."""
PPM = 50.0
"""How much faster the microphone's crystal runs than the clock: usual for two cheap ones. 30 ms in ten minutes."""

_FILE = click.Path(path_type=Path, dir_okay=False)


class OutOfStep(MasqueradeError):
    """The report was written, and sound and picture were not together."""

    exit_code = 1


class ClapperRun(Run):
    """`masquerade run` with a clapper before it, and somebody who watches and listens behind it."""

    def __init__(self, config: RunConfig, clock: Clock, *, ppm: float) -> None:
        self.sink, self.cable = WatchingSink(clock), ListeningCable(clock)
        self._microphone: ClickingMicrophone | None = None
        self._ppm = ppm

        def open_input(device: str | None) -> InputDevice:
            self._microphone = ClickingMicrophone(clock, ppm=ppm)
            return self._microphone

        def open_output() -> OutputDevice:
            return self.cable

        # Clicks are no speech; where the gate let none through, no mouth would open.
        hears = partial(
            open_speaker,
            make_voice=lambda exact: Voice(ClickGate(), exact=exact),
            open_input=open_input,
            open_output=open_output,
        )
        super().__init__(config, say=lambda line: None, clock=clock, open_speaker=hears)

    def since_click(self, at_ns: int) -> float:
        """As the microphone has it."""
        assert self._microphone is not None
        return self._microphone.since_click(at_ns)

    def _open(self, stack: ExitStack) -> Loop:
        loop = super()._open(stack)
        assert self._microphone is not None
        if not (self._plan is not None and self._plan.lips):
            loop.source = FlashingSource(loop.source, self._microphone.clicks_within)
        loop.sinks.append(self.sink)
        return loop

    def _character(self, role: Role) -> Character:
        speaks = role.bundle.card.family == "lip-sync" and self._speaker is not None
        overheard = Overheard(self._speaker.speech) if speaks and self._speaker is not None else None
        config = self._config
        character = open_character(
            role,
            provider=config.provider,
            precision=config.precision,
            settings=self._settings.get,
            speech=overheard,
        )
        return FlashingCharacter(character, overheard)


def clap(config: RunConfig, *, ppm: float = PPM, clock: Clock = now_ns) -> dict[str, Any]:
    """Run to the configured end; the figures of both ways out. Raises MasqueradeError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clapper.mkv"
        given = config.model_copy(update={"output": (str(path), "null")})
        run = ClapperRun(given, clock, ppm=ppm)
        began = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        report = run()
        flashes, clicks = recording(path)
        recorded = pairs(flashes, clicks)
    in_call = pairs(
        [(now / NS_PER_S, before / NS_PER_S) for now, before in run.sink.seen],
        [at / NS_PER_S for at in run.cable.clicks],
    )
    since_ms = [
        [round(1000 * run.since_click(at), 1) for at in when]
        for when in ([now for now, _ in run.sink.seen], run.cable.clicks)
    ]
    rate_hz = report["frames"]["emitted"] / max(report["seconds"], 1e-9)
    return {
        "family": report["family"],
        "title": report["title"],
        "size": report["size"],
        "seconds": round(report["seconds"], 1),
        "pictures_a_second": round(rate_hz, 2),
        "frames": report["frames"],
        "latency_ms": report["latency_ms"],
        "sound": report["sound"],
        "microphone_ppm": ppm,
        "providers": report["providers"],
        "load": [began, os.getloadavg()[0] if hasattr(os, "getloadavg") else None],
        "cable_ran_dry": run.cable.ran_dry,
        "clicks": {"recording": len(clicks), "call": len(run.cable.clicks)},
        "after_click_ms": {"picture": since_ms[0], "sound": since_ms[1]},
        "recording": offsets(recorded),
        "call": offsets(in_call),
    }


def configure(model: str, avatar: str | None, seconds: float, size: str, provider: str) -> RunConfig:
    """The run: an avatar that speaks, or the bundled clip as a camera. Raises ConfigError, ModelError."""
    given: dict[str, Any] = {
        **{"model": model, "sound": "mic", "virtual_microphone": True, "pace": "live", "seconds": seconds},
        **{"size": size, "provider": provider, "output": ("null",)},
    }
    family = load_bundle(model).card.family
    if family == "lip-sync":
        return make_config({}, {**given, "avatar": avatar or "mira"})
    driver = str(built_in_folder() / "clips" / "driving.mp4")
    return make_config({}, {**given, "source": driver, "loop": True, **({"avatar": avatar} if avatar else {})})


@click.command("clapper")
@click.option("--model", required=True, help="A bundle's name or folder.")
@click.option("--avatar", help="Who speaks or moves; mira.")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=10.0, show_default=True)
@click.option("--size", default="640x360", show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--ppm", type=float, default=PPM, show_default=True, help="How much faster the microphone's crystal is.")
@click.option("--json", "json_file", type=_FILE)
def clapper(
    model: str, avatar: str | None, minutes: float, size: str, provider: str, ppm: float, json_file: Path | None
) -> None:
    """A flash and a click through the whole live program: do they leave together, and stay so?"""
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise ConfigError(f"{json_file} can't be written: the folder {json_file.absolute().parent} does not exist")
    config = configure(model, avatar, 60 * minutes, size, provider)
    where = stamp()
    found = clap(config, ppm=ppm)
    click.echo("\n".join(told(found)))
    click.echo(one_line(where))
    if json_file is not None:
        asked = {"model": load_bundle(model).name, "avatar": config.avatar, "minutes": minutes, "size": size}
        report = {"schema": SCHEMA, "kind": "clapper", "stamp": where, "asked": asked, **found}
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    wrong = faults(found)
    if wrong:
        raise OutOfStep("; ".join(wrong))


def told(found: dict[str, Any]) -> list[str]:
    """The figures as a person reads them."""
    lines = [
        f"{found['title']}, {found['seconds']} s at {found['pictures_a_second']} pictures a second, latency p95 "
        f"{found['latency_ms']['p95']:.0f} ms; the voice waits {found['sound']['delay_s']} s"
    ]
    for way in ("recording", "call"):
        one = found[way]
        lines.append(
            f"  {way:<9} {one['missing']}" if "missing" in one else
            f"  {way:<9} {one['claps']} claps: sound after picture {one['start_ms']} ms at the start, "
            f"{one['middle_ms']} in the middle, {one['end_ms']} at the end; nine of ten {one['p5_ms']} to "
            f"{one['p95_ms']}, all {one['earliest_ms']} to "
            f"{one['latest_ms']}, drift {one['drift_ms']} ms; {100 * one['within']:.1f} % within "
            f"{EARLY_MS:g} to +{LATE_MS:g}"
        )  # fmt: skip
    return lines


def faults(found: dict[str, Any]) -> list[str]:
    """What is not as promised, a line each: the middle of each third, and the drift over all."""
    wrong = []
    for way in ("recording", "call"):
        one = found[way]
        if "missing" in one:
            wrong.append(f"{way}: {one['missing']}")
            continue
        for part in ("start_ms", "middle_ms", "end_ms"):
            if not EARLY_MS <= one[part] <= LATE_MS:
                wrong.append(f"{way}: {part.removesuffix('_ms')} {one[part]} ms, not within {EARLY_MS:g}..{LATE_MS:g}")
        if one["claps"] >= ENOUGH and abs(one["drift_ms"]) > MOST_DRIFT_MS[way]:
            wrong.append(f"{way}: drifts by {one['drift_ms']} ms, at most {MOST_DRIFT_MS[way]:g}")
    return wrong

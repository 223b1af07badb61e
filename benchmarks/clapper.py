"""`masquerade bench clapper`: a flash and a click through the whole live program, for minutes: do they stay together?

A microphone of its own clicks every two seconds. A model that speaks flashes in the picture in which its mouth hears
the click; for one that is driven by a camera, the camera sees the flash when the microphone hears the click. How much
later the sound comes is taken at both ways out: in the recording, and in a call, where the picture is seen when it is
handed over and the virtual microphone is heard when its buffer has played. A click falls anywhere within the 40 ms of
its picture, so that sound that is exactly in step comes 0 to 40 ms after the flash, 20 on average.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import av
import click
import numpy as np

from benchmarks.clap_parts import (
    ClickGate,
    ClickingMicrophone,
    FlashingCharacter,
    FlashingSource,
    ListeningCable,
    Overheard,
    WatchingSink,
    is_bright,
    onsets,
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
from realtime.sound import HEARD_HZ
from realtime.sound.device import InputDevice, OutputDevice
from realtime.sound.speaker import open_speaker
from realtime.sound.voice import Voice

SCHEMA = 1
EARLY_MS, LATE_MS = -20.0, 45.0
"""What sound may be ahead of its picture and behind it: this project's own promise. ATSC IS/191 has -15..+45, ITU-R
BT.1359 sees nobody notice -45..+125."""
MOST_DRIFT_MS = {"recording": 10.0, "call": 10.0}
"""A recording's time is exact. In a call sound follows how old pictures are, which changes with the machine's load, in
steps that nobody sees (`delayed.UNSEEN_S`)."""
FEWEST, ENOUGH = 3, 100
"""Claps that anything, and that a drift can be told from: each falls into another phase of its picture."""
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
        "recording": offsets(recorded),
        "call": offsets(in_call),
    }


def recording(path: Path) -> tuple[list[tuple[float, float]], list[float]]:
    """((a flash's first picture, the picture before) ..., clicks ...) of a recording, seconds."""
    flashes: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        before_s, bright = 0.0, True
        for picture in container.decode(video=0):
            now = is_bright(np.asarray(picture.to_ndarray(format="bgr24"), np.uint8))
            if now and not bright:
                flashes.append((float(picture.time or 0.0), before_s))
            bright, before_s = now, float(picture.time or 0.0)
    clicks: list[float] = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARD_HZ)
        start_s, count = None, 0
        for frame in container.decode(audio=0):
            start_s = float(frame.time or 0.0) if start_s is None else start_s
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray()[0]
                for at in onsets(samples):
                    when = start_s + (count + at) / HEARD_HZ
                    if not clicks or when - clicks[-1] > 0.5:
                        clicks.append(when)
                count += len(samples)
    return flashes, clicks


def pairs(flashes: Sequence[tuple[float, float]], clicks: Sequence[float]) -> list[tuple[float, float, float]]:
    """(when, least, most seconds that its click came after a flash) of each flash, with the click nearest to it.

    A picture that was dropped before the flash might have shown it earlier: hence two numbers, mostly the same.
    """
    found = []
    every_s = float(np.median(np.diff([now for now, _ in flashes]))) if len(flashes) > 1 else 2.0
    for now, before in flashes:
        nearest = min(clicks, key=lambda at: abs(at - now), default=None)
        if nearest is not None and abs(nearest - now) < 0.5 * every_s:
            found.append((now, nearest - now, nearest - now + max(now - before - 1.5 / 25, 0.0)))
    return found


def offsets(found: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Milliseconds that sound comes after its picture: at the start, in the middle, at the end, and how it drifts."""
    if len(found) < FEWEST:
        return {"missing": f"only {len(found)} flashes were seen with their clicks", "claps": len(found)}
    when, late = np.array([at for at, _, _ in found]), 1000 * np.array([least for _, least, _ in found])
    doubt = 1000 * np.array([most - least for _, least, most in found])
    well = (late + doubt >= EARLY_MS) & (late <= LATE_MS)
    thirds = np.array_split(late, 3)
    slope = np.polyfit(when - when[0], late, 1)[0]
    return {
        "claps": len(found),
        "median_ms": round(float(np.median(late)), 1),
        "start_ms": round(float(np.median(thirds[0])), 1),
        "middle_ms": round(float(np.median(thirds[1])), 1),
        "end_ms": round(float(np.median(thirds[2])), 1),
        "p5_ms": round(float(np.percentile(late, 5)), 1),
        "p95_ms": round(float(np.percentile(late, 95)), 1),
        "earliest_ms": round(float(late.min()), 1),
        "latest_ms": round(float(late.max()), 1),
        "within": round(float(well.mean()), 4),
        "drift_ms": round(float(slope * (when[-1] - when[0])), 1),
        "flashes_after_a_lost_picture": int((doubt > 0).sum()),
        "each_ms": [round(float(one), 1) for one in late],
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
            f"{one['middle_ms']} in the middle, {one['end_ms']} at the end; {one['earliest_ms']} to "
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

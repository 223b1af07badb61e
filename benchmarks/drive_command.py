"""`masquerade bench drive`: minutes of a difficult driver, and avatars changed a thousand times, through the loop."""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from benchmarks.drive_source import Drive, read_script
from benchmarks.long_drive import drive, judge_drive
from benchmarks.pair_album import Album
from benchmarks.quality import open_finder
from benchmarks.stamp import one_line, stamp
from benchmarks.switching import mirrored, switch_around
from benchmarks.watched_puppet import open_avatars, open_watched
from realtime.config import RunConfig, make_config
from realtime.detect import Tracker
from realtime.errors import ConfigError, MasqueradeError
from realtime.models import load_bundle

SCHEMA = 1

MOMENTS = 48
"""Pictures at even steps in the album."""

_FILE = click.Path(path_type=Path, dir_okay=False)


class DriveFailed(MasqueradeError):
    """The report was written, and something left the program that must not."""

    exit_code = 1


@click.command("drive")
@click.argument("clip", type=_FILE)
@click.option("--model", default="motion", show_default=True, help="A bundle's name or folder.")
@click.option("--avatar", help="Its name, a file or a folder; all built-in ones, one a round.")
@click.option("--seconds", type=click.FloatRange(min=1), default=300.0, show_default=True)
@click.option("--switches", type=click.IntRange(0), default=1000, show_default=True, help="0: only the drive.")
@click.option("--size", default="640x360", show_default=True)
@click.option("--provider", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--json", "json_file", type=_FILE)
@click.option("--album", type=_FILE, help="Pictures of it: .jpg or .png.")
def drive_command(
    clip: Path,
    avatar: str | None,
    seconds: float,
    switches: int,
    json_file: Path | None,
    album: Path | None,
    **flags: Any,
) -> None:
    """No raw frame, no distorted picture, and back within a second: a clip of `benchmarks.film_drive`, round and round.

    Offline: every frame is worked off, however long it takes, and time is the clip's own.
    """
    if album is not None and album.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(f"--album {album}: end it in .jpg or .png")
    for file in (json_file, album):
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigError(f"{file} can't be written: the folder {file.absolute().parent} does not exist")
    config = make_config({}, {"source": "clip", **flags})
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "drive",
        "stamp": stamp(),
        "asked": {"model": config.model, "clip": clip.name, "seconds": seconds, "switches": switches},
        "model_files": dict(load_bundle(config.model or "").card.files),
        "drive": _drive(clip, config, avatar, seconds, album),
    }
    _tell("drive", report["drive"])
    if switches:
        report["switching"] = _switch(clip, config, avatar, switches)
        _tell("switching", report["switching"])
    click.echo(one_line(report["stamp"]))
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    missed = [
        g["what"] for part in ("drive", "switching") for g in report.get(part, {}).get("goals", ()) if g["met"] is False
    ]
    if missed:
        raise DriveFailed(f"not as promised: {', '.join(missed)}")


def _drive(clip: Path, config: RunConfig, spec: str | None, seconds: float, album: Path | None) -> dict[str, Any]:
    script = read_script(clip)
    bundle = load_bundle(config.model or "")
    avatars = open_avatars(spec, with_face=True)
    with ExitStack() as opened:
        character, puppet = open_watched(bundle, avatars, provider=config.provider, precision=config.precision)
        opened.callback(character.close)
        finder = opened.enter_context(closing(open_finder(config)))
        reader = opened.enter_context(closing(Tracker(provider="cpu")))
        source = Drive(clip, config.size or (640, 360), seconds)
        kept = None if album is None else Album(max(1, source.count // MOMENTS))
        log = drive(source, finder, character, puppet, avatars, config.settings(), reader.find, kept)
        if kept is not None and album is not None:
            kept.save(album)
        figures = judge_drive(log, script, source.rate_hz)
    return {"avatars": [a.name for a in avatars], "ran_on": puppet.ran_on, "size": list(source.size), **figures}


def _switch(clip: Path, config: RunConfig, spec: str | None, switches: int) -> dict[str, Any]:
    bundle = load_bundle(config.model or "")
    with closing(Tracker(provider="cpu", faces=4)) as tracker:
        avatars = mirrored(open_avatars(spec, with_face=True), tracker.find)
    with ExitStack() as opened:
        character, puppet = open_watched(bundle, avatars, provider=config.provider, precision=config.precision)
        opened.callback(character.close)
        finder = opened.enter_context(closing(open_finder(config)))
        source = Drive(clip, config.size or (640, 360))
        return switch_around(source, finder, character, puppet, avatars, config.settings(), switches)


def _tell(what: str, figures: dict[str, Any]) -> None:
    for goal in figures["goals"]:
        verdict = "not measured" if goal["met"] is None else "met" if goal["met"] else "MISSED"
        click.echo(f"{what:<10} {goal['what']:<32} {goal['limit']:>6} {goal['value']!s:>8}  {verdict}")

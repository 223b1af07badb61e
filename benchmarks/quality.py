"""`masquerade bench quality`: does the character act what the driver acts, as one steady person?

Every frame of each clip goes through the engine; then driver and output are read by the same
reader, each on its own, and compared. Beside every figure stands the ceiling: the same loop with a
swapper that gives the driver's own face back.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmarks.agreement import MOVES, moving
from benchmarks.clip_figures import across_clips, clip_figures
from benchmarks.reading import ReaderName, choose_reader, open_reader
from benchmarks.sheet import Sheet, save
from benchmarks.stamp import one_line, stamp
from benchmarks.stand import Stand
from realtime.capture.recording import Recording
from realtime.config import RunConfig, make_config
from realtime.detect import Tracker
from realtime.engine import FaceFinder
from realtime.errors import ConfigError
from realtime.models import load_bundle
from realtime.settings import Settings
from realtime.swap.open_swapper import open_swapper

SCHEMA = 1


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="ada", show_default=True, help="A bundle's name or folder.")
@click.option("--provider", default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True)
@click.option("--detector", default="own", show_default=True, help="Who drives the swap: own or mediapipe.")
@click.option(
    "--reader",
    type=click.Choice(["auto", "own", "mediapipe"]),
    default="auto",
    show_default=True,
    help="Who reads both videos; auto is mediapipe where it is installed.",
)
@click.option("--size", help="Letterbox the clips to WIDTHxHEIGHT; their own size if not given.")
@click.option("--frames", type=click.IntRange(3), help="Only the first so many frames of each clip.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A live setting: sharpen=20.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sheet", type=click.Path(path_type=Path, dir_okay=False), help="A contact sheet: .jpg or .png.")
def quality(
    clips: tuple[Path, ...],
    reader: ReaderName,
    frames: int | None,
    settings: tuple[str, ...],
    json_file: Path | None,
    sheet: Path | None,
    **flags: Any,
) -> None:
    """How well the character follows its driver, frame by frame, on real clips."""
    if sheet is not None and sheet.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(f"--sheet {sheet}: end it in .jpg or .png")
    for file in (json_file, sheet):
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigError(f"{file} can't be written: the folder {file.absolute().parent} does not exist")
    config = make_config({}, {**_given(settings), **{k: v for k, v in flags.items() if v is not None}})
    if config.mirror:
        raise ConfigError("--set mirror=true: a mirrored output can't be compared with its driver; leave it out")
    which = choose_reader(reader)
    sheets = [Sheet(clip.name) for clip in clips]
    records = []
    found = []
    with ExitStack() as stack:
        bundle = load_bundle(config.model or "")
        live = config.settings()
        swapper = open_swapper(bundle, provider=config.provider, precision=config.precision, settings=lambda: live)
        stack.callback(swapper.close)
        for clip, page in zip(clips, sheets, strict=True):
            with ExitStack() as parts:
                finder = open_finder(config)
                parts.callback(finder.close)
                readers = [open_reader(which, _landmark_provider(config)) for _ in range(4)]
                for one in readers:
                    parts.callback(one.close)
                source = Recording(clip, size=config.size)
                parts.callback(source.close)
                stand = Stand(finder, swapper, live, readers)
                record = stand.work(source, clip.name, page, frames)
            records.append(record)
            found.append(clip_figures(record))
            click.echo("\n".join(told(found[-1])))
        ran = {"detect": finder.ran_on, "swap": swapper.ran_on}
        precision = {"detect": "fp32", "swap": swapper.precision}
    across = across_clips(records)
    if across:
        click.echo(
            f"likeness across clips: outputs {across['outputs']}, their drivers {across['drivers']} "
            "(1 is the same face)"
        )
    where = stamp()
    click.echo(f"{one_line(where)}; read by {which}")
    if json_file is not None:
        report = {
            "schema": SCHEMA,
            "kind": "quality",
            "stamp": where,
            "asked": {
                "model": config.model,
                "settings": live.model_dump(exclude={"model"}),
                "detector": config.detector,
                "frames": frames,
                "size": config.size,
            },
            "reader": which,
            "providers": ran,
            "precision": precision,
            "clips": found,
            "across_clips": across,
        }
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if sheet is not None:
        save(sheets, sheet)


def _given(settings: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {"source": "clips"}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or key not in Settings.model_fields:
            raise ConfigError(f"--set {setting}: write KEY=VALUE, e.g. --set color_transfer=none")
        given[key] = value
    return given


def _landmark_provider(config: RunConfig) -> str:
    return config.provider if config.provider in ("cpu", "openvino") else "auto"


def open_finder(config: RunConfig) -> FaceFinder:
    """The finder that drives the swap, as `masquerade run` would open it."""
    if config.detector == "mediapipe":
        from realtime.mediapipe_detector import MediapipeDetector

        finder: FaceFinder = MediapipeDetector(faces=1)
        return finder
    return Tracker(provider=_landmark_provider(config), steadiness=config.steadiness)


def told(clip: dict[str, Any]) -> list[str]:
    """One clip's figures for a person."""
    seen, pose, flicker, still = clip["coverage"], clip["pose_deg"], clip["flicker"], clip["steadiness"]
    tremble = clip["jitter"]
    lines = [
        f"{clip['clip']}: {clip['frames']} frames, {seen['visible']} with a face, {seen['replaced']} of them "
        f"replaced ({_n(seen['hidden'])} of the face's inside hidden)",
    ]
    if clip["failed"]:
        lines.append(f"  {clip['failed']} frames failed, the first of them: {clip['first_failure']}")
    lines.append(f"  {'channel':<18} {'std':>6} {'r':>7} {'gain':>6}   {'ceiling r':>9} {'gain':>6}")
    for name in moving(clip["blendshapes"]):
        one, top = clip["blendshapes"][name], clip["ceiling"]["blendshapes"].get(name, {})
        lines.append(
            f"  {name:<18} {_n(one['std']):>6} {_n(one['r']):>7} {_n(one['gain']):>6}   "
            f"{_n(top.get('r')):>9} {_n(top.get('gain')):>6}"
        )
    if clip["weak"]:
        weak = ", ".join(f"{name} {std}" for name, std in clip["weak"].items())
        lines.append(f"  hardly moved by the driver (std under {MOVES}): {weak}")
    lines += [
        f"  pose error {_n(pose['mean'])}° (p95 {_n(pose['p95'])}°; {_n(pose['mean_without_constant'])}° "
        f"about a constant {_n(pose['constant'])}°); ceiling {_n(clip['ceiling']['pose_deg']['mean'])}°",
        f"  jitter {_n(tremble['output']['rms_px'])} px, driver {_n(tremble['driver']['rms_px'])} px; "
        f"flicker {_n(flicker['ratio'])} of the driver's, ceiling {_n(flicker['ceiling_ratio'])}",
        f"  steadiness {_n(still['output']['mean'])} (lowest {_n(still['output']['p05'])}), "
        f"driver {_n(still['driver']['mean'])}; outside the mask {clip['outside']['beyond_mask_max']} levels",
    ]
    missed = [t for t in clip["targets"] if not t["kept"]]
    lines.append(f"  {len(clip['targets']) - len(missed)} of {len(clip['targets'])} targets kept")
    lines += [f"    missed: {t['what']} {t['value']}, limit {t['limit']}" for t in missed]
    return lines


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"

"""`masquerade bench leak`: does a face leave the program as it came in?"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from benchmarks.charts import write_on
from benchmarks.leak.calibrate import calibrate
from benchmarks.leak.cost import cost
from benchmarks.leak.judge import FAR_LEVELS, MOST_ALIKE, MOST_OWN, SAME_LEVELS
from benchmarks.leak.run import film
from benchmarks.leak.scenarios import SCENARIOS, Casting, clips_in, filmed_scenarios
from benchmarks.leak.scenes import Scene
from benchmarks.report import FILE, aligned, check_outputs, finish, json_option, number, stamp
from realtime.errors import ConfigError, MasqueradeError
from realtime.frame import Pixels
from realtime.imaging.resize import letterbox
from realtime.models.library import built_in_folder

SCHEMA = 1
FRAMES = 120
"""Of each take: five seconds."""

LIVE_EVERY = 4
"""One take in so many runs in the live loop's threads."""

SUMMED = ("outputs", "judged", "leaking", "living", "printed", "unreported", "covered")

Make = Callable[[Casting], Scene]


class Leaked(MasqueradeError):
    """The figures were written, and a face left the program as it came in."""

    exit_code = 1


@click.command()
@click.option("--scenario", "names", multiple=True, help="Only these (repeatable); all of them.")
@click.option("--frames", type=click.IntRange(10), default=FRAMES, show_default=True, help="Of each take.")
@click.option("--takes", type=click.IntRange(1), help="Of each scenario; as many as the table says.")
@click.option("--quick", is_flag=True, help="One take of each scenario, 40 frames.")
@click.option("--seed", type=int, default=0, show_default=True, help="Other people, posters, sizes and lights.")
@click.option(
    "--clips", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder of filmed people."
)
@click.option("--model", default="ada", show_default=True, help="A swap model.")
@click.option("--resume", is_flag=True, help="Keep the takes that the --json file has.")
@click.option(
    "--calibrate", "faces", type=click.IntRange(1), help="Judge faces of known kinds only, in so many scenes."
)
@click.option("--cost", "cost_frames", type=click.IntRange(50), help="Only what the guard costs, over so many frames.")
@click.option("--sheet", type=FILE, help="The worst pictures: .png or .jpg.")
@json_option
def leak(
    names: tuple[str, ...],
    frames: int,
    takes: int | None,
    quick: bool,
    seed: int,
    clips: Path | None,
    model: str,
    resume: bool,
    faces: int | None,
    cost_frames: int | None,
    sheet: Path | None,
    json_file: Path | None,
) -> None:
    """Faces that leave as they came in, judged by pixels, over many composed and filmed scenes."""
    check_outputs(json_file, sheet=sheet)
    asked = {"scenarios": list(names), "frames": frames, "takes": takes, "quick": quick, "seed": seed, "model": model}
    report: dict[str, Any] = {"schema": SCHEMA, "kind": "leak", "stamp": stamp(), "asked": asked}
    report["thresholds"] = {"own": MOST_OWN, "detail": MOST_ALIKE, "same_levels": SAME_LEVELS, "far_levels": FAR_LEVELS}
    if faces is not None:
        report["calibration"] = calibrate(faces)
        for name, found in report["calibration"].items():
            click.echo(f"{name:14} " + "  ".join(f"{key} {value}" for key, value in found.items()))
        finish(report, json_file)
        return
    if cost_frames is not None:
        films = [built_in_folder() / "clips" / "driving.mp4", *(() if clips is None else clips_in(clips))]
        report["cost"] = {clip.stem: cost(clip, cost_frames, model) for clip in films}
        for name, found in report["cost"].items():
            click.echo(f"{name:14} " + "  ".join(f"{key} {value}" for key, value in found.items()))
        finish(report, json_file)
        return
    known: dict[str, tuple[Make, int]] = {**SCENARIOS, **(filmed_scenarios(clips) if clips is not None else {})}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--scenario {unknown[0]}: known are {', '.join(known)}")
    report["takes"] = _kept(json_file) if resume and json_file is not None else {}
    worst: list[tuple[float, str, Pixels]] = []
    for name in names or known:
        make, usual = known[name]
        for at in range(1 if quick else takes or usual):
            key = f"{name} {seed + at}"
            if key in report["takes"]:
                continue
            length = 40 if quick else frames
            started = time.perf_counter()
            scene = make(Casting(seed + at, length))
            take = film(scene, length, model=model, live=at % LIVE_EVERY == LIVE_EVERY - 1)
            report["takes"][key] = {"seconds": round(time.perf_counter() - started, 1), **take.figures()}
            worst += [(own, f"{key}: {label}", pair) for own, label, pair in take.worst[:2]]
            report |= summary(report["takes"])
            if json_file is not None:
                json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        report |= summary(report["takes"])
        click.echo(row(name, report["scenarios"][name]))
    click.echo("\n".join(table(report)))
    if sheet is not None:
        save_sheet(worst, sheet)
    finish(report, json_file)
    if report["total"]["leaking"]:
        raise Leaked(f"{report['total']['leaking']} of {report['total']['outputs']} pictures show a face that came in")


def _kept(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))["takes"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file} holds no takes to go on with: leave --resume out") from error
    return dict(kept)


def summary(takes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures by scenario and in total."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for key, figures in takes.items():
        by_name.setdefault(key.rsplit(" ", 1)[0], []).append(figures)
    scenarios = {name: _summed(found) for name, found in by_name.items()}
    single = [found for name, found in scenarios.items() if found["alone"]]
    outputs = sum(found["outputs"] for found in single)
    covers = sum(found["false_covers"] for found in single)
    return {
        "scenarios": scenarios,
        "total": _summed(list(takes.values())),
        "false_covers": {"outputs": outputs, "covered": covers, "percent": round(100 * covers / max(1, outputs), 3)},
    }


def _summed(takes: list[Mapping[str, Any]]) -> dict[str, Any]:
    figures: dict[str, Any] = {"takes": len(takes)} | {key: sum(take[key] for take in takes) for key in SUMMED}
    kinds: dict[str, int] = {}
    for take in takes:
        for kind, count in take["kinds"].items():
            kinds[kind] = kinds.get(kind, 0) + count
    figures["kinds"] = kinds
    figures["guard_percent"] = round(sum(take["guard_percent"] for take in takes) / len(takes), 2)
    figures["alone"] = all(take["alone"] for take in takes)
    figures["false_covers"] = sum(take["false_covers"] for take in takes)
    figures["refused"] = sum(len(take["refused"]) for take in takes)
    figures["ended"] = sum(take["ended"] is not None for take in takes)
    return figures


HEAD = ("scenario", "takes", "pictures", "leaking", "living", "printed", "not reported", "stood in", "guard %")


def row(name: str, figures: Mapping[str, Any]) -> str:
    return f"{name}: {figures['leaking']} of {figures['outputs']} pictures leak"


def table(report: Mapping[str, Any]) -> list[str]:
    rows = [HEAD]
    for name, found in {**report["scenarios"], "total": report["total"]}.items():
        stood_in = sum(count for kind, count in found["kinds"].items() if kind in ("hold", "card", "blur"))
        figures = (found[key] for key in ("takes", "outputs", "leaking", "living", "printed", "unreported"))
        rows.append((name, *(str(figure) for figure in figures), str(stood_in), number(found["guard_percent"])))
    covers = report["false_covers"]
    return [
        *aligned(rows),
        f"one person and no poster: {covers['covered']} of {covers['outputs']} pictures covered without need "
        f"({covers['percent']:.2f} %)",
    ]


def save_sheet(worst: list[tuple[float, str, Pixels]], path: Path) -> None:
    """The worst pictures, input beside output, the face outlined. Raises ConfigError if it can't be written."""
    cells = []
    for _, label, pair in sorted(worst, key=lambda one: -one[0])[:40] or [
        (0.0, "nothing leaked", np.zeros((90, 320, 3), np.uint8))
    ]:
        cell = letterbox(np.ascontiguousarray(pair, np.uint8), (960, 270)).copy()
        write_on(cell, label, (8, 20))
        cells.append(cell)
    try:
        path.write_bytes(cv2.imencode(path.suffix, np.vstack(cells))[1].tobytes())
    except OSError as error:
        raise ConfigError(f"the contact sheet can't be written to {path}: {error.strerror}") from error

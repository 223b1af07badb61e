"""Draws reports as charts, and clips as contact sheets."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.goals import GOALS
from benchmarks.metrics.acting import BLENDSHAPES, LEADING, moving
from benchmarks.metrics.flicker import face_box
from benchmarks.report import one_line
from benchmarks.timings import Window
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.home import user_cache
from realtime.pipeline.metrics import STAGES
from realtime.tracking.face import Face

LIMIT_MS = 45.0
"""ITU-R BT.1359-1: sound leading the picture by less goes unnoticed."""

VIOLET, GREY, BLUE, RED, GREEN, YELLOW = "#7a4fd0", "#9aa5b1", "#3b7dd8", "#c0392b", "#2f9e6b", "#e0a23b"
STAGE_COLOURS = {
    **dict(zip(STAGES, (GREY, BLUE, "#57b8d9", VIOLET, "#d05fa2", YELLOW), strict=True)),
    **{"networks": "#5c3fb8", "overhead": "#b5651d", "waiting": "#5f6b76"},
}
PRECISION_COLOURS = {"fp32": BLUE, "bf16": VIOLET, "fp16": "#d05fa2", "int8": YELLOW, "auto": "#57b8d9"}

CELL, COLUMNS = 240, 8
"""A contact sheet's pictures: their side in pixels, and how many stand in a row."""


@contextmanager
def _drawn(path: Path, report: Mapping[str, Any], title: str, rows: Any, **layout: Any) -> Iterator[dict[Any, Any]]:
    """Axes by name; what is drawn inside is in `path` afterwards, signed with the report's stamp.

    Raises ConfigError where it can't be written. The same figures give the same file.
    """
    os.environ.setdefault("MPLCONFIGDIR", str(user_cache() / "matplotlib"))  # it keeps a list of fonts
    import matplotlib

    matplotlib.use("Agg")
    # Text as text: the file stays small, and can be searched and read aloud.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "masquerade", "font.size": 8.0}
    from matplotlib import pyplot

    figure, axes = pyplot.subplot_mosaic(rows, layout="constrained", **layout)
    try:
        figure.suptitle(title, fontsize=10)
        yield axes
        figure.text(0.5, -0.02, one_line(report["stamp"]), ha="center", va="top", fontsize=6.5, color="#555555")
        undated = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, bbox_inches="tight", dpi=130, metadata=undated)
    except OSError as error:
        raise ConfigError(f"the chart can't be written to {path}: {error.strerror}") from error
    finally:
        pyplot.close(figure)


def draw_latency(found: Window, report: Mapping[str, Any], path: Path) -> None:
    """Draw the median run: ages over time and as a distribution, and where the time went."""
    run, asked = report["result"], report["asked"]
    how = "closed loop" if asked["pace"] == "all" else f"{asked['fps']:g} frames a second"
    title = f"{asked['model']} on {run['source']['name']}, {how}; swap on {run['providers']['swap']}"
    with _drawn(path, report, title, [["time", "time"], ["spread", "stages"]], figsize=(9.6, 6.0)) as axes:
        axes["time"].plot(found.due / 1e3, found.age, ".", markersize=2.5, color=BLUE)
        axes["time"].axhline(LIMIT_MS, color=RED, linewidth=0.8, linestyle="--")
        axes["time"].text(
            0, LIMIT_MS, " below 45 ms the lag behind the sound goes unnoticed", va="bottom", color=RED, fontsize=7
        )
        if (p95 := run["latency_ms"]["p95"]) is not None:
            axes["time"].axhline(p95, color="#444444", linewidth=0.8)
            axes["time"].text(found.due[-1] / 1e3, p95, f"p95 {p95:.1f} ms", ha="right", va="bottom", fontsize=7)
        axes["time"].set(xlabel="seconds", ylabel="age when it left (ms)", ylim=(0, None))
        ages = np.sort(found.age[~np.isnan(found.age)])
        if len(ages):
            # Nines on the axis: the tail is what a caller notices.
            axes["spread"].step(ages, 1 - np.arange(len(ages)) / len(ages), where="post", color=VIOLET)
            axes["spread"].set_yscale("log")
            axes["spread"].set_yticks([1, 0.5, 0.1, 0.05, 0.01], ["all", "p50", "p90", "p95", "p99"])
            axes["spread"].minorticks_off()
        axes["spread"].axvline(LIMIT_MS, color=RED, linewidth=0.8, linestyle="--")
        axes["spread"].set(xlabel="age (ms)", ylabel="frames older than this", xlim=(0, None))
        _stages(axes["stages"], run)
        for name in ("time", "spread"):
            axes[name].grid(alpha=0.25)


def _stages(axes: Any, run: Mapping[str, Any]) -> None:
    rows = {f"stages {p}": {stage: run["stages_ms"][stage][p] or 0.0 for stage in STAGES} for p in ("p95", "p50")}
    rows["mean"] = {name: run[f"{name}_ms"]["mean"] or 0.0 for name in ("networks", "overhead", "waiting")}
    longest = max(sum(parts.values()) for parts in rows.values())
    for label, parts in rows.items():
        left = 0.0
        for name, width in parts.items():
            named = None if label == "stages p50" else name
            axes.barh(label, width, left=left, color=STAGE_COLOURS[name], label=named)
            if width > 0.05 * longest:
                axes.text(left + width / 2, label, f"{width:.1f}", ha="center", va="center", fontsize=7, color="white")
            left += width
    axes.set(xlabel="ms (each stage's own percentile)")
    axes.legend(fontsize=6.5, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)


def draw_backends(report: Mapping[str, Any], path: Path) -> None:
    """Draw a bar for each way to run a network, one panel a network."""
    panels = report["families"] if "families" in report else report["networks"]
    heights = [1.2 + 0.32 * len(panel["results"]) for panel in panels]
    rows = [[number] for number in range(len(panels))]
    with _drawn(path, report, "", rows, figsize=(9.0, sum(heights)), height_ratios=heights) as axes:
        for number, panel in enumerate(panels):
            name = panel.get("what") or f"{panel['model']}: {panel['file']}"
            axes[number].set_title(f"{name} (threads {panel['threads']}; p50, whisker p95)", fontsize=9.5, loc="left")
            _bars(axes[number], [result for result in panel["results"] if "error" not in result])


def _bars(axes: Any, results: Sequence[Mapping[str, Any]]) -> None:
    longest = max((result["wall_ms"]["p95"] for result in results), default=1.0)
    for place, result in enumerate(results):
        width, end, upstream = result["wall_ms"]["p50"], result["wall_ms"]["p95"], result.get("upstream")
        axes.barh(place, width, color=GREY if upstream else PRECISION_COLOURS.get(result["precision"], GREY))
        axes.plot([width, end], [place, place], color="#444444", linewidth=0.8)
        beside = f"{width:.1f} ms" + ("" if upstream else f", ×{result['times_as_fast']['in_rounds']:.2f}")
        axes.text(end + 0.01 * longest, place, beside, va="center", fontsize=7.5)
    names = [r.get("title") or f"{r['provider']} {r['precision']}" for r in results]
    axes.set_yticks(range(len(results)), names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.25 * longest), xlabel="ms a run")
    axes.grid(axis="x", alpha=0.25)


def draw_quality(report: Mapping[str, Any], path: Path) -> None:
    """Draw each goal against its limit, each moving blendshape, and jaw and lids over time."""
    clips = report["clips"]
    rows = [["goals", "channels"], *([f"jawOpen {n}", f"lids {n}"] for n in range(len(clips)))]
    size: dict[str, Any] = {"figsize": (10.4, 3.6 + 1.35 * len(clips)), "height_ratios": [3.2, *[1.0] * len(clips)]}
    with _drawn(path, report, _quality_title(report), rows, **size) as axes:
        _goals(axes["goals"], report)
        _channels(axes["channels"], clips)
        for n, clip in enumerate(clips):
            for name in ("jawOpen", "lids"):
                own = {who: clip["traces"][who] for who in ("driver", "output")}
                lines = {who: (own[who][name], colour) for who, colour in (("driver", GREY), ("output", VIOLET))}
                _over_time(axes[f"{name} {n}"], clip, name, lines, legend=n == 0 and name == "jawOpen")
                axes[f"{name} {n}"].set_ylim(0, 1.25 if name == "lids" else 1.0)
                for height, who in enumerate(own if name == "lids" else ()):
                    at = np.array(own[who]["blinks"]) / clip["rate_hz"]
                    axes[f"{name} {n}"].plot(at, [1.06 + 0.1 * height] * len(at), "v", color=lines[who][1])


def draw_lips(report: Mapping[str, Any], path: Path) -> None:
    """Draw each goal against its limit, and voice, real mouth and the avatar's mouth over time."""
    clips = report["clips"]
    rows = [["goals"], *([n] for n in range(len(clips)))]
    size: dict[str, Any] = {"figsize": (9.0, 2.2 + 1.5 * len(clips)), "height_ratios": [1.6, *[1.0] * len(clips)]}
    with _drawn(path, report, _quality_title(report), rows, **size) as axes:
        _goals(axes["goals"], report)
        for n, clip in enumerate(clips):
            level = np.array(clip["traces"]["level_db"])
            known = [v for name in ("output", "real") for v in clip["traces"][name] if v is not None]
            height = max(known, default=0.05) * (level - level.min()) / max(float(np.ptp(level)), 1e-6)
            at = np.arange(len(level)) / clip["rate_hz"]
            axes[n].fill_between(at, 0, height, color=YELLOW, alpha=0.35, linewidth=0, label="voice")
            lines = {
                "the clip's own": (clip["traces"]["real"], GREY),
                "the avatar's": (clip["traces"]["output"], VIOLET),
            }
            _over_time(axes[n], clip, clip["avatar"][:12], lines, legend=n == 0)
            if "missing" not in (sync := clip["sync"]):
                text = f"{sync['offset_ms']:+.0f} ms, r {sync['correlation']:.2f}"
                axes[n].text(0.995, 0.9, text, transform=axes[n].transAxes, ha="right", fontsize=7)


def _quality_title(report: Mapping[str, Any]) -> str:
    frames = sum(clip["frames"] for clip in report["clips"])
    return f"{report['asked']['model']}, {frames} frames; read by {report['reader']}"


def _goals(axes: Any, report: Mapping[str, Any]) -> None:
    """How far each goal is reached: 1 is just met, more is better."""
    lines = report["goals"]
    for at, (goal, line) in enumerate(zip(GOALS[report["family"]], lines, strict=True)):
        value = line["value"]
        if value is None:
            axes.text(1.03, at, f"not measured: {line['why']}"[:48], va="center", fontsize=5.5, color="#777777")
            continue
        parts = [] if goal.least is None else [value / goal.least]
        parts += [] if goal.most is None else [goal.most / value if value > 0 else 2.0]
        reached = min(max(min(parts), 0.0), 2.0)
        axes.barh(at, reached, color=GREEN if line["met"] else RED, height=0.65)
        axes.text(max(reached, 1.0) + 0.03, at, f"{value:.3g}", va="center", fontsize=7)
    axes.axvline(1.0, color="#444444", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(lines)), [f"{line['what']}  {line['limit']}" for line in lines], fontsize=6.5)
    axes.invert_yaxis()
    axes.set(xlim=(0, 2.3), xlabel="of the goal (1: just met; 2 and more: cut)")


def _channels(axes: Any, clips: Sequence[Mapping[str, Any]]) -> None:
    """r of each channel that moves in some clip, a point a clip (0 where the output does not move), and the ceiling."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for clip in clips:
        for name in moving(clip["blendshapes"]):
            for kept, channels in zip(
                found.setdefault(name, ([], [])), (clip["blendshapes"], clip["ceiling"]["blendshapes"]), strict=True
            ):
                kept.append(channels.get(name, {}).get("r") or 0.0)
    names = sorted(found, key=lambda name: -float(np.mean(found[name][0])))
    for at, name in enumerate(names):
        own, top = found[name]
        axes.plot(own, [at] * len(own), "o", color=VIOLET, markersize=4, label="output" if at == 0 else None)
        axes.plot(top, [at] * len(top), "|", color=BLUE, markersize=8, label="ceiling" if at == 0 else None)
    axes.axvline(0.85, color="#444444", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(names)), names, fontsize=6 if len(names) < 26 else 4.5)
    axes.invert_yaxis()
    axes.set(xlim=(min(0.0, *axes.get_xlim()), 1.02), xlabel="Pearson's r with the driver, one mark a clip")
    if names:
        axes.legend(fontsize=6.5, loc="lower left", frameon=False)
    axes.grid(alpha=0.25)


def _over_time(
    axes: Any, clip: Mapping[str, Any], label: str, lines: Mapping[str, tuple[list[float | None], str]], *, legend: bool
) -> None:
    for who, (values, colour) in lines.items():
        line = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
        axes.plot(np.arange(len(line)) / clip["rate_hz"], line, color=colour, linewidth=1.0, label=who)
    axes.set(ylim=(0, None))
    axes.set_ylabel(f"{label}\n{clip['clip'][:14]}", fontsize=6.5)
    axes.tick_params(labelsize=6)
    if legend:
        axes.legend(fontsize=6.5, ncols=3, loc="upper right", frameon=False)


@dataclass(slots=True, eq=False)
class Sheet:
    """A contact sheet of one clip: driver above output, at even steps and at the strongest moments.

    Moments are kept as JPEG, so that a minute of them fits in 50 MB.
    """

    title: str
    _moments: list[tuple[int, npt.NDArray[np.uint8]]] = field(default_factory=list)
    _acting: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _whole: Pixels | None = None

    def add(self, number: int, driver: Pixels, output: Pixels, face: Face, shown: Face | None = None) -> None:
        """One frame, with the driver's face as it was read; `shown`: the output's, where it is in another place."""
        box = face_box(face, (driver.shape[1], driver.shape[0]), 0.3)
        if box is None:
            return
        there = box if shown is None else face_box(shown, (output.shape[1], output.shape[0]), 0.3)
        pair = np.vstack([_cell(driver, box), _cell(output, there or box)])
        self._moments.append((number, cv2.imencode(".jpg", pair, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]))
        self._acting.append(face.blendshapes)
        if self._whole is None:
            width = COLUMNS * CELL // 2
            size = (width, round(width * driver.shape[0] / driver.shape[1]))
            halves = [cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (driver, output)]
            self._whole = np.hstack(halves).astype(np.uint8)

    def picture(self, moments: int = 16) -> Pixels | None:
        """The clip's sheet, BGR; None where no face was seen."""
        if self._whole is None:
            return None
        even = np.linspace(0, len(self._moments) - 1, min(moments, len(self._moments))).round().astype(int)
        acting = np.stack(self._acting)
        picks = [(int(n), "") for n in even]
        picks += [(int(acting[:, BLENDSHAPES.index(name)].argmax()), name) for name in LEADING]
        cells = [self._labelled(n, name) for n, name in picks]
        cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
        rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
        head = np.zeros((34, rows[0].shape[1], 3), np.uint8)
        write_on(head, f"{self.title}: driver above, output below", (8, 24))
        return np.vstack([head, self._whole, *rows]).astype(np.uint8)

    def _labelled(self, n: int, name: str) -> Pixels:
        number, packed = self._moments[n]
        cell = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
        text = f"{number} {name}".strip()
        cell[-20:, : 12 + 9 * len(text)] = 0
        write_on(cell, text, (5, 2 * CELL - 6))
        return cell


def save_sheets(sheets: Sequence[Sheet], path: Path) -> None:
    """All clips' sheets, one under another, as one JPEG or PNG. Raises ConfigError if it can't be written."""
    pictures = [p for p in (sheet.picture() for sheet in sheets) if p is not None]
    if not pictures:
        raise ConfigError(f"{path} was not written: no face was seen in any clip")
    try:
        path.write_bytes(cv2.imencode(path.suffix, np.vstack(pictures))[1].tobytes())
    except OSError as error:
        raise ConfigError(f"the contact sheet can't be written to {path}: {error.strerror}") from error


def _cell(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    square = cv2.getRectSubPix(pixels, (side, side), ((x0 + x1) / 2, (y0 + y1) / 2))
    kernel = cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (CELL, CELL), interpolation=kernel), dtype=np.uint8)


def write_on(pixels: Pixels, text: str, at: tuple[int, int]) -> None:
    """Put small white letters onto a picture."""
    cv2.putText(pixels, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)

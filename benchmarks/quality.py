"""`masquerade bench quality`: does the character act what the driver acts, as one steady person?

Every frame of each clip goes through the engine; then driver and output are read by the same
reader, each on its own, and compared. Beside every figure stands the ceiling: the same loop with a
swapper that gives the driver's own face back.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import numpy.typing as npt

from benchmarks.chart import check_drawable
from benchmarks.clip_figures import ClipRecord, across_clips, clip_figures
from benchmarks.goals import judge_all, table
from benchmarks.landmark_error import LandmarkError
from benchmarks.lip_chart import draw_lips
from benchmarks.lip_quality import speak_clips
from benchmarks.mask_truth import MaskTruth, open_clip, open_truth
from benchmarks.moment import Examiner, Missing
from benchmarks.motion_quality import drive_avatars, drive_themselves
from benchmarks.quality_chart import draw_quality
from benchmarks.quality_text import told
from benchmarks.reading import ReaderName, choose_reader, open_reader
from benchmarks.retrieval import GALLERY, Retrieval, known_centre, load_gallery, worn_centre
from benchmarks.seam import Seam
from benchmarks.second_reader import SecondReader, open_second_reader
from benchmarks.sheet import Sheet, save
from benchmarks.stamp import one_line, stamp
from benchmarks.stand import Stand, freeze
from realtime.config import RunConfig, make_config
from realtime.errors import ConfigError
from realtime.families.face_swap.effect import Swapper
from realtime.families.face_swap.open_swapper import open_swapper
from realtime.models.bundle import Bundle
from realtime.models.library import load_bundle
from realtime.pipeline.engine import FaceFinder
from realtime.settings import Settings
from realtime.tracking.tracker import Tracker

SCHEMA = 2

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="ada", show_default=True, help="A bundle's name or folder.")
@click.option("--avatar", help="For models that show a picture: its name, file or folder; all built-in ones.")
@click.option("--self-reenactment", is_flag=True, help="Let each clip move one of its own pictures instead.")
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
@click.option("--quick", is_flag=True, help="Without the second reader (landmarks, identity) and the frozen input.")
@click.option("--worn", multiple=True, type=_FILE, help="A picture of the identity; else as packaged, or the preview.")
@click.option("--gallery", type=_FILE, default=GALLERY, help="Who else the output may look like, instead of our own.")
@click.option("--json", "json_file", type=_FILE)
@click.option("--sheet", type=_FILE, help="A contact sheet: .jpg or .png.")
@click.option("--chart", type=_FILE, help="The figures drawn: .svg, .png or .pdf.")
def quality(
    clips: tuple[Path, ...],
    avatar: str | None,
    self_reenactment: bool,
    reader: ReaderName,
    frames: int | None,
    settings: tuple[str, ...],
    quick: bool,
    worn: tuple[Path, ...],
    gallery: Path,
    json_file: Path | None,
    sheet: Path | None,
    chart: Path | None,
    **flags: Any,
) -> None:
    """How well the character follows its driver, frame by frame, on real clips."""
    _check_outputs(json_file, sheet, chart)
    config = make_config({}, {**_given(settings), **{k: v for k, v in flags.items() if v is not None}})
    if config.mirror:
        raise ConfigError("--set mirror=true: a mirrored output can't be compared with its driver; leave it out")
    which = choose_reader(reader)
    bundle = load_bundle(config.model or "")
    motion, lips = bundle.card.family == "motion", bundle.card.family == "lip-sync"
    if (avatar is not None and not (motion or lips)) or (self_reenactment and not motion):
        raise ConfigError(f"model {bundle.name} moves no pictures: --avatar and --self-reenactment need one that does")
    if self_reenactment:
        if chart is not None:
            raise ConfigError("--self-reenactment draws no chart: leave --chart out, --sheet shows the pictures")
        part, sheets = drive_themselves(clips, bundle, config, frames=frames, quick=quick, say=click.echo)
    elif motion:
        part, sheets = drive_avatars(
            clips, bundle, config, avatar, open_finder, which=which, frames=frames, quick=quick, say=click.echo
        )
    elif lips:
        part, sheets = speak_clips(
            clips, bundle, config, avatar, which=which, frames=frames, quick=quick, say=click.echo
        )
    else:
        part, sheets = _swap(clips, bundle, config, which, frames, None if quick else _Second(bundle, worn, gallery))
    where = stamp()
    click.echo(f"{one_line(where)}; read by {which}")
    report = {
        "schema": SCHEMA,
        "kind": "quality",
        "stamp": where,
        "asked": {
            "model": config.model,
            "settings": config.settings().model_dump(exclude={"model"}),
            "detector": config.detector,
            "frames": frames,
            "size": config.size,
            "quick": quick,
            "worn": [path.name for path in worn],
            "gallery": gallery.name,
        },
        "reader": which,
        **part,
    }
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if sheet is not None:
        save(sheets, sheet)
    if chart is not None:
        (draw_lips if lips else draw_quality)(report, chart)


def _swap(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    which: Literal["own", "mediapipe"],
    frames: int | None,
    second: "_Second | None",
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip) of a model that replaces the driver's face."""
    sheets = [Sheet(clip.name) for clip in clips]
    records: list[ClipRecord] = []
    found: list[dict[str, Any]] = []
    live = config.settings()
    for clip, page in zip(clips, sheets, strict=True):
        with ExitStack() as stack:
            # One for each clip: it gets to know its driver's resting face, and the next one's is another.
            swapper = open_swapper(bundle, provider=config.provider, precision=config.precision, settings=lambda: live)
            stack.callback(swapper.close)
            examiners: list[Examiner] = [open_truth(clip), Seam(), *(second.examiners() if second else _LEFT_OUT)]
            record, ran_on = _work_off(clip, config, swapper, which, live, examiners, page, frames)
            if second is not None:
                with ExitStack() as parts:
                    finder = open_finder(config)
                    parts.callback(finder.close)
                    freeze(finder, swapper, live, record)
            records.append(record)
            found.append(clip_figures(record))
            click.echo("\n".join(told(found[-1])))
        ran = {"detect": ran_on, "swap": swapper.ran_on}
        precision = {"detect": "fp32", "swap": swapper.precision}
    across = across_clips(records)
    if across:
        click.echo(
            f"likeness across clips: outputs {across['outputs']}, their drivers {across['drivers']} "
            "(1 is the same face)"
        )
    everything = judge_all(found)
    table(found, everything, click.echo)
    report = {
        "family": "swap",
        "providers": ran,
        "precision": precision,
        "goals": everything,
        "clips": found,
        "across_clips": across,
    }
    return report, sheets


_LEFT_OUT = [Missing(key, "left out by --quick") for key in ("landmarks", "identity")]


class _Second:
    """The second reader with what it compares with, opened once for all clips."""

    def __init__(self, bundle: Bundle, worn: Sequence[Path], gallery: Path) -> None:
        opened = open_second_reader()
        self._reader: SecondReader | None = None if isinstance(opened, str) else opened
        self._why = opened if isinstance(opened, str) else ""
        if self._reader is not None:
            self._gallery = load_gallery(gallery)
            self._worn = _centre(self._reader, bundle, worn)

    def examiners(self) -> list[Examiner]:
        """New ones, for one clip."""
        if self._reader is None:
            return [Missing("landmarks", self._why), Missing("identity", self._why)]
        points = LandmarkError(self._reader)
        if isinstance(self._worn, str):
            return [points, Missing("identity", self._worn)]
        return [points, Retrieval(self._reader, self._worn, self._gallery)]


def _centre(reader: SecondReader, bundle: Bundle, worn: Sequence[Path]) -> npt.NDArray[np.float64] | str:
    """What the identity looks like, or why that is not known: by `worn`, as it was packaged, or by its preview."""
    if worn:
        return worn_centre(reader, worn)
    if bundle.preview is None:
        return "no picture of the identity: pass --worn"
    known = known_centre(bundle.preview)
    return worn_centre(reader, [bundle.preview]) if known is None else known


def _work_off(
    clip: Path,
    config: RunConfig,
    swapper: Swapper,
    which: Literal["own", "mediapipe"],
    settings: Settings,
    examiners: Sequence[Examiner],
    page: Sheet,
    frames: int | None,
) -> tuple[ClipRecord, str]:
    """(what was noted of one clip, where its detector ran)."""
    with ExitStack() as parts:
        finder = open_finder(config)
        parts.callback(finder.close)
        readers = [open_reader(which, _landmark_provider(config)) for _ in range(4)]
        for one in readers:
            parts.callback(one.close)
        source = open_clip(clip, config.size)
        parts.callback(source.close)
        known = [e.seen for e in examiners if isinstance(e, MaskTruth)]
        stand = Stand(finder, swapper, settings, readers, examiners, *known)
        return stand.work(source, clip.name, page, frames), finder.ran_on


def _check_outputs(json_file: Path | None, sheet: Path | None, chart: Path | None) -> None:
    """Refuse before measuring what can't be written afterwards. Raises ConfigError."""
    if sheet is not None and sheet.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(f"--sheet {sheet}: end it in .jpg or .png")
    if chart is not None:
        check_drawable(chart)
    for file in (json_file, sheet, chart):
        if file is not None and not file.absolute().parent.is_dir():
            raise ConfigError(f"{file} can't be written: the folder {file.absolute().parent} does not exist")


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
        from realtime.tracking.mediapipe_detector import MediapipeDetector

        finder: FaceFinder = MediapipeDetector(faces=1)
        return finder
    return Tracker(provider=_landmark_provider(config), steadiness=config.steadiness)

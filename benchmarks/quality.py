"""`masquerade bench quality`: does the output act what the driver acts, as one steady person?

Every frame of each clip goes through the engine; then driver and output are read by the same
reader, each on its own, and compared. Beside every figure stands the ceiling: the same loop with a
swapper that gives the driver's own face back.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from benchmarks.charts import Sheet, draw_lips, draw_quality, save_sheets
from benchmarks.clips import open_clip
from benchmarks.goals import judge_all, table
from benchmarks.metrics import Metric, Missing
from benchmarks.metrics.identity import GALLERY, Retrieval, across_clips, embedding_of, known_embedding, load_gallery
from benchmarks.metrics.landmarks import LandmarkError
from benchmarks.metrics.looks import Looks, true_pictures
from benchmarks.metrics.masks import MaskTruth, open_truth
from benchmarks.metrics.seam import Seam
from benchmarks.quality_figure import move_figures
from benchmarks.quality_lips import speak_clips
from benchmarks.quality_motion import drive_avatars
from benchmarks.readers import ReaderName, TrackerReader, choose_reader, open_second_reader
from benchmarks.report import FILE, chart_option, check_outputs, finish, json_option, parse_set, set_option, stamp
from benchmarks.rig import ClipRecord, SwapRig, swap_figures
from realtime.config import RunConfig, Settings, make_config
from realtime.errors import ConfigError
from realtime.families import family_of
from realtime.families.face_swap.effect import open_swapper
from realtime.families.figure import FIGURE
from realtime.families.motion import MOTION
from realtime.inference.session import report as report_of
from realtime.models.bundle import Bundle
from realtime.models.library import load_bundle
from realtime.pipeline.parts import open_tracker

SCHEMA = 2


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", default="ada", show_default=True, help="A bundle's name or folder.")
@click.option("--avatar", help="For models that show a picture: its name, file or folder; all built-in ones.")
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
@set_option
@click.option("--quick", is_flag=True, help="Without the second reader (landmarks, identity) and the static input.")
@click.option("--worn", multiple=True, type=FILE, help="A picture of the identity; else as packaged, or the preview.")
@click.option("--gallery", type=FILE, default=GALLERY, help="Who else the output may look like, instead of our own.")
@json_option
@click.option("--sheet", type=FILE, help="A contact sheet: .jpg or .png.")
@chart_option
def quality(
    clips: tuple[Path, ...],
    avatar: str | None,
    reader: str,
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
    """How well the output follows its driver, frame by frame, on real clips."""
    check_outputs(json_file, chart, sheet)
    given = {key: value for key, value in flags.items() if value is not None}
    config = make_config({}, {"source": "clips", **parse_set(settings, Settings.model_fields), **given})
    if config.mirror:
        raise ConfigError("--set mirror=true: a mirrored output can't be compared with its driver; leave it out")
    which = choose_reader(reader)
    bundle = load_bundle(config.model or "")
    family = family_of(bundle.card)
    if avatar is not None and not family.takes_avatars:
        raise ConfigError(f"model {bundle.name} moves no pictures: --avatar needs one that does")
    how: dict[str, Any] = {"which": which, "frames": frames, "quick": quick, "say": click.echo}
    if family is MOTION:
        part, sheets = drive_avatars(clips, bundle, config, avatar, **how)
    elif family is FIGURE:
        part, sheets = move_figures(clips, bundle, config, avatar, **how)
    elif family.speaks:
        part, sheets = speak_clips(clips, bundle, config, avatar, **how)
    else:
        part, sheets = _swap(clips, bundle, config, which, frames, None if quick else SecondLook(bundle, worn, gallery))
    overall = judge_all(part["clips"], part["family"])
    table(part["clips"], overall, click.echo)
    click.echo(f"read by {which}")
    report = {
        "schema": SCHEMA,
        "kind": "quality",
        "stamp": stamp(),
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
        **({} if part["family"] == "swap" else {"model_files": dict(bundle.card.files)}),
        "goals": overall,
    }
    finish(report, json_file)
    if sheet is not None:
        save_sheets(sheets, sheet)
    if chart is not None and family is not FIGURE:
        (draw_lips if family.speaks else draw_quality)(report, chart)


class SecondLook:
    """The metrics that need the second reader, and what they compare with, opened once for all clips."""

    def __init__(self, bundle: Bundle, pictures: Sequence[Path], gallery: Path) -> None:
        self._reader = open_second_reader()
        if not isinstance(self._reader, str):
            self._gallery = load_gallery(gallery)
            known = None if pictures or bundle.preview is None else known_embedding(bundle.preview)
            pictures = pictures or ([bundle.preview] if bundle.preview is not None else [])
            self._identity = embedding_of(self._reader, pictures) if known is None else known

    def metrics(self) -> list[Metric]:
        """New ones, for one clip."""
        if isinstance(self._reader, str):
            return [Missing(key, self._reader) for key in ("landmarks", "identity")]
        if isinstance(self._identity, str):
            return [LandmarkError(self._reader), Missing("identity", self._identity)]
        return [LandmarkError(self._reader), Retrieval(self._reader, self._identity, self._gallery)]


def _swap(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    which: ReaderName,
    frames: int | None,
    second: SecondLook | None,
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip) of a model that replaces the driver's face."""
    sheets = [Sheet(clip.name) for clip in clips]
    records: list[ClipRecord] = []
    found: list[dict[str, Any]] = []
    live = config.settings()
    left_out = [Missing(key, "left out by --quick") for key in ("landmarks", "identity")]
    for clip, page in zip(clips, sheets, strict=True):
        with ExitStack() as parts:
            # One for each clip: it gets to know its driver's resting face, and the next one's is another.
            swapper = open_swapper(bundle, provider=config.provider, precision=config.precision)
            parts.callback(swapper.close)
            finders = [parts.enter_context(closing(open_tracker(config))) for _ in range(1 if second is None else 2)]
            readers = [parts.enter_context(closing(TrackerReader(which, config))) for _ in range(4)]
            source = parts.enter_context(closing(open_clip(clip, config.size)))
            truth = open_truth(clip)
            true = true_pictures(clip)
            looks = Looks()
            if true is not None:
                looks = Looks(true, parts.enter_context(closing(TrackerReader(which, config))).read)
            metrics = [truth, Seam(), looks, *(left_out if second is None else second.metrics())]
            known = [truth.true] if isinstance(truth, MaskTruth) else []
            record = SwapRig(finders[0], swapper, live, readers, metrics, *known).work(source, page, frames)
            if second is not None:
                record.static = SwapRig(finders[1], swapper, live).static(record.still)
            records.append(record)
            found.append(swap_figures(record))
            ran = {"detect": report_of(finders[0].sessions).provider, "swap": report_of(swapper.sessions).provider}
            precision = {"detect": "fp32", "swap": report_of(swapper.sessions).precision}
        failed = f"; {record.failed} failed, the first: {record.first_failure}" if record.failed else ""
        click.echo(f"{clip.name}: {record.frames} frames, {record.replaced} replaced{failed}")
    report = {
        "family": "swap",
        "providers": ran,
        "precision": precision,
        "clips": found,
        "across_clips": across_clips(*([r.portraits[who] for r in records] for who in ("output", "driver"))),
    }
    return report, sheets

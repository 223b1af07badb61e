"""`masquerade bench quality` for models that move a still picture: each clip drives each avatar."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.charts import Sheet
from benchmarks.clips import open_clip
from benchmarks.goals import judge
from benchmarks.metrics import Floats, rounded, share
from benchmarks.metrics import acting as act
from benchmarks.metrics.flicker import Flicker, static_jitter
from benchmarks.metrics.landmarks import canonical_head, distortion, fit_residual
from benchmarks.readers import ReaderName, SecondReader, TrackerReader, middle_of, open_second_reader, reencoded
from benchmarks.rig import Record, Watched, frames_of
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.config import RunConfig, Settings
from realtime.families.effect import Effect
from realtime.families.motion.canvas import Canvas
from realtime.families.motion.effect import ReenactmentEffect, open_motion_model
from realtime.families.motion.motion_model import DrawnCrop
from realtime.frame import Frame, Pixels
from realtime.inference.session import report as report_of
from realtime.models.avatar import Avatar
from realtime.models.avatar_loading import choose_avatars, ready_avatars
from realtime.models.bundle import Bundle
from realtime.models.library import face_folder
from realtime.pipeline.engine import Engine, FaceFinder
from realtime.pipeline.parts import open_tracker
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

FULLY = 0.999
"""The strength of motion from which the avatar is driven, not on its way to or from rest."""

Say = Callable[[str], object]


class Still:
    """An avatar's still picture as it should go out, and where in it something may move."""

    def __init__(self, avatar: Avatar, source: Any, size: tuple[int, int]) -> None:
        canvas = Canvas(avatar, size, None)
        canvas.place(source.crop_from_avatar, source.size)
        self.side: int = source.size
        self.show: Callable[[DrawnCrop], Pixels] = canvas.show
        self.still: Pixels = canvas.still
        self._mask: Floats | None = None
        self._share: Floats = np.zeros(0, np.float32)

    def share(self, mask: Floats) -> Floats:
        """(H, W) 0..1: how much of each pixel is the crop's under its mask: white laid in less black laid in."""
        if self._mask is not mask:
            black = np.zeros((self.side, self.side, 3), np.uint8)
            light, dark = (self.show(DrawnCrop(crop, mask)) for crop in (np.full_like(black, 255), black))
            self._mask, self._share = mask, (light.astype(np.float32) - dark).max(axis=2) / np.float32(255)
        return self._share

    def changed_outside(self, picture: Pixels, mask: Floats) -> int:
        """The largest change where nothing may move, in levels of 0..255."""
        changed = np.abs(picture.astype(np.int16) - self.still).max(axis=2)
        return int(changed[self.share(mask) == 0].max(initial=0))


def open_avatars(spec: str | None, *, with_face: bool) -> list[Avatar]:
    """The avatars `--avatar` names, ready. Raises MasqueradeError."""
    if not with_face:
        return ready_avatars(choose_avatars(spec), None)
    with closing(Tracker(face_folder(), provider="cpu", faces=4)) as tracker:
        return ready_avatars(choose_avatars(spec), tracker.find)


@dataclass(slots=True, eq=False)
class DriveRecord(Record):
    """What is noted of a clip that drove an avatar.

    `waiting`: frames before there was a neutral pose, which have no picture; `driven`: frames in which the driver was
    followed at full strength; `faceless`: of those, outputs in which no face was read. `second_found`,
    `second_missed`: of the driven frames in which the second reader found the driver, how many it did in the output.
    `residuals`: of the faces read in driven outputs, and of the avatar's own picture (`at_rest`).
    """

    avatar: str = ""
    waiting: int = 0
    driven: int = 0
    faceless: int = 0
    residuals: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    at_rest: float = 0.0
    outside: int = 0
    second_found: int = 0
    second_missed: int = 0
    # Of one video by its own motion. The first name is a picture that differs everywhere: nothing is left out.
    flicker: dict[str, Flicker] = field(
        default_factory=lambda: {n: Flicker(("inverted", "video")) for n in ("driver", "output")}
    )


class MotionRig:
    """One clip's engine with one avatar, and readers of driver, output and driver again. Closes nothing."""

    def __init__(
        self,
        finder: FaceFinder,
        effect: Effect,
        model: Watched,
        avatar: Avatar,
        settings: Settings,
        readers: Sequence[Any],
        second: SecondReader | None = None,
    ) -> None:
        self._engine = Engine(finder, effect, lambda: settings, now_ns)
        self._model, self._avatar = model, avatar
        self._readers, self._second = readers, second
        self._head = canonical_head()
        self._still: Still | None = None

    def work(self, source: Source, sheet: Sheet | None = None, frames: int | None = None) -> DriveRecord:
        """All frames of a source, or the first `frames`."""
        record = DriveRecord(source.name, source.rate_hz, source.size, avatar=self._avatar.name)
        if self._avatar.face is not None:
            record.at_rest = fit_residual(self._avatar.face, self._head)
        for frame in frames_of(source, frames):
            self._one(frame, record, sheet)
        return record

    def static(self, still: Pixels | None) -> dict[str, Any]:
        """What comes of a driver's still picture under camera noise; of a new rig, whose finder follows nobody yet."""
        if still is None:
            return {"missing": "no frame was driven"}

        def moving(frame: Frame) -> Floats | None:
            drawn = self._model.result("draw")
            return None if drawn is None else self._at_rest(frame).share(drawn.mask)

        return static_jitter(self._engine, still, moving)

    def _at_rest(self, frame: Frame) -> Still:
        self._still = self._still or Still(self._avatar, self._model.result("encode_source"), frame.size)
        return self._still

    def _one(self, frame: Frame, record: DriveRecord, sheet: Sheet | None) -> None:
        self._model.calls.pop("draw", None)
        result = self._engine(frame)
        record.note(result)
        by_driver, by_output, by_again = self._readers
        driver = by_driver.read(frame)
        again = by_again.read(frame.with_pixels(reencoded(frame.pixels)))
        pixels, (asked, drawn) = result.pixels, self._model.calls.get("draw", ((), None))
        if pixels is None:
            record.waiting += result.error is None
            record.read(None, None, again)
            for flicker in record.flicker.values():
                flicker.skip()
            return
        output = by_output.read(frame.with_pixels(pixels))
        if drawn is not None:
            record.outside = max(record.outside, self._at_rest(frame).changed_outside(pixels, drawn.mask))
        driven = drawn is not None and asked[-1].strength >= FULLY
        record.read(driver if driven else None, output if driven else None, again)
        if driven:
            self._driven(frame, pixels, driver, output, record)
        for name, picture, face in (("driver", frame.pixels, driver), ("output", pixels, output)):
            record.flicker[name].see(picture, {"inverted": 255 - picture, "video": picture}, face)
        if driver is not None and sheet is not None:
            sheet.add(frame.seq, frame.pixels, pixels, driver, output)

    def _driven(
        self, frame: Frame, pixels: Pixels, driver: Face | None, output: Face | None, record: DriveRecord
    ) -> None:
        record.driven += 1
        record.faceless += output is None
        if output is not None:
            record.residuals.append(fit_residual(output, self._head))
            record.scores.append(output.score)
        if record.still is None and driver is not None:
            record.still = frame.pixels
        if self._second is not None and driver is not None and self._second.find(frame.pixels, driver.box) is not None:
            record.second_found += 1
            there = output.box if output is not None else middle_of(frame.size)
            record.second_missed += self._second.find(pixels, there) is None


def motion_figures(record: DriveRecord) -> dict[str, Any]:
    """A clip's figures as the JSON file has them. Acting is compared in the driven frames alone."""
    clip = record.figures()
    again, again_pose = act.following(record.drivers, record.again)
    warp = {name: flicker.errors()["video"] for name, flicker in record.flicker.items()}
    clip["expression"]["jaw_gain"] = act.if_moving(clip["blendshapes"], "jawOpen", "gain")
    clip["blinks"]["r"] = act.lid_correlation(record.drivers, record.outputs)
    clip |= {
        "avatar": record.avatar,
        "coverage": {
            "waiting": record.waiting,
            "driven": record.driven,
            "faceless": share(record.faceless, record.driven),
            "second_reader": {
                "found_in_driver": record.second_found,
                "missed_in_output": share(record.second_missed, record.second_found),
            },
            "lowest_score": rounded(min(record.scores, default=None), 4),
        },
        "distortion": distortion(record.residuals, record.at_rest),
        "flicker": {
            **{f"e_warp_{name}": rounded(value, 6) for name, value in warp.items()},
            "ratio": rounded(warp["output"] / warp["driver"]) if warp["output"] and warp["driver"] else None,
        },
        "outside": {"beyond_mask_max": record.outside},
        # No network can follow better than the reader agrees with itself.
        "ceiling": {"blendshapes": again, "pose_deg": again_pose},
    }
    return {**clip, "goals": judge(clip, "motion")}


def drive_avatars(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    spec: str | None,
    *,
    which: ReaderName,
    frames: int | None,
    quick: bool,
    say: Say,
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip and avatar): every clip drives every avatar that `spec` names.

    Raises MasqueradeError.
    """
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    ran: dict[str, str] = {}
    with closing(open_motion_model(bundle, provider=config.provider)) as model:
        avatars = open_avatars(spec, with_face=model.needs_face)
    second = None if quick else open_second_reader()
    if isinstance(second, str):
        say(f"without a second reader: {second}")
        second = None
    settings = config.settings()
    for clip in clips:
        for avatar in avatars:
            sheets.append(Sheet(f"{clip.name} moves {avatar.name}"))
            with ExitStack() as parts:
                rigs: list[MotionRig] = []
                for _ in range(1 if quick else 2):
                    network = open_motion_model(bundle, provider=config.provider, precision=config.precision)
                    moved: Any = Watched(parts.enter_context(closing(network)))
                    effect = ReenactmentEffect(moved, [avatar])
                    finder = parts.enter_context(closing(open_tracker(config)))
                    readers = [parts.enter_context(closing(TrackerReader(which, config))) for _ in range(3)]
                    rigs.append(MotionRig(finder, effect, moved, avatar, settings, readers, second))
                source = parts.enter_context(closing(open_clip(clip, config.size)))
                record = rigs[0].work(source, sheets[-1], frames)
                if not quick:
                    record.static = rigs[1].static(record.still)
                on = report_of(effect.sessions)
                ran = {"detect": report_of(finder.sessions).provider, "motion": on.provider, "precision": on.precision}
            found.append(motion_figures(record))
            say(f"{clip.name} moves {avatar.name}: {record.driven} of {record.frames} frames driven")
    report = {
        "family": "motion",
        "avatars": [avatar.name for avatar in avatars],
        "providers": {"detect": ran["detect"], "motion": ran["motion"]},
        "precision": {"detect": "fp32", "motion": ran["precision"]},
        "clips": found,
    }
    return report, sheets

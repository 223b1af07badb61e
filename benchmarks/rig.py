"""Runs a clip through the engine, and through a ceiling that gives the driver's own face back, and measures both."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from benchmarks.charts import Sheet
from benchmarks.goals import judge
from benchmarks.metrics import VIDEOS, Bools, Floats, MeasuredFrame, Metric, mean, rounded, share
from benchmarks.metrics import acting as act
from benchmarks.metrics.flicker import Flicker, static_jitter
from benchmarks.metrics.identity import portrait, steadiness
from benchmarks.metrics.masks import beyond, drawn_masks, network_masks, share_hidden
from benchmarks.readers import reencoded
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.imaging.blend import Swapped
from realtime.inference.session import Session
from realtime.pipeline.engine import Engine, FaceFinder, Result
from realtime.tracking.face import Face

HIDDEN = 0.95
"""The share of the face's inside that must be taken over for its frame to count as replaced."""

Faces = list[Face | None]


@dataclass(slots=True, eq=False)
class Record:
    """What is noted of a clip: failures, each frame's face as read from driver, output and driver again.

    `still`: the first frame that gave an output of a driver, and `static` what came of it under camera noise.
    """

    name: str
    rate_hz: float
    size: tuple[int, int]
    frames: int = 0
    failed: int = 0
    first_failure: str | None = None
    drivers: Faces = field(default_factory=list)
    outputs: Faces = field(default_factory=list)
    again: Faces = field(default_factory=list)
    still: Pixels | None = None
    static: dict[str, Any] = field(default_factory=lambda: {"missing": "left out by --quick"})

    def note(self, result: Result) -> None:
        self.frames += 1
        if result.error is not None:
            self.failed += 1
            self.first_failure = self.first_failure or str(result.error) or type(result.error).__name__

    def read(self, driver: Face | None, output: Face | None, again: Face | None) -> None:
        for kept, face in ((self.drivers, driver), (self.outputs, output), (self.again, again)):
            kept.append(face)

    def figures(self) -> dict[str, Any]:
        """What every kind of clip has, as the JSON file has it. Acting is compared where both faces were read."""
        channels, pose = act.following(self.drivers, self.outputs)
        return {
            "clip": self.name,
            "frames": self.frames,
            "failed": self.failed,
            "first_failure": self.first_failure,
            "rate_hz": round(self.rate_hz, 3),
            "size": list(self.size),
            "blendshapes": channels,
            "weak": act.weak(channels),
            "expression": {**act.together(channels), "jaw_r": act.if_moving(channels, "jawOpen", "r")},
            "blinks": act.blink_figures(self.drivers, self.outputs),
            "pose_deg": pose,
            "jitter": act.trembling(self.drivers, self.outputs),
            "frozen": self.static,
            "traces": act.traces(self.drivers, self.outputs),
        }


@dataclass(slots=True, eq=False)
class ClipRecord(Record):
    """What is noted of a swap.

    `visible`: frames with a face; `replaced`: of those, frames whose face is another one now. `hidden`: by frame, how
    much of the face's inside was taken over. `beyond`: the largest change outside the mask and outside the crop.
    """

    visible: int = 0
    replaced: int = 0
    hidden: list[float] = field(default_factory=list)
    beyond: tuple[int, int] = (0, 0)
    ceilings: Faces = field(default_factory=list)
    flicker: Flicker = field(default_factory=lambda: Flicker(VIDEOS))
    portraits: dict[str, list[Floats]] = field(default_factory=lambda: {"output": [], "driver": []})
    metrics: Sequence[Metric] = ()


class Watched:
    """Passes everything on to `inner`; `calls` holds arguments and result of the last call of each of its methods."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.calls: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return partial(self._call, name, found) if callable(found) else found

    def __call__(self, *arguments: Any) -> Any:
        return self._call("__call__", self._inner, *arguments)

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        self.calls[name] = arguments, method(*arguments)
        return self.calls[name][1]

    def result(self, name: str = "__call__") -> Any:
        """What the last call gave; None where there was none."""
        return self.calls.get(name, ((), None))[1]


class SharedFinder:
    """Finds a frame's faces once for several engines; `last` are those. Obeys `FaceFinder`; closes nothing."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder, self.sessions = finder, finder.sessions
        self._frame: Frame | None = None
        self.last: list[Face] = []
        self.steadiness = finder.steadiness

    def __call__(self, frame: Frame) -> list[Face]:
        if frame is not self._frame:
            self._finder.steadiness = self.steadiness
            self.last, self._frame = self._finder(frame), frame
        return self.last

    def close(self) -> None:
        """Nothing: the finder is the caller's."""


class OwnFace:
    """Gives the driver's own crop back, at the network's size, under the network's mask: the ceiling.

    What is lost with it is lost to the crop's resolution, the blend and the reader, and no network could have kept
    it. Obeys `Swapper`.
    """

    sessions: Sequence[Session] = ()
    title = "the driver's own face"

    def __init__(self, swapper: Watched) -> None:
        self._swapper = swapper
        self.crop = swapper.crop

    def __call__(
        self, crop: Pixels, face: Face, crop_from_frame: Matrix, settings: Settings, frame: Frame, /
    ) -> Swapped:
        """The crop, as large as what the network made of it, and the network's masks."""
        made: Swapped | None = self._swapper.result()
        if made is None:
            return Swapped(crop, np.ones(crop.shape[:2], np.float32))
        side = made.pixels.shape[0]
        own = crop if side == crop.shape[0] else cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return replace(made, pixels=np.asarray(own, dtype=np.uint8))

    def close(self) -> None:
        """Nothing is open."""


def frames_of(source: Source, most: int | None) -> Iterator[Frame]:
    """All frames of a source, or the first `most`. Raises ConfigError where there is none."""
    frame = source.read()
    if frame is None:
        raise ConfigError(f"{source.name} gave no frame: give another clip")
    while frame is not None and (most is None or frame.seq < most):
        yield frame
        frame = source.read()


class SwapRig:
    """One clip's engine, its ceiling, and four readers: of driver, output, ceiling, and driver once more.

    Each of `metrics` sees every frame that has an output. `truth` gives where frame number so-and-so shows the
    face, (H, W), where that is known. Closes nothing: all parts are the caller's.
    """

    def __init__(
        self,
        finder: FaceFinder,
        swapper: Any,
        settings: Settings,
        readers: Sequence[Any] = (),
        metrics: Sequence[Metric] = (),
        truth: Callable[[int, tuple[int, ...]], Bools | None] = lambda _seq, _shape: None,
    ) -> None:
        self._finder, self._swapper = SharedFinder(finder), Watched(swapper)
        self._settings, self._readers, self._metrics, self._truth = settings, readers, metrics, truth
        # The driver's own face needs neither another colour nor sharpening.
        plain = settings.model_copy(update={"color_transfer": "none", "sharpen": 0})
        swap: Any = self._swapper
        self._engine = Engine(self._finder, FaceSwap(swap), lambda: settings, now_ns)
        self._ceiling = Engine(self._finder, FaceSwap(OwnFace(swap)), lambda: plain, now_ns)

    def work(self, source: Source, sheet: Sheet | None = None, frames: int | None = None) -> ClipRecord:
        """All frames of a source, or the first `frames`, measured."""
        record = ClipRecord(source.name, source.rate_hz, source.size, metrics=self._metrics)
        for frame in frames_of(source, frames):
            self._one(frame, record, sheet)
        return record

    def static(self, still: Pixels | None) -> dict[str, Any]:
        """What comes of a still picture under camera noise; of a new rig, whose finder follows nobody yet."""
        if still is None:
            return {"missing": "no frame was replaced"}
        return static_jitter(self._engine, still, lambda frame: (self._drawn(frame) or (None, None))[0])

    def _drawn(self, frame: Frame) -> tuple[Floats, Floats] | None:
        """The mask of what was taken over of the frame just worked on, and the crop's square in it."""
        _, made = self._swapper.calls.pop("__call__", ((), None))
        if made is None or len(self._finder.last) != 1:
            return None
        swapper: Any = self._swapper
        return drawn_masks(frame.pixels, self._finder.last[0], made, swapper, self._settings)

    def _one(self, frame: Frame, record: ClipRecord, sheet: Sheet | None) -> None:
        by_driver, by_output, by_ceiling, by_again = self._readers
        self._swapper.calls.clear()
        result = self._engine(frame)
        record.note(result)
        driver = by_driver.read(frame)
        visible = driver is not None or by_driver.visible(frame)
        record.visible += visible
        output, ceiling, again, pixels = None, None, None, result.pixels
        if pixels is None:
            record.flicker.skip()
        else:
            same = self._ceiling(frame).pixels
            same = frame.pixels if same is None else same
            output, ceiling = by_output.read(frame.with_pixels(pixels)), by_ceiling.read(frame.with_pixels(same))
            again = by_again.read(frame.with_pixels(reencoded(frame.pixels)))
            videos = {"output": pixels, "driver": frame.pixels, "ceiling": same}
            self._compare(frame, videos, driver, output, visible, record)
        record.read(driver, output, again)
        record.ceilings.append(ceiling)
        if driver is None:
            return
        if sheet is not None:
            sheet.add(frame.seq, frame.pixels, frame.pixels if pixels is None else pixels, driver)
        if output is not None and pixels is not None:
            record.portraits["output"].append(portrait(pixels, output))
            record.portraits["driver"].append(portrait(frame.pixels, driver))

    def _compare(
        self,
        frame: Frame,
        videos: dict[str, Pixels],
        driver: Face | None,
        output: Face | None,
        visible: bool,
        record: ClipRecord,
    ) -> None:
        made, faces = self._swapper.result(), self._finder.last
        mask: Floats | None = None
        own: dict[str, Floats] = {}
        if (drawn := self._drawn(frame)) is not None:
            mask = drawn[0]
            changed = beyond(frame.pixels, videos["output"], *drawn)
            record.beyond = max(record.beyond[0], changed[0]), max(record.beyond[1], changed[1])
            swapper: Any = self._swapper
            own = network_masks(frame.pixels, faces[0], made, swapper)
            hidden = share_hidden(mask, driver or faces[0], self._truth(frame.seq, mask.shape))
            record.hidden.append(hidden)
            record.replaced += visible and hidden >= HIDDEN
        face = driver or (faces[0] if faces else None)
        for metric in self._metrics:
            metric.see(MeasuredFrame(frame.seq, videos, face, mask, own, output))
        if record.still is None and mask is not None and driver is not None:
            record.still = frame.pixels
        record.flicker.see(frame.pixels, videos, face)


def swap_figures(record: ClipRecord) -> dict[str, Any]:
    clip, drivers = record.figures(), record.drivers
    top, top_pose = act.following(drivers, record.ceilings)
    again, again_pose = act.following(drivers, record.again)
    errors = {name: value for name, value in record.flicker.errors().items() if value is not None}
    read = sum(a is not None and b is not None for a, b in zip(drivers, record.outputs, strict=True))
    clip["expression"]["ceiling_mean_r"] = mean(
        [top[name]["r"] or 0.0 for name in act.moving(clip["blendshapes"]) if name in top]
    )
    clip["blinks"]["ceiling_f1"] = act.blink_figures(drivers, record.ceilings)["f1"]
    clip |= {
        "coverage": {
            "visible": record.visible,
            "replaced": record.replaced,
            "share": share(record.replaced, record.visible),
            "hidden": mean(record.hidden),
            "output_read": read,
        },
        "mouth": act.mouth_figures(drivers, record.outputs),
        "expression_mae": mean([c["mae"] for c in clip["blendshapes"].values()]),
        "flicker": {
            **{f"e_warp_{name}": round(value, 6) for name, value in errors.items()},
            "ratio": _over(errors.get("output"), errors.get("driver")),
            "ceiling_ratio": _over(errors.get("ceiling"), errors.get("driver")),
        },
        "outside": {"beyond_mask_max": record.beyond[0], "beyond_crop_max": record.beyond[1]},
        "steadiness": {name: steadiness(kept) for name, kept in record.portraits.items()},
        "ceiling": {"blendshapes": top, "pose_deg": top_pose},
        "reader": {
            "what": "the driver read once more after JPEG at quality 75",
            "blendshapes": {name: again[name] for name in act.LEADING if name in again},
            "pose_deg": again_pose,
        },
        **{metric.key: metric.figures() for metric in record.metrics},
    }
    return {**clip, "goals": judge(clip, "swap")}


def _over(value: float | None, unit: float | None) -> float | None:
    return rounded(value / unit) if value is not None and unit else None

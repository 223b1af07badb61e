"""Where a clip drives an avatar: the engine, and the readers of driver, output, and driver once more."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clip_figures import Reading
from benchmarks.distortion import canonical_head, fit_residual
from benchmarks.frozen import frozen_jitter
from benchmarks.moment import Floats
from benchmarks.pictures import Flicker, face_box, reencoded
from benchmarks.reading import Reader
from benchmarks.second_reader import SecondReader
from benchmarks.sheet import Sheet
from benchmarks.stand import BOX_MARGIN
from benchmarks.watched_puppet import Canvas, WatchedPuppet
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.errors import ConfigError
from realtime.families.effect import Effect
from realtime.frame import Frame, Pixels
from realtime.models.avatar import Avatar
from realtime.pipeline.engine import Engine, FaceFinder
from realtime.settings import Settings
from realtime.tracking.face import Face

FULLY = 0.999
"""The strength of motion from which the avatar is driven, not on its way to or from rest."""


def own_flicker() -> Flicker:
    """Of one video by its own motion. The first name is a picture that differs everywhere: nothing is left out."""
    return Flicker(("inverted", "video"))


@dataclass(slots=True, eq=False)
class DriveRecord:
    """Everything noted while a clip drove an avatar.

    `waiting`: frames before there was a neutral pose, which have no picture; `driven`: frames in which the driver was
    followed at full strength; `faceless`: of those, outputs in which no face was read. `second_found`,
    `second_missed`: of the driven frames in which the second reader found the driver, how many it did in the output.
    `residuals`: of the faces read in driven outputs, and of the avatar's own picture (`at_rest`).
    """

    name: str
    avatar: str
    rate_hz: float
    size: tuple[int, int]
    frames: int = 0
    waiting: int = 0
    driven: int = 0
    faceless: int = 0
    failed: int = 0
    first_failure: str | None = None
    readings: list[Reading] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    at_rest: float = 0.0
    outside: int = 0
    second_found: int = 0
    second_missed: int = 0
    flicker: dict[str, Flicker] = field(default_factory=lambda: {n: own_flicker() for n in ("driver", "output")})
    still: Pixels | None = None
    frozen: dict[str, Any] = field(default_factory=lambda: {"missing": "left out by --quick"})


class PuppetStand:
    """One clip's engine with one avatar, and three readers. Closes nothing: all parts are the caller's."""

    def __init__(
        self,
        finder: FaceFinder,
        character: Effect,
        puppet: WatchedPuppet,
        avatar: Avatar,
        settings: Settings,
        readers: Sequence[Reader],
        second: SecondReader | None = None,
    ) -> None:
        self._engine = Engine(finder, character, lambda: settings, now_ns)
        self._puppet, self._avatar = puppet, avatar
        self._readers, self._second = readers, second
        self._head = canonical_head()
        self._canvas: Canvas | None = None

    def work(self, source: Source, name: str, sheet: Sheet | None = None, frames: int | None = None) -> DriveRecord:
        """All frames of a source, or the first `frames`."""
        record = DriveRecord(name, self._avatar.name, source.rate_hz, source.size)
        if self._avatar.face is not None:
            record.at_rest = fit_residual(self._avatar.face, self._head)
        while (frame := source.read()) is not None and (frames is None or frame.seq < frames):
            self.one(frame, record, sheet)
        if not record.frames:
            raise ConfigError(f"{name} gave no frame: give another clip")
        return record

    def one(self, frame: Frame, record: DriveRecord, sheet: Sheet | None) -> None:
        """One frame through everything."""
        self._puppet.forget()
        result = self._engine(frame)
        record.frames += 1
        if result.error is not None:
            record.failed += 1
            record.first_failure = record.first_failure or str(result.error) or type(result.error).__name__
        by_driver, by_output, by_again = self._readers
        driver = by_driver.read(frame)
        again = by_again.read(frame.with_pixels(reencoded(frame.pixels)))
        pixels, how, drawn = result.pixels, self._puppet.how, self._puppet.drawn
        if pixels is None:
            record.waiting += result.error is None
            record.readings.append((None, None, None, again))
            for flicker in record.flicker.values():
                flicker.skip()
            return
        output = by_output.read(frame.with_pixels(pixels))
        if drawn is not None and self._canvas is None:
            self._canvas = Canvas(self._avatar, self._puppet.casts[-1], frame.size)
        if drawn is not None and self._canvas is not None:
            record.outside = max(record.outside, self._canvas.changed_outside(pixels, drawn.mask))
        driven = how is not None and how.strength >= FULLY
        record.readings.append((driver if driven else None, output if driven else None, None, again))
        if driven:
            self._driven(frame, pixels, driver, output, record)
        for name, picture, face in (("driver", frame.pixels, driver), ("output", pixels, output)):
            _flicker(record.flicker[name], picture, face)
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
            there = output.box if output is not None else _middle(frame.size)
            record.second_missed += self._second.find(pixels, there) is None


def freeze(
    finder: FaceFinder,
    character: Effect,
    puppet: WatchedPuppet,
    avatar: Avatar,
    settings: Settings,
    record: DriveRecord,
) -> None:
    """Let the first driven picture drive again and again under camera noise, into `record.frozen`.

    `finder` and `character` must be new ones. Closes nothing.
    """
    if record.still is None:
        record.frozen = {"missing": "no frame was driven"}
        return
    canvas: list[Canvas] = []

    def moving(frame: Frame) -> Floats | None:
        if puppet.drawn is None:
            return None
        if not canvas:
            canvas.append(Canvas(avatar, puppet.casts[-1], frame.size))
        return canvas[0].share(puppet.drawn.mask)

    record.frozen = frozen_jitter(Engine(finder, character, lambda: settings, now_ns), record.still, moving)


def _flicker(flicker: Flicker, picture: Pixels, face: Face | None) -> None:
    size = (picture.shape[1], picture.shape[0])
    box = face_box(face, size, BOX_MARGIN) if face is not None else None
    if box is None:
        flicker.skip()
    else:
        flicker.add(picture, {"inverted": 255 - picture, "video": picture}, box)


def _middle(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The middle half of a picture."""
    width, height = size
    return 0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height

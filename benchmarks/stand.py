"""Where a clip is worked off: the engine, the same engine with the driver's own face, and the readers."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.clip_figures import ClipRecord
from benchmarks.frozen import frozen_jitter
from benchmarks.moment import Examiner, Floats, Moment
from benchmarks.pictures import Bools, beyond, drawn_masks, face_box, network_masks, portrait, reencoded, share_hidden
from benchmarks.reading import OwnFace, Reader, SameFaces, WatchedFinder, WatchedSwapper
from benchmarks.sheet import Sheet
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.errors import ConfigError
from realtime.families.face_swap.effect import FaceSwap, Swapper
from realtime.frame import Frame, Pixels
from realtime.pipeline.engine import Engine, FaceFinder
from realtime.settings import Settings
from realtime.tracking.face import Face

HIDDEN = 0.95
"""The share of the face's inside that must be taken over for its frame to count as replaced."""

BOX_MARGIN = 0.15
"""How far around the face flicker is looked for, in sides of its box."""


class Stand:
    """One clip's engine, its ceiling, and four readers: of driver, output, ceiling, and driver once more.

    Each of `examiners` sees every frame that has an output. `truth` gives where frame number so-and-so shows the
    face, (H, W), where that is known. Closes nothing: all parts are the caller's.
    """

    def __init__(
        self,
        finder: FaceFinder,
        swapper: Swapper,
        settings: Settings,
        readers: Sequence[Reader],
        examiners: Sequence[Examiner] = (),
        truth: Callable[[int, tuple[int, ...]], Bools | None] = lambda _seq, _shape: None,
    ) -> None:
        self._finder = WatchedFinder(finder, [])
        self._swapper = WatchedSwapper(swapper)
        self._settings = settings
        self._engine = Engine(self._finder, FaceSwap(self._swapper), lambda: settings, now_ns)
        self._ceiling = Engine(
            SameFaces(self._finder), FaceSwap(OwnFace(self._swapper)), lambda: plain(settings), now_ns
        )
        self._readers = readers
        self._examiners = examiners
        self._truth = truth

    def work(self, source: Source, name: str, sheet: Sheet | None = None, frames: int | None = None) -> ClipRecord:
        """All frames of a source, or the first `frames`, measured."""
        record = ClipRecord(name, source.rate_hz, source.size, examiners=self._examiners)
        while (frame := source.read()) is not None and (frames is None or frame.seq < frames):
            self.one(frame, record, sheet)
        if not record.frames:
            raise ConfigError(f"{name} gave no frame: give another clip")
        return record

    def one(self, frame: Frame, record: ClipRecord, sheet: Sheet | None) -> None:
        """One frame through everything."""
        by_driver, by_output, by_ceiling, by_again = self._readers
        self._swapper.last = None
        result = self._engine(frame)
        record.frames += 1
        if result.error is not None:
            record.failed += 1
            record.first_failure = record.first_failure or str(result.error) or type(result.error).__name__
        driver = by_driver.read(frame)
        visible = driver is not None or by_driver.visible(frame)
        record.visible += visible
        output, ceiling, again = None, None, None
        pixels = result.pixels
        if pixels is None:
            record.flicker.skip()
        else:
            same = self._ceiling(frame).pixels
            same = frame.pixels if same is None else same
            output, ceiling = (
                by_output.read(frame.with_pixels(pixels)),
                by_ceiling.read(frame.with_pixels(same)),
            )
            again = by_again.read(frame.with_pixels(reencoded(frame.pixels)))
            self._compare(frame, pixels, same, driver, visible, record)
        record.readings.append((driver, output, ceiling, again))
        if driver is not None and sheet is not None:
            sheet.add(frame.seq, frame.pixels, frame.pixels if pixels is None else pixels, driver)
        if driver is not None and output is not None and pixels is not None:
            record.portraits["output"].append(portrait(pixels, output))
            record.portraits["driver"].append(portrait(frame.pixels, driver))

    def _compare(
        self,
        frame: Frame,
        pixels: Pixels,
        same: Pixels,
        driver: Face | None,
        visible: bool,
        record: ClipRecord,
    ) -> None:
        made, faces = self._swapper.last, self._finder.last
        mask: Floats | None = None
        own: dict[str, Floats] = {}
        if made is not None and len(faces) == 1:
            masks = drawn_masks(frame.pixels, faces[0], made, self._swapper, self._settings)
            mask = masks[0]
            record.beyond = np.maximum(record.beyond, beyond(frame.pixels, pixels, *masks)).tolist()
            own = network_masks(frame.pixels, faces[0], made, self._swapper)
            hidden = share_hidden(mask, driver or faces[0], self._truth(frame.seq, mask.shape))
            record.hidden.append(hidden)
            record.replaced += visible and hidden >= HIDDEN
        face = driver or (faces[0] if faces else None)
        videos = {"output": pixels, "driver": frame.pixels, "ceiling": same}
        for examiner in self._examiners:
            examiner.see(Moment(frame.seq, videos, face, mask, own))
        if record.still is None and mask is not None and driver is not None:
            record.still = frame.pixels
        box = face_box(face, frame.size, BOX_MARGIN) if face is not None else None
        if box is None:
            record.flicker.skip()
        else:
            record.flicker.add(frame.pixels, videos, box)


def freeze(finder: FaceFinder, swapper: Swapper, settings: Settings, record: ClipRecord) -> None:
    """Work the clip's first replaced picture off again and again under camera noise, into `record.frozen`.

    `finder` must be a new one, that follows nobody yet. Closes nothing.
    """
    if record.still is None:
        record.frozen = {"missing": "no frame was replaced"}
        return
    watched, drawing = WatchedFinder(finder, []), WatchedSwapper(swapper)
    engine = Engine(watched, FaceSwap(drawing), lambda: settings, now_ns)

    def taken_over(frame: Frame) -> Floats | None:
        made, drawing.last = drawing.last, None
        if made is None or len(watched.last) != 1:
            return None
        return drawn_masks(frame.pixels, watched.last[0], made, drawing, settings)[0]

    record.frozen = frozen_jitter(engine, record.still, taken_over)


def plain(settings: Settings) -> Settings:
    """The settings without what the driver's own face does not need."""
    return settings.model_copy(update={"color_transfer": "none", "sharpen": 0})

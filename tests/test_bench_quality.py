"""The quality benchmark: a tiny run with scripted parts."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from acting import SIZE, texture, turned
from fakes import FakeFinder, FakeSource, FakeSwapper, a_face

from benchmarks.agreement import BLENDSHAPES, LEADING
from benchmarks.clip_figures import ClipRecord, across_clips, clip_figures
from benchmarks.quality import told
from benchmarks.reading import choose_reader
from benchmarks.sheet import Sheet, save
from benchmarks.stand import Stand
from realtime.errors import ConfigError
from realtime.face import Face
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.swap import Swapped


def acting_face(seq: int) -> Face:
    """A face that turns, drifts, and opens and shuts its jaw."""
    face = a_face((150 + seq, 120), 140)
    shapes = np.zeros(52, np.float32)
    shapes[BLENDSHAPES.index("jawOpen")] = 0.5 + 0.5 * np.sin(seq)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = turned(seq)
    return Face(face.landmarks, shapes, pose, 0.9)


class FakeReader:
    """Reads what the script says, whatever the picture; counts what it was shown."""

    def __init__(self, blind: bool = False) -> None:
        self.blind = blind
        self.seen = 0

    def read(self, frame: Frame) -> Face | None:
        self.seen += 1
        return None if self.blind else acting_face(frame.seq)

    def visible(self, frame: Frame) -> bool:
        return not self.blind

    def close(self) -> None:
        pass


class ThinSwapper(FakeSwapper):
    """Draws its face so thin that the driver shows through."""

    def __call__(self, crop: Pixels, face: Face) -> Swapped:
        made = super().__call__(crop, face)
        return Swapped(made.pixels, np.full_like(made.mask, 0.7))


def a_stand(swapper: FakeSwapper, readers: list[FakeReader], lost: tuple[int, ...] = ()) -> Stand:
    finder = FakeFinder(lambda seq: [] if seq in lost else [acting_face(seq)])
    settings = Settings(color_transfer="none", mask_blur=8, mask_erode=0)
    return Stand(finder, swapper, settings, readers)


def frames(count: int) -> FakeSource:
    return FakeSource([texture(shift=n) for n in range(count)], SIZE)


def test_a_clip_worked_off_gives_its_figures(tmp_path: Path) -> None:
    readers = [FakeReader() for _ in range(4)]
    sheet = Sheet("made-up")
    record = a_stand(FakeSwapper(), readers, lost=(5,)).work(frames(20), "made-up", sheet)
    assert record.frames == 20
    assert [r.seen for r in readers] == [20, 19, 19, 19]
    clip = clip_figures(record)
    assert clip["coverage"]["visible"] == 20
    assert clip["coverage"]["replaced"] == 19
    assert clip["coverage"]["share"] == pytest.approx(0.95)
    assert clip["coverage"]["hidden"] > 0.95
    assert clip["blendshapes"]["jawOpen"]["r"] == 1.0
    assert clip["pose_deg"]["mean"] == 0.0
    assert clip["outside"] == {"beyond_mask_max": 0, "beyond_crop_max": 0}
    assert clip["jitter"]["output"]["rms_px"] == pytest.approx(0.0, abs=1e-4)
    assert set(clip["weak"]) == set(LEADING) - {"jawOpen"}
    assert [t["what"] for t in clip["targets"] if not t["kept"]] == ["coverage"]
    assert "19 of them replaced" in told(clip)[0]
    json.dumps(clip)
    save([sheet], tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.std() > 10


def test_a_swap_that_lets_the_driver_through_is_no_replacement() -> None:
    record = a_stand(ThinSwapper(), [FakeReader() for _ in range(4)]).work(frames(6), "made-up")
    clip = clip_figures(record)
    # Read from such a picture the acting is perfect: coverage is what gives it away.
    assert clip["blendshapes"]["jawOpen"]["r"] == 1.0
    assert clip["coverage"]["share"] == 0.0


def test_frames_without_a_face_do_not_count_against_the_swap() -> None:
    record = a_stand(FakeSwapper(), [FakeReader(blind=True)] * 4, lost=tuple(range(9))).work(frames(9), "nobody")
    clip = clip_figures(record)
    assert clip["coverage"]["visible"] == 0
    assert clip["coverage"]["share"] is None
    assert clip["pose_deg"]["mean"] is None
    assert told(clip)


def test_likeness_across_clips_needs_two_of_them() -> None:
    stand = [FakeReader() for _ in range(4)]
    records = [a_stand(FakeSwapper(), stand).work(frames(4), name) for name in ("a", "b")]
    assert across_clips(records[:1]) is None
    both = across_clips(records)
    assert both is not None
    assert set(both) == {"outputs", "drivers"}
    assert across_clips([ClipRecord("empty", 30.0, SIZE), records[0]]) is None


def test_an_empty_clip_and_an_empty_sheet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no frame"):
        a_stand(FakeSwapper(), [FakeReader() for _ in range(4)]).work(FakeSource([], SIZE), "empty")
    with pytest.raises(ConfigError, match="no face"):
        save([Sheet("empty")], tmp_path / "sheet.jpg")


def test_the_reader_asked_for_must_be_there() -> None:
    assert choose_reader("own") == "own"
    try:
        import mediapipe  # noqa: F401
    except ImportError:
        assert choose_reader("auto") == "own"
        with pytest.raises(ConfigError, match="mediapipe"):
            choose_reader("mediapipe")
    else:
        assert choose_reader("auto") == "mediapipe"

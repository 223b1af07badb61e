"""The quality benchmark: a tiny run with scripted parts."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from acting import SIZE, texture, turned
from click.testing import CliRunner
from fakes import FakeFinder, FakeSource, FakeSwapper, a_face

from benchmarks.agreement import BLENDSHAPES, LEADING
from benchmarks.clip_figures import ClipRecord, across_clips, clip_figures
from benchmarks.goals import judge_all
from benchmarks.moment import Missing, Moment
from benchmarks.quality import quality
from benchmarks.quality_chart import draw_quality
from benchmarks.quality_text import told
from benchmarks.reading import choose_reader
from benchmarks.sheet import Sheet, save
from benchmarks.stamp import stamp
from benchmarks.stand import Stand
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels
from realtime.imaging.blend import Swapped
from realtime.models.library import built_in_folder
from realtime.settings import Settings
from realtime.tracking.face import Face


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


def a_stand(swapper: FakeSwapper, readers: list[FakeReader], lost: tuple[int, ...] = (), **more: Any) -> Stand:
    finder = FakeFinder(lambda seq: [] if seq in lost else [acting_face(seq)])
    settings = Settings(color_transfer="none", mask_blur=8, mask_erode=0)
    return Stand(finder, swapper, settings, readers, **more)


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
    # A flat face over a moving texture does not move with it: that is flicker too.
    missed = [g["what"] for g in clip["goals"] if g["met"] is False]
    assert missed == ["frames with a face replaced", "flicker, of the driver's"]
    assert clip["expression"] == {
        **{"moving": 1, "mean_r": 1.0, "lowest_r": 1.0, "mean_gain": 1.0, "gain_kept": 1.0},
        **{"lowest_gain": 1.0, "highest_gain": 1.0, "jaw_r": 1.0, "ceiling_mean_r": 1.0},
    }
    assert clip["traces"]["output"]["jawOpen"][5] is None
    assert record.still is not None
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


class Witness:
    """Remembers what it was shown."""

    key = "witness"

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def see(self, moment: Moment) -> None:
        self.moments.append(moment)

    def figures(self) -> dict[str, int]:
        return {"seen": len(self.moments)}


def test_examiners_see_what_left_what_came_in_and_what_was_taken_over() -> None:
    witness = Witness()
    readers = [FakeReader() for _ in range(4)]
    stand = a_stand(FakeSwapper(), readers, lost=(2,), examiners=[witness, Missing("seam", "why not")])
    clip = clip_figures(stand.work(frames(6), "made-up"))
    assert clip["witness"] == {"seen": 5}
    assert clip["seam"] == {"missing": "why not"}
    assert [m.seq for m in witness.moments] == [0, 1, 3, 4, 5]
    one = witness.moments[0]
    assert one.mask is not None
    taken = one.mask >= 0.99
    assert taken.any()
    assert np.abs(one.pictures["output"][taken].astype(int) - 200).max() <= 2
    # The ceiling is the driver's own face, smaller by the crop's resolution; what isn't taken over is untouched.
    assert (one.pictures["ceiling"][one.mask == 0] == one.pictures["driver"][one.mask == 0]).all()
    assert (one.network_masks["both"] >= one.mask - 1e-3).all()


def test_what_is_hidden_behind_a_hand_does_not_count_as_the_drivers_face() -> None:
    class HandSwapper(FakeSwapper):
        """Leaves the lower half to the hand before it."""

        def __call__(self, crop: Pixels, face: Face) -> Swapped:
            made = super().__call__(crop, face)
            mask = made.mask.copy()
            mask[self.size // 2 :] = 0
            return Swapped(made.pixels, mask)

    def above(_seq: int, shape: tuple[int, ...]) -> np.ndarray:
        seen = np.zeros(shape, bool)
        seen[:90] = True
        return seen

    readers = [FakeReader() for _ in range(4)]
    blindly = clip_figures(a_stand(HandSwapper(), readers).work(frames(5), "hand"))
    knowing = clip_figures(a_stand(HandSwapper(), readers, truth=above).work(frames(5), "hand"))
    assert blindly["coverage"]["hidden"] < 0.9
    assert knowing["coverage"]["share"] == 1.0


def test_the_chart_is_drawn_from_the_report_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    readers = [FakeReader() for _ in range(4)]
    clip = clip_figures(a_stand(FakeSwapper(), readers, lost=(5,)).work(frames(12), "made-up.mp4"))
    report = {"asked": {"model": "ada"}, "reader": "own", "clips": [clip], "goals": judge_all([clip])}
    report["stamp"] = stamp()
    draw_quality(json.loads(json.dumps(report)), tmp_path / "one.svg")
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "jawOpen" in drawn
    assert "frames with a face replaced" in drawn
    assert "<dc:date>" not in drawn


def test_the_command_measures_the_bundled_clip_and_writes_its_report(tmp_path: Path) -> None:
    clip = built_in_folder() / "clips" / "driving.mp4"
    done = CliRunner().invoke(
        quality,
        [
            str(clip),
            "--frames",
            "6",
            "--quick",
            "--provider",
            "cpu",
            "--reader",
            "own",
            "--json",
            str(tmp_path / "q.json"),
        ],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "q.json").read_text(encoding="utf-8"))
    assert (report["schema"], report["kind"], report["clips"][0]["frames"]) == (2, "quality", 6)
    by_name = {line["what"]: line for line in report["goals"]}
    assert by_name["frames with a face replaced"]["met"] is True
    assert by_name["change outside the mask, levels"]["value"] == 0.0
    assert by_name["retrieved as worn, of frames"]["why"] == "left out by --quick"
    assert report["clips"][0]["seam"]["frames"] == 6
    assert 0 < report["clips"][0]["seam"]["of_driver"] < 1


def test_what_could_not_be_written_is_refused_before_measuring(tmp_path: Path) -> None:
    for option, name in (("--chart", "chart.txt"), ("--sheet", "sheet.gif"), ("--json", "none/q.json")):
        with pytest.raises(ConfigError, match=name.split("/")[0].split(".")[0]):
            CliRunner().invoke(quality, ["clip.mp4", option, str(tmp_path / name)], catch_exceptions=False)


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

"""The quality benchmark of a swap: a tiny run with scripted parts, its chart, and the command."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from acting import SIZE, FakeReader, acting_face, texture
from click.testing import CliRunner
from fakes import FakeFinder, FakeSource, FakeSwapper

from benchmarks.charts import Sheet, draw_quality, save_sheets
from benchmarks.goals import judge_all
from benchmarks.metrics import MeasuredFrame, Missing
from benchmarks.metrics.acting import LEADING
from benchmarks.quality import quality
from benchmarks.report import stamp
from benchmarks.rig import SwapRig, swap_figures
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.blend import Swapped
from realtime.models.library import built_in_folder
from realtime.pipeline import parts
from realtime.tracking.face import Face


class MaskedSwapper(FakeSwapper):
    """Draws its face under another mask: `draw` makes it of the usual one."""

    def __init__(self, draw: Any) -> None:
        super().__init__()
        self.draw = draw

    def __call__(self, crop: Pixels, face: Face, *rest: object) -> Swapped:
        made = super().__call__(crop, face)
        return Swapped(made.pixels, self.draw(made.mask))


def work(
    swapper: FakeSwapper | None = None,
    *,
    frames: int = 6,
    lost: tuple[int, ...] = (),
    readers: list[FakeReader] | None = None,
    sheet: Sheet | None = None,
    **more: Any,
) -> Any:
    finder = FakeFinder(lambda seq: [] if seq in lost else [acting_face(seq)])
    settings = Settings(color_transfer="none", mask_blur=8, mask_erode=0)
    rig = SwapRig(finder, swapper or FakeSwapper(), settings, readers or [FakeReader() for _ in range(4)], **more)
    return rig.work(FakeSource([texture(shift=n) for n in range(frames)], SIZE), sheet)


def test_a_clip_worked_off_gives_its_figures(tmp_path: Path) -> None:
    readers, sheet = [FakeReader() for _ in range(4)], Sheet("made-up")
    record = work(frames=20, lost=(5,), readers=readers, sheet=sheet)
    assert record.frames == 20
    assert [r.seen for r in readers] == [20, 19, 19, 19]
    clip = swap_figures(record)
    coverage = clip["coverage"]
    assert (coverage["visible"], coverage["replaced"], coverage["share"]) == (20, 19, pytest.approx(0.95))
    assert coverage["hidden"] > 0.95
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
    json.dumps(clip)
    save_sheets([sheet], tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.std() > 10


def test_a_swap_that_lets_the_driver_through_is_no_replacement() -> None:
    clip = swap_figures(work(MaskedSwapper(lambda mask: np.full_like(mask, 0.7))))
    # Read from such a picture the acting is perfect: coverage is what gives it away.
    assert clip["blendshapes"]["jawOpen"]["r"] == 1.0
    assert clip["coverage"]["share"] == 0.0


def test_frames_without_a_face_do_not_count_against_the_swap() -> None:
    clip = swap_figures(work(readers=[FakeReader(blind_from=0)] * 4, lost=tuple(range(6))))
    assert (clip["coverage"]["visible"], clip["coverage"]["share"]) == (0, None)
    assert clip["pose_deg"]["mean"] is None


def test_metrics_see_what_left_what_came_in_and_what_was_taken_over() -> None:
    class Witness:
        key = "witness"

        def __init__(self) -> None:
            self.frames: list[MeasuredFrame] = []
            self.see = self.frames.append

        def figures(self) -> dict[str, int]:
            return {"seen": len(self.frames)}

    witness = Witness()
    clip = swap_figures(work(lost=(2,), metrics=[witness, Missing("seam", "why not")]))
    assert clip["witness"] == {"seen": 5}
    assert clip["seam"] == {"missing": "why not"}
    assert [m.seq for m in witness.frames] == [0, 1, 3, 4, 5]
    one = witness.frames[0]
    assert one.mask is not None
    taken = one.mask >= 0.99
    assert taken.any()
    assert np.abs(one.pictures["output"][taken].astype(int) - 200).max() <= 2
    # The ceiling is the driver's own face, smaller by the crop's resolution; what isn't taken over is untouched.
    assert (one.pictures["ceiling"][one.mask == 0] == one.pictures["driver"][one.mask == 0]).all()
    assert (one.network_masks["both"] >= one.mask - 1e-3).all()


def test_what_is_hidden_behind_a_hand_does_not_count_as_the_drivers_face() -> None:
    def upper(mask: Any) -> Any:
        return np.where(np.arange(len(mask))[:, None] < 0.62 * len(mask), mask, 0).astype(np.float32)

    def above(_seq: int, shape: tuple[int, ...]) -> Any:
        return np.broadcast_to(np.arange(shape[0])[:, None] < 90, shape)

    blindly = swap_figures(work(MaskedSwapper(upper)))
    knowing = swap_figures(work(MaskedSwapper(upper), truth=above))
    assert blindly["coverage"]["hidden"] < 0.9
    assert knowing["coverage"]["share"] == 1.0


def test_the_chart_is_drawn_from_the_report_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    clip = swap_figures(work(lost=(5,), frames=12))
    report = {"asked": {"model": "ada"}, "reader": "own", "family": "swap", "clips": [clip], "stamp": stamp()}
    report["goals"] = judge_all([clip], "swap")
    draw_quality(json.loads(json.dumps(report)), tmp_path / "one.svg")
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert "jawOpen" in drawn
    assert "frames with a face replaced" in drawn
    assert "<dc:date>" not in drawn


@pytest.mark.slow
def test_the_command_measures_the_bundled_clip_as_a_run_would_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    providers: list[str] = []

    class NotedTracker(parts.Tracker):
        def __init__(self, *where: Any, provider: str, **more: Any) -> None:
            providers.append(provider)
            super().__init__(*where, provider=provider, **more)

    monkeypatch.setattr(parts, "Tracker", NotedTracker)
    clip, report_file = built_in_folder() / "clips" / "driving.mp4", tmp_path / "q.json"
    options = ["--frames", "6", "--quick", "--reader", "own", "--json", str(report_file)]
    done = CliRunner().invoke(quality, [str(clip), *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert (report["schema"], report["kind"], report["clips"][0]["frames"]) == (2, "quality", 6)
    by_name = {line["what"]: line for line in report["goals"]}
    assert by_name["frames with a face replaced"]["met"] is True
    assert by_name["change outside the mask, levels"]["value"] == 0.0
    assert by_name["retrieved as worn, of frames"]["why"] == "left out by --quick"
    assert report["clips"][0]["seam"]["frames"] == 6
    assert 0 < report["clips"][0]["seam"]["of_driver"] < 1
    # Whoever finds faces, for the swap and for the figures, is opened as a run opens it: never on a graphics card.
    assert len(providers) == 5
    assert set(providers) <= {"cpu", "openvino"}


@pytest.mark.parametrize("option", ["--chart chart.txt", "--sheet sheet.gif", "--json none/q.json"])
def test_what_could_not_be_written_is_refused_before_measuring(tmp_path: Path, option: str) -> None:
    name, file = option.split()
    with pytest.raises(ConfigError, match=file.split("/")[0].split(".")[0]):
        CliRunner().invoke(quality, ["clip.mp4", name, str(tmp_path / file)], catch_exceptions=False)


def test_only_a_model_that_moves_pictures_takes_an_avatar() -> None:
    with pytest.raises(ConfigError, match="moves no pictures"):
        CliRunner().invoke(quality, ["clip.mp4", "--model", "ada", "--avatar", "mira"], catch_exceptions=False)


def test_an_empty_clip_and_an_empty_sheet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no frame"):
        work(frames=0)
    with pytest.raises(ConfigError, match="no face"):
        save_sheets([Sheet("empty")], tmp_path / "sheet.jpg")

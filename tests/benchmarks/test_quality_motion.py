"""A scripted driver moves a toy avatar, and a rendered one a real avatar: what is counted, what would be caught."""

import json
from pathlib import Path
from typing import Any

import pytest
from acting import FakeReader, texture
from click.testing import CliRunner
from fakes import SIZE, FakeFinder, FakeSource, a_face
from motion_models import ToyModel, an_avatar

from benchmarks.charts import Sheet
from benchmarks.goals import GOALS, judge_all
from benchmarks.quality import quality
from benchmarks.quality_motion import DriveRecord, MotionRig, motion_figures
from benchmarks.rig import Watched
from realtime.config import Settings
from realtime.families.motion.effect import ReenactmentEffect
from realtime.frame import Pixels

CALM = Settings(sharpen=0)
HEAD = Path(__file__).resolve().parents[1] / "data" / "rendered_head.mp4"


class Spilling(ReenactmentEffect[Any, Any]):
    """Changes a pixel in the corner, where nothing may move."""

    def __call__(self, *args: Any) -> Pixels | None:
        picture = super().__call__(*args)
        if picture is not None:
            picture[-1, -1] = 97
        return picture


def a_rig(
    output: FakeReader | None = None,
    kind: type[ReenactmentEffect[Any, Any]] = ReenactmentEffect,
    lost: tuple[int, ...] = (),
) -> MotionRig:
    model: Any = Watched(ToyModel())
    avatar = an_avatar("ann", 90)
    effect = kind(model, [avatar])
    # The tracker sees the canonical head; the readers read the acting.
    finder = FakeFinder(lambda seq: [] if seq in lost else [a_face()])
    return MotionRig(finder, effect, model, avatar, CALM, [FakeReader(), output or FakeReader(), FakeReader()])


def work(rig: MotionRig | None = None, sheet: Sheet | None = None, frames: int = 12) -> DriveRecord:
    return (rig or a_rig()).work(FakeSource([texture(shift=n) for n in range(frames)], SIZE), sheet)


def test_a_faithful_avatar_keeps_every_goal() -> None:
    sheet = Sheet("toy")
    record = work(sheet=sheet)
    clip = motion_figures(record)
    assert (record.frames, record.driven, record.waiting, record.failed) == (12, 12, 0, 0)
    assert clip["coverage"]["faceless"] == 0.0
    assert clip["expression"]["jaw_r"] == 1.0
    assert clip["pose_deg"]["mean_without_constant"] == pytest.approx(0.0, abs=0.05)
    assert clip["outside"]["beyond_mask_max"] == 0
    assert clip["distortion"]["distorted"] == 0.0
    assert not [goal["what"] for goal in clip["goals"] if goal["met"] is False]
    assert [goal["what"] for goal in clip["goals"]] == [goal.what for goal in GOALS["motion"]]
    assert sheet.picture() is not None
    json.dumps(clip)


@pytest.mark.slow
def test_what_is_damped_lost_or_spilled_is_seen() -> None:
    damped, lost = (motion_figures(work(a_rig(FakeReader(**how)))) for how in ({"gain": 0.4}, {"blind_from": 8}))
    spilled = motion_figures(work(a_rig(kind=Spilling)))
    assert damped["expression"]["jaw_gain"] == pytest.approx(0.4, abs=0.01)
    assert lost["coverage"]["faceless"] == pytest.approx(1 / 3, abs=0.01)
    assert spilled["outside"]["beyond_mask_max"] == 7
    together = {g["what"]: g["met"] for g in judge_all([damped, lost, spilled], "motion")}
    assert together["driven frames without a face"] is False
    assert together["change outside the moving region, levels"] is False


def test_frames_without_a_driver_are_not_judged() -> None:
    record = work(a_rig(lost=tuple(range(3))), frames=16)
    assert record.waiting == 3  # nobody to be neutral yet
    # Somebody who comes wakes the avatar up gently, which takes 0.3 seconds.
    assert 3 <= record.driven <= 6
    assert sum(driver is not None for driver in record.drivers) == record.driven


def test_a_still_picture_under_noise_is_followed_by_its_trembling() -> None:
    found = a_rig().static(work(frames=2).still)
    # The toy's driving pose is one noisy pixel.
    assert found["pixels"] > 100
    assert 0.3 < found["ratio"] < 2.5
    assert "missing" in a_rig().static(None)


def test_the_command_drives_an_avatar_and_judges_it_by_its_own_goals(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = {name: tmp_path / name for name in ("motion.json", "sheet.png", "chart.svg")}
    report, sheet, chart = map(str, files.values())
    done = CliRunner().invoke(
        quality,
        [str(HEAD), "--model", "motion", "--avatar", "mira", "--quick", "--frames", "8", "--size", "480x270",
         "--provider", "cpu", "--reader", "own", "--json", report, "--sheet", sheet, "--chart", chart],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(files["motion.json"].read_text(encoding="utf-8"))
    assert (written["family"], written["avatars"]) == ("motion", ["mira"])
    clip = written["clips"][0]
    assert (clip["coverage"]["driven"], clip["coverage"]["faceless"]) == (8, 0.0)
    assert clip["outside"]["beyond_mask_max"] == 0
    assert clip["distortion"]["distorted"] == 0.0
    assert clip["distortion"]["at_rest"] > 1  # a rendered face is no canonical one
    assert clip["frozen"]["missing"] == "left out by --quick"
    assert set(written["model_files"]) >= {"mesh.npz"}
    assert "driven frames without a face" in files["chart.svg"].read_text(encoding="utf-8")
    assert files["sheet.png"].stat().st_size > 10_000

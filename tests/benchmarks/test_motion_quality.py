"""`bench quality` with an avatar: a few rendered frames drive a real one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.goals import MOTION_GOALS
from benchmarks.quality import quality
from realtime.errors import ConfigError

HEAD = Path(__file__).resolve().parents[1] / "data" / "rendered_head.mp4"


def test_the_command_drives_an_avatar_and_judges_it_by_its_own_goals(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = tmp_path / "motion.json"
    done = CliRunner().invoke(
        quality,
        [str(HEAD), "--model", "motion", "--avatar", "mira", "--quick", "--frames", "8", "--size", "480x270",
         "--provider", "cpu", "--reader", "own", "--json", str(report), "--sheet", str(tmp_path / "sheet.png"),
         "--chart", str(tmp_path / "chart.svg")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["family"], written["avatars"]) == ("motion", ["mira"])
    assert [line["what"] for line in written["goals"]] == [goal.what for goal in MOTION_GOALS]
    clip = written["clips"][0]
    assert clip["coverage"]["driven"] == 8
    assert clip["coverage"]["faceless"] == 0.0
    assert clip["outside"]["beyond_mask_max"] == 0
    assert clip["distortion"]["distorted"] == 0.0
    assert clip["distortion"]["at_rest"] > 1  # a rendered face is no canonical one
    assert clip["frozen"]["missing"] == "left out by --quick"
    assert set(written["model_files"]) >= {"mesh.npz"}
    assert "driven frames without a face" in (tmp_path / "chart.svg").read_text(encoding="utf-8")


def test_a_reenactment_draws_no_chart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no chart"):
        CliRunner().invoke(
            quality,
            [str(HEAD), "--model", "motion", "--self-reenactment", "--chart", str(tmp_path / "c.svg")],
            catch_exceptions=False,
        )

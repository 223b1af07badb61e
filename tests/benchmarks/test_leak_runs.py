"""The program's own session under the leak benchmark: no face may leave as it came in."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Call
from heads import pictures

from benchmarks.leak.command import leak
from benchmarks.leak.faults import KINDS, run_trials
from benchmarks.leak.figure_faults import camera_pixels, magenta, run_figure_trials

TRIALS = 300


@pytest.mark.slow
def test_no_fault_lets_a_face_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    report = run_trials(TRIALS)
    assert report["leaks"] == []
    assert report["pictures"] > 3 * TRIALS
    assert all(found["trials"] >= 2 for found in report["stages"].values())
    assert set(report["stages"]) == set(KINDS)


@pytest.mark.slow
def test_no_fault_of_a_figure_shows_the_camera_or_ends_in_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    report = run_figure_trials(TRIALS)
    assert report["leaks"] == []
    assert report["pictures"] > 4 * TRIALS
    assert all(found["trials"] >= 2 for found in report["stages"].values())
    assert report["stages"]["rig"]["ended"] >= 5  # refused in words


def test_the_camera_is_known_by_its_colour() -> None:
    frame = magenta(1, (64, 36))
    assert camera_pixels(frame) == 64 * 36
    half = np.full_like(frame, 128)
    half[:, :32] = 0.7 * frame[:, :32] + 0.3 * half[:, :32]
    assert camera_pixels(half) == 32 * 36
    assert camera_pixels(np.full_like(frame, 200)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["poster_first", "misfit", "gives_its_input"])
def test_no_scene_lets_a_face_out(scenario: str, tmp_path: Path) -> None:
    file = tmp_path / "leak.json"
    leak.main(["--scenario", scenario, "--quick", "--json", str(file)], standalone_mode=False)
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["total"]["outputs"] == 40
    assert report["total"]["leaking"] == 0


@pytest.mark.slow
def test_a_person_who_arrives_beside_a_poster_is_never_shown(shared: Path, tmp_path: Path, call: Call) -> None:
    source, output, metrics = shared / "cases" / "arrives_beside_a_poster.mp4", tmp_path / "o.mp4", tmp_path / "o.json"
    if not source.is_file():
        pytest.skip("the case is not here")
    code, _, err = call("run", "--source", source, "--model", "ada", "--output", output, "--metrics", metrics)
    assert code == 0, err
    given, shown = pictures(source), pictures(output)
    assert len(given) == len(shown) == 75
    apart = [np.abs(a.astype(int) - b)[150:290, 100:200].mean() for a, b in zip(given, shown, strict=True)]
    raw = json.loads(metrics.read_text(encoding="utf-8"))["frames"]["raw"]
    assert sum(difference <= 5 for difference in apart[30:]) <= raw
    assert raw == 0

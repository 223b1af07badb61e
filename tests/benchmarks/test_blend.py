"""`bench blend`: both ways make the same picture, and the file says what was measured."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.blend import Scene, blend_cost
from realtime.errors import ConfigError


def test_both_ways_mean_the_same():
    scene = Scene(640, 360, 250, 224)  # at 224 the settings' pixels are the crop's
    ours, plain = scene.ours(), scene.full_frame()
    difference = np.abs(ours.astype(int) - plain)
    assert difference.mean() < 0.2
    # The crops differ (averaged here, bilinear there), and so do the colours taken from them, a little.
    assert difference.max() <= 6
    assert np.abs(ours.astype(int) - scene.pixels).mean() > 1.0


def test_the_file_holds_the_figures(tmp_path):
    file = tmp_path / "blend.json"
    arguments = ["--size", "320x240", "--face", "120", "--crop", "64", "--frames", "10", "--threads", "1"]
    result = CliRunner().invoke(blend_cost, [*arguments, "--json", str(file)])
    assert result.exit_code == 0, result.output
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["frame"] == [320, 240]
    assert [run["threads"] for run in report["runs"]] == [1]
    run = report["runs"][0]
    for way in ("ours_ms", "full_frame_ms"):
        assert 0 < run[way]["wall_min"] <= run[way]["wall_p50"] <= run[way]["wall_p95"]
    assert run["times_faster"]["cpu_p50"] > 0
    assert report["machine"]["cpu"]


def test_a_wrong_size_is_named():
    with pytest.raises(ConfigError, match="--size 12: give it as WIDTHxHEIGHT"):
        blend_cost.main(["--size", "12"], standalone_mode=False)

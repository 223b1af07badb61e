"""Threads compared on real networks: every number runs, and each is timed against the first."""

from benchmarks.thread_counts import compare
from realtime.models import built_in_folder


def test_every_number_of_threads_is_run_and_compared() -> None:
    found = compare([built_in_folder() / "face" / "blendshapes.onnx"], (1, 2), 6)
    assert list(found) == ["1", "2"]
    assert all(figures["runs"] == 6 and figures["wall_ms"]["min"] > 0 for figures in found.values())
    assert found["1"]["against_first"] == {"in_rounds": 1.0, "of_best": 1.0, "in_cpu_time": 1.0}
    assert found["2"]["against_first"]["in_rounds"] > 0

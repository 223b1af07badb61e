"""The latency benchmark: its files and words, and small runs with scripted parts."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from fakes import FakeClock, FakeFinder, FakeSink, FakeSource, a_loop, pixels
from speaking import a_speaking_bundle
from traces import a_trace

from benchmarks.__main__ import bench
from benchmarks.charts import draw_latency
from benchmarks.latency import FEWEST, assemble, configure, faults, formatted, measure, with_added_delay
from benchmarks.measured_run import TAIL, Counted, MeasuredLoop, Retimed, Use
from benchmarks.report import one_line, stamp
from benchmarks.timings import Trace, figures, window
from realtime.capture.synthetic import Synthetic
from realtime.capture.wrappers import Paced
from realtime.errors import ConfigError
from realtime.pipeline.loop import run_live, run_offline
from realtime.threads import Crew


def test_the_measured_loop_notes_every_frame_and_changes_none() -> None:
    plain, noted = FakeSink(), FakeSink()
    run_offline(a_loop(FakeSource([pixels(v) for v in range(40, 60)]), [plain]), lambda: False)
    trace, use = Trace(), Use()
    loop = a_loop(FakeSource([pixels(v) for v in range(40, 60)]), [noted])
    loop.source = Counted(loop.source, trace, use, loop.clock, warm_up=4, count=10)
    run_offline(MeasuredLoop(loop, trace), lambda: False)
    assert len(trace) == len(noted.shown) == 4 + 10 + TAIL
    assert all((a == b).all() for a, b in zip(plain.shown, noted.shown, strict=False))
    assert set(trace.worked) == set(range(19))
    assert all(row[:2] == (1, 0) for row in trace.worked.values())
    assert [row[0] for row in trace.shown] == list(range(19))
    assert use.at_start is not None
    assert use.at_end is not None
    assert use.at_start[0] < use.at_end[0]
    found = window(trace, 4, 10)
    assert found.unseen == 0
    assert np.allclose(found.parts["networks"] + found.parts["overhead"] + found.parts["waiting"], found.latency)


def test_failures_and_missing_faces_are_noted() -> None:
    def script(seq: int) -> Any:
        if seq == 1:
            raise RuntimeError("scripted")
        return []

    trace = Trace()
    loop = a_loop(FakeSource([pixels()] * 3), [FakeSink()], tracker=FakeFinder(script))
    loop.source = Counted(loop.source, trace, Use(), loop.clock, warm_up=0, count=3)
    run_offline(MeasuredLoop(loop, trace), lambda: False)
    found = figures(window(trace, 0, 3))
    assert found["frames"]["failed"] == 1
    assert found["frames"]["with_face"] == 0
    # The guard's stand-in was handed over on time: it is a picture with a latency.
    assert found["frames"]["delivered"] == found["frames"]["guarded"] == 3


def test_live_every_frame_is_either_delivered_or_dropped() -> None:
    trace = Trace()
    loop = a_loop(FakeSource([pixels(i) for i in range(1, 60)]), [FakeSink()])
    loop.source = Counted(loop.source, trace, Use(), loop.clock, warm_up=5, count=40)
    with Crew() as crew:
        run_live(MeasuredLoop(loop, trace), crew)
        assert crew.wait("output", 60)
    counted = figures(window(trace, 5, 40))["frames"]
    assert counted["scheduled"] == 40
    assert counted["delivered"] + counted["dropped"] == 40


def test_a_source_that_ends_sooner_is_rewound_and_numbered_on() -> None:
    trace = Trace()
    counted = Counted(Synthetic((160, 96), count=7), trace, Use(), FakeClock(), warm_up=5, count=10)
    frames = []
    while (frame := counted.read()) is not None:
        frames.append(frame)
    assert [f.seq for f in frames] == list(range(15 + TAIL))
    counted.close()


def test_a_retimed_reel_keeps_its_rate_across_the_seam() -> None:
    clock = FakeClock(step_ns=0)

    def wait(seconds: float) -> bool:
        clock.now += round(seconds * 1e9)
        return False

    played = Paced(Retimed(Synthetic((160, 96), rate_hz=24, count=5), 30.0), loop=True, clock=clock, wait=wait)
    due = [frame.captured_ns for _ in range(12) if (frame := played.read()) is not None]
    played.close()
    assert len(due) == 12
    assert np.allclose(np.diff(due) / 1e9, 1 / 30, atol=1e-6)


def a_run(**changes: Any) -> dict[str, Any]:
    run = figures(window(a_trace(FEWEST), 0, FEWEST))
    run |= {
        "cpu_percent_of_a_core": 50.0,
        "memory_mb": {"peak": 1.0, "at_start": 1.0, "at_end": 1.0, "peak_growth_after_60_s": None},
        "source": {"name": "made-up", "size": [64, 48], "rate_hz": 30.0},
        "providers": {"detect": "fake", "swap": "fake"},
        "precision": {"detect": "fp32", "swap": "fp32"},
        "schedule_lost_s": 0.0,
        "threads_left": [],
    }
    return run | changes


def a_config(**flags: Any) -> Any:
    given = {"model": "ada", "size": "1280x720", "fps": 30.0, "pace": "live", **flags}
    return configure("synthetic", 660, (), given)


def test_a_session_is_measured_from_end_to_end() -> None:
    options = {"model": "ada", "size": "320x180", "pace": "all", "provider": "cpu"}
    run, found = measure(configure("synthetic", 12, (), options), warm_up=2, count=10)
    assert run["frames"]["scheduled"] == run["frames"]["delivered"] == len(found.age) == 10
    assert run["source"] == {"name": "synthetic", "size": [320, 180], "rate_hz": 30.0}
    assert (run["providers"]["swap"], run["threads_left"]) == ("CPU", [])
    assert run["throughput"]["fps"] > 0


def test_a_sound_run_has_no_faults_and_an_unsound_one_names_them() -> None:
    config, counted = a_config(fps=30.3), a_run()["frames"]
    assert faults(a_run(), config, FEWEST) == []
    for change, named in (
        ({"frames": {**counted, "scheduled": 30}}, f"at least {FEWEST}"),
        ({"frames": {**counted, "failed": 2}}, "2 frames failed"),
        ({"schedule_lost_s": 1.2}, "too slowly"),
        ({"threads_left": ["engine"]}, "left behind: engine"),
    ):
        assert named in faults(a_run(**change), config, FEWEST)[0]
    assert "not 60" in faults(a_run(), a_config(fps=60), FEWEST)[0]


def test_the_median_run_is_the_one_reported() -> None:
    runs = [a_run(latency_ms={"p95": value}) for value in (30.0, 10.0, 20.0)]
    report = assemble(a_config(fps=30.3), {}, runs, frames=FEWEST, warm_up=0)
    assert (report["schema"], report["kind"], report["valid"], report["median_run"]) == (1, "latency", True, 2)
    assert report["result"]["latency_ms"]["p95"] == 20.0
    assert report["over_runs"] == {"what": "latency_ms.p95", "median": 20.0, "lowest": 10.0, "highest": 30.0}
    json.dumps(report)


def test_the_words_hold_the_figures() -> None:
    text = "\n".join(formatted(a_run()))
    for figure in ("20.0", "0 of 500 dropped", "30.3"):
        assert figure in text


def test_the_configuration_is_the_products_own() -> None:
    config = configure("clip.mp4", 660, ("color_transfer=none",), {"model": "ada", "fps": 30.0, "pace": "live"})
    assert (config.output, config.color_transfer) == (("null",), "none")
    assert config.seconds is not None
    closed = a_config(pace="all")
    assert (closed.source, closed.fps) == (f"synthetic:{660 + TAIL}", None)
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        configure(None, 660, ("nonsense",), {"pace": "all"})


def test_a_picture_that_speaks_says_what_its_delay_adds(tmp_path: Path) -> None:
    eve = str(a_speaking_bundle(tmp_path / "eve").folder)
    config = configure(None, 600, (), {"model": eve, "pace": "live"})
    assert (config.avatar, config.fps) == ("mira", 25.0)
    assert config.sound is not None
    assert "source" not in config.model_fields_set
    with pytest.raises(ConfigError, match="no source"):
        configure("0", 600, (), {"model": eve, "pace": "live"})
    with pytest.raises(ConfigError, match="real time"):
        configure(None, 600, (), {"model": eve, "pace": "all"})
    sound = with_added_delay({"delay_s": 0.2725}, {"latency_ms": {"p50": 10.0, "p95": 20.25, "max": None}})
    assert sound["added_delay_ms"] == {"p50": 282.5, "p95": 292.8, "max": None}
    lines = "\n".join(formatted(a_run(sound=sound, providers={"detect": "none", "swap": "CPU"})))
    assert "p95 292.8 ms" in lines
    assert "nobody's face was looked for" in lines


def test_the_chart_shows_a_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = window(a_trace(FEWEST + 10, lost=(7, 8)), 0, FEWEST)
    run = a_run()
    report = assemble(a_config(), stamp(), [run], frames=FEWEST, warm_up=0)
    draw_latency(found, report, tmp_path / "latency.svg")
    text = (tmp_path / "latency.svg").read_text(encoding="utf-8")
    assert "made-up" in text
    assert "45 ms" in text


def test_the_stamp_names_machine_versions_and_commit() -> None:
    where = stamp()
    assert where["machine"]["cpu"]
    assert where["versions"]["numpy"] == np.__version__
    assert where["when"].endswith("+00:00")
    assert where["machine"]["cpu"] in one_line(where)
    json.dumps(where)


def test_the_group_holds_the_commands() -> None:
    assert isinstance(bench, click.Group)
    assert {"latency", "quality", "blend"} <= set(bench.commands)

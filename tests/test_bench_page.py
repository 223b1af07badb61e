"""`masquerade bench page`: numbers survive the way to the canvas, and strangers in a crowd get nothing."""

import asyncio
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import pixels
from panels import open_panel

from benchmarks.page_attack import attack
from benchmarks.page_command import compared, delays, turned
from benchmarks.page_job import beside_a_job
from benchmarks.page_numbers import BITS, COLUMNS, draw_number
from benchmarks.page_run import PageRun
from realtime.config import RunConfig
from realtime.errors import DeviceError
from realtime.models import built_in_folder
from realtime.panel.live import encode_jpeg


@pytest.mark.parametrize("number", [0, 1, 0b1010101010101010, (1 << BITS) - 1, 1 << BITS])
@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (3840, 2160)])
def test_a_number_survives_the_page_s_jpeg(number: int, size: tuple[int, int]) -> None:
    picture = pixels(120, size)
    draw_number(picture, number)
    seen = cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert seen is not None
    side = seen.shape[1] // COLUMNS
    rows = [[int(seen[-row * side + side // 2, bit * side + side // 2]) for bit in range(BITS)] for row in (2, 1)]
    assert all(abs(upper - lower) > 100 for upper, lower in zip(*rows, strict=True))
    assert sum((upper > lower) << bit for bit, (upper, lower) in enumerate(zip(*rows, strict=True))) == number % 65536


def test_a_crowd_gets_nothing() -> None:
    with open_panel() as opened:
        answers = asyncio.run(attack(opened.panel.port, 60))
    assert answers.keys() <= {"403", "hung up"}
    assert answers["403"] > 0
    assert sum(answers.values()) == 60


def test_the_real_loop_is_measured_in_a_real_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
        pytest.skip("there is no Chromium here")
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    clip = str(built_in_folder() / "clips" / "driving.mp4")
    run = PageRun(RunConfig(source=clip, loop=True, output=("page",), provider="cpu", size=(320, 180)), 10.0)

    found = turned(run, lambda run: delays(run, 0.5, least=3))
    assert 0 < found["ms"]["p50"] <= found["ms"]["p95"]
    assert abs(found["clocks_ms"]) < 1000
    assert found["seen"] >= 3
    assert found["offered"] >= 2


def test_turns_are_compared_with_the_turn_before() -> None:
    found = compared("closed", [30.0, 10.0, 0.0, 20.0], "open", [27.0, 10.0, 5.0, 16.0])
    assert found["kept"] == {"median": 0.9, "least": 0.8, "most": 1.0}
    with pytest.raises(DeviceError, match="longer turns"):
        compared("closed", [0.0], "open", [3.0])


COUNTS = """
import json, select
for i in range(40):
    print(json.dumps({"done": i, "of": 40, "fps": 9.0}), flush=True)
    select.select([], [], [], 0.02)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="select waits for sockets alone there")
def test_a_file_is_made_over_and_over_while_something_is_measured() -> None:
    async def measure() -> str:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.7)
        return "measured"

    config = RunConfig(model="ada", source="clip.mp4")
    child = (sys.executable, "-c", COUNTS)
    found, frames = asyncio.run(beside_a_job(config, measure, child))
    assert found == "measured"
    assert frames > 1
    with pytest.raises(DeviceError, match="no file could be made"):
        asyncio.run(beside_a_job(config, measure, (sys.executable, "-c", "raise SystemExit(1)")))

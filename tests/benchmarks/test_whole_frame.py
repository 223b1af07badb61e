"""A whole frame of ours beside upstream's network: the contest with a small network, and its words."""

from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from fakes import FakeClock, FakeFinder, FakeSource
from puppets import ToyPuppet, a_puppeteer

from benchmarks.latency import configure, latency
from benchmarks.quality import open_finder
from benchmarks.upstream_networks import Upstream
from benchmarks.whole_frame import Player, against_upstream, told
from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.pipeline.engine import Engine
from realtime.settings import Settings


def test_frames_go_round_without_a_jump() -> None:
    seen: list[int] = []

    class Noting(FakeFinder):
        def __call__(self, frame: Frame) -> Any:
            seen.append(int(frame.pixels[0, 0, 0]))
            return super().__call__(frame)

    source = FakeSource([np.full((120, 160, 3), n, np.uint8) for n in range(4)])
    frames = [frame for _ in range(4) if (frame := source.read()) is not None]
    play = Player(frames, Engine(Noting(), a_puppeteer(ToyPuppet()), Settings, FakeClock()))
    for _ in range(len(play) + 3):
        play()
    assert seen == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert play.missed == 0


def test_the_contest_is_run_in_turns_and_told() -> None:
    layer = torch.nn.Conv2d(3, 3, 3)
    feed = {"driving": np.zeros((1, 3, 32, 32), np.float32)}

    def eager(given: Any) -> dict[str, Any]:
        return {"prediction": layer(torch.from_numpy(given["driving"])).numpy()}

    def small() -> Upstream:
        return Upstream("motion", "a small network", (), {"prediction": "picture"}, [feed], {}, {}, eager)

    config = configure(
        None, 60, (), {"model": "motion", "avatar": "mira", "size": "320x180", "pace": "live", "fps": 30.0}
    )
    found = against_upstream(config, open_finder, rounds=5, seconds=2, contest=small)
    assert found["ours"]["runs"] == found["upstream"]["runs"] == 5
    assert found["ours"]["without_a_picture"] == 0
    assert found["met"] is False  # one small layer is quicker than all we do
    assert found["times_as_fast"]["in_rounds"] < 1
    assert "promised 8" in told(found)


def test_a_swap_model_has_no_such_contest() -> None:
    with pytest.raises(ConfigError, match="moves no pictures"):
        CliRunner().invoke(latency, ["--model", "ada", "--against-upstream"], catch_exceptions=False)

"""A clip against its twin: the same pictures are a swap without any error, others are not; unlike clips are refused."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.moment import Missing, Moment
from benchmarks.true_swap import true_figures
from realtime.capture.recording import Recording
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.models import built_in_folder

FRAMES = 24


class Looks:
    """An examiner that counts whom it was shown."""

    key = "identity"

    def __init__(self) -> None:
        self.alike: list[bool] = []

    def see(self, moment: Moment) -> None:
        self.alike.append(np.array_equal(moment.pictures["driver"], moment.pictures["output"]))

    def figures(self) -> dict[str, object]:
        return {"frames": len(self.alike)}


@pytest.fixture(scope="module")
def pictures() -> list[Pixels]:
    source = Recording(built_in_folder() / "clips" / "driving.mp4")
    try:
        found = [frame.pixels for _ in range(3 * FRAMES) if (frame := source.read()) is not None]
    finally:
        source.close()
    return found[::3]


def write(path: Path, pictures: Sequence[Pixels]) -> Path:
    files = [cv2.imencode(".jpg", picture)[1].ravel() for picture in pictures]
    offsets = np.cumsum([0] + [len(file) for file in files])
    np.savez(path, frame_jpg=np.concatenate(files), frame_jpg_offsets=offsets, fps=25.0)
    return path


def test_the_same_pictures_are_an_errorless_swap(tmp_path: Path, pictures: list[Pixels]) -> None:
    clip, twin = write(tmp_path / "a.npz", pictures), write(tmp_path / "b.npz", pictures)
    looks = Looks()
    found = true_figures(clip, twin, "own", looks)
    assert looks.alike == [True] * FRAMES
    assert found["expression"]["moving"] >= 3
    assert found["expression"]["mean_r"] == 1.0
    assert found["expression"]["lowest_gain"] == found["expression"]["highest_gain"] == 1.0
    assert found["blinks"]["f1"] == 1.0
    assert found["pose_deg"]["mean"] == 0.0
    assert found["identity"] == {"frames": FRAMES}


def test_a_twin_that_acts_something_else_is_seen(tmp_path: Path, pictures: list[Pixels]) -> None:
    clip, twin = write(tmp_path / "a.npz", pictures), write(tmp_path / "b.npz", pictures[::-1])
    found = true_figures(clip, twin, "own", Missing("identity", "not asked"))
    assert found["expression"]["mean_r"] < 0.8
    assert found["pose_deg"]["mean"] > 0.5


def test_clips_that_are_no_twins_are_refused(tmp_path: Path, pictures: list[Pixels]) -> None:
    clip, short = write(tmp_path / "a.npz", pictures[:4]), write(tmp_path / "b.npz", pictures[:3])
    with pytest.raises(ConfigError, match="shorter"):
        true_figures(clip, short, "own", Looks())
    with pytest.raises(ConfigError, match="longer"):
        true_figures(short, clip, "own", Looks())
    with pytest.raises(ConfigError, match="missing"):
        true_figures(clip, tmp_path / "c.npz", "own", Looks())

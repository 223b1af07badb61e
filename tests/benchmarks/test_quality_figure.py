"""How well a figure follows: drawn bones against a rendered person's, its face read back from its pixels."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import a_face
from figures import ScriptedBodies, a_body, a_layered_figure, as_avatar

from benchmarks.quality_figure import Act, FaceReader, FigureRig, Truth, open_body_truth
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.figure.expression import Expression
from realtime.frame import Frame
from realtime.tracking.body import AT, Body
from realtime.tracking.face import Face

FRAMES = 40
NAMES = tuple(
    f"{side}_{joint}" for side in "lr" for joint in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle")
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return as_avatar(a_layered_figure(tmp_path_factory.mktemp("figures") / "toy"))


class Faces:
    """Finds these faces, one a frame; nobody where there is none left."""

    sessions = ()
    steadiness = 1.0

    def __init__(self, faces: list[Face]) -> None:
        self._faces = faces

    def __call__(self, frame: Frame) -> list[Face]:
        return self._faces[frame.seq : frame.seq + 1]


def a_source(count: int) -> Any:
    pixels = np.zeros((720, 1280, 3), np.uint8)
    frames = [Frame(pixels, n, 0, n / 30) for n in range(count)]
    return SimpleNamespace(name="clip.mp4", read=lambda: frames.pop(0) if frames else None)


def joints_of(points: np.ndarray) -> list[np.ndarray]:
    words = {"l": "left", "r": "right"}
    found = []
    for name in NAMES:
        side, joint = name.split("_")
        found.append(points[AT[f"{words[side]}_{'index' if joint == 'hand' else joint}"]])
    return found


def measured(toy: Any, bodies: list[Body], true: list[Body], acts: list[str]) -> dict[str, Any]:
    truth = Truth(
        NAMES,
        np.array([joints_of(body.world) for body in true]),
        np.array([joints_of(body.landmarks[:, :2]) for body in true]),
        tuple(acts),
    )
    rig = FigureRig(Faces([]), ScriptedBodies(*bodies), toy, Settings(), truth)
    rig.work(a_source(len(bodies)), None)
    return rig.figures("clip.mp4", "toy")


def test_a_figure_that_does_as_the_truth_has_it_is_right(toy: Any) -> None:
    bodies = [a_body((30.0, 60.0), depth=0.0)] * FRAMES
    found = measured(toy, bodies, bodies, ["still"] * FRAMES)
    assert found["frames"] == FRAMES
    assert found["failed"] == 0
    assert found["bones"]["arms"]["median"] < 0.5
    assert found["jitter_deg"]["whole"] < 0.05
    assert found["face"] == {"missing": "no face was read"}


def test_bones_elsewhere_are_told_in_degrees(toy: Any) -> None:
    found = measured(
        toy,
        [a_body((30.0, 60.0), depth=0.0)] * FRAMES,
        [a_body((40.0, 70.0), depth=0.0)] * FRAMES,
        ["wave"] * FRAMES,
    )
    assert found["bones"]["arms"]["median"] == pytest.approx(10.0, abs=0.5)
    arms = next(goal for goal in found["goals"] if goal["what"] == "arms, median degrees off")
    assert arms["met"] is False


def test_lag_is_the_shift_that_fits() -> None:
    act = Act("jacks")
    true = np.radians(60 * np.sin(np.arange(50) / 6))
    late = np.interp(np.arange(50) - 2, np.arange(50), true)
    act.angles["l", "shoulder"] = [(float(d), float(t), True) for d, t in zip(late, true, strict=True)]
    act.pushed["l"] = [False] * 50
    assert act.lags() == pytest.approx([2.0], abs=0.11)
    act.pushed["l"][20] = True  # an arm that keeps clear of the head is elsewhere on purpose
    assert act.lags() == []


def test_mouth_and_lids_are_read_from_the_pixels(toy: Any) -> None:
    read = FaceReader(toy)
    openings = [read(Expression(jaw=jaw))["mouth"] for jaw in (0.0, 0.0, 0.3, 0.6, 1.0, 1.0)]
    assert openings[1] == pytest.approx(0, abs=0.02)
    assert openings[-1] == pytest.approx(1, abs=0.02)
    assert sorted(openings) == openings


def test_the_driver_and_the_drawing_are_compared_by_their_blendshapes(toy: Any) -> None:
    faces = []
    for number in range(FRAMES):
        face = a_face()
        face.blendshapes[25] = 0.3 + 0.3 * np.sin(number / 4)
        faces.append(face)
    rig = FigureRig(Faces(faces), ScriptedBodies(None), toy, Settings(), None)
    rig.work(a_source(FRAMES), None)
    found = rig.figures("clip.mp4", "toy")
    assert found["face"]["mouth_parameters_r"] > 0.97
    assert found["bones"] == {"missing": "the clip has no truth beside it"}


def test_a_file_that_is_no_truth_is_refused(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    assert open_body_truth(clip) is None
    np.savez(clip.with_suffix(".npz"), mask_png=np.zeros(3))
    assert open_body_truth(clip) is None
    clip.with_suffix(".npz").write_bytes(b"no zip")
    with pytest.raises(ConfigError, match="no truth"):
        open_body_truth(clip)

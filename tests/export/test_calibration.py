"""Faces that calibrate an int8 network: where they are found, and what each family's networks are fed."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from export.calibration import Calibration, FaceSample, faces_for_calibration, feeds_of, varied  # noqa: E402
from export.plan import ExportPlan, NetworkSpec  # noqa: E402
from realtime.errors import ConfigError  # noqa: E402
from realtime.models.library import built_in_folder  # noqa: E402

INPUT = {"size": 48, "face_type": "whole_face", "colour": "BGR", "layout": "NCHW", "range": "0..1"}


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return faces_for_calibration(None)


@pytest.fixture
def samples(calibration: Calibration) -> tuple[FaceSample, ...]:
    return calibration.held_out[:3]


class Marks(torch.nn.Module):
    """What it gives tells which picture it was fed."""

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mark = picture.mean().expand(1, 2, 2)
        return mark, mark, picture


def spec(file: str, *inputs: str, outputs: tuple[str, ...] = ()) -> NetworkSpec:
    return NetworkSpec(file, Marks(), inputs, dict.fromkeys(outputs, "numbers"), lambda count: [], frozenset())


def test_the_packaged_clip_calibrates(calibration: Calibration) -> None:
    assert calibration.source == "the packaged clip"
    assert len(calibration.used) >= 15
    assert len(calibration.held_out) >= 5
    used = {sample.pixels.tobytes() for sample in calibration.used}
    assert not used & {sample.pixels.tobytes() for sample in calibration.held_out}


@pytest.mark.parametrize("inputs", [("face",), ("face", "morph")])
def test_a_swap_network_is_fed_faces_in_two_lights(samples: tuple[FaceSample, ...], inputs: tuple[str, ...]) -> None:
    swap = spec("swap.onnx", *inputs)
    plan = ExportPlan("swap", "eve", (swap,), (), INPUT)
    plain, lit = feeds_of(plan, swap, samples, lit=False), feeds_of(plan, swap, samples, lit=True)
    assert (len(plain), len(lit)) == (3, 6)
    assert all(tuple(feed) == inputs for feed in lit)
    assert plain[0]["face"].shape == (1, 3, 48, 48)
    assert 0 <= plain[0]["face"].min() < 0.2 < plain[0]["face"].max() <= 1
    np.testing.assert_array_equal(lit[0]["face"], plain[0]["face"])
    assert np.abs(lit[1]["face"] - plain[0]["face"]).mean() > 0.01
    if "morph" in inputs:
        assert {float(feed["morph"][0]) for feed in lit} >= {0.0, 1.0}


def test_a_lip_sync_network_is_fed_the_upper_half_and_the_whole(samples: tuple[FaceSample, ...]) -> None:
    lips = spec("lip_sync.onnx", "mel", "faces")
    plan = ExportPlan("lip-sync", "lips", (lips,), (), INPUT)
    feeds = feeds_of(plan, lips, samples, lit=False)
    assert {name: value.shape for name, value in feeds[0].items()} == {"mel": (1, 1, 80, 16), "faces": (1, 6, 48, 48)}
    upper, whole = feeds[0]["faces"][:, :3], feeds[0]["faces"][:, 3:]
    np.testing.assert_array_equal(upper[:, :, :24], whole[:, :, :24])
    assert not upper[:, :, 24:].any()
    assert not np.array_equal(feeds[0]["mel"], feeds[1]["mel"])


def test_a_motion_network_moves_each_face_as_another(samples: tuple[FaceSample, ...]) -> None:
    source = spec("source.onnx", "source", outputs=("keypoints", "jacobians", "features"))
    keypoints = spec("keypoints.onnx", "driving", outputs=("keypoints", "jacobians", "kept"))
    frame = spec("frame.onnx")
    plan = ExportPlan("motion", "m", (source, keypoints, frame), (), {**INPUT, "colour": "RGB"})
    feeds = feeds_of(plan, frame, samples, lit=False)
    assert {"features", "source_keypoints", "source_jacobians", "driving_keypoints"} <= set(feeds[0])
    for feed in feeds:
        assert feed["source_keypoints"][0, 0, 0] == pytest.approx(feed["features"].mean(), rel=1e-5)
        assert feed["driving_keypoints"][0, 0, 0] != feed["source_keypoints"][0, 0, 0]


def test_a_folder_of_the_users_calibrates(calibration: Calibration, tmp_path: Path) -> None:
    for number, sample in enumerate(calibration.used[:8]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), sample.pixels)
    (tmp_path / "torn.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("nothing to see")
    found = faces_for_calibration(tmp_path)
    assert found.source == "8 of 9 files given"
    assert (len(found.used), len(found.held_out)) == (6, 2)


def test_a_folder_without_faces_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((90, 160, 3), 128, np.uint8))
    says = one_line(lambda: faces_for_calibration(tmp_path), ConfigError)
    assert "shows 0 faces in 1 pictures and videos" in says
    assert "6 files with a face, or a video of 5 seconds" in says


def test_other_light_is_the_same_every_time_and_really_other() -> None:
    crop = cv2.imread(str(built_in_folder() / "ada" / "preview.jpg"))
    first, again, other = varied(crop, 1), varied(crop, 1), varied(crop, 2)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first.astype(int) - other).mean() > 2
    assert first.dtype == np.uint8

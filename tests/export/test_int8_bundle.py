"""int8 for whole bundles: calibrated on faces, judged by acting, only where it helps."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from bundles import one_line
from onnx import TensorProto, helper, numpy_helper

from export.calibration import Calibration, faces_for_calibration, varied
from export.families import Part, Plan
from export.int8_acting import check_acting
from export.int8_bundle import Int8Bundle
from realtime.errors import ConfigError
from realtime.models.library import built_in_folder

SIZE = 64
INPUT = {"size": SIZE, "face_type": "whole_face", "colour": "BGR", "layout": "NCHW", "range": "0..1"}
OUTPUT = {"face": "celeb_face", "mask": "celeb_mask"}


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return faces_for_calibration(None)


def swap_network(gain: float = 1.0) -> onnx.ModelProto:
    """Draws the driver's own face, smoothed by two convolutions, under a mask that is an oval of its own.

    `gain` is put in front of a sine that turns it into noise when it is large.
    """
    blur = np.zeros((8, 3, 3, 3), np.float32)
    back = np.zeros((3, 8, 3, 3), np.float32)
    for channel in range(3):
        blur[channel, channel] = 1 / 9
        back[channel, channel, 1, 1] = 1
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    oval = np.clip(8 * (0.2 - x**2 - y**2), 0, 1).astype(np.float32)[None, None]
    weights = {"blur": blur, "back": back, "gain": np.float32(gain), "half": np.float32(0.5), "oval": oval}
    nodes = [
        helper.make_node("Conv", ["face", "blur"], ["blurred"], "blurred", pads=[1] * 4),
        helper.make_node("Relu", ["blurred"], ["kept"], "kept"),
        helper.make_node("Conv", ["kept", "back"], ["again"], "again", pads=[1] * 4),
        helper.make_node("Mul", ["again", "gain"], ["angle"], "angle"),
        helper.make_node("Sin", ["angle"], ["sine"], "sine"),
        helper.make_node("Add", ["sine", "half"], ["lifted"], "lifted"),
        helper.make_node("Mul", ["lifted", "half"], ["celeb_face"], "face"),
        helper.make_node("Identity", ["oval"], ["celeb_mask"], "mask"),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, SIZE, SIZE])
        for name, channels in (("face", 3), ("celeb_face", 3), ("celeb_mask", 1))
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "swap", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def plan_of(file: str = "swap.onnx") -> tuple[Plan, Part]:
    part = Part(file, None, ("face",), dict.fromkeys(OUTPUT.values(), "picture"), lambda count: [], frozenset())
    return Plan("swap", "eve", (part,), (), INPUT, OUTPUT), part


def test_the_packaged_clip_calibrates(calibration: Calibration) -> None:
    assert calibration.source == "the packaged clip"
    assert len(calibration.used) >= 15
    assert len(calibration.held_out) >= 5
    used = {moment.pixels.tobytes() for moment in calibration.used}
    assert not used & {moment.pixels.tobytes() for moment in calibration.held_out}


def test_a_swap_network_is_calibrated_judged_and_recorded(calibration: Calibration) -> None:
    plan, part = plan_of()
    said: list[str] = []
    done = Int8Bundle(plan, calibration=calibration, say=said.append).quantised(swap_network(), part)
    assert done.facts["precision"] == "int8"
    assert done.facts["psnr_db"]["celeb_face"] >= done.facts["limit_db"]["celeb_face"] == 44.0
    assert done.facts["calibrated_on"] == "the packaged clip"
    acting = done.facts["acting"]
    assert acting["mask_iou"] == 1.0
    assert acting["frames"] >= 30
    assert 0 < acting["tremble_levels"] < 3
    assert acting["least_expression_r"] > 0.9
    assert all(line.startswith("swap.onnx: int8: ") for line in said)
    assert "acting" in said[-1]
    samples = done.part.samples(4)
    assert len(samples) == 4
    assert samples[0]["face"].shape == (1, 3, SIZE, SIZE)


def test_acting_that_falls_apart_is_refused() -> None:
    """The same networks but for a gain that shifts every colour by much, and differently in every frame."""
    plan, _ = plan_of()
    says = one_line(lambda: check_acting(swap_network(), swap_network(60.0), plan))
    assert says.startswith("in int8 its ")
    assert "export it with --precision fp16" in says


def test_a_light_network_stays_in_fp32() -> None:
    plan, part = plan_of("keypoints.onnx")
    model = swap_network()
    done = Int8Bundle(plan).quantised(model, part)
    assert done.model is model
    assert done.part is part
    assert done.facts == {"precision": "fp32"}


def test_a_folder_of_the_users_calibrates(calibration: Calibration, tmp_path: Path) -> None:
    for number, moment in enumerate(calibration.used[:8]):
        cv2.imwrite(str(tmp_path / f"{number}.png"), moment.pixels)
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

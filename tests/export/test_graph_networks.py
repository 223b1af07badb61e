"""The passes on the networks that are exported: same numbers, and each finds what it is for."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from small_graphs import operators, run, same_ports  # noqa: E402
from torch_keyfill import keyfill  # noqa: E402

from export.families import Part  # noqa: E402
from export.graph import rounded, tidy, to_fp16, weights_to_fp16  # noqa: E402
from export.networks.autoencoder import Archi, SaehdShape, saehd  # noqa: E402
from export.networks.first_order_motion import FrameDriver, SourceEncoder, build  # noqa: E402
from export.networks.motion_config import Hourglass, MotionConfig  # noqa: E402
from export.networks.wav2lip import Level, LipShape, Wav2Lip  # noqa: E402
from export.to_onnx import to_onnx  # noqa: E402

SMALL_MOTION = MotionConfig(
    key_points=5,
    detector=Hourglass(8, 32, 3),
    generator=Hourglass(16, 64, 2),
    bottleneck=1,
    motion=Hourglass(16, 64, 3),
)
SMALL_LIPS = LipShape(
    face=(Level(4, 0), Level(8, 1), Level(16, 0)), picture=(Level(24, 1), Level(16, 0), Level(16, 1)), head=4
)
Feed = dict[str, np.ndarray]


def exported(network: Any, feed: Feed, outputs: Sequence[str]) -> onnx.ModelProto:
    """The network as PyTorch's exporter writes it, not tidied."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        part = Part(
            "x.onnx", network, tuple(feed), dict.fromkeys(outputs, "picture"), lambda count: [feed] * count, frozenset()
        )
        return to_onnx(part, simplified=False)
    finally:
        torch.set_num_threads(before)


def filled(network: Any) -> Any:
    network.load_state_dict(keyfill(network))
    return network.eval()


@functools.cache
def motion() -> tuple[onnx.ModelProto, Feed, onnx.ModelProto, Feed]:
    """What is done for a frame, and what finds key points."""
    model = build(SMALL_MOTION, align_corners=False)
    for part in (model.detector, model.generator):
        filled(part)
    random = np.random.default_rng(0)
    pictures = [random.random((1, 3, 128, 128), dtype="f4") for _ in range(2)]
    with torch.no_grad():
        encoded = [v.numpy() for v in SourceEncoder(model)(torch.from_numpy(pictures[0]))]
        driving = [v.numpy() for v in model.detector(torch.from_numpy(pictures[1]))]
    names = ("features", "small", "source", "source_jacobian", "driving", "driving_jacobian")
    feed = dict(zip(names, [*encoded, *driving], strict=True))
    frame = exported(FrameDriver(model).eval(), feed, ["prediction"])
    points_feed = {"picture": pictures[1]}
    return frame, feed, exported(model.detector, points_feed, ["keypoints", "jacobians"]), points_feed


@functools.cache
def lips() -> tuple[onnx.ModelProto, Feed]:
    random = np.random.default_rng(0)
    size = SMALL_LIPS.size
    feed = {"mel": random.random((1, 1, 80, 16), dtype="f4"), "faces": random.random((1, 6, size, size), dtype="f4")}
    return exported(filled(Wav2Lip(SMALL_LIPS)), feed, ["mouth"]), feed


@functools.cache
def swap() -> tuple[onnx.ModelProto, Feed]:
    torch.manual_seed(0)
    network = saehd(SaehdShape(Archi.parse("df-ud"), 64, 16, 8, 16, 8)).eval()
    feed = {"face": np.random.default_rng(0).random((1, 3, 64, 64), dtype="f4")}
    return exported(network, feed, ["face_drawn", "mask", "driver_mask"]), feed


def differences(one: onnx.ModelProto, other: onnx.ModelProto, feed: Feed) -> list[float]:
    """The worst difference of each output. Blank ones are an error."""
    pairs = list(zip(run(one, feed), run(other, feed), strict=True))
    assert all(np.isfinite(b).all() and np.ptp(a) > 1e-3 for a, b in pairs)
    return [float(np.abs(a - b).max()) for a, b in pairs]


def test_a_motion_frame() -> None:
    model, feed, _, _ = motion()
    fast = tidy(model)
    onnx.checker.check_model(fast, full_check=True)
    assert same_ports(model, fast)
    before, after = operators(model), operators(fast)
    assert before["Resize"] == 5
    assert after["Resize"] == 1  # 4 px: too small to gain
    assert after["Split"] == 1  # mask and occlusion
    cells = [n for n in fast.graph.node if n.op_type == "DepthToSpace"]
    assert len(cells) == 6  # four doubled pictures, mask with occlusion, and the last convolution
    assert max(differences(model, fast, feed)) < 1e-5


def test_key_points() -> None:
    _, _, model, feed = motion()
    fast = tidy(model)
    assert same_ports(model, fast)
    assert operators(fast)["Split"] == 1
    assert max(differences(model, fast, feed)) < 1e-6


def test_lips() -> None:
    model, feed = lips()
    fast = tidy(model)
    assert same_ports(model, fast)
    assert operators(model)["ConvTranspose"] == 3
    assert operators(fast)["ConvTranspose"] == 1  # the one that makes the bottom from one pixel
    assert max(differences(model, fast, feed)) < 1e-5


def test_swap() -> None:
    model, feed = swap()
    fast = tidy(model)
    assert same_ports(model, fast)
    assert operators(model)["Conv"] - operators(fast)["Conv"] == 3  # the four pictures of a doubled network
    assert max(differences(model, fast, feed)) < 1e-5


def test_recorded_dfm_files_keep_their_numbers(shared: Any) -> None:
    files = sorted((shared / "reference").rglob("*.dfm"))
    assert files
    for file in files:
        model = onnx.load(file)
        feed = {
            port.name: np.full([s.dim_value or 1 for s in port.type.tensor_type.shape.dim], 0.5, "f4")
            for port in model.graph.input
        }
        fast = tidy(model)
        assert [p.name for p in fast.graph.output] == [p.name for p in model.graph.output]
        assert max(float(np.abs(a - b).max()) for a, b in zip(run(model, feed), run(fast, feed), strict=True)) < 1e-4


def test_half_of_every_network_is_near() -> None:
    for model, feed in (motion()[:2], lips(), swap()):
        half = to_fp16(tidy(model))
        onnx.checker.check_model(half, full_check=True)
        assert same_ports(model, half)
        assert half.ByteSize() < 0.62 * tidy(model).ByteSize()
        for a, b in zip(run(model, feed), run(rounded(half), feed), strict=True):
            assert 10 * np.log10(1 / np.mean((a - b) ** 2)) > 45


def test_small_files_of_every_network_are_near() -> None:
    for model, feed in (motion()[:2], lips(), swap()):
        small = weights_to_fp16(tidy(model))
        assert small.ByteSize() < 0.7 * tidy(model).ByteSize()
        for a, b in zip(run(model, feed), run(small, feed), strict=True):
            assert 10 * np.log10(1 / np.mean((a - b) ** 2)) > 50

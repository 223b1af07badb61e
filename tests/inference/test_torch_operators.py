"""ONNX's operators on PyTorch: what ONNX Runtime gives, one by one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from onnx import helper

torch = pytest.importorskip("torch", reason="the PyTorch session needs PyTorch")

from torch_networks import X, agree, floats, ints, network  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


ONE_INPUT: list[tuple[str, dict[str, Any], list[np.ndarray]]] = [
    ("Conv", {"pads": [1, 1, 1, 1], "strides": [2, 2]}, [floats(5, 4, 3, 3), floats(5)]),
    ("Conv", {"pads": [0, 1, 2, 3]}, [floats(5, 4, 3, 3)]),
    ("Conv", {"group": 4, "dilations": [2, 2]}, [floats(8, 1, 3, 3), floats(8)]),
    ("ConvTranspose", {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}, [floats(4, 3, 3, 3)]),
    ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}, []),
    ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, []),
    ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}, []),
    ("GlobalAveragePool", {}, []),
    ("BatchNormalization", {"epsilon": 1e-3}, [floats(4), floats(4), floats(4), np.abs(floats(4))]),
    ("InstanceNormalization", {}, [floats(4), floats(4)]),
    ("LayerNormalization", {"axis": -1}, [floats(8), floats(8)]),
    ("PRelu", {}, [floats(4, 1, 1)]),
    ("LeakyRelu", {"alpha": 0.2}, []),
    ("Elu", {"alpha": 0.5}, []),
    ("Gelu", {"approximate": "tanh"}, []),
    ("HardSigmoid", {"alpha": 0.1}, []),
    ("Softmax", {"axis": 1}, []),
    ("Clip", {}, [np.float32(-0.5), np.float32(0.5)]),
    ("Clip", {}, [np.float32(-0.5)]),
    ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, []),
    ("DepthToSpace", {"blocksize": 2, "mode": "DCR"}, []),
    ("SpaceToDepth", {"blocksize": 2}, []),
    ("Reshape", {}, [ints(0, -1, 4)]),
    ("Flatten", {"axis": 2}, []),
    ("Transpose", {"perm": [0, 2, 3, 1]}, []),
    ("Transpose", {}, []),
    ("Squeeze", {}, [ints(0)]),
    ("Unsqueeze", {}, [ints(-1, 1)]),
    ("Slice", {}, [ints(1, -5), ints(3, 100), ints(1, 3), ints(1, 2)]),
    ("Slice", {}, [ints(-1), ints(-100), ints(3), ints(-1)]),
    ("Gather", {"axis": 1}, [ints(2, -1, 0)]),
    ("Expand", {}, [ints(3, 1, 1, 1)]),
    ("Tile", {}, [ints(2, 1, 1, 3)]),
    ("Pad", {}, [ints(0, 0, 1, 2, 0, 1, 0, 3), np.float32(0.5)]),
    ("Pad", {"mode": "reflect"}, [ints(0, 0, 1, 2, 0, 0, 0, 3)]),
    ("Pad", {"mode": "edge"}, [ints(0, 0, 0, 0, 0, 0, 1, 0)]),
    ("Pad", {}, [ints(1, 2), np.float32(0), ints(-1)]),
    ("ReduceSum", {"keepdims": 0}, [ints(1, -1)]),
    ("ReduceMean", {}, [ints(2, 3)]),
    ("ReduceMax", {}, []),
    ("ReduceL2", {}, [ints(1)]),
    ("Pow", {}, [np.float32(2)]),
    ("Div", {}, [floats(8) + 3]),
    ("Where", {}, []),
    ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, []),
    ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "half_pixel"}, []),
    ("Resize", {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}, []),
    ("Resize", {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, []),
]


@pytest.mark.parametrize(("operator", "attributes", "weights"), ONE_INPUT)
def test_an_operator_gives_what_onnx_runtime_gives(
    operator: str, attributes: dict[str, Any], weights: list[np.ndarray]
) -> None:
    names = [f"w{n}" for n in range(len(weights))]
    stored = dict(zip(names, weights, strict=True))
    if operator == "Resize":
        names, stored = ["", "w0"], {"w0": np.array([1, 1, 2, 2], np.float32)}
    nodes = [helper.make_node(operator, ["x", *names], ["y"], **attributes)]
    if operator == "Where":
        nodes = [helper.make_node("Less", ["x", "z"], ["c"]), helper.make_node("Where", ["c", "x", "z"], ["y"])]
        stored = {"z": np.float32(0.3)}
    agree(network(nodes, X, ["y"], stored))


PLAIN = ["Relu", "Sigmoid", "Tanh", "Softplus", "HardSwish", "Neg", "Abs", "Exp", "Erf", "Sin", "Cos", "Floor", "Ceil"]


@pytest.mark.parametrize("operator", [*PLAIN, "Round"])
def test_plain_functions(operator: str) -> None:
    agree(network([helper.make_node(operator, ["x"], ["y"])], X, ["y"]))


@pytest.mark.parametrize("operator", ["Log", "Sqrt", "Reciprocal"])
def test_functions_of_positive_numbers(operator: str) -> None:
    agree(network([helper.make_node(operator, ["x"], ["y"])], X, ["y"]), x=np.abs(floats(1, 4, 6, 8)) + 0.1)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Min", "Max", "Sum", "MatMul"])
def test_two_inputs(operator: str) -> None:
    other = (1, 4, 8, 6) if operator == "MatMul" else (6, 8)
    agree(network([helper.make_node(operator, ["x", "z"], ["y"])], {**X, "z": other}, ["y"]))


def test_products_of_matrices() -> None:
    weights = {"w": floats(3, 6), "b": floats(3), "c": floats(2, 3)}
    plain = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    odd = helper.make_node("Gemm", ["x", "w", "c"], ["z"], transB=1, alpha=0.5, beta=2.0)
    agree(network([plain, odd], {"x": (2, 6)}, ["y", "z"], weights))


@pytest.mark.parametrize("corners", [0, 1])
def test_looking_up_at_positions(corners: int) -> None:
    node = helper.make_node("GridSample", ["x", "p"], ["y"], align_corners=corners, padding_mode="zeros", mode="linear")
    agree(network([node], {**X, "p": (1, 5, 5, 2)}, ["y"]))

"""Small picture networks as ONNX, seeded, for the tests of export."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 24


def picture_network(*, ruined: bool = False, half: bool = False) -> onnx.ModelProto:
    """`face` (1, 3, 24, 24) -> `drawn` 0..1, of the same shape: three convolutions, ReLUs, a residual sum.

    `ruined`: a rapid sine at the end makes noise of any rounding. `half`: float16 weights and arithmetic.
    """
    rng = np.random.default_rng(7)
    nodes, weights = [], []

    def convolution(source: str, made: str, inputs: int, outputs: int) -> str:
        scale = (2 / (9 * inputs)) ** 0.5
        parts = (rng.normal(0, scale, (outputs, inputs, 3, 3)), rng.normal(0, 0.1, outputs))
        names = [f"{made}.weight", f"{made}.bias"]
        dtype = np.float16 if half else np.float32
        weights.extend(numpy_helper.from_array(p.astype(dtype), n) for p, n in zip(parts, names, strict=True))
        nodes.append(helper.make_node("Conv", [source, *names], [made], made, pads=[1] * 4))
        return made

    def step(operator: str, sources: list[str], made: str, **how: object) -> str:
        nodes.append(helper.make_node(operator, sources, [made], made, **how))
        return made

    source = step("Cast", ["face"], "half", to=TensorProto.FLOAT16) if half else "face"
    first = step("Relu", [convolution(source, "first", 3, 12)], "first.relu")
    second = convolution(first, "second", 12, 12)
    total = step("Relu", [step("Add", [first, second], "sum")], "sum.relu")
    last = convolution(total, "third", 12, 3)
    if ruined:
        weights.append(numpy_helper.from_array(np.array(500, np.float32), "rapid"))
        last = step("Sin", [step("Mul", [last, "rapid"], "angle")], "sine")
    drawn = step("Sigmoid", [last], "soft" if half else "drawn")
    if half:
        step("Cast", [drawn], "drawn", to=TensorProto.FLOAT)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, SIDE, SIDE]) for name in ("face", "drawn")]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def faces(count: int, seed: int, *, bright: float = 1.0) -> list[dict[str, np.ndarray]]:
    """Seeded feeds of the network above."""
    rng = np.random.default_rng(seed)
    return [{"face": (bright * rng.random((1, 3, SIDE, SIDE))).astype(np.float32)} for _ in range(count)]

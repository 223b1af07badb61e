"""Which networks of a bundle change their precision, and what in them does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import one_line

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")
onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

from exported import verified  # noqa: E402
from onnx import TensorProto  # noqa: E402
from small_graphs import Graph  # noqa: E402

from export.options import ExportOptions  # noqa: E402
from export.plan import ExportPlan, NetworkSpec  # noqa: E402
from export.precision import Converted, convert_precision  # noqa: E402
from realtime.inference.onnx_file import check_onnx  # noqa: E402

CHANNELS = 1000


class Cut(torch.nn.Module):
    """AMP's way to morph: of so many channels, those up to a part of them are 1, the others 0; all times x."""

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Any, morph: Any) -> Any:
        numbers = torch.arange(1, CHANNELS + 1, dtype=morph.dtype)
        return x * (numbers <= CHANNELS * morph).to(x.dtype) + self.error


def graph() -> Any:
    """What `Cut` computes, in ONNX."""
    made = Graph()
    last = made.add("Mul", ["morph", np.array([CHANNELS], np.float32)])
    kept = made.add("LessOrEqual", [np.arange(1, CHANNELS + 1, dtype=np.float32)[None], last])
    made.add("Where", [kept, "x", np.zeros(1, np.float32)], "y")
    return made.model({"x": [1, CHANNELS], "morph": [1]}, {"y": [1, CHANNELS]})


def samples(count: int) -> list[Any]:
    x = np.linspace(0.25, 0.75, CHANNELS, dtype=np.float32)[None]
    return [{"x": x, "morph": np.float32([0.7009 + 0.05 * number])} for number in range(count)]


def a_part(file: str, error: float = 0.0) -> NetworkSpec:
    heavy = file == "frame.onnx"
    return NetworkSpec(
        file, Cut(error).eval(), ("x", "morph"), {"y": "picture"}, samples, frozenset({"x"}), heavy=heavy
    )


def converted(model: Any, spec: NetworkSpec, precision: Any) -> Converted:
    plan = ExportPlan("motion", "m", (spec,), (), {"size": 16})
    options = ExportOptions(checkpoint=Path("m.pth"), family="first-order-motion", out=Path("out"), precision=precision)
    return convert_precision(model, spec, plan, options, lambda line: None)


def test_fp32_is_as_it_was() -> None:
    model, part = graph(), a_part("frame.onnx")
    done = converted(model, part, "fp32")
    assert (done.precision, done.model, done.spec) == ("fp32", model, part)


def test_fp16_cuts_at_the_same_channel() -> None:
    """In float16 0.7009 of 1000 is 701: one channel more than upstream's int() keeps.

    The CPU provider calculates in float32 whatever the graph says, so the graph itself is looked at.
    """
    part = a_part("frame.onnx")
    done = converted(graph(), part, "fp16")
    assert done.precision == "fp16"
    inferred = onnx.shape_inference.infer_shapes(done.model).graph
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.input)}
    kinds |= {tensor.name: tensor.data_type for tensor in inferred.initializer}
    nodes = {node.op_type: node for node in inferred.node}
    assert {kinds[name] for name in nodes["LessOrEqual"].input} == {TensorProto.FLOAT}
    assert kinds[nodes["Where"].input[1]] == TensorProto.FLOAT16
    assert verified(done.model, part, "fp16").parity.worst.worst <= 1e-3


@pytest.mark.parametrize("file", ["source.onnx", "keypoints.onnx"])
def test_what_finds_key_points_stays_in_fp32(file: str) -> None:
    part = a_part(file)
    done = converted(graph(), part, "fp16")
    assert done.precision == "fp32"
    assert check_onnx(done.model.SerializeToString(), file) == "fp32"
    off = a_part(file, error=2e-4)
    assert "fp32 may be 1e-04" in one_line(lambda: verified(done.model, off, done.precision))


def test_what_float16_has_no_number_for_is_refused_though_a_cpu_would_manage() -> None:
    class Large(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 500.0 * 500.0 * 0.002 * 0.002

    made, value = Graph(), "x"
    for number, factor in enumerate((500, 500, 0.002, 0.002)):
        value = made.add("Mul", [value, np.array(factor, np.float32)], "y" if number == 3 else "")
    model = made.model({"x": [1, 8]}, {"y": [1, 8]})

    def part(largest: float) -> NetworkSpec:
        feed = {"x": np.linspace(0, largest, 8, dtype=np.float32)[None]}
        return NetworkSpec(
            "frame.onnx", Large(), ("x",), {"y": "picture"}, lambda count: [feed] * count, frozenset({"x"})
        )

    done = converted(model, part(0.2), "fp16")
    verified(done.model, part(0.2), "fp16")  # 50 000 on the way
    line = one_line(lambda: verified(done.model, part(0.3), "fp16"))  # 75 000
    assert "no numbers" in line

"""Run the face bundle's ONNX networks in PyTorch, so that gradients reach their inputs.

Only the operators of those networks. (The onnx2torch package would need torchvision beside torch.)
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor

Attributes = Mapping[str, Any]


class OnnxInTorch:
    """A frozen float32 network; called with its inputs in order, it gives its outputs in order. Raises ValueError for a
    file with other operators."""

    def __init__(self, file: Path, device: torch.device) -> None:
        graph = onnx.load(file, load_external_data=False).graph
        self._constants: dict[str, Tensor] = {
            t.name: _widened(torch.from_numpy(numpy_helper.to_array(t).copy())) for t in graph.initializer
        }
        self._inputs = [port.name for port in graph.input]
        self._outputs = [port.name for port in graph.output]
        self._steps: list[tuple[Callable[..., Tensor], Attributes, list[str], str]] = []
        for node in graph.node:
            run = _OPERATORS.get(node.op_type)
            if run is None:
                raise ValueError(f"{file.name} holds an operator that is not run in PyTorch here: {node.op_type}")
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            names, made = list(node.input), node.output[0]
            if all(name in self._constants for name in names):
                self._constants[made] = run(attributes, *(self._constants[name] for name in names))
            else:
                self._steps.append((run, attributes, names, made))
        # Shapes, axes and paddings stay where reading them waits for no GPU.
        self._constants = {k: v.to(device) if v.is_floating_point() else v for k, v in self._constants.items()}

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        values = self._constants | dict(zip(self._inputs, inputs, strict=True))
        for run, attributes, names, made in self._steps:
            values[made] = run(attributes, *(values[name] for name in names))
        return [values[name] for name in self._outputs]


def _widened(constant: Tensor) -> Tensor:
    return constant.float() if constant.is_floating_point() else constant


def _padded(x: Tensor, begins: list[int], ends: list[int], value: float = 0.0) -> Tensor:
    """`x` padded along its last dimensions; PyTorch counts them from the last."""
    sides = [side for pair in zip(reversed(begins), reversed(ends), strict=True) for side in pair]
    return F.pad(x, sides, value=value) if any(sides) else x


def _pad(_: Attributes, x: Tensor, pads: Tensor) -> Tensor:
    sides = pads.tolist()
    return _padded(x, sides[: x.dim()], sides[x.dim() :])


def _convolve(a: Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return F.conv2d(_padded(x, pads[:2], pads[2:]), weight, bias, a.get("strides", 1), groups=a.get("group", 1))


def _max_pool(a: Attributes, x: Tensor) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return F.max_pool2d(_padded(x, pads[:2], pads[2:], -torch.inf), a["kernel_shape"], a["strides"])


def _slice(_: Attributes, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None) -> Tensor:
    along = range(len(starts)) if axes is None else axes.tolist()
    for start, end, axis in zip(starts.tolist(), ends.tolist(), along, strict=True):
        first, last, _step = slice(start, end).indices(x.shape[axis])
        x = x.narrow(axis, first, last - first)
    return x


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Add": lambda _, x, y: x + y,
    "Cast": lambda _, x: _widened(x),
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]),
    "Conv": _convolve,
    "Div": lambda _, x, y: x / y,
    "MatMul": lambda _, x, y: x @ y,
    "MaxPool": _max_pool,
    "Mul": lambda _, x, y: x * y,
    "Neg": lambda _, x: -x,
    "Pad": _pad,
    "Reciprocal": lambda _, x: x.reciprocal(),
    "ReduceMean": lambda a, x: x.mean(list(a["axes"]), bool(a["keepdims"])),
    "ReduceSum": lambda a, x, axes: x.sum(axes.tolist(), bool(a["keepdims"])),
    "Relu": lambda _, x: x.relu(),
    "Reshape": lambda _, x, shape: x.reshape(shape.tolist()),
    "Sigmoid": lambda _, x: x.sigmoid(),
    "Slice": _slice,
    "Sqrt": lambda _, x: x.sqrt(),
    "Sub": lambda _, x, y: x - y,
    "Transpose": lambda a, x: x.permute(a["perm"]),
}

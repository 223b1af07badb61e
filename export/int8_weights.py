"""Weights and biases in int8 and int32: symmetric about 0, a scale for each output channel."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.int8_layers import Layer

Floats = npt.NDArray[np.float32]
Steps = npt.NDArray[np.int8]

CPU_LEVELS = 64
"""The largest weight in steps for CPUs. Those without VNNI add two products of uint8 and int8 in 16 bits, which
255 * 127 * 2 overflows unseen; 255 * 64 * 2 does not. It costs next to nothing: the values err more."""

LEVELS = 127


def rounded_weight(weight: Floats, axis: int, levels: int, least: Floats | None = None) -> tuple[Steps, Floats]:
    """A layer's weights in whole steps, and the size of a step for each channel of `axis`, `least` or more."""
    others = tuple(other for other in range(weight.ndim) if other != axis)
    scale = np.maximum(np.abs(weight).max(axis=others), 1e-12) / levels
    scale = (scale if least is None else np.maximum(scale, least)).astype(np.float32)
    steps = np.clip(np.rint(weight / along(scale, axis, weight.ndim)), -levels, levels)
    return steps.astype(np.int8), scale


def along(scale: Floats, axis: int, dimensions: int) -> Floats:
    """`scale` in the shape that multiplies weights by it, channel by channel."""
    return scale.reshape([-1 if other == axis else 1 for other in range(dimensions)])


def put_rounded(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    layer: Layer,
    weights: Mapping[str, onnx.TensorProto],
    levels: int,
    source_scale: np.float32,
    *,
    whole_bias: bool,
) -> list[onnx.NodeProto]:
    """Give a node its weights rounded, and its bias too where that is to be whole: the nodes to add.

    An int32 bias counts in steps of source times weight. A channel whose weights are all but 0 would make these
    so small that the bias overflows: it gets larger steps. That holds for float biases as well, which ONNX
    Runtime makes whole by itself.
    """
    bias = None if layer.bias is None else numpy_helper.to_array(weights[layer.bias]).reshape(-1)
    least = None if bias is None else np.asarray(np.abs(bias) / (source_scale * 2.0**30), np.float32)
    steps, scale = rounded_weight(numpy_helper.to_array(weights[layer.weight]), layer.axis, levels, least)
    made = [_constant(graph, f"{node.name}/weight", steps, scale, layer.axis)]
    node.input[1] = made[0].output[0]
    if bias is not None and whole_bias and bias.size == scale.size:
        unit = (scale * source_scale).astype(np.float32)
        whole = np.rint(bias / unit.astype(np.float64)).astype(np.int32)
        made.append(_constant(graph, f"{node.name}/bias", whole, unit, 0))
        node.input[2] = made[1].output[0]
    return made


def _constant(
    graph: onnx.GraphProto, name: str, steps: npt.NDArray[np.signedinteger], scale: Floats, axis: int
) -> onnx.NodeProto:
    names = [f"{name}/steps", f"{name}/scale", f"{name}/zero"]
    parts = (steps, scale, np.zeros(scale.shape, steps.dtype))
    graph.initializer.extend(numpy_helper.from_array(part, name) for part, name in zip(parts, names, strict=True))
    return helper.make_node("DequantizeLinear", names, [f"{name}/rounded"], f"{name}/dequantize", axis=axis)

"""ONNX's operators in PyTorch, each `operator(attributes, *inputs) -> tensor or tuple of tensors`.

Semantics are those of the ONNX operator specification, opset 11 to 23. Inputs that `PLAIN` names by position come
as plain numbers and lists (shapes, axes, pads): a network whose shapes depend on its values is not run here. What
an operator cannot do exactly it refuses with ValueError; nothing is approximated.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from realtime.inference.onnx_graph import DTYPES
from realtime.inference.torch_shapes import SHAPE_OPERATORS

Attributes = Mapping[str, Any]
Operator = Callable[..., Any]

PLAIN: Mapping[str, tuple[int, ...]] = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Pad": (1, 2, 3),
    "Resize": (1, 2, 3),
    "Clip": (1, 2),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    **{f"Reduce{what}": (1,) for what in ("Sum", "Mean", "Max", "Min", "L2")},
}

MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Where nearly all the work is, and what fp16 and bf16 make fast."""

SENSITIVE = frozenset(
    {
        "Exp", "Log", "Pow", "Sqrt", "Reciprocal", "Div", "Erf", "Sin", "Cos", "Softmax", "Sigmoid", "Tanh",
        "GridSample", "LayerNormalization", "InstanceNormalization",
        "ReduceSum", "ReduceMean", "ReduceL2",
    }
)  # fmt: skip
"""Kept in float32 whatever the precision: sums over many values, steep functions, positions, and what ends in a
picture (bf16 has steps of 1/256 near 1)."""


def _pads(attributes: Attributes, dimensions: int) -> tuple[list[int], list[int]]:
    """Padding before and after each spatial dimension."""
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise ValueError(f"padding {attributes['auto_pad']}")
    pads = list(attributes.get("pads", [0] * 2 * dimensions))
    return pads[:dimensions], pads[dimensions:]


def _pad_unevenly(x: Any, before: list[int], after: list[int], value: float = 0.0) -> tuple[Any, list[int]]:
    """PyTorch pads both sides alike: `x` padded beforehand where they differ, and the padding that is left to do."""
    if before == after:
        return x, before
    flat = [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
    return F.pad(x, flat, value=value), [0] * len(before)


def _conv(a: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    spatial = weight.dim() - 2
    x, padding = _pad_unevenly(x, *_pads(a, spatial))
    run = (F.conv1d, F.conv2d, F.conv3d)[spatial - 1]
    ones = [1] * spatial
    return run(x, weight, bias, a.get("strides", ones), padding, a.get("dilations", ones), a.get("group", 1))


def _conv_transpose(a: Attributes, x: Any, weight: Any, bias: Any = None) -> Any:
    spatial = weight.dim() - 2
    before, after = _pads(a, spatial)
    if "output_shape" in a or before != after:
        raise ValueError("a transposed convolution with uneven padding")
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[spatial - 1]
    ones, zeros = [1] * spatial, [0] * spatial
    more = a.get("output_padding", zeros)
    return run(x, weight, bias, a.get("strides", ones), before, more, a.get("group", 1), a.get("dilations", ones))


def _average_pool(a: Attributes, x: Any) -> Any:
    size = a["kernel_shape"]
    before, after = _pads(a, len(size))
    uneven = before != after or a.get("ceil_mode", 0) or set(a.get("dilations", [1])) != {1}
    if len(size) != 2 or uneven:
        raise ValueError("average pooling of an unusual kind")
    strides = a.get("strides", [1] * len(size))
    return F.avg_pool2d(x, size, strides, before, count_include_pad=bool(a.get("count_include_pad", 0)))


def _max_pool(a: Attributes, x: Any) -> Any:
    size = a["kernel_shape"]
    if len(size) != 2 or a.get("ceil_mode", 0):
        raise ValueError("maximum pooling of an unusual kind")
    x, padding = _pad_unevenly(x, *_pads(a, len(size)), value=-math.inf)
    return F.max_pool2d(x, size, a.get("strides", [1, 1]), padding, a.get("dilations", [1, 1]))


def _gemm(a: Attributes, left: Any, right: Any, bias: Any = None) -> Any:
    left = left.T if a.get("transA", 0) else left
    weight = right if a.get("transB", 0) else right.T
    alpha, beta = a.get("alpha", 1.0), a.get("beta", 1.0)
    if alpha == 1 and (bias is None or (beta == 1 and bias.dim() == 1)):
        return F.linear(left, weight, bias)
    out = alpha * (left @ weight.T)
    return out if bias is None else out + beta * bias


def _batch_norm(a: Attributes, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    if a.get("training_mode", 0):
        raise ValueError("a batch norm that is training")
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def _layer_norm(a: Attributes, x: Any, scale: Any, bias: Any = None) -> Any:
    first = a.get("axis", -1) % x.dim()
    if tuple(scale.shape) != tuple(x.shape[first:]):
        raise ValueError("a layer norm whose scale is spread")
    return F.layer_norm(x, x.shape[first:], scale, bias, a.get("epsilon", 1e-5))


def _prelu(a: Attributes, x: Any, slope: Any) -> Any:
    return torch.where(x < 0, x * slope, x)


def _clip(a: Attributes, x: Any, low: Any = None, high: Any = None) -> Any:
    low, high = a.get("min", low), a.get("max", high)
    return x if low is None and high is None else torch.clamp(x, low, high)


def _gelu(a: Attributes, x: Any) -> Any:
    return F.gelu(x, approximate=a.get("approximate", "none"))


def _reduce(how: Callable[..., Any]) -> Operator:
    def run(a: Attributes, x: Any, axes: list[int] | None = None) -> Any:
        axes = a.get("axes") if axes is None else axes
        if not axes and a.get("noop_with_empty_axes", 0):
            return x
        return how(x, tuple(axes or range(x.dim())), keepdim=bool(a.get("keepdims", 1)))

    return run


def _resize(a: Attributes, x: Any, region: Any, scales: Any = None, sizes: Any = None) -> Any:
    if x.dim() != 4 or "axes" in a or a.get("antialias", 0):
        raise ValueError("resizing of other than plain pictures")
    if not sizes:
        sizes = [math.floor(side * scale) for side, scale in zip(x.shape, scales, strict=True)]
    else:
        scales = [new / old for new, old in zip(sizes, x.shape, strict=True)]
    if list(sizes[:2]) != list(x.shape[:2]):
        raise ValueError("resizing of channels")
    mode, place = a.get("mode", "nearest"), a.get("coordinate_transformation_mode", "half_pixel")
    spatial, whole = list(sizes[2:]), all(float(s).is_integer() and s >= 1 for s in scales[2:])
    if mode == "nearest" and (
        # Repeating pixels by a whole factor: these roundings and places all come to the same.
        (whole and (place, a.get("nearest_mode", "round_prefer_floor")) in _REPEATING)
        or (place == "asymmetric" and a.get("nearest_mode") == "floor")
    ):
        return F.interpolate(x, size=spatial, mode="nearest")
    if mode == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        if place == "pytorch_half_pixel" and 1 in spatial:
            raise ValueError("resizing to a single row")
        return F.interpolate(x, size=spatial, mode="bilinear", align_corners=place == "align_corners")
    raise ValueError(f"resizing by {mode}, {place}")


_REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
}


def _grid_sample(a: Attributes, x: Any, places: Any) -> Any:
    mode = {"bilinear": "bilinear", "linear": "bilinear", "nearest": "nearest"}.get(a.get("mode", "linear"))
    if mode is None:
        raise ValueError(f"looking up by {a['mode']}")
    edges = a.get("padding_mode", "zeros")
    return F.grid_sample(x, places, mode=mode, padding_mode=edges, align_corners=bool(a.get("align_corners", 0)))


def _depth_to_space(a: Attributes, x: Any) -> Any:
    side = a["blocksize"]
    if a.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, side)
    count, channels, height, width = x.shape
    cells = x.reshape(count, side, side, channels // side**2, height, width).permute(0, 3, 4, 1, 5, 2)
    return cells.reshape(count, channels // side**2, height * side, width * side)


def _cast(a: Attributes, x: Any) -> Any:
    return x.to(torch_dtype(a["to"]))


def torch_dtype(kind: int) -> Any:
    """PyTorch's dtype for ONNX's number of one."""
    if kind not in DTYPES:
        raise ValueError(f"numbers of kind {kind}")
    return torch.bool if kind == 9 else getattr(torch, DTYPES[kind].__name__)


def _plain(run: Callable[..., Any]) -> Operator:
    """An operator without attributes."""
    return lambda a, *inputs: run(*inputs)


def _all_of(run: Callable[..., Any]) -> Operator:
    """Minimum, maximum, sum: of as many inputs as there are."""

    def fold(a: Attributes, first: Any, *others: Any) -> Any:
        for other in others:
            first = run(first, other)
        return first

    return fold


OPERATORS: Mapping[str, Operator] = {
    **SHAPE_OPERATORS,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
    "GlobalAveragePool": lambda a, x: x.mean(tuple(range(2, x.dim())), keepdim=True),
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": lambda a, x, s, b: F.instance_norm(x, weight=s, bias=b, eps=a.get("epsilon", 1e-5)),
    "LayerNormalization": _layer_norm,
    "Relu": _plain(torch.relu),
    "LeakyRelu": lambda a, x: F.leaky_relu(x, a.get("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda a, x: F.elu(x, a.get("alpha", 1.0)),
    "Gelu": _gelu,
    "HardSigmoid": lambda a, x: torch.clamp(x * a.get("alpha", 0.2) + a.get("beta", 0.5), 0, 1),
    "HardSwish": _plain(F.hardswish),
    "Softplus": _plain(F.softplus),
    "Sigmoid": _plain(torch.sigmoid),
    "Tanh": _plain(torch.tanh),
    "Softmax": lambda a, x: torch.softmax(x, a.get("axis", -1)),
    "Clip": _clip,
    "Cast": _cast,
    "Resize": _resize,
    "GridSample": _grid_sample,
    "DepthToSpace": _depth_to_space,
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": lambda a, x, y: torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc"),
    "Pow": lambda a, x, y: torch.pow(x, y).to(x.dtype),
    "Min": _all_of(torch.minimum),
    "Max": _all_of(torch.maximum),
    "Sum": _all_of(torch.add),
    "Neg": _plain(torch.neg),
    "Abs": _plain(torch.abs),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Erf": _plain(torch.erf),
    "Sin": _plain(torch.sin),
    "Cos": _plain(torch.cos),
    "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil),
    "Round": _plain(torch.round),
    "Equal": _plain(torch.eq),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Not": _plain(torch.logical_not),
    "And": _plain(torch.logical_and),
    "Or": _plain(torch.logical_or),
    "Where": _plain(torch.where),
    "ReduceSum": _reduce(torch.sum),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin),
    "ReduceL2": _reduce(lambda x, axes, keepdim: torch.linalg.vector_norm(x, dim=axes, keepdim=keepdim)),
}

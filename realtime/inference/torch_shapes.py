"""ONNX's operators that move and cut arrays, in PyTorch: see `torch_operators`."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

Attributes = Mapping[str, Any]


def _reshape(a: Attributes, x: Any, shape: list[int]) -> Any:
    if a.get("allowzero", 0):
        return x.reshape(shape)
    return x.reshape([x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)])


def _flatten(a: Attributes, x: Any) -> Any:
    axis = a.get("axis", 1)
    axis += x.dim() if axis < 0 else 0
    return x.reshape(int(torch.Size(x.shape[:axis]).numel()), -1)


def _transpose(a: Attributes, x: Any) -> Any:
    return x.permute(a.get("perm", list(reversed(range(x.dim())))))


def _squeeze(a: Attributes, x: Any, axes: list[int] | None = None) -> Any:
    axes = a.get("axes", axes)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(a: Attributes, x: Any, axes: list[int] | None = None) -> Any:
    axes = a.get("axes", axes) or []
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _split(a: Attributes, x: Any, sizes: list[int] | None = None) -> Any:
    axis, sizes = a.get("axis", 0), a.get("split", sizes)
    if sizes is not None:
        return torch.split(x, sizes, axis)
    if "num_outputs" not in a:
        raise ValueError("a split without sizes")
    return torch.split(x, -(-x.shape[axis] // a["num_outputs"]), axis)


def _slice(
    a: Attributes,
    x: Any,
    starts: list[int] | None = None,
    ends: list[int] | None = None,
    axes: list[int] | None = None,
    steps: list[int] | None = None,
) -> Any:
    starts, ends = a.get("starts", starts), a.get("ends", ends)
    if starts is None or ends is None:
        raise ValueError("a slice without ends")
    axes = a.get("axes", axes) or list(range(len(starts)))
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        wanted = range(x.shape[axis])[start:end:step]
        if step > 0:
            keep = [slice(None)] * x.dim()
            keep[axis] = slice(wanted.start, wanted.stop, step)
            x = x[tuple(keep)]
        else:
            x = x.index_select(axis, torch.tensor(list(wanted), device=x.device))
    return x


def _gather(a: Attributes, x: Any, where: Any) -> Any:
    axis = a.get("axis", 0) % x.dim()
    where = torch.where(where < 0, where + x.shape[axis], where)
    picked = x.index_select(axis, where.reshape(-1))
    return picked.reshape(*x.shape[:axis], *where.shape, *x.shape[axis + 1 :])


def _expand(a: Attributes, x: Any, shape: list[int]) -> Any:
    # ONNX spreads both ways: a side of 1 in `shape` keeps the array's own.
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(shape)))


def _pad(a: Attributes, x: Any, pads: list[int] | None = None, value: Any = None, axes: list[int] | None = None) -> Any:
    pads = a.get("pads", pads)
    if pads is None:
        raise ValueError("a padding without sizes")
    axes = [axis % x.dim() for axis in axes or range(x.dim())]
    before, after = [0] * x.dim(), [0] * x.dim()
    for axis, start, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        before[axis], after[axis] = start, end
    flat = [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(a.get("mode", "constant"))
    if mode is None:
        raise ValueError(f"padding by {a['mode']}")
    if mode == "constant":
        return F.pad(x, flat, value=a.get("value", value) or 0)
    spatial = 2 * (x.dim() - 2)
    if any(flat[spatial:]):
        raise ValueError("padding of channels with other than a constant")
    return F.pad(x, flat[:spatial], mode=mode)


def _space_to_depth(a: Attributes, x: Any) -> Any:
    side = a["blocksize"]
    count, channels, height, width = x.shape
    cells = x.reshape(count, channels, height // side, side, width // side, side).permute(0, 3, 5, 1, 2, 4)
    return cells.reshape(count, channels * side**2, height // side, width // side)


def _concat(a: Attributes, *parts: Any) -> Any:
    return torch.cat(parts, a["axis"])


def _constant_of_shape(a: Attributes, shape: list[int]) -> Any:
    value = a.get("value")
    number = 0.0 if value is None else value.reshape(-1)[0].item()
    dtype = torch.float32 if value is None else torch.from_numpy(value.copy()).dtype
    return torch.full(shape, number, dtype=dtype)


SHAPE_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Identity": lambda a, x: x,
    "Dropout": lambda a, x, *rest: x,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Tile": lambda a, x, times: x.repeat(times),
    "Pad": _pad,
    "SpaceToDepth": _space_to_depth,
    "ConstantOfShape": _constant_of_shape,
    "Range": lambda a, start, end, step: torch.arange(start, end, step),
}

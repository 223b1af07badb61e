"""Convolutions on the CPU with their weights laid out beforehand, and the activation that follows done on the way.

Called plainly, PyTorch turns the weights into oneDNN's layout at every call: on the small, deep layers of a face
network that costs as much as the convolution. These are the operators that PyTorch's own compiler emits for CPUs;
where a version of it has none, or they refuse a layer, the plain call stays.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

Attributes = Mapping[str, Any]


class PackedConvolution:
    """A 2-D convolution of fixed weights and input size: see `pack`. `activate` adds what follows it."""

    def __init__(self, weight: Any, bias: Any, geometry: Sequence[Any]) -> None:
        self._weight, self._bias, self._geometry = weight, bias, tuple(geometry)
        self._activation: tuple[str, list[Any], str] = ("none", [], "")

    def activate(self, operator: str, attributes: Attributes) -> bool:
        """Do ONNX's `operator` on what comes out as well; False where that cannot be."""
        if operator == "Relu":
            self._activation = ("relu", [], "")
        elif operator == "LeakyRelu":
            self._activation = ("leaky_relu", [attributes.get("alpha", 0.01)], "")
        else:
            return False
        return True

    def __call__(self, attributes: Attributes, x: Any, *weights: Any) -> Any:
        x = x.contiguous(memory_format=torch.channels_last)
        run = torch.ops.mkldnn._convolution_pointwise
        return run(x, self._weight, self._bias, *self._geometry, *self._activation)


def pack(attributes: Attributes, shape: Sequence[int], weight: Any, bias: Any) -> Callable[..., Any] | None:
    """A convolution of (N, C, H, W) `shape` by constant `weight`; None where it must be called plainly."""
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    symmetric = pads[:2] == pads[2:] and attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    if weight.dim() != 4 or not symmetric:
        return None
    padding, stride = pads[:2], list(attributes.get("strides", [1, 1]))
    dilation, group = list(attributes.get("dilations", [1, 1])), attributes.get("group", 1)
    try:
        packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
            weight.to_mkldnn(), padding, stride, dilation, group, list(shape)
        )
        convolution = PackedConvolution(packed, bias, (padding, stride, dilation, group))
        convolution(attributes, torch.zeros(list(shape), dtype=weight.dtype))
    except (AttributeError, RuntimeError, TypeError):
        return None
    return convolution

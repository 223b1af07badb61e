"""Small convolutions that see the same values, as one.

Runtimes compute output channels in blocks (16 in ONNX Runtime and oneDNN with AVX-512, 8 with AVX2): heads of 3, 1
or 11 channels cost a block each, and what they read is laid out anew for each. Smaller filters get the side of
the largest by zeros around them. Exact.

Measured (AMD EPYC of the Zen 4 kind, one thread, processor time, before / after), ONNX Runtime 1.32 and OpenVINO
2026.4: First Order Motion's mask and occlusion (7 x 7, 108 to 11 and 1 channels) x1.88, x1.84; its key points and
Jacobians (7 x 7, 35 to 10 and 40) x1.21, x0.98; SAEHD's four pictures (1 x 1 and thrice 3 x 3, 128 to 3) x1.93, x1.86.
"""

from itertools import groupby

import numpy as np
import onnx_ir as ir

from export.graph.surgery import Array, Convolution, Patch, read_convolution

BLOCK = 16
MOST_OUTPUTS = 64
"""A convolution of more channels fills its blocks."""


def merge_siblings(model: ir.Model) -> int:
    """Merge every group of small convolutions of one value where blocks are saved."""
    found = [read_convolution(node) for node in model.graph]
    small = [each for each in found if each is not None and each.outputs <= MOST_OUTPUTS]
    order = {node: number for number, node in enumerate(model.graph)}
    small.sort(key=lambda each: (_family(each), order[each.node]))
    changed = 0
    for _, members in groupby(small, _family):
        family = list(members)
        if len(family) > 1 and _saves(family):
            _merge(family)
            changed += 1
    return changed


def _family(convolution: Convolution) -> tuple[object, ...]:
    """What members must share: their input, and how filters meet it."""
    keeps_size = convolution.is_plain(convolution.kernel[0]) and convolution.kernel[0] % 2 == 1
    way = (0,) if keeps_size else (*convolution.kernel, *convolution.strides, *convolution.pads)
    return convolution.source.name or "", keeps_size, way


def _saves(family: list[Convolution]) -> bool:
    if all(each.outputs % BLOCK == 0 for each in family):
        return False
    apart = sum(_blocks(each.outputs) * each.weight[0].size for each in family)
    largest = max(each.weight[0].size for each in family)
    together = _blocks(sum(each.outputs for each in family)) * largest
    return bool(together <= apart)


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK)


def _merge(family: list[Convolution]) -> None:
    first = family[0]
    side = max(each.kernel for each in family)
    patch = Patch(first.node)
    weight = np.concatenate([_grown(each.weight, side) for each in family])
    biases = [np.zeros(each.outputs, np.float32) if each.bias is None else each.bias for each in family]
    pads = max(each.pads for each in family)
    merged = patch.convolution(
        first.source, weight, np.concatenate(biases), "siblings", pads=list(pads), strides=list(first.strides)
    )
    sizes = patch.weight(np.array([each.outputs for each in family], np.int64), "sizes")
    parts = patch.nodes("Split", [merged, sizes], [f"part{number}" for number in range(len(family))], axis=1)
    patch.replace([each.result for each in family], parts)


def _grown(weight: Array, kernel: tuple[int, int]) -> Array:
    """The filters with zeros around them."""
    rows, columns = ((large - small) // 2 for large, small in zip(kernel, weight.shape[2:], strict=True))
    return np.pad(weight, ((0, 0), (0, 0), (rows, rows), (columns, columns)))

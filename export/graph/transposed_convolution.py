"""A transposed convolution that doubles a picture, as four convolutions, where that is faster.

Each place of a 2 x 2 cell of the result is a convolution of the small picture with every second tap of the
filter: as many products, but done by runtimes' best kernels instead of a product and a scatter. Exact.

Measured (AMD EPYC of the Zen 4 kind, one thread, processor time, before / after; 3 x 3 filters as Wav2Lip has): ONNX
Runtime 1.32 x1.6 (1024 to 512 channels, 3 px), x1.3 (768 to 384, 6 px), x1.1 (512 to 256, 12 px), x0.98
(320 to 128, 24 px), x0.94 (160 to 64, 48 px): joining the cells eats the gain of large pictures, so those stay.
OpenVINO 2026.4: x1.00 to x1.05.
"""

import numpy as np
import onnx_ir as ir

from export.graph.subpixel import PLACES, following_activation, interleave
from export.graph.surgery import Array, Convolution, Patch, picture_sides, read_convolution

LARGEST_SIDE = 16


def split_transposed_convolutions(model: ir.Model) -> int:
    """Rewrite every ConvTranspose with stride 2 that exactly doubles a picture of at most `LARGEST_SIDE`."""
    changed = 0
    for node in list(model.graph):
        convolution = read_convolution(node, "ConvTranspose")
        if convolution is not None and _fits(convolution):
            _rewrite(convolution)
            changed += 1
    return changed


def _fits(convolution: Convolution) -> bool:
    before, after = picture_sides(convolution.source), picture_sides(convolution.result)
    if before is None or after is None or convolution.strides != (2, 2) or max(before[1:]) > LARGEST_SIDE:
        return False
    if after[1:] != (2 * before[1], 2 * before[2]) or min(convolution.kernel) < 2:
        return False
    top, left = convolution.pads[:2]
    reach = [
        _taps(side, place, pad) for side, pad in zip(convolution.kernel, (top, left), strict=True) for place in (0, 1)
    ]
    return all(taps and max(taps) >= 0 >= min(taps) for taps in reach)


def _taps(side: int, place: int, pad: int) -> dict[int, int]:
    """The small pixels that pixel `2i + place` of the result sees, counted from i, and the tap it sees each by."""
    return {(place + pad - tap) // 2: tap for tap in range(side) if (place + pad - tap) % 2 == 0}


def _rewrite(convolution: Convolution) -> None:
    patch = Patch(convolution.node)
    activation = following_activation(convolution.result)
    top, left = convolution.pads[:2]
    pictures = []
    for row, column in PLACES:
        weight = convolution.weight.transpose(1, 0, 2, 3)
        weight, above, below = _choose(weight, _taps(convolution.kernel[0], row, top), axis=2)
        weight, before, after = _choose(weight, _taps(convolution.kernel[1], column, left), axis=3)
        pads = [above, before, below, after]
        pictures.append(
            patch.convolution(convolution.source, weight, convolution.bias, f"cell{row}{column}", pads=pads)
        )
    result = activation.outputs[0] if activation is not None else convolution.result
    patch.replace([result], [interleave(patch, pictures, activation)])


def _choose(weight: Array, taps: dict[int, int], axis: int) -> tuple[Array, int, int]:
    """Those taps along an axis, in the order of the pixels they meet, and how far they reach before and after."""
    met = sorted(taps)
    return np.take(weight, [taps[offset] for offset in met], axis), -met[0], met[-1]

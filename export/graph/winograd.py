"""3 x 3 convolutions by Winograd's minimal filtering, for runtimes that compute them tap by tap.

A tile of 4 x 4 pixels takes 36 products a pair of channels instead of 144: the tile's 6 x 6 surroundings and the
filter are transformed, multiplied, and the product is transformed back (F(4x4, 3x3) of Lavin and Gray, "Fast
Algorithms for Convolutional Neural Networks", CVPR 2016). All of it in plain ONNX: the transforms and the products of
the 36 places are matrix products. The filters stay in the file as they are; runtimes fold
their transform when they load it.

Exact algebra, but the numbers on the way are larger than the result and so is their rounding (see `POINTS`). So it is
not for half precision or bfloat16, nor for GPUs, whose libraries choose such algorithms themselves: a pass to ask for,
not a part of `tidy` without being asked.

Measured (AMD EPYC of the Zen 4 kind, one thread, processor time, before / after) with ONNX Runtime 1.32: 512 to 1024
channels, 28 px x2.05; 256 to 512, 56 px x2.04; 256 to 256, 64 px x1.8; 512 to 512, 12 px x1.28; 128 to 128, 48 px
x1.32; 64 to 64, 96 px x0.86 (left by the rule below).
"""

import numpy as np
import onnx_ir as ir

from export.graph.surgery import Array, Convolution, Patch, read_convolution, static_shape

TILE, SEEN = 4, 6
LEAST_GAIN = 1.2

POINTS = (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)
"""Where Toom and Cook's polynomials are evaluated, with infinity.

Of ten sets tried, the one with the smallest error: rms 1.4e-6 and worst 1.3e-5 for 256 channels of normal numbers,
where the usual 0, 1, -1, 2, -2 have 3.2e-6 and 7.6e-5. In ONNX Runtime: 1.1e-6 and 1.3e-5, the direct convolution
2e-7 and 1.4e-6.
"""


def _powers(count: int) -> Array:
    """(6, count): the powers of every point, and infinity's, which is the last power only."""
    finite = np.power.outer(np.array(POINTS, np.float64), np.arange(count))
    return np.vstack([finite, np.eye(1, count, count - 1)])


# Of a line: y = BACK ((FILTERS taps) * (SURROUNDINGS line)), with 6 values in, 3 taps and 4 values out.
FILTERS, BACK, SURROUNDINGS = _powers(3), _powers(TILE).T, np.linalg.inv(_powers(SEEN)).T

# A tile's surroundings in the order in which they are cut out: itself, then two columns of the tile to its right,
# two rows of the one below, and the corner.
CUTS = tuple((rows, columns) for rows in ((0, 4), (4, 2)) for columns in ((0, 4), (4, 2)))
ORDER = [(y + i, x + j) for (y, rows), (x, columns) in CUTS for i in range(rows) for j in range(columns)]


def use_winograd(model: ir.Model) -> int:
    """Rewrite every plain 3 x 3 convolution of one picture that should gain `LEAST_GAIN`."""
    changed = 0
    transformed: dict[ir.Value, ir.Value] = {}
    for node in list(model.graph):
        convolution = read_convolution(node)
        shape = static_shape(convolution.source) if convolution is not None else None
        if convolution is None or shape is None or shape[0] != 1 or not convolution.is_plain(3):
            continue
        height, width = shape[2:]
        if _gain(convolution, height, width) >= LEAST_GAIN:
            _rewrite(convolution, height, width, transformed)
            changed += 1
    return changed


def _gain(convolution: Convolution, height: int, width: int) -> float:
    """Time now over time then, by what the parts cost here: nanoseconds a pixel, fitted to the figures above."""
    inputs, outputs, pixels = convolution.inputs, convolution.outputs, height * width
    tiles = -(-height // TILE) * -(-width // TILE)
    covered = tiles * TILE * TILE / pixels
    now = (0.18 + 3.6 / pixels) * inputs * outputs
    then = (0.056 + 0.9 / tiles) * inputs * outputs + 5.7 * inputs + 3.3 * outputs
    return now / (then * covered)


def _rewrite(convolution: Convolution, height: int, width: int, transformed: dict[ir.Value, ir.Value]) -> None:
    patch = Patch(convolution.node)
    inputs, outputs = convolution.inputs, convolution.outputs
    down, across = -(-height // TILE), -(-width // TILE)
    if convolution.source not in transformed:
        transformed[convolution.source] = _surroundings(patch, convolution, height, width)
    places = SEEN * SEEN
    flat = convolution.weight.transpose(2, 3, 0, 1).reshape(9, outputs * inputs)
    filters = patch.node("MatMul", [_matrix(patch, FILTERS, "to_filters"), patch.weight(flat, "filters")], "spread")
    filters = _shaped(patch, filters, [places, outputs, inputs], "filters_by_place")
    product = patch.node("MatMul", [filters, transformed[convolution.source]], "products")
    product = _shaped(patch, product, [places, outputs * down * across], "products_by_place")
    result = patch.node("MatMul", [_matrix(patch, BACK, "to_pixels"), product], "tiles")
    result = _shaped(patch, result, [1, TILE * TILE * outputs, down, across], "tiles_by_pixel")
    result = patch.node("DepthToSpace", [result], "pixels", blocksize=TILE, mode="DCR")
    if (down * TILE, across * TILE) != (height, width):
        ends = [patch.weight(np.array(value), name) for value, name in (([0, 0], "from"), ([height, width], "to"))]
        result = patch.node("Slice", [result, *ends, patch.weight(np.array([2, 3]), "sides")], "cut")
    if convolution.bias is not None:
        result = patch.node("Add", [result, patch.weight(convolution.bias.reshape(1, -1, 1, 1), "bias")], "sum")
    patch.replace([convolution.result], [result])


def _surroundings(patch: Patch, convolution: Convolution, height: int, width: int) -> ir.Value:
    """What every tile sees, transformed: (36 places, channels, tiles)."""
    channels = convolution.inputs
    down, across = -(-height // TILE), -(-width // TILE)
    after = [(count + 1) * TILE - side - 1 for count, side in ((down, height), (across, width))]
    around = patch.weight(np.array([0, 0, 1, 1, 0, 0, *after]), "around")
    padded = patch.node("Pad", [convolution.source, around], "padded")
    blocks = patch.node("SpaceToDepth", [padded], "blocks", blocksize=TILE)
    blocks = _shaped(patch, blocks, [TILE, TILE, channels, down + 1, across + 1], "blocks_by_place")
    cuts = []
    for number, ((y, rows), (x, columns)) in enumerate(CUTS):
        first = [0, 0, y // TILE, x // TILE]
        last = [rows, columns, first[2] + down, first[3] + across]
        bounds = [patch.weight(np.array(v), f"{n}{number}") for v, n in ((first, "first"), (last, "last"))]
        cut = patch.node(
            "Slice", [blocks, *bounds, patch.weight(np.array([0, 1, 3, 4]), f"axes{number}")], f"cut{number}"
        )
        cuts.append(_shaped(patch, cut, [rows * columns, channels * down * across], f"seen{number}"))
    seen = patch.node("Concat", cuts, "seen", axis=0)
    by_order = np.stack([np.outer(SURROUNDINGS[:, y], SURROUNDINGS[:, x]).ravel() for y, x in ORDER], 1)
    matrix = patch.weight(by_order.astype(np.float32), "to_surroundings")
    spread = patch.node("MatMul", [matrix, seen], "surroundings")
    return _shaped(patch, spread, [SEEN * SEEN, channels, down * across], "surroundings_by_place")


def _matrix(patch: Patch, transform: Array, what: str) -> ir.Value:
    """A transform of lines as one of squares."""
    return patch.weight(np.kron(transform, transform).astype(np.float32), what)


def _shaped(patch: Patch, value: ir.Value, shape: list[int], what: str) -> ir.Value:
    return patch.node("Reshape", [value, patch.weight(np.array(shape), what + "_shape")], what)

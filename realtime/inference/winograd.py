"""3x3 convolutions with a quarter of the multiplications, as operators that every ONNX runtime has.

Winograd's minimal filtering F(4x4, 3x3): each 4x4 tile of the output comes from a 6x6 tile of the input, turned
by a fixed 36x36 matrix; there the convolution is a product for each of the 36 numbers, that is 36 products of
matrices; and a fixed 16x36 matrix turns the result back. (Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", 2016; matrices by Toom and Cook's construction.)

The matrices depend on five points of evaluation. The usual 0, ±1, ±2 lose four bits; 0, ±5/8, ±3/2 lose two: the
largest of 64 000 differences to float64 was 9e-6 where the usual points gave 3.6e-5 and outputs were of size 1.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from realtime.inference.session import Array
from realtime.inference.wire_writing import node_bytes

Matrix = npt.NDArray[np.float64]

TILE, SIDE = 4, 6  # of the output and of the input
OVER = SIDE - TILE
POINTS = (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)


def _toom_cook() -> tuple[Matrix, Matrix, Matrix]:
    """(input, filter, output): (6, 6), (6, 3), (4, 6) matrices; the last point is the one at infinity."""
    points = np.array(POINTS)
    turn_input, turn_filter, turn_output = np.zeros((SIDE, SIDE)), np.zeros((SIDE, 3)), np.zeros((TILE, SIDE))
    for row, point in enumerate(points):
        others = np.delete(points, row)
        turn_output[:, row] = point ** np.arange(TILE)
        turn_filter[row] = point ** np.arange(3) / np.prod(point - others)
        turn_input[row, : SIDE - 1] = np.poly(others)[::-1]
    turn_output[-1, -1] = turn_filter[-1, -1] = 1
    turn_input[-1] = np.poly(points)[::-1]
    return turn_input, turn_filter, turn_output


_INPUT, _FILTER, _OUTPUT = (np.kron(matrix, matrix) for matrix in _toom_cook())

# The order in which `nodes_of` puts the 36 numbers of an input tile: those of the tile's own 4x4 first, then what
# it borrows from its neighbours to the right, below, and below to the right.
_OWN, _MORE = range(TILE), range(TILE, SIDE)
_CORNERS = ((_OWN, _OWN), (_OWN, _MORE), (_MORE, _OWN), (_MORE, _MORE))
_ORDER = [SIDE * y + x for ys, xs in _CORNERS for y in ys for x in xs]


def matrices() -> dict[str, Array]:
    """The two fixed matrices by the names that `nodes_of` uses."""
    return {
        "winograd/input": np.ascontiguousarray(_INPUT[:, _ORDER], np.float32),
        "winograd/output": np.ascontiguousarray(_OUTPUT, np.float32),
    }


def turned_weights(weight: Array) -> Array:
    """(out, in, 3, 3) float32 -> (36, out, in) float32, worked out in float64."""
    outputs, inputs = weight.shape[:2]
    flat = weight.reshape(outputs * inputs, 9).astype(np.float64)
    return (_FILTER @ flat.T).reshape(SIDE * SIDE, outputs, inputs).astype(np.float32)


def nodes_of(
    x: str, y: str, weight: str, bias: str | None, shape: Sequence[int], outputs: int
) -> tuple[list[bytes], dict[str, Array]]:
    """The nodes that make `y` from `x`, an array of `shape` (1, C, H, W), with padding 1; and their constants.

    `weight` is the name of what `turned_weights` gives, `bias` that of a (1, out, 1, 1) array.
    """
    _, channels, height, width = shape
    down, across = -(-height // TILE), -(-width // TILE)
    whole = (height, width) == (down * TILE, across * TILE)
    constants: dict[str, Array] = {}

    def const(title: str, *values: int) -> str:
        constants[name(title)] = np.array(values, np.int64)
        return name(title)

    def name(title: str) -> str:
        return f"winograd/{y}/{title}"

    # One more row and column of tiles for what the last ones borrow: everything beyond the picture is zero.
    below, beside = (down + 1) * TILE - height - 1, (across + 1) * TILE - width - 1
    nodes = [
        node_bytes("Pad", [x, const("pads", 0, 0, 1, 1, 0, 0, below, beside)], [name("padded")]),
        node_bytes("SpaceToDepth", [name("padded")], [name("phases")], {"blocksize": TILE}),
        node_bytes(
            "Reshape",
            [name("phases"), const("grid", TILE, TILE, channels, down + 1, across + 1)],
            [name("cells")],
        ),
    ]
    parts = []
    for title, top, left in (("own", 0, 0), ("right", 0, 1), ("below", 1, 0), ("corner", 1, 1)):
        rows, columns = (OVER if top else TILE), (OVER if left else TILE)
        starts = const(f"{title}/starts", 0, 0, top, left)
        ends = const(f"{title}/ends", rows, columns, top + down, left + across)
        flat = const(f"{title}/flat", rows * columns, channels * down * across)
        axes = const("axes", 0, 1, 3, 4)
        nodes += [
            node_bytes("Slice", [name("cells"), starts, ends, axes], [name(title)]),
            node_bytes("Reshape", [name(title), flat], [name(f"{title}/rows")]),
        ]
        parts.append(name(f"{title}/rows"))
    tiles = down * across
    picture = name("picture") if bias or not whole else y
    nodes += [
        node_bytes("Concat", parts, [name("tiles")], {"axis": 0}),
        node_bytes("MatMul", ["winograd/input", name("tiles")], [name("turned")]),
        node_bytes("Reshape", [name("turned"), const("each", SIDE * SIDE, channels, tiles)], [name("in")]),
        node_bytes("MatMul", [weight, name("in")], [name("out")]),
        node_bytes("Reshape", [name("out"), const("all", SIDE * SIDE, outputs * tiles)], [name("flat")]),
        node_bytes("MatMul", ["winograd/output", name("flat")], [name("back")]),
        node_bytes("Reshape", [name("back"), const("last", 1, TILE * TILE * outputs, down, across)], [name("blocks")]),
        node_bytes("DepthToSpace", [name("blocks")], [picture], {"blocksize": TILE, "mode": "DCR"}),
    ]
    if not whole:
        cut = [const("cut/starts", 0, 0), const("cut/ends", height, width), const("cut/axes", 2, 3)]
        kept = name("kept") if bias else y
        nodes.append(node_bytes("Slice", [picture, *cut], [kept]))
        picture = kept
    if bias:
        nodes.append(node_bytes("Add", [picture, bias], [y]))
    return nodes, constants

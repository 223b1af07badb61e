"""An ONNX file with its large 3x3 convolutions done Winograd's way, for ONNX Runtime on a CPU in float32.

Done when a file is opened, not when it is exported: GPUs and low precisions are better served by the plain
convolutions, and the file stays as its maker wrote it. Only where shapes are static and written in the file, as
our exports write them, and only for layers where it was measured to be faster.
"""

import logging

import numpy as np

from realtime.errors import ModelError
from realtime.inference.onnx_file import FLOAT16
from realtime.inference.onnx_graph import Graph, Node, read_graph
from realtime.inference.session import Array
from realtime.inference.winograd import TILE, matrices, nodes_of, turned_weights
from realtime.inference.wire_writing import bytes_field, node_bytes, spans, tensor_bytes

log = logging.getLogger(__name__)

FLOAT32 = 1  # TensorProto.DataType
MODEL_GRAPH, GRAPH_NODE, GRAPH_TENSOR = 7, 1, 5  # field numbers of ModelProto and GraphProto

LEAST_INPUTS, LEAST_OUTPUTS, LEAST_WEIGHTS = 64, 96, 64 * 128
LEAST_TILES = 16
"""Below these the turning costs what the multiplications save. Times as fast on one core of a Zen 4, channels in and
out at pixels: 64 64 @ 224 0.9, 128 64 @ 96 1.0, 64 128 @ 96 1.3, 96 96 @ 64 1.3, 128 128 @ 32 1.3, 256 256 @ 16 1.4,
256 256 @ 24 1.5, 256 256 @ 64 1.7, 512 512 @ 16 1.9, 512 2048 @ 14 1.7, 384 384 @ 12 (nine tiles) 1.05."""

MAX_BYTES = (2 << 30) - (64 << 20)
"""The most that one ONNX file can be, its graph included: turned weights are four times as large."""


def with_quick_convolutions(data: bytes, name: str, max_bytes: int = MAX_BYTES) -> bytes:
    """The same network, or `data` itself where nothing can be gained or the graph cannot be read here.

    Layers are left as they are where the file would grow beyond `max_bytes`.
    """
    try:
        graph = read_graph(data, name)
    except ModelError:
        return data  # not one that is understood here: the runtime decides
    chosen = {number: found for number, node in enumerate(graph.nodes) if (found := _weights(graph, node)) is not None}
    size = len(data)
    for number in list(chosen):
        size += chosen[number][0].size * 4 * 4  # 36 numbers for 9, of four bytes
        if size > max_bytes:
            size -= chosen[number][0].size * 4 * 4
            del chosen[number]
    if not chosen:
        return data
    log.debug("%s: %d convolutions done Winograd's way", name, len(chosen))
    return _rewritten(data, graph, chosen)


def _weights(graph: Graph, node: Node) -> tuple[Array, Array | None] | None:
    """The weights and the bias of a convolution worth it, in float32; None for any other node."""
    if node.operator != "Conv" or len(node.inputs) < 2 or len(node.outputs) != 1:
        return None
    attributes = node.attributes
    usual = (
        attributes.get("pads") == [1, 1, 1, 1]
        and attributes.get("auto_pad", "NOTSET") == "NOTSET"
        and attributes.get("strides", [1, 1]) == [1, 1]
        and attributes.get("dilations", [1, 1]) == [1, 1]
        and attributes.get("group", 1) == 1
    )
    shape = _shape(graph, node.inputs[0])
    weight = _constant(graph, node.inputs[1])
    if not usual or weight is None or weight.ndim != 4 or weight.shape[2:] != (3, 3):
        return None
    if shape is None or len(shape) != 4:
        return None
    tiles = -(-shape[2] // TILE) * -(-shape[3] // TILE)
    outputs, inputs = weight.shape[:2]
    large = inputs >= LEAST_INPUTS and outputs >= LEAST_OUTPUTS and inputs * outputs >= LEAST_WEIGHTS
    if shape[0] != 1 or shape[1] != inputs or tiles < LEAST_TILES or not large:
        return None
    bias = _constant(graph, node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    if len(node.inputs) > 2 and node.inputs[2] and bias is None:
        return None
    return weight, bias


def _shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    """The static shape of a float32 or fp16 value; None of any other."""
    port = graph.stated.get(name)
    if port is None or port.dtype not in (np.float32, np.float16):
        return None
    return tuple(side or 0 for side in port.shape)


def _constant(graph: Graph, name: str) -> Array | None:
    """A stored float array as float32, also where it is stored as fp16 and cast; None for any other value."""
    value = graph.constants.get(name)
    if value is None and name in graph.cast_constants:
        value = graph.constants[graph.cast_constants[name]]
    if value is None or value.dtype not in (np.float32, np.float16):
        return None
    return value.astype(np.float32, copy=False)


def _rewritten(data: bytes, graph: Graph, chosen: dict[int, tuple[Array, Array | None]]) -> bytes:
    """The file with the chosen nodes replaced; everything else is passed on byte for byte."""
    used = {name for number, node in enumerate(graph.nodes) if number not in chosen for name in node.inputs}
    dropped = {name for number in chosen for name in graph.nodes[number].inputs[1:]} - used - set(graph.outputs)
    out: list[bytes | memoryview] = []
    for number, whole, content in spans(memoryview(data)):
        if number == MODEL_GRAPH:
            out.append(bytes_field(MODEL_GRAPH, _graph_bytes(content, graph, chosen, dropped)))
        else:
            out.append(whole)
    return b"".join(out)


def _graph_bytes(
    message: memoryview, graph: Graph, chosen: dict[int, tuple[Array, Array | None]], dropped: set[str]
) -> bytes:
    out: list[bytes | memoryview] = []
    stored = iter(graph.constants)
    constants: dict[str, Array] = dict(matrices())
    number = -1
    for field, whole, _ in spans(message):
        if field == GRAPH_TENSOR and next(stored) in dropped:
            continue
        number += field == GRAPH_NODE
        if field != GRAPH_NODE or number not in chosen:
            out.append(whole)
            continue
        node, (weight, bias) = graph.nodes[number], chosen[number]
        y = node.outputs[0]
        constants[f"winograd/{y}/weight"] = turned_weights(weight)
        if bias is not None:
            constants[f"winograd/{y}/bias"] = bias.reshape(1, -1, 1, 1)
        # A graph in fp16 is run in float32 on a CPU: ONNX Runtime takes casts away that only go there and back.
        half = graph.stated[node.inputs[0]].dtype == np.float16
        x, wide = (f"winograd/{y}/x", f"winograd/{y}/y") if half else (node.inputs[0], y)
        made, more = nodes_of(
            x,
            wide,
            f"winograd/{y}/weight",
            f"winograd/{y}/bias" if bias is not None else None,
            _shape(graph, node.inputs[0]) or (),
            weight.shape[0],
        )
        if half:
            before = node_bytes("Cast", [node.inputs[0]], [x], {"to": FLOAT32})
            made = [before, *made, node_bytes("Cast", [wide], [y], {"to": FLOAT16})]
        out += [bytes_field(GRAPH_NODE, content) for content in made]
        constants |= more
    out += [bytes_field(GRAPH_TENSOR, tensor_bytes(name, value)) for name, value in constants.items()]
    return b"".join(out)

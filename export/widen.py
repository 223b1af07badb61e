"""A graph of half-precision numbers as the same graph in float32, ready to be quantised or compared."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

HALF, FULL = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


def widen(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` that calculates in float32 throughout; float16 weights keep their (exact) values.

    Inputs and outputs that were float16 become float32 too. Casts that then do nothing are taken out.
    """
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    # What was inferred of the middle of the graph may say float16: it is inferred again below.
    del wide.graph.value_info[:]
    for graph in _graphs(wide.graph):
        for number, tensor in enumerate(graph.initializer):
            graph.initializer[number].CopyFrom(_full(tensor))
        for port in [*graph.input, *graph.output]:
            if port.type.tensor_type.elem_type == HALF:
                port.type.tensor_type.elem_type = FULL
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name in ("to", "dtype") and attribute.type == onnx.AttributeProto.INT:
                    attribute.i = FULL if attribute.i == HALF else attribute.i
                elif attribute.type == onnx.AttributeProto.TENSOR:
                    attribute.t.CopyFrom(_full(attribute.t))
    _drop_idle_casts(wide)
    return wide


def _full(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != HALF:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _drop_idle_casts(model: onnx.ModelProto) -> None:
    """Take out the casts of the main graph from float32 to float32; the names of inputs and outputs stay."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    full = {
        port.name
        for port in [*graph.value_info, *graph.input, *graph.output]
        if port.type.tensor_type.elem_type == FULL
    } | {tensor.name for tensor in graph.initializer if tensor.data_type == FULL}
    given = {port.name for port in model.graph.output}
    fixed = given | {port.name for port in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    for cast in [node for node in model.graph.node if node.op_type == "Cast"]:
        source, made = cast.input[0], cast.output[0]
        if source not in full or made not in full:
            continue
        if made not in given:
            _rename(model.graph, made, source)
        elif source not in fixed:
            _rename(model.graph, source, made)
        else:  # an output that is an input, a weight or another output: something must carry the name
            continue
        model.graph.node.remove(cast)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for inner in _graphs(graph):
        for node in inner.node:
            for names in (node.input, node.output):
                for number, name in enumerate(names):
                    if name == old:
                        names[number] = new

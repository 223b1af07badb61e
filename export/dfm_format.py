"""Rewrites a swap network to the .dfm format, as DeepFaceLab itself exports it for DeepFaceLive and facefusion.

DeepFaceLab writes opset 12 and IR version 7, and programs that read .dfm files bring runtimes of their day along. Only
operators that these networks need are known; a graph with any other is refused. (onnx's own converter has no step for
Pow from 15 to 14.) Names, layout and order of the outputs are those of `export.networks.autoencoder.DfmLayout`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

from realtime.errors import ModelError
from realtime.inference.providers import first_line
from realtime.text import printable

OPSET = 12
IR_VERSION = 7


def to_dfm(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph in opset 12, IR version 7; a new model. Raises ModelError where that cannot be done."""
    old = onnx.ModelProto()
    old.CopyFrom(model)
    constants = _constants(old)
    for node in old.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in _STEPS:
            raise ModelError(f"a .dfm cannot hold the operator {printable(node.op_type, 40)}: export a bundle instead")
        _STEPS[node.op_type](node, constants)
    used = {name for node in old.graph.node for name in node.input}
    kept = [tensor for tensor in old.graph.initializer if tensor.name in used]
    del old.graph.initializer[:]
    old.graph.initializer.extend(kept)
    del old.graph.value_info[:]  # of the newer version; what is left out is worked out anew
    del old.opset_import[:]
    old.opset_import.append(helper.make_opsetid("", OPSET))
    old.ir_version = IR_VERSION
    old.producer_name, old.producer_version = "masquerade", ""
    try:
        onnx.checker.check_model(old, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the .dfm is no valid ONNX ({printable(first_line(error), 120)}): report it") from error
    return old


_Constants = Mapping[str, onnx.TensorProto]
_Step = Callable[[NodeProto, _Constants], None]


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Everything that is known before the graph runs, by name."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    found[node.output[0]] = attribute.t
    return found


def _drop(node: NodeProto, name: str) -> None:
    """Drops an attribute that came later, here at the value that says what was always so."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _reshape(node: NodeProto, constants: _Constants) -> None:
    """`allowzero` is for shapes that hold a zero, which none here does."""
    shape = constants.get(node.input[1])
    zero = any(attribute.name == "allowzero" and attribute.i for attribute in node.attribute)
    if zero and (shape is None or 0 in numpy_helper.to_array(shape)):
        raise ModelError("a .dfm cannot hold a Reshape to nothing: export a bundle instead")
    _drop(node, "allowzero")


def _axes_as_attribute(node: NodeProto, constants: _Constants) -> None:
    """Axes were an attribute before they were an input."""
    _drop(node, "noop_with_empty_axes")
    if len(node.input) < 2 or not node.input[1]:
        return
    axes = constants.get(node.input[1])
    if axes is None:
        raise ModelError(f"a .dfm cannot hold a {node.op_type} of axes that change: export a bundle instead")
    numbers = [int(axis) for axis in np.atleast_1d(numpy_helper.to_array(axes))]
    first = node.input[0]
    del node.input[:]
    node.input.append(first)
    node.attribute.append(helper.make_attribute("axes", numbers))


_SAME = (
    "Add Cast Concat Constant Conv Cos DepthToSpace Div Flatten Gemm LeakyRelu Less LessOrEqual MatMul Mul Not Pow "
    "Reciprocal Sigmoid Sqrt Sub Transpose Where"
)
"""Operators that mean the same in both versions, as these networks use them."""
_STEPS: Mapping[str, _Step] = MappingProxyType(
    dict.fromkeys(_SAME.split(), lambda node, constants: None)
    | dict.fromkeys(("Unsqueeze", "Squeeze", "ReduceMean", "ReduceSum"), _axes_as_attribute)
    | {"Reshape": _reshape}
)

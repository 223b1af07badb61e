"""Weights stored as float16 and turned to float32 when a runtime loads them: half the file, float32 arithmetic.

The recipe of the face networks stores its weights so (`trained_models.recipes.tflite_to_onnx`). ONNX Runtime and
OpenVINO fold the Casts as they load.
"""

import numpy as np
import onnx
import onnx_ir as ir

from export.graph.half import HALF, LARGEST
from export.graph.surgery import is_float

FEWEST = 256
"""Numbers below which a Cast costs more bytes than it saves."""


def weights_to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose float32 weights are stored as float16, each with a Cast after it.

    What the rounding changes is to be measured by who calls this. A weight stays where one of its numbers is
    beyond float16, or where the graph gives it out as it is.
    """
    copy = ir.from_proto(model)
    graph = copy.graph
    first = next(iter(graph), None)
    for value in list(graph.initializers.values()):
        tensor = value.const_value
        if first is None or tensor is None or not is_float(value) or tensor.size < FEWEST or value.is_graph_output():
            continue
        numbers = tensor.numpy()
        if np.abs(numbers).max() > LARGEST or not np.isfinite(numbers).all():
            continue
        half = ir.val(
            f"{value.name}_half", const_value=ir.tensor(numbers.astype(np.float16), name=f"{value.name}_half")
        )
        assert half.dtype == HALF
        graph.register_initializer(half)
        full = ir.val(f"{value.name}_full", ir.DataType.FLOAT)
        full.shape = value.shape
        graph.insert_before(
            first, ir.node("Cast", [half], {"to": ir.DataType.FLOAT}, outputs=[full], name=f"Cast_{value.name}")
        )
        value.replace_all_uses_with(full)
        del graph.initializers[value.name or ""]
    return ir.to_proto(copy)

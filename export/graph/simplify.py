"""The same graph without what need not be computed at run time.

By onnxscript's optimizer (MIT, by the makers of PyTorch's exporter): constants folded, batch norms folded into
the convolutions before them, idle casts, identities and dropouts taken out, equal nodes merged, dead ones
dropped. onnxslim (MIT) leaves our networks with as many nodes (152, 137 and 108 of First Order Motion's frame,
Wav2Lip and a SAEHD df-udt), so it is not needed beside it.
"""

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer

LARGEST = 1 << 30
"""Numbers in a constant up to which it is folded: weights too, above all those stored as float16."""


def simplify(model: ir.Model) -> None:
    """Simplify in place. Names, shapes and order of inputs and outputs stay."""
    # An initializer that is an input too could be overridden by whoever runs the graph: here nobody does.
    common.RemoveInitializersFromInputsPass()(model)
    optimizer.optimize_ir(model, input_size_limit=LARGEST, output_size_limit=LARGEST)
    sweep(model)


def sweep(model: ir.Model) -> None:
    """Drop nodes and weights that lead to no output, order the rest, and infer every shape again."""
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    common.ShapeInferencePass()(model)

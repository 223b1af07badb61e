"""Graphs made faster, smaller or half as precise, without a change to what they compute or how they are called.

`tidy` is for every export: simplified, and with the operators that are slow in runtimes written in ones that are
fast. What each rewrite gains is in its file; where a pass does not find what it knows, it leaves the graph alone.
`to_fp16` is for runtimes that calculate in float16, `rounded` shows on any CPU what such arithmetic gives,
`weights_to_fp16` is for small files.

Whole networks, processor time before / after `tidy` and `tidy(winograd=True)` (AMD EPYC of the Zen 4 kind, shared with
others, alternating; ONNX Runtime 1.32 on one thread, on two, OpenVINO 2026.4 in float32 on one):

    First Order Motion, a frame, 256 px    x1.19 x1.83    x1.19 x1.70    x1.23 x1.99
    First Order Motion, key points         x1.19 x1.18    x1.18 x1.19    x1.16 x1.22
    Wav2Lip 96                             x1.02 x1.13    x0.98 x1.09    x1.03 x1.16
    SAEHD df-ud 224, 64 dims               x1.02 x1.54    x1.04 x1.51    x1.04 x1.66

The outputs (0..1) differ by at most 4e-6, with `winograd` 1e-5 in ONNX Runtime.
"""

import onnx
import onnx_ir as ir

from export.graph.doubled_convolution import split_doubled_convolutions
from export.graph.half import to_fp16
from export.graph.half_storage import weights_to_fp16
from export.graph.narrow_convolution import widen_narrow_convolutions
from export.graph.prelu import rewrite_prelu
from export.graph.rounded import rounded
from export.graph.sibling_convolutions import merge_siblings
from export.graph.simplify import simplify, sweep
from export.graph.small_products import write_out_small_products
from export.graph.transposed_convolution import split_transposed_convolutions
from export.graph.winograd import use_winograd

__all__ = ["PASSES", "rounded", "tidy", "to_fp16", "weights_to_fp16"]

PASSES = (
    rewrite_prelu,
    write_out_small_products,
    merge_siblings,
    split_doubled_convolutions,
    split_transposed_convolutions,
    widen_narrow_convolutions,
)
OLDEST_OPSET = 18
"""Of the operators that the passes write (Split with `num_outputs`): older graphs are simplified only."""


def tidy(model: onnx.ModelProto, *, winograd: bool = False) -> onnx.ModelProto:
    """A simplified, faster copy of a float32 graph with the same inputs and outputs.

    The results differ by rounding only. `winograd` makes it a graph for ONNX Runtime on plain CPUs, in float32: large
    convolutions by Winograd's algorithm (see `export.graph.winograd` for what it gains and where it must not run).
    Weights stored as float16 become float32: store them in half afterwards (`weights_to_fp16`).
    """
    graph = ir.from_proto(model)
    simplify(graph)
    if graph.graph.opset_imports.get("", 0) >= OLDEST_OPSET:
        for rewrite in (*PASSES, use_winograd) if winograd else PASSES:
            if rewrite(graph):
                sweep(graph)
    return ir.to_proto(graph)

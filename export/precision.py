"""A float32 graph in the precision that was asked for, where that does no harm.

What finds key points stays in float32: it is a small part of the work, and its errors shake the whole picture (the
softmax over its heat maps multiplies logits by ten: 0.003 of -1..1 in float16, on the recorded random weights).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from export.families import Part, Plan
from export.graph import to_fp16
from export.int8_bundle import HEAVY, Int8Bundle
from export.int8_graph import Form
from export.int8_plan import Say
from export.parity import Precision
from export.request import Request

COMPARISONS = frozenset({"Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
"""They stay in float32: in float16 AMP's morph would cut at another channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """A graph in its final precision, the part to compare it with, and what is to be recorded about it.

    The part's samples suit the precision: noise would not do for int8, which is calibrated on faces.
    """

    model: onnx.ModelProto
    part: Part
    precision: Precision
    facts: Mapping[str, Any]


class Caster:
    """Casts the graphs of one plan; what int8 needs to be calibrated on is read once for all of them.

    `say` is called with a line for each step of what takes long.
    """

    def __init__(self, plan: Plan, request: Request, say: Say = lambda line: None) -> None:
        self._asked = request.precision
        form: Form = "tensorrt" if request.engine else "cpu"
        self._int8 = Int8Bundle(plan, folder=request.calibration, form=form, say=say)

    def __call__(self, model: onnx.ModelProto, part: Part) -> Cast:
        """`model` is the float32 graph of `part`. Raises ModelError where int8 is not good enough."""
        if self._asked == "fp16" and (part.file in HEAVY or not part.file):
            return Cast(to_fp16(model, {node.op_type for node in model.graph.node} & COMPARISONS), part, "fp16", {})
        if self._asked == "int8":
            done = self._int8.quantised(model, part)
            precision: Precision = "fp32" if done.facts["precision"] == "fp32" else "int8"
            return Cast(done.model, done.part, precision, done.facts)
        return Cast(model, part, "fp32", {})

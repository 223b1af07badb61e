"""Converts a float32 graph to the precision that was asked for, where that does no harm."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx

from export.calibration import faces_for_calibration, feeds_of
from export.half import to_fp16
from export.int8 import Say, quantise
from export.options import ExportOptions
from export.parity import Precision
from export.plan import ExportPlan, NetworkSpec


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A graph in its final precision, the spec to compare it with, and what is to be recorded about it.

    The spec's samples suit the precision: int8 is calibrated for faces, and compared on faces held out from that.
    """

    model: onnx.ModelProto
    spec: NetworkSpec
    precision: Precision
    facts: Mapping[str, Any]


def convert_precision(
    model: onnx.ModelProto, spec: NetworkSpec, plan: ExportPlan, options: ExportOptions, say: Say
) -> Converted:
    """Converts the float32 graph of `spec`, a network of `plan`; what is not `heavy` stays as it is.

    `say` is called with a line for each step of what takes long. Raises ModelError where int8 would not be good
    enough, ConfigError for a calibration folder without enough faces.
    """
    if options.precision == "fp32" or not spec.heavy:
        return Converted(model, spec, "fp32", {})
    if options.precision == "fp16":
        return Converted(to_fp16(model), spec, "fp16", {})
    faces = faces_for_calibration(options.calibration)
    done = quantise(
        model,
        feeds_of(plan, spec, faces.used, lit=True),
        spec.outputs,
        shown_by=spec.shown_by,
        form="tensorrt" if options.engine else "cpu",
        say=lambda line: say(f"{spec.file}: {line}"),
    )
    held_out = feeds_of(plan, spec, faces.held_out, lit=False)
    facts = {**done.facts, "held_out_samples": len(held_out), "calibrated_on": faces.source}
    return Converted(done.model, replace(spec, samples=lambda count: list(held_out)), "int8", facts)

"""An fp32 network with its heavy layers in int8, if it stays good enough that way.

Ranges come from calibration samples; which layers can be int8 is measured on some of them; the verdict is
given on samples held out from both. Nothing here is random and nothing is timed: the same samples give the
same network, byte for byte.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from export.int8_graph import OPERATORS, Form, Placer
from export.int8_judge import Judge, Limit, psnr_db, runner
from export.int8_layers import find_layers, named
from export.int8_plan import BUDGET, Plan, Planner, Say
from export.int8_probe import Probe
from export.int8_ranges import Feed, spreads
from export.widen import widen
from realtime.errors import ModelError
from realtime.text import printable

LEAST_OPSET = 13
"""The first with a scale for each channel."""

PLANNED_ON = 4
"""Of the calibration samples, evenly taken, the planner measures its plans on so many; where there are three
times as many or more, ranges are not taken from these, so that the planner sees what too narrow ranges do."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """The int8 network, and what is to be said of it: `facts` is for a sidecar file, plain values only."""

    model: onnx.ModelProto
    facts: dict[str, Any]


def quantise(
    model: onnx.ModelProto,
    samples: Sequence[Feed],
    *,
    held_out: Sequence[Feed],
    limit: Limit | None = None,
    form: Form = "cpu",
    keep: Collection[str] = (),
    say: Say = lambda line: None,
    budget: float = BUDGET,
) -> Quantised:
    """`model` (fp32, or fp16 as in a bundle) with static shapes, in int8 where it can be.

    `samples` and `held_out`: feeds by input name, no sample in both. `form`: see `export.int8_graph`. `keep`:
    nodes, by name, that stay fp32 whatever they cost. `say` is called with a line for each step; `budget`: how long
    the search may take, see `export.int8_plan`.
    Raises ModelError, in one line, where an output falls below its limit on the held-out samples, where too
    little of the work could be int8 to be worth it, and for a model that can't be quantised at all.
    """
    limit = limit or Limit()
    if not samples or not held_out:
        raise ModelError("int8 needs samples to calibrate with and others to be judged by: give pictures for both")
    exact = named(widen(_checked(model)))
    unknown = set(keep) - {node.name for node in exact.graph.node}
    if unknown:
        raise ModelError(
            f"there is no node {printable(sorted(unknown)[0], 60)!r} to keep in fp32: name one of its nodes"
        )
    layers = [layer for layer in find_layers(exact, OPERATORS[form]) if layer.node not in keep]
    if not layers:
        raise ModelError("the model has no layer that int8 could speed up: keep it in fp32 or fp16")
    placer = Placer(exact, layers, form)
    probe = Probe(exact, placer)
    every = max(1, len(samples) // PLANNED_ON)
    judge = Judge(exact, samples[::every][:PLANNED_ON], limit.seen)
    ranged = [feed for n, feed in enumerate(samples) if n % every] if every >= 3 else samples
    say(f"int8: ranges of {len(probe.tensors)} tensors on {len(ranged)} samples")
    found = spreads(exact, probe.tensors, ranged)
    plan = Planner(placer, probe, found, judge, limit, say=lambda line: say(f"int8: {line}"), budget=budget).plan()
    work = sum(placer.layers[node].work for node in plan.chosen)
    if work < limit.least_work:
        raise ModelError(
            f"only {work:.0%} of the work can be int8 within the limit (wanted {limit.least_work:.0%}): "
            "keep this model in fp16, give more calibration pictures, or allow a lower PSNR"
        )
    say(f"int8: {len(plan.chosen)} of {len(layers)} layers, {work:.0%} of the work; judged on {len(held_out)} others")
    made = placer.place(plan.chosen, plan.ranges)
    errors = Judge(exact, held_out, limit.seen).errors(runner(made))
    for output, error in errors.items():
        if not psnr_db(error) >= limit.of(output):
            raise ModelError(
                f"int8 gives {output!r} with {psnr_db(error)} dB PSNR against fp32 on samples held out, the limit is "
                f"{limit.of(output)}: keep this model in fp16, or give more calibration pictures"
            )
    _finish(made)
    return Quantised(made, _facts(exact, plan, work, errors, limit, form, len(samples), len(held_out)))


def _checked(model: onnx.ModelProto) -> onnx.ModelProto:
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < LEAST_OPSET:
        raise ModelError(f"its ONNX opset is {opset}, int8 needs {LEAST_OPSET} or later: export the model again")
    if any(node.op_type == "DequantizeLinear" for node in model.graph.node):
        raise ModelError("the model is quantised already: give the fp32 or fp16 file")
    return model


def _finish(model: onnx.ModelProto) -> None:
    """Leave no trace but the network itself, and check it."""
    model.producer_name, model.producer_version = "masquerade", ""
    onnx.checker.check_model(model, full_check=True)


def _facts(
    exact: onnx.ModelProto,
    plan: Plan,
    work: float,
    errors: Mapping[str, float],
    limit: Limit,
    form: Form,
    samples: int,
    held_out: int,
) -> dict[str, Any]:
    known = {layer.node for layer in find_layers(exact, OPERATORS["tensorrt"])}
    return {
        "precision": "int8",
        "form": form,
        "work_in_int8": round(work, 3),
        "layers_in_int8": len(plan.chosen),
        "kept_in_fp32": sorted(known - set(plan.chosen)),
        "psnr_db": {name: psnr_db(error) for name, error in errors.items()},
        "limit_db": {name: limit.of(name) for name in errors},
        "calibration_samples": samples,
        "held_out_samples": held_out,
        "from_sha256": hashlib.sha256(exact.SerializeToString(deterministic=True)).hexdigest(),
    }

"""Networks in int8 by ONNX Runtime's static quantisation, in as many layers as the quality limits allow.

Weights are symmetric, with a scale for each channel, in 7 bits: x86 CPUs without VNNI add two products of uint8 and
int8 in 16 bits, where 2 x 255 x 64 = 32640 fits and 8 bits of weight overflow unseen. So a file computes the same on
every CPU.

Two forms, as no one graph suits both. `cpu`: uint8 values, int32 biases, a layer's result rounded too, because ONNX
Runtime multiplies in integers only between two pairs of Q and DQ. `tensorrt`: values symmetric about 0, float biases,
a pair before each layer only; TensorRT rejects zero points and int32 biases.
"""

import math
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from export.parity import Feed, Kind, compare
from realtime.errors import ModelError
from realtime.inference.ort import open_session

Form = Literal["cpu", "tensorrt"]
Say = Callable[[str], None]

LAYERS: Mapping[Form, tuple[str, ...]] = MappingProxyType(
    {
        "cpu": ("Conv", "Gemm", "MatMul"),  # ONNX Runtime's CPU provider has no transposed convolution in integers
        "tensorrt": ("Conv", "ConvTranspose", "Gemm", "MatMul"),
    }
)
LEAST_SHARE = 0.002
"""A layer with a smaller share of the work is not worth the error of rounding it."""
LEAST_WORK = 0.5
"""The share of the work that must be int8 to be worth having."""
WORK_OF_A_WEIGHT = 16
"""Multiply-adds that take as long as fetching one weight: dense layers use each of theirs once."""
MARGIN = 10**-0.1
"""Layers are chosen on other samples than the result is judged by: it has to be 1 dB better there."""
CHOSEN_ON = 4
"""Samples on which a choice of layers is measured; a layer alone on one of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """An int8 network; `facts` are plain values for a record."""

    model: onnx.ModelProto
    facts: Mapping[str, Any]


def quantise(
    model: onnx.ModelProto,
    samples: Sequence[Feed],
    outputs: Mapping[str, Kind] | None,
    *,
    shown_by: Mapping[str, str] = MappingProxyType({}),
    form: Form = "cpu",
    say: Say = lambda line: None,
) -> Quantised:
    """Quantises a float32 network of static shapes, calibrated on `samples` (feeds by input name).

    As many layers become int8 as keep `outputs` within `export.parity.LIMITS`; None asks for all of them, whatever
    it costs. Raises ModelError where too little of the work could be int8 to be worth it.
    """
    exact = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for number, node in enumerate(exact.graph.node):
        node.name = node.name or f"{node.op_type}:{number}"
    work = _work(exact, LAYERS[form])
    if not work or not samples:
        raise ModelError("int8 needs layers that it could speed up and samples to calibrate with: export it in fp16")
    say(f"int8: ranges measured on {len(samples)} samples")
    ranges = _ranges(exact, samples)
    chosen = list(work)
    if outputs is not None:
        judged = samples[:: max(1, len(samples) // CHOSEN_ON)][:CHOSEN_ON]
        reference = open_session(exact.SerializeToString(), provider="cpu")

        def strain(nodes: Collection[str], count: int | None) -> float:
            candidate = _rounded(exact, nodes, ranges, form).SerializeToString()
            with closing(open_session(candidate, provider="cpu")) as session:
                return compare(reference, session, judged[:count], outputs, shown_by).strain("int8")

        with closing(reference):
            chosen = _choose(work, strain, say)
    share = sum(work[node] for node in chosen)
    if share < LEAST_WORK:
        raise ModelError(
            f"only {share:.0%} of the work can be int8 within the limits (least is {LEAST_WORK:.0%}): export it "
            "with --precision fp16, or give more pictures with --calibration"
        )
    made = _rounded(exact, chosen, ranges, form)
    made.producer_name, made.producer_version = "masquerade", ""
    onnx.checker.check_model(made, full_check=True)
    facts = {
        "form": form,
        "work_in_int8": round(share, 3),
        "layers_in_int8": len(chosen),
        "kept_in_fp32": sorted(set(work) - set(chosen)),
        "calibration_samples": len(samples),
    }
    say(f"int8: {len(chosen)} of {len(work)} layers, {share:.0%} of the work")
    return Quantised(made, facts)


def _work(model: onnx.ModelProto, operators: Collection[str]) -> dict[str, float]:
    """By node name: the share of the work of every layer of constant weights that is worth rounding."""
    weights = {t.name: math.prod(t.dims) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}
    shapes = {
        port.name: [side.dim_value for side in port.type.tensor_type.shape.dim]
        for port in [*model.graph.value_info, *model.graph.input, *model.graph.output]
    }
    costs: dict[str, tuple[str, int]] = {}
    for node in model.graph.node:
        if node.op_type not in LAYERS["tensorrt"] or node.input[1] not in weights or node.input[0] in weights:
            continue
        places = shapes[node.input[0] if node.op_type == "ConvTranspose" else node.output[0]]
        uses = math.prod(places) // (places[1] if node.op_type.startswith("Conv") else places[-1])
        costs[node.name] = (node.op_type, weights[node.input[1]] * (uses + WORK_OF_A_WEIGHT))
    total = sum(cost for _, cost in costs.values())
    return {
        name: cost / total
        for name, (operator, cost) in costs.items()
        if operator in operators and cost >= LEAST_SHARE * total
    }


class _Reader(CalibrationDataReader):
    """Samples one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, samples: Sequence[Feed]) -> None:
        self._samples = iter(samples)

    def get_next(self) -> dict[str, Any] | None:
        feed = next(self._samples, None)
        return None if feed is None else dict(feed)


def _ranges(model: onnx.ModelProto, samples: Sequence[Feed]) -> Any:
    """The lowest and highest value of every tensor around layers, over all samples."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        onnx.save(model, file)
        calibrator = create_calibrator(
            file,
            [*LAYERS["tensorrt"], "Relu"],
            augmented_model_path=str(Path(folder, "augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of ranges that are no numbers, which are refused below
            calibrator.collect_data(_Reader(samples))
        found = calibrator.compute_data()
        del calibrator  # it holds the files
    for name, range_ in found.items():
        if not np.isfinite([*np.ravel(range_.range_value[0]), *np.ravel(range_.range_value[1])]).all():
            raise ModelError(f"{name!r} takes values that are no numbers on a sample: keep this model in fp32")
    return found


def _rounded(exact: onnx.ModelProto, chosen: Collection[str], ranges: Any, form: Form) -> onnx.ModelProto:
    """A copy of the network with the layers `chosen`, by node name, in int8."""
    copy = onnx.ModelProto()
    copy.CopyFrom(exact)
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in copy.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    nodes = list(chosen)
    extra: dict[str, Any] = {"WeightSymmetric": True, "MatMulConstBOnly": True}
    if form == "tensorrt":
        outputs = list(LAYERS[form])
        extra |= {"ActivationSymmetric": True, "QuantizeBias": False, "OpTypesToExcludeOutputQuantization": outputs}
    else:  # a ReLU after a layer is a part of it: the range of what the layer gives ends at 0
        made = {node.output[0] for node in copy.graph.node if node.name in chosen}
        nodes += [
            each[0].name for name, each in users.items() if name in made and [u.op_type for u in each] == ["Relu"]
        ]
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if form == "tensorrt" else QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=[*LAYERS[form], "Relu"],
        extra_options=extra,
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    del result.graph.value_info[:]
    return result


def _choose(work: Mapping[str, float], strain: Callable[[Collection[str], int | None], float], say: Say) -> list[str]:
    """The layers that can be int8 together: those that err most for the work they save stay in float32."""
    every = list(work)
    if strain(every, None) <= MARGIN:
        return every
    say(f"int8: all {len(every)} layers err too much; each is measured alone")
    alone = {node: strain([node], 1) for node in every}
    order = sorted(every, key=lambda node: -alone[node] / work[node])
    fails, holds = 0, len(order)  # fewer layers in int8 err less, very nearly always: halve the interval
    while holds - fails > 1:
        middle = (fails + holds) // 2
        if strain([node for node in every if node not in order[:middle]], None) <= MARGIN:
            holds = middle
        else:
            fails = middle
    return [node for node in every if node not in order[:holds]]

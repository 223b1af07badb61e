"""A trained network written as ONNX, in float32 and with half-precision weights, and run again to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.quiet_torch import quietly

OPSET = 20
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the ONNX files are to the network: the fp32 file's largest difference, the fp16 file's PSNR (of 1)."""

    worst: float
    half_psnr_db: float

    @classmethod
    def of(cls, worst: float, squares: Sequence[float], *, tolerance: float, least_psnr_db: float) -> "Parity":
        """From the largest difference and the mean squared ones. Raises ValueError where they are beyond the bounds."""
        parity = cls(worst, float(10 * np.log10(1 / max(float(np.mean(squares)), 1e-12))))
        if parity.worst > tolerance or parity.half_psnr_db < least_psnr_db:
            raise ValueError(f"the export differs from the network: {parity}")
        return parity


def written(
    module: torch.nn.Module,
    blank: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    kept_whole: Sequence[str] = (),
) -> tuple[bytes, bytes]:
    """A module as an ONNX file, in float32 and with half-precision weights; both take and give float32.

    `blank`: inputs of the right shapes; `kept_whole`: operators that stay in float32. Raises ValueError.
    """
    with quietly():
        program = torch.onnx.export(
            module,
            blank,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch gave no ONNX program")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    full = model.SerializeToString()
    blocked = list(kept_whole) or None  # None stands for the converter's own list
    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=blocked))
    half.topological_sort()
    _strip(half.model)
    return full, half.model.SerializeToString()


def answers(model: bytes, outputs: Sequence[str], feed: Mapping[str, Floats]) -> list[Floats]:
    """What an ONNX file gives on a CPU."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(list(outputs), dict(feed)))


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold source paths of the machine it ran on, and check the rest."""
    graph = model.graph
    model.ClearField("metadata_props")
    for part in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.checker.check_model(model)

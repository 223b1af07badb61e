"""Exports a trained network to ONNX with half-precision weights, and measures how near the files are to it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import Tensor, nn

from export.parity import Feed, Kind, compare
from export.plan import NetworkSpec
from export.to_onnx import quietly
from realtime.inference.ort import open_session

OPSET = 20


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the files are to the network: the float32 one's largest difference, the other one's least PSNR."""

    worst: float
    half_psnr_db: float

    def __str__(self) -> str:
        return f"fp32 within {self.worst:.1e} of PyTorch, fp16 {self.half_psnr_db:.1f} dB PSNR"


def export_halves(
    module: nn.Module,
    samples: Sequence[tuple[Tensor, ...]],
    inputs: Sequence[str],
    outputs: Mapping[str, Kind],
    *,
    tolerance: float = 1e-4,
    least_psnr_db: float = 50.0,
    kept_whole: Sequence[str] = (),
) -> tuple[bytes, Parity]:
    """An ONNX file with half-precision weights that takes and gives float32, and its parity.

    `samples`: real inputs to measure on, each in the order of `inputs`. Of `outputs` the pictures' PSNR counts.
    `kept_whole`: operators that stay in float32. Raises ValueError where a file differs by more than the bounds.
    """
    plain = copy.deepcopy(module).to(memory_format=torch.contiguous_format).eval()
    with quietly():
        program = torch.onnx.export(
            plain,
            tuple(torch.zeros_like(given) for given in samples[0]),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch gave no ONNX program")
    model: onnx.ModelProto = program.model_proto
    full = _stripped(model)
    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=list(kept_whole) or None))
    half.topological_sort()
    small = _stripped(half.model)
    feeds: list[Feed] = [dict(zip(inputs, (tensor.numpy() for tensor in given), strict=True)) for given in samples]
    reference = NetworkSpec("", plain, tuple(inputs), outputs, lambda count: feeds[:count], frozenset())
    exact, rounded = (
        compare(reference, open_session(file, provider="cpu"), feeds, outputs).differences for file in (full, small)
    )
    psnrs = [found.psnr_db for found in rounded if found.psnr_db is not None]
    parity = Parity(max(found.worst for found in exact), min(psnrs))
    if not (parity.worst <= tolerance and parity.half_psnr_db >= least_psnr_db):
        raise ValueError(f"the export differs from the network: {parity}")
    return small, parity


def giga_flops(module: nn.Module, given: tuple[Tensor, ...]) -> float:
    """The multiplications and additions of one run, in 10^9."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as work, torch.no_grad():
        module(*given)
    return float(work.get_total_flops() / 1e9)


def _stripped(model: onnx.ModelProto) -> bytes:
    """The file without the exporter's notes, which hold source paths of the machine it ran on."""
    graph = model.graph
    model.ClearField("metadata_props")
    for part in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.checker.check_model(model)
    return model.SerializeToString()

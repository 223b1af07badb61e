"""Writes networks as ONNX, simplified and checked, and compares the written files with the networks they came from.

Shapes are static unless asked otherwise: every runtime plans better for them, and the live loop draws one face at a
time. Where a network would need more than that, it is written so that it does not (`export.networks`).
"""

import hashlib
import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import torch

from export.half import emulate_fp16
from export.parity import Feed, Parity, Precision, compare
from export.passes import tidy
from export.plan import NetworkSpec
from realtime.errors import ModelError
from realtime.inference.ort import open_session
from realtime.inference.providers import first_line
from realtime.text import printable

OPSET = 20
"""GridSample is in it with bilinear look-up (since 16), and every runtime of ours and TensorRT reads it."""

SAMPLES = 4
MAX_BYTES = (2 << 30) - (64 << 20)
"""The most that one ONNX file can be is 2 GiB (protobuf), its graph included."""


@contextmanager
def quietly() -> Iterator[None]:
    """Silences torch's remarks about its own insides, and the thread that its progress bars leave behind."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    if find_spec("tqdm"):
        from tqdm import tqdm

        tqdm.monitor_interval = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """One network as it was written: its bytes, and how near they come to the torch network.

    `facts` is what else is to be recorded about it.
    """

    file: str
    content: bytes
    opset: int
    ir_version: int
    nodes: int
    precision: Precision
    parity: Parity
    facts: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Of the bytes, 64 digits."""
        return hashlib.sha256(self.content).hexdigest()


def to_onnx(spec: NetworkSpec, *, dynamic_batch: bool = False, simplified: bool = True) -> onnx.ModelProto:
    """The network of `spec` as a float32 ONNX graph, simplified (`export.passes.tidy`) and checked.

    Inputs and outputs are called as `spec` calls them. `dynamic_batch` leaves the first side of `spec.batched`
    open, under the name N. Raises ModelError, one line, where that cannot be done.
    """
    feed = spec.samples(1)[0]
    _check_size(spec)
    arguments = [_example(name, feed, spec, dynamic_batch) for name in spec.inputs]
    try:
        with quietly():
            program = torch.onnx.export(
                spec.network,
                tuple(arguments),
                input_names=list(spec.inputs),
                output_names=list(spec.outputs),
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=_open_sides(spec) if dynamic_batch else None,
                verbose=False,
            )
    except Exception as error:  # its errors share no class of their own
        raise ModelError(
            f"{spec.file} cannot be written as ONNX ({printable(first_line(error), 120)}): report it"
        ) from error
    if program is None:
        raise ModelError(f"{spec.file} cannot be written as ONNX: torch gave no program")
    model = program.model_proto
    strip(model)
    if simplified:
        model = tidy(model)
        strip(model)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{spec.file} is no valid ONNX ({printable(first_line(error), 120)}): report it") from error
    return model


def verify(
    file: Path,
    spec: NetworkSpec,
    precision: Precision,
    *,
    dynamic_batch: bool = False,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Exported:
    """Compares a written file with the torch network it was made of, on the spec's samples.

    The file is run as live sessions run it. On a CPU float16 graphs are run in float32, so of those a twin is run that
    rounds as float16 does (`emulate_fp16`). `facts` are passed on. Raises ModelError where the file cannot be run or
    differs by more than `export.parity.LIMITS` allow.
    """
    content = file.read_bytes()
    model = onnx.load_from_string(content)
    twin = emulate_fp16(onnx.shape_inference.infer_shapes(model)) if precision == "fp16" else None
    feeds = spec.samples(SAMPLES)
    if dynamic_batch:
        feeds.append(_joined(feeds[:2], spec))
    session = open_session(twin.SerializeToString() if twin else file, provider="cpu", precision="fp32")
    try:
        parity = compare(spec, session, feeds, spec.outputs, spec.shown_by if precision == "int8" else {})
    finally:
        session.close()
    parity.check(precision, file.name)
    return Exported(
        file.name,
        content,
        opset=next(domain.version for domain in model.opset_import if domain.domain in ("", "ai.onnx")),
        ir_version=model.ir_version,
        nodes=len(model.graph.node),
        precision=precision,
        parity=parity,
        facts=facts,
    )


def strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes: they hold source paths and lines of the machine it ran on."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("doc_string")
    model.graph.name = "network"
    for each in (
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        each.ClearField("doc_string")
        each.ClearField("metadata_props")


def _check_size(spec: NetworkSpec) -> None:
    size = sum(weight.numel() * weight.element_size() for weight in spec.network.state_dict().values())
    if size > MAX_BYTES:
        raise ModelError(
            f"{spec.file} would have {math.ceil(size / (1 << 20))} MiB of weights; one ONNX file holds 2 GiB: "
            "train a smaller model"
        )


def _example(name: str, feed: Feed, spec: NetworkSpec, dynamic_batch: bool) -> torch.Tensor:
    """An input to export with. A batch of one would be taken for a constant."""
    value = torch.from_numpy(np.asarray(feed[name]))
    return value.repeat(2, *[1] * (value.ndim - 1)) if dynamic_batch and name in spec.batched else value


def _open_sides(spec: NetworkSpec) -> tuple[Any, ...]:
    batch = torch.export.Dim("N", min=1, max=64)
    sides = tuple({0: batch} if name in spec.batched else {} for name in spec.inputs)
    # Arguments beyond the named ones are one tuple to torch.
    named = spec.network.forward.__code__.co_argcount - 1
    return sides if len(sides) <= named else (*sides[:named], sides[named:])


def _joined(feeds: Sequence[Feed], spec: NetworkSpec) -> Feed:
    """Several samples as one batch; what is not counted in pictures is the first one's."""
    return {
        name: np.concatenate([feed[name] for feed in feeds]) if name in spec.batched else feeds[0][name]
        for name in feeds[0]
    }

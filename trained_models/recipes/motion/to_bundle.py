"""Stores the trained networks in the bundle `trained_models/motion`, and their weights as checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from realtime.families.motion.mesh.flow import AROUND, ELSEWHERE
from realtime.families.motion.mesh.model import FLOW_FILE, MESH_FILE, REFINE_FILE
from realtime.families.motion.mesh.refiner import EYES_CHANGE, EYES_NAME, INPUTS, MOUTH, MOUTH_CHANGE
from trained_models.recipes.motion.flow import FlowBatch, FlowNetwork, fed
from trained_models.recipes.motion.refiner import Refiner, Widths
from trained_models.recipes.motion.samples import Batch
from trained_models.training.files import add_to_bundle, fill, save_halves, write_bundle
from trained_models.training.onnx_export import Parity, export_halves, giga_flops

Facts = dict[str, str | int | float]


def refiner_to_onnx(network: Refiner, samples: Batch) -> tuple[bytes, Parity]:
    """The refiner as an ONNX file. Raises ValueError where it differs from the network."""
    mouths, eyes = samples.mouth_fed.split(1), samples.eye_fed.split(2)
    outputs = {MOUTH_CHANGE: "picture", EYES_CHANGE: "picture"}
    return export_halves(network, list(zip(mouths, eyes, strict=True)), [MOUTH, EYES_NAME], outputs)


def flow_to_onnx(network: FlowNetwork, samples: FlowBatch) -> tuple[bytes, Parity]:
    """The flow network as an ONNX file. Raises ValueError where it differs from the network."""
    given = [(one,) for one in fed(samples).split(1)]
    return export_halves(network, given, [AROUND], {ELSEWHERE: "picture"}, least_psnr_db=60.0)


def write_motion(
    folder: Path, network: Refiner, samples: Batch, mesh: bytes, training: Facts, measured: Facts
) -> Parity:
    """`refine.onnx`, `mesh.npz` and the card; `around.onnx` is to be added anew."""
    model, parity = refiner_to_onnx(network, samples)
    work = giga_flops(network, tuple(torch.zeros(shape) for shape in INPUTS.values()))
    head = {
        "name": "motion",
        "title": "Motion",
        "family": "motion",
        "licence": "MIT AND Apache-2.0",
        "description": "Moves the face of any portrait, painting or drawn character as a driver moves.",
        "identity": {"kind": "none"},
    }
    tables = {
        "input": {"size": 256, "layout": "NCHW"},
        "training": {
            "recipe": "trained_models/recipes/motion",
            "data": "people rendered by trained_models/recipes/people; the mesh is Google's MediaPipe, Apache-2.0",
            **training,
        },
        "measured": {"export": str(parity), "work": f"{work:.2f} GFLOP a frame", **measured},
    }
    (folder / FLOW_FILE).unlink(missing_ok=True)
    write_bundle(folder, head, {MESH_FILE: mesh, REFINE_FILE: model}, tables)
    return parity


def add_flow(folder: Path, network: FlowNetwork, samples: FlowBatch, training: Facts, measured: Facts) -> Parity:
    """`around.onnx` into a motion bundle, and what is to be said of it on the card."""
    model, parity = flow_to_onnx(network, samples)
    work = giga_flops(network, (fed(samples)[:1],))
    measured = measured | {"work": f"{work:.2f} GFLOP a frame", "export": str(parity)}
    tables = {"training": training, "measured": measured}
    named: dict[str, Any] = {t: {f"around_{k}": v for k, v in facts.items()} for t, facts in tables.items()}
    add_to_bundle(folder, {FLOW_FILE: model}, named)
    return parity


def save_refiner(network: Refiner, path: Path, steps: int) -> None:
    save_halves(path, network, {f"widths.{k}": v for k, v in network.widths.as_dict().items()} | {"steps": steps})


def load_refiner(path: Path) -> Refiner:
    """The network of a `save_refiner` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        return fill(Refiner(Widths(*(tuple(file[f"widths.{name}"].tolist()) for name in ("mouth", "eyes")))), file)


def save_flow(network: FlowNetwork, path: Path, steps: int) -> None:
    save_halves(path, network, {"widths": network.widths, "steps": steps})


def load_flow(path: Path) -> FlowNetwork:
    """The network of a `save_flow` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        a, b, c, d = file["widths"].tolist()
        return fill(FlowNetwork((a, b, c, d)), file)

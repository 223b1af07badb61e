"""The trained network made into the bundle `trained_models/motion`: ONNX with half-precision weights, mesh and card."""

import hashlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from realtime.swap.mesh_mender import EYES_CHANGE, EYES_NAME, INPUTS, MOUTH, MOUTH_CHANGE
from realtime.swap.mesh_puppet import MESH_FILE, REFINE_FILE
from trained_models.recipes.motion.batches import Batch
from trained_models.recipes.motion.network import Mender, Widths, multiply_adds

OPSET = 20
TOLERANCE = 1e-4
LEAST_PSNR_DB = 50.0
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the ONNX files are to the network: the fp32 file's largest difference, the fp16 file's PSNR (of 1)."""

    worst: float
    half_psnr_db: float


def _run(model: bytes, feed: dict[str, Floats]) -> list[Floats]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run([MOUTH_CHANGE, EYES_CHANGE], feed))


def _strip(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold source paths of the machine it ran on, and check the rest."""
    graph = model.graph
    model.ClearField("metadata_props")
    for part in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    onnx.checker.check_model(model)


@contextmanager
def _silent() -> Iterator[None]:
    """Keeps the exporter's remarks, and the watching thread of its progress bars, away."""
    remarks = logging.getLogger("torch.onnx")
    level = remarks.level
    remarks.setLevel(logging.CRITICAL)
    if find_spec("tqdm"):
        from tqdm import tqdm

        tqdm.monitor_interval = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            remarks.setLevel(level)


def to_onnx(network: Mender, samples: Batch) -> tuple[bytes, Parity]:
    """The network as one ONNX file, float32 in and out. Raises ValueError where it differs from the network."""
    plain = Mender(network.widths)
    plain.load_state_dict(network.state_dict())
    plain.eval()
    with _silent():
        program = torch.onnx.export(
            plain,
            tuple(torch.zeros(shape) for shape in INPUTS.values()),
            input_names=list(INPUTS),
            output_names=[MOUTH_CHANGE, EYES_CHANGE],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch gave no ONNX program")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    full = model.SerializeToString()
    half_model = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    half_model.topological_sort()
    _strip(half_model.model)
    half = half_model.model.SerializeToString()
    worst, squares = 0.0, []
    for i in range(len(samples.mouth_fed)):
        feed = {MOUTH: samples.mouth_fed[i : i + 1].numpy(), EYES_NAME: samples.eye_fed[2 * i : 2 * i + 2].numpy()}
        with torch.no_grad():
            expected = [t.numpy() for t in plain(*(torch.from_numpy(a) for a in feed.values()))]
        exact, rounded = _run(full, feed), _run(half, feed)
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(expected, exact, strict=True)))
        squares += [float(((a - b) ** 2).mean()) for a, b in zip(expected, rounded, strict=True)]
    parity = Parity(worst, float(10 * np.log10(1 / max(float(np.mean(squares)), 1e-12))))
    if parity.worst > TOLERANCE or parity.half_psnr_db < LEAST_PSNR_DB:
        raise ValueError(f"the export differs from the network: {parity}")
    return half, parity


def write_bundle(
    folder: Path,
    network: Mender,
    parity: Parity,
    model: bytes,
    training: dict[str, str | int | float],
    measured: dict[str, str | float],
) -> None:
    """`refine.onnx` and the card, beside the `mesh.npz` that is there."""
    (folder / REFINE_FILE).write_bytes(model)
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in (MESH_FILE, REFINE_FILE)}
    facts = {
        "export": f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR",
        "work": f"{2 * multiply_adds(network) / 1e9:.2f} GFLOP a frame",
        **measured,
    }

    def rows(table: dict[str, str | int | float]) -> list[str]:
        return [f"{k} = {v}" if isinstance(v, int | float) else f'{k} = "{v}"' for k, v in table.items()]

    lines = [
        *("schema = 1", 'name = "motion"', 'title = "Motion"', 'family = "motion"', 'licence = "MIT AND Apache-2.0"'),
        'description = "Moves the face of any portrait, painting or drawn character as a driver moves."',
        *("", "[identity]", 'kind = "none"', "", "[files]"),
        *(f'"{name}" = "sha256:{digest}"' for name, digest in digests.items()),
        *("", "[input]", "size = 256", 'layout = "NCHW"', "", "[training]"),
        'recipe = "trained_models/recipes/motion"',
        'data = "people rendered by trained_models/recipes/people; the mesh is Google\'s MediaPipe, Apache-2.0"',
        *rows(training),
        *("", "[measured]", *rows(dict(facts))),
    ]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_weights(network: Mender, path: Path, facts: dict[str, float]) -> None:
    """The weights in half precision, an `.npz` without pickles, with some numbers of the training."""
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 and v.ndim > 1 else v for k, v in tensors.items()}
    widths = {f"widths.{k}": np.array(v) for k, v in network.widths.as_dict().items()}
    whole = io.BytesIO()
    np.savez_compressed(whole, **halves, **widths, **{k: np.array(v) for k, v in facts.items()})  # type: ignore[arg-type]
    path.write_bytes(whole.getvalue())


def load_weights(path: Path) -> Mender:
    """The network of a `save_weights` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        widths = Widths(**{name: tuple(file[f"widths.{name}"].tolist()) for name in ("mouth", "eyes")})
        network = Mender(widths)
        names = network.state_dict().keys()
        network.load_state_dict(
            {k: torch.from_numpy(file[k].astype(np.float32) if file[k].dtype == np.float16 else file[k]) for k in names}
        )
    return network.eval()

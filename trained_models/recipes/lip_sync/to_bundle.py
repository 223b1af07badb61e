"""The trained ear and painter made into the bundle `trained_models/lip-sync`: one ONNX file, half-precision weights."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import Tensor

from realtime.swap.lip_sync_network import FACES, LIP_SYNC_FILE, MEL, MEL_SHAPE, MOUTH
from trained_models.recipes.lip_sync.network import SIZE, Ear, LipSync, Painter, Widths, multiply_adds
from trained_models.recipes.motion.to_bundle import _silent, _strip

OPSET = 20
TOLERANCE = 2e-4
"""Of colours 0..1: a twentieth of a grey level."""
LEAST_PSNR_DB = 50.0
KEPT_WHOLE = ["GridSample", "Resize"]
"""Where a face's pixels are looked up, half precision would be a thirtieth of a pixel."""
FAILS = (
    "the inside of a mouth is soft; a mouth that is wide open in the frame is not always shut; teeth may "
    "smear beyond 30 degrees of yaw; smiles and laughter in a voice are not heard; learnt from synthetic people only"
)
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Parity:
    """How near the ONNX files are to the network: the fp32 file's largest difference, the fp16 file's PSNR (of 1)."""

    worst: float
    half_psnr_db: float


def _run(model: bytes, feed: dict[str, Floats]) -> Floats:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([MOUTH], feed)[0], np.float32)


def to_onnx(network: LipSync, samples: list[tuple[Tensor, Tensor]]) -> tuple[bytes, Parity]:
    """The network as one ONNX file, float32 in and out. Raises ValueError where it differs from the network.

    `samples`: pairs of `mel` (1, 1, 80, 16) and `faces` (1, 6, 128, 128).
    """
    plain = LipSync(Ear(), Painter(network.painter.widths), network.stress, network.middle)
    plain.load_state_dict(network.state_dict())
    plain.eval()
    with _silent():
        program = torch.onnx.export(
            plain,
            (torch.zeros(1, 1, *MEL_SHAPE), torch.zeros(1, 6, SIZE, SIZE)),
            input_names=[MEL, FACES],
            output_names=[MOUTH],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch gave no ONNX program")
    model: onnx.ModelProto = program.model_proto
    _strip(model)
    full = model.SerializeToString()
    half_model = OnnxModel(convert_float_to_float16(model, keep_io_types=True, op_block_list=KEPT_WHOLE))
    half_model.topological_sort()
    _strip(half_model.model)
    half = half_model.model.SerializeToString()
    worst, squares = 0.0, []
    for mel, faces in samples:
        feed = {MEL: mel.numpy(), FACES: faces.numpy()}
        with torch.no_grad():
            expected = plain(mel, faces).numpy()
        worst = max(worst, float(np.abs(_run(full, feed) - expected).max()))
        squares.append(float(((_run(half, feed) - expected) ** 2).mean()))
    parity = Parity(worst, float(10 * np.log10(1 / max(float(np.mean(squares)), 1e-12))))
    if parity.worst > TOLERANCE or parity.half_psnr_db < LEAST_PSNR_DB:
        raise ValueError(f"the export differs from the network: {parity}")
    return half, parity


def write_bundle(
    folder: Path,
    network: LipSync,
    parity: Parity,
    model: bytes,
    training: dict[str, str | int | float],
    measured: dict[str, str | float],
) -> None:
    """`lip_sync.onnx` and the card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LIP_SYNC_FILE).write_bytes(model)
    facts = {
        "export": f"fp32 within {parity.worst:.1e} of PyTorch, fp16 {parity.half_psnr_db:.1f} dB PSNR",
        "work": f"{2 * multiply_adds(network) / 1e9:.2f} GFLOP a picture",
        **measured,
        "fails": FAILS,
    }

    def rows(table: dict[str, str | int | float]) -> list[str]:
        return [f"{k} = {v}" if isinstance(v, int | float) else f'{k} = "{v}"' for k, v in table.items()]

    lines = [
        *("schema = 1", f'name = "{folder.name}"', 'title = "Lip sync"', 'family = "lip-sync"', 'licence = "MIT"'),
        'description = "Makes a still picture, or the people of a video, speak with a voice."',
        *("", "[identity]", 'kind = "none"', "", "[files]"),
        f'"{LIP_SYNC_FILE}" = "sha256:{hashlib.sha256(model).hexdigest()}"',
        *("", "[input]", f"size = {SIZE}", 'layout = "NCHW"', 'colour = "BGR"', 'range = "0..1"', "", "[training]"),
        'recipe = "trained_models/recipes/lip_sync"',
        'data = "people rendered by trained_models/recipes/people, voices of espeak-ng"',
        *rows(training),
        *("", "[measured]", *rows(dict(facts))),
    ]
    (folder / "model.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def save_weights(network: LipSync, path: Path) -> None:
    """The weights in half precision, an `.npz` without pickles."""
    tensors = {k: v.numpy() for k, v in network.state_dict().items()}
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 and v.ndim > 1 else v for k, v in tensors.items()}
    whole = io.BytesIO()
    np.savez_compressed(whole, **halves, widths=np.array(network.painter.widths))
    path.write_bytes(whole.getvalue())


def load_weights(path: Path) -> LipSync:
    """The network of a `save_weights` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        a, b, c = (int(width) for width in file["widths"])
        widths: Widths = (a, b, c)
        network = LipSync(Ear(), Painter(widths))
        stored = {k: file[k] for k in network.state_dict()}
    whole = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in stored.items()}
    network.load_state_dict({k: torch.from_numpy(v) for k, v in whole.items()})
    return network.eval()

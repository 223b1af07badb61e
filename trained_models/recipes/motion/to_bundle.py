"""The trained network made into the bundle `trained_models/motion`: ONNX with half-precision weights, mesh and card."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from realtime.families.motion.mesh.model import AROUND_FILE, MESH_FILE, REFINE_FILE
from realtime.families.motion.mesh.refiner import EYES_CHANGE, EYES_NAME, INPUTS, MOUTH, MOUTH_CHANGE
from trained_models.recipes.half_onnx import Parity, answers, written
from trained_models.recipes.motion.batches import Batch
from trained_models.recipes.motion.network import Mender, Widths, multiply_adds

TOLERANCE = 1e-4
LEAST_PSNR_DB = 50.0


def to_onnx(network: Mender, samples: Batch) -> tuple[bytes, Parity]:
    """The network as one ONNX file, float32 in and out. Raises ValueError where it differs from the network."""
    plain = Mender(network.widths)
    plain.load_state_dict(network.state_dict())
    plain.eval()
    outputs = [MOUTH_CHANGE, EYES_CHANGE]
    blank = tuple(torch.zeros(shape) for shape in INPUTS.values())
    full, half = written(plain, blank, list(INPUTS), outputs)
    worst, squares = 0.0, []
    for i in range(len(samples.mouth_fed)):
        feed = {MOUTH: samples.mouth_fed[i : i + 1].numpy(), EYES_NAME: samples.eye_fed[2 * i : 2 * i + 2].numpy()}
        with torch.no_grad():
            expected = [t.numpy() for t in plain(*(torch.from_numpy(a) for a in feed.values()))]
        exact, rounded = answers(full, outputs, feed), answers(half, outputs, feed)
        worst = max(worst, *(float(np.abs(a - b).max()) for a, b in zip(expected, exact, strict=True)))
        squares += [float(((a - b) ** 2).mean()) for a, b in zip(expected, rounded, strict=True)]
    return half, Parity.of(worst, squares, tolerance=TOLERANCE, least_psnr_db=LEAST_PSNR_DB)


def write_bundle(
    folder: Path,
    network: Mender,
    parity: Parity,
    model: bytes,
    training: dict[str, str | int | float],
    measured: dict[str, str | float],
) -> None:
    """`refine.onnx` and the card, beside the `mesh.npz` that is there; `around.onnx` is to be added anew."""
    (folder / REFINE_FILE).write_bytes(model)
    (folder / AROUND_FILE).unlink(missing_ok=True)
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

"""The network for hair and neck put into `trained_models/motion`, and its weights kept."""

import hashlib
import io
import tomllib
from pathlib import Path

import numpy as np
import torch

from realtime.families.motion.mesh.flow import AROUND, ELSEWHERE, INPUTS
from realtime.families.motion.mesh.model import AROUND_FILE
from realtime.models.card import write_toml
from trained_models.recipes.half_onnx import Parity, answers, written
from trained_models.recipes.motion.around_network import AroundNetwork
from trained_models.recipes.motion.around_samples import AroundBatch
from trained_models.recipes.motion.around_training import fed

TOLERANCE = 1e-4
LEAST_PSNR_DB = 60.0


def around_to_onnx(network: AroundNetwork, samples: AroundBatch) -> tuple[bytes, Parity]:
    """One ONNX file, float32 in and out, with half-precision weights. Raises ValueError where it differs."""
    plain = AroundNetwork(network.widths)
    plain.load_state_dict(network.state_dict())
    plain.eval()
    full, half = written(plain, (torch.zeros(INPUTS[AROUND]),), [AROUND], [ELSEWHERE])
    worst, squares = 0.0, []
    for one in fed(samples).split(1):
        with torch.no_grad():
            expected = plain(one).numpy()
        exact, rounded = (answers(model, [ELSEWHERE], {AROUND: one.numpy()})[0] for model in (full, half))
        worst = max(worst, float(np.abs(exact - expected).max()))
        squares.append(float(((rounded - expected) ** 2).mean()))
    return half, Parity.of(worst, squares, tolerance=TOLERANCE, least_psnr_db=LEAST_PSNR_DB)


def add_around(folder: Path, model: bytes, training: dict[str, int | float], measured: dict[str, str]) -> None:
    """`around.onnx` into a motion bundle, with its digest and what is to be said of it in the card."""
    card = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    (folder / AROUND_FILE).write_bytes(model)
    card["files"][AROUND_FILE] = f"sha256:{hashlib.sha256(model).hexdigest()}"
    card["training"] |= {f"around_{name}": value for name, value in training.items()}
    card["measured"] |= {f"around_{name}": value for name, value in measured.items()}
    (folder / "model.toml").write_text(write_toml(card), encoding="utf-8")


def save_around(network: AroundNetwork, path: Path, facts: dict[str, float]) -> None:
    """The weights in half precision, an `.npz` without pickles, with some numbers of the training."""
    halves = {k: v.numpy().astype(np.float16) if v.ndim > 1 else v.numpy() for k, v in network.state_dict().items()}
    whole = io.BytesIO()
    np.savez_compressed(
        whole, widths=np.array(network.widths), **halves, **{f"facts.{k}": np.array(v) for k, v in facts.items()}
    )  # type: ignore[arg-type]
    path.write_bytes(whole.getvalue())


def load_around(path: Path) -> AroundNetwork:
    """The network of a `save_around` file, in float32."""
    with np.load(path, allow_pickle=False) as file:
        a, b, c, d = file["widths"].tolist()
        network = AroundNetwork((a, b, c, d))
        network.load_state_dict({k: torch.from_numpy(file[k].astype(np.float32)) for k in network.state_dict()})
    return network.eval()

"""DeepFaceLab model folders for tests, written as upstream writes them, with weights of a stated recipe."""

import functools
import pickle
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
TINY = {"resolution": 64, "ae_dims": 16, "e_dims": 8, "d_dims": 8, "d_mask_dims": 4, "face_type": "wf"}


def keyfill(key: str, shape: Iterable[int], gain: float = 1.0) -> Floats:
    """The recipe keyfill-tf-v1 of the recorded references: random by the weight's full name."""
    shape = tuple(shape)
    draw = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF).randn(*shape)
    if key.endswith("/bias:0"):
        return (0.05 * draw).astype(np.float32)
    gain *= 0.5 if "/out_conv" in key else 1.0
    return (draw * np.sqrt(2 / np.prod(shape[:-1])) * gain).astype(np.float32)


def write_model(
    folder: Path,
    parts: Mapping[str, Mapping[str, Any]],
    *,
    name: str = "tiny",
    family: str = "SAEHD",
    iterations: int = 1000,
    **options: Any,
) -> Path:
    """A model folder. `parts`: part -> weight name -> array. Whole numbers are NumPy scalars, as upstream's are."""
    folder.mkdir(exist_ok=True)
    for part, weights in parts.items():
        (folder / f"{name}_{family}_{part}.npy").write_bytes(pickle.dumps(dict(weights), 4))
    stored = {k: np.int64(v) if type(v) is int else v for k, v in (TINY | options).items()}
    content = {
        "iter": iterations,
        "options": stored,
        "loss_history": [[0.5, 0.25]] * iterations,
        "sample_for_preview": [[np.zeros((2, 3), np.float32)], None],
        "choosed_gpu_indexes": None,
    }
    (folder / f"{name}_{family}_data.dat").write_bytes(pickle.dumps(content, 4))
    return folder


def filled(files: Mapping[str, Iterable[tuple[str, Iterable[int]]]], gain: float = 1.0) -> dict[str, dict[str, Floats]]:
    """Weights for a list of names as the references have it: `encoder.npy` -> [[name, shape], ...]."""
    return {
        file.removesuffix(".npy"): {n: keyfill(f"{file.removesuffix('.npy')}/{n}", s, gain) for n, s in names}
        for file, names in files.items()
    }


def names_of(network: Any) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """A network's weights by upstream's names and shapes, for tests that need no reference."""
    found: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for key, tensor in network.state_dict().items():
        part, _, rest = key.partition(".")
        shape = tuple(tensor.shape)
        shape = (shape[2], shape[3], shape[1], shape[0]) if len(shape) == 4 else shape[::-1]
        found.setdefault(part, []).append((rest.replace(".", "/") + ":0", shape))
    return found


SMALLEST = {"resolution": 32, "ae_dims": 4, "e_dims": 2, "d_dims": 2, "d_mask_dims": 2}


@functools.cache
def _smallest(archi: str) -> dict[str, dict[str, Any]]:
    import torch

    from export.networks.autoencoder import Archi, SaehdShape, saehd

    with torch.device("meta"):
        return filled(names_of(saehd(SaehdShape(Archi.parse(archi), **SMALLEST))))


def smallest_parts(archi: str) -> dict[str, dict[str, Any]]:
    """The parts of the smallest SAEHD model of that archi; the caller's to change."""
    return {part: dict(names) for part, names in _smallest(archi).items()}


def write_smallest(folder: Path, kind: str, parts: Any = None, **options: Any) -> Path:
    """The files of such a model, named tiny."""
    return write_model(folder, parts or smallest_parts(kind), **({"archi": kind} | SMALLEST | options))

"""The chosen frames on disk as the training reads them: crops, masks, weights, readings; part of them held out."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Pixels
from realtime.imaging.blend import oval_mask
from trained_models.autoencoder.crops import MARGIN, SIZE, importance
from trained_models.autoencoder.dataset import Shard, save_shard
from trained_models.learn.footage import Looks

HELD_OUT = "held_out"
BLOCK_S = 1.5  # held out are whole stretches of time: neighbours are too alike for a test
EVERY_BLOCK = 8

_AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])


def held_out_of(looks: Looks) -> npt.NDArray[np.bool_]:
    """True for every eighth stretch of 1.5 seconds with a kept frame in it; at least one."""
    block = np.floor(looks.at_s / BLOCK_S).astype(np.int64) + looks.clip * 10**6
    _, number = np.unique(block, return_inverse=True)
    return np.asarray(number % EVERY_BLOCK == min(EVERY_BLOCK // 2, int(number.max())))


def save_frames(looks: Looks, folder: Path) -> tuple[int, int]:
    """Write the frames under `folder`, the held-out ones under `folder`/held_out; how many of each."""
    apart = held_out_of(looks)
    folder.mkdir(parents=True, exist_ok=True)
    save_shard(folder / HELD_OUT / "shard_00000", as_shard(looks[apart]))
    save_shard(folder / "shard_00000", as_shard(looks[~apart]))
    return int((~apart).sum()), int(apart.sum())


def as_shard(looks: Looks) -> Shard:
    """The looks as pairs whose driver is the person themselves."""
    masks, weights = [], []
    for points in looks.landmarks:
        mask = np.rint(oval_mask(points, _AS_IT_IS, SIZE) * 255).astype(np.uint8)
        near = cv2.GaussianBlur(cv2.dilate(mask, np.ones((9, 9), np.uint8)), (0, 0), 2.0)
        masks.append(mask)
        weights.append(np.rint(importance(points, _AS_IT_IS, SIZE) * (near / 255.0)).astype(np.uint8))
    inner = slice(MARGIN, -MARGIN)
    return Shard(
        face=looks.crop,
        target=np.ascontiguousarray(looks.crop[:, inner, inner]),
        mask=np.stack(masks),
        weight=np.stack(weights),
        blendshapes=looks.blendshapes,
        pose=looks.pose,
        lips=np.stack([inner_lips(points) for points in looks.landmarks]),
    )


FILE = Path(__file__).resolve().parent / "drivers.npz"


def load_drivers(file: Path = FILE) -> tuple[Pixels, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Crops (n, S, S, 3) uint8 BGR and the number of each one's person (n,). Raises ModelError."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            stream, ends, person = stored["jpg"], stored["ends"], stored["person"].astype(np.int64)
        crops = [cv2.imdecode(part, cv2.IMREAD_COLOR) for part in np.split(stream, ends[:-1])]
        return np.stack([np.asarray(c, np.uint8) for c in crops]), person
    except (OSError, KeyError, ValueError, cv2.error) as error:
        raise ModelError(f"{file.name} is missing or damaged: reinstall masquerade") from error

"""Rendered drivers' crops with the truth of where their faces show, and batches of them as webcams show them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.tracking.face import Face
from trained_models.recipes.autoencoder.augment import Pixels, covered, seen_by_a_camera, shadowed, shaken, warped
from trained_models.recipes.autoencoder.prepare import COVERAGE, FACE_TYPE, MARGIN, SIZE

HELD_OUT_EVERY = 10
"""Every so many shards one is not trained on."""
COVERED = 0.2
"""How often something more is laid over a face: patches of any colour, which nobody renders."""

SHADOWED = 0.5
"""How often small shadows are laid on it, which are no hole: rendered noses cast too few."""

LARGE = SIZE + 2 * MARGIN


def read_drivers(path: Path) -> Iterator[tuple[Pixels, Pixels]]:
    """A shard's drivers: picture (H, W, 3) BGR and mask (H, W) uint8, 255 where the face shows."""
    with np.load(path, allow_pickle=False) as file:
        streams = [(file[f"person_{kind}"], file[f"person_{kind}_offsets"]) for kind in ("jpg", "mask_png")]
    pictures, masks = (
        [cv2.imdecode(data[a:b], cv2.IMREAD_UNCHANGED) for a, b in pairwise(ends)] for data, ends in streams
    )
    for picture, mask in zip(pictures, masks, strict=True):
        if picture is None or mask is None:
            raise ValueError(f"{path.name} has a picture that cannot be decoded: render the shard again")
        yield np.asarray(picture, np.uint8), np.asarray(mask, np.uint8)


def prepare_drivers(folders: Sequence[Path], out: Path, find: Callable[[Pixels], Face | None]) -> int:
    """Cut the drivers of every shard in `folders` that `out` lacks, as the live loop would; how many were found."""
    kept = 0
    out.mkdir(parents=True, exist_ok=True)
    for path in (p for folder in folders for p in sorted(folder.glob("shard_?????.npz"))):
        file = out / f"{path.parent.name}_{path.stem}.npz"
        if file.exists():
            continue
        crops: list[Pixels] = []
        shows: list[Pixels] = []
        for picture, mask in read_drivers(path):
            face = find(picture)
            if face is None:
                continue
            wide = crop_from_frame(face.landmarks, FACE_TYPE, SIZE, coverage=COVERAGE)
            wide = wide + [[0, 0, MARGIN], [0, 0, MARGIN]]
            crops.append(cut(picture, wide, LARGE, "edge"))
            shows.append(np.asarray(cv2.warpAffine(mask, wide, (LARGE, LARGE), flags=cv2.INTER_LINEAR), np.uint8))
        if crops:
            part = file.with_suffix(".part.npz")
            np.savez(part, crops=np.stack(crops), shows=np.stack(shows))
            part.rename(file)
            kept += len(crops)
    return kept


@dataclass(slots=True)
class MaskBatch:
    """`face` (N, 3, S, S) BGR 0..1 and `shows` (N, 1, S, S) 0..1. Two in a row are one moment before two cameras."""

    face: Tensor
    shows: Tensor


class Drivers:
    """The prepared drivers of a folder, those held out or the others."""

    def __init__(self, folder: Path, *, held_out: bool = False, seed: int = 1) -> None:
        self._seed = seed
        files = sorted(folder.glob("*_shard_?????.npz"))
        mine = [f for f in files if (int(f.stem[-5:]) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) == held_out]
        if not mine:
            raise ValueError(f"{folder} holds no drivers to {'check with' if held_out else 'train on'}: prepare more")
        loaded = [np.load(file, allow_pickle=False) for file in mine]
        self._crops: Pixels = np.concatenate([one["crops"] for one in loaded])
        self._shows: Pixels = np.concatenate([one["shows"] for one in loaded])

    def __len__(self) -> int:
        return len(self._crops)

    def batch(self, number: int, count: int) -> MaskBatch:
        """Batch `number` of `count` random samples, an even number, augmented."""
        faces, shows = np.empty((count, SIZE, SIZE, 3), np.uint8), np.empty((count, SIZE, SIZE), np.uint8)
        for i in range(0, count, 2):
            rng = np.random.default_rng([self._seed, number, i])
            k = int(rng.integers(len(self)))
            way = slice(None, None, -1 if rng.uniform() < 0.5 else 1)
            turn = shaken(LARGE, SIZE, rng)
            face = warped(np.ascontiguousarray(self._crops[k][:, way]), turn, SIZE)
            mask = warped(np.ascontiguousarray(self._shows[k][:, way]), turn, SIZE)
            if rng.uniform() < SHADOWED:
                face = shadowed(face, rng)
            if rng.uniform() < COVERED:
                face, patch = covered(face, rng)
                mask = np.asarray(mask * (1 - patch) + 0.5, np.uint8)
            for j in (i, i + 1):
                faces[j] = seen_by_a_camera(face, np.random.default_rng([self._seed, number, j, 1]))
                shows[j] = mask
        return _batch(faces, shows)

    def plain(self, indices: Sequence[int]) -> MaskBatch:
        """The named samples as they are."""
        inner = slice(MARGIN, MARGIN + SIZE)
        some = list(indices)
        return _batch(self._crops[some, inner, inner], self._shows[some, inner, inner])


def _batch(faces: Pixels, shows: Pixels) -> MaskBatch:
    face = torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2).float() / 255
    return MaskBatch(face, torch.from_numpy(np.ascontiguousarray(shows)).float()[:, None] / 255)

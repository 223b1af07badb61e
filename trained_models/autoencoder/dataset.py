"""Prepared pairs on disk, and batches of them.

`prepare.py` writes one folder a shard with plain `.npy` arrays; here they are memory-mapped, so a data set
larger than memory costs nothing to open, and new shards are picked up while training runs. Batch number n
is a pure function of (seed, n, shards): a resumed run sees exactly what an unbroken one would.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from realtime.frame import Floats, Pixels
from trained_models.autoencoder.augment import mirrored_blendshapes, webcam

SELF_SHARE = 0.05  # how often the identity itself is the driver
BLANK_CODE_SHARE = 0.35
"""How often the picture's code is withheld, so that expression and pose are taken from the condition."""
FOREIGN_SHARE = 0.4  # how often the faint readings come from another sample
FAINT = np.array([0, 6, 7, 8, 27, 28, 29, 32, 34, 35, 36, 37, 40, 41, 42, 43, 46, 47, 48, 49, 50, 51])
"""Cheeks, nose, mouthFunnel and the smaller movements of the lips, by MediaPipe's numbers.

On these the tracker's reading of a resting face differs more from person to person than it moves: the
identity may read 0.3 where a driver reads 0. Mixed up now and then in training, they cannot outvote the clear
ones (jaw, smile, pucker, lids, brows, gaze) when a driver's readings fit no face the decoder has seen.
"""
JAW_OPEN = 25
SMILES = [44, 45]
RARE_SHARE = 0.15  # how often a sample is taken from the talking smiles: seldom rendered, often seen
WEIGHT_UNIT = 16  # the stored weight map's 1.0


@dataclass(frozen=True, slots=True)
class Shard:
    """One prepared shard of n pairs, memory-mapped.

    `face` (n, S + 2m, S + 2m, 3) the driver with a margin m on all sides; `target` (n, S, S, 3) the
    identity; `mask` (n, S, S) 0..255; `weight` (n, S, S) in sixteenths; all uint8, pictures BGR.
    `blendshapes` (n, 52), `pose` (n, 3) and `lips` (n, 3) are the tracker's readings of the target, float32. `fine`
    (n, F, F, 3), where there is one, is the target larger.
    """

    face: Pixels
    target: Pixels
    mask: Pixels
    weight: Pixels
    blendshapes: Floats
    pose: Floats
    lips: Floats
    fine: Pixels | None = None

    def __len__(self) -> int:
        return len(self.face)


PARTS = ("face", "target", "mask", "weight", "blendshapes", "pose", "lips")
OPTIONAL_PARTS = ("fine",)


def save_shard(folder: Path, shard: Shard) -> None:
    """Write a shard so that it appears under its name only when complete."""
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    for name in PARTS + OPTIONAL_PARTS:
        if getattr(shard, name) is not None:
            np.save(part / f"{name}.npy", getattr(shard, name))
    part.rename(folder)


def load_shard(folder: Path) -> Shard:
    names = [name for name in PARTS + OPTIONAL_PARTS if name in PARTS or (folder / f"{name}.npy").exists()]
    return Shard(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names})


@dataclass(frozen=True, slots=True)
class Batch:
    """n samples: `face`, `target` (n, 3, S, S) 0..1; `mask`, `weight` (n, 1, S, S); the rest (n, k). `fine` (n, 3, F,
    F) 0..1 is None where the data does not have it."""

    face: Tensor
    target: Tensor
    mask: Tensor
    weight: Tensor
    blendshapes: Tensor
    pose: Tensor
    lips: Tensor
    mirrored: Tensor
    keep_code: Tensor
    fine: Tensor | None = None

    @property
    def told(self) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is told: blendshapes, pose and lips."""
        return self.blendshapes, self.pose, self.lips

    def to(self, device: torch.device) -> "Batch":
        if device.type == "cpu":
            return self
        parts = {name: getattr(self, name) for name in self.__slots__}
        return Batch(**{name: None if part is None else part.to(device) for name, part in parts.items()})


class Pairs:
    def __init__(self, folder: Path, seed: int = 1) -> None:
        self._folder = folder
        self._seed = seed
        self._names: list[str] = []
        self._shards: list[Shard] = []
        self._ends = np.zeros(0, np.int64)
        self.refresh()

    def refresh(self) -> int:
        """Pick up shards that were finished since; the number of pairs now."""
        for folder in sorted(self._folder.glob("shard_*")):
            if folder.suffix != ".part" and folder.name not in self._names:
                self._names.append(folder.name)
                self._shards.append(load_shard(folder))
        self._ends = np.cumsum([len(s) for s in self._shards])
        self._rare = np.zeros(0, np.int64)
        if self._shards:
            told = self.readings()
            self._rare = np.flatnonzero((told[:, JAW_OPEN] > 0.08) & (told[:, SMILES].mean(1) > 0.12))
        return len(self)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def size(self) -> int:
        return int(self._shards[0].target.shape[1])

    def readings(self) -> Floats:
        """(pairs, 58) float32: every target's blendshapes, pose and lips."""
        return np.concatenate([np.concatenate([s.blendshapes, s.pose, s.lips], 1) for s in self._shards])

    def _locate(self, index: int) -> tuple[Shard, int]:
        which = int(np.searchsorted(self._ends, index, side="right"))
        return self._shards[which], index - (int(self._ends[which - 1]) if which else 0)

    def batch(self, number: int, count: int) -> Batch:
        """Batch `number` of `count` random samples, augmented. Two samples in a row are one moment before two cameras:
        the same but for what cameras and trackers add."""
        size = self.size
        faces = np.empty((count, size, size, 3), np.uint8)
        targets = np.empty_like(faces)
        flat = np.empty((2, count, size, size), np.uint8)
        told = np.empty((count, 58), np.float32)
        flags = np.empty((count, 2), np.float32)
        fine = None
        for i in range(count):
            rng = np.random.default_rng([self._seed, number, i // 2])
            if len(self._rare) and rng.uniform() < RARE_SHARE:
                index = int(rng.choice(self._rare))
            else:
                index = int(rng.integers(len(self)))
            shard, k = self._locate(index)
            face, target = shard.face[k], shard.target[k]
            if rng.uniform() < SELF_SHARE:
                margin = (face.shape[0] - size) // 2
                face = np.pad(target, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
            mirror = rng.uniform() < 0.5
            way = slice(None, None, -1 if mirror else 1)
            blendshapes, pose, lips = shard.blendshapes[k], shard.pose[k], shard.lips[k]
            if mirror:
                blendshapes = mirrored_blendshapes(blendshapes)
                pose = pose * np.array([1, -1, -1], np.float32)
                lips = lips[::-1]
            told[i] = np.concatenate([blendshapes, pose, lips])
            if rng.uniform() < FOREIGN_SHARE:
                other, n = self._locate(int(rng.integers(len(self))))
                told[i, FAINT] = other.blendshapes[n][FAINT]
            flags[i] = mirror, rng.uniform() >= BLANK_CODE_SHARE
            targets[i] = target[:, way]
            flat[0, i] = shard.mask[k][:, way]
            flat[1, i] = shard.weight[k][:, way]
            if shard.fine is not None:
                fine = np.empty((count, *shard.fine.shape[1:]), np.uint8) if fine is None else fine
                fine[i] = shard.fine[k][:, way]
            camera = np.random.default_rng([self._seed, number, i, 1])
            faces[i] = webcam(np.ascontiguousarray(face[:, way]), size, camera)
            # A tracker's reading trembles: 0.01 on a blendshape, a quarter of a degree on an angle, 0.004 on the lips.
            told[i] += camera.normal(0, np.repeat([0.01, 0.004, 0.004], [52, 3, 3])).astype(np.float32)
        return _batch(faces, targets, flat[0], flat[1], told, flags, fine)

    def spread(self, count: int) -> Batch:
        """`count` samples from all over, or all there are, as they are."""
        return self.plain(np.linspace(0, len(self) - 1, min(count, len(self))).astype(int).tolist())

    def plain(self, indices: list[int]) -> Batch:
        """The named samples as they are, not augmented: for looking at and measuring."""
        found = [self._locate(i) for i in indices]

        def rows(name: str) -> npt.NDArray[Any]:
            return np.stack([getattr(shard, name)[k] for shard, k in found])

        margin = (found[0][0].face.shape[1] - self.size) // 2
        inner = slice(margin, margin + self.size)
        told = np.concatenate([rows("blendshapes"), rows("pose"), rows("lips")], 1)
        flags = np.tile(np.array([0, 1], np.float32), (len(found), 1))
        fine = None if any(shard.fine is None for shard, _ in found) else rows("fine")
        pictures = rows("face")[:, inner, inner], rows("target"), rows("mask"), rows("weight")
        return _batch(*pictures, told, flags, fine)


def _batch(
    face: Pixels, target: Pixels, mask: Pixels, weight: Pixels, told: Floats, flags: Floats, fine: Pixels | None
) -> Batch:
    """`told` (n, 58) are blendshapes, pose and lips, `flags` (n, 2) mirrored and keep_code; pictures as in `Shard`."""
    blendshapes, pose, lips = torch.from_numpy(told).split((52, 3, 3), 1)
    return Batch(
        face=_picture(face),
        target=_picture(target),
        mask=torch.from_numpy(mask).float()[:, None] / 255,
        weight=torch.from_numpy(weight).float()[:, None] / WEIGHT_UNIT,
        blendshapes=blendshapes,
        pose=pose,
        lips=lips,
        mirrored=torch.from_numpy(flags[:, :1]),
        keep_code=torch.from_numpy(flags[:, 1:]),
        fine=None if fine is None else _picture(fine),
    )


def _picture(pixels: Pixels) -> Tensor:
    """(n, H, W, 3) uint8 to (n, 3, H, W) float32 0..1, channels last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255

"""Trains where the driver's own face shows: rendered drivers as webcams show them, the loss, the run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.tracking.face import Face
from trained_models.autoencoder.augment import covered, seen_by_a_camera, shadowed, shaken, warped
from trained_models.autoencoder.crops import MARGIN, SIZE, margin_crop
from trained_models.autoencoder.network import WIDTHS, DriverMask
from trained_models.recipes.sample_files import decoded, read_arrays
from trained_models.training.ema import EmaTraining, Plan, run
from trained_models.training.files import fill, save_arrays, save_halves

PLAN = Plan(batch=16, steps=12000, peak_rate=2e-3, last_rate=2e-5, average=0.998)
OVERLAP, STEADY = 1.0, 1.0
"""Beside cross entropy, 1: of what overlaps, and of two cameras' masks of one moment being alike."""
CHECKED = 384
HELD_OUT_EVERY = 10  # every so many shards one is not trained on
COVERED = 0.2  # how often something more is laid over a face: patches of any colour, which nobody renders

SHADOWED = 0.5  # how often small shadows are laid on it, which are no hole: rendered noses cast too few

LARGE = SIZE + 2 * MARGIN


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
        fields = read_arrays(path)
        masks = decoded(fields, "person_mask_png", cv2.IMREAD_GRAYSCALE)
        for picture, mask in zip(decoded(fields, "person_jpg"), masks, strict=True):
            face = find(picture)
            if face is None:
                continue
            wide = margin_crop(face.landmarks)
            crops.append(cut(picture, wide, LARGE, "edge"))
            shows.append(np.asarray(cv2.warpAffine(mask, wide, (LARGE, LARGE), flags=cv2.INTER_LINEAR), np.uint8))
        if crops:
            save_arrays(file, {"crops": np.stack(crops), "shows": np.stack(shows)})
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
        inner = slice(MARGIN, MARGIN + SIZE)
        some = list(indices)
        return _batch(self._crops[some, inner, inner], self._shows[some, inner, inner])


def _batch(faces: Pixels, shows: Pixels) -> MaskBatch:
    face = torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2).float() / 255
    return MaskBatch(face, torch.from_numpy(np.ascontiguousarray(shows)).float()[:, None] / 255)


def mask_loss(logits: Tensor, shows: Tensor) -> tuple[Tensor, dict[str, float]]:
    """How far the mask (N, 1, S, S) is off, samples in twos alike but for the camera. Soft intersection over union
    (Rahman and Wang 2016) counts a thin rim for what it is of the mask, cross entropy for what it is of the picture."""
    drawn = logits.sigmoid()
    both, either = (drawn * shows).sum((1, 2, 3)), (drawn + shows - drawn * shows).sum((1, 2, 3))
    terms = {
        "entropy": F.binary_cross_entropy_with_logits(logits, shows),
        "overlap": OVERLAP * (1 - (both + 1) / (either + 1)).mean(),
        "steady": STEADY * (drawn[0::2] - drawn[1::2]).abs().mean(),
    }
    return torch.stack(list(terms.values())).sum(), {name: float(term.detach()) for name, term in terms.items()}


@torch.no_grad()
def overlap(network: DriverMask, drivers: Drivers, count: int = CHECKED) -> float:
    """Mean intersection over union on plain samples."""
    network.eval()
    found: list[float] = []
    chosen = np.linspace(0, len(drivers) - 1, min(count, len(drivers))).astype(int)
    for some in np.array_split(chosen, math.ceil(len(chosen) / PLAN.batch)):
        batch = drivers.plain(some.tolist())
        drawn = network(batch.face.contiguous(memory_format=torch.channels_last)).float() >= 0
        true = batch.shows >= 0.5
        either = (drawn | true).sum((1, 2, 3)).clamp_min(1)
        found += ((drawn & true).sum((1, 2, 3)) / either).tolist()
    return float(np.mean(found))


class MaskTraining(EmaTraining):
    def __init__(self, plan: Plan = PLAN) -> None:
        torch.manual_seed(plan.seed)
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(DriverMask(), **rates, form={"widths": list(WIDTHS)})
        self.plan = plan

    def step(self, batch: MaskBatch) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.network(batch.face.contiguous(memory_format=torch.channels_last))
        loss, terms = mask_loss(logits.float(), batch.shows)
        self.descend(loss, self.plan.rate(self.step_number))
        return terms

    def judge(self, held_out: Drivers) -> dict[str, float]:
        """The averaged network's overlap on drivers that are not trained on."""
        return {"overlap": overlap(self.averaged, held_out)}


def train_mask(data: Path, out: Path, plan: Plan = PLAN) -> DriverMask:
    """Train, or go on, until `plan.steps`; the averaged network. State, log and `mask.npz` lie in `out`."""
    drivers, held_out = Drivers(data), Drivers(data, held_out=True)
    network = run(MaskTraining(plan), lambda: drivers, held_out, out, name="mask", judge_every=500).averaged
    save_halves(out / "mask.npz", network, {"widths": network.widths})
    return network.eval()


def read_mask(path: Path) -> DriverMask:
    """The network of `train_mask`'s file, in float32, ready to draw."""
    with np.load(path, allow_pickle=False) as file:
        return fill(DriverMask(file["widths"].tolist()), file)

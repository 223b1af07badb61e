"""Prepares rendered pairs for training: finds the faces, cuts them as the live loop does, weighs the pixels.

The readings kept with a pair are the tracker's of the *identity's* picture (README.md, "What the network is told").
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.tracking.pose import head_angles
from trained_models.autoencoder.crops import FINE_SIZE, MARGIN, SIZE, FindOne, face_crop, importance, margin_crop
from trained_models.autoencoder.dataset import Shard, save_shard
from trained_models.recipes.sample_files import decoded, read_arrays

STRANDS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))


RawPair = tuple[Pixels, Pixels, Pixels]
"""A driver's picture, the identity's with the same actions, pose and light, BGR, any sizes, and (H, W) 0..255: where
the identity's face shows: skin, eyes and mouth, but no hair, ears, neck or background."""


def read_pairs(path: Path) -> Iterator[RawPair]:
    """The pairs of one shard (`people.pairs`), in order."""
    fields = read_arrays(path)
    pictures = (decoded(fields, name) for name in ("person_jpg", "target_jpg"))
    yield from zip(*pictures, decoded(fields, "target_mask_png", cv2.IMREAD_GRAYSCALE), strict=True)


def friendliest(path: Path) -> tuple[float, Pixels]:
    """A shard's picture of the identity that suits a card best, and how far from ideal it is. Ideal is a light smile,
    eyes open and straight ahead, nothing else moved."""
    fields = read_arrays(path)
    names = [str(n) for n in fields["action_names"]]
    actions, turned, gaze = fields["actions"], fields["rot"], fields["gaze"]
    ideal = np.array([0.4 if n.startswith("mouthSmile") else 0.0 for n in names])
    cost = np.abs(actions - ideal).sum(1) + np.abs(turned).sum(1) / 8 + np.abs(gaze).sum(1) / 12
    best = int(np.argmin(cost))
    return float(cost[best]), decoded(fields, "target_jpg")[best]


def prepared(pairs: Iterator[RawPair], find: FindOne, tally: Counter[str]) -> Shard | None:
    """One shard of the pairs in which both faces were found; None if there was no such pair."""
    parts: dict[str, list[npt.NDArray[np.generic]]] = {}
    for person, target, shows in pairs:
        driver, identity = find(person), find(target)
        if driver is None or identity is None:
            tally["driver missed" if driver is None else "identity missed"] += 1
            continue
        tally["kept"] += 1
        target_crop = face_crop(identity.landmarks)
        region = cv2.warpAffine(shows, target_crop, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
        # Slivers of skin between strands of hair are hair.
        mask = cv2.GaussianBlur(cv2.morphologyEx(region, cv2.MORPH_OPEN, STRANDS), (0, 0), 1.5)
        near = cv2.GaussianBlur(cv2.dilate(mask, np.ones((9, 9), np.uint8)), (0, 0), 2.0)
        weight = importance(identity.landmarks, target_crop, SIZE) * (near / 255.0)
        large = SIZE + 2 * MARGIN
        # A pixel's centre is at its coordinate: the larger crop's corner pixel is not the smaller one's.
        grown = target_crop + [[0, 0, 0.5], [0, 0, 0.5]]
        fine_crop = grown * (FINE_SIZE / SIZE) - [[0, 0, 0.5], [0, 0, 0.5]]
        row = {
            "face": cut(person, margin_crop(driver.landmarks), large, "edge"),
            "target": cut(target, target_crop, SIZE, "edge"),
            "fine": cut(target, fine_crop, FINE_SIZE, "edge"),
            "mask": np.asarray(mask, np.uint8),
            "weight": np.rint(weight).astype(np.uint8),
            "blendshapes": identity.blendshapes.astype(np.float32),
            "pose": head_angles(identity.pose),
            "lips": inner_lips(identity.landmarks),
        }
        for name, value in row.items():
            parts.setdefault(name, []).append(value)
    if not parts:
        return None
    return Shard(**{name: np.stack(values) for name, values in parts.items()})


def prepare_folder(raw: Path, out: Path, find: FindOne) -> Counter[str]:
    """Prepare every shard in `raw` that `out` lacks, each twenty-fifth to `out/held_out`; what became of the pairs."""
    tally = Counter[str]()
    for number, path in enumerate(sorted(raw.glob("shard_*.npz"))):
        folder = (out / "held_out" if number % 25 == 0 else out) / path.stem
        if folder.exists():
            continue
        shard = prepared(read_pairs(path), find, tally)
        if shard is not None:
            save_shard(folder, shard)
    return tally

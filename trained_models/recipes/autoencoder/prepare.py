"""Rendered pairs made ready for training: faces found, cut as the live loop cuts them, weighed.

Both pictures of a pair go through the very functions of the live loop: the tracker, `crop_from_frame` and
`cut`, each by its own landmarks. The blendshapes and angles kept with a pair are those the tracker reads in
the *identity's* picture. The network so learns "draw the identity such that the tracker reads this": fed
with a driver's readings, it gives the driver's expression back at full strength, whatever the renderer's
actions really do on either face.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.face_swap.autoencoder import inner_lips
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles
from realtime.tracking.tracker import Tracker
from trained_models.recipes.autoencoder.augment import Pixels
from trained_models.recipes.autoencoder.pairs_dataset import WEIGHT_UNIT, Shard, save_shard
from trained_models.recipes.autoencoder.rendered_pairs import RawPair, read_pairs

FACE_TYPE = "whole_face"
COVERAGE = 1.75
"""Tighter than the face type's own 2.13: a fifth more pixels on the face, the open jaw still inside."""
SIZE = 160
FINE_SIZE = 240
MARGIN = 12

# MediaPipe's landmark numbers, and how much more than skin the region counts.
REGIONS: tuple[tuple[float, float, tuple[int, ...]], ...] = (
    (2.5, 0.035, (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)),
    (2.5, 0.035, (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)),
    (4.0, 0.030, (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)),
    (4.0, 0.030, (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)),
    (3.5, 0.035, (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)),
)
"""Brows, eyes, lips: weight, growth in crop sides, outline."""

STRANDS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))

FindOne = Callable[[Pixels], Face | None]


@dataclass(slots=True)
class Tally:
    """What became of the pairs."""

    kept: int = 0
    driver_missed: int = 0
    identity_missed: int = 0


def finder() -> FindOne:
    """Finds the one face of a picture, with our own tracker."""
    cv2.setNumThreads(1)
    tracker = Tracker(provider="cpu")

    def find(pixels: Pixels) -> Face | None:
        found = tracker.find(np.ascontiguousarray(pixels))
        return found[0] if found else None

    return find


def importance(landmarks: npt.NDArray[np.float32], crop_from_picture: npt.NDArray[np.float64], size: int) -> Pixels:
    """(size, size) uint8: how much each pixel's colour counts, in sixteenths, 16 for plain skin."""
    points = landmarks[:, :2] @ crop_from_picture[:, :2].T + crop_from_picture[:, 2]
    out = np.full((size, size), WEIGHT_UNIT, np.uint8)
    for weight, growth, outline in REGIONS:
        region = np.zeros((size, size), np.uint8)
        hull = cv2.convexHull(np.rint(points[list(outline)]).astype(np.int32))
        cv2.fillConvexPoly(region, hull, 1)
        reach = 2 * round(growth * size) + 1
        region = cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        out = np.maximum(out, region * np.uint8(weight * WEIGHT_UNIT))
    return out


def prepared(pairs: Iterator[RawPair], find: FindOne, tally: Tally) -> Shard | None:
    """One shard of the pairs in which both faces were found; None if there was no such pair."""
    parts: dict[str, list[npt.NDArray[np.generic]]] = {}
    for pair in pairs:
        driver, identity = find(pair.person), find(pair.target)
        if driver is None:
            tally.driver_missed += 1
            continue
        if identity is None:
            tally.identity_missed += 1
            continue
        tally.kept += 1
        crop = crop_from_frame(driver.landmarks, FACE_TYPE, SIZE, coverage=COVERAGE)
        wide = crop + [[0, 0, MARGIN], [0, 0, MARGIN]]
        target_crop = crop_from_frame(identity.landmarks, FACE_TYPE, SIZE, coverage=COVERAGE)
        region = cv2.warpAffine(pair.region, target_crop, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
        # Slivers of skin between strands of hair are hair.
        mask = cv2.GaussianBlur(cv2.morphologyEx(region, cv2.MORPH_OPEN, STRANDS), (0, 0), 1.5)
        near = cv2.GaussianBlur(cv2.dilate(mask, np.ones((9, 9), np.uint8)), (0, 0), 2.0)
        weight = importance(identity.landmarks, target_crop, SIZE) * (near / 255.0)
        large = SIZE + 2 * MARGIN
        # A pixel's centre is at its coordinate: the larger crop's corner pixel is not the smaller one's.
        grown = target_crop + [[0, 0, 0.5], [0, 0, 0.5]]
        fine_crop = grown * (FINE_SIZE / SIZE) - [[0, 0, 0.5], [0, 0, 0.5]]
        row = {
            "face": cut(pair.person, wide, large, "edge"),
            "target": cut(pair.target, target_crop, SIZE, "edge"),
            "fine": cut(pair.target, fine_crop, FINE_SIZE, "edge"),
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


def prepare_folder(raw: Path, out: Path, find: FindOne) -> Tally:
    """Prepare every finished shard in `raw` that `out` lacks; each twenty-fifth goes to `out/held_out`."""
    tally = Tally()
    for number, path in enumerate(sorted(raw.glob("shard_*.npz"))):
        folder = (out / "held_out" if number % 25 == 0 else out) / path.stem
        if folder.exists():
            continue
        shard = prepared(read_pairs(path), find, tally)
        if shard is not None:
            save_shard(folder, shard)
    return tally

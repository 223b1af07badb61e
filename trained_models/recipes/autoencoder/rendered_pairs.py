"""The pairs that the people recipe renders, read back from their shards."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from trained_models.recipes.autoencoder.augment import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class RawPair:
    """A driver's picture and the identity's with the same actions, pose and light; BGR, any sizes.

    `region` (H, W) uint8 0..255: where the identity's face shows in `target`: skin, eyes and mouth, but no
    hair, ears, neck or background.
    """

    person: Pixels
    target: Pixels
    region: Pixels


def read_pairs(path: Path) -> Iterator[RawPair]:
    """The pairs of one shard, in order.

    A shard is an `.npz` without pickles: `person_jpg` and `target_jpg` hold JPEG files one after the other,
    `person_mask_png` and `target_mask_png` grey PNG files, and `NAME_offsets` where each begins and the last ends.
    """
    with np.load(path, allow_pickle=False) as file:
        streams = {
            name: (file[name], file[f"{name}_offsets"]) for name in ("person_jpg", "target_jpg", "target_mask_png")
        }
    count = len(streams["person_jpg"][1]) - 1
    for i in range(count):
        yield RawPair(
            person=_decoded(*streams["person_jpg"], i, cv2.IMREAD_COLOR),
            target=_decoded(*streams["target_jpg"], i, cv2.IMREAD_COLOR),
            region=_decoded(*streams["target_mask_png"], i, cv2.IMREAD_GRAYSCALE),
        )


def friendliest(path: Path) -> tuple[float, Pixels]:
    """A shard's picture of the identity that suits a card best, and how far from ideal it is.

    Ideal is a light smile, eyes open and straight ahead, nothing else moved.
    """
    with np.load(path, allow_pickle=False) as file:
        names = [str(n) for n in file["action_names"]]
        actions, turned, gaze = file["actions"], file["rot"], file["gaze"]
        stream, offsets = file["target_jpg"], file["target_jpg_offsets"]
    ideal = np.array([0.4 if n.startswith("mouthSmile") else 0.0 for n in names])
    cost = np.abs(actions - ideal).sum(1) + np.abs(turned).sum(1) / 8 + np.abs(gaze).sum(1) / 12
    best = int(np.argmin(cost))
    return float(cost[best]), _decoded(stream, offsets, best, cv2.IMREAD_COLOR)


def _decoded(stream: Pixels, offsets: npt.NDArray[np.int64], i: int, flags: int) -> Pixels:
    picture = cv2.imdecode(stream[offsets[i] : offsets[i + 1]], flags)
    if picture is None:
        raise ValueError(f"picture {i} of a shard cannot be decoded: render the shard again")
    return np.asarray(picture, np.uint8)

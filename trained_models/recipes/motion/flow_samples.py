"""Makes what the flow network for hair and neck learns from: a person's picture, the mesh's map, and the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from realtime.families.motion.mesh.flow import pose_of, small_face, small_map
from realtime.families.motion.mesh.head import Head, read
from realtime.families.motion.mesh.motion import move
from realtime.families.motion.mesh.source import MAP_SIDE, make_cast
from realtime.families.motion.motion_model import Motion
from realtime.tracking.face import Face
from trained_models.recipes.motion.frames import Frames
from trained_models.recipes.sample_files import Pixels, read_arrays

Floats = npt.NDArray[np.float32]

SIDE = 128
"""Pictures are compared at this size."""
MIRRORED_POSE = np.array([1, -1, -1, -1, 1, 1], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class FlowSample:
    """One person: `still` (128, 128, 3) the crop, `inside` (128, 128) 255 where it is the picture's and not its border
    drawn out; and n moments: `truth` (n, 128, 128, 3), `where` (n, 2, 64, 64), `face` (n, 64, 64), `pose` (n, 6)."""

    still: Pixels
    inside: Pixels
    truth: Pixels
    where: npt.NDArray[np.float16]
    face: Pixels
    pose: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FlowBatch:
    """`still`, `truth` (n, 3, 128, 128) 0..1, `inside` (n, 1, 128, 128), `where`, `face` (n, 1, 64, 64), `pose`."""

    still: Tensor
    truth: Tensor
    inside: Tensor
    where: Tensor
    face: Tensor
    pose: Tensor


def sample_of(head: Head, person: Frames, find: Callable[[Pixels], list[Face]]) -> FlowSample | None:
    """A person at rest moved by the live rules; None where no face is found."""
    faces = find(person.frames[0])
    if not faces:
        return None
    cast = make_cast(head, person.frames[0], faces[0])
    reference, size, to_map = read(head, faces[0]), (cast.size, cast.size), MAP_SIDE / cast.size
    rows: list[tuple[Pixels, npt.NDArray[np.float16], Pixels, Floats]] = []
    for frame in person.frames[1:]:
        found = find(frame)
        if not found:
            continue
        moved = move(cast.rest, read(head, found[0]), reference, Motion(), cast.free)
        points = cast.points(moved)
        points[:, :2] = (points[:, :2] + 0.5) * to_map - 0.5
        where = small_map(cast.weave(points)).astype(np.float16)
        truth = cv2.warpAffine(frame, cast.crop_from_avatar, size, borderMode=cv2.BORDER_REPLICATE)
        face = np.asarray(small_face(cast.weave.shown) * 255, np.uint8)
        rows.append((_small(truth), where, face, pose_of(cast.rest, moved)))
    if not rows:
        return None
    inside = cv2.warpAffine(np.full(person.frames[0].shape[:2], 255, np.uint8), cast.crop_from_avatar, size)
    truth, maps, shown, poses = (np.stack(column) for column in zip(*rows, strict=True))
    return FlowSample(_small(cast.still), _small(inside), truth, maps, shown, poses)


def _small(picture: Pixels | npt.NDArray[np.generic]) -> Pixels:
    return np.asarray(cv2.resize(np.asarray(picture), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def stacked(head: Head, person: Frames, find: Callable[[Pixels], list[Face]]) -> dict[str, Any] | None:
    """A person's sample as arrays."""
    made = sample_of(head, person, find)
    return None if made is None else {name: getattr(made, name) for name in FlowSample.__slots__}


def read_samples(files: list[Path]) -> list[FlowSample]:
    """The samples of prepared files."""
    return [FlowSample(**read_arrays(path)) for path in files]


class FlowSamples:
    """Batches of samples, mirrored and recoloured by chance, or `plain`; the same for the same number."""

    def __init__(self, samples: list[FlowSample], seed: int, plain: bool = False) -> None:
        self._samples, self._seed, self._plain = samples, seed, plain

    def batch(self, number: int, count: int) -> FlowBatch:
        """Batch `number`."""
        rng = np.random.default_rng([self._seed, number])
        rows = [self._one(rng) for _ in range(count)]
        still, truth, inside, where, face, pose = (
            torch.from_numpy(np.ascontiguousarray(np.stack(column), np.float32)) for column in zip(*rows, strict=True)
        )
        still, truth = still / 255, truth / 255
        if not self._plain:
            gain = torch.from_numpy(np.exp(rng.normal(0, 0.2, (count, 3, 1, 1))).astype(np.float32))
            more = torch.from_numpy(rng.normal(0, 0.05, (count, 3, 1, 1)).astype(np.float32))
            still, truth = still * gain + more, truth * gain + more
        return FlowBatch(still, truth, inside[:, None] / 255, where, face[:, None] / 255, pose)

    def _one(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
        sample = self._samples[rng.integers(len(self._samples))]
        k = int(rng.integers(len(sample.truth)))
        still, truth, inside, face = sample.still, sample.truth[k], sample.inside, sample.face[k]
        where, pose = sample.where[k].astype(np.float32), sample.pose[k]
        if not self._plain and rng.random() < 0.5:
            still, truth, inside, face = still[:, ::-1], truth[:, ::-1], inside[:, ::-1], face[:, ::-1]
            where, pose = where[:, :, ::-1].copy(), pose * MIRRORED_POSE
            where[0] = 1 - where[0]
        if not self._plain and rng.random() < 0.3:
            order = rng.permutation(3)
            still, truth = still[..., order], truth[..., order]
        return still.transpose(2, 0, 1), truth.transpose(2, 0, 1), inside, where, face, pose

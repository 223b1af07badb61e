"""From albums to what the network for hair and neck learns from: a person's picture, the mesh's map, and the truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
from realtime.tracking.tracker import Tracker
from trained_models.recipes.motion.albums import Album, Pixels, album_path, read_album

Floats = npt.NDArray[np.float32]

SIDE = 128
"""Pictures are compared at this size."""
MIRRORED_POSE = np.array([1, -1, -1, -1, 1, 1], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sitting:
    """One person: `still` (128, 128, 3) the crop, `inside` (128, 128) 255 where it is the picture's and not its border
    drawn out; and n moments: `truth` (n, 128, 128, 3), `where` (n, 2, 64, 64), `face` (n, 64, 64), `pose` (n, 6)."""

    still: Pixels
    inside: Pixels
    truth: Pixels
    where: npt.NDArray[np.float16]
    face: Pixels
    pose: Floats


@dataclass(frozen=True, slots=True, eq=False)
class AroundBatch:
    """`still`, `truth` (n, 3, 128, 128) 0..1, `inside` (n, 1, 128, 128), `where`, `face` (n, 1, 64, 64), `pose`."""

    still: Tensor
    truth: Tensor
    inside: Tensor
    where: Tensor
    face: Tensor
    pose: Tensor


def sitting_of(head: Head, album: Album, find: Callable[[Pixels], list[Face]]) -> Sitting | None:
    """An album as the live rules move its person at rest; None where no face is found."""
    faces = find(album.frames[0])
    if not faces:
        return None
    cast = make_cast(head, album.frames[0], faces[0])
    reference, size, to_map = read(head, faces[0]), (cast.size, cast.size), MAP_SIDE / cast.size
    rows: list[tuple[Pixels, npt.NDArray[np.float16], Pixels, Floats]] = []
    for frame in album.frames[1:]:
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
    inside = cv2.warpAffine(np.full(album.frames[0].shape[:2], 255, np.uint8), cast.crop_from_avatar, size)
    truth, maps, shown, poses = (np.stack(column) for column in zip(*rows, strict=True))
    return Sitting(_small(cast.still), _small(inside), truth, maps, shown, poses)


def _small(picture: Pixels | npt.NDArray[np.generic]) -> Pixels:
    return np.asarray(cv2.resize(np.asarray(picture), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def prepare_sittings(data: Path, head: Head, tracker: Tracker, first: int, end: int) -> Iterator[int]:
    """Sittings of albums `first` … `end` - 1, where they are and not yet done, to `data`/around; yields the numbers."""
    folder = data / "around"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, end):
        album, path = album_path(data / "albums", number), folder / f"around_{number:05d}.npz"
        if path.exists() or not album.exists():
            continue
        sitting = sitting_of(head, read_album(album), tracker.find)
        if sitting is not None:
            part = path.with_suffix(".part.npz")
            np.savez(part, **{name: getattr(sitting, name) for name in Sitting.__slots__})
            part.rename(path)
            yield number


def read_sittings(files: list[Path]) -> list[Sitting]:
    """Sittings of `prepare_sittings`' files."""
    out = []
    for path in files:
        with np.load(path, allow_pickle=False) as stored:
            out.append(Sitting(**{name: stored[name] for name in Sitting.__slots__}))
    return out


def sitting_files(data: Path) -> list[Path]:
    """The finished files in `data`/around, in order."""
    return sorted(p for p in (data / "around").glob("around_*.npz") if not p.name.endswith(".part.npz"))


class Sittings:
    """Batches of sittings, mirrored and recoloured by chance, or `plain`; the same for the same number."""

    def __init__(self, sittings: list[Sitting], seed: int, plain: bool = False) -> None:
        self._sittings, self._seed, self._plain = sittings, seed, plain

    def batch(self, number: int, size: int) -> AroundBatch:
        """Batch `number`."""
        rng = np.random.default_rng([self._seed, number])
        rows = [self._one(rng) for _ in range(size)]
        still, truth, inside, where, face, pose = (
            torch.from_numpy(np.ascontiguousarray(np.stack(column), np.float32)) for column in zip(*rows, strict=True)
        )
        still, truth = still / 255, truth / 255
        if not self._plain:
            gain = torch.from_numpy(np.exp(rng.normal(0, 0.2, (size, 3, 1, 1))).astype(np.float32))
            more = torch.from_numpy(rng.normal(0, 0.05, (size, 3, 1, 1)).astype(np.float32))
            still, truth = still * gain + more, truth * gain + more
        return AroundBatch(still, truth, inside[:, None] / 255, where, face[:, None] / 255, pose)

    def _one(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
        sitting = self._sittings[rng.integers(len(self._sittings))]
        k = int(rng.integers(len(sitting.truth)))
        still, truth, inside, face = sitting.still, sitting.truth[k], sitting.inside, sitting.face[k]
        where, pose = sitting.where[k].astype(np.float32), sitting.pose[k]
        if not self._plain and rng.random() < 0.5:
            still, truth, inside, face = still[:, ::-1], truth[:, ::-1], inside[:, ::-1], face[:, ::-1]
            where, pose = where[:, :, ::-1].copy(), pose * MIRRORED_POSE
            where[0] = 1 - where[0]
        if not self._plain and rng.random() < 0.3:
            order = rng.permutation(3)
            still, truth = still[..., order], truth[..., order]
        return still.transpose(2, 0, 1), truth.transpose(2, 0, 1), inside, where, face, pose

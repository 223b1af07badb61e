"""The flow network that leads hair, neck and room: its samples, itself (a U-Net of 64 cells, 0.14 GFLOP), its training.

A person's picture at rest, looked up where the network says beside the mesh's map, is compared with the truth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.families.motion.mesh import flow as live
from realtime.families.motion.mesh.head import Head, read
from realtime.families.motion.mesh.motion import move
from realtime.families.motion.mesh.source import MAP_SIDE, make_source
from realtime.families.motion.motion_model import Motion
from realtime.frame import Floats, Pixels
from realtime.tracking.face import Face
from trained_models.recipes.motion.frames import Frames
from trained_models.recipes.sample_files import read_arrays
from trained_models.training.ema import EmaTraining, Plan

PICTURE_SIDE = 128  # pictures are compared at this size
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
    cast = make_source(head, person.frames[0], faces[0])
    reference, size, to_map = read(head, faces[0]), (cast.size, cast.size), MAP_SIDE / cast.size
    rows: list[tuple[Pixels, npt.NDArray[np.float16], Pixels, Floats]] = []
    for frame in person.frames[1:]:
        found = find(frame)
        if not found:
            continue
        moved = move(cast.rest, read(head, found[0]), reference, Motion(), cast.free)
        points = cast.points(moved)
        points[:, :2] = (points[:, :2] + 0.5) * to_map - 0.5
        where = live.small_map(cast.weave(points)).astype(np.float16)
        truth = cv2.warpAffine(frame, cast.crop_from_avatar, size, borderMode=cv2.BORDER_REPLICATE)
        face = np.asarray(live.small_face(cast.weave.shown) * 255, np.uint8)
        rows.append((_small(truth), where, face, live.pose_of(cast.rest, moved)))
    if not rows:
        return None
    inside = cv2.warpAffine(np.full(person.frames[0].shape[:2], 255, np.uint8), cast.crop_from_avatar, size)
    truth, maps, shown, poses = (np.stack(column) for column in zip(*rows, strict=True))
    return FlowSample(_small(cast.still), _small(inside), truth, maps, shown, poses)


def _small(picture: Pixels | npt.NDArray[np.generic]) -> Pixels:
    return np.asarray(
        cv2.resize(np.asarray(picture), (PICTURE_SIDE, PICTURE_SIDE), interpolation=cv2.INTER_AREA), np.uint8
    )


def stacked(head: Head, person: Frames, find: Callable[[Pixels], list[Face]]) -> dict[str, Any] | None:
    made = sample_of(head, person, find)
    return None if made is None else {name: getattr(made, name) for name in FlowSample.__slots__}


def read_samples(files: list[Path]) -> list[FlowSample]:
    return [FlowSample(**read_arrays(path)) for path in files]


class FlowSamples:
    """Batches of samples, mirrored and recoloured by chance, or `plain`; the same for the same number."""

    def __init__(self, samples: list[FlowSample], seed: int, plain: bool = False) -> None:
        self._samples, self._seed, self._plain = samples, seed, plain

    def batch(self, number: int, count: int) -> FlowBatch:
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


PLAN = Plan(batch=12, steps=1500, peak_rate=2e-3, last_rate=2e-5, average=0.99, seed=7)
ROUGH = 0.15  # what a step between neighbouring cells costs, against colour
WIDTHS = (16, 24, 32, 48)
REACH = 0.1  # of the crop's side, for an answer of 1


def _conv(taken: int, given: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(taken, given, 3, stride, 1), nn.LeakyReLU(0.1))


def _larger(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class FlowNetwork(nn.Module):
    """(n, 17, 64, 64) as `realtime.families.motion.mesh.flow.fill` makes it → (n, 2, 64, 64) sides of the crop."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        self.widths = widths
        self.e0 = _conv(live.CHANNELS, a)
        self.e1 = nn.Sequential(_conv(a, b, 2), _conv(b, b))
        self.e2 = nn.Sequential(_conv(b, c, 2), _conv(c, c))
        self.e3 = nn.Sequential(_conv(c, d, 2), _conv(d, d), _conv(d, d))
        self.d2, self.d1, self.d0 = _conv(d + c, c), _conv(c + b, b), _conv(b + a, a)
        self.out = nn.Conv2d(a, 2, 3, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, fed: Tensor) -> Tensor:
        a: Tensor = self.e0(fed)
        b: Tensor = self.e1(a)
        c: Tensor = self.e2(b)
        y: Tensor = self.d2(torch.cat([_larger(self.e3(c)), c], 1))
        y = self.d1(torch.cat([_larger(y), b], 1))
        y = self.d0(torch.cat([_larger(y), a], 1))
        return REACH * self.out(y)


def _grid() -> Tensor:
    at = (torch.arange(live.SIDE) + 0.5) / live.SIDE
    down, across = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([across, down])[None]


def looked_up(picture: Tensor, where: Tensor) -> Tensor:
    """A picture (n, 3, h, w) at places (n, 2, h', w') in sides."""
    return F.grid_sample(picture, (where * 2 - 1).permute(0, 2, 3, 1), padding_mode="border", align_corners=False)


def fed(batch: FlowBatch) -> Tensor:
    """(n, 17, 64, 64) what `realtime.families.motion.mesh.flow.fill` makes, for a batch."""
    n, still, grid = len(batch.pose), F.avg_pool2d(batch.still, 2), _grid()
    pose = (batch.pose * torch.from_numpy(live.POSE_GAIN))[:, :, None, None].expand(n, 6, live.SIDE, live.SIDE)
    drawn = looked_up(still, batch.where)
    places = (2 * grid - 1).expand(n, 2, live.SIDE, live.SIDE)
    return torch.cat([still - 0.5, drawn - 0.5, (batch.where - grid) * live.MAP_GAIN, batch.face, pose, places], 1)


def counted(batch: FlowBatch) -> Tensor:
    """(n, 1, 64, 64) what `realtime.families.motion.mesh.flow.counted` says, for a batch."""
    grid, pose = _grid(), batch.pose
    window = ((torch.minimum(grid, 1 - grid).amin(1, keepdim=True) * live.SIDE - 0.5) / live.EDGE).clamp(0, 1)
    far = pose[:, :3].norm(dim=1) / live.FULL_RAD + pose[:, 3:5].norm(dim=1) * live.SHIFT_CM / live.FULL_SHIFT_CM
    amount = (far + pose[:, 5].abs() / live.FULL_ZOOM).clamp(0, 1)[:, None, None, None]
    return (1 - F.avg_pool2d(batch.face, 3, 1, 1, count_include_pad=False)) * window * amount


def errors(batch: FlowBatch, away: Tensor) -> tuple[Tensor, Tensor]:
    """The mean absolute error of colour outside the face, and how rough `away` (n, 2, 64, 64) is."""
    weight = (1 - _larger(batch.face)) * (batch.inside > 0.9)
    made = looked_up(batch.still, _larger(batch.where + away))
    colour = ((made - batch.truth).abs().mean(1, keepdim=True) * weight).mean()
    rough = (away[..., 1:] - away[..., :-1]).abs().mean() + (away[..., 1:, :] - away[..., :-1, :]).abs().mean()
    return colour, rough


class FlowTraining(EmaTraining):
    def __init__(self, plan: Plan = PLAN, widths: tuple[int, int, int, int] = WIDTHS) -> None:
        torch.manual_seed(plan.seed)
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(FlowNetwork(widths), **rates, form={"widths": list(widths)})
        self.plan = plan

    def step(self, batch: FlowBatch) -> dict[str, float]:
        away = self.network(fed(batch)) * counted(batch)
        colour, rough = errors(batch, away)
        self.descend(colour + ROUGH * rough, self.plan.rate(self.step_number))
        return {"colour": float(colour.detach())}

    @torch.no_grad()
    def judge(self, held_out: FlowBatch) -> dict[str, float]:
        """The averaged network's error, and the mesh's alone."""
        away = self.averaged(fed(held_out)) * counted(held_out)
        made, mesh = errors(held_out, away)[0], errors(held_out, torch.zeros_like(away))[0]
        return {"colour": float(made), "mesh": float(mesh)}

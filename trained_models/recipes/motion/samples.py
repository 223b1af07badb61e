"""Makes what the refiner learns from: patches of mouth and eyes as geometry draws them, and as they are.

The person at rest is moved to the landmarks that the tracker finds in another frame, by the live loop's own functions;
the frame itself is the truth. In half of the samples lids and lips are set by the live rules instead of the landmarks,
as the network will meet them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from realtime.families.motion.mesh import source
from realtime.families.motion.mesh.head import EYES, Head, Reading, read
from realtime.families.motion.mesh.model import geometry
from realtime.families.motion.mesh.motion import Moved, set_openings
from realtime.frame import Floats, Pixels
from realtime.tracking.face import Face
from trained_models.recipes.motion.frames import Frames, frames_path, read_frames
from trained_models.recipes.sample_files import fill_folder, read_arrays

FARTHEST = np.radians(34)
"""A head turned further than this from the picture at rest shows too little that could be learnt from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Samples: `mouth_*` (n, 112, 112, c) and `eye_*` (2 n, 64, 64, c) uint8, c = 3, guides 2; `chin` (n,)."""

    mouth_drawn: Pixels
    mouth_rest: Pixels
    mouth_guides: Pixels
    mouth_truth: Pixels
    chin: Floats
    eye_drawn: Pixels
    eye_rest: Pixels
    eye_guides: Pixels
    eye_truth: Pixels


def follow(cast: source.MeshSource, seen: Reading) -> Moved:
    """The avatar moved exactly to a reading of the same person in the same crop, without limits or rules."""
    rest = cast.rest
    gaze = np.zeros(2)
    for eye in EYES:
        width = float(np.linalg.norm(rest.shape[eye.corners[1]] - rest.shape[eye.corners[0]]))
        now, then = (r.shape[eye.iris, :2] - r.shape[eye.corners, :2].mean(axis=0) for r in (seen, rest))
        gaze += 0.5 * (now - then) / width
    shift = (seen.place - rest.place) / rest.scale
    return Moved(seen.shape, seen.turn, shift, seen.scale / rest.scale, gaze)


def samples_of(head: Head, person: Frames, find: Callable[[Pixels], list[Face]]) -> Iterator[dict[str, Pixels | float]]:
    faces = find(person.frames[0])
    if not faces:
        return
    cast = source.make_source(head, person.frames[0], faces[0])
    scale, shift = cast.crop_from_avatar[0, 0], cast.crop_from_avatar[:, 2].astype(np.float32)
    rng = np.random.default_rng([person.person_seed, 5])
    for frame in person.frames[1:]:
        faces = find(frame)
        if not faces:
            continue
        landmarks = faces[0].landmarks * np.float32(scale)
        landmarks[:, :2] += shift
        seen = read(head, replace(faces[0], landmarks=landmarks))
        if np.arccos(np.clip((np.trace(seen.turn.T @ cast.rest.turn) - 1) / 2, -1, 1)) > FARTHEST:
            continue
        moved = follow(cast, seen)
        if rng.random() < 0.5:
            moved = replace(moved, shape=set_openings(moved.shape, cast.rest, seen, cast.rest))
        truth = cv2.warpAffine(
            frame,
            cast.crop_from_avatar,
            (cast.size, cast.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        yield _sample(cast, moved, truth)


def _sample(cast: source.MeshSource, moved: Moved, truth: Pixels) -> dict[str, Pixels | float]:
    points = cast.points(moved, exactly=True)
    drawn = geometry(cast, points, moved)
    px = cast.rest.scale * moved.zoom
    place, home = source.mouth_place(points, px), source.mouth_place(cast.flat, cast.rest.scale)
    guides, chin = source.mouth_guides(place, points)
    out: dict[str, Pixels | float] = {
        **{"mouth_drawn": place.cut(drawn), "mouth_rest": home.cut(cast.still), "mouth_guides": guides},
        **{"mouth_truth": place.cut(truth), "chin": chin},
    }
    eyes: dict[str, list[Pixels]] = {"eye_drawn": [], "eye_rest": [], "eye_guides": [], "eye_truth": []}
    for eye, ball in zip(EYES, cast.eyes, strict=True):
        spot = source.eye_place(points, eye, ball.width * moved.zoom)
        iris = cast.iris_place(points, moved, eye)
        eyes["eye_drawn"].append(spot.cut(drawn))
        eyes["eye_rest"].append(source.eye_place(cast.flat, eye, ball.width).cut(cast.still))
        eyes["eye_guides"].append(source.eye_guides(spot, points, eye, iris, ball.radius * moved.zoom))
        eyes["eye_truth"].append(spot.cut(truth))
    return out | {name: np.stack(pair) for name, pair in eyes.items()}


def stacked(head: Head, person: Frames, find: Callable[[Pixels], list[Face]]) -> dict[str, Any] | None:
    """A person's samples as the arrays of `Patches`; None where there are none."""
    found = list(samples_of(head, person, find))
    if not found:
        return None
    fields = {name: np.stack([np.asarray(sample[name]) for sample in found]) for name in found[0]}
    return {name: v.reshape(-1, *v.shape[2:]) if name.startswith("eye") else v for name, v in fields.items()}


def prepare(
    data: Path, name: str, numbers: Iterable[int], make: Callable[[Frames], dict[str, Any] | None]
) -> Iterator[int]:
    """Samples of the people of `numbers` who are rendered and not yet done, to `data`/NAME; yields the numbers."""
    there = [number for number in numbers if frames_path(data, number).exists()]
    yield from fill_folder(data / name, there, lambda k: make(read_frames(frames_path(data, k))), lambda: False)


def read_patches(paths: list[Path]) -> Patches:
    rows = [read_arrays(path) for path in paths]
    whole = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return Patches(**whole | {"chin": whole["chin"].astype(np.float32)})


Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Batch:
    """`*_fed` as the network takes them; `*_drawn` (a part of it), `*_truth` (n, 3, s, s) BGR 0..1."""

    mouth_fed: Tensor
    mouth_truth: Tensor
    eye_fed: Tensor
    eye_truth: Tensor


def colours(rng: Rng) -> tuple[Floats, Floats]:
    """A change of light and paint: a (3, 3) mix of the channels and (3,) powers."""
    mix = np.diag(np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.07, 3)))
    lot = rng.random()
    if lot < 0.08:
        mix = np.full((3, 3), mix.trace() / 9)  # black and white
    elif lot < 0.2:
        mix = mix[rng.permutation(3)]  # blue people, green people
    grey = rng.uniform(-0.25, 0.5) if rng.random() < 0.5 else 0.0
    mix = (1 - grey) * mix + grey * mix.sum(axis=0, keepdims=True) / 3
    power = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.05, 3))
    return mix.astype(np.float32), power.astype(np.float32)


class Samples:
    def __init__(self, patches: Patches, seed: int = 1, plain: bool = False) -> None:
        self._patches, self._seed, self._plain = patches, seed, plain
        self._mouths, self._eyes = len(patches.chin), len(patches.eye_drawn)

    def __len__(self) -> int:
        return self._mouths

    def batch(self, number: int, count: int) -> Batch:
        """`count` mouths and twice as many eyes."""
        rng = np.random.default_rng([self._seed, number])
        mouths = [int(i) for i in rng.integers(0, self._mouths, count)]
        eyes = [int(i) for i in rng.integers(0, self._eyes, 2 * count)]
        return self.chosen(mouths, eyes, rng)

    def chosen(self, mouths: list[int], eyes: list[int], rng: Rng) -> Batch:
        p = self._patches
        fed = np.empty((len(mouths), source.MOUTH_CHANNELS, source.MOUTH_SIDE, source.MOUTH_SIDE), np.float32)
        truth = np.empty((len(mouths), 3, source.MOUTH_SIDE, source.MOUTH_SIDE), np.float32)
        for row, i in enumerate(mouths):
            flip = slice(None, None, -1 if not self._plain and rng.random() < 0.5 else 1)
            pictures = (p.mouth_drawn[i], p.mouth_rest[i], p.mouth_guides[i])
            source.mouth_feed(fed[row], *(a[:, flip] for a in pictures), float(p.chin[i]))
            truth[row] = p.mouth_truth[i][:, flip].transpose(2, 0, 1) / np.float32(255)
            self._recolour(fed[row], truth[row], rng)
        fed_eyes = np.empty((len(eyes), source.EYE_CHANNELS, source.EYE_SIDE, source.EYE_SIDE), np.float32)
        true_eyes = np.empty((len(eyes), 3, source.EYE_SIDE, source.EYE_SIDE), np.float32)
        for row, i in enumerate(eyes):
            source.eye_feed(fed_eyes[row], p.eye_drawn[i], p.eye_rest[i], p.eye_guides[i])
            true_eyes[row] = p.eye_truth[i].transpose(2, 0, 1) / np.float32(255)
            self._recolour(fed_eyes[row], true_eyes[row], rng)
        return Batch(*(torch.from_numpy(a) for a in (fed, truth, fed_eyes, true_eyes)))

    def _recolour(self, fed: Floats, truth: Floats, rng: Rng) -> None:
        if self._plain:
            return
        both = np.concatenate([fed[:6], truth])
        mix, power = colours(rng)
        for start in (0, 3, 6):
            both[start : start + 3] = (
                np.clip(np.tensordot(mix, both[start : start + 3], axes=1), 0, 1) ** power[:, None, None]
            )
        fed[:6], truth[:] = both[:6], both[6:]


def spread(samples: Samples, count: int) -> Batch:
    """Up to `count` samples from all over, mouths with their two eyes, not augmented if `samples` are plain."""
    chosen = np.unique(np.linspace(0, len(samples) - 1, count).astype(int)).tolist()
    return samples.chosen(chosen, [2 * i + k for i in chosen for k in (0, 1)], np.random.default_rng(0))

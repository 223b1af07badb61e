"""Training pairs: two people in the same moment, in shards that a trainer can read while more are rendered.

A driver is drawn once for all identities, which share the cost; each identity has a folder of shards of its own.
A shard is an uncompressed `.npz` without pickles. `person_jpg`, `target_jpg`, `person_mask_png` and `target_mask_png`
are files one after the other in one uint8 array; `<name>_offsets` (n + 1,) say where each begins. `actions` (n, 52) are
weights in the order of `action_names`, `person_driven` and `target_driven` (n, 52) what each one's calibration made of
them, so that the tracker reads the same on both; `rot` (n, 3) and `gaze` (n, 2) in degrees; `person_landmarks` and
`target_landmarks` (n, 68, 2) pixels; `person_seed` (n,); `occluder` (n,) what is held before the driver's face, "" for
nothing; `seed` = (data seed, shard number). Everything in a shard follows from the identity and these two numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trained_models.recipes.people.accessories import Occluder, Worn, wears_dark_glasses
from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.calibrate import Calibration
from trained_models.recipes.people.develop import Picture
from trained_models.recipes.people.moments import MomentDraw, draw_moment
from trained_models.recipes.people.person import IDENTITIES, PersonSpec, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology
from trained_models.recipes.sample_files import in_processes, joined, jpeg, numbered, png
from trained_models.training.ema import STOP
from trained_models.training.files import save_arrays

SIZE = 256
TARGET_SIZE = 320  # the identity is drawn larger: from this the crop of a fine variant is cut without blowing it up
DRIVER_BAKE_VIEWS = 64


Shot = tuple[Picture, Floats]
"""A picture and the (52,) amplitudes that made its face."""


class Studio:
    """The identities, loaded for good and drawn fourfold, and whoever drives them. The driver is drawn without
    oversampling: trainers make webcam pictures of it anyway."""

    def __init__(self, identities: Sequence[PersonSpec]) -> None:
        self.names = topology().actions
        self._person = Renderer(SIZE, SIZE, oversampling=1)
        self._person_seed: int | None = None
        self._person_moves: Calibration | None = None
        self._targets: list[tuple[Renderer, Calibration]] = []
        for identity in identities:
            target = Renderer(TARGET_SIZE, TARGET_SIZE, oversampling=2)
            identity.load_into(target)
            self._targets.append((target, calibration(target)))

    def all(self, person_seed: int, drawn: MomentDraw, held: Occluder | None = None) -> list[Shot]:
        """The driver, who may hold something before the face, then each identity in the same moment."""
        if person_seed != self._person_seed or self._person_moves is None:
            PersonSpec(person_seed).load_into(self._person, DRIVER_BAKE_VIEWS)
            self._person_moves = calibration(self._person)
            self._person_seed = person_seed
        centre = self._person.scene.person.centre
        return [
            self._shot(self._person, self._person_moves, drawn, held.at(centre, 1.0) if held else None),
            *(self._shot(target, moves, drawn, None) for target, moves in self._targets),
        ]

    def _shot(self, renderer: Renderer, moves: Calibration, drawn: MomentDraw, before: Worn | None) -> Shot:
        tilt = np.radians(drawn.tilt)

        def sight(face: Floats) -> tuple[Any, Any]:
            target = face + np.array([drawn.offset[0], 0.05 + drawn.offset[1], 0])
            return target + drawn.distance * np.array([0, np.sin(tilt), np.cos(tilt)]), target

        driven = moves.drive(drawn.actions)
        moment = Moment(driven, drawn.rot, drawn.gaze, drawn.view_deg, sight, Light(drawn.light), before)
        return renderer.picture(moment, background(drawn.room, *renderer.size)), driven


SEED = 20261
OCCLUDED = 0.3  # the share of drivers who hold something before their face
SAMPLES = 100
SAMPLES_PER_PERSON = 25
FIRST_PERSON = 100_000  # people of the pairs are counted from here; seeds below are free for tests and clips
SHADED_EVERY = 5
"""Every so many drivers one wears sunglasses: seldom worn, but easily taken for a face by a network that saw few."""
SHADED_FROM = 1_000_000
JPEG_QUALITY = 95


def driver_of(turn: int) -> int:
    """The seed of the driver whose turn it is, counted from 0 over all shards."""
    if turn % SHADED_EVERY != SHADED_EVERY - 1:
        return FIRST_PERSON + turn
    # A thousand seeds each, so that nobody drives twice: that none of them has sunglasses never happens.
    first = SHADED_FROM + 1000 * (turn // SHADED_EVERY)
    return next(seed for seed in range(first, first + 1000) if wears_dark_glasses(seed))


def held_by(seed: int, number: int, index: int, share: float = OCCLUDED) -> Occluder | None:
    """What the driver of a shard's sample holds before the face, None for all but `share`."""
    rng = np.random.default_rng([seed, number, index, 3])
    return Occluder(int(rng.integers(1 << 31))) if rng.random() < share else None


@dataclass(slots=True, eq=False)
class Roll:
    """One person's part of a shard: the encoded pictures and masks, the landmarks, and the driven actions."""

    jpg: list[bytes] = field(default_factory=list)
    mask_png: list[bytes] = field(default_factory=list)
    driven: list[Any] = field(default_factory=list)
    landmarks: list[Any] = field(default_factory=list)

    def add(self, shot: Shot) -> None:
        picture, driven = shot
        self.jpg.append(jpeg(picture.pixels[..., ::-1], JPEG_QUALITY))
        self.mask_png.append(png((picture.face * 255 + 0.5).astype(np.uint8)))
        self.driven.append(driven)
        self.landmarks.append(picture.landmarks)

    def fields(self, role: str) -> dict[str, Any]:
        """The arrays of the shard, named for `role`."""
        out: dict[str, Any] = {f"{role}_driven": np.stack(self.driven), f"{role}_landmarks": np.stack(self.landmarks)}
        for name in ("jpg", "mask_png"):
            out[f"{role}_{name}"], out[f"{role}_{name}_offsets"] = joined(getattr(self, name))
        return out


@dataclass(frozen=True, slots=True)
class Drivers:
    """Who drives: the seed of the moments, drivers in a shard, the turn of the first, the share who hold something."""

    seed: int = SEED
    people: int = SAMPLES // SAMPLES_PER_PERSON
    first: int = 0
    occluded: float = OCCLUDED


STRANGERS = Drivers(seed=20263, people=25, first=50_000, occluded=0.5)
"""Many people, few pictures of each: what tells a face from what is before it needs no identity beside it. Pairs do not
come as far as their first turn."""


def render_shard(
    studio: Studio, number: int, drivers: Drivers, stopped: Callable[[], bool]
) -> list[dict[str, Any]] | None:
    """The arrays of a shard, once for each identity of the studio, or without any; None if `stopped` said so."""
    rolls: list[Roll] = []
    people: list[int] = []
    occluders: list[str] = []
    draws: list[MomentDraw] = []
    for index in range(SAMPLES):
        if stopped():
            return None
        drawn = draw_moment(drivers.seed, number, index, studio.names)
        who = driver_of(drivers.first + number * drivers.people + index * drivers.people // SAMPLES)
        held = held_by(drivers.seed, number, index, drivers.occluded)
        shots = studio.all(who, drawn, held)
        rolls = rolls or [Roll() for _ in shots]
        for roll, shot in zip(rolls, shots, strict=True):
            roll.add(shot)
        people.append(who)
        occluders.append(held.kind if held else "")
        draws.append(drawn)
    shared: dict[str, Any] = {name: np.stack([getattr(d, name) for d in draws]) for name in ("actions", "rot", "gaze")}
    shared |= rolls[0].fields("person") | {
        "person_seed": np.array(people, np.int64),
        "occluder": np.array(occluders),
        "action_names": np.array(studio.names),
        "seed": np.array([drivers.seed, number]),
    }
    return [shared | roll.fields("target") for roll in rolls[1:]] or [shared]


class ShardWriter:
    """Renders shards to files: one to the folder of each identity."""

    def __init__(self, identities: Sequence[PersonSpec]) -> None:
        self._studio = Studio(identities)

    def __call__(self, job: tuple[tuple[Path, ...], Path, int, Drivers]) -> int:
        folders, stop, number, drivers = job
        shards = render_shard(self._studio, number, drivers, stop.exists)
        for folder, fields in zip(folders, shards or [], strict=False):
            save_arrays(numbered(folder, number, "shard"), fields)
        return number


def render_shards(data: Path, identities: Sequence[str], shards: int, workers: int, drivers: Drivers) -> Iterator[int]:
    """Render what is missing of shards 0 … `shards` - 1; yields each number when it is done.

    `identities`: names in `person.IDENTITIES`, each into `data`/pairs/NAME. Without any, drivers alone into
    `data`/strangers: shards without the `target` fields. One single-threaded process a worker. Ends early when
    `data`/STOP appears.
    """
    folders = [data / "pairs" / name for name in identities] or [data / "strangers"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    missing = [k for k in range(shards) if not all(numbered(f, k, "shard").exists() for f in folders)]
    jobs = [(tuple(folders), data / STOP, k, drivers) for k in missing]
    yield from in_processes(ShardWriter, [IDENTITIES[name] for name in identities], jobs, workers, (data / STOP).exists)

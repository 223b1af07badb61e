"""Training pairs: two people in the same moment, in shards that a trainer can read while more are rendered.

A shard is an uncompressed `.npz` without pickles. `person_jpg`, `target_jpg`, `person_mask_png` and `target_mask_png`
are files one after the other in one uint8 array; `<name>_offsets` (n + 1,) say where each begins. `actions` (n, 52) are
weights in the order of `action_names`, `person_driven` and `target_driven` (n, 52) what each one's calibration made of
them, so that the tracker reads the same on both; `rot` (n, 3) and `gaze` (n, 2) in degrees; `person_landmarks` and
`target_landmarks` (n, 68, 2) pixels; `person_seed` (n,); `seed` = (data seed, shard number). Everything in a shard
follows from these last two numbers.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from trained_models.recipes.people.calibrate import Calibration
    from trained_models.recipes.people.develop import Picture
    from trained_models.recipes.people.moments import MomentDraw
    from trained_models.recipes.people.renderer import Renderer

Pixels = npt.NDArray[np.uint8]

SEED = 20261
SIZE = 256
SAMPLES = 100
SAMPLES_PER_PERSON = 25
FIRST_PERSON = 100_000
"""People of the pairs are counted from here; seeds below are free for tests and clips."""
DRIVER_BAKE_VIEWS = 64
JPEG_QUALITY = 95
STOP = "STOP"
"""A file of this name in the data folder ends the rendering after the current sample."""

PICTURES = ("person_jpg", "target_jpg", "person_mask_png", "target_mask_png")


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A shard decoded: `person`, `target` (n, 256, 256, 3) uint8 BGR; their masks (n, 256, 256) uint8, 255 in the face.

    The rest as stored, see the module's text.
    """

    person: Pixels
    target: Pixels
    person_mask: Pixels
    target_mask: Pixels
    actions: npt.NDArray[np.float32]
    action_names: list[str]
    rot: npt.NDArray[np.float32]
    gaze: npt.NDArray[np.float32]
    person_seed: npt.NDArray[np.int64]


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` lies."""
    return folder / f"shard_{number:05d}.npz"


def joined(files: list[bytes]) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Files one after the other, and the offsets between them."""
    offsets = np.cumsum([0] + [len(f) for f in files]).astype(np.int64)
    return np.frombuffer(b"".join(files), np.uint8), offsets


def decoded_files(fields: dict[str, Any], name: str, how: int) -> Pixels:
    """(n, h, w[, 3]) the pictures of one `joined` stream; `how`: one of OpenCV's IMREAD flags."""
    data, ends = fields[name], fields[name + "_offsets"]
    pictures = [cv2.imdecode(data[a:b], how) for a, b in pairwise(ends)]
    return np.stack([np.asarray(p, np.uint8) for p in pictures])


def read_shard(path: Path) -> Shard:
    """Read and decode one shard."""
    with np.load(path, allow_pickle=False) as stored:
        fields = {name: stored[name] for name in stored.files}

    return Shard(
        person=decoded_files(fields, "person_jpg", cv2.IMREAD_COLOR),
        target=decoded_files(fields, "target_jpg", cv2.IMREAD_COLOR),
        person_mask=decoded_files(fields, "person_mask_png", cv2.IMREAD_GRAYSCALE),
        target_mask=decoded_files(fields, "target_mask_png", cv2.IMREAD_GRAYSCALE),
        actions=fields["actions"],
        action_names=[str(n) for n in fields["action_names"]],
        rot=fields["rot"],
        gaze=fields["gaze"],
        person_seed=fields["person_seed"],
    )


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture and the (52,) amplitudes that made its face."""

    picture: "Picture"
    driven: npt.NDArray[np.floating[Any]]


class Studio:
    """Two renderers: the identity, loaded for good and drawn fourfold, and whoever drives it.

    The driver is drawn without oversampling: trainers make webcam pictures of it anyway.
    """

    def __init__(self) -> None:
        from trained_models.recipes.people.person import ADA, calibration
        from trained_models.recipes.people.renderer import Renderer
        from trained_models.recipes.people.topology import topology

        self.names = topology().actions
        self._target = Renderer(SIZE, SIZE, oversampling=2)
        self._person = Renderer(SIZE, SIZE, oversampling=1)
        self._person_seed: int | None = None
        ADA.load_into(self._target)
        self._target_moves = self._person_moves = calibration(self._target)

    def both(self, person_seed: int, drawn: "MomentDraw") -> tuple["Shot", "Shot"]:
        """The driver and the identity in the same moment."""
        from trained_models.recipes.people.person import Casting, calibration
        from trained_models.recipes.people.room import background

        if person_seed != self._person_seed:
            Casting(person_seed).load_into(self._person, DRIVER_BAKE_VIEWS)
            self._person_moves = calibration(self._person)
            self._person_seed = person_seed
        room = background(drawn.room, SIZE, SIZE)
        return (
            self._shot(self._person, self._person_moves, drawn, room),
            self._shot(self._target, self._target_moves, drawn, room),
        )

    def _shot(self, renderer: "Renderer", moves: "Calibration", drawn: "MomentDraw", room: Any) -> "Shot":
        from trained_models.recipes.people.lights import Light
        from trained_models.recipes.people.renderer import Moment

        tilt = np.radians(drawn.tilt)

        def sight(face: npt.NDArray[np.float32]) -> tuple[Any, Any]:
            target = face + np.array([drawn.offset[0], 0.05 + drawn.offset[1], 0])
            return target + drawn.distance * np.array([0, np.sin(tilt), np.cos(tilt)]), target

        driven = moves.drive(drawn.actions)
        moment = Moment(driven, drawn.rot, drawn.gaze, drawn.view_deg, sight, Light(drawn.light))
        return Shot(renderer.picture(moment, room), driven)


def render_shard(studio: Studio, number: int, seed: int, stopped: Callable[[], bool]) -> dict[str, Any] | None:
    """The arrays of a shard; None if `stopped` said so."""
    from trained_models.recipes.people.moments import draw_moment

    files: dict[str, list[bytes]] = {name: [] for name in PICTURES}
    driven: dict[str, list[Any]] = {"person": [], "target": []}
    landmarks: dict[str, list[Any]] = {"person": [], "target": []}
    people: list[int] = []
    draws: list[MomentDraw] = []
    for index in range(SAMPLES):
        if stopped():
            return None
        drawn = draw_moment(seed, number, index, studio.names)
        who = FIRST_PERSON + number * (SAMPLES // SAMPLES_PER_PERSON) + index // SAMPLES_PER_PERSON
        for role, shot in zip(("person", "target"), studio.both(who, drawn), strict=True):
            picture = shot.picture
            driven[role].append(shot.driven)
            landmarks[role].append(picture.landmarks)
            mask = (picture.face * 255 + 0.5).astype(np.uint8)
            quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            files[role + "_jpg"].append(cv2.imencode(".jpg", picture.pixels[..., ::-1], quality)[1].tobytes())
            fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
            files[role + "_mask_png"].append(cv2.imencode(".png", mask, fast)[1].tobytes())
        people.append(who)
        draws.append(drawn)
    fields: dict[str, Any] = {}
    for name, pictures in files.items():
        fields[name], fields[name + "_offsets"] = joined(pictures)
    fields.update({name: np.stack([getattr(d, name) for d in draws]) for name in ("actions", "rot", "gaze")})
    names = np.array(studio.names)
    return fields | {
        "person_seed": np.array(people, np.int64),
        "action_names": names,
        **{f"{role}_driven": np.stack(rows) for role, rows in driven.items()},
        **{f"{role}_landmarks": np.stack(rows) for role, rows in landmarks.items()},
        "seed": np.array([seed, number]),
    }


_studio: Studio | None = None
"""A worker process's own; made by the pool's initializer."""


def _open_studio() -> None:
    global _studio
    import torch

    os.environ["LP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _studio = Studio()


def _write_shard(job: tuple[Path, int, int]) -> int:
    """Render one shard to its file; its number."""
    folder, number, seed = job
    assert _studio is not None
    fields = render_shard(_studio, number, seed, (folder.parent / STOP).exists)
    if fields is not None:
        path = shard_path(folder, number)
        part = path.with_suffix(".part.npz")
        np.savez(part, **fields)
        part.rename(path)
    return number


def render_pairs(data: Path, shards: int, workers: int, seed: int = SEED) -> Iterator[int]:
    """Render what is missing of shards 0 … `shards` - 1 into `data`/pairs; yields each number when it is done.

    One single-threaded process a worker. Ends early when `data`/STOP appears.
    """
    from multiprocessing import get_context

    folder = data / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, k, seed) for k in range(shards) if not shard_path(folder, k).exists()]
    # Mesa reads this when a process makes its context: before the workers are born, not only inside them.
    os.environ["LP_NUM_THREADS"] = "1"
    with get_context("spawn").Pool(workers, _open_studio) as pool:
        for number in pool.imap_unordered(_write_shard, jobs):
            yield number
            if (data / STOP).exists():
                return

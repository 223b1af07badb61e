"""Renders what motion is learnt from: one person at rest, and at other moments in the same light and room.

A person's file is an uncompressed `.npz` without pickles: `frame_jpg` and its offsets (`sample_files`), frame 0 as an
avatar's picture shows the person: from the front, near neutral, now and then smiling. `rot` (n, 3) and `gaze` (n, 2)
degrees; `person_seed`, `cartoon`; `seed` = (data seed, number), from which everything follows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from realtime.frame import Floats, Pixels
from trained_models.recipes import sample_files
from trained_models.recipes.people.calibrate import uncalibrated
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.moments import draw_moment
from trained_models.recipes.people.performance import put
from trained_models.recipes.people.person import PersonSpec
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology
from trained_models.training.ema import STOP

SEED = 20265
FIRST_PERSON = 700_000  # people are counted from here
SIZE = 320
MOMENTS = 15
CARTOONS = 0.3  # share of drawn characters
BAKE_VIEWS = 64
JPEG_QUALITY = 96
SHOWN_TEETH = 0.25  # share of people who smile on the picture that is to be moved


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """One person decoded: `frames` (n, s, s, 3) uint8 BGR, the first at rest; the rest as stored."""

    frames: Pixels
    rot: Floats
    gaze: Floats
    person_seed: int
    cartoon: bool


def frames_path(data: Path, number: int) -> Path:
    return sample_files.numbered(data / "frames", number)


def read_frames(path: Path) -> Frames:
    fields = sample_files.read_arrays(path)
    seed, cartoon = int(fields["person_seed"]), bool(fields["cartoon"])
    return Frames(np.stack(sample_files.decoded(fields, "frame_jpg")), fields["rot"], fields["gaze"], seed, cartoon)


class Studio:
    def __init__(self) -> None:
        self.names = topology().actions
        self._renderer = Renderer(SIZE, SIZE, 2)

    def film(self, number: int, seed: int, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """The arrays of a person; None if `stopped` said so."""
        rng = np.random.default_rng([seed, number])
        person_seed, cartoon = FIRST_PERSON + number, bool(rng.random() < CARTOONS)
        PersonSpec(person_seed, cartoon=cartoon).load_into(self._renderer, BAKE_VIEWS)
        drive = uncalibrated(self.names).drive
        light, room = Light(int(rng.integers(1 << 31))), background(int(rng.integers(1 << 31)), SIZE, SIZE)
        place, target, view_deg = self._desk(rng)
        files: list[bytes] = []
        turns: list[Any] = []
        looks: list[Any] = []
        exposure: float | None = None
        for index in range(1 + MOMENTS):
            if stopped():
                return None
            if index == 0:
                actions, rot, gaze = self._at_rest(rng)
            else:
                drawn = draw_moment(seed, number, index, self.names)
                actions, rot, gaze = drawn.actions, np.clip(drawn.rot, [-24, -36, -22], [24, 36, 22]), drawn.gaze
            moment = Moment(drive(actions), rot, gaze, view_deg, lambda _: (place, target), light)
            picture = self._renderer.picture(moment, room, Camera(exposure=exposure))
            exposure = picture.exposure if exposure is None else exposure
            files.append(sample_files.jpeg(picture.pixels[..., ::-1], JPEG_QUALITY))
            turns.append(rot)
            looks.append(gaze)
        data, offsets = sample_files.joined(files)
        return {
            **{"frame_jpg": data, "frame_jpg_offsets": offsets},
            **{"rot": np.array(turns, np.float32), "gaze": np.array(looks, np.float32)},
            **{"person_seed": np.int64(person_seed), "cartoon": np.bool_(cartoon), "seed": np.array([seed, number])},
        }

    def _at_rest(self, rng: np.random.Generator) -> tuple[Any, Any, Any]:
        """(actions (52,), rot, gaze) of a portrait."""
        actions = np.zeros(len(self.names), np.float32)
        for name, spread in {"mouthPress": 0.15, "browInnerUp": 0.12, "browDown": 0.1, "eyeSquint": 0.15}.items():
            put(actions, self.names, abs(rng.normal(0, spread)), **{name: 1.0})
        smile = rng.uniform(0.4, 1.0) if rng.random() < SHOWN_TEETH else abs(rng.normal(0, 0.15))
        put(actions, self.names, smile, mouthSmile=1.0)
        if smile > 0.4 and rng.random() < 0.6:
            put(actions, self.names, 1.0, jawOpen=rng.uniform(0.05, 0.3))
            for side in ("Left", "Right"):
                put(actions, self.names, rng.uniform(0.1, 0.4), **{f"mouthUpperUp{side}": 1.0})
        rot = np.clip(rng.normal(0, [3, 5, 2]), [-7, -11, -6], [7, 11, 6])
        gaze = np.array([-0.9 * rot[1], 0.9 * rot[0]]) + rng.normal(0, 1.5, 2)
        return actions, rot, gaze

    def _desk(self, rng: np.random.Generator) -> tuple[Any, Any, float]:
        """Camera place, target and vertical view: the head with some room around it."""
        distance, height, tilt = rng.uniform(6, 11), rng.uniform(3.5, 4.3), np.radians(rng.normal(0, 4))
        aside = np.radians(rng.normal(0, 4))
        centre = self._renderer.scene.person.centre
        target = centre + np.array([rng.normal(0, 0.06), -0.15 + rng.normal(0, 0.08), 0.3])
        place = target + distance * np.array([np.sin(aside), np.sin(tilt), np.cos(tilt)])
        return place, target, float(2 * np.degrees(np.arctan(height / 2 / distance)))


def render(data: Path, first: int, end: int, seed: int = SEED) -> Iterator[int]:
    """Render what is missing of people `first` … `end` - 1 into `data`/frames; yields each number when it is done. In
    this process, on one core. Ends early when `data`/STOP appears."""
    sample_files.use_one_core()
    studio, stopped = Studio(), (data / STOP).exists
    yield from sample_files.fill_folder(
        data / "frames", range(first, end), lambda k: studio.film(k, seed, stopped), stopped
    )

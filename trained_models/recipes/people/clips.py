"""Clips for motion models: one person moves for some seconds, with the truth of every frame; stylised people too.

A clip is an uncompressed `.npz` without pickles: `frame_jpg` and `mask_png` as in `pairs`, with `…_offsets`, maybe
`truth_jpg`; `actions`
(n, 52) weights 0..1 in the order of `action_names`, `driven` (n, 52) what the calibration made of them; `rot` (n, 3)
and `gaze` (n, 2) degrees; `landmarks` (n, 68, 2) pixels; `person_seed`, `cartoon`, `fps`; `seed` = (data seed, clip).
Everything follows from the last two numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.accessories import Occluder, dress
from trained_models.recipes.people.calibrate import Calibration
from trained_models.recipes.people.develop import Webcam
from trained_models.recipes.people.pairs import JPEG_QUALITY
from trained_models.recipes.people.performance import hump, improvise
from trained_models.recipes.people.person import IDENTITIES, PersonSpec, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology
from trained_models.recipes.sample_files import in_processes, joined, jpeg, numbered, png
from trained_models.training.ema import STOP
from trained_models.training.files import save_arrays

SEED = 20262
FIRST_PERSON = 500_000  # people of the clips are counted from here
FPS = 25.0
CARTOONS = 0.25  # share of drawn characters
OCCLUDED = 0.35  # share of clips in which something comes before the face
BAKE_VIEWS = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What each clip shall be: `frames` pictures of `size` × `size`; `cartoons` and `occluded` are shares 0..1.

    `identity`, a name in `person.IDENTITIES`, plays what everybody else would have played, in their light and place
    and with their glasses on. `truth`, another, is drawn in the place of each, in the same light and before the same
    camera: what a perfect swap would show. `first`: the first person's seed.
    """

    frames: int = 100
    size: int = 256
    cartoons: float = CARTOONS
    occluded: float = OCCLUDED
    identity: str | None = None
    truth: str | None = None
    first: int = FIRST_PERSON


class ClipWriter:
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self._renderer = Renderer(wanted.size, wanted.size, 1)
        self._true: tuple[Renderer, Calibration] | None = None
        if wanted.truth is not None:
            renderer = Renderer(wanted.size, wanted.size, 1)
            IDENTITIES[wanted.truth].load_into(renderer, BAKE_VIEWS)
            self._true = renderer, calibration(renderer)

    def __call__(self, job: tuple[Path, int, int]) -> int:
        """Film one clip to its file; its number."""
        folder, number, seed = job
        fields = self.film(number, seed, (folder.parent / STOP).exists)
        if fields is not None:
            save_arrays(numbered(folder, number, "clip"), fields)
        return number

    def film(self, number: int, seed: int, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        wanted, names = self.wanted, topology().actions
        rng = np.random.default_rng([seed, number])
        who = PersonSpec(wanted.first + number, cartoon=bool(rng.random() < wanted.cartoons))
        if wanted.identity is None:
            who.load_into(self._renderer, BAKE_VIEWS)
        else:
            person, look = IDENTITIES[wanted.identity].create()
            borrowed = dress(who.seed, person, style="", male=True)  # no style: a hat would cut through the hair
            self._renderer.scene.load(person, replace(look, outfit=borrowed), BAKE_VIEWS)
        own = calibration(self._renderer)
        played = improvise(int(rng.integers(1 << 31)), wanted.frames, FPS, names)
        driven = own.drive(played.actions)
        true_driven = self._true[1].drive(played.actions) if self._true else driven
        light = Light(int(rng.integers(1 << 31)))
        room = background(int(rng.integers(1 << 31)), wanted.size, wanted.size)
        webcam, sight, view_deg = Webcam.drawn(rng), *_desk(rng, self._renderer)
        held, near = Occluder(int(rng.integers(1 << 31))), np.zeros(wanted.frames)
        if rng.random() < wanted.occluded:
            start = rng.uniform(0, wanted.frames / FPS)
            near = hump(np.arange(wanted.frames) / FPS, start, start + rng.uniform(0.8, 3), 0.35)
        centre = self._renderer.scene.person.centre
        exposure: float | None = None
        files: dict[str, list[bytes]] = {"frame_jpg": [], "mask_png": []}
        if self._true:
            files["truth_jpg"] = []
        landmarks: list[npt.NDArray[np.floating[Any]]] = []
        for frame in range(wanted.frames):
            if stopped():
                return None
            prop = held.at(centre, float(near[frame])) if near[frame] > 0 else None
            moment = Moment(driven[frame], played.rot[frame], played.gaze[frame], view_deg, sight, light, prop)
            picture = self._renderer.picture(moment, room, webcam.camera(frame, exposure))
            if exposure is None:
                exposure = picture.exposure  # one for all, or brightness would pump with the pose
            went = picture.landmarks.mean(0) - landmarks[-1].mean(0) if landmarks else np.zeros(2)
            blur = float(went[0]), float(went[1])
            pixels = webcam.seen(picture.pixels, blur)
            if self._true:
                shown = replace(moment, actions=true_driven[frame])
                true = self._true[0].picture(shown, room, replace(webcam.camera(frame, exposure), bias=1.0))
                files["truth_jpg"].append(jpeg(webcam.seen(true.pixels, blur)[..., ::-1], JPEG_QUALITY))
            files["frame_jpg"].append(jpeg(pixels[..., ::-1], JPEG_QUALITY))
            files["mask_png"].append(png((picture.face * 255 + 0.5).astype(np.uint8)))
            landmarks.append(picture.landmarks)
        fields: dict[str, Any] = {}
        for name, pictures in files.items():
            fields[name], fields[name + "_offsets"] = joined(pictures)
        return fields | {
            **{"actions": played.actions, "driven": driven, "rot": played.rot, "gaze": played.gaze},
            **{"landmarks": np.stack(landmarks).astype(np.float32), "action_names": np.array(names)},
            **{"person_seed": np.int64(who.seed), "cartoon": np.bool_(who.cartoon), "fps": np.float64(FPS)},
            "seed": np.array([seed, number]),
        }


def _desk(rng: np.random.Generator, renderer: Renderer) -> tuple[Any, float]:
    """A camera that stands still, and its vertical view: it frames the head, now and then loosely."""
    distance, height, tilt = rng.uniform(5.5, 10), rng.uniform(2.9, 3.9), np.radians(rng.normal(0, 6))
    target = renderer.scene.person.centre + np.array([rng.normal(0, 0.12), -0.30 + rng.normal(0, 0.08), 0.3])
    place = target + distance * np.array([np.sin(rng.normal(0, 0.06)), np.sin(tilt), np.cos(tilt)])
    return (lambda _: (place, target)), float(2 * np.degrees(np.arctan(height / 2 / distance)))


def render_clips(data: Path, people: int, wanted: Wanted, workers: int, seed: int = SEED) -> Iterator[int]:
    """Film what is missing of clips 0 … `people` - 1 into `data`/clips; yields each number when it is done. One
    single-threaded process a worker. Ends early when `data`/STOP appears."""
    folder = data / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder, k, seed) for k in range(people) if not numbered(folder, k, "clip").exists()]
    yield from in_processes(ClipWriter, wanted, jobs, workers, (data / STOP).exists)

"""Films the long drive's driver: `python -m benchmarks.film_drive drive.npz`. Needs the extras of the people recipe.

One rendered person talks, turns away by more than 60 degrees, nods far down, holds a hand or a cup before the face,
leaves the picture and comes back; somebody whom no model was trained on. The form is that of a rendered clip
(`mask_truth.py`), with what was asked of the actor in every frame: `rot` (n, 3) pitch, yaw, roll in degrees, `near`
(n,) 0..1 how much something is before the face, `aside` (n,) how far out of the picture, in heads.
"""

import itertools
import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

FPS = 12.5
SECONDS = 40.0
SIZE = 320
PERSON, SEED = 900_011, 40
"""Recipes count their people from 0, 100,000, 500,000 and 700,000."""
BAKE_VIEWS = 64
JPEG_QUALITY = 90

TURNS = ((5.0, 8.0, 78.0), (12.0, 15.0, -82.0), (28.0, 30.0, 66.0))
"""(from, to) seconds, and the yaw held between: beyond what any still picture can show."""
NODS = ((20.0, 22.5, 52.0), (24.0, 25.5, -46.0))
HELD = ((9.0, 11.5, "hand"), (16.5, 19.0, "cup"), (30.5, 33.0, "hand"))
"""When something is before the face, and what."""
GONE = ((34.0, 37.5, 3.4), (26.0, 27.6, -3.4))
RAMP_S = 0.5


def script(frames: int) -> tuple[Doubles, Doubles, Doubles]:
    """(yaw and pitch (n, 2) degrees, near (n,), aside (n,)) of the drive."""
    from trained_models.recipes.people.curves import hump

    times = np.arange(frames) / FPS
    yaw, pitch, near, aside = (np.zeros(frames) for _ in range(4))
    for start, end, degrees in TURNS:
        yaw += degrees * hump(times, start, end, RAMP_S)
    for start, end, degrees in NODS:
        pitch += degrees * hump(times, start, end, RAMP_S)
    for start, end, _ in HELD:
        near = np.maximum(near, hump(times, start, end, 0.35))
    for start, end, heads in GONE:
        aside += heads * hump(times, start, end, RAMP_S)
    return np.stack([yaw, pitch], 1), near, aside


def film(frames: int, size: int) -> dict[str, Any]:
    """The clip's arrays. Takes a minute or two."""
    from trained_models.recipes.people.lights import Light
    from trained_models.recipes.people.occluders import Occluder
    from trained_models.recipes.people.pairs import joined
    from trained_models.recipes.people.performance import improvise
    from trained_models.recipes.people.person import Casting, calibration
    from trained_models.recipes.people.renderer import Moment, Renderer
    from trained_models.recipes.people.room import background
    from trained_models.recipes.people.topology import topology
    from trained_models.recipes.people.webcam import Webcam

    renderer = Renderer(size, size, 1)
    Casting(PERSON, cartoon=False).load_into(renderer, BAKE_VIEWS)
    played = improvise(SEED, frames, FPS, topology().actions)
    driven = calibration(renderer).drive(played.actions)
    asked, near, aside = script(frames)
    calm = 1.0 - np.clip(np.abs(asked).max(axis=1) / 20.0, 0.0, 1.0)
    rot = played.rot * calm[:, None]
    rot[:, 0] += asked[:, 1]
    rot[:, 1] += asked[:, 0]
    light, room, centre = Light(SEED), background(SEED, size, size), renderer.cast.person.centre
    webcam, drawn = Webcam(noise=0.008, blur=0.4), (Occluder(seed) for seed in itertools.count(SEED))
    props = [next(prop for prop in drawn if prop.kind == kind) for _, _, kind in HELD]
    place = centre + np.array([0.0, 0.0, 7.3])
    exposure: float | None = None
    files: dict[str, list[bytes]] = {"frame_jpg": [], "mask_png": []}
    for n in range(frames):
        prop = None
        if near[n] > 0:
            turn = next(k for k, (start, end, _) in enumerate(HELD) if start - 1 < n / FPS < end + 1)
            prop = props[turn].at(centre, float(near[n]))
        # The camera pans, which looks as if the person went out of the picture.
        shift = np.array([aside[n], -0.3, 0.3])
        sight = partial(_still, (place + shift * (1, 0, 0), centre + shift))
        moment = Moment(driven[n], rot[n], played.gaze[n], 29.0, sight, light, prop)
        picture = renderer.picture(moment, room, webcam.camera(n, exposure))
        exposure = picture.exposure if exposure is None else exposure
        jpg = cv2.imencode(".jpg", picture.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        files["frame_jpg"].append(jpg.tobytes())
        files["mask_png"].append(cv2.imencode(".png", (picture.face * 255 + 0.5).astype(np.uint8))[1].tobytes())
    fields: dict[str, Any] = {"fps": np.float64(FPS), "rot": rot.astype(np.float32), "person_seed": np.int64(PERSON)}
    for name, pictures in files.items():
        fields[name], fields[name + "_offsets"] = joined(pictures)
    return fields | {"near": near.astype(np.float32), "aside": aside.astype(np.float32)}


def _still(sight: Any, _face: object) -> Any:
    """A camera that does not follow the face."""
    return sight


def main(arguments: list[str]) -> None:
    """Film the drive into the file named."""
    if len(arguments) != 1:
        sys.exit("usage: python -m benchmarks.film_drive FILE.npz")
    np.savez(Path(arguments[0]), **film(round(SECONDS * FPS), SIZE))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Contact sheets to look at: people, drawn characters, expressions, or pairs with their masks."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.actions import EXPRESSIONS, both_sides
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.lights import Light
from trained_models.recipes.people.moments import draw_moment
from trained_models.recipes.people.pairs import SEED, held_by
from trained_models.recipes.people.person import IDENTITIES, Casting, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.room import background
from trained_models.recipes.people.studio import SIZE, Studio
from trained_models.recipes.people.topology import topology

WEBCAM = Camera(noise=0.007, blur=0.3)


def tiled(pictures: list[Any], columns: int) -> Any:
    """One picture of equally large ones, row by row, black where the last row ends."""
    blank = [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    filled = pictures + blank
    return np.vstack([np.hstack(filled[k : k + columns]) for k in range(0, len(filled), columns)])


def people(first_seed: int, count: int, cartoon: bool = False) -> list[Any]:
    """`count` random people or drawn characters, slightly smiling, each in random light; RGB."""
    renderer, names = Renderer(SIZE, SIZE), topology()
    out = []
    for seed in range(first_seed, first_seed + count):
        rng = np.random.default_rng(seed)
        Casting(seed, cartoon=cartoon).load_into(renderer)
        smile = names.vector(both_sides({"mouthSmile": float(rng.uniform(0, 0.6))}))
        rot = (rng.normal(0, 5), rng.normal(0, 14), rng.normal(0, 3))
        moment = Moment(smile, rot, (0.0, 0.0), float(rng.uniform(16, 20)), light=Light(seed))
        out.append(renderer.picture(moment, background(seed, SIZE, SIZE), WEBCAM).pixels)
    return out


def expressions(who: Casting) -> list[Any]:
    """One person with all `EXPRESSIONS`, and neutral; RGB."""
    renderer, topo = Renderer(SIZE, SIZE), topology()
    who.load_into(renderer)
    own, out = calibration(renderer), []
    for name, weights in {"neutral": {}, **EXPRESSIONS}.items():
        actions = own.drive(topo.vector(both_sides(weights)))
        picture = renderer.picture(Moment(actions, light=Light(12)), background(3, SIZE, SIZE)).pixels.copy()
        cv2.putText(picture, name, (6, 248), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        out.append(picture)
    return out


def pairs(who: Casting, count: int) -> list[Any]:
    """Driver, identity, and their masks in blue, `count` times; RGB."""
    studio, out = Studio([who]), []
    for index in range(count):
        drawn = draw_moment(SEED, 99_999, index, studio.names)
        shots = studio.all(100_000 + index // 4, drawn, held_by(SEED, 99_999, index))
        plain = [cv2.resize(shot.picture.pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for shot in shots]
        masked = [picture // 2 for picture in plain]
        for picture, shot in zip(masked, shots, strict=True):
            picture[..., 2] = (cv2.resize(shot.picture.face, (SIZE, SIZE)) * 255).astype(np.uint8)
        out.append(np.hstack(plain + masked))
    return out


def write_sheet(kind: str, out: Path, seed: int, count: int, identity: str = "ada") -> None:
    """Draw a sheet of a `kind` (people, cartoons, expressions, pairs) into a picture file.

    `seed`: the first person, or whose expressions; `identity`: who is drawn in pairs, a key of `IDENTITIES`.
    """
    if kind in ("people", "cartoons"):
        sheet = tiled(people(seed, count, kind == "cartoons"), 6)
    elif kind == "expressions":
        named = {one.seed: one for one in IDENTITIES.values()}
        sheet = tiled(expressions(named.get(seed, Casting(seed))), 4)
    else:
        sheet = tiled(pairs(IDENTITIES[identity], count), 2)
    cv2.imwrite(str(out), np.ascontiguousarray(sheet[..., ::-1]))

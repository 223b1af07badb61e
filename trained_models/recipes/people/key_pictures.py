"""A person as a picture set, drawn by the same renderer as drivers and truths: what `bench quality` measures with.

The built-in identities are made elsewhere, for looks; with these a swap's error is that of the method alone.
"""

from pathlib import Path

import numpy as np

from realtime.families.face_swap.skin_reading import open_face_skin
from realtime.families.face_swap.skin_tone import skin_map
from realtime.frame import Floats, Pixels
from realtime.models.library import new_card
from realtime.models.picture_set import KeyPicture, write_picture_set
from trained_models.recipes.people.calibrate import both_sides
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.person import IDENTITIES, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.skin_tones import EVEN, bgr, landmarks, reflectance_picture
from trained_models.recipes.people.topology import topology

SIDE, VIEW_DEG = 512, 17.0
EXPRESSIONS: dict[str, dict[str, float]] = {
    "rest": {},
    "smile": {"mouthSmile": 0.9, "mouthUpperUp": 0.3, "cheekSquint": 0.4},
    "open": {"jawOpen": 0.7, "mouthUpperUp": 0.15},
    "wide": {"mouthStretch": 0.7, "jawOpen": 0.2, "mouthUpperUp": 0.4, "mouthLowerDown": 0.4},
    "pucker": {"mouthPucker": 0.9},
    "closed": {"eyeBlink": 1.0},
    "brows_up": {"browInnerUp": 0.9, "browOuterUp": 0.9},
}
VIEWS = {"left": (0.0, -35.0, 0.0), "right": (0.0, 35.0, 0.0), "up": (-20.0, 0.0, 0.0), "down": (20.0, 0.0, 0.0)}


def draw_keys(identity: str) -> list[KeyPicture]:
    """The key pictures of one of `IDENTITIES`: all expressions from the front, and at rest from all sides."""
    renderer = Renderer(SIDE, SIDE, 2)
    IDENTITIES[identity].load_into(renderer)
    moves, names, skin = calibration(renderer), topology().actions, open_face_skin()
    found = []
    wanted = [(name, "front", (0.0, 0.0, 0.0)) for name in EXPRESSIONS]
    for expression, view, turn in [*wanted, *(("rest", name, turn) for name, turn in VIEWS.items())]:
        weights = both_sides(EXPRESSIONS[expression])
        actions = moves.drive(np.array([[weights.get(name, 0.0) for name in names]], np.float32))[0]
        pixels, points = _photograph(renderer, actions, turn)
        if points is not None:
            found.append(KeyPicture(pixels, points, expression, view, skin_map(skin, pixels, points)))  # type: ignore[arg-type]
    return found


def _photograph(renderer: Renderer, actions: Floats, turn: tuple[float, float, float]) -> tuple[Pixels, Floats | None]:
    moment = Moment(actions, turn, view_deg=VIEW_DEG, light=EVEN.light)
    shown = renderer.picture(moment, np.full((SIDE, SIDE, 3), 0.3, np.float32), Camera(white_balance=0))
    return reflectance_picture(shown), landmarks(bgr(shown))


def write_keys(identity: str, folder: Path) -> int:
    """Write the bundle of a picture set; how many pictures it has."""
    keys = draw_keys(identity)
    card = new_card(identity, f"{identity.title()}, rendered", "MIT", ("synthetic", "Nobody: a rendered person."))
    recipe = {"training": {"recipe": "trained_models/recipes/people/key_pictures.py"}, "measured": {}}
    write_picture_set(folder, keys, card | recipe)
    return len(keys)

"""How a person looks apart from the shape: colours, hair, brows, eyes, teeth, clothes."""

from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from realtime.frame import Pixels
from trained_models.recipes.people.accessories import Outfit, dress
from trained_models.recipes.people.assets import BODY_VERTICES, VERTICES, Floats, Ints
from trained_models.recipes.people.hair import Hair, grow
from trained_models.recipes.people.paint import linear
from trained_models.recipes.people.shape import Identity, Shape
from trained_models.recipes.people.skin import Complexion, SkinTexture, skin_texture
from trained_models.recipes.people.teeth import Brow, TeethRow, eye_texture, lash_meshes, lash_texture, teeth_rows
from trained_models.recipes.people.topology import lip_vertices, topology

# Root and tip, 8-bit. Black, dark brown, brown, dark blond, blond, red, white, grey.
HAIR_COLOURS = (
    *(((28, 22, 20), (52, 40, 34)), ((45, 30, 22), (84, 58, 40)), ((78, 52, 34), (128, 92, 60))),
    *(((120, 86, 52), (176, 136, 88)), ((168, 130, 82), (220, 188, 138)), ((100, 44, 24), (158, 80, 44))),
    *(((150, 148, 146), (205, 203, 200)), ((90, 88, 88), (160, 158, 155))),
)
BLOND, WHITE = 4, 6
# Outer and inner: brown, amber, green, blue, grey, dark brown.
IRISES = (
    *(((92, 58, 30), (44, 26, 14)), ((120, 84, 44), (70, 46, 24)), ((96, 110, 70), (70, 72, 44))),
    *(((90, 130, 160), (60, 88, 116)), ((130, 150, 164), (84, 104, 120)), ((60, 36, 20), (30, 18, 10))),
)
MENS_STYLES = ("buzz", "short", "sidepart", "slick", "fringe", "bald", "short", "sidepart", "curly")
WOMENS_STYLES = ("bob", "long", "long", "bob", "bun", "curly", "slick")


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """All colours are linear. `hair_colours`, `iris_colours`, `shirt_colours` (2, 3); `sclera`, `lash_colour` (3,).

    `hair_centre` (3,): the point that hair's round is seen from. `lips`: vertices whose depth is the mouth's front;
    `collar` and `collar_rise`: the vertex at the throat and how far above it the shirt ends. `stripes`: radians per dm,
    0 for none. `cartoon`: drawn with flat shades and outlines.
    """

    style: str
    skin: SkinTexture
    bump_height: float
    hair: Hair
    hair_colours: Floats
    hair_gloss: float
    hair_centre: Floats
    teeth: tuple[TeethRow, TeethRow]
    lash_meshes: list[tuple[Ints, Floats, Ints]]
    lash_texture: Pixels
    lash_colour: Floats
    lash_opacity: float
    eye_texture: Floats
    iris_colours: Floats
    iris_size: float
    pupil: float
    sclera: Any
    shirt_colours: Floats
    stripes: float
    lips: Ints
    collar: int
    collar_rise: float
    outfit: Outfit = field(default_factory=Outfit)
    cartoon: bool = False


def _hair_colour(rng: np.random.Generator, shape: Shape, melanin: float) -> int:
    if melanin > 0.55:
        number = rng.choice([0, 0, 0, 1])
    elif shape.phenotype["asian"] > 0.6:
        number = rng.choice([0, 0, 1])
    else:
        number = rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 5])
    if shape.age > 0.84:
        number = rng.choice([6, 7, number])
    return int(number)


def _style(rng: np.random.Generator, male: bool, melanin: float) -> str:
    dark = melanin > 0.5
    if male:
        return str(rng.choice(MENS_STYLES + (("afro",) if dark else ())))
    return str(rng.choice((*WOMENS_STYLES, "afro" if dark else "fringe")))


def sample_look(
    seed: int, person: Identity, shape: Shape, style: str | None = None, drawn: bool = False, wears: bool = True
) -> Look:
    """A look that suits the shape; `style` one of `scalp.STYLES`, None for a random one; `drawn`: even skin, bold
    brows; `wears`: glasses and such, if the seed has them."""
    rng = np.random.default_rng(seed + 77)
    male, ancestry = shape.male, shape.phenotype
    melanin = ancestry["african"] * 0.85 + ancestry["asian"] * 0.30 + ancestry["caucasian"] * 0.10
    melanin = float(np.clip(melanin + rng.normal(0, 0.08), 0, 1))
    colour = _hair_colour(rng, shape, melanin)
    hair_colours = np.array([linear(c) for c in HAIR_COLOURS[colour]])
    style = style or _style(rng, male, melanin)
    recession = rng.uniform(0, 0.5) * male * (shape.age > 0.7)
    brow = Brow(
        thickness=rng.uniform(0.7, 1.3) * (1.0 if male else 0.62),
        density=rng.uniform(0.8, 1.4),
        arch=rng.uniform(0.1, 1.0) * (0.7 if male else 1.0),
        height=rng.normal(0, 0.015),
        opacity=rng.uniform(0.55, 0.9) if colour not in (BLOND, WHITE) else 0.5,
        darkness=0.4 if colour == BLOND else 0.5,
    )
    if drawn:
        brow = replace(brow, opacity=0.96, darkness=0.25, thickness=max(brow.thickness, 1.0))
    make_up = 0.0 if male else float(rng.choice([0, rng.uniform(0.1, 0.35), rng.uniform(0.35, 0.8)]))
    beard = float(rng.choice([0, rng.uniform(0.1, 0.35), rng.uniform(0.35, 1.0)])) if male else 0.0
    complexion = Complexion(
        age=shape.age,
        melanin=melanin,
        hair=hair_colours[0],
        brow=brow,
        beard=beard,
        make_up=make_up,
        scalp_hair=0.35 if style == "bald" else 0.95,
        recession=recession,
        even=drawn,
    )
    made_up = make_up > 0.2
    gloss_of_colour = {0: 0.35, 1: 0.7}.get(colour, 1.0)
    outfit = dress(seed, person, style, male) if wears else Outfit()
    # From here on the order of the fields is the order of the draws.
    return Look(
        style=style,
        outfit=outfit,
        skin=skin_texture(seed, complexion),
        hair=grow(person, style, seed + 5, recession, under_hat=outfit.hat),
        hair_colours=hair_colours,
        hair_gloss=rng.uniform(0.5, 1.1) * gloss_of_colour,
        hair_centre=person.centre + np.array([0, 0.25, 0], np.float32),
        teeth=teeth_rows(seed),
        lash_meshes=lash_meshes(),
        lash_texture=lash_texture(seed, count=42 if male else int(rng.uniform(45, 75)), width=1.1 if made_up else 0.8),
        lash_opacity=0.95 if made_up else (0.6 if male else 0.75),
        lash_colour=np.minimum(hair_colours[0] * 0.5, 0.03),
        iris_colours=_iris(rng, melanin, ancestry["asian"]),
        eye_texture=eye_texture(seed),
        iris_size=rng.uniform(0.40, 0.44),
        pupil=rng.uniform(0.30, 0.48),
        sclera=np.array([0.70, 0.66, 0.63]) * rng.uniform(0.9, 1.05),
        lips=lip_vertices(topology().template, 0.22, 6.5, 6.72, 1.42),
        shirt_colours=_shirt(rng),
        stripes=float(rng.choice([0, 0, 0, rng.uniform(8, 40)])),
        collar=_collar(),
        collar_rise=rng.uniform(-0.02, 0.18) if male else rng.uniform(-0.3, 0.15),
        bump_height=rng.uniform(0.0009, 0.0018),
    )


def _iris(rng: np.random.Generator, melanin: float, asian: float) -> Floats:
    dark = melanin > 0.5 or asian > 0.6
    number = int(rng.choice([0, 5, 5, 0]) if dark else rng.choice([0, 1, 2, 3, 4, 1, 3]))
    return np.array([linear(c) for c in IRISES[number]])


def _shirt(rng: np.random.Generator) -> Floats:
    hsv = [rng.integers(0, 180), int(rng.choice([20, 60, 140, 190])), int(rng.uniform(30, 230))]
    first = cv2.cvtColor(np.array([[hsv]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    second = np.clip(first.astype(int) + rng.integers(-90, 90), 0, 255)
    return np.array([linear(first), linear(second)])


def _collar() -> int:
    distance = ((topology().template - [0, 5.75, 1.0]) ** 2).sum(1)
    return int(np.argmin(distance * (1 + 9 * (np.arange(VERTICES) >= BODY_VERTICES))))

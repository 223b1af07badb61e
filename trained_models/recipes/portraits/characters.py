"""Who is photographed, and with which faces: all that tells one person from the next."""

from dataclasses import dataclass, field
from typing import Literal

from realtime.models.card import Expression, View

Colour = tuple[int, int, int]
"""8-bit sRGB."""

EXPRESSIONS: dict[Expression, dict[str, float]] = {
    "rest": {"mouthSmile": 0.18},
    "smile": {
        "mouthSmile": 0.7,
        "cheekSquint": 0.35,
        "eyeSquint": 0.1,
        "mouthUpperUp": 0.7,
        "jawOpen": 0.13,
        "mouthLowerDown": 0.1,
    },
    "open": {"jawOpen": 0.62, "mouthUpperUp": 0.4},
    "wide": {"mouthStretch": 0.6, "mouthSmile": 0.3, "jawOpen": 0.14, "mouthLowerDown": 0.5, "mouthUpperUp": 0.28},
    "pucker": {"mouthPucker": 0.85, "mouthFunnel": 0.3, "jawOpen": 0.06},
    "closed": {"mouthSmile": 0.18, "eyeBlink": 1.0},
    "brows_up": {"mouthSmile": 0.18, "browInnerUp": 0.75, "browOuterUp": 0.7},
}
"""Weights of the model's actions, where a pair has one name; `people.calibrate.GAINS` multiplies them."""
Region = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture."""
CHANGED: dict[Expression, Region] = {
    "smile": (0.20, 0.33, 0.80, 0.92),
    "open": (0.20, 0.42, 0.80, 0.98),
    "wide": (0.20, 0.42, 0.80, 0.92),
    "pucker": (0.20, 0.42, 0.80, 0.92),
    "closed": (0.20, 0.28, 0.80, 0.50),
    "brows_up": (0.18, 0.08, 0.82, 0.50),
}
"""Where an expression differs from rest in a key picture from the front: only that is drawn."""
VIEWS: dict[View, tuple[float, float]] = {
    "front": (0, 0),
    "left": (-35, 0),
    "right": (35, 0),
    "up": (0, 20),
    "down": (0, -20),
}
"""Degrees that the person looks to the picture's right and up."""
KEYS: list[tuple[Expression, View]] = [
    *((expression, "front") for expression in EXPRESSIONS),
    *(("rest", view) for view in VIEWS if view != "front"),
]
"""The key pictures of an identity."""
AVATAR_EXPRESSIONS: tuple[Expression, ...] = ("smile", "open", "closed")
"""What an avatar's portrait is drawn with besides resting."""


@dataclass(frozen=True, slots=True)
class Character:
    """One person.

    `seed`: the face; `shape`: what is set by hand (people.shape.Shape.phenotype). `variety` 0..1: how far the face goes
    from the mean. `melanin` 0..1. `hair`: root and tip. `brow`: thickness and density about 1. `beard`, `lipstick`,
    `freckles`, `lines` (wrinkles) 0..1. `recession` 0..0.5 of the hairline. `shirt`, `room` (a picture of
    Blender's), its `turn` in degrees, `exposure` in stops: portraits alone. `material`: a row of `materials.SURFACES`.
    """

    name: str
    title: str
    about: str
    seed: int
    shape: dict[str, float]
    melanin: float
    hair: tuple[Colour, Colour]
    style: str
    iris: tuple[Colour, Colour]
    variety: float = 0.45
    changes: dict[str, float] = field(default_factory=dict)
    brow: tuple[float, float] = (1.0, 1.0)
    beard: float = 0.0
    lipstick: float = 0.0
    freckles: float = 0.0
    lines: float = 0.0
    recession: float = 0.0
    shirt: Colour = (70, 84, 104)
    room: str = "interior"
    turn: float = 20.0
    exposure: float = 0.0
    material: Literal["skin", "marble", "wood"] = "skin"


WOMAN, MAN = {"gender": 0.97}, {"gender": 0.04}
EUROPE = {"african": 0.04, "asian": 0.08, "caucasian": 0.88}
AFRICA = {"african": 0.88, "asian": 0.06, "caucasian": 0.06}
ASIA = {"african": 0.03, "asian": 0.9, "caucasian": 0.07}
INDIA = {"african": 0.18, "asian": 0.12, "caucasian": 0.70}
LATIN = {"african": 0.18, "asian": 0.27, "caucasian": 0.55}
YOUNG, GROWN, MIDDLE, OLD = {"age": 0.64}, {"age": 0.69}, {"age": 0.78}, {"age": 0.88}

SOFT = {
    **{"eye-scale-incr": 0.3, "nose-scale-horiz-incr": -0.3, "nose-volume-incr": -0.25, "nose-scale-vert-incr": -0.2},
    **{"mouth-upperlip-volume-incr": 0.3, "mouth-lowerlip-volume-incr": 0.2, "chin-width-incr": -0.25},
    **{"mouth-angles-up": 0.2, "chin-jaw-drop-incr": -0.2},
}
"""Local changes that make the model's women look like women."""

KIND = {
    **{"eye-scale-incr": 0.15, "mouth-angles-up": 0.35, "nose-volume-incr": -0.2, "mouth-trans-out": 0.0},
    "mouth-scale-vert-incr": 0.1,
}
"""Local changes that take the model's men the grim look."""

BLACK_HAIR = ((22, 18, 16), (42, 34, 30))
DARK_HAIR = ((46, 31, 23), (88, 60, 42))
RED_HAIR = ((104, 52, 28), (170, 96, 54))
GREY_HAIR = ((112, 108, 104), (170, 166, 160))
WHITE_HAIR = ((160, 156, 152), (210, 206, 200))
BROWN_EYES = ((96, 60, 32), (42, 25, 13))
DARK_EYES = ((62, 38, 24), (28, 17, 10))
BLUE_EYES = ((112, 142, 168), (58, 84, 112))
GREEN_EYES = ((106, 116, 84), (76, 68, 42))
GREY_EYES = ((128, 142, 152), (78, 96, 106))

IDENTITIES = (
    Character("ada", "Ada", "a woman of thirty with light skin", 505,
              {**WOMAN, "african": 0.06, "asian": 0.24, "caucasian": 0.70, **GROWN, "weight": 0.45},
              0.15, DARK_HAIR, "bun", BROWN_EYES, 0.35, SOFT, brow=(0.75, 1.0), lipstick=0.12),
    Character("amos", "Amos", "a man of seventy with dark skin and white brows", 603,
              {**MAN, **AFRICA, **OLD, "weight": 0.5}, 0.74, WHITE_HAIR, "buzz", DARK_EYES, 0.35, KIND,
              brow=(1.0, 0.9), beard=0.25, lines=0.8, recession=0.2),
    Character("ines", "Ines", "a young woman with brown skin", 812,
              {**WOMAN, **LATIN, **YOUNG, "weight": 0.5}, 0.46, BLACK_HAIR, "bun", BROWN_EYES, 0.35, SOFT,
              brow=(0.9, 1.1), lipstick=0.2),
    Character("kenji", "Kenji", "a man of forty from East Asia", 733,
              {**MAN, **ASIA, "age": 0.73, "weight": 0.5}, 0.26, BLACK_HAIR, "short", DARK_EYES, 0.35, KIND,
              brow=(1.0, 0.95), beard=0.12, lines=0.15),
    Character("maud", "Maud", "a woman of seventy with pale skin", 918,
              {**WOMAN, **EUROPE, "age": 0.86, "weight": 0.5}, 0.05, GREY_HAIR, "bun", BLUE_EYES, 0.4, SOFT,
              brow=(0.65, 0.8), lines=0.75, freckles=0.15),
)  # fmt: skip
"""Picture sets of the `swap` family."""
AVATARS = (
    Character("finn", "Finn", "a young man with red hair and freckles", 401,
              {**MAN, **EUROPE, "age": 0.67, "weight": 0.45}, 0.03, RED_HAIR, "sidepart", BLUE_EYES, 0.4, KIND,
              freckles=0.8, beard=0.1, shirt=(44, 66, 92), room="courtyard"),
    Character("mira", "Mira", "a young woman with brown hair", 700010,
              {**WOMAN, **EUROPE, **GROWN, "weight": 0.45}, 0.12, DARK_HAIR, "bun", GREEN_EYES, 0.35, SOFT,
              brow=(0.8, 1.0), lipstick=0.25, shirt=(126, 60, 66), room="interior"),
    Character("otto", "Otto", "an older man with grey hair", 700039,
              {**MAN, **EUROPE, "age": 0.88, "weight": 0.55}, 0.1, GREY_HAIR, "short", GREY_EYES, 0.4, KIND,
              brow=(1.1, 1.0), beard=0.2, lines=0.8, recession=0.25, shirt=(58, 66, 60), room="city"),
    Character("yuki", "Yuki", "a young woman from East Asia with black hair", 611,
              {**WOMAN, **ASIA, **YOUNG, "weight": 0.42}, 0.16, BLACK_HAIR, "bun", DARK_EYES, 0.35, SOFT,
              brow=(0.75, 0.95), lipstick=0.3, shirt=(206, 200, 190), room="city"),
    Character("zola", "Zola", "a young woman with dark skin and short curls", 700026,
              {**WOMAN, **AFRICA, **GROWN, "weight": 0.5}, 0.72, BLACK_HAIR, "afro", DARK_EYES, 0.35, SOFT,
              brow=(0.85, 1.0), lipstick=0.3, shirt=(186, 120, 44), room="forest"),
    Character("ravi", "Ravi", "a man of thirty-five with brown skin and a short beard", 941,
              {**MAN, **INDIA, "age": 0.71, "weight": 0.48}, 0.45, BLACK_HAIR, "short", DARK_EYES, 0.4, KIND,
              brow=(1.15, 1.1), beard=0.9, shirt=(92, 98, 104), room="sunset"),
)  # fmt: skip
"""Stills for the motion and lip-sync families."""
CHARACTERS = {c.name: c for c in (*IDENTITIES, *AVATARS)}

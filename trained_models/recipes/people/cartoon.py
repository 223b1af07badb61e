"""People drawn rather than filmed: large eyes, bright hair, flat shades and outlines, by seed like all others.

The skeleton of the face, the actions and the truth (landmarks, masks, pose) stay the same, so that a motion model sees
that a drawn smile is a smile.
"""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.develop import Camera, Picture, balance, exposure, toned
from trained_models.recipes.people.look import Look
from trained_models.recipes.people.paint import linear
from trained_models.recipes.people.shape import Shape

HAIR = (
    *((230, 90, 120), (70, 110, 200), (90, 190, 170), (245, 200, 90), (130, 80, 180), (60, 40, 35), (210, 110, 50)),
    *((240, 235, 225), (35, 35, 50), (120, 200, 90)),
)
IRISES = ((60, 140, 220), (60, 170, 110), (150, 90, 200), (190, 120, 50), (90, 60, 40))
INK = np.array([0.035, 0.025, 0.03], np.float32)
STEP_DM = 0.10  # A jump in depth between neighbours that gets an outline; between hairs, four times as much


def cartoon_shape(seed: int, shape: Shape) -> Shape:
    """The same person with fewer wrinkles, a small nose and a narrow chin."""
    rng = np.random.default_rng([seed, 31])
    changes = dict(shape.changes)
    for label, change in {
        **{"nose-scale-vert-incr": -0.4, "nose-scale-horiz-incr": -0.5, "nose-scale-depth-incr": -0.4},
        **{"chin-width-incr": -0.4, "chin-height-incr": -0.3, "mouth-scale-horiz-incr": -0.15},
    }.items():
        changes[label] = float(np.clip(changes.get(label, 0) * 0.5 + change * rng.uniform(0.4, 1.4), -1, 1))
    return Shape({**shape.phenotype, "age": min(shape.age, 0.75)}, changes)


def cartoon_look(seed: int, look: Look) -> Look:
    """Even, rosy skin without relief, bright hair and eyes."""
    rng = np.random.default_rng([seed, 33])
    albedo = look.skin.albedo.copy()
    grey = albedo[..., :3].mean(-1, keepdims=True)
    albedo[..., :3] = np.clip(grey + (albedo[..., :3] - grey) * 1.1, 0, 1)
    albedo[..., 3] *= 0.25
    hair = look.hair_colours
    if rng.random() < 0.7:
        colour = linear(HAIR[rng.integers(len(HAIR))])
        hair = np.stack([colour * 0.7, np.clip(colour * 1.15, 0, 1)])
    iris = linear(IRISES[rng.integers(len(IRISES))])
    return replace(
        look,
        skin=replace(look.skin, albedo=albedo, bump=np.zeros_like(look.skin.bump)),
        hair_colours=hair,
        iris_colours=np.stack([np.clip(iris * 1.3, 0, 1), iris * 0.35]),
        iris_size=look.iris_size * 1.12,
        lash_opacity=1.0,
        cartoon=True,
    )


def outlined(distance: Floats, cover: Floats, hair: Any) -> Floats:
    """(h, w) 0..1 ink: where the picture's `distance` (dm) jumps, or the figure ends. `hair` (h, w) bool."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    low, high = cv2.erode(distance, cross), cv2.dilate(distance, cross)
    step = np.where(hair, 4 * STEP_DM, STEP_DM).astype(np.float32)
    jump = np.clip((high - low) / step - 1, 0, 1)
    figure = cv2.morphologyEx(cover, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.dilate(np.maximum(jump, figure).astype(np.float32), cross))


def flat(lit: Floats, bands: int = 4) -> Floats:
    """Colours (h, w, 3) of a finished picture in `bands` of brightness with soft edges, more vivid."""
    smooth = cv2.bilateralFilter(lit.astype(np.float32), 7, 0.12, 4)
    value = smooth.max(-1, keepdims=True) * bands
    share = np.clip((value - np.floor(value) - 0.5) * 5 + 0.5, 0, 1)
    wanted = (np.floor(value) + share) / bands * 0.85 + 0.12
    out = smooth * (wanted / np.maximum(value / bands, 0.04))
    grey = out.mean(-1, keepdims=True)
    return np.asarray(np.clip(grey + (out - grey) * 1.15, 0, 1), np.float32)


def draw_cartoon(
    layers: list[Floats], distance: Floats, background: Floats, camera: Camera, size: tuple[int, int]
) -> Picture:
    """A `Picture` from the layers that `develop` takes; `distance` (H, W): dm from the camera."""
    light, colour, gloss = (np.clip(np.nan_to_num(layer), 0, 30) for layer in layers)
    cover, skin = colour[..., 3], light[..., 3] > 0.9
    hair = (light[..., 3] < 0.05) & (gloss[..., 3] < 0.05)
    ink = outlined(distance, np.ascontiguousarray(cover), hair)
    lit = light[..., :3] * colour[..., :3] + gloss[..., :3] * 0.5
    lit = lit * balance(light[..., :3], cover > 0.5, max(camera.white_balance, 0.6))
    gain = camera.exposure or exposure(lit, skin) * camera.bias
    small: list[Any] = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (lit, cover, gloss[..., 3], ink)]
    out = flat(toned(small[0], gain * 1.1))
    line = small[3][..., None]
    out = out * (1 - line) + INK ** (1 / 2.2) * line
    behind = toned(background, 1.0)
    within = np.clip(np.maximum(small[1], small[3]), 0, 1)[..., None]
    out = out * within + behind * (1 - within)
    if camera.noise > 0:
        out = out + np.random.default_rng(camera.noise_seed).normal(0, camera.noise, out.shape).astype(np.float32)
    return Picture((np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8), np.clip(small[2], 0, 1), gain)

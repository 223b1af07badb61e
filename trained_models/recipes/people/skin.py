"""Skin as a texture: tone, redness, freckles, lips, make-up, gloss and pores, all painted on the head's chart."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.chart import HEIGHT, WIDTH, Chart, chart
from trained_models.recipes.people.geometry import above_hairline, smoothstep
from trained_models.recipes.people.paint import linear, noise, one_sided, spot
from trained_models.recipes.people.teeth import Brow, brow_cover

TONES = (
    *((232, 196, 174), (222, 178, 150), (212, 165, 136), (184, 137, 106)),
    *((148, 103, 76), (108, 73, 54), (72, 48, 38)),
)
LIPSTICKS = ((150, 40, 50), (170, 70, 75), (190, 95, 95), (120, 35, 50), (200, 80, 90))


@dataclass(frozen=True, slots=True, eq=False)
class Complexion:
    """What the skin is painted from. `melanin` 0..1; `make_up`, `beard`, `scalp_hair` 0..1: how much of each. `hair`
    (3,) linear colour; `recession` of the hairline 0..0.5. `even`: without spots, as drawn characters have it."""

    age: float
    melanin: float
    hair: Floats
    brow: Brow
    beard: float
    make_up: float
    scalp_hair: float
    recession: float
    even: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SkinTexture:
    """`albedo` (h, w, 4): linear colour and gloss; `bump` (h, w): height; `neck` (3,): the colour below the chart."""

    albedo: Floats
    bump: Floats
    neck: Floats


def tone(melanin: float) -> Floats:
    """A linear skin colour, from pale to dark."""
    at = float(np.clip(melanin, 0, 1)) * (len(TONES) - 1)
    index = min(int(at), len(TONES) - 2)
    share = at - index
    return linear(TONES[index]) * (1 - share) + linear(TONES[index + 1]) * share


class _Canvas:
    """The texture in the making; the steps below must run in their order, since they share one stream of chance."""

    def __init__(self, seed: int, wanted: Complexion) -> None:
        self.rng = np.random.default_rng(seed)
        self.wanted = wanted
        self.chart: Chart = chart()
        self.places = self.chart.places
        self.folded = one_sided(self.places)
        self.base = tone(wanted.melanin)
        self.colour = np.ones((HEIGHT, WIDTH, 3), np.float32) * self.base
        self.broad = noise(self.rng, self.chart.shape, 180, 4)
        self.medium = noise(self.rng, self.chart.shape, 36, 3)
        self.fine = noise(self.rng, self.chart.shape, 7, 2)
        uneven = 0.1 if wanted.even else 1.0
        self.colour *= (1 + uneven * (0.045 * self.broad + 0.04 * self.medium + 0.035 * self.fine))[..., None]
        self.lips: Any = 0.0

    def darken(self, cover: Any, by: Any) -> None:
        """Take `by` (3,) of each channel where `cover` is 1."""
        cover = np.asarray(cover, np.float32)
        for channel, share in enumerate(by):
            self.colour[..., channel] *= 1 - cover * np.float32(share)

    def lay(self, cover: Any, colour: Any) -> None:
        cover, colour = np.asarray(cover, np.float32), np.asarray(colour, np.float32)
        for channel in range(3):
            self.colour[..., channel] += cover * (colour[..., channel] - self.colour[..., channel])

    def flush(self) -> None:
        """Red cheeks, nose, ears; shadows under the eyes; a yellower forehead."""
        rng, at = self.rng, self.folded
        strength = rng.uniform(0.4, 1.2)
        red = 0.75 * spot(at, (0.40, 6.98), (0.17, 0.16)) + 0.65 * spot(at, (0, 6.93), (0.13, 0.11))
        red = red + 0.30 * spot(at, (0, 6.36), (0.2, 0.1)) + 0.25 * spot(at, (0, 7.8), (0.35, 0.15))
        red = red + 0.75 * self.chart.ears * 0.8 + (0.22 * self.broad + 0.12 * self.medium) * (not self.wanted.even)
        red = np.clip(red, 0, 1.2) * strength
        self.darken(red, np.array([0.02, 0.27, 0.22]) * (1 - 0.5 * self.wanted.melanin))
        tired = spot(at, (0.30, 7.12), (0.15, 0.055)) * rng.uniform(0.1, 0.6)
        self.darken(tired + 0.5 * spot(at, (0.16, 7.24), (0.06, 0.09)), [0.16, 0.24, 0.17])
        self.darken(spot(at, (0.31, 7.38), (0.16, 0.05)), [0.05, 0.13, 0.12])
        self.darken(0.25 * spot(at, (0, 7.75), (0.5, 0.2)), [-0.03, 0.0, 0.06])

    def hollow(self) -> None:
        """What light hardly reaches, too fine for the baked light: nostrils, wings of the nose, beneath the lips."""
        x, y, z = self.folded[..., 0], self.places[..., 1], self.places[..., 2]
        inside = smoothstep(1.50, 1.40, z) * smoothstep(0.20, 0.15, x) * smoothstep(6.82, 6.86, y)
        inside = inside * smoothstep(7.0, 6.96, y) * (z > 1.1)
        rim = spot(self.folded, (0.085, 6.875), (0.045, 0.022)) * 0.55 * (self.chart.normals[..., 1] < -0.2)
        self.darken(np.clip(inside + rim, 0, 1), [0.82, 0.90, 0.92])
        wing = spot(self.folded, (0.205, 6.885), (0.02, 0.05))
        self.darken(wing * 0.5, [0.35, 0.5, 0.5])
        philtrum = spot(self.folded, (0.0, 6.78), (0.018, 0.04))
        self.darken(philtrum * 0.3, [0.12, 0.2, 0.2])
        below = spot(self.folded, (0.0, 6.46), (0.16, 0.03))
        self.darken(below * 0.35, [0.15, 0.25, 0.25])

    def part_lips(self) -> None:
        """The dark line where the lips meet, and their corners."""
        line = spot(self.folded, (0.0, 6.607), (0.15, 0.011)) + 0.4 * spot(self.folded, (0.235, 6.610), (0.022, 0.012))
        self.darken(np.clip(line, 0, 1) * 0.75, [0.55, 0.75, 0.72])

    def sprinkle(self) -> None:
        rng = self.rng
        if rng.random() < 0.4 and self.wanted.melanin < 0.6:
            where = spot(self.folded, (0.28, 7.03), (0.28, 0.18)) + 0.3 * spot(self.folded, (0, 7.7), (0.5, 0.2))
            dots = smoothstep(1.3, 2.1, noise(rng, self.chart.shape, 9, 2, 0.8) + 0.4 * self.medium)
            self.darken(np.clip(dots * where * rng.uniform(0.2, 0.8), 0, 0.8), [0.28, 0.42, 0.5])
        for _ in range(rng.integers(0, 7)):
            centre = (rng.uniform(-0.6, 0.6), rng.uniform(6.3, 7.95))
            size = rng.uniform(0.006, 0.016)
            mole = spot(self.places, centre, (size, size)) * (self.places[..., 2] > 0.6) * 0.7
            self.darken(mole, [0.6, 0.7, 0.75])

    def redden_lips(self) -> None:
        """Lips, with lipstick where there is make-up."""
        rng, wanted = self.rng, self.wanted
        if wanted.melanin < 0.55:
            colour = self.base * np.array([0.80, 0.46, 0.46]) * rng.uniform(0.9, 1.1)
        else:
            colour = self.base * np.array([0.92, 0.68, 0.68])
        if wanted.make_up > 0.1:
            stick = linear(LIPSTICKS[rng.integers(5)])
            colour = colour * (1 - wanted.make_up) + stick * wanted.make_up
        soft = cv2.GaussianBlur(self.chart.lips, (0, 0), 3)
        self.lips = np.clip(soft * 1.15, 0, 1) * np.clip(0.88 + 0.08 * self.medium, 0, 1)
        self.lay(self.lips, colour * (1 + 0.06 * self.fine + 0.05 * self.medium)[..., None])

    def paint_lids(self) -> None:
        """Pink lid rims, the dark line of the lashes, eye shadow."""
        rims = cv2.GaussianBlur(self.chart.lids, (0, 0), 1.5)
        pink = self.base * np.array([0.95, 0.6, 0.55])
        self.lay(0.5 * rims, pink)
        line = rims * smoothstep(7.27, 7.31, self.places[..., 1])
        self.colour *= 1 - np.clip(line * 1.2, 0, 1)[..., None] * (0.78 if self.wanted.make_up > 0.1 else 0.6)
        if self.wanted.make_up > 0.2:
            shadow = spot(self.folded, (0.33, 7.40), (0.15, 0.045)) * self.wanted.make_up * 0.7
            self.darken(shadow, [0.45, 0.55, 0.5])

    def gloss(self) -> Any:
        """(h, w) 0..1: more on nose and forehead, most on lips."""
        out = 0.42 + 0.22 * spot(self.folded, (0, 7.1), (0.12, 0.35))
        out = out + 0.12 * spot(self.folded, (0, 7.75), (0.35, 0.15)) + 0.1 * self.broad * 0.5 - 0.05 * self.medium
        out = np.clip(out, 0.15, 0.75) * self.rng.uniform(0.7, 1.25)
        return out * (1 - self.lips) + self.lips * (0.6 + 0.3 * self.wanted.make_up)

    def relief(self) -> Any:
        """(h, w) height: pores, lip lines and, with age, wrinkles (which also darken)."""
        rng, at = self.rng, self.folded
        out = 0.5 * noise(rng, self.chart.shape, 4, 2) + 0.35 * noise(rng, self.chart.shape, 10, 2)
        out *= 0.55 + 0.5 * spot(at, (0.35, 6.98), (0.3, 0.25))
        # u runs up the face: noise stretched along it makes upright lip lines.
        lines = cv2.resize(noise(rng, (HEIGHT, WIDTH // 8), 5, 2), (WIDTH, HEIGHT))
        out = out * (1 - self.lips) + self.lips * 1.1 * lines
        old = np.clip((self.wanted.age - 0.68) / 0.25, 0, 1)
        if old > 0:
            x, y = self.places[..., 0], self.places[..., 1]
            furrow = (y + 0.02 * self.broad + 0.01 * np.cos(x * 5)) * 2 * np.pi / 0.095
            forehead = np.sin(furrow) * spot(at, (0, 7.78), (0.38, 0.13))
            fan = np.arctan2(y - 7.28, at[..., 0] - 0.42) * 16 + self.broad
            crows_feet = np.sin(fan) * spot(at, (0.56, 7.28), (0.07, 0.12))
            frown = np.sin(at[..., 0] * 2 * np.pi / 0.09) * spot(at, (0, 7.5), (0.06, 0.09))
            out += old * (4.5 * forehead + 3.0 * crows_feet + 2.0 * frown) * (0.7 + 0.4 * self.medium)
            self.colour *= 1 - (old * 0.10 * np.clip(-forehead - crows_feet, 0, 1))[..., None]
        return out

    def tint_scalp(self) -> Any:
        """Hair's colour under the hair, so that gaps between strands do not shine; (h, w) where."""
        edge = above_hairline(self.places, self.wanted.recession) + 0.025 * self.medium + 0.03 * self.fine
        cover = smoothstep(-0.06, 0.10, edge) * (1 - self.chart.ears) * self.wanted.scalp_hair
        self.lay(cover, np.array(self.wanted.hair) * 0.32)
        return cover

    def grow_beard(self) -> None:
        strength = self.wanted.beard
        y, z, side = self.places[..., 1], self.places[..., 2], self.folded[..., 0]
        jaw = smoothstep(6.72, 6.45, y) * smoothstep(5.95, 6.15, y) * smoothstep(0.15, 0.45, z)
        cheek = smoothstep(7.25, 6.8, y) * smoothstep(0.40, 0.62, side) * smoothstep(0.30, 0.5, z)
        jaw = jaw + cheek * smoothstep(0.95, 0.6, z)
        lip = spot(self.folded, (0.12, 6.775), (0.14, 0.035)) + spot(self.folded, (0.29, 6.62), (0.04, 0.13))
        patchy = smoothstep(0.15, -0.05, noise(self.rng, self.chart.shape, 90, 2) * 0.15 - 0.05)
        where = np.clip(jaw + 1.2 * lip, 0, 1) * (1 - self.lips) * patchy
        where = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 6) * (z > 0.1)
        dots = smoothstep(-0.2, 1.6, noise(self.rng, self.chart.shape, 2.1, 1) + 0.25 * self.medium)
        cover = np.clip(where * (strength * 0.38 + strength * 0.55 * dots), 0, 0.9)
        self.lay(cover, np.array(self.wanted.hair) * 0.5 + np.array([0.012, 0.014, 0.018]))


def skin_texture(seed: int, wanted: Complexion) -> SkinTexture:
    """Paint one person's skin, brows and stubble."""
    canvas = _Canvas(seed, wanted)
    canvas.flush()
    if not wanted.even:
        canvas.sprinkle()
    canvas.hollow()
    canvas.redden_lips()
    canvas.part_lips()
    canvas.paint_lids()
    gloss = canvas.gloss()
    bump = canvas.relief()
    gloss = gloss * (1 - 0.9 * canvas.tint_scalp())
    canvas.colour = np.clip(canvas.colour, 0, 1)
    brow = wanted.brow
    canvas.lay(brow_cover(canvas.rng, brow), np.array(wanted.hair) * brow.darkness)
    if wanted.beard > 0:
        canvas.grow_beard()
    albedo = np.concatenate([np.clip(canvas.colour, 0, 1), np.clip(gloss, 0, 1)[..., None]], -1)
    y = canvas.places[..., 1]
    neck = albedo[canvas.chart.covered & (y < 6.25) & (y > 5.9)][:, :3].mean(0)
    return SkinTexture(albedo.astype(np.float32), bump.astype(np.float32), neck)

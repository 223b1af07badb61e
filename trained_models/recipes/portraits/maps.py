"""A character's skin, irises and eye whites as pictures that Cycles reads.

Two pigments make skin uneven: melanin, which takes most from blue, and blood, which takes from green and blue.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.chart import chart
from trained_models.recipes.people.geometry import above_hairline, smoothstep
from trained_models.recipes.people.paint import linear, noise, one_sided, spot
from trained_models.recipes.people.skin import tone
from trained_models.recipes.portraits.characters import Character, Colour
from trained_models.recipes.portraits.sculpt import brow_line, brow_width

SIZE = (2688, 1408)  # rows, columns of the head's chart
MELANIN, BLOOD = np.array([0.35, 0.65, 1.0], np.float32), np.array([0.06, 0.80, 0.72], np.float32)
IRIS_PX, WHITE_PX = 384, 512
LIPSTICK = (150, 62, 66)


def write_maps(who: Character, folder: Path) -> None:
    """`albedo`, `bald` (without hair's colour on the scalp), `rough`, `height`, `bare` (where no brow grows), `iris`
    and `white` as PNG files in `folder`."""
    skin = _Skin(who)
    pictures = {"bald": _coded(skin.colour), "albedo": _coded(skin.with_scalp()), "rough": _byte(skin.roughness())}
    pictures |= {"height": (skin.height() * 65535).astype(np.uint16), "bare": _byte(skin.bare)}
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture[::-1])  # the chart's row 0 is v = 0
    cv2.imwrite(str(folder / "iris.png"), _coded(iris(who.seed, *who.iris)))
    cv2.imwrite(str(folder / "white.png"), _coded(eye_white(who.seed)))


def _byte(values: Any) -> Any:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _coded(rgb: Any) -> Any:
    """Linear RGB → sRGB-coded BGR bytes."""
    rgb = np.clip(rgb, 0.001, 0.95)
    return _byte(np.where(rgb < 0.0031308, rgb * 12.92, 1.055 * rgb ** (1 / 2.4) - 0.055)[..., ::-1])


def _large(picture: Any, how: int = cv2.INTER_CUBIC) -> Any:
    return cv2.resize(np.asarray(picture, np.float32), SIZE[::-1], interpolation=how)


def _pores(rng: np.random.Generator, spacing: float) -> Any:
    """Dimples on a shaken grid, 0 to about -1."""
    rows, columns = (int(side / spacing) + 2 for side in SIZE)
    y = ((np.arange(rows)[:, None] + 0.5 + rng.uniform(-0.4, 0.4, (rows, columns))) * spacing).astype(int)
    x = ((np.arange(columns)[None] + 0.5 + rng.uniform(-0.4, 0.4, (rows, columns))) * spacing).astype(int)
    inside = (y >= 0) & (y < SIZE[0]) & (x >= 0) & (x < SIZE[1])
    out = np.zeros(SIZE, np.float32)
    out[y[inside], x[inside]] = -(rng.uniform(0.3, 1, y.shape) ** 1.5)[inside]
    wide = spacing * 0.22
    return cv2.GaussianBlur(out, (0, 0), wide) * (2 * np.pi * wide * wide)


class _Skin:
    """The chart being painted. `colour` linear RGB; `bare` 0 where a brow or stubble covers the skin."""

    def __init__(self, who: Character) -> None:
        self.who, self.rng = who, np.random.default_rng(who.seed + 3)
        on = chart()
        self.places = _large(on.places, cv2.INTER_LINEAR)
        self.at = one_sided(self.places)
        self.lips = np.clip(cv2.GaussianBlur(_large(on.lips), (0, 0), 3.5), 0, 1)
        self.ears = cv2.GaussianBlur(np.clip(_large(on.ears), 0, 1), (0, 0), 12)
        self.lids = np.clip(_large(on.lids), 0, 1)
        self.small, self.wide = _pores(self.rng, 4.6), _pores(self.rng, 7.4)
        self.tzone = np.clip(self._spot(0, 6.98, 0.22, 0.2) + self._spot(0.36, 6.96, 0.2, 0.18), 0, 1)
        self.bare = np.ones(SIZE, np.float32)
        self.colour = np.ones((*SIZE, 3), np.float32) * tone(who.melanin).astype(np.float32)
        self._pigment()
        self._lips()
        self._rims()
        self._brows()
        self._stubble()

    def _spot(self, x: float, y: float, across: float, up: float) -> Any:
        return spot(self.at, (x, y), (across, up))

    def _noise(self, scale: float, octaves: int = 3) -> Any:
        return noise(self.rng, SIZE, scale, octaves)

    def _absorb(self, amount: Any, pigment: Floats) -> None:
        self.colour *= np.exp(-np.asarray(amount, np.float32)[..., None] * np.asarray(pigment, np.float32))

    def _pigment(self) -> None:
        """Unevenness that one sees only up close, a slight flush, shadows under the eyes, freckles, age spots."""
        who, skin = self.who, 1 - self.lips
        thin = 1 - 0.6 * who.melanin
        melanin = 0.030 * self._noise(150) + 0.020 * self._noise(30) + 0.022 * self._noise(6, 2)
        blood = 0.030 * self._noise(110) + 0.025 * self._noise(24) + 0.022 * self._noise(5, 2)
        blood += 0.10 * self._spot(0.40, 6.97, 0.18, 0.15) + 0.13 * self._spot(0, 6.93, 0.11, 0.09)
        blood += 0.07 * self._spot(0, 6.33, 0.2, 0.1) + 0.12 * self._spot(0.21, 6.88, 0.04, 0.05)
        blood += 0.05 * self._spot(0.3, 7.37, 0.16, 0.05) + 0.18 * self.ears
        self._absorb(melanin * skin, MELANIN)
        self._absorb(blood * thin * skin, BLOOD)
        tired = 0.10 + 0.10 * who.lines
        shade = self._spot(0.27, 7.13, 0.15, 0.045) + 0.5 * self._spot(0.15, 7.22, 0.05, 0.07)
        self._absorb(tired * shade, np.array([0.5, 0.8, 0.6]))
        self._absorb(-(self.small * 0.04 + self.wide * 0.05 * self.tzone) * skin, MELANIN)
        self._dots(500, 1.3, 0.22, 1.0)
        if who.freckles:
            where = self._spot(0.26, 7.02, 0.26, 0.16) + 0.35 * self._spot(0, 7.7, 0.5, 0.2) + 0.12
            self._dots(int(6500 * who.freckles), 2.1, 0.40, where)
        if who.lines:
            self._dots(int(60 * who.lines), 5.0, 0.22, self._spot(0.5, 7.2, 0.3, 0.5))

    def _dots(self, count: int, size: float, strength: float, where: Any) -> None:
        rng, marks = self.rng, np.zeros(SIZE, np.float32)
        x, y = rng.uniform(0, SIZE[1], count), rng.uniform(0, SIZE[0], count)
        radii, depths = rng.gamma(4, size / 4, count), rng.uniform(0.2, 1, count) * strength
        for cx, cy, radius, depth in zip(x, y, radii, depths, strict=True):
            axes = (max(1, round(radius)), max(1, round(radius * rng.uniform(0.7, 1.3))))
            cv2.ellipse(marks, (int(cx), int(cy)), axes, rng.uniform(0, 180), 0, 360, float(depth), -1, cv2.LINE_AA)
        marks = cv2.GaussianBlur(marks, (0, 0), 1.0) * where * (1 - self.lips) * (1 - 0.5 * self.who.melanin)
        self._absorb(marks, np.array([0.45, 0.8, 1.0]))

    def _lay(self, cover: Any, colour: Any) -> None:
        cover = np.clip(cover, 0, 1).astype(np.float32)[..., None]
        self.colour += cover * (np.asarray(colour, np.float32) - self.colour)

    def _lips(self) -> None:
        """Redder and a little darker than the skin, paler towards their outer edge, dark where they meet."""
        who = self.who
        pale, dark = np.array([0.80, 0.52, 0.52]), np.array([0.78, 0.62, 0.64])
        share = float(np.clip(who.melanin / 0.6, 0, 1))
        colour = tone(who.melanin) * (pale * (1 - share) + dark * share)
        colour = colour * (1 - who.lipstick) + linear(LIPSTICK) * who.lipstick
        uneven = 1 + 0.05 * self._noise(30) + 0.04 * self._noise(5, 2)
        self._lay(self.lips * 0.92, colour * uneven[..., None])
        seam = self._spot(0, 6.607, 0.16, 0.011) + 0.5 * self._spot(0.235, 6.61, 0.022, 0.012)
        self._absorb(np.clip(seam, 0, 1) * 0.45, np.array([0.6, 1.0, 0.95]))

    def _rims(self) -> None:
        """Pink rims of the lids and the fine dark line that lashes make there."""
        rims = cv2.GaussianBlur(self.lids, (0, 0), 2)
        self._lay(0.45 * rims, tone(self.who.melanin) * np.array([0.9, 0.58, 0.54]))
        female = self.who.shape["gender"] > 0.5
        upper = rims * smoothstep(7.27, 7.31, self.places[..., 1])
        self._absorb(upper * (0.9 if female else 0.5), np.array([1.0, 1.1, 1.1]))

    def _brows(self) -> None:
        """A soft shade below the brow's hairs, so that skin does not shine between them."""
        thickness, density = self.who.brow
        along = np.clip((self.at[..., 0] - 0.13) / 0.42, 0, 1)
        male = self.who.shape["gender"] < 0.5
        away = (self.places[..., 1] - 0.012 - brow_line(along, male)) / (0.036 * thickness * brow_width(along))
        beyond = np.maximum(0.13 - self.at[..., 0], self.at[..., 0] - 0.55) / 0.03
        cover = np.exp(-(away**2) * 0.9) * np.exp(-(np.clip(beyond, 0, None) ** 2))
        cover = cover * (self.places[..., 2] > 0.6)
        # The fold of the lid lies as high as the brow, but apart from it on the chart.
        _, number, stats, _ = cv2.connectedComponentsWithStats(_byte(cover > 0.08))
        areas = np.r_[0, stats[1:, cv2.CC_STAT_AREA]]
        cover = cover * (areas >= 0.3 * areas.max())[number]
        cover = (
            cover
            * (0.4 + 0.6 * smoothstep(0, 0.3, along))
            * smoothstep(1.0, 0.6, along)
            * np.clip(1 + 0.25 * self._noise(7, 2), 0, 1.5)
        )
        self._lay(0.22 * density * cover, self.hair_colour() * 1.1)
        self.bare *= 1 - smoothstep(0.15, 0.5, cv2.GaussianBlur(cover, (0, 0), 4))

    def hair_colour(self) -> Floats:
        return linear(self.who.hair[0])

    def _stubble(self) -> None:
        """The shade of shaved hair; a real beard grows as hairs."""
        if not self.who.beard:
            return
        x, y, z = self.at[..., 0], self.places[..., 1], self.places[..., 2]
        jaw = smoothstep(6.72, 6.5, y) * smoothstep(5.95, 6.15, y) * smoothstep(0.25, 0.5, z)
        side = (
            smoothstep(7.15, 6.8, y) * smoothstep(0.42, 0.62, x) * smoothstep(0.35, 0.5, z) * smoothstep(0.98, 0.7, z)
        )
        lip = self._spot(0.12, 6.775, 0.13, 0.035) + self._spot(0.29, 6.64, 0.04, 0.12)
        where = cv2.GaussianBlur(np.clip(jaw + side + lip, 0, 1).astype(np.float32), (0, 0), 14) * (1 - self.lips)
        dots = np.clip(self._noise(2.6, 1) - 0.7, 0, 1)
        cover = where * min(self.who.beard, 0.6) * (0.30 + 0.8 * dots)
        self._lay(cover, self.hair_colour() * 0.7 + np.array([0.010, 0.012, 0.016]))
        self.bare *= 1 - smoothstep(0.25, 0.6, where * self.who.beard)

    def with_scalp(self) -> Any:
        """The colour with hair's own between its roots."""
        edge = above_hairline(self.places, self.who.recession) + 0.02 * self._noise(40) + 0.02 * self._noise(7, 2)
        cover = smoothstep(-0.02, 0.16, edge) * (1 - self.ears) * 0.85
        return self.colour + cover[..., None] * (self.hair_colour() * 0.4 - self.colour)

    def roughness(self) -> Any:
        out = 0.50 - 0.08 * self._spot(0, 7.1, 0.14, 0.4) - 0.05 * self._spot(0, 7.75, 0.35, 0.15)
        out = out + 0.03 * self._noise(24) - 0.025 * self.small
        return out * (1 - self.lips) + 0.38 * self.lips

    def height(self) -> Any:
        """0..1 of about two tenths of a millimetre: pores, fine creases, lip lines, wrinkles; none on the lids, where
        the chart is stretched."""
        creases = np.abs(self._noise(9, 2)) + np.abs(self._noise(14, 2))
        out = 0.55 * self.small + 0.9 * self.wide * self.tzone + 0.14 * creases + 0.15 * self._noise(3, 1)
        upright = cv2.resize(noise(self.rng, (SIZE[0] // 6, SIZE[1] // 50), 4, 2), SIZE[::-1])
        out = out * (1 - self.lips) + self.lips * (0.8 * upright + 0.2 * self._noise(5, 2))
        if self.who.lines:
            out = out + self.who.lines * self._wrinkles()
        out = out * (1 - 0.8 * np.clip(self._spot(0.31, 7.31, 0.15, 0.05) * 1.3, 0, 1))
        low, high = np.percentile(out, (0.01, 99.99))
        return np.clip((out - low) / (high - low), 0, 1)

    def _wrinkles(self) -> Any:
        x, y = self.at[..., 0], self.places[..., 1]
        bent = noise(self.rng, SIZE, 150, 4)
        broken = 0.7 + 0.4 * noise(self.rng, SIZE, 60, 2)
        forehead = np.sin((y + 0.02 * bent + 0.012 * np.cos(x * 5)) * 2 * np.pi / 0.105)
        forehead = forehead * np.exp(-((x / 0.42) ** 4) - (((y - 7.76) / 0.13) ** 2) / 2)
        feet = np.sin(np.arctan2(y - 7.28, x - 0.40) * 15 + bent) * self._spot(0.57, 7.28, 0.06, 0.11)
        under = np.sin((y - 0.05 * x) * 2 * np.pi / 0.045 + bent) * self._spot(0.3, 7.13, 0.14, 0.035)
        frown = np.cos(x * 2 * np.pi / 0.11 + 0.4 * bent) * self._spot(0, 7.48, 0.06, 0.08)
        return (2.6 * forehead + 2.0 * feet + 1.1 * under + 1.3 * frown) * broken


def iris(seed: int, outer: Colour, inner: Colour) -> Any:
    """(n, n, 3) linear: a pupil, fibres from the inner to the outer colour, a dark rim."""
    y, x = np.mgrid[-1 : 1 : IRIS_PX * 1j, -1 : 1 : IRIS_PX * 1j].astype(np.float32)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)

    def fibres(count: int, number: int) -> Any:
        rays = np.random.default_rng([seed, number]).normal(0, 1, (24, count)).astype(np.float32)
        rays = cv2.GaussianBlur(np.c_[rays[:, -8:], rays, rays[:, :8]], (0, 0), sigmaX=1, sigmaY=5)
        u = (angle / (2 * np.pi) + 0.5) % 1 * count + 8
        return cv2.remap(rays, u, np.clip(radius, 0, 1) * 23, cv2.INTER_CUBIC) / rays.std()

    fine = 0.6 * fibres(150, 1) + 0.5 * fibres(60, 2) + 0.3 * fibres(300, 3)
    collar = np.exp(-(((radius - 0.50 - 0.02 * fibres(40, 4)) / 0.09) ** 2))
    share = np.clip((radius - 0.45) / 0.4 + 0.1 * fine, 0, 1)[..., None]
    colour = linear(inner) * (1 - share) + linear(outer) * share
    colour = colour * np.clip(1 + 0.34 * fine, 0.3, 2)[..., None] * (1 + 0.45 * collar)[..., None]
    colour = colour * (1 - 0.75 * np.clip((radius - 0.8) / 0.2, 0, 1) ** 1.5)[..., None]
    return colour * np.clip((radius - 0.36) / 0.03, 0, 1)[..., None]


def eye_white(seed: int) -> Any:
    """(n, n, 3) linear, seen along the gaze: pinker towards the corners, fine veins, grey at the iris's rim."""
    rng = np.random.default_rng([seed, 5])
    y, x = np.mgrid[-1 : 1 : WHITE_PX * 1j, -1 : 1 : WHITE_PX * 1j].astype(np.float32)
    veins = np.zeros((WHITE_PX, WHITE_PX), np.float32)
    for _ in range(34):
        angle = (0 if rng.random() < 0.5 else np.pi) + rng.normal(0, 0.5)
        place = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.85, 1)
        heading = -place
        path = []
        while len(path) < 40 and np.hypot(*place) > 0.48:
            heading = heading + rng.normal(0, 0.22, 2)
            heading /= np.linalg.norm(heading)
            place = place + heading * 0.012
            path.append(place)
        if path:
            corners = ((np.array(path) + 1) / 2 * WHITE_PX * 16).astype(np.int32)
            cv2.polylines(veins, [corners], False, float(rng.uniform(0.2, 0.6)), 1, cv2.LINE_AA, 4)
    veins = cv2.GaussianBlur(veins, (0, 0), 0.9)
    red = 0.22 * np.clip((np.abs(x) - 0.45) / 0.5, 0, 1) + 0.4 * veins
    colour = np.array([0.70, 0.67, 0.64]) * np.exp(-red[..., None] * np.array([0.12, 0.75, 0.8]))
    return colour * (1 - np.clip((0.49 - np.hypot(x, y)) / 0.06, 0, 1)[..., None] * np.array([0.5, 0.46, 0.42]))

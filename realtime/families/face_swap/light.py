"""Light: what shines on the driver's face is laid on the identity's picture.

The driver's colours at the mesh's vertices, in linear light and with their skin's own pattern divided out, are fitted
by spherical harmonics of the normals up to the second order (Ramamoorthi and Hanrahan, An efficient representation for
irradiance environment maps, 2001). Most of what they leave, smoothed over the face, is added: cast shadows, say. The
identity's reflectance is multiplied by that light at its own normals.
"""

import math

import cv2
import numpy as np

from realtime.config import Settings
from realtime.families.face_swap.skin_reading import (
    CAMERA,
    GAMMA,
    GRID,
    LUMA,
    FaceSkin,
    SkinReading,
    as_camera,
    read_skin,
)
from realtime.families.face_swap.skin_tone import TONES, likely_tone, tone_gain, white_to_skin
from realtime.families.motion.mesh.head import OVAL, VERTICES
from realtime.frame import Doubles, Floats, Pixels

RESIDUAL, RESIDUAL_TINT = np.float32(0.8), np.float32(0.6)
"""The shares of what the harmonics leave that are taken over, of its brightness and of its colour: red cheeks and noses
are the driver's own."""
_MOST_RESIDUAL = 1.8
_RIDGE = np.array([0, 0.02, 0.02, 0.02, 0.3, 0.3, 0.3, 0.3, 0.3]) * 0.05
_ROUNDS, _OUTLIER = 3, 0.35
_DARKEST, _BRIGHTEST, _TINT = math.log(0.10), math.log(3.5), math.log(2.2)  # of a light, relative to its median
_MOST_SKIN = 1.0  # linear brightness of the identity's skin, where the driver's own is not brighter
_FAR_DARKER = -2.7  # log, of the identity's skin relative to the driver's in the same light
TIME_S, LEVEL_TIME_S = 0.08, 0.03  # time constants of the light, and of its brightness
_STEP = 0.10  # log: a camera's exposure that changes by more than this does so at once
_FIT_EVERY_S, _TONE_EVERY_S = 0.045, 0.2
_FORGET_S = 1.0  # after so long without a picture the light is another
_TONES_KEPT = 300
_TONE_STEP, _TONE_SLACK, _TONE_PAUSE_S = 0.04, 0.08, 0.5
"""The driver's tone as it is used follows the median of what was measured in steps that nobody sees."""
_NARROW, _BROAD = 0.035, 0.14  # sigmas in heights of the face: how a vertex's value spreads into the picture
_FINE = 16  # steps of a product between two 8-bit values
_ROOM = 65536 // _FINE / 255  # the largest coded value that a product can hold


def _encoded() -> Pixels:
    """(65536,) a camera's 8-bit value of a product of coded values, in 1 / `_FINE`."""
    y = (np.arange(65536) / (255.0 * _FINE)) ** GAMMA
    return np.asarray(np.rint(255 * as_camera(y)), np.uint8)


_ENCODED = _encoded()


def harmonics(normals: Floats) -> Floats:
    """(n, 9) spherical harmonics, but for their factors, of unit normals (n, 3)."""
    x, y, z = normals.T
    return np.stack([np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], axis=1)


def fit_light(skin: FaceSkin, reading: SkinReading, level: Floats) -> tuple[Floats, Floats]:
    """(9, 3) harmonics of light × tone relative to exp(`level`), and (468, 3) log of what they leave, smoothed."""
    basis = harmonics(reading.normals).astype(np.float64)
    y = np.exp(np.log(reading.colour) - skin.pattern - level).astype(np.float64)
    trust = reading.trust.astype(np.float64) + 1e-6
    weight, grey = trust, np.log(np.maximum(y @ LUMA, 1e-3))
    ridge = np.diag(_RIDGE + 1e-6)
    coefficients: Doubles = np.zeros((9, 3))
    fitted: Doubles = np.ones_like(y)
    for _ in range(_ROUNDS):
        weighted = basis * weight[:, None]
        coefficients = np.linalg.solve(basis.T @ weighted + ridge * weight.sum(), weighted.T @ y)
        fitted = np.maximum(basis @ coefficients, 0.03)
        # A hand or a strand of hair is no light.
        weight = trust / (1 + ((grey - np.log(fitted @ LUMA)) / _OUTLIER) ** 2)
    left = (np.log(np.maximum(y, 1e-3)) - np.log(fitted)).astype(np.float32)
    seen = reading.trust[:, None]
    smooth = skin.smoother @ np.column_stack([seen * left, seen])
    smooth = smooth[:, :3] / np.maximum(smooth[:, 3:], 0.15)
    bounded = np.clip(smooth, -_MOST_RESIDUAL, _MOST_RESIDUAL)
    brighter = (bounded @ LUMA)[:, None]
    return coefficients.astype(np.float32), RESIDUAL_TINT * bounded + (RESIDUAL - RESIDUAL_TINT) * brighter


def log_light(coefficients: Floats, left: Floats, normals: Floats) -> Floats:
    """(468, 3) log of a fitted light at `normals`, within bounds of its own median."""
    e = np.log(np.maximum(harmonics(normals) @ coefficients, 0.04)) + left
    grey = e @ LUMA
    middle = np.median(grey)
    bounded = np.clip(grey, middle + _DARKEST, middle + _BRIGHTEST)
    return np.asarray(bounded[:, None] + np.clip(e - grey[:, None], -_TINT, _TINT), np.float32)


def spread(values: Floats, points: Floats, normals: Floats, size: int) -> Floats:
    """(GRID, GRID, 3) a smooth picture of values (468, 3) at the vertices of a face in a square of `size` pixels."""
    at = np.clip((points[:VERTICES, :2] + 0.5) * (GRID / size) - 0.5, 0, GRID - 1.001)
    low = np.floor(at).astype(np.intp)
    fx, fy = (at - low).T
    weight = np.clip(normals[:, 2], 0.02, 1)  # the side that looks away is hidden behind what is nearer
    rows = np.column_stack([values, np.ones(len(values), np.float32)]) * weight[:, None]
    total = np.zeros((GRID * GRID, 4))
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = (fx if across else 1 - fx) * (fy if down else 1 - fy)
        place = (low[:, 1] + down) * GRID + low[:, 0] + across
        for channel in range(4):
            total[:, channel] += np.bincount(place, rows[:, channel] * share, GRID * GRID)
    grid = total.reshape(GRID, GRID, 4).astype(np.float32)
    tall = float(np.ptp(at[OVAL], axis=0).max())
    near = cv2.GaussianBlur(grid, (0, 0), max(_NARROW * tall, 0.5))
    small = cv2.resize(grid, (GRID // 4, GRID // 4), interpolation=cv2.INTER_AREA)
    far = cv2.resize(cv2.GaussianBlur(small, (0, 0), max(_BROAD * tall / 4, 0.5)), (GRID, GRID))
    mean = rows.sum(axis=0) / rows[:, 3].sum()
    mixed = near + np.float32(0.05) * far + np.asarray(mean * 1e-4, np.float32)
    return np.asarray(mixed[..., :3] / mixed[..., 3:], np.float32)


class Relight:
    """One driver's light and tone, laid on one identity. One thread.

    `identity` (3,): the tone of its skin (`mean_skin`). `driver` (3,): that of the driver as far as it is known; one
    that is given stays. `gain` (3,) is what its key pictures' skin must be retoned by; it changes in small, rare steps.
    """

    def __init__(self, skin: FaceSkin, identity: Floats, driver: Floats | None = None) -> None:
        self._skin, self._identity, self._given = skin, identity, driver is not None
        self.gain: Floats = np.zeros(3, np.float32)
        self.driver: Floats = likely_tone(None, -9.0) if driver is None else driver
        self._over_white: list[Doubles] = []
        self._level: Floats = np.zeros(3, np.float32)
        self._light: tuple[Floats, Floats] | None = None
        self._goal: tuple[Floats, Floats] | None = None
        self._seen_s = self._fitted_s = self._measured_s = self._stepped_s = -math.inf

    def read(
        self, crop: Pixels, points: Floats, settings: Settings, time_s: float, visible: Floats | None = None
    ) -> None:
        """Read the driver in a crop (S, S, 3), landmarks (478, 3) in its pixels, at a frame's time.

        `visible` (S, S) 0..1: where nothing lies before the face, if that is known.
        """
        if not np.isfinite(points).all():
            return
        reading = read_skin(self._skin, crop, points, visible=visible)
        passed = time_s - self._seen_s
        anew = self._goal is None or not 0 <= passed < _FORGET_S
        self._seen_s = time_s
        if (reading.trust > 0.25).sum() >= 40:
            self._follow(reading, time_s, passed, anew)
        if anew or time_s - self._measured_s >= _TONE_EVERY_S:
            self._measured_s = time_s
            if (found := white_to_skin(self._skin, crop, points, reading)) is not None:
                self._over_white = [*self._over_white[1 - _TONES_KEPT :], found]
        self._choose_tone(settings, time_s, anew)

    def _follow(self, reading: SkinReading, time_s: float, passed: float, anew: bool) -> None:
        """Bring brightness and light towards what was read."""
        level = reading.log_skin(self._skin.pattern)
        if anew or time_s - self._fitted_s >= _FIT_EVERY_S:
            self._goal, self._fitted_s = fit_light(self._skin, reading, level), time_s
        assert self._goal is not None
        if anew or self._light is None:
            self._level, self._light = level, self._goal
            return
        stepped = float(np.abs(level - self._level).max()) > _STEP
        self._level = level if stepped else self._level + (level - self._level) * _kept(passed, LEVEL_TIME_S)
        part = _kept(passed, TIME_S)
        self._light = (
            self._light[0] + (self._goal[0] - self._light[0]) * part,
            self._light[1] + (self._goal[1] - self._light[1]) * part,
        )

    def _choose_tone(self, settings: Settings, time_s: float, anew: bool) -> None:
        """The driver's tone by what was measured or set, and the identity's gain."""
        if self._given:
            pass
        elif settings.my_skin != "auto":
            self.driver = TONES[settings.my_skin]
        elif anew or time_s - self._stepped_s >= _TONE_PAUSE_S:
            white = np.median(self._over_white, axis=0) if self._over_white else None
            likely = likely_tone(white, float(self._level @ LUMA))
            away = np.log(likely / self.driver)
            if np.isinf(self._stepped_s):
                self.driver = likely
            elif (far := float(np.abs(away).max())) > _TONE_SLACK:
                self.driver = self.driver * np.exp(away * min(1.0, _TONE_STEP / far)).astype(np.float32)
            self._stepped_s = time_s
        self.gain = tone_gain(settings.skin, self._identity, self.driver)

    def lay(self, drawn: Pixels, points: Floats) -> Pixels:
        """The retoned identity as drawn (S, S, 3), in the driver's light: a new array.

        `points` (478, 3): its landmarks in the pixels of `drawn`. What was never read leaves it as it is.
        """
        if self._light is None or not np.isfinite(points).all():
            return drawn.copy()
        normals = self._skin.normals(points)
        light = log_light(*self._light, normals) + (self._level - np.log(self.driver))
        level = float(self._level @ LUMA)
        rest = float((np.log(self._identity / self.driver) + self.gain) @ LUMA)
        # Whatever tone was guessed, skin neither burns out nor drowns.
        light += np.float32(np.clip(rest, _FAR_DARKER, max(math.log(_MOST_SKIN) - level, 0.0)) - rest)
        size = drawn.shape[0]
        field = np.exp(np.minimum(spread(light, points, normals, size) / GAMMA, math.log(_ROOM)))
        whole = cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
        product = cv2.multiply(drawn, whole, scale=_FINE, dtype=cv2.CV_16U)
        return np.asarray(cv2.LUT(product, _ENCODED), np.uint8)


def _kept(passed: float, constant: float) -> np.float32:
    """How much of the way to a goal is gone in `passed` seconds."""
    return np.float32(1 - math.exp(-passed / constant))


def flatten(skin: FaceSkin, pixels: Pixels, points: Floats) -> Pixels:
    """A photograph (S, S, 3) as a key picture: its own light divided out, its level by the white of its eyes.

    `points` (478, 3) in its pixels. A new array; as it is where no skin can be read.
    """
    reading = read_skin(skin, pixels, points)
    if (reading.trust > 0.25).sum() < 40:
        return pixels.copy()
    level = reading.log_skin(skin.pattern)
    tone = likely_tone(white_to_skin(skin, pixels, points, reading), float(level @ LUMA))
    light = log_light(*fit_light(skin, reading, level), reading.normals) + (level - np.log(tone))
    field = cv2.resize(spread(light, points, reading.normals, pixels.shape[0]), pixels.shape[1::-1])
    reflectance = cv2.LUT(pixels, CAMERA) * np.exp(-field)
    return np.asarray(np.rint(255 * np.clip(reflectance, 0, 1) ** (1 / GAMMA)), np.uint8)

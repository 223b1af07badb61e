"""What the driver's head does, carried over to the avatar as key points.

A First Order Motion Model describes a picture by K key points, positions (K, 2) in -1..1 as (x, y), and a
2x2 Jacobian at each: how the picture lies there. Fed with the driver's own key points the avatar takes on
the shape of the driver's head; fed with the avatar's, moved by what has changed in the driver since a
neutral frame, it keeps its own. Pure numpy; used once a frame.

Source: Siarohin et al., "First Order Motion Model for Image Animation", NeurIPS 2019, section 3.3.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.families.motion.motion_model import Region
from realtime.frame import Doubles, Floats

FLAT = 1e-9  # areas and determinants below this count as nothing: a whole picture has the area 4, a Jacobian at rest 1


@dataclass(frozen=True, slots=True, eq=False)
class KeyPoints:
    """The key points of one picture: `value` (K, 2) float32, -1..1, x before y; `jacobian` (K, 2, 2) float32."""

    value: Floats
    jacobian: Floats


class RelativeMotion:
    """The avatar's key points moved as the driver's have moved since `neutral`.

    position = (driving - neutral) · scale + avatar; Jacobian = J_driving · J_neutral⁻¹ · J_avatar.

    `adapt_scale` makes movements as large as the avatar's head is in its picture: by the square root of the
    ratio of the areas that the key points span. Without it the scale is 1. Without `jacobians` the driver's own
    Jacobians are used. Raises ModelError for key points that cannot be measured against: of different
    numbers, not finite, or a neutral frame whose key points lie on one line.
    """

    def __init__(
        self, avatar: KeyPoints, neutral: KeyPoints, *, adapt_scale: bool = False, jacobians: bool = True
    ) -> None:
        _check(avatar, "the avatar's")
        _check(neutral, "the neutral frame's")
        if avatar.value.shape != neutral.value.shape:
            raise ModelError(
                f"the avatar has {len(avatar.value)} key points, the neutral frame {len(neutral.value)}: "
                "take both from one model"
            )
        self.scale = movement_scale(avatar.value, neutral.value) if adapt_scale else 1.0
        self._neutral = neutral.value.astype(np.float64)
        self._avatar = avatar.value.astype(np.float64)
        self._turn = _inverse(neutral.jacobian.astype(np.float64)) @ avatar.jacobian.astype(np.float64)
        self._jacobians = jacobians

    def __call__(self, driving: KeyPoints) -> KeyPoints:
        """The key points to draw the avatar with, new float32 arrays. What is not finite stays so."""
        value = (driving.value - self._neutral) * self.scale + self._avatar
        jacobian = driving.jacobian @ self._turn if self._jacobians else driving.jacobian
        return KeyPoints(value.astype(np.float32), jacobian.astype(np.float32))


def movement_scale(avatar: npt.NDArray[np.floating], neutral: npt.NDArray[np.floating]) -> float:
    """How many times wider the avatar's key points (K, 2) lie than the neutral frame's: a ratio of lengths.

    Raises ModelError where either set spans no area.
    """
    areas = [hull_area(avatar), hull_area(neutral)]
    for area, whose in zip(areas, ("the avatar", "the neutral frame"), strict=True):
        if not area > FLAT:
            raise ModelError(
                f"the key points of {whose} lie on one line: take another picture, or do not adapt the scale"
            )
    return math.sqrt(areas[0] / areas[1])


def hull_area(points: npt.NDArray[np.floating]) -> float:
    """The area of the convex hull of (K, 2) points, in float64; 0 for fewer than three and for points on a line.

    Andrew's monotone chain (1979), then the shoelace formula.
    """
    ordered = sorted({(float(x), float(y)) for x, y in points})
    if len(ordered) < 3:
        return 0.0
    corners = _chain(ordered) + _chain(ordered[::-1])
    following = corners[1:] + corners[:1]
    twice = sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(corners, following, strict=True))
    return abs(twice) / 2


def _chain(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """One side of the hull, without its last point: the points at which the way turns left only."""
    chain: list[tuple[float, float]] = []
    for point in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain[:-1]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Positive where the way a, b, c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _inverse(matrices: Doubles) -> Doubles:
    """The inverses of (K, 2, 2) matrices. Raises ModelError where there is none."""
    a, b, c, d = (matrices[:, i, j] for i in range(2) for j in range(2))
    determinants = a * d - b * c
    if np.any(np.abs(determinants) < FLAT):
        raise ModelError("a Jacobian of the neutral frame has no inverse: take another neutral frame")
    adjugates = np.stack([d, -b, -c, a], -1).reshape(-1, 2, 2)
    return np.asarray(adjugates / determinants[:, None, None], np.float64)


def _check(points: KeyPoints, whose: str) -> None:
    count = len(points.value)
    if points.value.shape != (count, 2) or points.jacobian.shape != (count, 2, 2) or count == 0:
        raise ModelError(
            f"{whose} key points are {points.value.shape} and {points.jacobian.shape}; wanted are (K, 2) and (K, 2, 2)"
        )
    if not (np.isfinite(points.value).all() and np.isfinite(points.jacobian).all()):
        raise ModelError(f"{whose} key points are not finite numbers: take another picture")


@dataclass(frozen=True, slots=True)
class Limits:
    """How far motion may go. `together` and `apart` are in widths of the avatar's key points (the root of their
    hull's area): of all key points as one, and of each against the others. `stretch`: the most that a Jacobian may
    grow or shrink the picture around a key point, one way.

    Chosen so that a head turned by 30 degrees is not yet held back on filmed faces cut as for training.
    """

    together: float = 0.45
    apart: float = 0.35
    stretch: float = 2.0


EASE = 0.6  # the share of a limit up to which motion passes unchanged; from there it bends towards the limit


def limited(avatar: KeyPoints, moved: KeyPoints, limits: Limits) -> KeyPoints:
    """The key points nearest to `moved` that can be drawn, new arrays. Numbers that are none count as no motion.

    What is far from anything in training comes out torn; small motion passes unchanged.
    """
    home = avatar.value.astype(np.float64)
    width = max(np.sqrt(hull_area(home)), 1e-3)
    away = np.where(np.isfinite(moved.value), moved.value - home, 0.0)
    # Beyond any limit lengths only overflow.
    away = np.clip(away, -1e3, 1e3)
    shift = np.median(away, axis=0)
    value = home + _held(shift[None], limits.together * width) + _held(away - shift, limits.apart * width)
    turn = avatar.jacobian.astype(np.float64)
    return KeyPoints(value.astype(np.float32), (_tamed(moved.jacobian, turn, limits.stretch)).astype(np.float32))


def weakened(avatar: KeyPoints, moved: KeyPoints, strength: float) -> KeyPoints:
    """The key points on the way from the avatar's own (`strength` 0) to `moved` (1)."""
    if strength >= 1.0:
        return moved
    share = np.float32(max(strength, 0.0))
    return KeyPoints(
        avatar.value + share * (moved.value - avatar.value),
        avatar.jacobian + share * (moved.jacobian - avatar.jacobian),
    )


def _held(vectors: Doubles, limit: float) -> Doubles:
    """(N, 2) vectors no longer than `limit`, unchanged up to EASE of it."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    free = EASE * limit
    room = limit - free
    bent = free + room * np.tanh((length - free) / room)
    return np.asarray(vectors * np.where(length > free, bent / np.maximum(length, 1e-12), 1.0))


def _tamed(jacobian: Floats, own: Doubles, stretch: float) -> Doubles:
    """Jacobians whose change against the avatar's own turns, and stretches by no more than `stretch`."""
    own_det = own[:, 0, 0] * own[:, 1, 1] - own[:, 0, 1] * own[:, 1, 0]
    given = jacobian.astype(np.float64)
    usable = np.isfinite(given).all(axis=(1, 2)) & (np.abs(given).max(axis=(1, 2)) < 1e6) & (np.abs(own_det) > FLAT)
    if not usable.any():
        return own.copy()
    change = given[usable] @ np.linalg.inv(own[usable])
    u, sizes, vt = np.linalg.svd(change)
    mirrored = np.linalg.det(u) * np.linalg.det(vt) < 0  # a mirror image is nothing that a face does
    change = (u * np.clip(sizes, 1.0 / stretch, stretch)[:, None, :]) @ vt
    change[mirrored] = np.eye(2)
    out = own.copy()
    out[usable] = change @ own[usable]
    return out


RIDGE = 0.15
"""How strongly the map is drawn to the nearest similarity, against the key points' own spread.

Ten key points, of which some lie on the mouth, would let a freer map take the jaw for the head.
"""


def of_region(driving: KeyPoints, neutral: KeyPoints, region: Region) -> KeyPoints:
    """The driver's key points with only the head's motion, or only the expression, against `neutral`.

    `all` comes back itself; so do `lips` and `eyes` without the head's motion, of which masks show a part.
    """
    if region == "all":
        return driving
    linear, shift = head_motion(neutral.value.astype(np.float64), driving.value.astype(np.float64))
    if region == "head":
        value = neutral.value @ linear.T + shift
        jacobian = linear @ neutral.jacobian
    else:
        back = np.linalg.inv(linear)
        value = (driving.value - shift) @ back.T
        jacobian = back @ driving.jacobian
    return KeyPoints(value.astype(np.float32), jacobian.astype(np.float32))


def head_motion(neutral: Doubles, driving: Doubles) -> tuple[Doubles, Doubles]:
    """(2, 2) and (2,): the affine map from neutral to driving key points (K, 2), always invertible."""
    middle, centre = neutral.mean(axis=0), driving.mean(axis=0)
    a, b = neutral - middle, driving - centre
    spread = a.T @ a
    size = float(np.trace(spread)) / 2 or 1.0
    # The best similarity first (Umeyama 1991), then the affine map, held near it.
    real = float(np.sum(a * b)) / (2 * size)
    imaginary = float(np.sum(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / (2 * size)
    similar = np.array([[real, -imaginary], [imaginary, real]])
    ridge = RIDGE * size * np.eye(2)
    linear = (b.T @ a + similar @ ridge) @ np.linalg.inv(spread + ridge + 1e-9 * np.eye(2))
    if not np.isfinite(linear).all() or np.linalg.det(linear) < 0.05:
        linear = np.eye(2)
    return linear, centre - linear @ middle

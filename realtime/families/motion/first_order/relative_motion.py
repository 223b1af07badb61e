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
from realtime.frame import Floats

Doubles = npt.NDArray[np.float64]

FLAT = 1e-9
"""Areas and determinants below this count as nothing: a whole picture has the area 4, a Jacobian at rest 1."""


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

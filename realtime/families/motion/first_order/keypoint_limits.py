"""Motion that a First Order Motion Model can still draw: key points kept near the avatar's own, smoothly.

What is far from anything in training comes out torn, so whatever a driver does, a hand before the face or a
tracker gone astray, is drawn in towards the avatar at rest. Small motion passes unchanged. Pure numpy.
"""

from dataclasses import dataclass

import numpy as np

from realtime.families.motion.first_order.relative_motion import FLAT, Doubles, KeyPoints, hull_area
from realtime.frame import Floats


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


EASE = 0.6
"""The share of a limit up to which motion passes unchanged; from there it bends towards the limit."""


def limited(avatar: KeyPoints, moved: KeyPoints, limits: Limits) -> KeyPoints:
    """The key points nearest to `moved` that can be drawn, new arrays. Numbers that are none count as no motion."""
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

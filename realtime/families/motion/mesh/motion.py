"""Transfers a driver's motion to an avatar's points: expression by proportion, the head as a whole, within limits.

Lids and lips are carried over as openings, not as paths, so that a driver's closed eye closes an eye of any size and
lips that meet do meet. Everything else moves by as much as on the driver, in heads.
"""

from dataclasses import dataclass

import numpy as np

from realtime.families.motion.mesh.head import (
    BONES,
    CHIN,
    EYES,
    INNER_LOWER_LIP,
    INNER_UPPER_LIP,
    MOUTH_CORNERS,
    OUTER_LOWER_LIP,
    OUTER_UPPER_LIP,
    PIVOT,
    EyePoints,
    Reading,
    rotation_vector,
    turned,
)
from realtime.families.motion.motion_model import Motion
from realtime.frame import Doubles, Ints

MOST_TURN = np.radians([30.0, 40.0, 32.0])  # nod, shake, tilt: beyond it one picture has nothing to show
MOST_SHIFT_CM = np.array([6.0, 5.0])
MOST_ZOOM = 0.2  # of the logarithm of the size
LAG = 0.4  # how much of its swing an ear lacks
FARTHEST_CM = 5.0  # the longest way of a point of the face: a jaw dropped as far as it goes
FADES_AT, GONE_AT = np.radians([38.0, 65.0])
"""A driver turned away: half of the landmarks are guesses, so expression fades."""
ODD_CM, NO_FACE_CM = 1.2, 2.2
"""How much a skull changes its shape, in the mean over `BONES`, before its landmarks are doubted, and not believed."""
SHUT = 0.07  # the gap at which lids touch, in eye widths: below it landmarks say nothing
BLINK_SHUT = 0.55  # the reading of eyeBlink at which an eye is shut
AJAR = 0.1  # an eye open less than this is shut: what is left is the landmarks' doubt
WIDEST = 1.35  # the most that an eye opens beyond the avatar's own
UPPER_SHARE = 0.85  # of a blink's way, how much the upper lid makes
GAZE_REACH = np.array([0.24, 0.13])  # how far an iris goes aside, and up or down, in eye widths
LIPS_MEET_CM = 0.10
PARTED_CM = 0.18  # closed lips that went this far apart show all that is between them
LIPS_PARTED_CM = 0.15  # lips further apart than this are not at rest


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Where an avatar's face is: `shape` (478, 3) in its own head's frame; the head turned by `turn` (3, 3, camera from
    head), its pivot moved by `shift` (2,) centimetres (y up) and all of it `zoom` times as large.

    `gaze`: (2,) how far the irises went in the head's frame, in eye widths, y up.
    """

    shape: Doubles
    turn: Doubles
    shift: Doubles
    zoom: float
    gaze: Doubles


def soft_limit(value: Doubles, most: Doubles | float) -> Doubles:
    """`value` bent so that it never passes ±`most`; the first half of the way is left nearly as it is."""
    ratio = value / most
    ratio = np.clip(ratio, -1e6, 1e6)
    return np.asarray(most * ratio / (1.0 + np.abs(ratio) ** 6) ** (1 / 6))


def freedom(shape: Doubles) -> Doubles:
    """(478, 1) 0..1: how freely each point may move on a head of this (478, 3) shape.

    The outline slides along the skull as a head turns, which is no expression; the chin goes with the jaw.
    """
    x, y = shape[:, 0], shape[:, 1]
    side = np.clip((np.abs(x) - 5.0) / 2.8, 0.0, 1.0)
    jaw = np.clip((-3.0 - y) / 4.0, 0.0, 1.0)
    top = np.clip((y - 5.8) / 2.2, 0.0, 1.0)
    # The tracker sees less of a raised brow on the avatar than it saw on the driver.
    brow = 0.15 * np.clip(1.0 - np.abs(y - 5.0) / 1.8, 0.0, 1.0)
    free = (1.0 + brow - 0.9 * side * (1.0 - 0.75 * jaw)) * (1.0 - 0.75 * top)
    return np.asarray(free[:, None])


def move(rest: Reading, driving: Reading, reference: Reading | None, how: Motion, free: Doubles) -> Moved:
    """Where the avatar whose picture reads `rest` goes. `free` is `freedom(rest.shape)`."""
    neutral = reference if reference is not None and how.relative else None
    strength = float(np.clip(how.strength, 0.0, 1.0))
    head = strength if how.region in ("all", "head") else 0.0
    face = strength if how.region != "head" else 0.0
    turn, shift, zoom = _head(rest, driving, neutral, head)
    zero = neutral if neutral is not None else reference if reference is not None else driving
    face *= _trust(driving, zero)
    if not face > 0:
        return Moved(rest.shape, turn, shift, zoom, np.zeros(2))
    shape = rest.shape.copy()
    _pull(shape, rest, driving, zero, face, free, how)
    gaze = np.zeros(2)
    eyes, lips = how.region in ("all", "expression", "eyes"), how.region in ("all", "expression", "lips")
    if eyes:
        gaze = gaze_of(driving, zero) * face
    shape = set_openings(shape, rest, driving, zero, face if eyes else 0.0, face if lips else 0.0)
    return Moved(shape, turn, shift, zoom, gaze)


def set_openings(
    shape: Doubles, rest: Reading, driving: Reading, zero: Reading, eyes: float = 1.0, lips: float = 1.0
) -> Doubles:
    """`shape` with lids and lips as far open as the driver's, in the avatar's own measure; 0 leaves them alone."""
    out = shape.copy()
    if eyes > 0:
        for number, eye in enumerate(EYES):
            set_lids(out, rest.shape, eye, _opening(driving, zero, eye, number), eyes)
    if lips > 0:
        set_lips(out, rest.shape, driving.shape, zero.shape, lips)
    return out


def _head(rest: Reading, driving: Reading, neutral: Reading | None, amount: float) -> tuple[Doubles, Doubles, float]:
    if not amount > 0:
        return rest.turn, np.zeros(2), 1.0
    own = rotation_vector(rest.turn)
    if neutral is None:
        wanted = rotation_vector(driving.turn)
        shift, zoom = np.zeros(2), 1.0
    else:
        wanted = own + rotation_vector(driving.turn @ neutral.turn.T)
        shift = soft_limit((driving.place - neutral.place) / neutral.scale, MOST_SHIFT_CM)
        zoom = float(np.exp(soft_limit(np.log([driving.scale / neutral.scale]), MOST_ZOOM)[0] * amount))
    # The limit is on how the avatar ends up; one that looks aside in its picture stays where it is at rest.
    most = np.maximum(MOST_TURN, np.abs(own) + 0.02)
    bent = soft_limit(soft_limit(wanted, most) - soft_limit(own, most), MOST_TURN)
    return turned(bent * amount) @ rest.turn, shift * amount, zoom


def _trust(driving: Reading, zero: Reading) -> float:
    """0..1: how far the driver's landmarks can be believed: less when turned away, not at all if they are no face."""
    away = float(np.arccos(np.clip(driving.turn[2, 2], -1.0, 1.0)))
    seen = (GONE_AT - away) / (GONE_AT - FADES_AT)
    odd = float(np.sqrt(((driving.shape[BONES] - zero.shape[BONES]) ** 2).sum(axis=1).mean()))
    alike = (NO_FACE_CM - odd) / (NO_FACE_CM - ODD_CM)
    return float(np.clip(min(seen, alike), 0.0, 1.0)) if np.isfinite(odd) else 0.0


def _pull(
    shape: Doubles, rest: Reading, driving: Reading, zero: Reading, face: float, free: Doubles, how: Motion
) -> None:
    """Every point by as much as the driver's went, the mouth in proportion to its width; in place."""
    went = (driving.shape - zero.shape) * free * face
    way = np.linalg.norm(went, axis=1, keepdims=True)
    went *= np.minimum(1.0, FARTHEST_CM / np.maximum(way, 1e-9))
    mouth = np.clip(_width(rest.shape, MOUTH_CORNERS) / max(_width(zero.shape, MOUTH_CORNERS), 1e-6), 0.7, 1.4)
    y = rest.shape[:, 1:2]
    below = np.clip((1.0 - y) / 3.0, 0.0, 1.0)  # 0 at the eyes, 1 at the mouth
    went[:, :1] *= 1.0 + (mouth - 1.0) * below * (1.0 - np.clip((-5.5 - y) / 3.0, 0.0, 1.0))
    if how.region == "lips":
        went *= below
    elif how.region == "eyes":
        went *= 1.0 - below
    shape += went


def _width(shape: Doubles, ends: Ints) -> float:
    return float(np.linalg.norm(shape[ends[1]] - shape[ends[0]]))


def eye_gap(shape: Doubles, eye: EyePoints) -> float:
    """The mean height of an eye's opening, in eye widths."""
    middle = slice(1, 6)
    gap = (shape[eye.upper[middle], 1] - shape[eye.lower[middle], 1]).mean()
    return float(gap / max(_width(shape, eye.corners), 1e-6))


def _opening(driving: Reading, zero: Reading, eye: EyePoints, number: int) -> float:
    """How far open the driver's eye is, as a share of the neutral: 0 shut, 1 as usual."""
    usual = max(eye_gap(zero.shape, eye) - SHUT, 0.08)
    by_lids = (eye_gap(driving.shape, eye) - SHUT) / usual
    calm = min(float(zero.blink[number]), 0.35)
    by_blink = (BLINK_SHUT - float(driving.blink[number])) / (BLINK_SHUT - calm)
    if by_lids > 1.0:
        return float(min(by_lids, WIDEST)) if by_blink > 0.7 else 1.0
    least, most = sorted((by_lids, min(by_blink, 1.0)))
    return float(np.clip((0.55 * least + 0.45 * most - AJAR) / (1.0 - AJAR), 0.0, 1.0))


def set_lids(shape: Doubles, rest: Doubles, eye: EyePoints, opening: float, face: float) -> None:
    """Set the eye's opening to its share of the avatar's own; skin above follows; in place."""
    own = rest[eye.upper, 1] - rest[eye.lower, 1]
    gap = own * (1.0 + (opening - 1.0) * face)
    # The corners and the frame of the eye as they came with the brows and cheeks; a third of it for the lids.
    base = rest[eye.lower, 1] + 0.35 * (shape[eye.lower, 1] - rest[eye.lower, 1])
    lower = base + (own - gap) * (1.0 - UPPER_SHARE)
    upper = lower + gap
    shape[eye.lower, 1] = lower
    change = upper - rest[eye.upper, 1]
    shape[eye.upper, 1] = upper
    # What closes the eye is in the skin's own way already, in the driver's measure: half of it counts by the lid, but
    # all of it further up, or a raised brow would be drawn out.
    for row, own_way, share in ((eye.crease, 0.45, 0.4), (eye.fold, 0.95, 0.05)):
        shape[row, 1] = rest[row, 1] + own_way * (shape[row, 1] - rest[row, 1]) + share * change
    # Along the face, lids only slide with their corners.
    for row in (eye.upper, eye.lower):
        shape[row, 0] = rest[row, 0] + 0.3 * (shape[row, 0] - rest[row, 0])
        shape[row, 2] = rest[row, 2] + 0.3 * (shape[row, 2] - rest[row, 2])


def gaze_of(driving: Reading, zero: Reading) -> Doubles:
    """How far the driver's irises went in the eyes, (2,) eye widths, y up; both eyes look at one thing."""
    went = np.zeros(2)
    for eye in EYES:
        middle = [reading.shape[eye.corners].mean(axis=0)[:2] for reading in (driving, zero)]
        width = max(_width(zero.shape, eye.corners), 1e-6)
        now, then = driving.shape[eye.iris, :2] - middle[0], zero.shape[eye.iris, :2] - middle[1]
        went += 0.5 * (now - then) / width
    return soft_limit(went, GAZE_REACH)


def set_lips(shape: Doubles, rest: Doubles, driving: Doubles, zero: Doubles, face: float) -> None:
    """Set the gaps between the inner lips; the red follows; in place."""
    # A neutral with lips apart is a mouth caught in speaking: where they meet is where the measure begins.
    usual = np.minimum(_gaps(zero), LIPS_PARTED_CM)
    more = soft_limit(_gaps(driving) - usual, FARTHEST_CM)
    # What is less than the landmarks' own noise is nothing.
    more = np.sign(more) * np.maximum(np.abs(more) - LIPS_MEET_CM * np.exp(-np.abs(more) / 0.4), 0.0)
    gap = np.maximum(_gaps(rest) + more * face, 0.0)
    change = gap - (shape[INNER_UPPER_LIP, 1] - shape[INNER_LOWER_LIP, 1])
    for inner, outer, share in (
        (INNER_UPPER_LIP, OUTER_UPPER_LIP, 0.3),
        (INNER_LOWER_LIP, OUTER_LOWER_LIP, -0.7),
    ):
        shape[inner, 1] += share * change
        shape[outer, 1] += 0.75 * share * change
    shape[CHIN, 1] -= 0.35 * float(change.mean())


def lips_parted(rest: Doubles, shape: Doubles) -> float:
    """0..1: whether lips that are closed at rest are still, or show what is between them."""
    return float(np.clip((_gaps(shape) - _gaps(rest)).max() / PARTED_CM, 0.0, 1.0))


def _gaps(shape: Doubles) -> Doubles:
    return np.asarray(shape[INNER_UPPER_LIP, 1] - shape[INNER_LOWER_LIP, 1])


def levers(shape: Doubles) -> Doubles:
    """(n, 3) the points as far from the pivot as they are to swing: ears and the jaw's corners less than they would.

    One picture has nothing of a head behind its ears, and what swings all the way uncovers it. Nothing else may lag: a
    temple that does draws brows and spectacles out with every nod.
    """
    out = shape.copy()
    across = np.abs(shape[:, 0])
    outward = np.hypot(across / 7.7, (shape[:, 1] + 0.5) / 9.0)
    jaw = np.clip((outward - 0.7) / 0.3, 0.0, 1.0) * np.clip((across - 1.5) / 3.0, 0.0, 1.0)
    jaw *= np.clip((-1.5 - shape[:, 1]) / 3.0, 0.0, 1.0)
    side = np.maximum(np.clip((across - 5.6) / 2.4, 0.0, 1.0), 0.5 * jaw)
    out[:, 2] += LAG * side * np.minimum(PIVOT[2] - shape[:, 2], 0.0)
    return out


def placed(shape: Doubles, rest: Reading, moved: Moved) -> Doubles:
    """Points of the head's frame, (n, 3), in the avatar's picture: (n, 3) pixels, y up, z to the viewer."""
    way = np.append(rest.place + moved.shift * rest.scale, 0.0)
    return np.asarray(way + (rest.scale * moved.zoom) * ((shape - PIVOT) @ moved.turn.T))


def still(rest: Reading) -> Moved:
    """An avatar as in its picture."""
    return Moved(rest.shape, rest.turn, np.zeros(2), 1.0, np.zeros(2))

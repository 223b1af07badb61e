"""Idle motion of a still avatar: blinks, breathing, sway and small gaze shifts, as a function of time.

Nothing is kept between two moments: the same second of the same seed is always the same pose, whatever came before.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from realtime.errors import MasqueradeError
from realtime.families.motion.canvas import Canvas, product
from realtime.families.motion.mesh.head import (
    EYES,
    INNER_LIPS,
    OUTER_LIPS,
    OVAL,
    EyePoints,
    Head,
    Reading,
    open_head,
    turned,
)
from realtime.families.motion.mesh.model import MESH_FILE, geometry
from realtime.families.motion.mesh.motion import AJAR, BLINK_SHUT, SHUT, move
from realtime.families.motion.mesh.source import MeshSource, make_source
from realtime.families.motion.motion_model import DrawnCrop, Motion
from realtime.frame import Doubles, Pixels
from realtime.imaging.affine import Matrix, invert
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.models.library import load_bundle

EVERY_S = 4.0
"""One blink falls into each such stretch, 15 a minute: at rest people make 17, talking 26 (Bentivoglio 1997)."""
_SPREAD_S = 2.0  # where in its stretch a blink may begin: two are 2 to 6 s apart
SHORTEST_S, LONGEST_S = 0.160, 0.240
"""A spontaneous blink (Schiffman 1990: 100 to 400 ms; most of what is seen as one lasts about 200)."""
_CLOSING, _SHUT = 0.36, 0.12
"""Of a blink: lids fall in about half the time in which they rise (Evinger 1991), and touch for one picture."""
BREATH_HZ = 0.24  # 14 breaths a minute
BREATH_CM, BREATH_ZOOM, BREATH_NOD = 0.10, 0.002, math.radians(0.35)
"""How far a breath lifts the head, brings it nearer, and lifts the chin: the whole way from out to in."""
SWAY = np.radians([0.45, 0.65, 0.40])  # nod, shake, tilt: root mean square; peaks are three times as much
SWAY_CM = np.array([0.10, 0.04])
_SLOWEST_HZ, _FASTEST_HZ, _WAVES = 0.035, 0.9, 14
_GAZE_EVERY_S = 1.7
_GAZE = np.array([0.025, 0.010])
"""Small shifts of gaze, in eye widths: a millimetre. The eyes stay on the listener."""
_SACCADE_S = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class IdlePose:
    """One moment: `shut` 0 (lids as in the picture) .. 1; the head turned by `turn` (3,) radians (nod, shake, tilt)
    and moved by `shift` (2,) centimetres, y up, `zoom` times as large; irises moved by `gaze` (2,) eye widths, y up.
    """

    shut: float
    turn: Doubles
    shift: Doubles
    zoom: float
    gaze: Doubles


class IdleLife:
    """The idle poses of one person; `seed` makes one differ from another."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        rng = np.random.default_rng(seed)
        # Waves of rising frequency, each weaker by the root of how much faster it is: 1/f² noise, as bodies sway.
        steps = np.linspace(0.0, 1.0, _WAVES)
        hz = _SLOWEST_HZ * (_FASTEST_HZ / _SLOWEST_HZ) ** steps
        self._hz = hz * rng.uniform(0.93, 1.07, (5, _WAVES))
        self._phase = rng.uniform(0.0, 2 * np.pi, (5, _WAVES))
        weight = hz**-0.5
        self._weight = weight * math.sqrt(2.0 / float((weight**2).sum()))  # each channel's mean square is 1

    def __call__(self, at_s: float) -> IdlePose:
        """The pose at that second; any second, in any order."""
        sway = (self._weight * np.sin(2 * np.pi * self._hz * at_s + self._phase)).sum(axis=1)
        breath = self._breath(at_s)
        turn = SWAY * sway[:3]
        turn[0] -= BREATH_NOD * (breath - 0.5)
        shift = SWAY_CM * sway[3:]
        shift[1] += BREATH_CM * (breath - 0.5)
        return IdlePose(self._shut(at_s), turn, shift, 1.0 + BREATH_ZOOM * (breath - 0.5), self._gaze(at_s))

    def blink(self, stretch: int) -> tuple[float, float]:
        """(when it begins, how long it lasts) of the blink in the stretch of that number, in seconds."""
        first, second = self._chance("blink", stretch, 2)
        return EVERY_S * stretch + _SPREAD_S * first, SHORTEST_S + (LONGEST_S - SHORTEST_S) * second

    def _shut(self, at_s: float) -> float:
        begins_s, lasts_s = self.blink(math.floor(at_s / EVERY_S))
        share = (at_s - begins_s) / lasts_s
        if share < _CLOSING:
            return _smooth(share / _CLOSING)
        return 1.0 - _smooth((share - _CLOSING - _SHUT) / (1.0 - _CLOSING - _SHUT))

    def _breath(self, at_s: float) -> float:
        """0 (out) .. 1 (in): in takes less time than out, and a rest follows."""
        share = (at_s * BREATH_HZ) % 1.0
        return _smooth(share / 0.4) if share < 0.4 else 1.0 - _smooth((share - 0.4) / 0.5)

    def _gaze(self, at_s: float) -> Doubles:
        stretch = math.floor(at_s / _GAZE_EVERY_S)
        when, *to = self._chance("gaze", stretch, 3)
        _, *before = self._chance("gaze", stretch - 1, 3)
        share = _smooth((at_s - _GAZE_EVERY_S * (stretch + 0.8 * when)) / _SACCADE_S)
        return np.asarray(_GAZE * (2 * (np.array(before) + share * np.subtract(to, before)) - 1))

    def _chance(self, what: str, stretch: int, count: int) -> list[float]:
        """Numbers of 0..1 that belong to one stretch of time."""
        salt = len(what)
        chance: list[float] = np.random.default_rng((self._seed, salt, stretch % 2**32)).random(count).tolist()
        return chance


def _smooth(share: float) -> float:
    """0 before 0, 1 after 1, without a corner between."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


log = logging.getLogger(__name__)
MODEL = "motion"  # the bundle whose mesh it is
_FADES_BELOW = 0.2
_LEAST_OPENING = 0.10  # of an eye's width: eyes that are as good as shut in the picture, or laughing, do not blink
_LOWER = np.concatenate([OUTER_LIPS, INNER_LIPS, OVAL[(OVAL != 10)]])


class IdleStill:
    """Animates one avatar on its canvas. Nothing to close. Raises ConfigError for a face it cannot take.

    `canvas` is placed for it: its `still` is what is shown where nothing moves.
    """

    def __init__(self, head: Head, avatar: Avatar, canvas: Canvas, life: IdleLife) -> None:
        assert avatar.face is not None
        self._canvas, self._life = canvas, life
        self._source = make_source(head, canvas.picture, avatar.face)
        canvas.place(self._source.crop_from_avatar, self._source.size)
        self._jaw = np.column_stack([self._source.flat[_LOWER], np.ones(len(_LOWER))])

    def __call__(self, at_s: float, strength: float) -> tuple[Pixels, Matrix]:
        """(the whole picture at that second, a new array; where its lower face went).

        The second is (2, 3): from the still canvas to this one. `strength` 0..1: how much of it, for beginning and
        ending; at 0 it is the still itself.
        """
        if not strength > 0:
            return self._canvas.still.copy(), np.eye(2, 3)
        source = self._source
        driving = driven(source.rest, self._life(at_s))
        moved = move(source.rest, driving, source.rest, Motion(strength=strength), source.free)
        points = source.points(moved)
        picture = self._canvas.show(DrawnCrop(geometry(source, points, moved), source.mask), strength / _FADES_BELOW)
        return picture, self._jaw_motion(source, points)

    def _jaw_motion(self, source: MeshSource, points: Doubles) -> Matrix:
        """The affine map of least squares that takes jaw and lips where they are now, in the canvas."""
        in_crop = np.linalg.lstsq(self._jaw, points[_LOWER, :2], rcond=None)[0].T
        canvas_from_crop = self._canvas.canvas_from_crop
        return product(product(canvas_from_crop, in_crop), invert(canvas_from_crop))


def driven(rest: Reading, pose: IdlePose) -> Reading:
    """The driving state of a person who looks like the avatar and is in that pose."""
    shape = rest.shape.copy()
    blink = rest.blink.copy()
    for number, eye in enumerate(EYES):
        width = float(np.linalg.norm(rest.shape[eye.corners[1]] - rest.shape[eye.corners[0]]))
        for row in (np.array([eye.iris]), eye.rim):
            shape[row, :2] += pose.gaze * width
        if not _opening(rest.shape, eye, width) > _LEAST_OPENING:
            continue
        # `mesh.motion` reads an eye's openness off lids and blendshape, each with its own zero.
        share = AJAR + (1.0 - AJAR) * (1.0 - pose.shut)
        gap = _opening(rest.shape, eye, width)
        wanted = SHUT + share * (gap - SHUT) if pose.shut > 0 else gap
        shape[eye.upper, 1] += (wanted / gap - 1.0) * (rest.shape[eye.upper, 1] - rest.shape[eye.lower, 1])
        calm = min(float(rest.blink[number]), 0.35)
        blink[number] = BLINK_SHUT - share * (BLINK_SHUT - calm)
    return replace(
        rest,
        shape=shape,
        turn=turned(pose.turn) @ rest.turn,
        place=rest.place + pose.shift * rest.scale,
        scale=rest.scale * pose.zoom,
        blink=blink,
    )


def _opening(shape: Doubles, eye: EyePoints, width: float) -> float:
    """The mean height of an eye's opening where `mesh.motion` measures it, in its width."""
    middle = slice(1, 6)
    return float((shape[eye.upper[middle], 1] - shape[eye.lower[middle], 1]).mean()) / max(width, 1e-6)


def find_mesh_head(load: Callable[[str], Bundle] = load_bundle) -> Head | None:
    """The mesh of the built-in motion model; None, and that said once, where it is not there."""
    try:
        return open_head(load(MODEL).path(MESH_FILE))
    except MasqueradeError as error:
        log.warning("%s; a picture that speaks will not blink or move its head", error)
        return None


def bring_to_life(head: Head | None, avatars: Mapping[str, tuple[Avatar, Canvas]]) -> dict[str, IdleStill]:
    """Those of the avatars that can be moved, by name; what keeps one still is a warning."""
    alive = {}
    for name, (avatar, canvas) in avatars.items():
        if head is None or avatar.face is None:
            continue
        try:
            alive[name] = IdleStill(head, avatar, canvas, IdleLife())
        except MasqueradeError as error:
            log.warning("avatar %s stays still: %s", name, error)
    return alive

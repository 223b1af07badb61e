"""The effect `figure`: a drawn or jointed figure moves as the driver's body and face do.

What leaves is drawn from the figure's own pictures over its own background; the driver's frame is only looked at.
Without a body and a face the figure rests: it breathes, sways and blinks. A voice, where there is one, moves its mouth.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from realtime.audio.delay_line import Speech, speech_time_ns
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.effect import Kept
from realtime.families.figure.drawing import Figure, Joints, Place
from realtime.families.figure.expression import Expression, read_expression
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import LIMBS, SIDES, FigurePose, Retarget, Side, at_rest, pose_of
from realtime.families.figure.voice import VoiceMouth
from realtime.families.lip_sync.idle import IdleLife
from realtime.families.motion.canvas import read_background
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.skeleton import JOINTS, Moment
from realtime.tracking.body import Body, BodyTracker, moved_on
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

log = logging.getLogger(__name__)

BODY_EVERY = 2  # frames: the body is read from every second one, the face from each
AHEAD = 0.8  # of its motion since the reading before: where a body is between two readings
LONGEST_STEP_S = 0.25
ZOOM_S = 1.8  # from the whole figure to its upper half, and back
WHOLE_HEIGHT, FLOOR_AT = 0.89, 0.965  # of the frame: a whole figure's canvas, and where it stands
BUST_HEIGHT, BUST_TOP = 0.90, 0.08  # of the frame: from the figure's top to its hips, and where its top is
WIDEST_MOVE = 0.34  # of the figure's canvas that stays in the picture as it walks aside
MOST_RISE = 0.06  # of the frame's height: a figure from the waist up follows so far up and down
EASE_S = 0.25  # between driven and at rest
AT_EASE = Expression(smile=0.3)
LIFTS, RAISES = np.radians(3.0), 0.35  # the head of a figure that only a voice drives, and its brows, at its loudest
STARTS_AFTER = 15  # frames over which the level of the driver's head is learnt
_WALL = (np.array([236.0, 224.0, 208.0]), np.array([196.0, 206.0, 224.0]))  # BGR, from above to below
_GROUND = np.array([150.0, 168.0, 190.0])


@dataclass(slots=True, eq=False)
class _Drawn:
    """A figure in both sizes, for frames of one size."""

    whole: Figure
    bust: Figure


class FigureEffect:
    """An `Effect` that draws figures. Owns `bodies`, the body tracker, and closes it.

    `bodies` None: nobody is in the frames. `speech`: the voice that moves the mouth; None: the driver's face does.
    `pose` and `expression` are what the figure was asked for last, `drawn` where its joints are, `pushed` how far each
    arm keeps clear of the head.
    """

    keeps: Kept = "nothing"

    def __init__(self, avatars: Sequence[Avatar], bodies: BodyTracker | None, speech: Speech | None = None) -> None:
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._first = self._active = avatars[0]
        self._bodies, self._speech = bodies, speech
        self.sessions = bodies.sessions if bodies is not None else ()
        self.resting = True
        self.motion: Moment | None = None
        self.pose, self.expression = at_rest(), AT_EASE
        self.drawn: Joints = {}
        self.pushed: Mapping[Side, float] = {"l": 0.0, "r": 0.0}
        self._ready: tuple[tuple[int, int], str] | None = None
        self._drawn: dict[str, _Drawn] = {}
        self._idle = IdleLife()
        self._start()

    def _start(self) -> None:
        """Forget the driver."""
        self._retarget, self._voice = Retarget(), VoiceMouth()
        self._body: Body | None = None
        self._readings: list[tuple[float, Body]] = []  # the last two, and when
        self._frames, self._driven = 0, 0.0
        self._last_s: float | None = None
        self._level: list[float] = []
        self._face = (Expression(), 0.0, 0.0, 0.0)
        self._near: float | None = None
        self._reference: int | None = None

    @property
    def title(self) -> str:
        """The figure's display name."""
        return self._active.title

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Load the figure that is asked for in the frame's sizes. Raises MasqueradeError."""
        self._active = self._avatars.get(settings.avatar, self._active) if settings.avatar else self._first
        if self._ready != (size, settings.background):
            try:
                background = read_background(settings.background)
            except MasqueradeError as error:
                if self._ready is None or self._ready[0] != size:
                    raise
                log.warning("%s; the background stays as it is", error)
            else:
                self._behind = background(size) if background else room(size)
            if self._ready is None or self._ready[0] != size:
                self._painter, self._drawn = Painter(size), {}
            self._ready = (size, settings.background)
        if self._active.name not in self._drawn:
            self._drawn[self._active.name] = _load(self._active, size)

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The figure's picture of one frame, a new array; never anything of the frame itself."""
        self.prepare(frame.size, settings)
        step_s = 0.0 if self._last_s is None else frame.time_s - self._last_s
        if step_s < 0:
            self._start()
        self._last_s = frame.time_s
        step_s = min(max(step_s, 0.0), LONGEST_STEP_S)
        face = faces[0] if faces else None
        if frame.motion is not None:
            pose, expression = self._played_pose(frame)
            blendshapes = frame.motion.blendshapes
        else:
            self._look(frame, settings)
            pose, expression = self._driven_pose(face, step_s, frame, settings)
            blendshapes = None if face is None else face.blendshapes
        self._frames += 1
        speaks = False
        if self._speech is not None:
            spoken = self._speech(speech_time_ns(frame, self._speech))
            expression, speaks = self._voice(expression, spoken, step_s), spoken.speech > 0
        self.pose, self.expression = pose, expression
        driven = self._body is not None or face is not None or frame.motion is not None
        self.resting = self._bodies is not None and not driven and not speaks
        timer.lap("align")
        out = self._behind.copy()
        figure, place = self._view(pose, frame.size, step_s)
        at = figure.draw(out, self._painter, pose, expression, place, step_s)
        self.motion = Moment(_recorded(at, pose), blendshapes, pose.whole)
        self.drawn, self.pushed = at, figure.pushed
        timer.lap("swap")
        return out

    def _look(self, frame: Frame, settings: Settings) -> None:
        """Read the body from every second frame; in between it moves on as it did."""
        if self._bodies is None:
            return
        if self._frames % BODY_EVERY == 0:
            self._bodies.steadiness = settings.steadiness
            found = self._bodies(frame)
            self._body = found[0] if found else None
            self._readings = [] if self._body is None else [*self._readings[-1:], (frame.time_s, self._body)]
        elif len(self._readings) == 2:
            (first_s, before), (last_s, now) = self._readings
            if before.track == now.track and last_s > first_s:
                self._body = moved_on(before, now, AHEAD * min((frame.time_s - last_s) / (last_s - first_s), 1.0))

    def _played_pose(self, frame: Frame) -> tuple[FigurePose, Expression]:
        """The pose and the face of recorded motion; without a face it blinks."""
        assert frame.motion is not None
        face = frame.motion.blendshapes
        if face is not None:
            return pose_of(frame.motion, frame.size), read_expression(face)
        return pose_of(frame.motion, frame.size), AT_EASE.blinking(self._idle(frame.time_s).shut)

    def _driven_pose(
        self, face: Face | None, step_s: float, frame: Frame, settings: Settings
    ) -> tuple[FigurePose, Expression]:
        """The pose and the face of this moment; what nobody drives glides to rest."""
        pose = self._retarget(self._body, step_s, frame.size)
        if self._body is None and pose.place is None and (face is not None or self._bodies is None):
            pose = at_rest(whole=False)
        if face is not None:
            self._face = (read_expression(face.blendshapes), *self._head(face, settings))
        wanted = 1.0 if face is not None else 0.0
        self._driven += (wanted - self._driven) * min(step_s / EASE_S, 1.0) if self._frames > 1 else wanted
        expression, yaw, pitch, roll = self._face
        idle = self._idle(frame.time_s)
        nod, shake, tilt = (float(v) for v in idle.turn)
        nod -= LIFTS * self._voice.loud
        share = self._driven
        at_ease = replace(AT_EASE.blinking(idle.shut), brows=(RAISES * self._voice.loud,) * 2)
        mixed = expression if share > 0.99 else _between(at_ease, expression, share)
        rest = 1.0 - share
        pose = replace(
            pose,
            yaw=share * yaw + rest * (shake + (pose.yaw if self._body is not None else 0.0)),
            pitch=share * pitch + rest * (nod + (pose.pitch if self._body is not None else 0.0)),
            roll=share * roll + rest * (tilt + (pose.roll if self._body is not None else 0.0)),
        )
        return pose, mixed

    def _head(self, face: Face, settings: Settings) -> tuple[float, float, float]:
        """Yaw, pitch and roll of the driver's head in the picture's directions; their usual pitch is level."""
        pitch, yaw, roll = (float(v) for v in head_angles(face.pose))
        if self._reference is not None and settings.reference != self._reference:
            self._level = []
        self._reference = settings.reference
        if len(self._level) < STARTS_AFTER:
            self._level.append(pitch)
        return yaw, pitch - float(np.mean(self._level)), -roll

    def _view(self, pose: FigurePose, size: tuple[int, int], step_s: float) -> tuple[Figure, Place]:
        """The figure in the size that is to be drawn, and where: another view is come to by a zoom."""
        drawn, wanted = self._drawn[self._active.name], 0.0 if pose.whole else 1.0
        before = wanted if self._near is None else self._near
        self._near = before + float(np.clip(wanted - before, -step_s / ZOOM_S, step_s / ZOOM_S))
        if self._near == 0.0:
            return drawn.whole, Place(self._offset(drawn.whole, pose, size, whole=True))
        near = self._near**2 * (3 - 2 * self._near)
        ends = [self._offset(figure, pose, size, whole=figure is drawn.whole) for figure in (drawn.whole, drawn.bust)]
        zoom = (1 - near) * drawn.whole.scale / drawn.bust.scale + near
        return drawn.bust, Place((1 - near) * ends[0] + near * ends[1], zoom, 1 - near)

    def _offset(self, figure: Figure, pose: FigurePose, size: tuple[int, int], *, whole: bool) -> Doubles:
        """Where the figure's canvas lies in the frame: it moves with the driver, slowing down near the edges."""
        width, height = size
        room = np.array([max(width / 2 - WIDEST_MOVE * figure.rig.size[0] * figure.scale, 1.0), MOST_RISE * height])
        move = np.zeros(2) if pose.place is None else pose.place * figure.torso
        if whole:
            move[1] = 0.0
        elif pose.place is not None:
            move[1] -= 0.35 * figure.torso  # shoulders below the middle are where they belong
        move = room * np.tanh(move / room)
        if whole:
            x, y = figure.joints["hips"][0], figure.rig.floor * figure.scale
            return np.array([width / 2 - x + move[0], FLOOR_AT * height - y])
        x, y = figure.joints["neck"][0], figure.rig.top * figure.scale
        return np.array([width / 2 - x + move[0], BUST_TOP * height - y + move[1]])

    def close(self) -> None:
        """Close the body tracker's networks. May be called twice."""
        if self._bodies is not None:
            self._bodies.close()


def room(size: tuple[int, int]) -> Pixels:
    """A plain wall and floor: what is behind a figure that brings no background."""
    width, height = size
    down = (np.arange(height) / height)[:, None]
    wall = _WALL[0] * (1 - down) + _WALL[1] * down
    floor = np.clip((np.arange(height) - 0.90 * height) / max(0.006 * height, 1), 0, 1)[:, None]
    rows = wall * (1 - floor) + _GROUND * floor
    return np.ascontiguousarray(np.broadcast_to(np.rint(rows).astype(np.uint8)[:, None], (height, width, 3)))


def _recorded(at: Joints, pose: FigurePose) -> Floats:
    """(19, 2) float32: where the joints are, NaN at the end of bones that nobody drives."""
    joints = np.array([at[name] for name in JOINTS], np.float32)
    for side in SIDES:
        for start, end in (pair for limb in LIMBS.values() for pair in pairwise(limb)):
            if pose.bones[f"{side}_{start}"].resting:
                joints[JOINTS.index(f"{side}_{end}")] = np.nan
    return joints


def _load(avatar: Avatar, size: tuple[int, int]) -> _Drawn:
    assert avatar.figure is not None
    rig, folder = avatar.figure.rig, avatar.figure.folder
    fit = size[1] * WHOLE_HEIGHT / rig.size[1]
    tall = max(rig.joints["hips"][1] - rig.top, 1.0)
    whole = Figure(rig, folder, fit)
    return _Drawn(whole, Figure(rig, folder, size[1] * BUST_HEIGHT / tall, whole.state))


def _between(a: Expression, b: Expression, share: float) -> Expression:
    """An expression between two."""

    def mixed(x: Any, y: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(mixed(p, q) for p, q in zip(x, y, strict=True))
        return x + (y - x) * share

    return Expression(**{name: mixed(getattr(a, name), getattr(b, name)) for name in Expression.__slots__})


def open_figures(
    bundle: Bundle,
    avatars: Sequence[Avatar] = (),
    *,
    speech: Speech | None = None,
    filmed: bool = True,
    **options: Any,
) -> FigureEffect:
    """The figures, ready, with the bundle's body tracker if somebody is filmed. Raises ModelError or ConfigError."""
    if not avatars or any(avatar.figure is None for avatar in avatars):
        raise ConfigError("a figure is needed here: choose one with --avatar (masquerade avatars lists them)")
    bodies = BodyTracker(bundle.folder, provider=options.get("provider", "auto")) if filmed else None
    return FigureEffect(avatars, bodies, speech)

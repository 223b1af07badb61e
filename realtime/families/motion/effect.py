"""The `motion` family as a character: an avatar's picture moves as the driver does.

What leaves is made of the avatar alone; the driver's frame is only looked at. Somebody who leaves, turns away or
covers their face lets the avatar glide back to how it is in its picture, and there it stays, calm.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Generic

from realtime.clock import NS_PER_S, StageTimer
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.motion.canvas import Background, Canvas
from realtime.families.motion.motion_model import CastOf, Drawn, DrivingOf, Motion, MotionModel
from realtime.families.motion.reference_pose import GLIDE_S, ReferencePose
from realtime.frame import Frame, Pixels
from realtime.imaging.blend import sharpen
from realtime.models.avatar import Avatar
from realtime.settings import Settings
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

RISE_S, REST_S = 0.3, 0.7
"""From rest to fully driven, and back."""

GRACE_S = 0.15
"""A driver lost for so short a time (a blink of the tracker) is still there; motion stands still meanwhile."""

LONGEST_STEP_S = 0.25
"""A longer gap between two frames counts as this one: nothing may jump."""

MOST_YAW_DEG, MOST_PITCH_DEG = 55.0, 45.0
"""Beyond, too little of a face is seen to be read, and no picture of it can be drawn from one still."""

SLACK_DEG = 8.0
"""A head that has turned away must come back by so much."""

LEAST_SCORE = 0.7
"""Of the landmark network: below, there is hardly a face."""

SURE, DOUBT, SUDDEN = 16.0, 8.5, 6.0
"""Of the same as log-odds. Filmed and rendered faces have 16 and more, in bad light too; one just covered by a hand
falls to 4 to 8, and what its landmarks say is made up. So: below DOUBT, and SUDDEN less than the person usually has.
"""

USUAL_S = 12.0
"""The time constant of what is usual: somebody hard to see for some seconds on end is readable after all."""


class Presence:
    """The strength of motion, 0..1, from frame to frame."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._away_s = 0.0
        self._level = 0.0

    def leave(self) -> None:
        """Somebody else is there from now on: motion begins at rest."""
        self._level = 0.0

    def __call__(self, readable: bool, now_s: float) -> float:
        """The strength now, smooth in time; `readable` says whether this frame shows what the driver does."""
        step_s = 0.0 if self._last_s is None else min(max(now_s - self._last_s, 0.0), LONGEST_STEP_S)
        first, self._last_s = self._last_s is None, now_s
        if readable:
            self._away_s = 0.0
            # Who is there from the first frame on need not wake up.
            self._level = 1.0 if first else min(1.0, self._level + step_s / RISE_S)
        else:
            self._away_s += step_s
            if self._away_s > GRACE_S:
                self._level = max(0.0, self._level - step_s / REST_S)
        level = self._level
        return level * level * (3.0 - 2.0 * level)


class Sight:
    """Whether faces can be read: seen from not too far to the side, and not covered."""

    def __init__(self) -> None:
        self._usual: float | None = None
        self._last_s = 0.0
        self._readable = False

    def __call__(self, face: Face, now_s: float) -> bool:
        """True for a face that can be read; once it is, it may turn a little further."""
        odds = math.log(max(face.score, 1e-9)) - math.log(max(1.0 - face.score, 1e-9))
        usual = min(odds, SURE) if self._usual is None else self._usual
        doubtful = odds < min(DOUBT, usual - SUDDEN)
        step_s, self._last_s = now_s - self._last_s, now_s
        share = 1.0 - math.exp(-min(max(step_s, 0.0), LONGEST_STEP_S) / USUAL_S)
        self._usual = usual + share * (min(odds, SURE) - usual)
        pitch, yaw, _ = (abs(math.degrees(angle)) for angle in head_angles(face.pose).tolist())
        slack = 0.0 if self._readable else SLACK_DEG
        turned = yaw > MOST_YAW_DEG - slack or pitch > MOST_PITCH_DEG - slack
        self._readable = face.score >= LEAST_SCORE and not doubtful and not turned
        return self._readable


log = logging.getLogger(__name__)

GLIDE_BY_HAND_S = 0.3
"""How long a neutral pose taken by hand takes to come into force."""

FADES_BELOW = 0.2
"""The strength of motion below which the drawn crop itself fades: at rest the avatar is its picture, to the bit."""

_NO_TRACK = -1


class ReenactmentEffect(Generic[CastOf, DrivingOf]):
    """A `Effect` made of a puppet and avatars. Owns `puppet` and closes it.

    All avatars are encoded in `prepare`, so that changing them costs nothing. `background` reads what
    `Settings.background` names. Raises ConfigError without an avatar.
    """

    def __init__(
        self,
        puppet: MotionModel[CastOf, DrivingOf],
        avatars: Sequence[Avatar],
        *,
        background: Callable[[str], Background | None],
    ) -> None:
        if not avatars:
            raise ConfigError("a motion model needs a picture to move: give one with --avatar (masquerade avatars)")
        self._puppet = puppet
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._first = self._worn = avatars[0]
        self._read_background = background
        self._ready_for: tuple[tuple[int, int], str] | None = None
        self._refused: str | None = None
        self._stages: dict[str, Canvas] = {}
        self._casts: dict[str, CastOf] = {}
        self._presence, self._sight = Presence(), Sight()
        self._driving: DrivingOf | None = None
        self._shown = False
        self._forget(_NO_TRACK)
        self._by_hand: int | None = None
        self._title = self._worn.title
        self.resting = False

    def _forget(self, track: int) -> None:
        """Another driver: what was neutral for the one before is not for this one."""
        self._track = track
        self._search: ReferencePose[DrivingOf] = ReferencePose()
        self._from: DrivingOf | None = None
        self._to: DrivingOf | None = None
        self._glide_started_s, self._glide_s = 0.0, GLIDE_S

    @property
    def title(self) -> str:
        """The avatar's name as people read it."""
        return self._title

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        return self._puppet.ran_on

    @property
    def precision(self) -> str:
        """What the arithmetic really was."""
        return self._puppet.precision

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the networks since they were loaded."""
        return self._puppet.spent_ns

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Set every avatar on a stage of (width, height) and encode it. Raises MasqueradeError.

        A background that cannot be read is refused at the start; later the one before stays.
        """
        wanted = (size, settings.background)
        if self._ready_for is not None and self._refused == settings.background and self._ready_for[0] == size:
            return
        if self._ready_for == wanted:
            return
        try:
            background = self._read_background(settings.background)
        except MasqueradeError as error:
            if self._ready_for is None:
                raise
            log.warning("%s; the background stays as it is", error)
            self._refused = settings.background
            return
        stages, casts = {}, {}
        for name, avatar in self._avatars.items():
            stages[name] = Canvas(avatar, size, background)
            # Only what is seen through transparency changes what is to be encoded.
            same = name in self._casts and avatar.alpha is None
            casts[name] = self._casts[name] if same else self._puppet.cast(stages[name].picture, avatar.face)
            stages[name].place(casts[name].crop_from_avatar, casts[name].size)
        opaque = [name for name, avatar in self._avatars.items() if avatar.alpha is None]
        if opaque and settings.background != "kept":
            log.warning("avatar %s has no transparency: the background is set beside its picture only", opaque[0])
        self._stages, self._casts, self._ready_for, self._refused = stages, casts, wanted, None

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The avatar's whole picture as the driver has it move, of the frame's size.

        None before there is a neutral pose, and without a driver unless `on_miss` is `hold`.
        """
        # An avatar that is still loading is not among them yet: the present one stays until then.
        self._worn = self._avatars.get(settings.avatar, self._worn) if settings.avatar else self._first
        self._title, self.resting = self._worn.title, False
        self.prepare(frame.size, settings)
        now_s = frame.captured_ns / NS_PER_S if frame.media_s is None else frame.media_s
        # A model of other things looks at the whole picture, whoever comes and goes in it.
        face = faces[0] if faces and self._puppet.needs_face else None
        driving = self._perceive(frame, face, settings, now_s)
        timer.lap("align")
        if driving is None and settings.on_miss != "hold":
            self._presence(False, now_s)
            return None
        if driving is not None:
            self._driving = driving
            self._seek(frame, face, driving, settings, now_s)
        relative = settings.movement == "relative"
        usable = self._driving is not None and not (relative and self._to is None)
        strength = self._presence(driving is not None and usable, now_s)
        if not usable and not self._shown:
            return None
        self._shown = True
        self.resting = (driving is None and strength < 1) or not usable
        stage, cast = self._stages[self._worn.name], self._casts[self._worn.name]
        if self._driving is None or not usable or strength <= 0:
            return stage.still.copy()
        how = Motion(relative, settings.adapt_scale, settings.region, strength)
        drawn = self._puppet.draw(cast, self._driving, self._reference(now_s), how)
        timer.lap("swap")
        sharp = _sharper(drawn, stage.enlarged, settings.sharpen)
        picture = stage.show(sharp, strength / FADES_BELOW)
        timer.lap("blend")
        return picture

    def _perceive(self, frame: Frame, face: Face | None, settings: Settings, now_s: float) -> DrivingOf | None:
        if self._puppet.needs_face and (face is None or not self._sight(face, now_s)):
            return None
        return self._puppet.perceive(frame, face, settings.steadiness)

    def _seek(self, frame: Frame, face: Face | None, driving: DrivingOf, settings: Settings, now_s: float) -> None:
        """Look whether this pose is to be the neutral one."""
        track = face.track if face is not None else _NO_TRACK
        if track != self._track:
            if self._track != _NO_TRACK:
                self._presence.leave()
            self._forget(track)
        asked, self._by_hand = self._by_hand not in (None, settings.reference), settings.reference
        if asked:
            self._glide_to(self._search.by_hand(driving), GLIDE_BY_HAND_S, now_s)
        elif face is not None:
            found = self._search.see(driving, face, frame.pixels, now_s)
            if found is not None:
                self._glide_to(found, self._search.glide_s, now_s)
        elif self._to is None:
            # A model of other things: as upstream, the first frame is the neutral one.
            self._glide_to(driving, GLIDE_S, now_s)

    def _glide_to(self, reference: DrivingOf, glide_s: float, now_s: float) -> None:
        now = self._reference(now_s)
        self._from, self._to = reference if now is None else now, reference
        self._glide_started_s, self._glide_s = now_s, glide_s

    def _reference(self, now_s: float) -> DrivingOf | None:
        """The neutral pose of this moment: on the way from the one before to the one chosen."""
        if self._to is None or self._from is None:
            return None
        share = (now_s - self._glide_started_s) / self._glide_s
        if not 0 <= share < 1 or self._from is self._to:
            self._from = self._to
            return self._to
        return self._puppet.between(self._from, self._to, share * share * (3 - 2 * share))

    def close(self) -> None:
        """Give the networks back. May be called twice."""
        self._puppet.close()


def _sharper(drawn: Drawn, enlarged: float, percent: int) -> Drawn:
    """The crop with its fine detail raised, where it will be enlarged: the still around it is sharp."""
    amount = round(percent * min(max(enlarged - 1.0, 0.0), 1.0))
    return Drawn(sharpen(drawn.pixels, amount, drawn.pixels.shape[0]), drawn.mask) if amount else drawn

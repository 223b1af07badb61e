"""Reenactment: an avatar's picture moves as the driver does.

What leaves is made of the avatar alone; the driver's frame is only looked at. When the driver leaves, turns away or
covers their face, the avatar glides back to how it is in its picture, and stays there.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any, Generic

from realtime.audio.delay_line import Speech
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError, ModelError
from realtime.families.motion.canvas import AvatarEffect, Background, Canvas
from realtime.families.motion.first_order.model import FirstOrderModel
from realtime.families.motion.first_order.network import FRAME_FILE, open_first_order
from realtime.families.motion.mesh.model import MESH_FILE, open_mesh_model
from realtime.families.motion.motion_model import DrawnCrop, DrivingOf, Motion, MotionModel, SourceOf
from realtime.families.motion.reference_pose import GLIDE_S, ReferencePose
from realtime.frame import Frame, Pixels
from realtime.imaging.blend import sharpen
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

log = logging.getLogger(__name__)
RISE_S, REST_S = 0.3, 0.7  # from rest to fully driven, and back
GRACE_S = 0.15
"""A driver lost for so short a time (a blink of the tracker) is still there; motion stands still meanwhile."""
LONGEST_STEP_S = 0.25  # A longer gap between two frames counts as this one: nothing may jump
MOST_YAW_DEG, MOST_PITCH_DEG = 55.0, 45.0
"""Beyond, too little of a face is seen to be read, and no picture of it can be drawn from one still."""
SLACK_DEG = 8.0  # A head that has turned away must come back by so much
LEAST_SCORE = 0.7  # of the landmark network: below, there is hardly a face
SURE, DOUBT, SUDDEN = 16.0, 8.5, 6.0
"""Of the same as log-odds. Filmed and rendered faces have 16 and more, in bad light too; one just covered by a hand
falls to 4 to 8, and its landmarks are made up. So: below DOUBT, and SUDDEN less than the person usually has.
"""
USUAL_S = 12.0  # the time constant of what is usual: somebody hard to see for some seconds on end is readable after all
GLIDE_BY_HAND_S = 0.3  # how long a neutral pose taken by hand takes to come into force
FADES_BELOW = 0.2
"""The strength of motion below which the drawn crop itself fades: at rest the avatar is its picture, to the bit."""
_NO_TRACK = -1


class DriverActivity:
    """How strongly the avatar is driven, 0..1: rises quickly with a driver, falls slowly without."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._away_s = 0.0
        self._level = 0.0

    def restart(self) -> None:
        """Begin at rest: another person drives from now on."""
        self._level = 0.0

    def __call__(self, readable: bool, now_s: float) -> float:
        """The strength now, smooth in time; `readable`: whether this frame shows what the driver does."""
        step_s = 0.0 if self._last_s is None else min(max(now_s - self._last_s, 0.0), LONGEST_STEP_S)
        first, self._last_s = self._last_s is None, now_s
        if readable:
            self._away_s = 0.0
            # Whoever is there from the first frame on need not wake up.
            self._level = 1.0 if first else min(1.0, self._level + step_s / RISE_S)
        else:
            self._away_s += step_s
            if self._away_s > GRACE_S:
                self._level = max(0.0, self._level - step_s / REST_S)
        level = self._level
        return level * level * (3.0 - 2.0 * level)


class FaceVisibility:
    """Whether a face can be read: seen from not too far to the side, and not covered."""

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


class ReenactmentEffect(AvatarEffect, Generic[SourceOf, DrivingOf]):
    """An `Effect` made of a motion model and avatars. Owns `model` and closes it.

    All avatars are encoded in `prepare`, so that changing them costs nothing. Raises ConfigError without an avatar.
    """

    def __init__(self, model: MotionModel[SourceOf, DrivingOf], avatars: Sequence[Avatar]) -> None:
        if not avatars:
            raise ConfigError("a motion model needs a picture to move: give one with --avatar (masquerade avatars)")
        super().__init__(avatars)
        self._model = model
        self.sessions = model.sessions
        self._sources: dict[str, SourceOf] = {}
        self._activity, self._visibility = DriverActivity(), FaceVisibility()
        self._driving: DrivingOf | None = None
        self._shown = False
        self._new_driver(_NO_TRACK)
        self._by_hand: int | None = None
        self.resting = False

    def _new_driver(self, track: int) -> None:
        """Forget the neutral pose: that of another driver is not this one's."""
        self._track = track
        self._search: ReferencePose[DrivingOf] = ReferencePose()
        self._from: DrivingOf | None = None
        self._to: DrivingOf | None = None
        self._glide_started_s, self._glide_s = 0.0, GLIDE_S

    def _make_canvases(self, size: tuple[int, int], background: Background | None) -> None:
        canvases, sources = {}, {}
        for name, avatar in self._avatars.items():
            canvases[name] = Canvas(avatar, size, background)
            # Only what is seen through transparency changes what is to be encoded.
            same = name in self._sources and avatar.alpha is None
            encode = self._model.encode_source
            sources[name] = self._sources[name] if same else encode(canvases[name].picture, avatar.face)
            canvases[name].place(sources[name].crop_from_avatar, sources[name].size)
        opaque = [name for name, avatar in self._avatars.items() if avatar.alpha is None]
        if opaque and background is not None:
            log.warning("avatar %s has no transparency: the background is set beside its picture only", opaque[0])
        self._canvases, self._sources = canvases, sources

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The avatar's whole picture as the driver moves it, of the frame's size.

        None before there is a neutral pose, and without a driver unless `on_miss` is `hold`.
        """
        self.resting = False
        self._select(settings, frame.size)
        now_s = frame.time_s
        # A model of other things looks at the whole picture, whoever comes and goes in it.
        face = faces[0] if faces and self._model.needs_face else None
        driving = self._encode_driving(frame, face, settings, now_s)
        timer.lap("align")
        if driving is None and settings.on_miss != "hold":
            self._activity(False, now_s)
            return None
        if driving is not None:
            self._driving = driving
            self._seek_reference(frame, face, driving, settings, now_s)
        relative = settings.movement == "relative"
        usable = self._driving is not None and not (relative and self._to is None)
        strength = self._activity(driving is not None and usable, now_s)
        if not usable and not self._shown:
            return None
        self._shown = True
        self.resting = (driving is None and strength < 1) or not usable
        canvas, source = self._canvases[self._active.name], self._sources[self._active.name]
        if self._driving is None or not usable or strength <= 0:
            return canvas.still.copy()
        how = Motion(relative, settings.adapt_scale, settings.region, strength)
        drawn = self._model.draw(source, self._driving, self._reference(now_s), how)
        timer.lap("swap")
        amount = round(settings.sharpen * min(max(canvas.enlarged - 1.0, 0.0), 1.0))
        if amount:  # a crop that is enlarged is softer than the still around it
            drawn = DrawnCrop(sharpen(drawn.pixels, amount, drawn.pixels.shape[0]), drawn.mask)
        picture = canvas.show(drawn, strength / FADES_BELOW)
        timer.lap("blend")
        return picture

    def _encode_driving(self, frame: Frame, face: Face | None, settings: Settings, now_s: float) -> DrivingOf | None:
        if self._model.needs_face and (face is None or not self._visibility(face, now_s)):
            return None
        return self._model.encode_driving(frame, face, settings.steadiness)

    def _seek_reference(
        self, frame: Frame, face: Face | None, driving: DrivingOf, settings: Settings, now_s: float
    ) -> None:
        """Look whether this pose is to be the neutral one."""
        track = face.track if face is not None else _NO_TRACK
        if track != self._track:
            if self._track != _NO_TRACK:
                self._activity.restart()
            self._new_driver(track)
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
        return self._model.between(self._from, self._to, share * share * (3 - 2 * share))

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._model.close()


def open_motion_model(bundle: Bundle, **options: Any) -> MotionModel[Any, Any]:
    """A motion bundle's networks, loaded and warm; `options` as of `opening_networks`.

    Raises ModelError; nothing is left open then.
    """
    card = bundle.card
    if card.family != "motion":
        raise ModelError(f"model {card.name} is of the family {card.family}: a motion model is needed here")
    if FRAME_FILE in card.files:
        return FirstOrderModel(open_first_order(bundle, **options), needs_face=card.input.subject == "face")
    if MESH_FILE in card.files:
        return open_mesh_model(bundle, **options)
    raise ModelError(
        f"model {bundle.name}: a motion bundle needs {FRAME_FILE} or {MESH_FILE}, and this has neither: export it again"
    )


def open_reenactment(
    bundle: Bundle, avatars: Sequence[Avatar] = (), *, speech: Speech | None = None, filmed: bool = True, **options: Any
) -> ReenactmentEffect[Any, Any]:
    """The bundle's model with avatars to move; `options` as of `open_motion_model`. Raises ModelError, ConfigError."""
    model = open_motion_model(bundle, **options)
    try:
        return ReenactmentEffect(model, avatars)
    except BaseException:
        model.close()
        raise

"""The `lip-sync` family with an avatar: a still picture speaks with a voice. No camera is looked at.

What leaves is made of the avatar alone: the frames that come give the beat and the size. Between words it is no frozen
picture: it blinks, breathes and sways where the built-in motion model's mesh is there to do it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.audio.delay_line import Speech
from realtime.clock import NS_PER_S, StageTimer
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.lip_sync.effect import put_on, speech_time_ns
from realtime.families.lip_sync.idle_still import IdleStill, bring_to_life
from realtime.families.lip_sync.lip_masks import lip_outline
from realtime.families.lip_sync.lower_face import FaceBox, lower_mask
from realtime.families.lip_sync.network import LipSyncNetwork
from realtime.families.motion.activity import Presence
from realtime.families.motion.canvas import Background, Canvas, product
from realtime.families.motion.mesh.points import Head
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, cut, invert
from realtime.models.avatar import Avatar
from realtime.settings import Settings
from realtime.tracking.face import Face

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    """An avatar on its canvas; `face` is there too. `alive` None: it has no mesh to move by."""

    still: Pixels
    face: Face
    alive: IdleStill | None


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where an avatar's lower face is in the still; `mask` and `outline`, of its lips, are in the crop."""

    mask: Floats
    outline: Floats
    crop_from_canvas: Matrix


class TalkingAvatar:
    """A `Effect` made of a lip-sync network, a voice and avatars. Owns `network` and closes it.

    Where nobody speaks, the mouth is the picture's own; without idle life (`Settings.idle`, `head`) all of it is, to
    the bit. `head`: the mesh to move by. `background` reads what `Settings.background` names. Raises ConfigError
    without an avatar, and for one without a face.
    """

    resting = False

    def __init__(
        self,
        network: LipSyncNetwork,
        speech: Speech,
        avatars: Sequence[Avatar],
        *,
        background: Callable[[str], Background | None],
        head: Head | None = None,
    ) -> None:
        if not avatars:
            raise ConfigError(
                "a lip-sync model needs a picture that speaks: give one with --avatar (masquerade avatars)"
            )
        for avatar in avatars:
            if avatar.face is None:
                raise ConfigError(f"avatar {avatar.name} has no face, so it cannot speak: take another picture")
        self._network, self._speech, self._head = network, speech, head
        self._presence = Presence()
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._first = self._worn = avatars[0]
        self._read_background = background
        self._seats: dict[str, _Seat] = {}
        self._places: dict[tuple[str, int], _Place] = {}
        self._ready_for: tuple[tuple[int, int], str] | None = None

    @property
    def title(self) -> str:
        """The avatar's name as people read it."""
        return self._worn.title

    @property
    def ran_on(self) -> str:
        """The provider that really ran."""
        return self._network.ran_on

    @property
    def precision(self) -> str:
        """What the arithmetic really was."""
        return self._network.precision

    @property
    def spent_ns(self) -> int:
        """Nanoseconds spent inside the network since it was loaded."""
        return self._network.spent_ns

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Set every avatar on a canvas of (width, height). Raises MasqueradeError.

        A background that cannot be read is refused at the start; later the one before stays.
        """
        wanted = (size, settings.background)
        if self._ready_for == wanted:
            return
        try:
            background = self._read_background(settings.background)
        except MasqueradeError as error:
            if self._ready_for is None or self._ready_for[0] != size:
                raise
            log.warning("%s; the background stays as it is", error)
        else:
            stages = {name: Canvas(avatar, size, background) for name, avatar in self._avatars.items()}
            for name, avatar in self._avatars.items():
                stages[name].place(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), max(avatar.pixels.shape[:2]))
            alive = bring_to_life(self._head, {name: (self._avatars[name], stages[name]) for name in stages})
            self._seats = {name: self._seat(name, stages[name], alive.get(name)) for name in stages}
            self._places = {}
        self._ready_for = wanted

    def _seat(self, name: str, stage: Canvas, alive: IdleStill | None) -> _Seat:
        own = self._avatars[name].face
        assert own is not None
        matrix = stage.canvas_from_avatar
        landmarks = (own.landmarks * float(matrix[0, 0]) + (*matrix[:, 2], 0.0)).astype(np.float32)
        return _Seat(stage.still, Face(landmarks, own.blendshapes, own.pose, own.score), alive)

    def _place(self, name: str, side: int) -> _Place:
        """For crops of `side`; found once."""
        place = self._places.get((name, side))
        if place is None:
            face = self._seats[name].face
            matrix = FaceBox()(face, 0.0, side)
            mask, outline = lower_mask(face.landmarks, matrix, side), lip_outline(face.landmarks, matrix)
            place = self._places[name, side] = _Place(mask, outline, matrix)
        return place

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The avatar's whole picture as it speaks, of the frame's size, a new array."""
        self._worn = self._avatars.get(settings.avatar or "", self._first)
        self.prepare(frame.size, settings)
        seat = self._seats[self._worn.name]
        side = self._network.side(settings.variant)
        place = self._place(self._worn.name, side)
        spoken = self._speech(speech_time_ns(frame, self._speech))
        now_s = frame.captured_ns / NS_PER_S if frame.media_s is None else frame.media_s
        strength = self._presence(settings.idle, now_s)
        if seat.alive is not None and strength > 0:
            picture, went = seat.alive(now_s, strength)
            crop_from_canvas = product(place.crop_from_canvas, invert(went))
        else:
            picture, crop_from_canvas = seat.still.copy(), place.crop_from_canvas
        timer.lap("align")
        if spoken.openness == 0.0:
            return picture
        crop = cut(picture, crop_from_canvas, side, "edge")
        drawn = self._network.mouth(crop, spoken.mel, place.outline)
        timer.lap("swap")
        picture = put_on(picture, drawn, crop, place.mask, crop_from_canvas, spoken.openness)
        timer.lap("blend")
        return picture

    def close(self) -> None:
        """Give the network back. May be called twice."""
        self._network.close()

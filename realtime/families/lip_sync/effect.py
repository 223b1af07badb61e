"""The `lip-sync` family as a character: a voice moves the mouth of a face in the picture."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.audio.delay_line import Speech
from realtime.audio.speech_buffer import MelWindow
from realtime.clock import NS_PER_S, StageTimer
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.lip_sync.idle import IdleStill, bring_to_life
from realtime.families.lip_sync.lower_face import FaceBox, SteadyLips, changed, lower_mask, match_rim
from realtime.families.lip_sync.network import LipSyncNetwork, lip_outline
from realtime.families.motion.canvas import Background, Canvas, product
from realtime.families.motion.effect import Presence
from realtime.families.motion.mesh.head import Head
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, cut, invert
from realtime.imaging.blend import paste
from realtime.models.avatar import Avatar
from realtime.settings import Settings
from realtime.tracking.face import Face


class LipSync:
    """A `Effect`: the chosen face of each picture says what `speech` says. Owns `network` and closes it.

    The face is the largest, and stays the same person while that one is in the picture; `speaker` names the track of
    another, who speaks whenever in the picture. The rest of the picture is the frame's own: whose frames they are is
    for the caller to judge. Where nobody speaks the network hears silence, and the mouth is what it makes of that;
    with `own_rest` it is the frame's own (a still picture whose mouth is closed). A network that asks for the lips gets
    the face with its mouth shut and steady, so that what the person says in the picture does not show through.
    """

    resting = False

    def __init__(
        self, network: LipSyncNetwork, speech: Speech, *, title: str, own_rest: bool = False, upright: bool = True
    ) -> None:
        self._network, self._speech = network, speech
        self._title, self._own_rest = title, own_rest
        self._box, self._lips = FaceBox(upright=upright), SteadyLips()
        self.speaker: int | None = None
        self._speaks: int | None = None

    @property
    def title(self) -> str:
        """The model's name as people read it."""
        return self._title

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
        """Nothing: a crop is as large in every frame."""

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The frame with the chosen face speaking, a new array; None without a face."""
        spoken = self._speech(speech_time_ns(frame, self._speech))  # also without a face: the voice goes on
        face = self._chosen(faces)
        if face is None:
            return None
        now_s = frame.media_s if frame.media_s is not None else frame.captured_ns / NS_PER_S
        return self.say(frame.pixels, face, spoken, now_s, timer, settings.steadiness, settings.variant)

    def say(
        self,
        pixels: Pixels,
        face: Face,
        spoken: MelWindow,
        now_s: float,
        timer: StageTimer,
        steadiness: float = 1.0,
        variant: str = "fast",
    ) -> Pixels:
        """`pixels` with the face saying `spoken`, a new (H, W, 3) array."""
        size = self._network.side(variant)
        matrix = self._box(face, now_s, size, steadiness)
        crop = cut(pixels, matrix, size, "edge")
        mask = lower_mask(face.landmarks, matrix, size)
        start, outline = self._lips(crop, face, matrix, now_s) if self._network.asks_for_lips else (crop, None)
        timer.lap("align")
        drawn = self._network.mouth(start, spoken.mel, outline)
        timer.lap("swap")
        picture = put_on(pixels, drawn, crop, mask, matrix, spoken.speech if self._own_rest else 1.0)
        timer.lap("blend")
        return picture

    def _chosen(self, faces: Sequence[Face]) -> Face | None:
        by_track = {face.track: face for face in faces}
        for track in (self.speaker, self._speaks):
            if track is not None and track in by_track:
                return by_track[track]
        if not faces:
            return None
        largest = max(faces, key=_area)
        self._speaks = largest.track
        return largest

    def close(self) -> None:
        """Give the network back. May be called twice."""
        self._network.close()


def speech_time_ns(frame: Frame, speech: Speech) -> int:
    """When to ask `speech` for what belongs to this picture."""
    if speech.by_media and frame.media_s is not None:
        return round(frame.media_s * NS_PER_S)
    return frame.captured_ns


def put_on(pixels: Pixels, drawn: Pixels, crop: Pixels, mask: Floats, crop_from_frame: Matrix, share: float) -> Pixels:
    """`pixels` with the lower face of `drawn` in it, a new array.

    `drawn` and `crop`, what was cut there, are (S, S, 3), `mask` (S, S). `share`: 1, or less for one that fades. Where
    the network changed nothing the frame stays as sharp as it is.
    """
    toned = match_rim(drawn, crop, mask)
    mask = mask * changed(toned, crop)
    return paste(pixels, toned, mask if share >= 1.0 else mask * np.float32(share), crop_from_frame)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


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
        # An avatar that is still loading is not among them yet: the present one stays until then.
        self._worn = self._avatars.get(settings.avatar, self._worn) if settings.avatar else self._first
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
        if spoken.speech == 0.0:
            return picture
        crop = cut(picture, crop_from_canvas, side, "edge")
        drawn = self._network.mouth(crop, spoken.mel, place.outline)
        timer.lap("swap")
        picture = put_on(picture, drawn, crop, place.mask, crop_from_canvas, spoken.speech)
        timer.lap("blend")
        return picture

    def close(self) -> None:
        """Give the network back. May be called twice."""
        self._network.close()

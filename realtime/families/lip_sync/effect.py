"""Lip sync: a voice moves the mouth of a face in the picture (`LipSync`), or of an avatar (`TalkingAvatar`).

A talking avatar's pictures are made of the avatar alone: the frames that come give the rhythm and the size. Between
words it blinks, breathes and sways where the built-in motion model's mesh is there to do it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from realtime.audio.delay_line import Speech, speech_time_ns
from realtime.audio.speech_buffer import MelWindow
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.effect import Effect, Kept
from realtime.families.lip_sync.idle import IdleStill, bring_to_life, find_mesh_head
from realtime.families.lip_sync.lower_face import FaceBox, SmoothLips, changed, lower_mask, match_seam
from realtime.families.lip_sync.network import LipSyncNetwork, lip_outline, open_lip_sync
from realtime.families.motion.canvas import AvatarEffect, Background, Canvas, product
from realtime.families.motion.effect import DriverActivity
from realtime.families.motion.mesh.head import Head
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, cut, invert
from realtime.imaging.blend import paste
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.tracking.face import Face


class LipSync:
    """An `Effect`: the chosen face of each picture says what `speech` says. Owns `network` and closes it.

    The face is the largest, and stays the same person while that one is in the picture. The rest of the picture is the
    frame's own: whose frames they are is for the caller to judge. Where nobody speaks the network hears silence, and
    the mouth is what it makes of that. A network that asks for the lips gets the face with its mouth closed and steady,
    so that what the person says in the picture does not show through.
    """

    resting = False
    keeps: Kept = "faces"
    motion = None

    def __init__(self, network: LipSyncNetwork, speech: Speech, *, title: str) -> None:
        self._network, self._speech = network, speech
        self.title = title
        self.sessions = network.sessions
        self._box, self._lips = FaceBox(), SmoothLips()
        self._speaks: int | None = None

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Nothing: a crop is as large in every frame."""

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The frame with the chosen face speaking, a new array; None without a face."""
        spoken = self._speech(speech_time_ns(frame, self._speech))  # also without a face: the voice goes on
        face = self._chosen(faces)
        if face is None:
            return None
        return self.say(frame.pixels, face, spoken, frame.time_s, timer, settings.steadiness, settings.variant)

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
        picture = paste_lower_face(pixels, drawn, crop, mask, matrix, 1.0)
        timer.lap("blend")
        return picture

    def _chosen(self, faces: Sequence[Face]) -> Face | None:
        for face in faces:
            if face.track == self._speaks:
                return face
        largest = max(faces, key=_area, default=None)
        if largest is not None:
            self._speaks = largest.track
        return largest

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._network.close()


@dataclass(frozen=True, slots=True, eq=False)
class _PlacedAvatar:
    """An avatar's still canvas and its face there. `alive` None: it has no mesh to move by."""

    still: Pixels
    face: Face
    alive: IdleStill | None


@dataclass(frozen=True, slots=True, eq=False)
class _MouthCrop:
    """Where an avatar's lower face is in the still; `mask` and `outline`, of its lips, are in the crop."""

    mask: Floats
    outline: Floats
    crop_from_canvas: Matrix


class TalkingAvatar(AvatarEffect):
    """An `Effect` made of a lip-sync network, a voice and avatars. Owns `network` and closes it.

    Where nobody speaks, the mouth is the picture's own; without idle motion (`Settings.idle`, `head`) all of it is, to
    the bit. `head`: the mesh to move by. Raises ConfigError without an avatar, and for one without a face.
    """

    resting = False

    def __init__(
        self, network: LipSyncNetwork, speech: Speech, avatars: Sequence[Avatar], *, head: Head | None = None
    ) -> None:
        if not avatars:
            raise ConfigError(
                "a lip-sync model needs a picture that speaks: give one with --avatar (masquerade avatars)"
            )
        for avatar in avatars:
            if avatar.face is None:
                raise ConfigError(f"avatar {avatar.name} has no face, so it cannot speak: take another picture")
        super().__init__(avatars)
        self._network, self._speech, self._head = network, speech, head
        self.sessions = network.sessions
        self._activity = DriverActivity()
        self._placed: dict[str, _PlacedAvatar] = {}
        self._crops: dict[tuple[str, int], _MouthCrop] = {}

    def _make_canvases(self, size: tuple[int, int], background: Background | None) -> None:
        canvases = {name: Canvas(avatar, size, background) for name, avatar in self._avatars.items()}
        for name, avatar in self._avatars.items():
            canvases[name].place(np.eye(2, 3), max(avatar.pixels.shape[:2]))
        alive = bring_to_life(self._head, {name: (self._avatars[name], canvases[name]) for name in canvases})
        self._placed = {name: self._place(name, canvases[name], alive.get(name)) for name in canvases}
        self._canvases, self._crops = canvases, {}

    def _place(self, name: str, canvas: Canvas, alive: IdleStill | None) -> _PlacedAvatar:
        own = self._avatars[name].face
        assert own is not None
        matrix = canvas.canvas_from_avatar
        landmarks = (own.landmarks * float(matrix[0, 0]) + (*matrix[:, 2], 0.0)).astype(np.float32)
        return _PlacedAvatar(canvas.still, Face(landmarks, own.blendshapes, own.pose, own.score), alive)

    def _mouth_crop(self, name: str, side: int) -> _MouthCrop:
        """For crops of `side`; found once."""
        crop = self._crops.get((name, side))
        if crop is None:
            face = self._placed[name].face
            matrix = FaceBox()(face, 0.0, side)
            mask, outline = lower_mask(face.landmarks, matrix, side), lip_outline(face.landmarks, matrix)
            crop = self._crops[name, side] = _MouthCrop(mask, outline, matrix)
        return crop

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The avatar's whole picture as it speaks, of the frame's size, a new array."""
        self._select(settings, frame.size)
        placed = self._placed[self._active.name]
        side = self._network.side(settings.variant)
        mouth = self._mouth_crop(self._active.name, side)
        spoken = self._speech(speech_time_ns(frame, self._speech))
        strength = self._activity(settings.idle, frame.time_s)
        if placed.alive is not None and strength > 0:
            picture, moved = placed.alive(frame.time_s, strength)
            crop_from_canvas = product(mouth.crop_from_canvas, invert(moved))
        else:
            picture, crop_from_canvas = placed.still.copy(), mouth.crop_from_canvas
        timer.lap("align")
        if spoken.speech == 0.0:
            return picture
        crop = cut(picture, crop_from_canvas, side, "edge")
        drawn = self._network.mouth(crop, spoken.mel, mouth.outline)
        timer.lap("swap")
        picture = paste_lower_face(picture, drawn, crop, mouth.mask, crop_from_canvas, spoken.speech)
        timer.lap("blend")
        return picture

    def close(self) -> None:
        """Close the networks. May be called twice."""
        self._network.close()


def open_lips(
    bundle: Bundle,
    avatars: Sequence[Avatar] = (),
    *,
    speech: Speech | None = None,
    filmed: bool = True,
    head: Callable[[], Head | None] = find_mesh_head,
    **options: Any,
) -> Effect:
    """The bundle's network with a voice: `avatars` speak, or without any the source's own picture does.

    `head` finds the mesh that lets avatars blink and sway; `options` as of `open_lip_sync`. Raises ModelError, or
    ConfigError without a voice and for an avatar without a face; nothing is left open then.
    """
    if speech is None:
        raise ConfigError(f"{bundle.name} is a lip-sync model and has no voice: give one with --sound mic or FILE")
    network = open_lip_sync(bundle, **options)
    try:
        if avatars:
            return TalkingAvatar(network, speech, avatars, head=head())
        return LipSync(network, speech, title=bundle.card.title)
    except BaseException:
        network.close()
        raise


def paste_lower_face(
    pixels: Pixels, drawn: Pixels, crop: Pixels, mask: Floats, crop_from_frame: Matrix, share: float
) -> Pixels:
    """`pixels` with the lower face of `drawn` in it, a new array.

    `drawn` and `crop`, what was cut there, are (S, S, 3), `mask` (S, S). `share`: 1, or less for one that fades. Where
    the network changed nothing the frame stays as sharp as it is.
    """
    toned = match_seam(drawn, crop, mask)
    mask = mask * changed(toned, crop)
    return paste(pixels, toned, mask if share >= 1.0 else mask * np.float32(share), crop_from_frame)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)

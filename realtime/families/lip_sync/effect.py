"""The `lip-sync` family as a character: a voice moves the mouth of a face in the picture."""

from collections.abc import Sequence

import numpy as np

from realtime.audio.delay_line import Speech
from realtime.audio.speech_buffer import MelWindow
from realtime.clock import NS_PER_S, StageTimer
from realtime.families.lip_sync.lower_face import FaceBox, lower_mask
from realtime.families.lip_sync.network import LipSyncNetwork
from realtime.families.lip_sync.seam import changed, match_rim
from realtime.families.lip_sync.smooth_lips import SteadyLips
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, cut
from realtime.imaging.blend import paste
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
        picture = put_on(pixels, drawn, crop, mask, matrix, spoken.openness if self._own_rest else 1.0)
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

"""The `lip-sync` family with an avatar: a still picture speaks with a voice. No camera is looked at.

What leaves is made of the avatar alone: the frames that come give the beat and the size.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.align import Matrix, cut
from realtime.avatars import Avatar
from realtime.errors import ConfigError, MasqueradeError
from realtime.face import Face, Floats
from realtime.frame import Frame, Pixels
from realtime.laps import Laps
from realtime.settings import Settings
from realtime.sound.look_ahead import Speech
from realtime.swap.lip_sync import put_on, speech_time_ns
from realtime.swap.lip_sync_network import LipSyncNetwork
from realtime.swap.lower_face import FaceBox, lower_mask
from realtime.swap.stage import Background, Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    """An avatar on its canvas, and where its lower face is: all that never changes."""

    still: Pixels
    crop: Pixels
    mask: Floats
    crop_from_canvas: Matrix


class TalkingAvatar:
    """A `Character` made of a lip-sync network, a voice and avatars. Owns `network` and closes it.

    Where nobody speaks, the mouth is the picture's own, to the bit. `background` reads what `Settings.background`
    names. Raises ConfigError without an avatar, and for one without a face.
    """

    resting = False

    def __init__(
        self,
        network: LipSyncNetwork,
        speech: Speech,
        avatars: Sequence[Avatar],
        *,
        background: Callable[[str], Background | None],
    ) -> None:
        if not avatars:
            raise ConfigError(
                "a lip-sync model needs a picture that speaks: give one with --avatar (masquerade avatars)"
            )
        for avatar in avatars:
            if avatar.face is None:
                raise ConfigError(f"avatar {avatar.name} has no face, so it cannot speak: take another picture")
        self._network, self._speech = network, speech
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._first = self._worn = avatars[0]
        self._read_background = background
        self._seats: dict[str, _Seat] = {}
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
            self._seats = {name: self._seat(avatar, size, background) for name, avatar in self._avatars.items()}
        self._ready_for = wanted

    def _seat(self, avatar: Avatar, size: tuple[int, int], background: Background | None) -> _Seat:
        assert avatar.face is not None
        rows, columns = avatar.pixels.shape[:2]
        stage = Stage(avatar, size, background)
        stage.place(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), max(rows, columns))
        # The stage may move the picture by a part of a pixel, which is nothing to a mask.
        scale = min(size[0] / columns, size[1] / rows)
        shift = (0.5 * (size[0] - scale * columns + scale - 1.0), 0.5 * (size[1] - scale * rows + scale - 1.0))
        landmarks = (avatar.face.landmarks * scale + (*shift, 0.0)).astype(np.float32)
        face = Face(landmarks, avatar.face.blendshapes, avatar.face.pose, avatar.face.score)
        side = self._network.size
        matrix = FaceBox()(face, 0.0, side)
        crop = cut(stage.still, matrix, side, "edge")
        return _Seat(stage.still, crop, lower_mask(landmarks, matrix, side), matrix)

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, laps: Laps) -> Pixels | None:
        """The avatar's whole picture as it speaks, of the frame's size, a new array."""
        self._worn = self._avatars.get(settings.avatar or "", self._first)
        self.prepare(frame.size, settings)
        seat = self._seats[self._worn.name]
        spoken = self._speech(speech_time_ns(frame, self._speech))
        laps.lap("align")
        if spoken.openness == 0.0:
            return seat.still.copy()
        drawn = self._network.mouth(seat.crop, spoken.mel)
        laps.lap("swap")
        picture = put_on(seat.still, drawn, seat.crop, seat.mask, seat.crop_from_canvas, spoken.openness)
        laps.lap("blend")
        return picture

    def close(self) -> None:
        """Give the network back. May be called twice."""
        self._network.close()

"""The family `face`: draws the face of an avatar's pictures over the driver's, without a model of that person."""

from collections.abc import Sequence
from typing import Any

from realtime.audio.delay_line import Speech
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.effect import Kept
from realtime.families.face_swap.driver_mask import MASK_BUNDLE, MASK_FILE, DriverMask
from realtime.families.face_swap.effect import FaceSwap
from realtime.families.face_swap.key_pictures import KeyPictureMaker, open_key_picture_maker, photos_of
from realtime.families.face_swap.pictures import PictureFace
from realtime.frame import Frame, Pixels
from realtime.inference.session import Session, opening_networks
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle, open_bundle
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face


class AvatarFace:
    """An `Effect` that wears avatars' faces. Owns the networks of `maker` and `mask` and closes them.

    All avatars are made ready in `prepare`, so that changing them costs nothing. Raises ConfigError without an avatar.
    """

    resting = False
    keeps: Kept = "surroundings"
    motion = None

    def __init__(self, avatars: Sequence[Avatar], maker: KeyPictureMaker, mask: DriverMask) -> None:
        if not avatars:
            raise ConfigError("there is no picture to wear: give one with --avatar (masquerade avatars)")
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._active = avatars[0]
        self._maker, self._mask = maker, mask
        self._worn: dict[str, FaceSwap] = {}
        self.sessions: Sequence[Session] = [mask.session, *maker.sessions]

    @property
    def title(self) -> str:
        return self._active.title

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Make the key pictures of all avatars. Raises ConfigError where one cannot be worn."""
        self._select(settings)
        for avatar in self._avatars.values():
            self._wear(avatar)

    def _select(self, settings: Settings) -> None:
        self._active = self._avatars.get(settings.avatar or "", self._active)

    def _wear(self, avatar: Avatar) -> FaceSwap:
        worn = self._worn.get(avatar.name)
        if worn is None:
            pictures = self._maker(avatar.name, photos_of(avatar))
            worn = self._worn[avatar.name] = FaceSwap(
                PictureFace(self._maker.skin, pictures, self._mask, title=avatar.title)
            )
        return worn

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The frame with every face replaced, a new array; None without a face, or with one that is covered."""
        self._select(settings)
        return self._wear(self._active)(frame, faces, settings, timer)

    def close(self) -> None:
        """Close the networks. May be called twice."""
        for session in self.sessions:
            session.close()


def open_avatar_face(
    bundle: Bundle, avatars: Sequence[Avatar] = (), *, speech: Speech | None = None, filmed: bool = True, **options: Any
) -> AvatarFace:
    """The effect that wears these avatars; a voice changes nothing. Raises ModelError, ConfigError."""
    with opening_networks(**options) as open_network:
        mask = DriverMask(open_network(open_bundle(built_in_folder() / MASK_BUNDLE).path(MASK_FILE)))
        maker = open_key_picture_maker(**options)
        try:
            return AvatarFace(avatars, maker, mask)
        except MasqueradeError:
            maker.close()
            raise

"""Replaces each face of the frame by an identity's, in its own place."""

from collections.abc import Sequence
from typing import Any, Protocol

from realtime.audio.delay_line import Speech
from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.effect import FINE_FILE, Kept
from realtime.families.face_swap.autoencoder import Autoencoder, HiresHead, own_wiring
from realtime.families.face_swap.dfm import dfm_wiring
from realtime.families.face_swap.pictures import open_picture_face
from realtime.families.face_swap.skin_detail import DETAIL_FILE, open_skin_detail
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix, cut
from realtime.imaging.blend import Swapped, Uncovered, blend, oval_mask
from realtime.inference.session import Session, opening_networks
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face
from realtime.tracking.pose import HeadPose


class Swapper(Protocol):
    """One identity's networks, which draw its face over the one in a crop. One thread."""

    title: str
    """The identity's display name."""
    sessions: Sequence[Session]

    def crop(self, landmarks: Floats) -> tuple[Matrix, int]:
        """`crop_from_frame` for a face, and the side of the crop in pixels."""
        ...

    def __call__(
        self, crop: Pixels, face: Face, crop_from_frame: Matrix, settings: Settings, frame: Frame, /
    ) -> Swapped: ...

    def close(self) -> None: ...


class FaceSwap:
    """An `Effect` made of one swap network. Owns `swapper` and closes it."""

    resting = False
    keeps: Kept = "surroundings"
    motion = None

    def __init__(self, swapper: Swapper) -> None:
        self._swapper = swapper
        self.title = swapper.title
        self.sessions = swapper.sessions

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Nothing: a crop is as large in every frame."""

    def __call__(self, frame: Frame, faces: Sequence[Face], settings: Settings, timer: StageTimer) -> Pixels | None:
        """The frame with every face replaced, a new array; None without a face, or with one that is covered."""
        pixels: Pixels | None = None
        try:
            for face in faces:
                pixels = self._replace(frame.pixels if pixels is None else pixels, face, settings, frame, timer)
        except Uncovered:
            # A hand before the face, say: no picture to show, and nothing is broken.
            return None
        return pixels

    def _replace(self, pixels: Pixels, face: Face, settings: Settings, frame: Frame, timer: StageTimer) -> Pixels:
        matrix, size = self._swapper.crop(face.landmarks)
        crop = cut(pixels, matrix, size)
        region = oval_mask(face.landmarks, matrix, size)
        timer.lap("align")
        swapped = self._swapper(crop, face, matrix, settings, frame)
        timer.lap("swap")
        picture = blend(pixels, crop, swapped, matrix, settings, region)
        timer.lap("blend")
        return picture

    def close(self) -> None:
        """Close the network. May be called twice."""
        self._swapper.close()


def open_face_swap(
    bundle: Bundle, avatars: Sequence[Avatar] = (), *, speech: Speech | None = None, filmed: bool = True, **options: Any
) -> FaceSwap:
    """The bundle's identity, ready. Avatars and a voice change nothing here. Raises as `open_swapper`."""
    return FaceSwap(open_swapper(bundle, **options))


def open_swapper(bundle: Bundle, **options: Any) -> Swapper:
    """A swap bundle's pictures or networks, ready; `options` as of `opening_networks`. Raises as `open_autoencoder`."""
    return open_picture_face(bundle, **options) if bundle.card.pictures else open_autoencoder(bundle, **options)


def open_autoencoder(bundle: Bundle, **options: Any) -> Autoencoder:
    """A swap bundle's networks, loaded and warm; `options` as of `opening_networks`.

    Raises ModelError for a bundle whose network is not what its card says; nothing is left open then.
    """
    card = bundle.card
    if card.family != "swap":
        raise ModelError(f"model {card.name} is of the family {card.family}: a swap model is needed here")
    file = bundle.model
    with opening_networks(**options) as open_network:
        session, fine = open_network(bundle.path(file)), None
        if file == "swap.onnx":
            wiring = own_wiring(session, card)
            if FINE_FILE in card.files:
                fine = HiresHead.of(open_network(bundle.path(FINE_FILE)), card, session)
        else:
            wiring = dfm_wiring(session, card.name)
        detail = None
        if DETAIL_FILE in card.files:
            head = HeadPose(built_in_folder() / "face" / "pose.npz")
            detail = open_skin_detail(bundle.path(DETAIL_FILE), head.canonical)
        return Autoencoder(
            session,
            wiring,
            title=card.title,
            face_type=card.input.face_type or "whole_face",
            coverage=card.input.coverage,
            fine=fine,
            detail=detail,
        )

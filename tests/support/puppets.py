"""A puppet whose every picture tells what it was asked to do, and avatars of one colour each."""

from collections.abc import Callable, Sequence

import numpy as np
from fakes import a_face

from realtime.families.motion.canvas import border_mask
from realtime.families.motion.effect import ReenactmentEffect
from realtime.families.motion.motion_model import DrawnCrop, Motion
from realtime.families.motion.reference_pose import portrait_crop
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import Matrix
from realtime.inference.session import Session
from realtime.models.avatar import Avatar
from realtime.tracking.face import Face

SIDE = 64


class ToySource:
    def __init__(self, colour: int, crop_from_avatar: Matrix) -> None:
        self.size, self.colour, self.crop_from_avatar = SIDE, colour, crop_from_avatar
        self.mask: Floats = border_mask(SIDE)


class ToyModel:
    """Its driving pose is one number, the frame's first pixel; a crop is as light as the avatar, plus the motion."""

    sessions: Sequence[Session] = ()

    def __init__(self, *, needs_face: bool = True) -> None:
        self.needs_face = needs_face
        self.readable: Callable[[Frame], bool] = lambda frame: True
        self.casts = 0
        self.closed = 0
        self.asked: list[tuple[float, float | None, Motion]] = []

    def encode_source(self, picture: Pixels, face: Face | None) -> ToySource:
        self.casts += 1
        landmarks = (face or a_face((picture.shape[1] / 2, picture.shape[0] / 2))).landmarks
        return ToySource(int(picture[picture.shape[0] // 2, picture.shape[1] // 2, 0]), portrait_crop(landmarks, SIDE))

    def encode_driving(self, frame: Frame, face: Face | None, steadiness: float) -> float | None:
        return float(frame.pixels[0, 0, 0]) if self.readable(frame) else None

    def between(self, a: float, b: float, share: float) -> float:
        return a + share * (b - a)

    def draw(self, cast: ToySource, driving: float, reference: float | None, how: Motion) -> DrawnCrop:
        self.asked.append((driving, reference, how))
        motion = how.strength * (driving - (reference or 0.0))
        return DrawnCrop(np.full((SIDE, SIDE, 3), round(np.clip(cast.colour + motion, 0, 255)), np.uint8), cast.mask)

    def close(self) -> None:
        self.closed += 1


def an_avatar(name: str, colour: int, size: tuple[int, int] = (160, 120), alpha: bool = False) -> Avatar:
    """A plain picture with a face in its middle, transparent in its left half if asked."""
    width, height = size
    shown = None
    if alpha:
        shown = np.full((height, width), 255, np.uint8)
        shown[:, : width // 2] = 0
    face = a_face((width / 2, height / 2), 0.45 * height)
    return Avatar(name, name.title(), "synthetic", np.full((height, width, 3), colour, np.uint8), shown, face)


def a_puppeteer(puppet: ToyModel, avatars: Sequence[Avatar] | None = None) -> "ReenactmentEffect[ToySource, float]":
    return ReenactmentEffect(puppet, avatars or [an_avatar("ann", 90)])

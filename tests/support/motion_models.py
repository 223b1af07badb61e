"""Motion models without weights, avatars of one colour for them, and shows: frames in at 25 a second, pictures out."""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from fakes import SIZE, FakeClock, a_face

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.families.motion.canvas import border_mask
from realtime.families.motion.effect import ReenactmentEffect
from realtime.families.motion.first_order.keypoints import KeyPoints
from realtime.families.motion.first_order.network import EncodedSource
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


def a_reenactment(model: ToyModel, avatars: Sequence[Avatar] | None = None) -> "ReenactmentEffect[ToySource, float]":
    return ReenactmentEffect(model, avatars or [an_avatar("ann", 90)])


LANDMARKS = (10, 152, 234, 454, 33, 263, 1, 61, 291, 199)
"""The landmarks that are drawn as dots, each of a colour of its own."""

COLOURS = np.array(
    [(b, g, r) for b in (40, 120, 220) for g in (40, 120, 220) for r in (60, 230)][: len(LANDMARKS)], np.int16
)


class ToyNetwork:
    """Stands in for `FirstOrderNetwork`. `drawn` keeps what it was asked to draw; `says` replaces what it sees.

    A picture of key points is plain grey, as light as the mean place of them.
    """

    size, points, jacobians = 256, len(LANDMARKS), True
    sessions: Sequence[Session] = ()

    def __init__(self) -> None:
        self.says: KeyPoints | None = None
        self.drawn: list[KeyPoints] = []
        self.encoded = 0
        self.closed = 0

    @staticmethod
    def picture_of(face: Face, size: tuple[int, int] = (400, 300)) -> Pixels:
        """A black picture with the dots of a face, drawn to a sixteenth of a pixel."""
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        radius = max(2.0, 0.02 * (face.box[3] - face.box[1]))
        for index, colour in zip(LANDMARKS, COLOURS, strict=True):
            x, y = (face.landmarks[index, :2] * 16).round().astype(int).tolist()
            cv2.circle(picture, (x, y), round(radius * 16), colour.tolist(), -1, cv2.LINE_AA, 4)
        return picture

    def keypoints(self, driving: Pixels) -> KeyPoints:
        """The middle of each dot's colour."""
        if self.says is not None:
            return self.says
        value = np.zeros((self.points, 2), np.float32)
        rows, columns = np.nonzero(driving[:, :, 2])  # the dots; all else is black
        colours = driving[rows, columns].astype(np.int16)
        for k, colour in enumerate(COLOURS):
            near = np.abs(colours - colour).max(axis=1) < 25
            if near.any():
                place = np.array([np.median(columns[near]), np.median(rows[near])])
                value[k] = place / (0.5 * (self.size - 1)) - 1
        return KeyPoints(value, np.tile(np.eye(2, dtype=np.float32), (self.points, 1, 1)))

    def encode(self, picture: Pixels) -> EncodedSource:
        self.encoded += 1
        return EncodedSource({}, self.keypoints(picture))

    def draw(self, avatar: EncodedSource, moved: KeyPoints) -> Pixels:
        self.drawn.append(moved)
        light = float(np.clip(128 + 100 * moved.value.mean(), 0, 255))
        return np.full((self.size, self.size, 3), round(light), np.uint8)

    def close(self) -> None:
        self.closed += 1


PLAIN = Settings(sharpen=0)
MIDDLE = (SIZE[1] // 2, SIZE[0] // 2, 0)
RATE = 25


class Show:
    """Turns frames into pictures at 25 a second; `value` is the driver's pose, `RAW` everywhere else."""

    def __init__(self, model: ToyModel | None = None, avatars: Any = None) -> None:
        self.model = model or ToyModel()
        self.effect: ReenactmentEffect[Any, float] = a_reenactment(self.model, avatars)
        self.seq = 0

    def __call__(
        self, value: int = 100, settings: Settings = PLAIN, face: Face | str | None = "front"
    ) -> Pixels | None:
        noise = np.random.default_rng(self.seq).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        noise[0, 0] = value
        frame = Frame(noise, self.seq, 0, self.seq / RATE)
        self.seq += 1
        faces = [] if face is None else [a_face() if isinstance(face, str) else face]
        return self.effect(frame, faces, settings, StageTimer(FakeClock()))

    def run(self, seconds: float, *args: Any, **more: Any) -> list[Pixels | None]:
        return [self(*args, **more) for _ in range(round(seconds * RATE))]


def turned(yaw_deg: float, track: int = 0, score: float = 0.99, jaw: float = 0.0) -> Face:
    plain = a_face()
    pose = np.eye(4, dtype=np.float32)
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    pose[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    shown = plain.blendshapes.copy()
    shown[25] = jaw
    return Face(plain.landmarks, shown, pose, score, track)


def light(picture: Pixels | None) -> int:
    assert picture is not None
    return int(picture[MIDDLE])

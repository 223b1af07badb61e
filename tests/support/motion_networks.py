"""A motion network that needs no weights: its key points are the dots that a test drew."""

from collections.abc import Sequence

import cv2
import numpy as np

from realtime.families.motion.first_order.keypoints import KeyPoints
from realtime.families.motion.first_order.network import EncodedSource
from realtime.frame import Pixels
from realtime.inference.session import Session
from realtime.tracking.face import Face

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

"""MediaPipe's three face networks on our own sessions: find faces, place 478 landmarks, name the expression.

Every constant is MediaPipe's (its face detector and face landmarker graphs, 2023): the results agree with the
`mediapipe` package to sampling noise. All coordinates are frame pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Floats, Pixels
from realtime.imaging.affine import invert, warp
from realtime.inference.session import Session, opening_networks

DETECTOR_SIZE = 128
LANDMARK_SIZE = 256
ROOM = 1.5  # a region is this many times the face's box
MIN_SCORE = 0.5
MAX_OVERLAP = 0.3  # of two detections before they are one
EYE_LINE = (33, 263)  # outer eye corners, whose line gives the region's turn

# The points the blendshape network looks at, in its order.
BLENDSHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67,
    70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148,
    149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185,
    191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295,
    296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362,
    365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400,
    402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Region:
    """A turned rectangle in the frame: centre, sides and `turn` (radians, clockwise as seen)."""

    x: float
    y: float
    width: float
    height: float
    turn: float = 0.0

    def crop_from_frame(self, side: int) -> npt.NDArray[np.float64]:
        """(2, 3): frame pixels to the pixels of a square crop, corner on corner."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        across, down = side / self.width, side / self.height
        rows = ((c * across, s * across), (-s * down, c * down))
        return np.array([(a, b, side / 2 - a * self.x - b * self.y) for a, b in rows])


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face that the detector saw: `box` (x0, y0, x1, y1), 6 `points` (right eye, left eye, nose tip,
    mouth, right ear, left ear; right is the person's own), and its score 0..1."""

    box: tuple[float, float, float, float]
    points: Floats
    score: float

    @property
    def region(self) -> Region:
        """Where the landmark network should look."""
        x0, y0, x1, y1 = self.box
        dx, dy = (self.points[1] - self.points[0]).tolist()
        turn = float(np.arctan2(dy, dx))
        return Region((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * ROOM, (y1 - y0) * ROOM, turn)


def region_around(landmarks: Floats) -> Region:
    """Where the landmark network should look in the next frame."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    dx, dy = (landmarks[EYE_LINE[1], :2] - landmarks[EYE_LINE[0], :2]).tolist()
    side = max(1.0, float((high - low).max()) * ROOM)
    x, y = ((low + high) / 2).tolist()
    return Region(x, y, side, side, float(np.arctan2(dy, dx)))


class FaceDetector:
    """The network that finds faces, always in fp32."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._anchors = anchors(((16, 2), (8, 6)))

    def __call__(
        self, pixels: Pixels, region: Region | None = None, least: float = MIN_SCORE, *, mirrored: bool = False
    ) -> list[Detection]:
        """The faces in a square `region` of a picture, surest first; None is the whole of it.

        Finds faces from about a tenth of the region's side up. `least`: the score from which on it is one.
        `mirrored`: beyond the picture's edge lies its mirror image, which makes half a face there a whole one.
        """
        height, width = pixels.shape[:2]
        side = max(width, height)
        region = region or Region(width / 2, height / 2, side, side)
        crop_from_frame = region.crop_from_frame(DETECTOR_SIZE)
        border = cv2.BORDER_REFLECT_101 if mirrored else cv2.BORDER_CONSTANT
        square = (DETECTOR_SIZE, DETECTOR_SIZE)
        crop = np.asarray(cv2.warpAffine(pixels, crop_from_frame, square, borderMode=border), np.uint8)
        out = self._session.run({"image": rgb_planes(crop, 1 / 127.5) - np.float32(1)})
        scores = sigmoid(np.asarray(out["scores"], np.float32)[0])
        seen = np.flatnonzero(scores >= least)
        if not len(seen):
            return []
        raw = np.asarray(out["boxes"], np.float32)[0, seen].reshape(-1, 8, 2) / DETECTOR_SIZE
        raw[:, 0] += self._anchors[seen]
        raw[:, 2:] += self._anchors[seen, None]
        corners = np.concatenate([raw[:, :1] - raw[:, 1:2] / 2, raw[:, :1] + raw[:, 1:2] / 2, raw[:, 2:]], axis=1)
        frame_from_crop = invert(crop_from_frame)
        found = []
        for shape, score in merge(corners, scores[seen]):
            placed = (shape * DETECTOR_SIZE) @ frame_from_crop[:, :2].T + frame_from_crop[:, 2]
            half = (shape[1] - shape[0]) * (region.width / 2, region.height / 2)
            if (half > 0).all():
                (x0, y0), (x1, y1) = (placed[:2].mean(axis=0) + (-half, half)).tolist()
                found.append(Detection((x0, y0, x1, y1), placed[2:].astype(np.float32), score))
        return found

    def close(self) -> None:
        """Frees the network; may be called twice."""
        self._session.close()


class FaceNetworks:
    """The three networks in the folder of a `face` bundle, always in fp32: bf16 doubles the landmarks' jitter."""

    def __init__(self, folder: Path, provider: str = "auto", threads: int = 1) -> None:
        files = ("detector.onnx", "landmarks.onnx", "blendshapes.onnx")
        with opening_networks(provider=provider, precision="fp32", threads=threads) as network:
            self.sessions: tuple[Session, ...] = tuple(network(folder / file) for file in files)
        detector, self._landmarks, self._blendshapes = self.sessions
        self.detect = FaceDetector(detector)

    def search(self, pixels: Pixels) -> list[Detection]:
        """The faces in a frame; where there is none at this size, a closer look for people further away."""
        found = self.detect(pixels)
        height, width = pixels.shape[:2]
        side, long = min(height, width), max(height, width)
        if found or side < 2 * DETECTOR_SIZE or long < 1.2 * side:
            return found
        tiles = -(-long // side) + 1
        for start in np.linspace(0, long - side, tiles).astype(int).tolist():
            x, y = (start, 0) if width > height else (0, start)
            for seen in self.detect(pixels[y : y + side, x : x + side]):
                x0, y0, x1, y1 = seen.box
                points = seen.points + np.array([x, y], np.float32)
                found.append(Detection((x0 + x, y0 + y, x1 + x, y1 + y), points, seen.score))
        return found

    def landmarks(self, pixels: Pixels, region: Region) -> tuple[Floats, float]:
        """(478, 3) float32 landmarks in frame pixels, and how sure the network is of a face (0..1)."""
        crop_from_frame = region.crop_from_frame(LANDMARK_SIZE)
        crop = warp(pixels, crop_from_frame, LANDMARK_SIZE, LANDMARK_SIZE, "edge", averaged=False)
        out = self._landmarks.run({"image": rgb_planes(crop, 1 / 255)})
        points = np.asarray(out["landmarks"], np.float32)[0]
        frame_from_crop = invert(crop_from_frame)
        placed = np.empty_like(points)
        placed[:, :2] = points[:, :2] @ frame_from_crop[:, :2].T + frame_from_crop[:, 2]
        placed[:, 2] = points[:, 2] * (region.width / LANDMARK_SIZE)
        return placed, float(sigmoid(np.asarray(out["presence"], np.float32))[0])

    def blendshapes(self, landmarks: Floats) -> Floats:
        """(52,) float32 0..1, from landmarks (478, 3) in frame pixels."""
        points = np.ascontiguousarray(landmarks[None, BLENDSHAPE_POINTS, :2], dtype=np.float32)
        out = self._blendshapes.run({"points": points})
        return np.asarray(out["blendshapes"], np.float32).reshape(-1)


def rgb_planes(crop: Pixels, scale: float) -> Floats:
    """(1, 3, S, S) float32, `scale` times the crop's RGB."""
    # Half the time of OpenCV's blobFromImage.
    return np.multiply(crop[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32(scale), order="C")


def anchors(grids: Sequence[tuple[int, int]]) -> Floats:
    """(N, 2) float32: the centres of a detector's cells in 0..1, for square grids of (cells a side, places a cell)."""
    found = []
    for cells, each in grids:
        centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        found.append(np.repeat(grid, each, axis=0))
    return np.concatenate(found).astype(np.float32)


def merge(shapes: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """Detections that overlap as their mean weighted by score (weighted non-maximum suppression).

    `shapes` is (n, 2 + k, 2): two corners, then k points. Each merged one keeps its best score.
    """
    rest = np.argsort(-scores, kind="stable")
    merged = []
    while len(rest):
        best = rest[0]
        overlaps = _overlap(shapes[best, :2], shapes[rest, :2])
        same = rest[overlaps > MAX_OVERLAP]
        same = same if len(same) else rest[:1]
        weights = scores[same] / scores[same].sum()
        merged.append((np.tensordot(weights, shapes[same], axes=1).astype(np.float32), float(scores[best])))
        rest = rest[~np.isin(rest, same)]
    return merged


def _overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box (2, 2) with many (n, 2, 2)."""
    low, high = np.maximum(box[0], boxes[:, 0]), np.minimum(box[1], boxes[:, 1])
    common = np.clip(high - low, 0, None).prod(axis=1)
    union = (box[1] - box[0]).prod() + (boxes[:, 1] - boxes[:, 0]).prod(axis=1) - common
    return np.asarray(common / np.maximum(union, 1e-9), np.float32)


def sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)

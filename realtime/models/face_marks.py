"""Finds the eyes and the mouth of a flat figure: by the face tracker's landmarks, else by a rule on drawn strokes."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Doubles, Pixels
from realtime.models.drawing_mask import Mask
from realtime.models.figure import FaceMarks
from realtime.tracking.face import Face

# MediaPipe's landmarks: an eye's corners, the mouth's corners; left is the person's own.
_EYES = {"l_eye": (362, 263), "r_eye": (33, 133)}
_MOUTH = (61, 291)
LID_ROOM = 0.62  # of an eye's width: its radius with the lids
WORK_PX = 160.0  # of the head's radius, for the rule
LEAST_EYE, MOST_EYE = 0.002, 0.10  # of the head's area


def tracked_marks(face: Face) -> FaceMarks:
    """The marks where the tracker found a face."""
    points = face.landmarks[:, :2].astype(float)
    eyes = {}
    for name, (a, b) in _EYES.items():
        middle, width = (points[a] + points[b]) / 2, float(np.linalg.norm(points[a] - points[b]))
        eyes[name] = (float(middle[0]), float(middle[1]), max(LID_ROOM * width, 1.0))
    left, right = (tuple(points[k].tolist()) for k in _MOUTH)
    return FaceMarks(**eyes, mouth=(left, right))


@dataclass(frozen=True, slots=True, eq=False)
class _Blob:
    """A piece of strokes: its middle, width, height and outermost points, in head radii from the head's middle."""

    middle: Doubles
    size: Doubles
    area: float
    left: Doubles
    right: Doubles


def drawn_marks(colour: Pixels, mask: Mask, head: Doubles) -> FaceMarks | None:
    """The marks of a drawn face: two alike blobs beside each other, and a wide stroke below; None without such eyes."""
    inside = cv2.distanceTransform((mask > 0).astype(np.uint8), cv2.DIST_L2, 5)
    x, y = (int(np.clip(v, 0, n - 1)) for v, n in zip(head, mask.shape[::-1], strict=True))
    radius = float(inside[y, x])
    if radius < 8:
        return None
    blobs = _blobs(colour, mask, head, radius)
    best, pair = -np.inf, None
    for a in blobs:
        for b in blobs:
            apart = b.middle - a.middle
            alike = min(a.area, b.area) / max(a.area, b.area)
            if apart[0] <= 0.25 or apart[0] > 1.4 or abs(apart[1]) > 0.3 or alike < 0.35:
                continue
            if not all(_is_eye(blob) for blob in (a, b)):
                continue
            middle = (a.middle + b.middle) / 2
            worth = alike - 2 * abs(middle[0]) - abs(apart[1]) - abs(middle[1] + 0.1) + 4 * (a.area + b.area)
            if worth > best:
                best, pair = worth, (a, b)
    if pair is None:
        return None
    level = (pair[0].middle[1] + pair[1].middle[1]) / 2
    mouths = [
        blob
        for blob in blobs
        if blob not in pair and level + 0.2 < blob.middle[1] < 0.85 and abs(blob.middle[0]) < 0.3
        and 0.22 < blob.size[0] < 1.4 and blob.size[0] > 1.2 * blob.size[1]
    ]  # fmt: skip

    def placed(point: Doubles) -> tuple[float, float]:
        return float(head[0] + radius * point[0]), float(head[1] + radius * point[1])

    eyes = [(*placed(blob.middle), max(0.62 * float(blob.size.max()), 0.1) * radius) for blob in pair]
    mouth = max(mouths, key=lambda blob: blob.size[0], default=None)
    corners = None if mouth is None else (placed(mouth.left), placed(mouth.right))
    return FaceMarks(r_eye=eyes[0], l_eye=eyes[1], mouth=corners)


def _is_eye(blob: _Blob) -> bool:
    width, height = blob.size
    return bool(
        -0.65 < blob.middle[1] < 0.3 and 0.35 < width / max(height, 1e-6) < 2.8 and LEAST_EYE < blob.area < MOST_EYE
    )


def _blobs(colour: Pixels, mask: Mask, head: Doubles, radius: float) -> list[_Blob]:
    """The pieces of strokes within the head, with what they enclose."""
    scale = min(WORK_PX / radius, 2.0)
    side = round(2 * radius * scale)
    matrix = np.array([[scale, 0, side / 2 - scale * head[0]], [0, scale, side / 2 - scale * head[1]]])
    crop = cv2.warpAffine(colour, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    solid = cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_NEAREST) > 0
    rows, columns = (np.mgrid[:side, :side] - side / 2) / (side / 2)
    face = solid & (np.hypot(rows, columns) < 0.86)
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lab = cv2.GaussianBlur(lab, (0, 0), max(0.012 * side, 0.6))
    skin = np.median(lab[face], axis=0)
    away: npt.NDArray[np.float32] = np.linalg.norm(lab - skin, axis=2)
    limit = max(3.5 * float(np.median(away[face])), 12.0)
    strokes = (face & (away > limit)).astype(np.uint8)
    outlines, _ = cv2.findContours(strokes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = []
    for outline in outlines:
        points = (outline[:, 0].astype(np.float64) - side / 2) / (side / 2)
        low, high = points.min(axis=0), points.max(axis=0)
        if np.hypot(*points.T).max() > 0.84:  # the outline of the head, or hair
            continue
        area = float(cv2.contourArea(outline)) / (np.pi * (side / 2) ** 2)
        found.append(
            _Blob((low + high) / 2, high - low, area, points[points[:, 0].argmin()], points[points[:, 0].argmax()])
        )
    return found

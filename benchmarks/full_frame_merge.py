"""The plain way to put a face back, to measure ours against: the whole frame, in 32-bit floats.

Our own writing of the steps and defaults recorded from DeepFaceLive's CPU merge (bilinear crop, masks
multiplied, eroded by 5 and blurred by 25 on an array padded to three times its side, `rct`, both warped to
the whole frame, float blend), with numpy and OpenCV. It is not DeepFaceLive's program.
"""

import cv2
import numpy as np

from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points
from realtime.imaging.align import crop_from_frame

_ERODE_STEPS = 5 // 2
_BLUR = 25
_CROSS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))


def cut_plainly(pixels: Pixels, landmarks: Points, size: int) -> tuple[Pixels, Matrix]:
    """A whole_face crop of `size`, bilinear whatever the scale, and its `crop_from_frame`."""
    matrix = crop_from_frame(landmarks, "whole_face", size)
    return np.asarray(cv2.warpAffine(pixels, matrix, (size, size)), dtype=np.uint8), matrix


def merge_full_frame(
    pixels: Pixels, crop: Pixels, face: Pixels, masks: tuple[Floats, Floats], crop_from_frame: Matrix
) -> Pixels:
    """The frame with `face` in it: (H, W, 3) uint8 BGR, a new array."""
    size = face.shape[0]
    frame = pixels.astype(np.float32) / 255.0
    mask = np.pad(masks[0] * masks[1], size)
    mask = np.asarray(cv2.erode(mask, _CROSS, iterations=_ERODE_STEPS), dtype=np.float32)
    clear = size + _BLUR // 2
    for border in (np.s_[:clear], np.s_[-clear:], np.s_[:, :clear], np.s_[:, -clear:]):
        mask[border] = 0.0
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.25 * _BLUR), dtype=np.float32)[size:-size, size:-size]
    moved = _rct(face.astype(np.float32) / 255.0, crop.astype(np.float32) / 255.0, mask)
    rows, columns = frame.shape[:2]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    face_there = cv2.warpAffine(moved, crop_from_frame, (columns, rows), flags=flags)
    mask_there = np.clip(cv2.warpAffine(mask, crop_from_frame, (columns, rows), flags=flags), 0.0, 1.0)
    mask_there[mask_there < 1.0 / 255.0] = 0.0
    weight = mask_there[:, :, None]
    mixed = frame * (1.0 - weight) + face_there * weight
    out: Pixels = np.rint(np.clip(mixed, 0.0, 1.0) * 255.0).astype(np.uint8)
    return out


def _rct(face: Floats, like: Floats, mask: Floats) -> Floats:
    outside = mask < 0.5
    means, spreads = [], []
    for picture in (face, like):
        kept = picture.copy()
        kept[outside] = 0.0
        lab = cv2.cvtColor(kept, cv2.COLOR_BGR2LAB).reshape(-1, 3)
        means.append(lab.mean(axis=0))
        spreads.append(lab.std(axis=0))
    lab = (cv2.cvtColor(face, cv2.COLOR_BGR2LAB) - means[0]) * (spreads[1] / spreads[0]) + means[1]
    low, high = np.array([0.0, -127.0, -127.0]), np.array([100.0, 127.0, 127.0])
    within = np.clip(lab, low, high).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(within, cv2.COLOR_LAB2BGR), 0.0, 1.0), dtype=np.float32)

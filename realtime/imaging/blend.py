"""Blends the new face into its frame, on the face's region only.

The steps and defaults are DeepFaceLive's: the masks multiplied, eroded, the crop's border cleared, blurred,
colours transferred, the crop warped back. What differs is the cost: the mask is shaped and the colours are
moved in the small crop, and only the rectangle that the mask reaches in the frame is warped and mixed, in
whole bytes.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points, invert, warp, whole_shift
from realtime.imaging.align import FACE_OVAL
from realtime.imaging.color_transfer import transfer_color

_UNIT_PX = 224  # `Settings` counts `mask_erode` and `mask_blur` in pixels of a crop of this side
_VISIBLE = 1.0 / 255.0  # a mask below this is none (DeepFaceLive's threshold)
_HALF = 0.5  # from here on a pixel is rather the new face's than the driver's
_LEAST_TAKEN = 0.5  # of the driver's face. A working mask takes 60 % and more; one that finds no face takes nothing
_LEAST_BESIDE_HANDS = 0.12  # of the driver's whole face, however much of it a hand covers
_LEAST_OF_CROP = 0.05  # the same of the whole crop, where nobody said what of it is the driver's face
_CROSS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_WIDE_PX = 3.0
# How soft the outline of what lies before the face is, in pixels of a `_UNIT_PX` crop: about as soft as a camera's.
_OUTLINE_SIGMA_PX = 1.2
# Moves that soft outline from the face onto what lies before it: else a rim of glasses has a rim of the driver.
_OUTLINE_GAIN = 1.8
_SHARPEN_SIGMA_PX = 1.2  # the unsharp mask's radius in pixels of a `_UNIT_PX` crop: the finest detail a network draws
_OVAL = np.array(FACE_OVAL)
_TOP, _CHIN = 10, 152

# How far the upper half of the oval is stretched up, in face heights: more would paint skin over the hair.
_FOREHEAD = 0.05
_COARSE = 4  # the region is soft, so it is drawn at a quarter of the size: the cost of a large one is in the blur
_SOFT = 0.02  # the edge's Gaussian sigma, in sides of the crop


@dataclass(frozen=True, slots=True, eq=False)
class Swapped:
    """What a swap network made of one crop.

    `pixels`: (S, S, 3) uint8 BGR, the new face in the crop. `mask`: (S, S) float32 0..1, where the
    new face is; that of a finished one may be smaller. `driver_mask`: the same for the driver's own face, and `visible`
    where of it nothing lies before it, as an outline to cut along; None where the network gives none. `finished`: its
    colours and its sharpness are the frame's already.
    """

    pixels: Pixels
    mask: Floats
    driver_mask: Floats | None = None
    visible: Floats | None = None
    finished: bool = False


class Uncovered(ModelError):
    """The mask would leave the driver's own face showing: a picture that must not go out."""


def blend(
    pixels: Pixels,
    crop: Pixels,
    swapped: Swapped,
    crop_from_frame: Matrix,
    settings: Settings,
    region: Floats | None = None,
) -> Pixels:
    """The frame with the new face in it, a new array; where the mask is 0, every byte is the frame's.

    `pixels` is the frame, `crop` what was cut from it with `crop_from_frame`. `region` is one more mask of
    the swap's size, (S, S) float32 0..1, or None. The swap may be of another size than the crop.
    Raises Uncovered where the mask would leave the driver's own face showing: that is never a result.
    """
    size = swapped.pixels.shape[0]
    if size != crop.shape[0]:
        crop_from_frame = crop_from_frame * (size / crop.shape[0])
        crop = np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    mask = shape_mask(swapped, settings, region)
    _check_covers(mask, region, swapped.visible, settings)
    mask = _fitted(mask, size)
    box = _visible(mask)
    if box is None:
        return pixels.copy()
    x0, y0, x1, y1 = box
    rows, columns = slice(y0, y1), slice(x0, x1)
    part = mask[rows, columns]
    face = swapped.pixels[rows, columns]
    if not swapped.finished:
        face = transfer_color(settings.color_transfer, face, crop[rows, columns], part, of=mask.size)
        if settings.sharpen:
            face = sharpen(face, settings.sharpen, size)
    if settings.opacity < 1.0:
        part = part * np.float32(settings.opacity)
    box_from_frame = crop_from_frame - np.array([[0.0, 0.0, x0], [0.0, 0.0, y0]])
    return paste(pixels, face, part, box_from_frame)


def shape_mask(swapped: Swapped, settings: Settings, region: Floats | None = None) -> Floats:
    """What is taken over, float32 0..1 of the mask's size, soft, 0 at the crop's border; opacity is not in it.

    As DeepFaceLive shapes it: erode by `mask_erode` // 2 pixels (a negative one grows), clear a border of
    `mask_blur` // 2, blur with a Gaussian of sigma `mask_blur` / 4, nothing beyond the crop. Then what lies before
    the face is cut out along its own outline.
    """
    mask = np.ascontiguousarray(swapped.mask, dtype=np.float32)
    for other in (swapped.driver_mask, region):
        if other is not None:
            mask = mask * _fitted(other, mask.shape[0])
    sides = (*mask.shape, *swapped.pixels.shape[:2])
    fits = mask.shape == swapped.pixels.shape[:2] or (swapped.finished and sides == (*sides[:1] * 2, *sides[2:3] * 2))
    if not fits or not math.isfinite(float(mask.sum())):
        raise ModelError(
            f"the swap's mask is {mask.shape} for {swapped.pixels.shape[:2]} pixels, or has values that are "
            "not finite: the model is broken, choose another (masquerade models)"
        )
    size = mask.shape[0]
    scale = size / _UNIT_PX
    if settings.mask_erode:
        times = round(max(1, abs(settings.mask_erode) // 2) * scale)
        change = cv2.erode if settings.mask_erode > 0 else cv2.dilate
        done = change(mask, _CROSS, iterations=times, borderType=cv2.BORDER_CONSTANT, borderValue=(0.0,))
        mask = np.asarray(done, dtype=np.float32)
    clear = max(1, round(settings.mask_blur // 2 * scale))
    inner = np.zeros_like(mask)
    inner[clear:-clear, clear:-clear] = mask[clear:-clear, clear:-clear]
    if settings.mask_blur:
        inner = _blurred(inner, 0.25 * settings.mask_blur * scale)
    if swapped.visible is not None:
        # Eroded and blurred with the rest it would leave a rim of the driver's own face around every hand.
        seen = _blurred(np.ascontiguousarray(swapped.visible, np.float32), _OUTLINE_SIGMA_PX * scale)
        inner = inner * np.minimum(seen * np.float32(_OUTLINE_GAIN), 1.0)
    return inner


def _fitted(mask: Floats, size: int) -> Floats:
    """The mask at (size, size): a fine variant draws larger than the crop that the region was made for."""
    if mask.shape[0] == size:
        return mask
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _blurred(mask: Floats, sigma: float) -> Floats:
    """The mask under a Gaussian of `sigma` pixels, (S, S) as before, nothing beyond its border.

    A wide one is laid over the mask at half its size, in a fifth of the time and equal within 0.0003 (0.004
    at the border): averaging two pixels and interpolating back are a blur of variance 1 themselves.
    """
    rows, columns = mask.shape
    if sigma < _WIDE_PX or rows % 2 or columns % 2:
        soft = cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(soft, dtype=np.float32)
    small = cv2.resize(mask, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    rest = 0.5 * math.sqrt(sigma * sigma - 1.0)
    soft = cv2.GaussianBlur(small, (0, 0), rest, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.resize(soft, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _check_covers(mask: Floats, region: Floats | None, visible: Floats | None, settings: Settings) -> None:
    """Raises Uncovered where too little is taken over for the driver to be hidden.

    What a hand covers need not be taken over, but a mask that finds hands everywhere hides nobody.
    """
    taken = np.count_nonzero(mask * np.float32(settings.opacity) >= _HALF)
    whole = mask.size if region is None else np.count_nonzero(_fitted(region, mask.shape[0]) >= _HALF)
    shown = whole
    if region is not None and visible is not None:
        shown = np.count_nonzero(_fitted(region, mask.shape[0]) * visible >= _HALF)
    least = _LEAST_OF_CROP * whole if region is None else max(_LEAST_TAKEN * shown, _LEAST_BESIDE_HANDS * whole)
    if taken <= least:
        raise Uncovered(
            f"the new face covers only {taken} of {shown} pixels, so the driver's own would show: "
            f"lower mask_erode ({settings.mask_erode}) and mask_blur ({settings.mask_blur}), "
            f"raise opacity ({settings.opacity:g}), or choose another model"
        )


def sharpen(face: Pixels, percent: int, size: int) -> Pixels:
    """The face with its fine detail raised by `percent` (an unsharp mask), a new array.

    `size` is the side of the whole crop that the face is a part of: it sets what counts as fine.
    """
    sigma = max(_SHARPEN_SIGMA_PX * size / _UNIT_PX, 0.3)
    side = 2 * math.ceil(2.0 * sigma) + 1
    soft = cv2.GaussianBlur(face, (side, side), sigma)
    amount = percent / 100.0
    return np.asarray(cv2.addWeighted(face, 1.0 + amount, soft, -amount, 0.0), dtype=np.uint8)


def paste(pixels: Pixels, face: Pixels, mask: Floats, face_from_frame: Matrix) -> Pixels:
    """The frame with `face` mixed in by `mask`, a new array.

    `face` is (H, W, 3) uint8, `mask` (H, W) float32 0..1 of the same size, both placed by `face_from_frame`.
    """
    out = pixels.copy()
    frame_from_face = invert(face_from_frame)
    reach = _reach(mask.shape[1], mask.shape[0], frame_from_face, pixels.shape[1], pixels.shape[0])
    if reach is None:
        return out
    x0, y0, x1, y1 = reach
    shift = whole_shift(frame_from_face)
    if shift is not None:  # nothing is to be resampled
        x, y = shift
        x0, y0 = max(x0, -x), max(y0, -y)
        x1, y1 = min(x1, mask.shape[1] - x), min(y1, mask.shape[0] - y)
        here, there = np.s_[y0 + y : y1 + y, x0 + x : x1 + x], np.s_[y0:y1, x0:x1]
        if x1 > x0 and y1 > y0:
            share = np.ascontiguousarray(mask[here])
            new, old = np.ascontiguousarray(face[here]), np.ascontiguousarray(pixels[there])
            out[there] = cv2.blendLinear(new, old, share, np.float32(1) - share)
        return out
    # One warp for face and mask: four float channels take a third of the time of three bytes and a float. The face
    # is weighted before it grows, where it is small.
    four = np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2BGRA)).astype(np.float32)  # its fourth channel is 255
    four = np.asarray(cv2.multiply(four, cv2.merge([mask, mask, mask, mask])), dtype=np.float32)
    to_reach = frame_from_face - np.array([[0.0, 0.0, x0], [0.0, 0.0, y0]])
    placed = cv2.convertScaleAbs(warp(four, to_reach, x1 - x0, y1 - y0))
    rest = cv2.cvtColor(cv2.bitwise_not(cv2.extractChannel(placed, 3)), cv2.COLOR_GRAY2BGR)
    old = out[y0:y1, x0:x1]
    cv2.multiply(old, rest, dst=old, scale=1.0 / 255.0)
    cv2.add(old, cv2.cvtColor(placed, cv2.COLOR_BGRA2BGR), dst=old)
    return out


Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1), the upper end not included."""


def _visible(mask: Floats) -> Box | None:
    """Where the mask can be seen, with one pixel more on each side for it to fade out; None where nowhere."""
    x, y, w, h = cv2.boundingRect(np.asarray(mask >= _VISIBLE, dtype=np.uint8))
    if w == 0 or h == 0:
        return None
    return max(x - 1, 0), max(y - 1, 0), min(x + w + 1, mask.shape[1]), min(y + h + 1, mask.shape[0])


def _reach(width: int, height: int, frame_from_face: Matrix, frame_width: int, frame_height: int) -> Box | None:
    """The part of the frame that a (height, width) face touches; None where they do not meet."""
    corners = np.array([(x, y, 1.0) for x in (-1, width) for y in (-1, height)]) @ frame_from_face.T
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    x0, y0 = max(math.floor(left), 0), max(math.floor(top), 0)
    x1, y1 = min(math.ceil(right) + 1, frame_width), min(math.ceil(bottom) + 1, frame_height)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def oval_mask(landmarks: Points, crop_from_frame: Matrix, size: int) -> Floats:
    """The driver's face with its forehead, (size, size) float32 0..1, soft at the edge.

    `landmarks` is (478, 3) in frame pixels. The region is convex, so that a turned head, whose outline folds
    over itself, leaves no hole. All zero where the face lies beside the crop.
    """
    points = np.asarray(landmarks, dtype=np.float64)[:, :2] @ crop_from_frame[:, :2].T + crop_from_frame[:, 2]
    up = points[_TOP] - points[_CHIN]
    height = max(float(np.hypot(*up)), 1e-6)
    oval = points[_OVAL]
    middle = 0.5 * (points[_TOP] + points[_CHIN])
    # 0 at the middle and below, 1 at the top of the forehead.
    rise = np.clip((oval - middle) @ up / (0.5 * height * height), 0.0, 1.0)
    oval = oval + (_FOREHEAD * rise)[:, None] * up
    coarse = max(size // _COARSE, 1)
    # Crop coordinate x is the centre of pixel x; cv2 takes 1/16 pixels with `shift`.
    scaled = ((oval + 0.5) * (coarse / size) - 0.5) * 16.0
    hull = cv2.convexHull(np.clip(scaled, -(2**20), 2**20).astype(np.int32))
    drawn = np.zeros((coarse, coarse), dtype=np.uint8)
    cv2.fillConvexPoly(drawn, hull, 255, lineType=cv2.LINE_AA, shift=4)
    hard = np.multiply(drawn, np.float32(1.0 / 255.0), dtype=np.float32)
    soft = cv2.GaussianBlur(hard, (0, 0), max(_SOFT * coarse, 0.3), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)

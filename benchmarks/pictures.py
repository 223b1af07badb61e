"""What can be measured on the pictures themselves: flicker, likeness, what lies outside the mask."""

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.face_swap.effect import Swapper
from realtime.frame import Pixels
from realtime.imaging.affine import cut, invert, warp
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped, shape_mask
from realtime.imaging.masks import oval_mask
from realtime.settings import Settings
from realtime.tracking.face import Face

Reals = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

FLOW_WIDTH = 256
"""Flow is found on the face's box at this width: finer, it follows the camera's noise."""

LIKENESS_PX = 64

INNER = 0.7
"""The face's inside: its outline drawn in to this share, so that eyes and mouth are in it."""


class Flicker:
    """The warping error of several videos that share their motion (Lai and others, ECCV 2018).

    For each pair of frames the flow of the driver's video takes the later picture onto the earlier
    one; what then differs, where the flow can be trusted, did not come from motion. Squared over
    three channels of 0..1, averaged over pixels, then over pairs.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._before: tuple[Pixels, dict[str, Pixels]] | None = None
        self._errors: dict[str, list[float]] = {name: [] for name in names}

    def skip(self) -> None:
        """The next frame does not follow the last one."""
        self._before = None

    def add(self, driver: Pixels, pictures: Mapping[str, Pixels], box: tuple[int, int, int, int]) -> None:
        """One moment of all videos; errors count in `box`, where the first video is not the driver."""
        before, self._before = self._before, (driver, dict(pictures))
        if before is None:
            return
        old, new = _small(before[0], box), _small(driver, box)
        grey_old, grey_new = _grey(old), _grey(new)
        forward, backward = self._motion(grey_old, grey_new), self._motion(grey_new, grey_old)
        grid = _grid(forward.shape)
        trusted = _consistent(forward, backward, grid)
        names = list(self._errors)
        seen = {name: (_small(before[1][name], box), _small(pictures[name], box)) for name in names}
        # Where the swap changed nothing there is nothing to blame it for.
        first = seen[names[0]]
        trusted &= (first[0] != old).any(axis=2) | (first[1] != new).any(axis=2)
        if trusted.sum() < 100:
            return
        for name, (earlier, later) in seen.items():
            off = (_drawn_back(later.astype(np.float32), grid + forward) - earlier) / 255.0
            self._errors[name].append(float((off**2).sum(axis=2)[trusted].mean()))

    def _motion(self, old: npt.NDArray[np.uint8], new: npt.NDArray[np.uint8]) -> Floats:
        """(H, W, 2): by how many pixels what is in `old` lies elsewhere in `new`."""
        fresh = np.zeros((*old.shape, 2), np.float32)
        return np.asarray(self._flow.calc(old, new, fresh), dtype=np.float32)

    def errors(self) -> dict[str, float | None]:
        """E_warp by video; None before two frames came."""
        return {name: float(np.mean(found)) if found else None for name, found in self._errors.items()}


def _small(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    x0, y0, x1, y1 = box
    height = max(8, round(FLOW_WIDTH * (y1 - y0) / (x1 - x0)))
    resized = cv2.resize(pixels[y0:y1, x0:x1], (FLOW_WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def _grey(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def _grid(shape: tuple[int, ...]) -> Floats:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.stack([x, y], axis=2).astype(np.float32)


def _drawn_back(later: Floats, at: Floats) -> Floats:
    """`later` looked up at the positions `at` (H, W, 2), x first."""
    x, y = np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
    return np.asarray(cv2.remap(later, x, y, cv2.INTER_LINEAR), dtype=np.float32)


def _consistent(forward: Floats, backward: Floats, grid: Floats) -> Bools:
    """Where going there and back returns: the bound is Ruder and others' (2016), which Lai uses."""
    back = _drawn_back(backward, grid + forward)
    miss = ((forward + back) ** 2).sum(axis=2)
    size = (forward**2).sum(axis=2) + (back**2).sum(axis=2)
    inside = (grid + forward >= 0).all(axis=2) & (grid + forward < forward.shape[1::-1]).all(axis=2)
    trusted: Bools = (miss <= 0.01 * size + 0.5) & inside
    return trusted


def face_box(face: Face, size: tuple[int, int], margin: float) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) around a face with `margin` of its sides, in the picture; None where there is none."""
    x0, y0, x1, y1 = face.box
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    left, top = max(0, int(x0 - dx)), max(0, int(y0 - dy))
    right, bottom = min(size[0], int(x1 + dx) + 1), min(size[1], int(y1 + dy) + 1)
    return (left, top, right, bottom) if right - left >= 16 and bottom - top >= 16 else None


def portrait(pixels: Pixels, face: Face) -> Floats:
    """The face upright in 64x64, grey, without its mean and contrast: (4096,), of length 1.

    So neither light nor colour count in a product of two. Only the middle of the face is in it.
    """
    matrix = crop_from_frame(face.landmarks, "full", LIKENESS_PX, coverage=1.1)
    grey = _grey(cut(pixels, matrix, LIKENESS_PX, "edge")).astype(np.float32).ravel()
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def mean_portrait(portraits: list[Floats]) -> Floats:
    """The average of portraits, of length 1."""
    mean = np.mean(portraits, axis=0, dtype=np.float32)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-6), dtype=np.float32)


def steadiness(portraits: list[Floats]) -> dict[str, float | None]:
    """Correlation of each portrait with their mean: its mean and lowest twentieth. 1 is one still face."""
    if not portraits:
        return {"mean": None, "p05": None}
    likeness = np.stack(portraits) @ mean_portrait(portraits)
    return {"mean": round(float(likeness.mean()), 4), "p05": round(float(np.percentile(likeness, 5)), 4)}


def drawn_masks(
    frame: Pixels, face: Face, swapped: Swapped, swapper: Swapper, settings: Settings
) -> tuple[Floats, Floats]:
    """What the blend takes over of the frame, and the crop's square in it: each (H, W) float32 0..1.

    The mask is shaped by the blend's own code but placed here; the square depends on the landmarks alone.
    """
    height, width = frame.shape[:2]
    size = swapped.pixels.shape[0]
    matrix, region = _crop_of(face, swapped, swapper)
    back = invert(matrix)
    mask = warp(shape_mask(swapped, settings, region), back, width, height) * np.float32(settings.opacity)
    return mask, warp(np.ones((size, size), np.float32), back, width, height)


def network_masks(frame: Pixels, face: Face, swapped: Swapped, swapper: Swapper) -> dict[str, Floats]:
    """What the network itself says, before the blend erodes and softens it: each (H, W) float32 0..1.

    `both` is what the swap would take over, the product of its masks; `driver` the driver's face alone, where the
    network draws it.
    """
    height, width = frame.shape[:2]
    back = invert(_crop_of(face, swapped, swapper)[0])
    mask = np.ascontiguousarray(swapped.mask, dtype=np.float32)
    own = swapped.visible if swapped.driver_mask is None else swapped.driver_mask
    if own is None:
        return {"both": warp(mask, back, width, height)}
    driver = np.ascontiguousarray(own, dtype=np.float32)
    return {"both": warp(mask * driver, back, width, height), "driver": warp(driver, back, width, height)}


def _crop_of(face: Face, swapped: Swapped, swapper: Swapper) -> tuple[npt.NDArray[np.float64], Floats]:
    """(crop_from_frame at the swap's size, the face's oval in the crop at the swapper's)."""
    size = swapped.pixels.shape[0]
    # The engine cuts the crop at the swapper's size, and the blend scales it to the swap's.
    matrix = crop_from_frame(face.landmarks, swapper.face_type, swapper.size, coverage=swapper.coverage)
    region = oval_mask(face.landmarks, matrix, swapper.size)
    return (matrix if size == swapper.size else matrix * (size / swapper.size)), region


def beyond(driver: Pixels, output: Pixels, mask: Floats, square: Floats) -> tuple[int, int]:
    """(largest change where the mask is nothing, largest outside the square), in levels of 0..255."""
    changed = cv2.absdiff(driver, output).max(axis=2)
    # A mask under half a level of 255 is nothing in whole bytes.
    return _largest(changed[mask < 0.4 / 255]), _largest(changed[square == 0])


def _largest(values: npt.NDArray[np.uint8]) -> int:
    return int(values.max()) if values.size else 0


def share_hidden(mask: Floats, face: Face, seen: Bools | None = None) -> float:
    """How much of the face's inside, 0..1, is taken over by nine tenths or more.

    `seen`, where it is known, (H, W), is what of the face nothing stands before: the rest doesn't count.

    A swap that lets the driver show through acts perfectly, because the driver is what one reads.
    """
    points = face.landmarks[:, :2]
    middle = points.mean(axis=0)
    inner = np.rint(middle + INNER * (points - middle)).astype(np.int32)
    inside = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(inner), 1)
    within = mask[inside > 0 if seen is None else (inside > 0) & seen]
    return float((within >= 0.9).mean()) if within.size else 0.0


def reencoded(pixels: Pixels) -> Pixels:
    """The picture after JPEG at quality 75: the same face with other noise, for a reader's own error."""
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)

"""What a swap takes over of the picture: masks against rendered truth, hidden faces, and changes outside the mask."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import JoinedPictures
from benchmarks.metrics import Bools, Floats, MeasuredFrame, Missing, Reals, mean
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.face_swap.effect import Swapper
from realtime.frame import Pixels
from realtime.imaging.affine import invert, warp
from realtime.imaging.blend import Swapped, oval_mask, shape_mask
from realtime.imaging.resize import letterbox
from realtime.tracking.face import Face

INNER = 0.7
"""The face's inside: its outline drawn in to this share, so that eyes and mouth are in it."""

LEAST_PX = 64
"""A face of fewer true pixels is as good as hidden."""


def open_truth(clip: Path) -> "MaskTruth | Missing":
    """The comparison with the truth that lies beside this clip, or the reason why there is none."""
    path = clip.with_suffix(".npz")
    return MaskTruth(path) if path.is_file() else Missing("mask", f"no rendered truth: {path.name} is not there")


class MaskTruth:
    """Intersection over union with the face's true region (Everingham and others, 2010), a half and more being in.

    Of the network's own masks, before the blend erodes and softens them, and of what was really taken over.
    Frames with less than `LEAST_PX` of true face don't count.
    """

    key = "mask"

    def __init__(self, path: Path) -> None:
        self._masks = JoinedPictures(path, "mask_png")
        self._found: dict[str, list[tuple[float, float, float]]] = {"both": [], "driver": [], "taken_over": []}

    def true(self, number: int, shape: tuple[int, ...]) -> Bools:
        """Where frame `number` shows the face, (H, W). Raises ConfigError past the truth's end."""
        if number >= len(self._masks):
            raise ConfigError(f"the truth has {len(self._masks)} masks, and the clip more frames: make the file again")
        three = cv2.cvtColor(self._masks.read(number, cv2.IMREAD_GRAYSCALE), cv2.COLOR_GRAY2BGR)
        fitted = letterbox(np.ascontiguousarray(three, dtype=np.uint8), (shape[1], shape[0]))
        return np.asarray(fitted[:, :, 0] >= 128)

    def see(self, frame: MeasuredFrame) -> None:
        if frame.mask is None:
            return
        true = self.true(frame.seq, frame.mask.shape)
        if true.sum() < LEAST_PX:
            return
        for name, mask in {**frame.network_masks, "taken_over": frame.mask}.items():
            self._found[name].append(overlap(mask >= 0.5, true))

    def figures(self) -> dict[str, Any]:
        """Means over the frames, and the lowest twentieth of the overlap."""
        if not self._found["both"]:
            return {"missing": "no frame had both a true face and an output"}
        iou, spilled, left_out = np.array(self._found["both"]).T
        return {
            "iou": mean(iou),
            "iou_p05": round(float(np.percentile(iou, 5)), 4),
            **{f"iou_{name}": mean([one[0] for one in self._found[name]]) for name in ("driver", "taken_over")},
            "spilled": mean(spilled),
            "left_out": mean(left_out),
            "frames": len(iou),
        }


def overlap(drawn: Bools, true: Bools) -> tuple[float, float, float]:
    """(both over either, share of `drawn` outside `true`, share of `true` outside `drawn`). `true` has pixels."""
    both, either = int((drawn & true).sum()), int((drawn | true).sum())
    return both / either, 1 - both / max(int(drawn.sum()), 1), 1 - both / int(true.sum())


def drawn_masks(
    frame: Pixels, face: Face, swapped: Swapped, swapper: Swapper, settings: Settings
) -> tuple[Floats, Floats]:
    """What the blend takes over of the frame, and the crop's square in it: each (H, W) float32 0..1."""
    height, width = frame.shape[:2]
    matrix, region = _crop_of(face, swapped, swapper)
    back = invert(matrix)
    mask = warp(_large(shape_mask(swapped, settings, region), swapped), back, width, height)
    mask = mask * np.float32(settings.opacity)
    return mask, warp(np.ones(swapped.pixels.shape[:2], np.float32), back, width, height)


def network_masks(frame: Pixels, face: Face, swapped: Swapped, swapper: Swapper) -> dict[str, Floats]:
    """The network's own masks, before the blend erodes and softens them: each (H, W) float32 0..1.

    `both`: the product of its masks; `driver`: the driver's face alone, where the network draws it.
    """
    height, width = frame.shape[:2]
    back = invert(_crop_of(face, swapped, swapper)[0])
    mask = _large(swapped.mask, swapped)
    own = swapped.visible if swapped.driver_mask is None else swapped.driver_mask
    if own is None:
        return {"both": warp(mask, back, width, height)}
    driver = _large(own, swapped)
    return {"both": warp(mask * driver, back, width, height), "driver": warp(driver, back, width, height)}


def _crop_of(face: Face, swapped: Swapped, swapper: Swapper) -> tuple[Reals, Floats]:
    """(crop_from_frame at the swap's size, the face's oval in the crop at the swapper's)."""
    # The engine cuts the crop at the swapper's size, and the blend scales it to the swap's.
    matrix, size = swapper.crop(face.landmarks)
    return matrix * (swapped.pixels.shape[0] / size), oval_mask(face.landmarks, matrix, size)


def _large(mask: Floats, swapped: Swapped) -> Floats:
    """A mask at the size of the swap's pixels."""
    size = swapped.pixels.shape[1::-1]
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.float32)


def beyond(driver: Pixels, output: Pixels, mask: Floats, square: Floats) -> tuple[int, int]:
    """(largest change where the mask is nothing, largest outside the square), in levels of 0..255."""
    changed = cv2.absdiff(driver, output).max(axis=2)
    # A mask under half a level of 255 is nothing in whole bytes.
    return int(changed[mask < 0.4 / 255].max(initial=0)), int(changed[square == 0].max(initial=0))


def share_hidden(mask: Floats, face: Face, visible: Bools | None = None) -> float:
    """How much of the face's inside, 0..1, is taken over by nine tenths or more.

    `visible` (H, W), where it is known, is what of the face nothing stands before. A swap that lets the driver show
    through acts perfectly, because the driver is what one reads.
    """
    points = face.landmarks[:, :2]
    middle = points.mean(axis=0)
    inner = np.rint(middle + INNER * (points - middle)).astype(np.int32)
    inside = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(inner), 1)
    within = mask[inside > 0 if visible is None else (inside > 0) & visible]
    return float((within >= 0.9).mean()) if within.size else 0.0

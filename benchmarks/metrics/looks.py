"""How a swapped face looks: its detail, its likeness to the truth, its seam, and how steady its texture is.

A rendered clip may hold the truth: `truth_jpg` with `truth_jpg_offsets`, the identity itself in the driver's place, in
the same light and before the same camera. Output and truth are each cut out along their own landmarks, so that a face
that sits a little lower is not called another.
"""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import JoinedPictures
from benchmarks.metrics import Bools, Floats, MeasuredFrame, mean
from benchmarks.metrics.likeness import ciede2000, gradient_energy, grey, lab, ssim
from realtime.families.motion.mesh.head import EYES, OUTER_LIPS, OVAL
from realtime.frame import Frame, Pixels
from realtime.imaging.affine import Matrix, cut, warp
from realtime.imaging.align import crop_from_frame
from realtime.imaging.resize import letterbox
from realtime.tracking.face import Face

SIDE, COVERAGE = 256, 1.45
EVERY = 4  # of the frames one is looked at, and the one after it
HALF_SHUT = (0.25, 0.75)  # of a lid's reading
REGIONS = ("skin", "eyes", "mouth", "brows")
_BROWS = (
    np.array([70, 63, 105, 66, 107, 55, 65, 52, 53, 46]),
    np.array([300, 293, 334, 296, 336, 285, 295, 282, 283, 276]),
)
_BAND_PX = 6
_ONE_SKIN = 8.0  # CIEDE2000 across a line: less is skin on both sides, more is hair, a collar or the wall
_CALM = 0.95  # of a region's pixels: the steepest are edges of hair and of what is held before a face
_LIDS = (10, 9)
_COARSE = 2.0  # sigma in pixels: what is finer is texture

Reader = Callable[[Frame], Face | None]


class Looks:
    """Compares the output with the driver, and with the truth where there is one; `by_truth` reads its faces."""

    key = "looks"

    def __init__(self, truth: JoinedPictures | None = None, by_truth: Reader | None = None) -> None:
        self._truth, self._by_truth = truth, by_truth
        self._kept: dict[str, list[float]] = defaultdict(list)
        self._last: dict[str, tuple[int, Floats]] = {}

    def see(self, frame: MeasuredFrame) -> None:
        """One frame; those in which nothing was taken over, or no face is read, don't count."""
        face = frame.output
        if frame.seq % EVERY > 1 or frame.mask is None or frame.face is None or face is None:
            return
        matrix = _crop(face)
        shown, points = cut(frame.pictures["output"], matrix, SIDE), _in(face, matrix)
        taken = warp(frame.mask, matrix, SIDE, SIDE, "black") > 0.5
        regions = {name: part & taken for name, part in _regions(points).items()}
        beside = _crop(frame.face)
        driver, driven = cut(frame.pictures["driver"], beside, SIDE), _regions(_in(frame.face, beside))
        self._textures(frame.seq, {"output": (shown, regions["skin"]), "driver": (driver, driven["skin"])})
        if frame.seq % EVERY:
            return
        inside = np.logical_or.reduce(list(regions.values()))
        whole = np.logical_or.reduce(list(driven.values()))
        if inside.sum() < 500 or whole.sum() < 500:
            return
        self._kept["sharp_output"].append(float(gradient_energy(grey(shown))[inside].mean()))
        self._kept["sharp_driver"].append(float(gradient_energy(grey(driver))[whole].mean()))
        self._seam(shown, cut(frame.pictures["driver"], matrix, SIDE), taken, points)
        if self._truth is not None and frame.seq < len(self._truth):
            self._against_truth(frame, shown, regions, inside)

    def _against_truth(self, frame: MeasuredFrame, shown: Pixels, regions: dict[str, Bools], inside: Bools) -> None:
        assert self._truth is not None
        assert self._by_truth is not None
        height, width = frame.pictures["driver"].shape[:2]
        pixels = letterbox(self._truth.read(frame.seq, cv2.IMREAD_COLOR), (width, height))
        face = self._by_truth(Frame(pixels, frame.seq, 0, frame.seq / 25.0))
        if face is None:
            return
        matrix = _crop(face)
        true = cut(pixels, matrix, SIDE)
        own = _regions(_in(face, matrix))
        luma, true_luma = grey(shown), grey(true)
        energy, true_energy = gradient_energy(luma), gradient_energy(true_luma)
        likeness, away = ssim(luma, true_luma), np.abs(shown.astype(np.float32) - true).mean(axis=2)
        for name in REGIONS:
            both = regions[name] & own[name] if name == "skin" else regions[name] | own[name] & inside
            if both.sum() < 20:
                continue
            self._kept[f"energy_{name}"].append(_calm_sum(energy[both]))
            self._kept[f"true_energy_{name}"].append(_calm_sum(true_energy[both]))
            self._kept[f"ssim_{name}"].append(float(likeness[both].mean()))
        self._kept["ssim"].append(float(likeness[inside].mean()))
        self._kept["l1"].append(float(away[inside].mean()))
        skin = regions["skin"] & own["skin"]
        if skin.sum() > 100:
            self._kept["face_de"].append(float(ciede2000(lab(shown[skin])[::4], lab(true[skin])[::4]).mean()))
        lids = float(face.blendshapes[list(_LIDS)].mean())
        eyes = regions["eyes"] | own["eyes"] & inside
        if eyes.sum() >= 20:
            half = HALF_SHUT[0] < lids < HALF_SHUT[1]
            self._kept["half_shut" if half else "not_half_shut"].append(float(likeness[eyes].mean()))

    def _seam(self, shown: Pixels, driver: Pixels, taken: Bools, points: Floats) -> None:
        """Colours on both sides of the mask's edge, below the eyes, where the driver's own are alike: both are skin."""
        mask = taken.astype(np.uint8)
        near, far = (np.ones((n, n), np.uint8) for n in (3, 2 * _BAND_PX + 1))
        inner = (cv2.erode(mask, near) > 0) & (cv2.erode(mask, far) == 0)
        outer = (cv2.dilate(mask, near) == 0) & (cv2.dilate(mask, far) > 0)
        eyes = float(points[[e.iris for e in EYES], 1].mean())
        y, x = np.mgrid[:SIDE, :SIDE]
        centre = points[OVAL, :2].mean(axis=0)
        sector = ((np.arctan2(y - centre[1], x - centre[0]) + np.pi) / (2 * np.pi) * 24).astype(int)
        found = []
        for number in range(24):
            here = (sector == number) & (y > eyes)
            one, two = inner & here, outer & here
            if one.sum() > 15 and two.sum() > 15 and _apart(driver, one, two) < _ONE_SKIN:
                found.append(_apart(shown, one, two))
        if found:
            self._kept["seam_de"].append(float(np.median(found)))

    def _textures(self, seq: int, pictures: dict[str, tuple[Pixels, Bools]]) -> None:
        """How much of the skin's texture is another in the next frame: 0 nothing, 1 all of it."""
        for name, (pixels, skin) in pictures.items():
            luma = grey(pixels)
            fine = luma - cv2.GaussianBlur(luma, (0, 0), _COARSE)
            before = self._last.get(name)
            if before is not None and before[0] == seq - 1 and skin.sum() > 200:
                whole = float((fine[skin] ** 2).mean() + (before[1][skin] ** 2).mean())
                self._kept[f"texture_{name}"].append(float(((fine - before[1])[skin] ** 2).mean()) / max(whole, 1e-6))
            self._last[name] = seq, np.asarray(fine, np.float32)

    def figures(self) -> dict[str, Any]:
        kept = self._kept
        if not kept["sharp_output"]:
            return {"missing": "no frame was taken over"}
        made = {
            "frames": len(kept["sharp_output"]),
            "sharpness": _of(kept["sharp_output"], kept["sharp_driver"]),
            "seam_de": mean(kept["seam_de"]),
            "texture_change": mean(kept["texture_output"]),
            "texture_change_of_driver": mean(kept["texture_driver"]),
        }
        if not kept["ssim"]:
            return made
        return made | {
            "energy": {name: _of(kept[f"energy_{name}"], kept[f"true_energy_{name}"]) for name in REGIONS},
            "ssim": mean(kept["ssim"]),
            "ssim_by_region": {name: mean(kept[f"ssim_{name}"]) for name in REGIONS},
            "l1": mean(kept["l1"]),
            "face_de": mean(kept["face_de"]),
            "half_blinks": {
                "frames": len(kept["half_shut"]),
                "ssim": mean(kept["half_shut"]),
                "ssim_else": mean(kept["not_half_shut"]),
            },
        }


def true_pictures(clip: Path) -> JoinedPictures | None:
    """The identity itself in the driver's place, frame by frame, where the `.npz` beside a clip holds it."""
    file = clip.with_suffix(".npz")
    if not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as stored:
        there = "truth_jpg" in stored.files
    return JoinedPictures(file, "truth_jpg") if there else None


def _of(values: list[float], unit: list[float]) -> float | None:
    return round(sum(values) / sum(unit), 3) if sum(unit) > 0 else None


def _calm_sum(values: Floats) -> float:
    return float(np.sort(values)[: int(_CALM * len(values))].sum())


def _apart(pixels: Pixels, one: Bools, two: Bools) -> float:
    """CIEDE2000 between the mean colours of two places."""
    return float(ciede2000(lab(pixels[one]).mean(axis=0), lab(pixels[two]).mean(axis=0)))


def _crop(face: Face) -> Matrix:
    return crop_from_frame(face.landmarks, "whole_face", SIDE, coverage=COVERAGE)


def _in(face: Face, matrix: Matrix) -> Floats:
    """(478, 2) landmarks in a crop."""
    return np.asarray(face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _regions(points: Floats) -> dict[str, Bools]:
    """Where a crop shows skin, eyes, mouth and brows, (SIDE, SIDE) each."""

    def drawn(*rings: Any, grow: int = 0) -> Bools:
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for ring in rings:
            cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[ring, :2]).astype(np.int32)), 1)
        if grow:
            mask = np.asarray(cv2.dilate(mask, np.ones((grow, grow), np.uint8)), np.uint8)
        return np.asarray(mask > 0)

    eyes, mouth = drawn(*(np.r_[eye.ring, eye.crease] for eye in EYES), grow=3), drawn(OUTER_LIPS, grow=3)
    brows = drawn(*_BROWS, grow=5) & ~eyes
    oval = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(oval, [np.rint(points[OVAL, :2]).astype(np.int32)], 1)
    skin = (cv2.erode(oval, np.ones((13, 13), np.uint8)) > 0) & ~(eyes | mouth | brows)
    return {"skin": skin, "eyes": eyes, "mouth": mouth, "brows": brows}

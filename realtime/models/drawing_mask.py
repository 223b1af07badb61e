"""Cuts the figure out of a flat picture: by its transparency, off even paper, or, of a photograph, by its colours."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from realtime.errors import ConfigError
from realtime.frame import Doubles, Pixels

Mask = npt.NDArray[np.uint8]
"""(H, W), 255 where the figure is."""

WORK_PX = 640  # of the longer side: paper and strokes are told apart at this size
PAPER_SIGMAS, LEAST_CONTRAST = 5.0, 11.0  # how far a stroke's colour (L*a*b*) is from the paper's around it
GAP_PX = 5  # of an outline at the working size: smaller gaps are closed before the inside is filled
COLOURED = 0.45  # a figure with less bare paper inside is coloured in
LEAST_GAP, GAP_DEPTH = 0.001, 0.035  # of the figure's area, and of its height from the outside
RIM_PX = 2  # around strokes: their soft edges belong to the figure
LEAST_SHARE, MOST_SHARE = 0.004, 0.90  # of the picture: a mask of another size is none
GRABCUT_ROUNDS = 4


Bones = Sequence[tuple[Doubles, Doubles, float]]
"""Somebody's bones in a picture: both ends, and half of how thick the limb is, as a share of the body's height."""


def figure_mask(colour: Pixels, alpha: Mask | None, bones: Bones | None = None) -> Mask:
    """Where the figure is, (H, W).

    `bones`: of somebody seen in the picture, whose colours tell them from what is behind. Raises ConfigError where no
    figure stands out.
    """
    if alpha is not None:
        return _largest((alpha > 127).astype(np.uint8) * 255)
    mask = _by_colours(colour, bones) if bones is not None else _off_paper(colour)
    share = float((mask > 0).mean())
    if not LEAST_SHARE < share < MOST_SHARE:
        raise ConfigError(
            "no figure stands out from what is behind it: take a picture before a plain wall or on plain paper, "
            "or one with transparency"
        )
    return mask


def _off_paper(colour: Pixels) -> Mask:
    """What differs from the paper, which may be lit unevenly, and what that encloses."""
    height, width = colour.shape[:2]
    scale = min(WORK_PX / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = cv2.resize(colour, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2Lab), np.float32)
    away = _distance_from_paper(lab)
    noise = float(np.median(away))
    strokes = (away > max(PAPER_SIGMAS * noise, LEAST_CONTRAST)).astype(np.uint8)
    strokes = np.asarray(cv2.morphologyEx(strokes, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)
    closed = np.asarray(cv2.morphologyEx(_without_desk(strokes), cv2.MORPH_CLOSE, _disc(GAP_PX)), np.uint8)
    filled = _grown(_without_gaps(_filled(closed), closed), RIM_PX)
    return _largest(
        np.asarray(cv2.resize(_largest(filled * 255), (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    )


def _distance_from_paper(lab: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(H, W): how far each colour is from the paper's there: a smooth surface through what is bright and alike."""
    height, width = lab.shape[:2]
    ys, xs = np.mgrid[0:height, 0:width] / max(height, width) - 0.5
    terms = np.stack([np.ones_like(xs), xs, ys, xs * ys, xs * xs, ys * ys], -1).reshape(-1, 6)
    flat = lab.reshape(-1, 3).astype(np.float64)
    paper = flat[:, 0] >= np.percentile(flat[:, 0], 40)
    away = np.zeros(len(flat))
    for _ in range(8):
        some = np.flatnonzero(paper)[:: max(int(paper.sum()) // 20_000, 1)]
        fit, *_ = np.linalg.lstsq(terms[some], flat[some], rcond=None)
        away = np.linalg.norm((flat - terms @ fit) * (1, 1.4, 1.4), axis=1)
        paper = away < max(2.5 * float(np.median(away[some])), 3.0)
        if paper.mean() < 0.05:
            break
    return away.reshape(height, width).astype(np.float32)


def _without_desk(strokes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Without what reaches the picture's rim and is no more than that: the desk around the paper."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    height, width = strokes.shape
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    middle = labels[height // 6 : -height // 6, width // 6 : -width // 6]
    kept = strokes.copy()
    for label in rim[rim > 0].tolist():
        inside = float((middle == label).sum()) / max(int(stats[label, cv2.CC_STAT_AREA]), 1)
        if inside < 0.5 and count > 2:
            kept[labels == label] = 0
    return kept


def _filled(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """With all that cannot be reached from the picture's rim."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    outside = framed.copy()
    cv2.floodFill(outside, None, (0, 0), 1)
    return np.asarray(((framed > 0) | (outside == 0))[1:-1, 1:-1], np.uint8)


def _without_gaps(filled: npt.NDArray[np.uint8], strokes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Without bare paper between limbs that touch. In a figure that is coloured in, that is what is enclosed, bare and
    near the outside: eyes are deep inside."""
    bare = ((filled > 0) & (strokes == 0)).astype(np.uint8)
    if bare.sum() > COLOURED * filled.sum():
        return filled
    height = cv2.boundingRect(filled)[3]
    depth = cv2.distanceTransform(filled, cv2.DIST_L2, 5)
    bare = cv2.morphologyEx(bare, cv2.MORPH_OPEN, _disc(3))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bare, connectivity=4)
    kept = filled.copy()
    for label in range(1, count):
        hole = labels == label
        if stats[label, cv2.CC_STAT_AREA] > LEAST_GAP * filled.sum() and depth[hole].min() < GAP_DEPTH * height:
            kept[hole] = 0
    return kept


def _grown(mask: npt.NDArray[np.uint8], by: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.dilate(mask, _disc(by)), np.uint8)


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2), np.uint8)


def _largest(mask: Mask) -> Mask:
    """The largest piece of a mask alone."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8), connectivity=8)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray((labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())) * 255, np.uint8)


def _by_colours(colour: Pixels, bones: Bones) -> Mask:
    """The person around these bones in a photograph (GrabCut: Rother, Kolmogorov and Blake 2004)."""
    height, width = colour.shape[:2]
    scale = min(WORK_PX / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), np.uint8)
    tall = float(np.ptp([end[1] for _, end, _ in bones])) * scale
    seeds: Mask = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    for share, label in ((2.4, cv2.GC_PR_BGD), (1.0, cv2.GC_PR_FGD), (0.25, cv2.GC_FGD)):
        for start, end, half in bones:
            a, b = (np.rint(point * scale).astype(int).tolist() for point in (start, end))
            cv2.line(seeds, a, b, int(label), max(round(2 * share * half * tall), 1))
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, seeds, (0, 0, 0, 0), *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_CLOSE, _disc(2)), np.uint8)
    return _largest(np.asarray(cv2.resize(found * 255, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8))

"""Transfers the light and colours of the old face to the new one, by DeepFaceLab's names.

| name | what is matched | where | source |
|---|---|---|---|
| `rct` | mean and spread of each channel | L*a*b* | Reinhard et al., Color Transfer between Images, 2001 |
| `lct` | mean and covariance, by their symmetric roots | BGR | Xiao & Ma, Correlated Color Space, 2006 |
| `mkl` | mean and covariance, by the least change | BGR | Pitié & Kokaram, Monge-Kantorovitch, 2007 |
| `idt` | the whole distribution, turn by turn | BGR | Pitié et al., N-dimensional PDF transfer, 2005/2007 |

`rct` keeps DeepFaceLab's and DeepFaceLive's meaning: its statistics are those of the whole crop with
everything outside the mask black, which makes the spread follow the brightness. The others look at the
masked pixels alone.
"""

import math
from functools import cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from realtime.config import ColorTransfer
from realtime.frame import Doubles, Floats, Pixels

_INSIDE = 0.5  # a pixel counts where its mask is at least this (DeepFaceLive's cut-off)
_MAX_GAIN = 4.0  # no channel is stretched further: a flat grey face must not become a garish one
_MOST_CONTRAST = 1.0  # the same for `mkl`, which follows the direction of widest spread, mostly that of brightness
_NOISE = 2.0**2  # variance that any camera has: added before dividing, so that a flat colour is not blown up to grain
_LARGE_PX = 64  # from this side on, every second pixel of every second row tells `rct` the driver's colours
_SAMPLES = 1024  # how many pixels `lct` and `mkl` learn from, about, on a regular grid; `idt` takes as many
_TURNS = 6
_QUANTILES = 48
_BINS = 256
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


def transfer_color(mode: ColorTransfer, pixels: Pixels, like: Pixels, mask: Floats, *, of: int | None = None) -> Pixels:
    """`pixels` with the colours of `like`, (H, W, 3) uint8 BGR; `pixels` itself where nothing is to do.

    `mask` is (H, W) float32 0..1 for both: every pixel is changed, the masked ones decide how. `of` is the
    number of pixels of the whole crop, where these are the part of it that the mask lies in (for `rct`).
    """
    if mode == "none":
        return pixels
    if mode == "rct":
        return _reinhard(pixels, like, mask, of or mask.size)
    step = max(int(math.sqrt(mask.size / _SAMPLES)), 1)
    inside = mask[::step, ::step] >= _INSIDE
    ours = pixels[::step, ::step][inside].astype(np.float64)
    theirs = like[::step, ::step][inside].astype(np.float64)
    if len(ours) < 2:
        return pixels
    if mode == "idt":
        return _distribution(pixels, ours, theirs)
    return _linear(pixels, ours, theirs, mode)


def _reinhard(pixels: Pixels, like: Pixels, mask: Floats, of: int) -> Pixels:
    inside = np.asarray(mask >= _INSIDE, dtype=np.uint8)
    share = cv2.countNonZero(inside) / of
    if share == 0.0:
        return pixels
    lab = _lab(pixels)
    mean, spread = _over_black(lab, inside, share)
    step = 2 if min(mask.shape) >= _LARGE_PX else 1
    some = np.ascontiguousarray(inside[::step, ::step])
    like_mean, like_spread = _over_black(_lab(like[::step, ::step]), some, share)
    gain = np.minimum(like_spread / np.maximum(spread, 1e-6), _MAX_GAIN)
    moved = np.asarray(cv2.transform(lab, _affine(np.diag(gain), like_mean - gain * mean)), dtype=np.float32)
    np.clip(moved, -127.0, 127.0, out=moved)
    np.clip(moved[:, :, 0], 0.0, 100.0, out=moved[:, :, 0])
    scaled = np.asarray(cv2.cvtColor(moved, cv2.COLOR_LAB2BGR), dtype=np.float32)
    return _bytes(scaled, 255.0)


def _lab(pixels: Pixels) -> Floats:
    scaled = np.multiply(pixels, np.float32(1.0 / 255.0), dtype=np.float32)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), dtype=np.float32)


def _over_black(lab: Floats, inside: npt.NDArray[np.uint8], share: float) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of each channel, (3,) each, as if every pixel outside were (0, 0, 0)."""
    mean, deviation = (np.asarray(v, dtype=np.float64).ravel() for v in cv2.meanStdDev(lab, mask=inside))
    whole = share * mean
    return whole, np.sqrt(np.maximum(share * (deviation**2 + mean**2) - whole**2, 0.0))


def _linear(pixels: Pixels, ours: Doubles, theirs: Doubles, mode: Literal["lct", "mkl"]) -> Pixels:
    """One 3 x 3 matrix and a shift, learnt from the samples, (N, 3) in 0..255."""
    mean, spread = _moments(ours)
    like_mean, goal = _moments(theirs)
    root = _root(spread)
    back = np.linalg.inv(root)
    linear = _root(goal) @ back if mode == "lct" else _calm(back @ _root(root @ goal @ root) @ back)
    return np.asarray(cv2.transform(pixels, _affine(linear, like_mean - linear @ mean)), dtype=np.uint8)


def _moments(samples: Doubles) -> tuple[Doubles, Doubles]:
    """Mean (3,) and covariance (3, 3) of (N, 3), a camera's noise added to the latter."""
    mean = samples.mean(axis=0)
    centred = samples - mean
    covariance: Doubles = centred.T @ centred / len(samples) + _NOISE * np.eye(3)
    return mean, covariance


def _root(symmetric: Doubles) -> Doubles:
    """The symmetric square root: the order and signs of eigenvectors, which jump in time, do not matter."""
    values, vectors = np.linalg.eigh(symmetric)
    root: Doubles = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def _calm(symmetric: Doubles) -> Doubles:
    """`mkl`'s matrix with no direction of colour stretched beyond `_MOST_CONTRAST`.

    A driver with dark eyes and light skin spreads wider than the character: followed all the way, brows and eyes
    turn hard black and every move of theirs flickers.
    """
    values, vectors = np.linalg.eigh(symmetric)
    calmed: Doubles = (vectors * np.clip(values, None, _MOST_CONTRAST)) @ vectors.T
    return calmed


def _affine(linear: Doubles, shift: Doubles) -> Doubles:
    return np.hstack([linear, shift[:, None]])


def _distribution(pixels: Pixels, ours: Doubles, theirs: Doubles) -> Pixels:
    """Iterative distribution transfer: turn, match the distribution along each axis, turn back, and again.

    Quantiles in place of histograms, so that few samples give a smooth map. The turns are the same in every
    frame: random ones would make the colours flicker.
    """
    levels = np.linspace(0.0, 100.0, _QUANTILES)
    picture = pixels.astype(np.float32)
    row = np.zeros(picture.shape[:2], dtype=np.float32)
    for turn in _turns():
        now, goal = ours @ turn.T, theirs @ turn.T
        axes = cv2.split(cv2.transform(picture, turn))
        placed = []
        for axis in range(3):
            known = np.percentile(now[:, axis], levels)
            shift = np.percentile(goal[:, axis], levels) - known
            # np.interp needs a rising grid, also where many samples are equal.
            known += np.arange(_QUANTILES) * 1e-6
            now[:, axis] += np.interp(now[:, axis], known, shift)
            # The picture goes through a table with even steps: cv2.remap is much faster than np.interp.
            low, per_bin = known[0], max(known[-1] - known[0], 1e-3) / (_BINS - 1)
            table = np.interp(low + per_bin * np.arange(_BINS), known, shift).astype(np.float32)[None]
            place = (axes[axis] - np.float32(low)) * np.float32(1.0 / per_bin)
            moved = cv2.remap(table, place, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            placed.append(cv2.add(axes[axis], moved))
        ours = now @ turn
        picture = np.asarray(cv2.transform(cv2.merge(placed), np.ascontiguousarray(turn.T)), dtype=np.float32)
    return _bytes(picture, 1.0)


@cache
def _turns() -> tuple[Doubles, ...]:
    """Turns of colour space, (3, 3) each, the first of them none, their axes spread over the sphere."""
    turns: list[Doubles] = []
    for i in range(_TURNS):
        # Axes on a Fibonacci spiral, angles by the golden ratio: even cover without chance.
        z = 1.0 - (2.0 * i + 1.0) / (2.0 * _TURNS)
        around = 2.0 * math.pi * _GOLDEN * i
        radius = math.sqrt(1.0 - z * z)
        axis = np.array([radius * math.cos(around), radius * math.sin(around), z])
        turns.append(np.asarray(cv2.Rodrigues(axis * (math.pi * _GOLDEN * i))[0], dtype=np.float64))
    return tuple(turns)


def _bytes(values: Floats, scale: float) -> Pixels:
    """`values` times `scale`, rounded and clipped to bytes; `values` are changed."""
    np.maximum(values, 0.0, out=values)  # convertScaleAbs would fold what is below 0
    return np.asarray(cv2.convertScaleAbs(values, alpha=scale), dtype=np.uint8)

"""How alike two pictures are: CIEDE2000, structural similarity, and the energy of their gradients."""

from typing import Any

import cv2
import numpy as np

from benchmarks.metrics import Floats, Reals
from realtime.frame import Pixels

_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def lab(pixels: Pixels) -> Floats:
    """(…, 3) CIE L*a*b* (D65) of 8-bit BGR."""
    flat = np.asarray(pixels, np.float32).reshape(-1, 1, 3) / np.float32(255)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_BGR2LAB), np.float32).reshape(np.shape(pixels))


def ciede2000(one: Any, other: Any) -> Reals:
    """(…) colour differences of two arrays (…, 3) of L*a*b*.

    Sharma, Wu and Dalal, The CIEDE2000 color-difference formula: implementation notes, 2005; their equations' numbers.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(one, np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(other, np.float64), -1, 0)
    chroma = 0.5 * (np.hypot(a1, b1) + np.hypot(a2, b2))
    g = 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))  # 4
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # 5
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360  # 7
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)  # 10
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)  # 11
    light, c = 0.5 * (l1 + l2), 0.5 * (c1 + c2)
    h = np.where(np.abs(h1 - h2) > 180, 0.5 * (h1 + h2 + 360), 0.5 * (h1 + h2)) % 360  # 14
    h = np.where(grey, h1 + h2, h)
    t = 1 - 0.17 * np.cos(np.radians(h - 30)) + 0.24 * np.cos(np.radians(2 * h))
    t = t + 0.32 * np.cos(np.radians(3 * h + 6)) - 0.20 * np.cos(np.radians(4 * h - 63))  # 15
    away = (light - 50) ** 2
    per_light, per_chroma, per_hue = 1 + 0.015 * away / np.sqrt(20 + away), 1 + 0.045 * c, 1 + 0.015 * c * t
    rotation = np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2))))  # 16, 19
    rotation = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * rotation
    dl, dc, dh = (l2 - l1) / per_light, (c2 - c1) / per_chroma, hue / per_hue
    return np.asarray(np.sqrt(np.maximum(dl**2 + dc**2 + dh**2 + rotation * dc * dh, 0)))  # 22


def grey(pixels: Pixels) -> Floats:
    """(H, W) luma."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.float32)


def ssim(one: Floats, other: Floats) -> Floats:
    """(H, W) structural similarity of two luma pictures (Wang and others, 2004): Gaussian window of 1.5 pixels."""

    def mean(x: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), _SIGMA), np.float32)

    m1, m2 = mean(one), mean(other)
    v1, v2, both = mean(one * one) - m1 * m1, mean(other * other) - m2 * m2, mean(one * other) - m1 * m2
    alike = ((2 * m1 * m2 + _C1) * (2 * both + _C2)) / ((m1 * m1 + m2 * m2 + _C1) * (v1 + v2 + _C2))
    return np.asarray(alike, np.float32)


def gradient_energy(luma: Floats) -> Floats:
    """(H, W) squared length of the gradient by central differences."""
    down, right = np.gradient(luma)
    return np.asarray(down * down + right * right, np.float32)

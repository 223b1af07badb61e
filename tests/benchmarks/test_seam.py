"""Seams, drawn on purpose."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from acting import SIZE, texture

from benchmarks.moment import Moment
from benchmarks.seam import RING_PX, Seam, edge_ring, seam_energy
from realtime.frame import Pixels

Floats = npt.NDArray[np.float32]


def disc(soft: float) -> Floats:
    mask = np.zeros((SIZE[1], SIZE[0]), np.float32)
    cv2.circle(mask, (160, 120), 60, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft) if soft else mask, dtype=np.float32)


def mixed(driver: Pixels, face: Pixels, mask: Floats) -> Pixels:
    whole = mask[..., None] * face + (1 - mask[..., None]) * driver.astype(np.float32)
    return np.asarray(np.rint(whole), dtype=np.uint8)


def figures(driver: Pixels, output: Pixels, mask: Floats | None) -> dict[str, float]:
    seam = Seam()
    seam.see(Moment(0, {"driver": driver, "output": output, "ceiling": driver}, None, mask))
    return seam.figures()


def test_the_ring_lies_along_the_edge() -> None:
    ring = edge_ring(disc(0))
    y, x = np.nonzero(ring)
    radius = np.hypot(x - 160, y - 120)
    assert radius.min() > 60 - RING_PX
    assert radius.max() < 60 + RING_PX
    assert ring.sum() == pytest.approx(2 * np.pi * 60 * (RING_PX - 1), rel=0.2)


def test_a_face_of_the_same_colour_has_no_seam_and_a_soft_edge_less_than_a_hard_one() -> None:
    driver = texture()
    brighter = np.clip(driver.astype(int) + 30, 0, 255).astype(np.uint8)
    assert figures(driver, mixed(driver, driver, disc(4)), disc(4))["levels_per_px"] == 0.0
    soft, softer = (figures(driver, mixed(driver, brighter, disc(s)), disc(s)) for s in (3, 9))
    assert 0 < 2 * softer["levels_per_px"] < soft["levels_per_px"]
    assert soft["ceiling_levels_per_px"] == 0.0
    assert softer["of_driver"] < soft["of_driver"]


def test_the_energy_is_what_the_formula_says() -> None:
    """A face 40 levels brighter under a ramp of 1 / 20 a pixel: 2 levels a pixel."""
    driver = np.full((100, 100, 3), 100, np.uint8)
    ramp = np.clip((np.arange(100, dtype=np.float32) - 40) / 20, 0, 1)
    mask = np.ascontiguousarray(np.broadcast_to(ramp, (100, 100)), dtype=np.float32)
    output = mixed(driver, np.full_like(driver, 140), mask)
    assert seam_energy(driver, output, mask, edge_ring(mask)) == pytest.approx(2.0, rel=0.03)


def test_without_a_mask_there_is_no_seam_to_measure() -> None:
    assert "missing" in figures(texture(), texture(), None)
    assert "missing" in figures(texture(), texture(), np.zeros((SIZE[1], SIZE[0]), np.float32))

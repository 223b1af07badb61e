"""Masks against rendered truth, what lies outside them, and seams drawn on purpose."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from acting import SIZE, texture
from fakes import a_face

from benchmarks.clips import JoinedPictures, RenderedClip, open_clip
from benchmarks.metrics import Floats, MeasuredFrame, Missing
from benchmarks.metrics.masks import MaskTruth, beyond, open_truth, overlap, share_hidden
from benchmarks.metrics.seam import Seam, edge_ring, seam_energy
from realtime.errors import ConfigError
from realtime.frame import Pixels

Bytes = npt.NDArray[np.uint8]


def packed(pictures: list[Any], suffix: str) -> tuple[Bytes, npt.NDArray[np.int64]]:
    files = [cv2.imencode(suffix, p)[1] for p in pictures]
    return np.concatenate(files), np.cumsum([0, *map(len, files)]).astype(np.int64)


def a_mask(left: int, right: int) -> Bytes:
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[60:180, left:right] = 255
    return mask


def write(path: Path, masks: list[Bytes], **more: Any) -> Path:
    png, offsets = packed(masks, ".png")
    fields: dict[str, Any] = {"mask_png": png, "mask_png_offsets": offsets, **more}
    np.savez(path, **fields)
    return path


def see(truth: MaskTruth, number: int, taken_over: Bytes, **network: Bytes) -> None:
    floats = {name: np.asarray(m / 255, np.float32) for name, m in network.items()}
    truth.see(MeasuredFrame(number, {}, None, np.asarray(taken_over / 255, np.float32), floats))


def test_overlap_spill_and_what_is_left_out() -> None:
    drawn, true = a_mask(100, 200) > 0, a_mask(150, 250) > 0
    assert overlap(drawn, true) == pytest.approx((1 / 3, 0.5, 0.5))
    assert overlap(true, true) == (1.0, 0.0, 0.0)
    assert overlap(true & False, true) == (0.0, 1.0, 1.0)


def test_each_mask_is_compared_with_its_own_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.npz", [a_mask(100, 200), a_mask(150, 250)])
    truth = open_truth(tmp_path / "clip.mp4")
    assert isinstance(truth, MaskTruth)
    for n, (left, right) in enumerate([(100, 200), (150, 250)]):
        see(truth, n, a_mask(left + 20, right - 20), both=a_mask(left, right), driver=a_mask(left, right + 50))
    found = truth.figures()
    assert (found["iou"], found["spilled"], found["left_out"]) == (1.0, 0.0, 0.0)
    assert (found["iou_driver"], found["iou_taken_over"]) == (pytest.approx(2 / 3, abs=1e-4), pytest.approx(0.6))
    with pytest.raises(ConfigError, match="2 masks"):
        see(truth, 2, a_mask(0, 50), both=a_mask(0, 50))
    assert isinstance(open_truth(path), MaskTruth)


def test_without_truth_a_face_or_an_output_the_reason_is_said(tmp_path: Path) -> None:
    truth = MaskTruth(write(tmp_path / "nobody.npz", [a_mask(0, 0), a_mask(100, 200)]))
    see(truth, 0, a_mask(100, 200), both=a_mask(100, 200))
    truth.see(MeasuredFrame(1, {}, None, None))
    assert "missing" in truth.figures()
    absent = open_truth(tmp_path / "clip.mp4")
    assert isinstance(absent, Missing)
    assert "clip.npz" in absent.figures()["missing"]


def test_a_rendered_clip_is_a_source(tmp_path: Path) -> None:
    pictures = [texture(shift=n) for n in range(3)]
    jpg, offsets = packed(pictures, ".jpg")
    more = {"frame_jpg": jpg, "frame_jpg_offsets": offsets, "fps": np.float64(25)}
    path = write(tmp_path / "clip.npz", [a_mask(100, 200)] * 3, **more)
    clip = open_clip(path, None)
    assert isinstance(clip, RenderedClip)
    assert (clip.size, clip.rate_hz, clip.live, clip.state) == (SIZE, 25.0, False, "ok")
    frames = [clip.read() for _ in range(4)]
    assert [f and f.seq for f in frames] == [0, 1, 2, None]
    assert frames[1] is not None
    assert np.abs(frames[1].pixels.astype(int) - pictures[1]).mean() < 3
    large = open_clip(path, (640, 360))
    again = large.read()
    assert again is not None
    assert again.size == (640, 360)
    large.unblock()
    assert large.read() is None
    # The truth is letterboxed as the pictures are.
    where = MaskTruth(path).true(0, (360, 640))
    assert not where[:, :80].any()
    assert where.sum() == pytest.approx(100 * 120 * 1.5**2, rel=0.02)


@pytest.mark.parametrize("kind", ["text", "other", "offsets", "object", "not pictures"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.npz"
    png, offsets = packed([a_mask(1, 99)], ".png")
    fields: dict[str, Any] = {
        "other": {"masks": png},
        "offsets": {"mask_png": png, "mask_png_offsets": offsets + 5},
        "object": {"mask_png": np.array([{"a": 1}], dtype=object), "mask_png_offsets": offsets},
        "not pictures": {"mask_png": png[::-1], "mask_png_offsets": offsets},
    }
    if kind == "text":
        path.write_text("nothing of the kind")
    else:
        np.savez(path, **fields[kind])
    with pytest.raises(ConfigError, match=r"clip\.npz"):
        JoinedPictures(path, "mask_png").read(0, cv2.IMREAD_GRAYSCALE)


def test_a_change_outside_the_mask_is_found_to_the_level() -> None:
    before = np.full((48, 64, 3), 90, np.uint8)
    after, mask, square = before.copy(), np.zeros((48, 64), np.float32), np.zeros((48, 64), np.float32)
    square[10:40, 10:40] = 1.0
    mask[20:30, 20:30] = 1.0
    after[20:30, 20:30] = 250
    assert beyond(before, after, mask, square) == (0, 0)
    after[12, 12] = 93
    assert beyond(before, after, mask, square) == (3, 0)
    after[0, 0, 1] = 95
    assert beyond(before, after, mask, square) == (5, 5)


def test_a_translucent_swap_does_not_count_as_hiding() -> None:
    face = a_face((32, 24), 30)
    assert share_hidden(np.ones((48, 64), np.float32), face) == 1.0
    assert share_hidden(np.full((48, 64), 0.6, np.float32), face) == 0.0


def disc(soft: float) -> Floats:
    mask = np.zeros((SIZE[1], SIZE[0]), np.float32)
    cv2.circle(mask, (160, 120), 60, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soft) if soft else mask, dtype=np.float32)


def mixed(driver: Pixels, face: Pixels, mask: Floats) -> Pixels:
    whole = mask[..., None] * face + (1 - mask[..., None]) * driver.astype(np.float32)
    return np.asarray(np.rint(whole), dtype=np.uint8)


def seam(driver: Pixels, output: Pixels, mask: Floats | None) -> dict[str, float]:
    metric = Seam()
    metric.see(MeasuredFrame(0, {"driver": driver, "output": output, "ceiling": driver}, None, mask))
    return metric.figures()


def test_a_face_of_the_same_colour_has_no_seam_and_a_soft_edge_less_than_a_hard_one() -> None:
    driver = texture()
    brighter = np.clip(driver.astype(int) + 30, 0, 255).astype(np.uint8)
    assert seam(driver, mixed(driver, driver, disc(4)), disc(4))["levels_per_px"] == 0.0
    soft, softer = (seam(driver, mixed(driver, brighter, disc(s)), disc(s)) for s in (3, 9))
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
    assert "missing" in seam(texture(), texture(), None)
    assert "missing" in seam(texture(), texture(), np.zeros((SIZE[1], SIZE[0]), np.float32))

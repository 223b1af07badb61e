"""Rendered truth: its form, its clips, and the overlap with what was taken over."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from acting import SIZE, texture

from benchmarks.mask_truth import JoinedPictures, MaskTruth, RenderedClip, open_clip, open_truth, overlap
from benchmarks.moment import Missing, Moment
from realtime.errors import ConfigError

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


def seen(truth: MaskTruth, number: int, taken_over: Bytes, **network: Bytes) -> None:
    floats = {name: np.asarray(m / 255, np.float32) for name, m in network.items()}
    truth.see(Moment(number, {}, None, np.asarray(taken_over / 255, np.float32), floats))


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
        seen(truth, n, a_mask(left + 20, right - 20), both=a_mask(left, right), driver=a_mask(left, right + 50))
    found = truth.figures()
    assert (found["iou"], found["spilled"], found["left_out"]) == (1.0, 0.0, 0.0)
    assert found["iou_driver"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["iou_taken_over"] == pytest.approx(0.6)
    with pytest.raises(ConfigError, match="2 masks"):
        seen(truth, 2, a_mask(0, 50), both=a_mask(0, 50))
    assert isinstance(open_truth(path), MaskTruth)


def test_an_occluder_painted_over_is_spilled(tmp_path: Path) -> None:
    behind_a_cup = a_mask(100, 200)
    behind_a_cup[120:180] = 0
    truth = MaskTruth(write(tmp_path / "cup.npz", [behind_a_cup]))
    seen(truth, 0, a_mask(100, 200), both=a_mask(100, 200))
    found = truth.figures()
    assert found["spilled"] == pytest.approx(0.5)
    assert found["iou"] == pytest.approx(0.5)
    assert found["iou_driver"] is None


def test_frames_without_a_face_or_an_output_do_not_count(tmp_path: Path) -> None:
    truth = MaskTruth(write(tmp_path / "nobody.npz", [a_mask(0, 0), a_mask(100, 200)]))
    seen(truth, 0, a_mask(100, 200), both=a_mask(100, 200))
    truth.see(Moment(1, {}, None, None))
    assert "missing" in truth.figures()


def test_without_truth_the_reason_is_said(tmp_path: Path) -> None:
    truth = open_truth(tmp_path / "clip.mp4")
    assert isinstance(truth, Missing)
    assert "clip.npz" in truth.figures()["missing"]


def test_a_rendered_clip_is_a_source(tmp_path: Path) -> None:
    pictures = [texture(shift=n) for n in range(3)]
    jpg, offsets = packed(pictures, ".jpg")
    more = {"frame_jpg": jpg, "frame_jpg_offsets": offsets, "fps": np.float64(25)}
    path = write(tmp_path / "clip.npz", [a_mask(100, 200)] * 3, **more)
    clip = open_clip(path, None)
    assert isinstance(clip, RenderedClip)
    assert (clip.size, clip.rate_hz, clip.live, clip.state) == (SIZE, 25.0, False, "ok")
    frames = [clip.read() for _ in range(4)]
    assert [f.seq for f in frames if f] == [0, 1, 2]
    assert frames[3] is None
    assert frames[1] is not None
    assert np.abs(frames[1].pixels.astype(int) - pictures[1]).mean() < 3
    clip.close()
    large = open_clip(path, (640, 360))
    again = large.read()
    assert again is not None
    assert again.size == (640, 360)
    large.unblock()
    assert large.read() is None
    # The truth is letterboxed as the pictures are.
    where = MaskTruth(path).seen(0, (360, 640))
    assert not where[:, :80].any()
    assert where.sum() == pytest.approx(100 * 120 * 1.5**2, rel=0.02)


@pytest.mark.parametrize("kind", ["text", "other", "offsets", "object", "not pictures"])
def test_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "clip.npz"
    png, offsets = packed([a_mask(1, 99)], ".png")
    if kind == "text":
        path.write_text("nothing of the kind")
    elif kind == "other":
        np.savez(path, masks=png)
    elif kind == "offsets":
        np.savez(path, mask_png=png, mask_png_offsets=offsets + 5)
    elif kind == "object":
        np.savez(path, mask_png=np.array([{"a": 1}], dtype=object), mask_png_offsets=offsets)
    else:
        np.savez(path, mask_png=png[::-1], mask_png_offsets=offsets)
    with pytest.raises(ConfigError, match=r"clip\.npz"):
        JoinedPictures(path, "mask_png").read(0, cv2.IMREAD_GRAYSCALE)

"""Detail, likeness, seam and steadiness of a swapped face, on painted pictures with a scripted reader."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mesh_faces import a_face

from benchmarks.metrics import MeasuredFrame
from benchmarks.metrics.looks import EVERY, Looks, true_pictures
from realtime.families.motion.mesh.head import OVAL
from realtime.frame import Pixels

FACE = a_face(px_per_cm=9.0)
HEIGHT, WIDTH = 300, 320


def rough(seed: int = 0) -> Pixels:
    noise = np.random.default_rng(seed).normal(128, 40, (HEIGHT, WIDTH, 3))
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 0.8), 0, 255).astype(np.uint8)


def mask() -> Any:
    drawn = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.fillPoly(drawn, [np.rint(FACE.landmarks[OVAL, :2]).astype(np.int32)], 1.0)
    return drawn


def truth(path: Path, pictures: list[Pixels]) -> Path:
    files = [cv2.imencode(".png", picture)[1].ravel() for picture in pictures]
    offsets = np.cumsum([0, *map(len, files)])
    np.savez(path, truth_jpg=np.concatenate(files), truth_jpg_offsets=offsets)
    return path


def measured(outputs: list[Pixels], driver: Pixels, file: Path | None = None, shown: Any = None) -> dict[str, Any]:
    true = None if file is None else true_pictures(file.with_suffix(".mp4"))
    looks = Looks(true, lambda frame: FACE)
    for seq, output in enumerate(outputs):
        pictures = {"output": output, "driver": driver, "ceiling": driver}
        looks.see(MeasuredFrame(seq, pictures, FACE, mask() if shown is None else shown, output=FACE))
    return looks.figures()


def test_the_truth_itself_is_as_sharp_and_wholly_alike(tmp_path: Path) -> None:
    picture = rough()
    found = measured([picture] * 2, picture, truth(tmp_path / "clip.npz", [picture]))
    assert found["sharpness"] == pytest.approx(1.0, abs=0.1)
    assert set(found["energy"].values()) == {1.0}
    assert (found["ssim"], found["l1"], found["face_de"]) == (1.0, 0.0, 0.0)
    assert found["texture_change"] == 0.0


def test_a_blurred_face_lacks_detail(tmp_path: Path) -> None:
    picture = rough()
    soft = cv2.GaussianBlur(picture, (0, 0), 3)
    found = measured([soft], picture, truth(tmp_path / "clip.npz", [picture]))
    assert max(found["sharpness"], *found["energy"].values()) < 0.3
    assert found["ssim"] < 0.7


def test_another_texture_in_each_frame_is_not_steady() -> None:
    found = measured([rough(seq) for seq in range(2 * EVERY)], rough())
    assert found["texture_change"] > 0.9
    assert found["texture_change_of_driver"] == 0.0
    assert "ssim" not in found


def test_a_face_of_another_colour_has_a_seam() -> None:
    plain = np.full((HEIGHT, WIDTH, 3), (90, 120, 170), np.uint8)
    other = np.where(mask()[..., None] > 0.5, np.uint8(230), plain)
    assert measured([plain], plain)["seam_de"] < 0.1
    assert measured([other], plain)["seam_de"] > 15


def test_nothing_taken_over_is_nothing_measured() -> None:
    assert "missing" in measured([rough()], rough(), shown=np.zeros((HEIGHT, WIDTH), np.float32))

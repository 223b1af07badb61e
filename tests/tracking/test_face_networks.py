"""The converted networks and the geometry around them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from heads import RECORDED, TASK, pictures

from realtime.errors import ModelError
from realtime.models.library import built_in_folder
from realtime.tracking.face_networks import BLENDSHAPE_POINTS, FaceNetworks, Region, anchors, merge, region_around

FOLDER = built_in_folder() / "face"


@pytest.fixture(scope="module")
def networks() -> Iterator[FaceNetworks]:
    opened = FaceNetworks(FOLDER, "cpu")
    yield opened
    for session in opened.sessions:
        session.close()


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    return pictures(most=1)[0]


def test_the_recipe_makes_the_files_that_are_here(tmp_path: Path) -> None:
    pytest.importorskip("tflite", reason="the recipe needs the extra `train`")
    from trained_models.recipes.face import convert

    convert(TASK, tmp_path)
    for file in ("detector.onnx", "landmarks.onnx", "blendshapes.onnx", "pose.npz", "model.toml"):
        made, here = (hashlib.sha256((f / file).read_bytes()).hexdigest() for f in (tmp_path, FOLDER))
        assert made == here, file


def test_the_source_is_googles() -> None:
    digest = hashlib.sha256(TASK.read_bytes()).hexdigest()
    assert digest == "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"


def test_a_file_that_is_not_tflite_is_named() -> None:
    pytest.importorskip("tflite", reason="the recipe needs the extra `train`")
    from trained_models.recipes.tflite_to_onnx import read_tflite

    with pytest.raises(ValueError, match="TFL3"):
        read_tflite(b"something else entirely")


def test_a_region_is_cut_corner_on_corner() -> None:
    region = Region(100, 200, 60, 40, np.pi / 2)
    matrix = region.crop_from_frame(256)
    # Turned by a quarter: the crop's top left corner is the region's own, at its right in the frame.
    np.testing.assert_allclose(matrix @ [100, 200, 1], [128, 128])
    np.testing.assert_allclose(matrix @ [120, 170, 1], [0, 0], atol=1e-9)
    np.testing.assert_allclose(matrix @ [80, 230, 1], [256, 256], atol=1e-9)


def test_the_next_region_is_turned_with_the_eyes() -> None:
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = np.random.default_rng(0).uniform([100, 50], [300, 450], (478, 2))
    landmarks[33, :2], landmarks[263, :2] = (150, 200), (250, 300)
    region = region_around(landmarks)
    assert region.turn == pytest.approx(np.pi / 4)
    assert region.width == region.height == pytest.approx(1.5 * 400, rel=0.02)


def test_anchors() -> None:
    centres = anchors(((16, 2), (8, 6)))
    assert centres.shape == (896, 2)
    np.testing.assert_allclose(centres[[0, 1, 2, 511]], [[1 / 32, 1 / 32]] * 2 + [[3 / 32, 1 / 32], [31 / 32] * 2])
    np.testing.assert_allclose(centres[[512, 517, 518, 895]], [[1 / 16] * 2] * 2 + [[3 / 16, 1 / 16], [15 / 16] * 2])


def test_overlapping_detections_become_their_weighted_mean() -> None:
    def shape(x: float) -> np.ndarray:
        return np.array([[x, 0], [x + 1, 1]] + [[x, 0.5]] * 6, np.float32)

    merged = merge(np.stack([shape(0.0), shape(0.2), shape(5.0)]), np.array([0.6, 0.9, 0.7], np.float32))
    assert [score for _, score in merged] == pytest.approx([0.9, 0.7])
    assert merged[0][0][0, 0] == pytest.approx(0.2 * 0.9 / 1.5)
    np.testing.assert_allclose(merged[1][0], shape(5.0))


def test_blendshape_points_are_mediapipes() -> None:
    assert len(set(BLENDSHAPE_POINTS.tolist())) == 146
    assert BLENDSHAPE_POINTS.tolist() == sorted(BLENDSHAPE_POINTS.tolist())


def test_each_network_agrees_with_mediapipe(networks: FaceNetworks, head: np.ndarray) -> None:
    with np.load(RECORDED) as recorded:
        truth, blendshapes = recorded["still_landmarks"][0], recorded["still_blendshapes"][0]
    landmarks, score = networks.landmarks(head, networks.detect(head)[0].region)
    assert score > 0.9
    assert np.linalg.norm((landmarks - truth)[:, :2], axis=1).max() < 1.0
    np.testing.assert_allclose(networks.blendshapes(truth), blendshapes, atol=2e-3)


def test_a_turned_picture_gives_a_turned_region(networks: FaceNetworks, head: np.ndarray) -> None:
    height, width = head.shape[:2]
    upright = networks.detect(head)[0].region
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -25, 1.0)  # clockwise as seen
    turned = networks.detect(np.ascontiguousarray(cv2.warpAffine(head, matrix, (width, height))))[0].region
    assert np.degrees(turned.turn - upright.turn) == pytest.approx(25, abs=4)


def test_there_is_no_face_in_noise(networks: FaceNetworks) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert networks.search(noise) == []
    assert networks.landmarks(noise, Region(320, 180, 200, 200))[1] < 0.5


def test_people_further_away_are_found(networks: FaceNetworks, head: np.ndarray) -> None:
    small = cv2.resize(head, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA)
    for width, height, x, y in ((1280, 720, 900, 300), (720, 1280, 300, 900)):
        room = np.full((height, width, 3), 90, np.uint8)
        room[y : y + small.shape[0], x : x + small.shape[1]] = small
        truth = networks.detect(head)[0].region
        found = networks.search(room)
        assert found
        assert abs(found[0].region.x - (x + 0.3 * truth.x)) < 12
        assert abs(found[0].region.y - (y + 0.3 * truth.y)) < 12


def test_a_missing_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"detector\.onnx"):
        FaceNetworks(tmp_path)

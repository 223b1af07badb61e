"""The head's pose: known heads seen by the virtual camera, and MediaPipe's own results."""

from pathlib import Path

import numpy as np
import pytest
from heads import RECORDED, pose_of, turn_deg

from realtime.errors import ModelError
from realtime.models.library import built_in_folder
from realtime.tracking.pose import POINTS, VERTICAL_VIEW_DEG, HeadPose, head_angles

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def head_pose() -> HeadPose:
    return HeadPose(built_in_folder() / "face" / "pose.npz")


def seen_by_camera(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(478, 3) landmarks in pixels of points (468, 3) in the camera's centimetres; z in the scale of x."""
    width, height = size
    focal = height / 2 / np.tan(np.radians(VERTICAL_VIEW_DEG / 2))
    depth = -points[:, 2]
    x = width / 2 + focal * points[:, 0] / depth
    y = height / 2 - focal * points[:, 1] / depth
    z = (depth - depth.mean()) * focal / depth.mean()
    flat = np.column_stack([x, y, z])
    return np.concatenate([flat, np.repeat(flat[:1], 10, axis=0)]).astype(np.float32)


@pytest.mark.parametrize(
    ("pitch", "yaw", "roll"), [(0, 0, 0), (20, 0, 0), (0, 35, 0), (0, -35, 0), (0, 0, 40), (-15, 25, -20)]
)
@pytest.mark.parametrize("place", [(0.0, 0.0, -40.0), (12.0, -5.0, -70.0)])
def test_a_known_head_is_found(
    head_pose: HeadPose, pitch: float, yaw: float, roll: float, place: tuple[float, float, float]
) -> None:
    truth = pose_of(*np.radians([pitch, yaw, roll]))
    truth[:3, 3] = place
    points = head_pose.canonical @ truth[:3, :3].T + truth[:3, 3]
    pose, shape = head_pose.fit(seen_by_camera(points, SIZE), SIZE, np.arange(POINTS))
    # z is seen in weak perspective (one scale for the whole head): exact only far away.
    assert turn_deg(pose, truth) < 2.0
    assert np.linalg.norm(pose[:3, 3] - place) < 0.04 * abs(place[2])
    assert np.linalg.norm(pose[:3, 0]) == pytest.approx(1, abs=0.05)
    assert np.sqrt(((shape - head_pose.canonical) ** 2).sum(axis=1).mean()) < 0.35


def test_it_agrees_with_mediapipe(head_pose: HeadPose) -> None:
    with np.load(RECORDED) as recorded:
        for landmarks, matrix in zip(recorded["still_landmarks"], recorded["still_poses"], strict=True):
            pose = head_pose(landmarks, (960, 540))
            assert turn_deg(pose, matrix) < 0.1  # MediaPipe computes in float32
            np.testing.assert_allclose(pose[:3, 3], matrix[:3, 3], atol=0.05)


def test_the_size_of_the_picture_makes_no_difference(head_pose: HeadPose) -> None:
    with np.load(RECORDED) as recorded:
        landmarks = recorded["still_landmarks"][0]
    np.testing.assert_allclose(head_pose(landmarks, (960, 540)), head_pose(landmarks * 2, (1920, 1080)), atol=1e-3)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "pose.npz", something=np.zeros(3))
    with pytest.raises(ModelError, match=r"pose\.npz is damaged"):
        HeadPose(tmp_path / "pose.npz")
    with pytest.raises(ModelError, match=r"gone\.npz"):
        HeadPose(tmp_path / "gone.npz")


def test_the_angles_of_a_head_are_those_it_was_turned_by() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        angles = rng.uniform([-1.2, -1.2, -3], [1.2, 1.2, 3])
        pose = pose_of(*angles, scale=float(rng.uniform(0.1, 20)))
        np.testing.assert_allclose(head_angles(pose), angles, atol=1e-5)
    assert head_angles(np.eye(4)).tolist() == [0, 0, 0]


def test_a_head_beside_the_cameras_axis_is_read_as_it_looks() -> None:
    # Read on one picture of a head: in the middle of a 1280x720 frame, and 300 px to the right of it.
    middle, beside = pose_of(-0.012, -0.047, 0.0), pose_of(-0.007, -0.159, 0.0)
    middle[:3, 3], beside[:3, 3] = (-0.2, -0.3, -30.1), (13.8, -0.3, -30.2)
    np.testing.assert_allclose(head_angles(beside)[1], head_angles(middle)[1], atol=0.02)


def test_a_mirrored_head_turns_the_other_way() -> None:
    flip = np.diag([-1.0, 1, 1, 1])
    mirrored = flip @ pose_of(0.3, 0.5, -0.2) @ flip
    np.testing.assert_allclose(head_angles(mirrored), [0.3, -0.5, 0.2], atol=1e-6)

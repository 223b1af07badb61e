"""Motion as numbers: what a figure did is recorded, played by another figure, and read from BVH files."""

from pathlib import Path

import numpy as np
import pytest
from bundles import one_line
from commands import Call
from figures import a_flat_figure, a_layered_figure, write_bvh, write_card

from realtime.capture.motion_file import MotionFile, read_motion
from realtime.errors import ConfigError
from realtime.skeleton import BEFORE, JOINTS


def angles_deg(joints: np.ndarray, end: str) -> np.ndarray:
    way = joints[:, JOINTS.index(end)] - joints[:, JOINTS.index(BEFORE[end])]
    return np.degrees(np.arctan2(way[:, 1], way[:, 0]))


@pytest.mark.parametrize("turned_deg", [0.0, 90.0, 200.0])
def test_a_bvh_file_is_seen_from_the_front_and_fills_the_picture(tmp_path: Path, turned_deg: float) -> None:
    motion = read_motion(write_bvh(tmp_path / "wave.bvh", [0, 30, 60, 90], turned_deg=turned_deg))
    assert motion.rate_hz == pytest.approx(30, abs=0.01)
    np.testing.assert_allclose(angles_deg(motion.joints, "l_elbow"), [90, 60, 30, 0], atol=0.1)
    np.testing.assert_allclose(angles_deg(motion.joints, "r_wrist"), [90] * 4, atol=0.1)
    assert np.isnan(motion.joints[:, JOINTS.index("l_toe")]).all()  # the file has none
    x, y = motion.joints[..., 0], motion.joints[..., 1]
    assert np.nanmax(y) == pytest.approx(0.95 * 720, abs=1)
    assert np.nanmax(y) - np.nanmin(y) == pytest.approx(0.85 * 720, rel=0.1)
    assert (x[:, JOINTS.index("l_shoulder")] > x[:, JOINTS.index("r_shoulder")]).all()


def test_what_is_recorded_is_played_by_another_figure(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    for make, name in ((a_layered_figure, "toy"), (a_flat_figure, "flat")):
        write_card(make(tmp_path / "home" / "avatars" / name), name)
    dance = write_bvh(tmp_path / "dance.bvh", [0, 20, 40, 60, 80, 60, 40, 20])

    def play(source: Path, avatar: str, to: Path) -> np.ndarray:
        arguments = ("run", "--source", str(source), "--avatar", avatar, "--pace", "all", "--output", "null")
        code, _, err = call(*arguments, "--record-motion", str(to), "--provider", "cpu")
        assert code == 0, err
        with np.load(to) as stored:
            assert tuple(stored["joint_names"]) == JOINTS
            assert set(stored["view"]) == {"whole"}
            assert stored["blendshapes"].shape == (8, 52)
            np.testing.assert_allclose(np.diff(stored["time_s"]), 1 / 30, atol=1e-3)
            return np.array(stored["joints"])

    first = play(dance, "toy", tmp_path / "first.npz")
    second = play(tmp_path / "first.npz", "flat", tmp_path / "second.npz")
    for joints in (first, second):
        np.testing.assert_allclose(
            angles_deg(joints, "l_elbow"), 90 - np.array([0, 20, 40, 60, 80, 60, 40, 20]), atol=1
        )
        assert np.isnan(joints[:, JOINTS.index("l_toe")]).all()
    frames = MotionFile(tmp_path / "second.npz")
    assert frames.size == (1280, 720)
    assert [frames.read() is not None for _ in range(9)] == [True] * 8 + [False]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.npz", b"nothing of the kind", "no recorded motion"),
        ("a.bvh", b"HIERARCHY ROOT Hips {", "no whole BVH file"),
        ("a.bvh", b"", "no whole BVH file"),
        ("a.bvh", b"HIERARCHY " + b"ROOT a { " * 3000, "no whole BVH file"),
    ],
)
def test_what_is_no_motion_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in one_line(lambda: read_motion(tmp_path / name), ConfigError)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("LeftArm", "Tentacle"), "no joints for l_shoulder"),
        (lambda text: text.rsplit("\n", 3)[0], "no whole BVH file"),
        (lambda text: text.replace("90 0 0", "nan 0 0"), "no whole BVH file"),
        (lambda text: text.replace("Frames: 3", "Frames: 900000000"), "no whole BVH file"),
    ],
)
def test_a_spoilt_bvh_file_is_refused(tmp_path: Path, change: object, says: str) -> None:
    file = write_bvh(tmp_path / "a.bvh", [0, 1, 2])
    assert callable(change)
    file.write_text(change(file.read_text()))
    assert says in one_line(lambda: read_motion(file), ConfigError)


def test_arrays_of_other_shapes_are_no_motion(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    good = {
        "time_s": np.arange(3) / 30, "joints": np.zeros((3, 19, 2)), "joint_names": np.array(JOINTS),
        "view": np.array(["whole"] * 3), "blendshapes": np.zeros((3, 52)),
    }  # fmt: skip
    np.savez(file, **good)
    assert len(read_motion(file).joints) == 3
    for change in (
        {"joints": np.zeros((2, 19, 2))},
        {"time_s": np.zeros(3)},
        {"joint_names": np.array(["a"] * 19)},
        {"size": (1, 10**9)},
    ):
        np.savez(file, **good | change)
        one_line(lambda: read_motion(file), ConfigError)

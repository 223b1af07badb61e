"""From rendered pairs to prepared ones, and from a network to a bundle."""

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipes need the extra `train`")

from realtime.face import Face  # noqa: E402
from realtime.models import load_bundle  # noqa: E402
from trained_models.recipes.autoencoder.augment import Pixels  # noqa: E402
from trained_models.recipes.autoencoder.network import Shape, SwapNetwork  # noqa: E402
from trained_models.recipes.autoencoder.prepare import MARGIN, SIZE, Tally, prepare_folder, prepared  # noqa: E402
from trained_models.recipes.autoencoder.rendered_pairs import friendliest, read_pairs  # noqa: E402


def picture(seed: int) -> Pixels:
    """A soft random picture: JPEG keeps it nearly as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (4, 4, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_LINEAR), np.uint8)


def write_raw_shard(path: Path, count: int = 3) -> None:
    """A shard in the people recipe's form."""
    region = np.zeros((64, 64), np.uint8)
    cv2.circle(region, (32, 32), 20, 255, -1)
    streams = {
        "person_jpg": [cv2.imencode(".jpg", picture(i))[1] for i in range(count)],
        "target_jpg": [cv2.imencode(".jpg", picture(100 + i))[1] for i in range(count)],
        "target_mask_png": [cv2.imencode(".png", region)[1]] * count,
    }
    arrays = {}
    for name, files in streams.items():
        arrays[name] = np.concatenate([np.ravel(f) for f in files])
        arrays[f"{name}_offsets"] = np.cumsum([0] + [f.size for f in files])
    arrays["action_names"] = np.array(["jawOpen", "mouthSmileLeft"])
    arrays["actions"] = np.linspace([1.0, 0.0], [0.0, 0.4], count)
    arrays["rot"] = arrays["gaze"] = np.zeros((count, 2))
    np.savez(path, **arrays)


def face(reading: float) -> Face:
    """A face in the middle of a 64-pixel picture whose 52 readings are all `reading`."""
    angle = np.linspace(0, 40 * np.pi, 478)
    ring = np.linspace(4, 20, 478)
    landmarks = np.stack([32 + ring * np.cos(angle), 32 + ring * np.sin(angle), 0 * ring], 1)
    return Face(landmarks.astype(np.float32), np.full(52, reading, np.float32), np.eye(4, dtype=np.float32), 1.0)


def test_a_rendered_shard_is_read_in_order(tmp_path: Path) -> None:
    write_raw_shard(tmp_path / "shard_00000.npz")
    pairs = list(read_pairs(tmp_path / "shard_00000.npz"))
    assert len(pairs) == 3
    for i, pair in enumerate(pairs):
        assert np.abs(pair.person.astype(int) - picture(i)).mean() < 4
        assert np.abs(pair.target.astype(int) - picture(100 + i)).mean() < 4
        assert pair.region.shape == (64, 64)
        assert set(np.unique(pair.region)) == {0, 255}


def test_the_friendliest_picture_smiles_with_a_closed_mouth(tmp_path: Path) -> None:
    write_raw_shard(tmp_path / "shard_00000.npz", 3)
    cost, chosen = friendliest(tmp_path / "shard_00000.npz")
    assert cost == pytest.approx(0)
    assert np.abs(chosen.astype(int) - picture(102)).mean() < 4


def test_the_readings_kept_are_the_identitys_not_the_drivers(tmp_path: Path) -> None:
    write_raw_shard(tmp_path / "shard_00000.npz", 1)
    readings = iter([face(0.1), face(0.7)])
    shard = prepared(read_pairs(tmp_path / "shard_00000.npz"), lambda _: next(readings), Tally())
    assert shard is not None
    assert shard.face.shape == (1, SIZE + 2 * MARGIN, SIZE + 2 * MARGIN, 3)
    assert shard.target.shape == (1, SIZE, SIZE, 3)
    assert np.allclose(shard.blendshapes, 0.7)
    assert np.allclose(shard.pose, 0)
    assert shard.mask.max() == 255
    inside = shard.weight[0][shard.mask[0] == 255]
    assert inside.min() >= 15
    assert inside.max() == 64  # the eyes count four times


def test_pairs_with_a_missed_face_are_left_out_and_counted(tmp_path: Path) -> None:
    write_raw_shard(tmp_path / "shard_00000.npz", 3)
    answers = iter([None, face(0.2), face(0.1), None, face(0.1), face(0.5)])
    tally = Tally()
    shard = prepared(read_pairs(tmp_path / "shard_00000.npz"), lambda _: next(answers), tally)
    assert (tally.kept, tally.driver_missed, tally.identity_missed) == (1, 1, 1)
    assert shard is not None
    assert np.allclose(shard.blendshapes, 0.5)


def test_a_folder_is_prepared_once_and_the_first_shard_held_out(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    for number in range(2):
        write_raw_shard(raw / f"shard_{number:05d}.npz", 1)
    assert prepare_folder(raw, out, lambda _: face(0.3)).kept == 2
    assert (out / "held_out" / "shard_00000").is_dir()
    assert (out / "shard_00001").is_dir()
    assert prepare_folder(raw, out, lambda _: face(0.3)).kept == 0


def test_a_network_becomes_a_bundle_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxscript", reason="the export needs the extra `train`")
    tqdm = pytest.importorskip("tqdm")
    monkeypatch.setattr(tqdm.tqdm, "monitor_interval", 0)  # else the exporter's bar leaves a thread behind
    from trained_models.recipes.autoencoder.to_bundle import Story, to_onnx, write_bundle, write_preview

    torch.manual_seed(2)
    shape = Shape(size=32, code=8, condition=8, encoder=(4, 4, 8, 8, 8), bottom=8, decoder=(8, 8, 4, 4))
    network = SwapNetwork(shape).eval()
    rng = np.random.default_rng(1)
    feed = {
        "face": rng.uniform(0, 1, (2, 3, 32, 32)).astype(np.float32),
        "blendshapes": rng.uniform(0, 1, (2, 52)).astype(np.float32),
        "pose": np.zeros((2, 3), np.float32),
    }
    model, parity = to_onnx(network, feed)
    assert parity.worst <= 1e-4
    assert parity.half_psnr_db >= 45
    story = Story("eve", "Eve", "Made up for a test.", pairs=3, steps=0, batch=8, seed=2, hours=0.0, hardware="any")
    write_bundle(tmp_path / "eve", model, story, 32, parity, {"jawOpen_r": 0.5})
    write_raw_shard(tmp_path / "shard_00000.npz")
    write_preview(tmp_path / "eve" / "preview.jpg", [tmp_path / "shard_00000.npz"])
    bundle = load_bundle(tmp_path / "eve")
    assert bundle.card.title == "Eve"
    assert bundle.card.input.size == 32
    assert bundle.card.measured.facts["jawOpen_r"] == 0.5
    assert cv2.imread(str(tmp_path / "eve" / "preview.jpg")).shape == (256, 256, 3)

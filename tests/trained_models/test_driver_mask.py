"""The recipe of where the driver's own face shows: pictures, loss, training, files."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from trained_models.autoencoder.crops import finder
from trained_models.autoencoder.network import DriverMask
from trained_models.recipes.autoencoder import driver_mask
from trained_models.recipes.sample_files import joined

PREVIEW = Path(__file__).resolve().parents[2] / "trained_models" / "ada" / "preview.jpg"


def drivers_in(folder: Path, shards: int = 11, count: int = 2) -> Path:
    """Prepared drivers: bright discs on dark noise, the disc being the face."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(shards):
        shows = np.zeros((count, driver_mask.LARGE, driver_mask.LARGE), np.uint8)
        for one in shows:
            centre = rng.integers(70, driver_mask.LARGE - 70, 2).tolist()
            cv2.circle(one, centre, int(rng.integers(40, 60)), 255, -1)
        dark = rng.integers(0, 60, (count, driver_mask.LARGE, driver_mask.LARGE, 3), np.uint8)
        crops = np.where(shows[..., None] > 0, dark + 180, dark).astype(np.uint8)
        np.savez(folder / f"strangers_shard_{number:05d}.npz", crops=crops, shows=shows)
    return folder


def test_a_shards_drivers_are_cut_as_the_live_loop_cuts_them_and_once(tmp_path: Path) -> None:
    picture = cv2.imread(str(PREVIEW))
    assert picture is not None
    shows = np.full(picture.shape[:2], 255, np.uint8)
    empty = np.full_like(picture, 90)
    (tmp_path / "raw").mkdir()
    fields = {}
    for name, suffix, some in (("jpg", ".jpg", (picture, empty)), ("mask_png", ".png", (shows, shows))):
        fields[f"person_{name}"], fields[f"person_{name}_offsets"] = joined(
            [cv2.imencode(suffix, one)[1].tobytes() for one in some]
        )
    np.savez(tmp_path / "raw" / "shard_00003.npz", **fields)
    find = finder()
    assert driver_mask.prepare_drivers([tmp_path / "raw"], tmp_path / "ready", find) == 1  # the other one shows nobody
    assert driver_mask.prepare_drivers([tmp_path / "raw"], tmp_path / "ready", find) == 0
    with np.load(tmp_path / "ready" / "raw_shard_00003.npz", allow_pickle=False) as stored:
        crops, masks = stored["crops"], stored["shows"]
    assert crops.shape == (1, driver_mask.LARGE, driver_mask.LARGE, 3)
    assert masks.shape == (1, driver_mask.LARGE, driver_mask.LARGE)
    assert masks[0, driver_mask.LARGE // 2, driver_mask.LARGE // 2] == 255


def test_the_mask_moves_with_the_picture_and_two_cameras_see_one_moment(tmp_path: Path) -> None:
    drivers = driver_mask.Drivers(drivers_in(tmp_path / "ready"))
    clear = 0
    for number in range(12):
        batch = drivers.batch(number, 4)
        assert batch.face.shape == (4, 3, 160, 160)
        assert torch.equal(batch.shows[0], batch.shows[1])
        assert not torch.equal(batch.face[0], batch.face[1])
        bright = batch.face.mean(1, keepdim=True)
        clear += bool(bright[batch.shows > 0.99].mean() > bright[batch.shows < 0.01].mean() + 0.2)
    assert clear >= 11
    again = driver_mask.Drivers(tmp_path / "ready").batch(11, 4)
    assert torch.equal(again.face, batch.face)


def test_every_tenth_shard_is_held_out(tmp_path: Path) -> None:
    folder = drivers_in(tmp_path / "ready")
    assert (len(driver_mask.Drivers(folder)), len(driver_mask.Drivers(folder, held_out=True))) == (20, 2)
    (folder / "strangers_shard_00009.npz").unlink()
    with pytest.raises(ValueError, match="no drivers to check with"):
        driver_mask.Drivers(folder, held_out=True)


def test_the_loss_is_least_at_the_truth_and_sees_a_rim() -> None:
    truth = torch.ones(2, 1, 32, 32)
    truth[..., 10:12] = 0
    right, without_rim = (truth - 0.5) * 16, torch.full_like(truth, 8.0)
    best, terms = driver_mask.mask_loss(right, truth)
    assert float(best) < 0.01
    assert float(driver_mask.mask_loss(without_rim, truth)[0]) > 0.3
    assert terms["steady"] == 0
    unsteady = right.clone()
    unsteady[1] *= -1
    assert driver_mask.mask_loss(unsteady, truth)[1]["steady"] > 0.9


@pytest.mark.slow
def test_training_learns_goes_on_and_is_kept(tmp_path: Path) -> None:
    folder, plan = drivers_in(tmp_path / "ready"), replace(driver_mask.PLAN, batch=4)
    before = driver_mask.overlap(DriverMask(), driver_mask.Drivers(folder, held_out=True))
    driver_mask.train_mask(folder, tmp_path / "run", replace(plan, steps=12))
    network = driver_mask.train_mask(folder, tmp_path / "run", replace(plan, steps=30))
    after = driver_mask.overlap(network, driver_mask.Drivers(folder, held_out=True))
    assert after > max(before, 0.5)
    again = driver_mask.read_mask(tmp_path / "run" / "mask.npz")
    some = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        assert torch.allclose(network(some), again(some), atol=0.05)

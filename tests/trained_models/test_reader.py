"""What is read in a drawn face, as the swap recipe's loss reads it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_pairs import PLAN, SMALL, made_up_data

from realtime.capture.recording import Recording
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.imaging.affine import cut
from realtime.inference.ort import open_session
from realtime.models.library import built_in_folder, face_folder
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.crops import SIZE, face_crop
from trained_models.autoencoder.dataset import Pairs
from trained_models.autoencoder.reader import OnnxInTorch, Reader, lips_apart
from trained_models.autoencoder.training import FACE, Training


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(FACE, torch.device("cpu"))


@pytest.mark.parametrize("name", ["landmarks", "blendshapes", "detector"])
def test_the_face_networks_give_in_pytorch_what_onnx_runtime_gives(name: str) -> None:
    file = FACE / f"{name}.onnx"
    session = open_session(file, provider="cpu")
    (port,) = session.inputs.items()
    given = np.random.default_rng(0).uniform(0, 1, [side or 1 for side in port[1].shape]).astype(np.float32)
    expected = session.run({port[0]: given})
    session.close()
    made = OnnxInTorch(file, torch.device("cpu"))(torch.from_numpy(given))
    for own, theirs in zip(made, expected.values(), strict=True):
        np.testing.assert_allclose(own.numpy(), theirs, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))


def test_points_of_a_crop_are_where_the_tracker_finds_them(reader: Reader) -> None:
    tracker, clip = Tracker(face_folder(), provider="cpu"), Recording(built_in_folder() / "clips" / "driving.mp4")
    off, read, told, shapes = [], [], [], []
    try:
        while (frame := clip.read()) is not None and frame.seq < 60:
            if frame.seq % 6:
                continue
            (face,) = tracker.find(frame.pixels)
            matrix = face_crop(face.landmarks)
            crop = torch.from_numpy(cut(frame.pixels, matrix, SIZE, "edge")).permute(2, 0, 1)[None].float() / 255
            with torch.no_grad():
                found = reader.points(crop)
            flat = (face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2] + 0.5) / SIZE - 0.5
            off.append(np.linalg.norm(found[0, :, :2].numpy() - flat, axis=1).mean())
            read.append(lips_apart(found)[0].numpy())
            told.append(inner_lips(face.landmarks))
            shapes.append(np.abs(reader.blendshapes(found)[0].numpy() - face.blendshapes).mean())
    finally:
        clip.close()
        tracker.close()
    assert len(off) == 10
    assert float(np.mean(off)) < 0.01  # of the crop's side: about 2 % of a face's width
    assert float(np.mean(shapes)) < 0.05
    assert float(np.corrcoef(np.ravel(read), np.ravel(told))[0, 1]) > 0.95


def test_lips_apart_is_what_the_live_loop_tells() -> None:
    face = np.random.default_rng(4).normal(0, 50, (478, 3)).astype(np.float32)
    np.testing.assert_allclose(lips_apart(torch.from_numpy(face)[None])[0], inner_lips(face), rtol=1e-5)
    np.testing.assert_allclose(inner_lips(face * 7), inner_lips(face), rtol=1e-5)


def test_a_picture_can_be_moved_by_what_is_read_in_it(reader: Reader) -> None:
    face = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    lips_apart(reader.points(face)).sum().backward()
    assert face.grad is not None
    assert bool(torch.isfinite(face.grad).all())
    assert float(face.grad.abs().max()) > 0


@pytest.mark.slow
def test_readings_join_the_loss_when_their_time_has_come(tmp_path: Path) -> None:
    pairs, training = Pairs(made_up_data(tmp_path / "data")), Training(PLAN, SMALL)
    batch = pairs.batch(0, 2)
    assert "readings" not in training.step("ada", batch, PLAN.read_from - 0.1)
    terms = training.step("ada", batch, PLAN.read_from)
    assert terms["lips"] > 0
    assert terms["readings"] > 0

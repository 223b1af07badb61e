"""How the flow network for hair and neck is made: samples, training, bundle."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from mesh_faces import head
from moving_people import a_flow_sample

from realtime.families.motion.mesh import flow
from realtime.models.bundle import open_bundle
from realtime.models.library import built_in_folder
from trained_models.recipes.motion.flow import FlowNetwork, FlowSample, FlowSamples, counted, errors, fed, sample_of
from trained_models.recipes.motion.frames import Frames
from trained_models.recipes.motion.to_bundle import add_flow, flow_to_onnx, load_flow, save_flow

SLIM = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def sample() -> FlowSample:
    return a_flow_sample()


def test_a_sample_holds_map_face_and_pose(sample: FlowSample) -> None:
    assert sample.truth.shape == (2, 128, 128, 3)
    assert sample.where.shape == (2, 2, 64, 64)
    np.testing.assert_allclose(sample.pose[:, 1], np.radians([12, -20]), atol=0.08)
    assert 0.05 < (sample.face > 128).mean() < 0.4
    nobody = Frames(np.zeros((1, 320, 320, 3), np.uint8), sample.pose[:1, :3], sample.pose[:1, :2], 1, False)
    assert sample_of(head(), nobody, lambda _: []) is None


def test_training_and_live_tell_the_network_the_same(sample: FlowSample) -> None:
    batch = FlowSamples([sample], 1, plain=True).batch(0, 1)
    told, share = fed(batch)[0].numpy(), counted(batch)[0, 0].numpy()
    still = (batch.still[0].permute(1, 2, 0).numpy() * 255).reshape(64, 2, 64, 2, 3).mean((1, 3))
    live = np.zeros(flow.INPUTS[flow.AROUND][1:], np.float32)
    face, pose = batch.face[0, 0].numpy(), batch.pose[0].numpy()
    flow.fill(live, np.rint(still).astype(np.uint8), batch.where[0].numpy(), face, pose)
    np.testing.assert_allclose(live[6:], told[6:], atol=1e-4)
    np.testing.assert_allclose(live[:6], told[:6], atol=0.03)
    np.testing.assert_allclose(flow.counted(face, pose)[2:-2, 2:-2], share[2:-2, 2:-2], atol=1e-4)


def test_batches_repeat_and_mirrored_ones_fit_their_maps(sample: FlowSample) -> None:
    samples = FlowSamples([sample], 3)
    assert torch.equal(samples.batch(4, 3).truth, samples.batch(4, 3).truth)
    assert not torch.equal(samples.batch(4, 3).truth, samples.batch(5, 3).truth)
    nothing = torch.zeros(8, 2, 64, 64)
    plain, mirrored = (
        float(errors(s.batch(0, 8), nothing)[1]) for s in (FlowSamples([sample], 3, plain=True), samples)
    )
    assert plain == mirrored == 0
    turned = samples.batch(0, 16).pose[:, 1]
    assert (turned > 0.15).any()
    assert (turned < -0.15).any()


def test_the_export_is_the_network_and_fits_the_bundle(sample: FlowSample, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = FlowNetwork(SLIM).eval()
    torch.nn.init.normal_(network.out.weight, std=0.05)
    batch = FlowSamples([sample], 3, plain=True).batch(0, 2)
    _, parity = flow_to_onnx(network, batch)
    assert parity.worst < 1e-4
    save_flow(network, tmp_path / "weights.npz", 3)
    for name, value in load_flow(tmp_path / "weights.npz").state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=1e-3, rtol=1e-3)
    home = tmp_path / "motion"
    home.mkdir()
    for file in (built_in_folder() / "motion").iterdir():
        (home / file.name).write_bytes(file.read_bytes())
    add_flow(home, network, batch, {"steps": 3}, {"held_out": "0.02"})
    assert open_bundle(home).card.measured["around_held_out"] == "0.02"
    assert tomllib.loads((home / "model.toml").read_text())["training"]["around_steps"] == 3

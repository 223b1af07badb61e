"""How the flow network for hair and neck is made: samples, training, bundle."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mesh_faces import a_face, a_picture, a_shape, head

from realtime.families.motion.mesh import flow
from realtime.models.bundle import open_bundle
from realtime.models.library import built_in_folder
from trained_models.recipes.motion.frames import Frames

torch = pytest.importorskip("torch")

from trained_models.recipes.motion.flow import (  # noqa: E402
    PLAN,
    FlowNetwork,
    FlowSample,
    FlowSamples,
    FlowTraining,
    counted,
    errors,
    fed,
    sample_of,
)
from trained_models.recipes.motion.to_bundle import add_flow, flow_to_onnx, load_flow, save_flow  # noqa: E402

SLIM = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def sample() -> FlowSample:
    faces = [a_face(), a_face(a_shape(jaw_cm=2.0), turn_deg=(5, 12, 0)), a_face(turn_deg=(0, -20, 5))]
    frames = np.stack([np.roll(a_picture(320, 320), 4 * k, axis=1) for k in range(3)])
    nothing = np.zeros((3, 3), np.float32)
    coming = iter(faces)
    person = Frames(frames, nothing, nothing[:, :2], person_seed=7, cartoon=False)
    made = sample_of(head(), person, lambda _: [next(coming)])
    assert made is not None
    return made


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


@pytest.mark.slow
def test_training_learns_and_goes_on_where_it_stopped(sample: FlowSample, tmp_path: Path) -> None:
    samples = FlowSamples([sample], 3, plain=True)
    held = samples.batch(0, 2)
    plan = replace(PLAN, batch=2, steps=12, warm_up_steps=2)
    whole = FlowTraining(plan, SLIM)
    before = whole.judge(held)
    assert before["colour"] == pytest.approx(before["mesh"])
    for number in range(6):
        whole.step(samples.batch(number, 2))
    whole.save(tmp_path / "state.pt")
    again = FlowTraining(plan, SLIM)
    again.load(tmp_path / "state.pt")
    assert whole.step(held) == again.step(held)
    for _ in range(25):
        whole.step(held)
    assert whole.judge(held)["colour"] < before["mesh"]


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
    assert open_bundle(home).card.measured.facts["around_held_out"] == "0.02"
    assert tomllib.loads((home / "model.toml").read_text())["training"]["around_steps"] == 3

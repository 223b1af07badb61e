"""How the network for hair and neck is made: sittings, training, bundle."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from mesh_faces import a_face, a_picture, a_shape, head

from realtime.families.motion.mesh import flow as mesh_around
from realtime.models.bundle import open_bundle
from realtime.models.library import built_in_folder
from trained_models.recipes.motion.albums import Album

torch = pytest.importorskip("torch")

from trained_models.recipes.motion.around_bundle import (  # noqa: E402
    add_around,
    around_to_onnx,
    load_around,
    save_around,
)
from trained_models.recipes.motion.around_network import AroundNetwork  # noqa: E402
from trained_models.recipes.motion.around_samples import Sitting, Sittings, sitting_of  # noqa: E402
from trained_models.recipes.motion.around_training import (  # noqa: E402
    AroundPlan,
    AroundTraining,
    counted,
    errors,
    fed,
    train_around,
)

SLIM = (8, 8, 8, 8)


@pytest.fixture(scope="module")
def sitting() -> Sitting:
    faces = [a_face(), a_face(a_shape(jaw_cm=2.0), turn_deg=(5, 12, 0)), a_face(turn_deg=(0, -20, 5))]
    frames = np.stack([np.roll(a_picture(320, 320), 4 * k, axis=1) for k in range(3)])
    nothing = np.zeros((3, 3), np.float32)
    coming = iter(faces)
    album = Album(frames, nothing, nothing[:, :2], person_seed=7, cartoon=False)
    made = sitting_of(head(), album, lambda _: [next(coming)])
    assert made is not None
    return made


def test_a_sitting_holds_map_face_and_pose(sitting: Sitting) -> None:
    assert sitting.truth.shape == (2, 128, 128, 3)
    assert sitting.where.shape == (2, 2, 64, 64)
    np.testing.assert_allclose(sitting.pose[:, 1], np.radians([12, -20]), atol=0.08)
    assert 0.05 < (sitting.face > 128).mean() < 0.4
    nobody = Album(np.zeros((1, 320, 320, 3), np.uint8), sitting.pose[:1, :3], sitting.pose[:1, :2], 1, False)
    assert sitting_of(head(), nobody, lambda _: []) is None


def test_training_and_live_tell_the_network_the_same(sitting: Sitting) -> None:
    batch = Sittings([sitting], 1, plain=True).batch(0, 1)
    told, share = fed(batch)[0].numpy(), counted(batch)[0, 0].numpy()
    still = (batch.still[0].permute(1, 2, 0).numpy() * 255).reshape(64, 2, 64, 2, 3).mean((1, 3))
    live = np.zeros(mesh_around.INPUTS[mesh_around.AROUND][1:], np.float32)
    face, pose = batch.face[0, 0].numpy(), batch.pose[0].numpy()
    mesh_around.fill(live, np.rint(still).astype(np.uint8), batch.where[0].numpy(), face, pose)
    np.testing.assert_allclose(live[6:], told[6:], atol=1e-4)
    np.testing.assert_allclose(live[:6], told[:6], atol=0.03)
    np.testing.assert_allclose(mesh_around.counted(face, pose)[2:-2, 2:-2], share[2:-2, 2:-2], atol=1e-4)


def test_batches_repeat_and_mirrored_ones_fit_their_maps(sitting: Sitting) -> None:
    samples = Sittings([sitting], 3)
    assert torch.equal(samples.batch(4, 3).truth, samples.batch(4, 3).truth)
    assert not torch.equal(samples.batch(4, 3).truth, samples.batch(5, 3).truth)
    nothing = torch.zeros(8, 2, 64, 64)
    plain, mirrored = (float(errors(s.batch(0, 8), nothing)[1]) for s in (Sittings([sitting], 3, plain=True), samples))
    assert plain == mirrored == 0
    turned = samples.batch(0, 16).pose[:, 1]
    assert (turned > 0.15).any()
    assert (turned < -0.15).any()


def test_training_learns_and_goes_on_where_it_stopped(sitting: Sitting, tmp_path: Path) -> None:
    samples = Sittings([sitting], 3, plain=True)
    held = samples.batch(0, 2)
    plan = AroundPlan(batch=2, steps=12, warm_up_steps=2)
    whole = AroundTraining(plan, SLIM)
    made, mesh = whole.judge(held)
    assert made == pytest.approx(mesh)
    for number in range(6):
        whole.step(samples.batch(number, 2))
    whole.save(tmp_path / "state.pt")
    again = AroundTraining(plan, SLIM)
    again.load(tmp_path / "state.pt")
    assert whole.step(held) == again.step(held)
    for _ in range(25):
        whole.step(held)
    assert whole.judge(held)[0] < mesh


def test_a_run_ends_when_told(sitting: Sitting, tmp_path: Path) -> None:
    samples = Sittings([sitting], 3)
    asked = iter([False, True])
    held = samples.batch(0, 1)
    assert train_around(samples, held, tmp_path, AroundPlan(batch=1), pause=lambda: next(asked)).step_number == 1
    assert train_around(samples, held, tmp_path, AroundPlan(batch=1, steps=2)).step_number == 2


def test_the_export_is_the_network_and_fits_the_bundle(sitting: Sitting, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = AroundNetwork(SLIM).eval()
    torch.nn.init.normal_(network.out.weight, std=0.05)
    model, parity = around_to_onnx(network, Sittings([sitting], 3, plain=True).batch(0, 2))
    assert parity.worst < 1e-4
    save_around(network, tmp_path / "weights.npz", {"steps": 3.0})
    for name, value in load_around(tmp_path / "weights.npz").state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=1e-3, rtol=1e-3)
    home = tmp_path / "motion"
    home.mkdir()
    for file in (built_in_folder() / "motion").iterdir():
        (home / file.name).write_bytes(file.read_bytes())
    add_around(home, model, {"steps": 3}, {"held_out": "0.02"})
    assert open_bundle(home).card.measured.facts["around_held_out"] == "0.02"
    assert tomllib.loads((home / "model.toml").read_text())["training"]["around_steps"] == 3

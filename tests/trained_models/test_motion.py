"""How the built-in motion model is made: its networks, their training, its bundle and its avatars."""

import io
import tomllib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mesh_faces import MESH, a_picture, head
from moving_people import a_flow_sample, a_person, some_patches

from realtime.families.motion.mesh import flow
from realtime.families.motion.mesh.refiner import INPUTS, OUTPUTS, shaded
from realtime.families.motion.mesh.source import MOUTH_SIDE
from realtime.frame import Pixels
from realtime.models.avatar import read_avatar_card
from realtime.models.bundle import hash_file, open_bundle
from realtime.models.library import built_in_folder, face_folder
from realtime.tracking.tracker import Tracker
from trained_models.recipes.face import mesh_file
from trained_models.recipes.motion import to_bundle
from trained_models.recipes.motion.avatars import SITTERS
from trained_models.recipes.motion.flow import FlowNetwork, FlowSample, FlowSamples, counted, errors, fed, sample_of
from trained_models.recipes.motion.frames import Frames, frames_path, read_frames
from trained_models.recipes.motion.refiner import Refiner, Widths
from trained_models.recipes.motion.refiner import shaded as shaded_batch
from trained_models.recipes.motion.samples import Patches, Samples, prepare, read_patches, spread
from trained_models.recipes.sample_files import finished, joined
from trained_models.training.onnx_export import giga_flops

SLIM = Widths((8, 12, 16), (8, 12, 16))
AVATARS = built_in_folder() / "avatars"


@pytest.fixture(scope="module")
def patches() -> Patches:
    return some_patches()


def test_samples_show_the_same_place_at_rest_drawn_and_true(patches: Patches) -> None:
    assert patches.mouth_drawn.shape == patches.mouth_truth.shape == (2, 112, 112, 3)
    assert patches.eye_drawn.shape == patches.eye_rest.shape == (4, 64, 64, 3)
    opened, turned = patches.mouth_guides[:, :, :, 0]
    assert opened.sum() > 5 * turned.sum()
    assert 0.6 < patches.chin[1] < patches.chin[0] < 1.0  # the jaw dropped


def test_batches_repeat_and_plain_ones_are_not_recoloured(patches: Patches) -> None:
    samples = Samples(patches)
    first, again, other = (samples.batch(n, 3).mouth_fed for n in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    plain = spread(Samples(patches, plain=True), 9)
    assert plain.mouth_fed.shape == (2, 11, 112, 112)
    drawn = plain.mouth_fed[0, :3].permute(1, 2, 0).numpy() * 255
    np.testing.assert_allclose(drawn, patches.mouth_drawn[0], atol=0.01)


def test_the_network_is_small_and_begins_by_changing_nothing() -> None:
    network = Refiner().eval()
    assert giga_flops(network, tuple(torch.rand(shape) for shape in INPUTS.values())) < 1
    with torch.no_grad():
        made = network(*(torch.rand(shape) for shape in INPUTS.values()))
    assert [tuple(m.shape) for m in made] == list(OUTPUTS.values())
    assert max(float(m.abs().max()) for m in made) < 0.1


def test_the_mouth_is_shaded_alike_in_training_and_live() -> None:
    rng = np.random.default_rng(3)
    change = rng.normal(0, 0.1, (3, MOUTH_SIDE, MOUTH_SIDE)).astype(np.float32)
    opening = np.zeros((MOUTH_SIDE, MOUTH_SIDE), np.float32)
    opening[40:60, 30:80] = 1
    live = shaded(change, opening)
    learnt = shaded_batch(torch.from_numpy(change)[None], torch.from_numpy(opening)[None, None])[0].numpy()
    np.testing.assert_allclose(live, learnt, atol=1e-4)
    np.testing.assert_array_equal(live[:, :20], change[:, :20])
    assert live[:, 45:55, 40:70].std() < 0.3 * change[:, 45:55, 40:70].std()


@pytest.mark.slow
def test_the_export_is_the_network(patches: Patches, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Refiner(SLIM).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.05)
    _, parity = to_bundle.refiner_to_onnx(network, spread(Samples(patches, plain=True), 2))
    assert parity.worst < 1e-4
    to_bundle.save_refiner(network, tmp_path / "weights.npz", 3)
    again = to_bundle.load_refiner(tmp_path / "weights.npz").state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again[name], value, atol=1e-3, rtol=1e-3)


def test_patches_are_read_in_order_and_unfinished_ones_left_out(patches: Patches, tmp_path: Path) -> None:
    folder = tmp_path / "patches"
    folder.mkdir()
    fields = {name: getattr(patches, name) for name in patches.__slots__}
    for name in ("patches_00002", "patches_00001", "patches_00003.part"):
        np.savez(folder / f"{name}.npz", **fields)
    files = finished(tmp_path / "patches")
    assert [f.stem for f in files] == ["patches_00001", "patches_00002"]
    assert len(read_patches(files).chin) == 4


def test_the_mesh_comes_out_of_the_face_bundle() -> None:
    with np.load(io.BytesIO(mesh_file(built_in_folder() / "face"))) as made, np.load(MESH) as kept:
        assert set(made.files) == set(kept.files)
        for name in made.files:
            np.testing.assert_array_equal(made[name], kept[name])


@pytest.fixture(scope="module")
def tracker() -> Tracker:
    return Tracker(face_folder(), provider="cpu", threads=1)


def opaque(picture: Pixels) -> Pixels:
    if picture.shape[2] == 3:
        return picture
    share = picture[..., 3:].astype(np.float32) / 255
    return np.ascontiguousarray(picture[..., :3] * share + 128 * (1 - share)).astype(np.uint8)


@pytest.mark.parametrize("sitter", SITTERS, ids=lambda s: s.name)
def test_a_built_in_avatar_is_nobody_and_has_a_calm_face(sitter: object, tracker: Tracker) -> None:
    name = sitter.name  # type: ignore[attr-defined]
    card = read_avatar_card(AVATARS / name)
    assert (card.name, card.identity.kind) == (name, "synthetic")
    file = AVATARS / name / card.picture.file
    assert hash_file(file) == card.picture.sha256
    picture = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert picture.shape[0] >= 720
    faces = tracker.find(opaque(picture))
    assert len(faces) == 1
    assert faces[0].blendshapes[25] < 0.1  # the jaw is closed
    assert faces[0].blendshapes[[9, 10]].max() < 0.4
    assert faces[0].pose[2, 2] > 0.95  # looks into the camera


def test_one_avatar_is_cut_out_and_all_are_small() -> None:
    pictures = [next((AVATARS / sitter.name).glob("picture.*")) for sitter in SITTERS]
    seen = [cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in pictures]
    clear = [p for p in seen if p is not None and p.shape[2] == 4]
    assert len(clear) == 1
    assert (clear[0][..., 3] == 0).mean() > 0.3
    assert (clear[0][..., 3] == 255).mean() > 0.3
    assert sum(p.stat().st_size for p in AVATARS.rglob("*") if p.is_file()) < 1.5e6


def test_frames_are_read_as_they_were_written_and_prepared_once(tmp_path: Path) -> None:
    drawn, _ = a_person()
    stream, offsets = joined([cv2.imencode(".jpg", frame)[1].tobytes() for frame in drawn.frames[:2]])
    path = frames_path(tmp_path, 0)
    path.parent.mkdir()
    np.savez(
        path,
        **{"frame_jpg": stream, "frame_jpg_offsets": offsets, "rot": drawn.rot[:2], "gaze": drawn.gaze[:2]},
        **{"person_seed": np.int64(7), "cartoon": np.bool_(True)},
    )
    person = read_frames(path)
    assert person.frames.shape == (2, 320, 320, 3)
    assert np.abs(person.frames[0].astype(int) - a_picture(320, 320)).mean() < 4
    assert person.cartoon
    assert person.person_seed == 7
    assert list(prepare(tmp_path, "patches", range(3), lambda person: None)) == []  # shows nobody
    assert list(prepare(tmp_path, "patches", range(3), lambda person: {"chin": person.rot})) == [0]
    assert [p.name for p in finished(tmp_path / "patches")] == ["patches_00000.npz"]
    assert list(prepare(tmp_path, "patches", range(3), lambda person: pytest.fail("done already"))) == []


FLOW_SLIM = (8, 8, 8, 8)


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


@pytest.mark.slow
def test_the_export_is_the_network_and_fits_the_bundle(
    sample: FlowSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(2)
    network = FlowNetwork(FLOW_SLIM).eval()
    torch.nn.init.normal_(network.out.weight, std=0.05)
    batch = FlowSamples([sample], 3, plain=True).batch(0, 2)
    exported = _, parity = to_bundle.flow_to_onnx(network, batch)
    assert parity.worst < 1e-4
    monkeypatch.setattr(to_bundle, "flow_to_onnx", lambda *_: exported)  # it takes its time
    to_bundle.save_flow(network, tmp_path / "weights.npz", 3)
    for name, value in to_bundle.load_flow(tmp_path / "weights.npz").state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=1e-3, rtol=1e-3)
    home = tmp_path / "motion"
    home.mkdir()
    for file in (built_in_folder() / "motion").iterdir():
        (home / file.name).write_bytes(file.read_bytes())
    to_bundle.add_flow(home, network, batch, {"steps": 3}, {"held_out": "0.02"})
    assert open_bundle(home).card.measured["around_held_out"] == "0.02"
    assert tomllib.loads((home / "model.toml").read_text())["training"]["around_steps"] == 3

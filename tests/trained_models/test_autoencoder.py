"""The recipe for swap identities, on tiny data: pairs, network, training, what is read in a drawn face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_pairs import PLAN, SMALL, made_up_data, made_up_shard

from realtime.capture.recording import Recording
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.imaging.affine import cut
from realtime.inference.ort import open_session
from realtime.models.library import built_in_folder, face_folder
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder import augment
from trained_models.autoencoder.crops import SIZE, face_crop
from trained_models.autoencoder.dataset import Pairs, load_shard, save_shard
from trained_models.autoencoder.export import Exported, ExportedFine, to_onnx, widest
from trained_models.autoencoder.network import Shape, SwapNetwork
from trained_models.autoencoder.reader import OnnxInTorch, Reader, lips_apart
from trained_models.autoencoder.training import FACE, Plan, Training
from trained_models.autoencoder.weights import from_bundle, load_weights, save_weights, settle_norms
from trained_models.recipes.autoencoder.train import train
from trained_models.training.files import add_to_bundle
from trained_models.training.losses import edge_loss, structure_loss, weighted_mean


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_up_data(tmp_path / "data")


def test_the_network_draws_a_face_and_a_mask_of_the_crops_size() -> None:
    exported = Exported(SwapNetwork(SMALL)).eval()
    with torch.no_grad():
        face, mask, free, features = exported(
            torch.rand(2, 3, 32, 32), torch.rand(2, 52), torch.zeros(2, 3), torch.zeros(2, 3)
        )
        fine = ExportedFine(exported.network)(features)
    assert face.shape == (2, 3, 32, 32)
    assert fine.shape == (2, 3, 48, 48)
    for picture in (face, fine):
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    for some in (mask, free):
        assert some.shape == (2, 1, 32, 32)
        assert 0 < float(some.min()) <= float(some.max()) < 1


def test_the_shipped_size_keeps_its_budget() -> None:
    counter = pytest.importorskip("torch.utils.flop_counter")
    network = Exported(SwapNetwork()).eval()
    with counter.FlopCounterMode(display=False) as work, torch.no_grad():
        network(torch.rand(1, 3, 160, 160), torch.rand(1, 52), torch.zeros(1, 3), torch.zeros(1, 3))
    assert work.get_total_flops() < 1.5e9
    assert sum(p.numel() for p in network.parameters()) < 3.0e6
    assert Shape().fine_size >= 224


@pytest.mark.parametrize("size", [0, 100, -32])
def test_a_size_the_network_cannot_halve_five_times_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        Shape(size=size)


def test_the_condition_changes_the_picture_even_without_the_code() -> None:
    torch.manual_seed(0)
    network = SwapNetwork(SMALL).eval()
    face, blank = torch.rand(1, 3, 32, 32), torch.zeros(1, 1)
    flat, shut = torch.zeros(1, 52), torch.zeros(1, 3)
    one = network(face, flat, torch.zeros(1, 3), shut, keep_code=blank).face
    other = network(face, torch.ones(1, 52), torch.zeros(1, 3), shut, keep_code=blank).face
    parted = network(face, flat, torch.zeros(1, 3), shut + 0.2, keep_code=blank).face
    unseen = network(torch.rand(1, 3, 32, 32), flat, torch.zeros(1, 3), shut, keep_code=blank).face
    assert not torch.equal(one, other)
    assert not torch.equal(one, parted)
    assert torch.equal(one, unseen)


def test_losses_are_zero_for_the_target_itself_and_grow_with_the_error() -> None:
    target, weight = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    near, far = target + 0.02 * torch.rand_like(target), torch.rand_like(target)
    for loss in (structure_loss, edge_loss):
        assert float(loss(target, target, weight)) == pytest.approx(0, abs=1e-5)
        assert float(loss(near, target, weight)) < float(loss(far, target, weight))
    assert float(weighted_mean(torch.ones(1, 3, 4, 4), torch.ones(1, 1, 4, 4))) == pytest.approx(1, abs=1e-5)


def test_training_lowers_the_loss(data: Path) -> None:
    pairs = Pairs(data, seed=5)
    training = Training(PLAN, SMALL)
    training.fit_condition("ada", pairs.readings())
    losses = [training.step("ada", pairs.batch(k, 2), 0.0)["loss"] for k in range(40)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_fine_head_critic_and_readings_join_the_loss_in_their_time(data: Path) -> None:
    pairs, training = Pairs(data, seed=5), Training(PLAN, SMALL)
    early, later, last = (training.step("ada", pairs.batch(0, 2), p) for p in (0.1, 0.6, 0.9))
    assert early.keys().isdisjoint({"fine", "lips", "readings", "critic"})
    assert later.keys().isdisjoint({"sharp", "critic"})
    assert min(later["lips"], later["readings"], later["fine"]) > 0
    assert {"fine", "sharp", "critic"} <= last.keys()


def test_identities_share_the_encoder_and_nothing_else(data: Path) -> None:
    pairs, training = Pairs(data, seed=5), Training(PLAN, SMALL, names=("one", "other"))
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    training.step("one", pairs.batch(0, 2), 0.0)
    now = training.network.state_dict()
    changed = {".".join(name.split(".")[:2]) for name in now if not torch.equal(now[name], before[name])}
    assert "decoders.one" in changed
    assert "encoder.steps" in changed
    assert "decoders.other" not in changed


@pytest.mark.slow
def test_a_short_run_leaves_weights_and_a_log_and_goes_on(data: Path, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    data.rename(tmp_path / "all" / "mona")
    out, plan = tmp_path / "out", replace(PLAN, read_from=2, fine_from=0.9)
    done = train(tmp_path / "all", out, ["mona"], steps=50, plan=plan, threads=1, shape=SMALL)
    assert done.step_number == 50
    assert {f.name for f in out.iterdir()} == {"state.pt", "mona.npz", "log.jsonl"}
    assert "held_out" in (out / "log.jsonl").read_text()
    again = train(tmp_path / "all", out, ["mona"], steps=52, plan=plan, threads=1, shape=SMALL)
    assert again.step_number == 52


def test_the_learning_rate_warms_up_and_falls() -> None:
    plan = Plan(warm_up_steps=10, peak_rate=1.0, last_rate=0.1, fall=0.5)
    assert plan.rate(0, 0.0) == pytest.approx(0.1)
    assert plan.rate(20, 0.4) == pytest.approx(1.0)
    assert plan.rate(99, 1.0) == pytest.approx(0.1)


def test_parts_that_are_not_named_stay_as_they_are(data: Path) -> None:
    training = Training(replace(PLAN, only=("condition", "told")), SMALL)
    before = {name: tensor.clone() for name, tensor in training.network.state_dict().items()}
    pairs = Pairs(data, seed=5)
    for number in range(3):
        training.step("ada", pairs.batch(number, 2), number / 10)
    changed = {name for name, tensor in training.network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all("condition" in name or ".told." in name for name in changed)
    for name, tensor in training.averaged.state_dict().items():
        assert name in changed or torch.equal(tensor, before[name])


def test_lips_can_be_taken_for_farther_apart_than_told() -> None:
    torch.manual_seed(2)
    condition = SwapNetwork(SMALL).decoder.condition
    condition.mean.fill_(0.1)
    given, lips = (torch.rand(1, 52), torch.zeros(1, 3)), torch.tensor([[0.1, 0.2, 0.1]])
    with torch.no_grad():
        wanted = condition(*given, lips * 1.25, torch.zeros(1, 1))
        assert not torch.allclose(condition(*given, lips, torch.zeros(1, 1)), wanted, atol=1e-4)
        condition.take_lips_as(1.25)
        assert torch.allclose(condition(*given, lips, torch.zeros(1, 1)), wanted, atol=1e-5)


def test_saved_weights_draw_the_same_picture(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = SwapNetwork(SMALL).eval()
    save_weights(network, tmp_path / "w.npz", {"steps": 7})
    again = load_weights(tmp_path / "w.npz")
    feed = torch.rand(1, 3, 32, 32), torch.rand(1, 52), torch.zeros(1, 3), torch.rand(1, 3)
    with torch.no_grad():
        assert torch.allclose(network(*feed).face, again(*feed).face, atol=5e-3)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert int(file["steps"]) == 7


def lived_in() -> SwapNetwork:
    """A small network whose batch norms have seen something."""
    torch.manual_seed(3)
    network = SwapNetwork(SMALL).train()
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.05)  # equal tensors are stored once
    for _ in range(5):
        network(torch.rand(4, 3, 32, 32), torch.rand(4, 52), torch.zeros(4, 3), torch.rand(4, 3))
        network.driver_mask(torch.rand(4, 3, 32, 32))
    return network.eval()


@pytest.mark.slow
def test_a_bundles_network_can_be_trained_on(data: Path, tmp_path: Path) -> None:
    network, some = lived_in(), Pairs(data).plain([0, 1, 2, 3])
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for name, content in to_onnx(network, some).named().items():
        (bundle / name).write_bytes(content)
    again = from_bundle(bundle)
    with torch.no_grad():
        first, second = network(some.face, *some.told), again(some.face, *some.told)
        assert torch.allclose(first.face, second.face, atol=5e-3)
        assert torch.allclose(network.driver_mask(some.face), again.driver_mask(some.face), atol=2e-2)
        assert torch.allclose(network.decoder.fine(first.features), again.decoder.fine(second.features), atol=5e-3)
        settle_norms(again, some.face, some.told)
        settled = again.eval()(some.face, *some.told)
        assert torch.allclose(second.face, settled.face, atol=1e-3)
        trained = again.train()(some.face, *some.told)
    assert torch.allclose(second.face, trained.face, atol=2e-2)  # what training sees is what was drawn
    (tmp_path / "all").mkdir()
    data.rename(tmp_path / "all" / "mona")
    then = train(
        tmp_path / "all",
        tmp_path / "on",
        ["mona"],
        hours=1e-9,
        plan=PLAN,
        threads=1,
        shape=SMALL,
        start={"mona": bundle},
    )
    assert then.step_number == 0
    begun = then.member("mona")
    with torch.no_grad():
        assert torch.allclose(begun(some.face, *some.told).face, first.face, atol=1e-2)
    # Folded into the convolutions they would all be 1, and training would see another network than was drawn.
    assert not torch.allclose(begun.encoder.steps[2].norm.running_var, torch.ones(8), atol=0.05)


def test_the_identitys_mask_grows() -> None:
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 20, 20] = 1
    grown = widest(mask, 5)[0, 0]
    assert float(grown.sum()) == 25
    assert float(grown[18:23, 18:23].min()) == 1


def test_augmented_pictures_follow_from_their_seed_and_keep_their_shape() -> None:
    picture = made_up_shard().face[0]
    first, again, other = (augment.webcam(picture, 32, np.random.default_rng(s)) for s in (7, 7, 8))
    assert (first.shape, first.dtype) == ((32, 32, 3), np.uint8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    small, grey = picture[:32, :32].copy(), np.full((32, 32, 3), 128, np.uint8)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for change in (augment.lit_unevenly, augment.shadowed, augment.softened, augment.noisy, augment.jpeg):
            out = change(small, rng)
            assert (out.shape, out.dtype) == (small.shape, np.uint8)
        out, patch = augment.covered(grey, rng)
        assert 0 < patch.max() <= 1.001
        assert np.abs(out[patch < 1e-3].astype(int) - 128).max(initial=0) <= 1


def test_the_mirror_swaps_left_and_right_and_twice_is_nothing() -> None:
    blendshapes = np.arange(52, dtype=np.float32)
    mirrored = augment.mirrored_blendshapes(blendshapes)
    assert mirrored[44] == 45  # mouthSmileLeft <- mouthSmileRight
    assert mirrored[9] == 10  # eyeBlinkLeft <- eyeBlinkRight
    assert mirrored[25] == 25  # jawOpen
    assert np.array_equal(augment.mirrored_blendshapes(mirrored), blendshapes)


def test_talking_smiles_are_drawn_more_often(tmp_path: Path) -> None:
    shard = made_up_shard(40)
    shard.blendshapes[:] = 0
    shard.blendshapes[0, [25, 44, 45]] = 0.5
    shard.face[:], shard.target[:] = 100, 100
    shard.target[0] = 200
    save_shard(tmp_path / "shard_00000", shard)
    pairs = Pairs(tmp_path, seed=1)
    means = torch.cat([pairs.batch(n, 8).target.mean((1, 2, 3)) for n in range(40)])
    share = float((means > 0.6).float().mean())
    assert 0.10 < share < 0.25  # 15 % and its own fortieth; evenly drawn it would be 2.5 %


def test_a_shard_comes_back_as_it_was_saved_and_is_picked_up(data: Path) -> None:
    pairs, shard = Pairs(data), made_up_shard(2)
    assert len(pairs) == 6
    save_shard(data / "shard_00002", shard)
    assert pairs.refresh() == 8
    back = load_shard(data / "shard_00002")
    assert np.array_equal(back.face, shard.face)
    assert np.array_equal(back.pose, shard.pose)
    assert not list(data.glob("*.part"))


def test_batches_follow_from_seed_and_number_and_two_cameras_see_one_moment(data: Path) -> None:
    one, same, other = (Pairs(data, seed=4).batch(number, 4) for number in (3, 3, 4))
    assert torch.equal(one.face, same.face)
    assert torch.equal(one.blendshapes, same.blendshapes)
    assert not torch.equal(one.face, other.face)
    for alike in (one.target, one.keep_code):
        assert torch.equal(alike[0::2], alike[1::2])
    for seen in (one.face, one.blendshapes):
        assert not any(torch.equal(a, b) for a, b in zip(seen[0::2], seen[1::2], strict=True))


def test_facts_take_their_place_on_the_card_once(tmp_path: Path) -> None:
    card = tmp_path / "model.toml"
    head = 'schema = 1\n\n[files]\n"a.onnx" = "x"\n'
    card.write_text(f'{head}\n[training]\nsteps = 3\n\n[measured]\nexport = "exact"\nwork = "1"\n', encoding="utf-8")
    facts = {"files": {"b.onnx": "y"}, "output": {"fine_size": 256}, "measured": {"work": "2"}}
    for _ in range(2):
        add_to_bundle(tmp_path, {}, facts)
        assert card.read_text(encoding="utf-8") == (
            f'{head}"b.onnx" = "y"\n\n[output]\nfine_size = 256\n\n'
            '[training]\nsteps = 3\n\n[measured]\nexport = "exact"\nwork = "2"\n'
        )


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

"""The recipe for swap identities, on tiny data."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipes need the extra `train`")

from trained_models.recipes.autoencoder import augment  # noqa: E402
from trained_models.recipes.autoencoder.losses import edge_loss, structure_loss, weighted_mean  # noqa: E402
from trained_models.recipes.autoencoder.network import Shape, SwapNetwork, Wearable  # noqa: E402
from trained_models.recipes.autoencoder.pairs_dataset import Pairs, Shard, load_shard, save_shard  # noqa: E402
from trained_models.recipes.autoencoder.training import Plan, Training, load_weights, save_weights  # noqa: E402

SMALL = Shape(size=32, code=8, condition=8, encoder=(4, 4, 8, 8, 8), bottom=8, decoder=(8, 8, 4, 4))
PLAN = Plan(batch=2, warm_up_steps=2, bf16=False, seed=5)


def made_up_shard(count: int = 3, size: int = 32, margin: int = 4) -> Shard:
    """Noise for drivers, one colour ramp for the identity, plausible readings."""
    rng = np.random.default_rng(3)
    large = size + 2 * margin
    ramp = np.linspace(20, 120, size * 3).reshape(1, size, 3).repeat(size, 0).astype(np.uint8)
    return Shard(
        face=rng.integers(0, 256, (count, large, large, 3), np.uint8),
        target=np.broadcast_to(ramp, (count, size, size, 3)).copy(),
        mask=np.full((count, size, size), 255, np.uint8),
        weight=np.full((count, size, size), 16, np.uint8),
        blendshapes=rng.uniform(0, 1, (count, 52)).astype(np.float32),
        pose=rng.normal(0, 0.2, (count, 3)).astype(np.float32),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two prepared shards."""
    for name in ("shard_00000", "shard_00001"):
        save_shard(tmp_path / "data" / name, made_up_shard())
    return tmp_path / "data"


def test_the_network_draws_a_face_and_a_mask_of_the_crops_size() -> None:
    wearable = Wearable(SwapNetwork(SMALL)).eval()
    with torch.no_grad():
        face, mask = wearable(torch.rand(2, 3, 32, 32), torch.rand(2, 52), torch.zeros(2, 3))
    assert face.shape == (2, 3, 32, 32)
    assert mask.shape == (2, 1, 32, 32)
    assert 0 <= float(face.min()) <= float(face.max()) <= 1
    assert 0 < float(mask.min()) <= float(mask.max()) < 1


def test_the_shipped_size_keeps_its_budget() -> None:
    counter = pytest.importorskip("torch.utils.flop_counter")
    network = Wearable(SwapNetwork()).eval()
    with counter.FlopCounterMode(display=False) as work, torch.no_grad():
        network(torch.rand(1, 3, 160, 160), torch.rand(1, 52), torch.zeros(1, 3))
    assert work.get_total_flops() < 1.2e9
    assert sum(p.numel() for p in network.parameters()) < 3.0e6


@pytest.mark.parametrize("size", [0, 100, -32])
def test_a_size_the_network_cannot_halve_five_times_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        Shape(size=size)


def test_the_condition_changes_the_picture_even_without_the_code() -> None:
    torch.manual_seed(0)
    network = SwapNetwork(SMALL).eval()
    face, blank = torch.rand(1, 3, 32, 32), torch.zeros(1, 1)
    one = network(face, torch.zeros(1, 52), torch.zeros(1, 3), keep_code=blank).face
    other = network(face, torch.ones(1, 52), torch.zeros(1, 3), keep_code=blank).face
    unseen = network(torch.rand(1, 3, 32, 32), torch.zeros(1, 52), torch.zeros(1, 3), keep_code=blank).face
    assert not torch.equal(one, other)
    assert torch.equal(one, unseen)


def test_one_seed_gives_one_augmented_picture() -> None:
    picture = made_up_shard().face[0]
    first, again, other = (augment.webcam(picture, 32, np.random.default_rng(s)) for s in (7, 7, 8))
    assert first.shape == (32, 32, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_augmentation_runs_and_keeps_the_shape() -> None:
    picture = made_up_shard().face[0, :32, :32].copy()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        for change in (augment.lit_unevenly, augment.covered, augment.softened, augment.noisy, augment.jpeg):
            out = change(picture, rng)
            assert out.shape == picture.shape
            assert out.dtype == np.uint8


def test_the_mirror_swaps_left_and_right_and_twice_is_nothing() -> None:
    blendshapes = np.arange(52, dtype=np.float32)
    mirrored = augment.mirrored_blendshapes(blendshapes)
    assert mirrored[44] == 45  # mouthSmileLeft <- mouthSmileRight
    assert mirrored[9] == 10  # eyeBlinkLeft <- eyeBlinkRight
    assert mirrored[25] == 25  # jawOpen
    assert np.array_equal(augment.mirrored_blendshapes(mirrored), blendshapes)


def test_losses_are_zero_for_the_target_itself_and_grow_with_the_error() -> None:
    target, weight = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    near, far = target + 0.02 * torch.rand_like(target), torch.rand_like(target)
    for loss in (structure_loss, edge_loss):
        assert float(loss(target, target, weight)) == pytest.approx(0, abs=1e-5)
        assert float(loss(near, target, weight)) < float(loss(far, target, weight))
    assert float(weighted_mean(torch.ones(1, 3, 4, 4), torch.ones(1, 1, 4, 4))) == pytest.approx(1, abs=1e-5)


def test_a_shard_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    shard = made_up_shard()
    save_shard(tmp_path / "shard_00000", shard)
    back = load_shard(tmp_path / "shard_00000")
    assert np.array_equal(back.face, shard.face)
    assert np.array_equal(back.pose, shard.pose)
    assert not list(tmp_path.glob("*.part"))


def test_new_shards_are_picked_up(data: Path) -> None:
    pairs = Pairs(data)
    assert len(pairs) == 6
    save_shard(data / "shard_00002", made_up_shard(2))
    assert pairs.refresh() == 8


def test_batches_depend_on_nothing_but_seed_and_number(data: Path) -> None:
    one, same = Pairs(data, seed=4).batch(3, 2), Pairs(data, seed=4).batch(3, 2)
    other = Pairs(data, seed=4).batch(4, 2)
    assert torch.equal(one.face, same.face)
    assert torch.equal(one.blendshapes, same.blendshapes)
    assert not torch.equal(one.face, other.face)


def steps(training: Training, pairs: Pairs, count: int) -> list[float]:
    """The losses of the next `count` steps."""
    return [
        training.step(pairs.batch(training.step_number, 2), training.step_number / 10)["loss"] for _ in range(count)
    ]


def test_a_resumed_run_equals_an_unbroken_one(data: Path, tmp_path: Path) -> None:
    pairs = Pairs(data, seed=5)
    whole = Training(PLAN, SMALL)
    whole.fit_condition(pairs.readings())
    unbroken = steps(whole, pairs, 4)
    first = Training(PLAN, SMALL)
    first.fit_condition(pairs.readings())
    begun = steps(first, pairs, 2)
    first.save(tmp_path / "state.pt")
    second = Training(PLAN, SMALL)
    second.load(tmp_path / "state.pt")
    assert begun + steps(second, pairs, 2) == unbroken
    for a, b in zip(whole.averaged.state_dict().values(), second.averaged.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    Training(PLAN, SMALL).save(tmp_path / "state.pt")
    with pytest.raises(ValueError, match="shape"):
        Training(PLAN, Shape(size=64)).load(tmp_path / "state.pt")


def test_training_lowers_the_loss(data: Path) -> None:
    pairs = Pairs(data, seed=5)
    training = Training(PLAN, SMALL)
    training.fit_condition(pairs.readings())
    losses = steps(training, pairs, 40)
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_the_learning_rate_warms_up_and_falls() -> None:
    plan = Plan(warm_up_steps=10, peak_rate=1.0, last_rate=0.1, fall=0.5)
    assert plan.rate(0, 0.0) == pytest.approx(0.1)
    assert plan.rate(20, 0.4) == pytest.approx(1.0)
    assert plan.rate(99, 1.0) == pytest.approx(0.1)


def test_saved_weights_draw_the_same_picture(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = SwapNetwork(SMALL).eval()
    save_weights(network, tmp_path / "w.npz", {"steps": 7})
    again = load_weights(tmp_path / "w.npz")
    feed = torch.rand(1, 3, 32, 32), torch.rand(1, 52), torch.zeros(1, 3)
    with torch.no_grad():
        assert torch.allclose(network(*feed).face, again(*feed).face, atol=5e-3)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert int(file["steps"]) == 7


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

"""The swap recipe's data: pairs on disk, what cameras make of them, batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_pairs import made_up_data, made_up_shard

from trained_models.autoencoder import augment
from trained_models.autoencoder.dataset import Pairs, load_shard, save_shard
from trained_models.training.files import add_to_bundle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return made_up_data(tmp_path / "data")


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


def test_two_cameras_see_one_moment(data: Path) -> None:
    batch = Pairs(data, seed=4).batch(3, 4)
    for first, second in ((0, 1), (2, 3)):
        assert torch.equal(batch.target[first], batch.target[second])
        assert torch.equal(batch.keep_code[first], batch.keep_code[second])
        assert not torch.equal(batch.face[first], batch.face[second])
        assert not torch.equal(batch.blendshapes[first], batch.blendshapes[second])


def test_facts_are_put_on_the_card_once(tmp_path: Path) -> None:
    card = tmp_path / "model.toml"
    card.write_text('schema = 1\n\n[measured]\nexport = "exact"\nsilence = "loud"\n', encoding="utf-8")
    add_to_bundle(tmp_path, {}, {"measured": {"silence": "still"}})
    add_to_bundle(tmp_path, {}, {"measured": {"silence": "quite still"}})
    assert card.read_text(encoding="utf-8") == 'schema = 1\n\n[measured]\nexport = "exact"\nsilence = "quite still"\n'


def test_facts_take_their_place_in_their_table(tmp_path: Path) -> None:
    card = tmp_path / "model.toml"
    card.write_text(
        'schema = 1\n\n[files]\n"a.onnx" = "x"\n\n[training]\nsteps = 3\n\n[measured]\nwork = "1"\n', encoding="utf-8"
    )
    facts = {"files": {"b.onnx": "y"}, "output": {"fine_size": 256}, "measured": {"work": "2"}}
    add_to_bundle(tmp_path, {}, facts)
    made = card.read_text(encoding="utf-8")
    assert made == (
        'schema = 1\n\n[files]\n"a.onnx" = "x"\n"b.onnx" = "y"\n\n[output]\nfine_size = 256\n\n'
        '[training]\nsteps = 3\n\n[measured]\nwork = "2"\n'
    )
    add_to_bundle(tmp_path, {}, {"output": {"fine_size": 256}})
    assert card.read_text(encoding="utf-8") == made

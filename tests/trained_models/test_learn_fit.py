"""The training of `masquerade learn`: the frozen encoder, codes of strangers, stop, resume and early end."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from realtime.errors import ModelError
from trained_models.autoencoder.dataset import Pairs, Shard, save_shard
from trained_models.autoencoder.network import Shape, SwapNetwork
from trained_models.autoencoder.training import Plan
from trained_models.learn.fit import LOG, PREVIEW, STATE, Limits, Stopped, fit
from trained_models.learn.learner import LIPS_GAIN, Learner
from trained_models.learn.read_back import FOLLOWED, LEAST, MOST, Report, followed, lips_factor
from trained_models.learn.samples import load_drivers
from trained_models.learn.sheets import Drivers, sheet

SMALL = Shape(size=32, code=8, condition=8, encoder=(4, 4, 8, 8, 8), bottom=8, decoder=(8, 8, 4, 4))
PLAN = Plan(
    batch=4, peak_rate=4e-3, last_rate=1e-4, warm_up_steps=2, fall=0.5, average=0.9, bf16=False, seed=5, read_from=1
)
READS = replace(PLAN, read_from=0.5)
RNG = np.random.default_rng(2)
STRANGERS = RNG.integers(0, 256, (6, 32, 32, 3), np.uint8)
DRIVERS = Drivers(STRANGERS[:3], *(np.zeros((3, n), np.float32) for n in (52, 3, 3)))


def learner(plan: Plan = PLAN) -> Learner:
    torch.manual_seed(0)
    return Learner(SwapNetwork(SMALL), STRANGERS, np.array([0, 0, 1, 1, 2, 2]), plan, device="cpu")


def shard(count: int = 12) -> Shard:
    """A face of one colour whose brightness goes with the jaw, before noise."""
    rng = np.random.default_rng(3)
    told = rng.uniform(0, 1, (count, 52)).astype(np.float32)
    target = np.empty((count, 32, 32, 3), np.uint8)
    target[:] = (60 + 120 * told[:, 25]).astype(np.uint8)[:, None, None, None] * np.array([0.6, 0.8, 1.0])
    return Shard(
        face=np.pad(target, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge"),
        target=target,
        mask=np.full((count, 32, 32), 255, np.uint8),
        weight=np.full((count, 32, 32), 16, np.uint8),
        blendshapes=told,
        pose=rng.normal(0, 0.1, (count, 3)).astype(np.float32),
        lips=rng.uniform(0, 0.3, (count, 3)).astype(np.float32),
    )


pytestmark = pytest.mark.slow


@pytest.fixture
def frames(tmp_path: Path) -> Pairs:
    save_shard(tmp_path / "frames" / "shard_00000", shard())
    return Pairs(tmp_path / "frames")


def train(some: Learner, frames: Pairs, folder: Path, limits: Limits, stop_after: int | None = None) -> list[str]:
    said: list[str] = []
    folder.mkdir(exist_ok=True)

    def ends() -> bool:
        return some.step_number == stop_after

    fit(some, frames, frames, DRIVERS, folder, limits, said.append, ends, clock=lambda: 0.0)
    return said


def test_the_encoder_stays_and_the_decoder_learns(frames: Pairs, tmp_path: Path) -> None:
    some = learner()
    encoder = {k: v.clone() for k, v in some.network.encoder.state_dict().items()}
    test = frames.plain(list(range(12)))
    before = some.error(test)
    said = train(some, frames, tmp_path / "run", Limits(steps=60, judge_every=20))
    assert all(torch.equal(v, encoder[k]) for k, v in some.network.encoder.state_dict().items())
    assert all(torch.equal(v, encoder[k]) for k, v in some.learnt().encoder.state_dict().items())
    assert some.error(test) < 0.6 * before
    assert len(said) == 3
    assert "held out" in said[-1]


def test_most_codes_are_disguised_as_strangers_by_the_number_of_the_step_only(frames: Pairs) -> None:
    some, known = learner(), frames.plain([0, 1])
    some.know(known)
    with torch.no_grad():
        own = some.averaged.encoder(known.face).mean(0)
    code = (own + torch.linspace(-1, 1, 200)[:, None]).contiguous()
    first, again = some._disguised(code), some._disguised(code)
    assert torch.equal(first, again)
    some.step_number += 1
    assert not torch.equal(first, some._disguised(code))
    kept = (first == code).all(1)
    stranger = (first[:, None] == some.strange[None]).all(2).any(1)
    assert 0.2 < kept.float().mean() < 0.4
    assert 0.15 < stranger.float().mean() < 0.35
    moved = ~kept & ~stranger
    # What the frame adds to the person's middle stays; the middle is one of the three strangers'.
    places = (first - torch.linspace(-1, 1, 200)[:, None])[moved]
    middles = torch.stack([some.strange[[0, 1]].mean(0), some.strange[[2, 3]].mean(0), some.strange[[4, 5]].mean(0)])
    assert float((places[:, None] - middles[None]).abs().amax(2).amin(1).max()) < 1e-5


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, read_from=0.25)], ids=["drawing", "reading"])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(plan: Plan, frames: Pairs, tmp_path: Path) -> None:
    limits = Limits(seconds=1e9, steps=12, judge_every=4)
    whole, first, second = learner(plan), learner(plan), learner(plan)
    with torch.no_grad():
        next(second.network.decoder.parameters()).zero_()  # all of it comes from the saved state
    train(whole, frames, tmp_path / "whole", limits)
    with pytest.raises(Stopped):
        train(first, frames, tmp_path / "halves", limits, stop_after=5)
    assert first.step_number == 5
    train(second, frames, tmp_path / "halves", limits)
    assert (second.step_number, second.best_error) == (12, whole.best_error)
    for a, b in zip(whole.learnt().decoder.parameters(), second.learnt().decoder.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("plan", "steps", "least", "most"), [(PLAN, 100, 70, 80), (READS, 40, 34, 38)])
def test_drawing_ends_early_when_more_does_not_help(
    plan: Plan, steps: int, least: int, most: int, frames: Pairs, tmp_path: Path
) -> None:
    """In the last part of it, where the rate has fallen; the reading after it is not left out."""
    some = learner(plan)
    some.best_error = 1e-9  # nothing will be better
    train(some, frames, tmp_path / "run", Limits(seconds=1e9, steps=steps, judge_every=2, patience=3))
    assert least <= some.step_number < most
    assert some.skipped > 0.05


def test_the_best_decoder_is_worn_not_the_last() -> None:
    some = learner()
    some.judge(0.2)
    best = [p.clone() for p in some.learnt().decoder.parameters()]
    with torch.no_grad():
        for tensor in some.averaged.decoder.parameters():
            tensor.add_(1)
    some.judge(0.3)
    assert all(torch.equal(a, b) for a, b in zip(best, some.learnt().decoder.parameters(), strict=True))
    some.judge(0.1)
    assert not torch.equal(best[0], next(some.learnt().decoder.parameters()))


def weights(some: Learner) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in some.learnt().decoder.state_dict().items()}


def test_in_the_last_part_the_layers_that_take_readings_learn_alone_from_the_best(
    frames: Pairs, tmp_path: Path
) -> None:
    some = learner(READS)
    train(some, frames, tmp_path / "run", Limits(seconds=1e9, steps=8, judge_every=2))
    assert some.reads
    drawn = learner(READS)
    with pytest.raises(Stopped):
        train(drawn, frames, tmp_path / "drawn", Limits(seconds=1e9, steps=8, judge_every=2), stop_after=4)
    assert not drawn.reads
    before, after = weights(drawn), weights(some)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("told" in name or name.startswith("condition.") for name in changed)
    assert {"blocks.0.told.weight", "condition.second.weight"} <= changed
    last = json.loads((tmp_path / "run" / LOG).read_text().splitlines()[-1])
    assert last["lips"] > 0
    assert last["readings"] > 0


def test_what_is_learnt_by_reading_is_worn_though_its_colours_are_farther_off(frames: Pairs) -> None:
    some, batch = learner(READS), frames.plain([0, 1, 2, 3])
    some.judge(0.1)
    before = weights(some)
    some.step(batch, 0.5)
    some.judge(0.2)
    assert some.best_error == 0.2
    assert not torch.equal(before["condition.second.weight"], weights(some)["condition.second.weight"])


def test_what_is_worn_takes_lips_for_farther_apart_than_told(frames: Pairs) -> None:
    some, batch = learner(), frames.plain([0, 1])
    blendshapes, pose, lips = batch.told[0], batch.told[1], 10 * batch.told[2]
    code = torch.zeros(2, SMALL.code)
    worn, _ = some.learnt().decoder(code, blendshapes, pose, lips, batch.mirrored)
    farther, _ = some.averaged.decoder(code, blendshapes, pose, LIPS_GAIN * lips, batch.mirrored)
    assert torch.allclose(worn, farther, atol=1e-6)
    assert not torch.allclose(worn, some.averaged.decoder(code, blendshapes, pose, lips, batch.mirrored)[0], atol=1e-6)


def test_a_broken_state_is_named(frames: Pairs, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / STATE).write_bytes(b"no state")
    with pytest.raises(ModelError, match="delete it"):
        train(learner(), frames, tmp_path / "run", Limits(steps=2))


def test_the_preview_shows_source_reconstruction_driver_swap_and_mask(frames: Pairs, tmp_path: Path) -> None:
    picture = sheet(learner().averaged, frames.plain([0, 1, 2, 3]), DRIVERS)
    assert picture.shape == (5 * 32, 3 * 32, 3)
    assert np.abs(picture[64:96, :32].astype(int) - STRANGERS[0]).max() <= 1
    train(learner(), frames, tmp_path / "run", Limits(steps=1))
    assert (tmp_path / "run" / PREVIEW).stat().st_size > 0


def test_the_packaged_strangers_are_many() -> None:
    crops, person = load_drivers()
    assert crops.shape == (len(person), 160, 160, 3)
    assert len(np.unique(person)) >= 100
    with pytest.raises(ModelError, match="reinstall"):
        load_drivers(Path("nowhere.npz"))


@pytest.mark.parametrize(
    ("read", "factor"),
    [
        ((0.07, 0.95, FOLLOWED / 1.25), 1.25),
        ((0.07, 0.95, FOLLOWED * 1.1), 1 / 1.1),
        ((0.07, 0.95, 0.3), MOST),
        ((0.07, 0.95, 4.0), LEAST),
        ((0.07, 0.5, 0.8), 1.0),
        ((0.0, float("nan"), float("nan")), 1.0),
    ],
)
def test_lips_are_made_to_part_as_far_as_a_drivers(read: tuple[float, float, float], factor: float) -> None:
    assert lips_factor(Report({}, read, 0.0, 1, 1)) == pytest.approx(factor)


def test_what_follows_is_measured_by_its_correlation_and_gain() -> None:
    driver = np.array([0.0, 0.1, 0.3, 0.2])
    spread, r, gain = followed(driver, 0.05 + 0.8 * driver)
    assert (spread, r, gain) == pytest.approx((driver.std(), 1.0, 0.8))
    assert followed(driver, -driver)[1:] == pytest.approx((-1.0, -1.0))
    assert followed(driver * 0, driver)[1:] == (0.0, 0.0)

"""What all recipes train with: moving averages, resumed runs, runs that are told to stop; every command's help."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from made_up_pairs import PLAN as SWAP_PLAN
from made_up_pairs import SMALL, made_up_data
from moving_people import a_flow_sample, some_patches
from spoken_faces import SLIM, a_take

from trained_models.autoencoder.dataset import Pairs
from trained_models.autoencoder.network import Shape
from trained_models.autoencoder.training import Training as SwapTraining
from trained_models.recipes.lip_sync.batches import Samples as LipSamples
from trained_models.recipes.lip_sync.batches import spread as lips_spread
from trained_models.recipes.lip_sync.decoder_training import PLAN, DecoderTraining
from trained_models.recipes.lip_sync.network import Decoder
from trained_models.recipes.motion import flow
from trained_models.recipes.motion.refiner import PLAN as REFINER_PLAN
from trained_models.recipes.motion.refiner import RefinerTraining, Widths
from trained_models.recipes.motion.samples import Samples, spread
from trained_models.training.ema import run

NARROW = Widths((8, 12, 16), (8, 12, 16))


class _Swap(SwapTraining):
    """With a step that takes a batch alone, as the other trainings' do."""

    def __init__(self) -> None:
        super().__init__(SWAP_PLAN, SMALL)

    def step(self, batch: Any) -> dict[str, float]:
        return super().step("ada", batch, self.step_number / 10)


@pytest.fixture
def trainings(tmp_path: Path) -> dict[str, tuple[Callable[[], Any], Any]]:
    """Of each kind: how to make a training, and what gives its batches."""
    return {
        "swap": (_Swap, Pairs(made_up_data(tmp_path / "data"), seed=5)),
        "refiner": (
            lambda: RefinerTraining(replace(REFINER_PLAN, warm_up_steps=2, steps=12), NARROW),
            Samples(some_patches(), plain=True),
        ),
        "flow": (
            lambda: flow.FlowTraining(replace(flow.PLAN, warm_up_steps=2), (8, 8, 8, 8)),
            flow.FlowSamples([a_flow_sample()], 3, plain=True),
        ),
        "lips": (
            lambda: DecoderTraining(replace(PLAN, warm_up_steps=2, steps=12), SLIM),
            LipSamples([a_take()], plain=True),
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["swap", "refiner", "flow", "lips"])
def test_a_resumed_run_equals_an_unbroken_one(
    kind: str, trainings: dict[str, tuple[Callable[[], Any], Any]], tmp_path: Path
) -> None:
    make, samples = trainings[kind]
    whole, first, second = make(), make(), make()
    for number in range(4):
        whole.step(samples.batch(number, 2))
    for number in range(2):
        first.step(samples.batch(number, 2))
    first.save(tmp_path / "state.pt")
    second.load(tmp_path / "state.pt")
    for number in range(2, 4):
        second.step(samples.batch(number, 2))
    assert second.step_number == 4
    for a, b in zip(whole.averaged.state_dict().values(), second.averaged.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["refiner", "flow", "lips"])
def test_training_lowers_the_error(kind: str, trainings: dict[str, tuple[Callable[[], Any], Any]]) -> None:
    make, samples = trainings[kind]
    training = make()
    held = {"refiner": spread, "lips": lips_spread}[kind](samples, 2) if kind != "flow" else samples.batch(0, 2)
    errors = [training.judge(held)]
    for number in range(12 if kind != "flow" else 30):
        training.step(samples.batch(number, 2))
    errors.append(training.judge(held))
    first = next(iter(errors[0]))
    assert errors[1][first] < errors[0][first]


def test_a_state_of_another_form_is_refused(tmp_path: Path) -> None:
    wider = replace(NARROW, mouth=(8, 12, 24))
    for own, other, said in (
        (RefinerTraining(REFINER_PLAN, NARROW), RefinerTraining(REFINER_PLAN, wider), "widths"),
        (SwapTraining(SWAP_PLAN, SMALL), SwapTraining(SWAP_PLAN, Shape(size=64)), "shape"),
    ):
        own.save(tmp_path / "state.pt")
        with pytest.raises(ValueError, match=said):
            other.load(tmp_path / "state.pt")


@pytest.mark.slow
def test_a_run_keeps_log_and_state_and_ends_when_told(tmp_path: Path) -> None:
    samples, plan = Samples(some_patches(), plain=True), replace(REFINER_PLAN, batch=1, steps=4)
    held, asked, folder = spread(samples, 2), iter([False, False, True]), tmp_path / "run"

    def turned(pause: Callable[[], bool] = lambda: False) -> int:
        training = RefinerTraining(plan, NARROW)
        return run(training, lambda: samples, held, folder, judge_every=2, pause=pause).step_number

    assert turned(lambda: next(asked)) == 2
    (folder / "STOP").touch()
    assert turned() == 2
    (folder / "STOP").unlink()
    assert turned() == 4
    lines = (folder / "state.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "2", "4"]
    assert "held_mouth" in lines[0]


def test_training_starts_from_weights_that_fit(tmp_path: Path) -> None:
    samples = LipSamples([a_take()], plain=True)
    held, plan = lips_spread(samples, 2), replace(PLAN, batch=1, steps=1)
    torch.manual_seed(3)
    given = Decoder(SLIM)
    begun = run(DecoderTraining(replace(plan, steps=0), SLIM), lambda: samples, held, tmp_path / "none", begin=given)
    for name, value in given.state_dict().items():
        assert torch.equal(begun.averaged.state_dict()[name], value)
    with pytest.raises(ValueError, match="widths"):
        DecoderTraining(plan, SLIM).begin(Decoder((4, 4, 4)))
    run(DecoderTraining(plan, SLIM), lambda: samples, held, tmp_path / "run", begin=given)
    again = run(DecoderTraining(plan, SLIM), lambda: samples, held, tmp_path / "run", begin=Decoder(SLIM))
    assert again.step_number == 1  # a run that has begun goes on with its own
    moved = (again.averaged.fine[0][0].weight - given.fine[0][0].weight).detach().abs().max()
    assert 0 < float(moved) < 0.1


@pytest.mark.parametrize("recipe", ["motion", "lip_sync", "people", "autoencoder"])
def test_every_command_of_a_recipe_can_be_asked_for(recipe: str) -> None:
    main = importlib.import_module(f"trained_models.recipes.{recipe}.__main__").main
    for command in main.commands:
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0

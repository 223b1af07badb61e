"""What training reads and what comes of it: takes on disk, sayings, and the two finished halves put together."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from realtime.families.lip_sync.network import PLANES
from trained_models.recipes.half_onnx import Parity
from trained_models.recipes.lip_sync.batches import Batch, Samples, spread
from trained_models.recipes.lip_sync.clips import Clips
from trained_models.recipes.lip_sync.fine import FINE_PLAN
from trained_models.recipes.lip_sync.hearing import Plan as EarPlan
from trained_models.recipes.lip_sync.hearing import Sayings
from trained_models.recipes.lip_sync.mouth_code import CODE
from trained_models.recipes.lip_sync.network import FINE_WIDTHS, FINISH, SIZE, TOP, Ear, LipSync, Painter
from trained_models.recipes.lip_sync.spoken import hours
from trained_models.recipes.lip_sync.takes import Takes, read_takes
from trained_models.recipes.lip_sync.to_bundle import add_fine, load_weights, save_weights, to_onnx, write_bundle
from trained_models.recipes.lip_sync.training import Plan

HELD_OUT = 6
"""The first people are never trained on."""
SAID, HELD_SAID = 11, 12
"""Seeds."""
MOST_STRESS, LEAST_R = 1.5, 0.35
"""What the ear does not hear (a tongue between the teeth) is not made louder."""
HELD_SAYINGS = 24


def person_files(data: Path) -> list[Path]:
    """The takes there are, in order."""
    return sorted((data / "takes").glob("takes_?????.npz"))


class Gathered:
    """Called, gives the samples to train on: those that were rendered since the last call, too."""

    def __init__(self, data: Path, shut: float = 0.0) -> None:
        self._data, self._shut = data, shut
        self._takes: dict[Path, Takes] = {}
        self._samples: Samples | None = None

    def __call__(self) -> Samples:
        fresh = [p for p in person_files(self._data)[HELD_OUT:] if p not in self._takes]
        if fresh or self._samples is None:
            self._takes |= {path: read_takes(path) for path in fresh}
            self._samples = Samples(list(self._takes.values()), shut=self._shut)
        return self._samples

    def clips(self) -> Clips:
        """The same takes for the critic."""
        samples = self()
        return Clips(list(self._takes.values()), samples)

    def held_out(self) -> Batch:
        """Fourteen pairs of people who are not trained on."""
        return spread(held_out(self._data), 14)


def held_out(data: Path) -> Samples:
    """The people who are not trained on, as they are."""
    return Samples([read_takes(path) for path in person_files(data)[:HELD_OUT]], plain=True)


def held_out_clips(data: Path) -> Clips:
    """Theirs, for the critic."""
    takes = [read_takes(path) for path in person_files(data)[:HELD_OUT]]
    return Clips(takes, Samples(takes, plain=True))


def sayings(count: int) -> tuple[Sayings, Sayings]:
    """What is said by voices to train on, and by voices, languages and texts that are not."""
    from trained_models.recipes.people.topology import topology

    names = topology().actions
    return Sayings(hours(SAID, count, names)), Sayings(hours(HELD_SAID, HELD_SAYINGS, names, held_out=True))


@torch.no_grad()
def stressed(ear: Ear, said: Sayings, seed: int = 9) -> tuple[Tensor, Tensor]:
    """`stress` and `middle` of `LipSync`: they give the ear's answers as wide a range as mouths have."""
    rng = np.random.default_rng(seed)
    answers, truths = [], []
    for _ in range(12):
        mel, codes = said.batch(rng, 250)
        answers.append(ear(mel))
        truths.append(codes)
    told, truth = torch.cat(answers), torch.cat(truths)
    stress = (truth.std(0) / told.std(0).clamp_min(1e-3)).clamp(1.0, MOST_STRESS)
    r = ((told - told.mean(0)) * (truth - truth.mean(0))).mean(0) / (told.std(0) * truth.std(0)).clamp_min(1e-6)
    stress = torch.where(r < LEAST_R, torch.ones(len(CODE)), stress)
    return stress, torch.zeros(len(CODE))  # about rest: silence must stay silent


def finished(run: Path, data: Path, out: Path, checkpoint: Path | None = None) -> tuple[Parity, dict[str, float]]:
    """The bundle `out` of a run, and its weights to `checkpoint`; the export's parity and the held-out errors."""
    hears = torch.load(run / "ear.pt", weights_only=True)
    paints = torch.load(run / "painter.pt", weights_only=True)
    ear, painter = Ear(), Painter()
    ear.load_state_dict(hears["ear"])
    painter.load_state_dict(paints["averaged"])
    said, held = sayings(60)
    network = LipSync(ear.eval(), painter.eval(), *stressed(ear, said)).eval()
    people = held_out(data)
    pairs = spread(people, 14)
    model, parity = to_onnx(network, _fed(pairs, held))
    errors = _errors(network, pairs)
    files = person_files(data)[HELD_OUT:]
    story: dict[str, str | int | float] = {
        **{"people": len(files), "pictures": sum(read_takes(p).codes.shape[0] * 16 for p in files)},
        **{"steps": int(paints["step"]), "batch": Plan().batch, "ear_steps": int(hears["step"])},
        **{"ear_batch": EarPlan().batch, "seed": Plan().seed},
        **{"hours": round((hears["seconds"] + paints["seconds"]) / 3600, 2)},
        "hardware": "AMD EPYC, a part of one of two shared cores",
    }
    figures = {"held_out": f"{errors['colour']:.4f} of 1 about the mouth, {errors['untouched']:.4f} if left as it was"}
    write_bundle(out, network, parity, model, story, dict(figures))
    if checkpoint is not None:
        save_weights(network, checkpoint)
    return parity, errors


def fine_finished(run: Path, data: Path, out: Path, first: Path, checkpoint: Path | None = None) -> dict[str, float]:
    """The fine variant of a run put into the bundle `out`; its held-out errors.

    `first`: the weights of the first network, whose ear it hears with; its own go to `checkpoint`.
    """
    hears, paints = load_weights(first), torch.load(run / "fine.pt", weights_only=True)
    painter = Painter(FINE_WIDTHS, FINISH)
    painter.load_state_dict(paints["averaged"])
    network = LipSync(hears.ear, painter.eval(), hears.stress, hears.middle).eval()
    pairs = spread(held_out(data), 14)
    model, parity = to_onnx(network, _fed(pairs, sayings(60)[1]), fine=True)
    story: dict[str, str | int | float] = {
        **{"steps": int(paints["step"]), "batch": FINE_PLAN.batch, "hours": round(paints["seconds"] / 3600, 2)},
        "from": "the first painter's weights, widened",
    }
    add_fine(out, network, parity, model, story)
    if checkpoint is not None:
        save_weights(network, checkpoint)
    return _errors(network, pairs)


def _fed(pairs: Batch, said: Sayings) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pairs and sounds as a finished network takes them, one at a time."""
    count = len(pairs.shown)
    mel, _ = said.batch(np.random.default_rng(4), count)
    faces, lips = torch.zeros(count, 6, SIZE, SIZE), torch.zeros(count, PLANES, SIZE, SIZE)
    faces[:, 3:, TOP:], lips[:, :, TOP:] = pairs.shown, pairs.lips
    return [(mel[k : k + 1], faces[k : k + 1], lips[k : k + 1]) for k in range(count)]


@torch.no_grad()
def _errors(network: LipSync, pairs: Batch) -> dict[str, float]:
    from trained_models.recipes.autoencoder.losses import weighted_mean

    made = network.painter(pairs.shown, pairs.lips, pairs.codes)
    return {
        "colour": float(weighted_mean((made - pairs.truth).abs(), pairs.weight)),
        "untouched": float(weighted_mean((pairs.shown - pairs.truth).abs(), pairs.weight)),
    }

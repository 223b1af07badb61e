"""What training reads and what comes of it: samples on disk, speech, and the two finished halves put together."""

from pathlib import Path

import torch
from torch import Tensor

from realtime.families.lip_sync.network import PLANES
from trained_models.recipes.lip_sync.batches import Batch, Samples, spread
from trained_models.recipes.lip_sync.decoder_training import DecoderTraining
from trained_models.recipes.lip_sync.encoder_training import MEASURED_FROM, EncoderTraining, Sayings, answers
from trained_models.recipes.lip_sync.fine import FINE_PLAN
from trained_models.recipes.lip_sync.network import CODE, FINE_WIDTHS, FINISH, SIZE, TOP, AudioEncoder, LipSync
from trained_models.recipes.lip_sync.samples import PICTURES, SpokenSamples, read_samples
from trained_models.recipes.lip_sync.spoken import hours
from trained_models.recipes.lip_sync.sync_critic import Clips
from trained_models.recipes.lip_sync.to_bundle import Facts, add_fine, load_weights, save_weights, write_lip_sync
from trained_models.recipes.people.topology import topology
from trained_models.recipes.sample_files import finished
from trained_models.training.onnx_export import Parity

HELD_OUT = 6  # the first people are never trained on
SAID, HELD_SAID = 11, 12  # seeds
MOST_STRESS, LEAST_R = 1.5, 0.35  # what the encoder does not hear (a tongue between the teeth) is not made louder
HELD_SAYINGS = 24


class Dataset:
    """Called, gives the samples to train on: those that were rendered since the last call, too."""

    def __init__(self, data: Path, shut: float = 0.0) -> None:
        self._data, self._shut = data, shut
        self._takes: dict[Path, SpokenSamples] = {}
        self._samples: Samples | None = None

    def __call__(self) -> Samples:
        fresh = [p for p in finished(self._data / "takes")[HELD_OUT:] if p not in self._takes]
        if fresh or self._samples is None:
            self._takes |= {path: read_samples(path) for path in fresh}
            self._samples = Samples(list(self._takes.values()), shut=self._shut)
        return self._samples

    def clips(self) -> Clips:
        samples = self()
        return Clips(list(self._takes.values()), samples)

    def held_out(self) -> Batch:
        """Fourteen pairs of people who are not trained on."""
        return spread(held_out(self._data), 14)


def held_out(data: Path) -> Samples:
    """The people who are not trained on, as they are."""
    return Samples([read_samples(path) for path in finished(data / "takes")[:HELD_OUT]], plain=True)


def held_out_clips(data: Path) -> Clips:
    takes = [read_samples(path) for path in finished(data / "takes")[:HELD_OUT]]
    return Clips(takes, Samples(takes, plain=True))


def sayings(count: int) -> tuple[Sayings, Sayings]:
    """What is said by voices to train on, and by voices, languages and texts that are not."""
    names = topology().actions
    return Sayings(hours(SAID, count, names)), Sayings(hours(HELD_SAID, HELD_SAYINGS, names, held_out=True))


@torch.no_grad()
def stressed(encoder: AudioEncoder, said: Sayings) -> tuple[Tensor, Tensor]:
    """`stress` and `middle` of `LipSync`: they give the encoder's answers as wide a range as mouths have."""
    told, truth = answers(encoder, said)
    stress = (truth.std(0) / told.std(0).clamp_min(1e-3)).clamp(1.0, MOST_STRESS)
    r = ((told - told.mean(0)) * (truth - truth.mean(0))).mean(0) / (told.std(0) * truth.std(0)).clamp_min(1e-6)
    stress = torch.where(r < LEAST_R, torch.ones(len(CODE)), stress)
    return stress, torch.zeros(len(CODE))  # about rest: silence must stay silent


def _untouched(errors: dict[str, float]) -> str:
    return f"{errors['colour']:.4f} of 1 about the mouth, {errors['untouched']:.4f} if left as it was"


def finish_fast(run: Path, data: Path, out: Path, checkpoint: Path) -> tuple[Parity, dict[str, float]]:
    """The bundle `out` of a run, and its weights to `checkpoint`; the export's parity and the held-out errors."""
    hears, paints = EncoderTraining(), DecoderTraining()
    hears.load(run / "encoder.pt")
    paints.load(run / "decoder.pt")
    said, held = sayings(60)
    network = LipSync(hears.averaged, paints.averaged, *stressed(hears.averaged, said)).eval()
    pairs = spread(held_out(data), 14)
    errors, files = paints.judge(pairs), finished(data / "takes")[HELD_OUT:]
    story: Facts = {
        "people": len(files),
        "pictures": sum(read_samples(path).codes.shape[0] * PICTURES for path in files),
        "steps": paints.step_number,
        "batch": paints.plan.batch,
        "encoder_steps": hears.step_number,
        "encoder_batch": hears.plan.batch,
        "seed": paints.plan.seed,
        "hours": round((hears.seconds + paints.seconds) / 3600, 2),
        "hardware": "AMD EPYC, a part of one of two shared cores",
    }
    parity = write_lip_sync(out, network, fed(pairs, held), story, {"held_out": _untouched(errors)})
    save_weights(network, checkpoint)
    return parity, errors


def finish_fine(run: Path, data: Path, out: Path, first: Path, checkpoint: Path) -> dict[str, float]:
    """The fine variant of a run put into the bundle `out`; its held-out errors. `first`: the weights of the first
    network, whose audio encoder it hears with; its own go to `checkpoint`."""
    hears, paints = load_weights(first), DecoderTraining(FINE_PLAN, FINE_WIDTHS, FINISH)
    paints.load(run / "fine.pt")
    network = LipSync(hears.encoder, paints.averaged, hears.stress, hears.middle).eval()
    pairs = spread(held_out(data), 14)
    story: Facts = {
        "steps": paints.step_number,
        "batch": paints.plan.batch,
        "hours": round(paints.seconds / 3600, 2),
        "from": "the first decoder's weights, widened",
    }
    add_fine(out, network, fed(pairs, sayings(60)[1]), story)
    save_weights(network, checkpoint)
    return paints.judge(pairs)


def fed(pairs: Batch, said: Sayings) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Pairs and sounds as a finished network takes them, one at a time."""
    count = len(pairs.shown)
    mel, _ = said.batch(MEASURED_FROM, count)
    faces, lips = torch.zeros(count, 6, SIZE, SIZE), torch.zeros(count, PLANES, SIZE, SIZE)
    faces[:, 3:, TOP:], lips[:, :, TOP:] = pairs.shown, pairs.lips
    return list(zip(mel.split(1), faces.split(1), lips.split(1), strict=True))

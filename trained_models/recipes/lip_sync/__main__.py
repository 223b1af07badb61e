"""Makes the built-in lip-sync model; see README.md."""

from dataclasses import replace
from pathlib import Path

import click
import torch

from trained_models.recipes.lip_sync import dataset, decoder_training, encoder_training
from trained_models.recipes.lip_sync.check import check as measured
from trained_models.recipes.lip_sync.dataset import Dataset, finish_fast, finish_fine, held_out_clips
from trained_models.recipes.lip_sync.fine import FINE_PLAN, SHUT, FineTraining, widened
from trained_models.recipes.lip_sync.samples import render as render_people
from trained_models.recipes.lip_sync.sync_critic import train_sync_critic
from trained_models.recipes.lip_sync.to_bundle import load_weights
from trained_models.training.ema import run
from trained_models.training.files import add_to_bundle

DATA = Path.home() / ".cache" / "masquerade" / "lip_sync"
ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "lip-sync"
CHECKPOINT = ROOT / "recipes" / "checkpoints" / "lip_sync.npz"
FINE_CHECKPOINT = CHECKPOINT.with_name("lip_sync_fine.npz")
SAYINGS = 400
AGAIN = 1e-3  # the decoder's highest rate where it is no beginner
PATH = click.Path(path_type=Path)
data_option = click.option("--data", type=PATH, default=DATA, show_default=True)
variant_option = click.option("--variant", type=click.Choice(["fast", "fine"]), default="fast")


@click.group(help=__doc__)
def main() -> None: ...


@main.command()
@data_option
@click.option("--first", type=int, default=0)
@click.option("--end", type=int, default=100)
def render(data: Path, first: int, end: int) -> None:
    """Render people who speak; resumes, and ends when DATA/STOP appears."""
    for number in render_people(data, range(first, end)):
        print(f"person {number}", flush=True)


@main.command()
@click.argument("run_folder", type=PATH)
@data_option
@click.option("--steps", type=int, help="Of the decoder: 7000, or what the fine one's plan says.")
@variant_option
@click.option(
    "--from-checkpoint", is_flag=True, help="A new run starts from the kept weights; the fine one always does."
)
def train(run_folder: Path, data: Path, steps: int | None, variant: str, from_checkpoint: bool) -> None:
    """Train the audio encoder, then the decoder; resumes from RUN_FOLDER; ends when RUN_FOLDER/STOP appears."""
    torch.set_num_threads(1)
    if variant == "fine":
        _train_fine(run_folder, data, steps)
        return
    first = load_weights(CHECKPOINT) if from_checkpoint else None
    said, held_out = dataset.sayings(SAYINGS)
    hears, begun = encoder_training.EncoderTraining(), first.encoder if first else None
    run(hears, lambda: said, held_out, run_folder, name="encoder", begin=begun, judge_every=250)
    samples = dataset.Dataset(data)
    plan = replace(decoder_training.PLAN, steps=steps or decoder_training.PLAN.steps)
    plan = replace(plan, peak_rate=AGAIN) if first else plan
    paints, begun = decoder_training.DecoderTraining(plan), first.decoder if first else None
    run(paints, samples, samples.held_out(), run_folder, name="decoder", begin=begun)


def _train_fine(run_folder: Path, data: Path, steps: int | None) -> None:
    first, samples = load_weights(CHECKPOINT), Dataset(data, SHUT)
    clips = samples.clips()
    judge = train_sync_critic(clips, held_out_clips(data), run_folder)
    plan = replace(FINE_PLAN, steps=steps or FINE_PLAN.steps)
    paints = FineTraining(plan, clips, first, judge)
    run(paints, samples, samples.held_out(), run_folder, name="fine", begin=widened(first.decoder))


@main.command()
@click.argument("run_folder", type=PATH)
@data_option
@click.option("--out", type=PATH, default=BUNDLE)
@variant_option
def export(run_folder: Path, data: Path, out: Path, variant: str) -> None:
    """Write the bundle of a run, with parity checked; the fine variant is put beside the fast one."""
    if variant == "fine":
        print(finish_fine(run_folder, data, out, CHECKPOINT, FINE_CHECKPOINT))
    else:
        print(finish_fast(run_folder, data, out, CHECKPOINT))


@main.command()
@data_option
@click.option("--bundle", type=PATH, default=BUNDLE)
@variant_option
@click.option("--write", is_flag=True, help="Put what was found on the card.")
def check(data: Path, bundle: Path, variant: str, write: bool) -> None:
    """Measure lips against voices, silence, and held-out people."""
    facts = measured(bundle, data, variant)
    if write:
        add_to_bundle(bundle, {}, {"measured": facts})


if __name__ == "__main__":
    main()

"""Trains swap identities from rendered pairs; see README.md."""

import platform
from dataclasses import replace
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from realtime.families.face_swap.skin_detail import DETAIL_FILE
from trained_models.autoencoder.crops import finder
from trained_models.autoencoder.dataset import Pairs
from trained_models.autoencoder.export import to_onnx
from trained_models.autoencoder.skin_detail import as_png, detail_of
from trained_models.autoencoder.training import Plan
from trained_models.autoencoder.weights import from_bundle, read_network
from trained_models.recipes.autoencoder.driver_mask import PLAN, prepare_drivers, read_mask, train_mask
from trained_models.recipes.autoencoder.prepare import prepare_folder
from trained_models.recipes.autoencoder.to_bundle import gather_strangers, write_identity, write_preview
from trained_models.recipes.autoencoder.train import train as do
from trained_models.training.files import add_to_bundle

BUNDLES = Path(__file__).resolve().parents[2]
HARDWARE = f"{platform.machine()} CPU, 2 cores"
PATH = click.Path(path_type=Path)


@click.group(help=__doc__)
def main() -> None:
    cv2.setNumThreads(1)


@main.command()
@click.argument("raw", type=PATH)
@click.argument("out", type=PATH)
def prepare(raw: Path, out: Path) -> None:
    """Find, cut and weigh the faces of rendered pairs: RAW/IDENTITY/shard_*.npz to OUT/IDENTITY."""
    find = finder()
    for folder in sorted(path for path in raw.iterdir() if path.is_dir()):
        print(folder.name, dict(prepare_folder(folder, out / folder.name, find)), flush=True)


@main.command()
@click.argument("data", type=PATH)
@click.argument("out", type=PATH)
@click.argument("names", nargs=-1, required=True)
@click.option("--hours", type=float)
@click.option("--steps", type=int)
@click.option("--threads", type=int, default=2)
@click.option("--from-bundles", is_flag=True, help="Start from the weights of the packaged bundles.")
@click.option("--only", multiple=True, metavar="PART", help="Train this part alone: condition, told, fine, ...")
def train(
    data: Path,
    out: Path,
    names: tuple[str, ...],
    hours: float | None,
    steps: int | None,
    threads: int,
    from_bundles: bool,
    only: tuple[str, ...],
) -> None:
    """Train NAMES together behind one encoder on DATA/NAME, or go on from OUT/state.pt."""
    begin = {name: BUNDLES / name for name in names} if from_bundles else {}
    done = do(data, out, names, plan=Plan(only=only), hours=hours, steps=steps, start=begin, threads=threads)
    print(f"{done.step_number} steps, {done.seconds / 3600:.2f} h")


@main.command()
@click.argument("out", type=PATH)
@click.argument("raw", type=PATH, nargs=-1, required=True)
def drivers(out: Path, raw: tuple[Path, ...]) -> None:
    """Find and cut the drivers of pairs and strangers, for the mask: DATA/strangers, DATA/pairs/IDENTITY to OUT."""
    print(f"{prepare_drivers(raw, out, finder())} drivers")


@main.command()
@click.argument("data", type=PATH)
@click.argument("out", type=PATH)
@click.option("--steps", type=int, default=12000)
@click.option("--threads", type=int, default=2)
def mask(data: Path, out: Path, steps: int, threads: int) -> None:
    """Train where the driver's face shows, or go on; one for all identities."""
    torch.set_num_threads(threads)
    train_mask(data, out, replace(PLAN, steps=steps))


@main.command()
@click.argument("weights", type=PATH)
@click.argument("data", type=PATH)
@click.argument("out", type=PATH)
@click.option("--mask", type=PATH, help="mask.npz; without it the driver's mask that the weights came with.")
@click.option("--lips-gain", type=float, default=1.0, help="How far to part the lips, of the driver's.")
@click.option("--raw", type=PATH, help="The rendered shards, for the preview picture.")
@click.option("--title", help="As people read it; else the folder's name.")
@click.option("--measured", multiple=True, metavar="KEY=TEXT", help="A line for the card's [measured].")
def export(
    weights: Path,
    data: Path,
    out: Path,
    mask: Path | None,
    lips_gain: float,
    raw: Path | None,
    title: str | None,
    measured: tuple[str, ...],
) -> None:
    """Write the bundle OUT; parity is measured on prepared pairs in DATA."""
    network, pairs = read_network(weights), Pairs(data)
    if mask:
        network.driver_mask = read_mask(mask)
    network.decoder.condition.take_lips_as(lips_gain)
    files = to_onnx(network, pairs.spread(24))
    with np.load(weights, allow_pickle=False) as file:
        facts = {k: file[k].item() for k in ("steps", "batch", "seed", "hours")}
    story = {"pairs": len(pairs), **facts, "hours": round(facts["hours"], 2), "hardware": HARDWARE}
    figures = dict(fact.split("=", 1) for fact in measured)
    write_identity(out, title or out.name.capitalize(), files, story, network.shape, figures)
    if raw:
        write_preview(out / "preview.jpg", sorted(raw.glob("shard_*.npz")))
    print(f"{out}: {sum(map(len, files.named().values())) / 1e6:.2f} MB, {files.parity}")


@main.command()
@click.argument("data", type=PATH)
@click.argument("bundle", type=PATH)
def detail(data: Path, bundle: Path) -> None:
    """Find what BUNDLE does not draw of its identity's skin in the prepared pairs DATA, and add it."""
    found = detail_of(from_bundle(bundle), Pairs(data), finder())
    if found is None:
        raise SystemExit(f"{data}: no face in its pictures is found by the tracker")
    add_to_bundle(bundle, {DETAIL_FILE: as_png(found)}, {})
    print(bundle / DETAIL_FILE)


@main.command()
@click.argument("raw", type=PATH)
def strangers(raw: Path) -> None:
    """Gather the people of the leak benchmark from rendered shards."""
    print(gather_strangers(raw, Path("benchmarks/leak/album.npz")), "crops")


if __name__ == "__main__":
    main()

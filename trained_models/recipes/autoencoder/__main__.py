"""`python -m trained_models.recipes.autoencoder prepare|train|drivers|mask|plot|check|export|detail|show`."""

import argparse
import hashlib
import platform
import time
from pathlib import Path

import cv2
import numpy as np

BUNDLES = Path(__file__).resolve().parents[2]


def _prepare(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.prepare import finder, prepare_folder

    find = finder()
    while True:
        for folder in sorted(args.raw.iterdir()):
            if folder.is_dir() and (tally := prepare_folder(folder, args.out / folder.name, find)).kept:
                print(folder.name, tally, flush=True)
        if not args.watch:
            return
        time.sleep(args.watch)


def _train(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.train import train
    from trained_models.recipes.autoencoder.training import Plan

    start = {name: BUNDLES / name for name in args.names} if args.from_bundles else {}
    start |= {name: Path(path) for name, path in (text.split("=", 1) for text in args.start)}
    starts = {"fine_from": args.fine_from, "sharp_from": args.sharp_from, "read_from": args.read_from}
    plan = Plan(peak_rate=args.rate, only=tuple(args.only), **starts)
    run = {"hours": args.hours, "steps": args.steps, "start": start, "threads": args.threads}
    done = train(args.data, args.out, args.names, plan=plan, **run)
    print(f"{done.step_number} steps, {done.seconds / 3600:.2f} h")


def _drivers(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.driver_mask.pictures import prepare_drivers
    from trained_models.recipes.autoencoder.prepare import finder

    print(f"{prepare_drivers(args.raw, args.out, finder())} drivers")


def _mask(args: argparse.Namespace) -> None:
    import torch

    from trained_models.recipes.autoencoder.driver_mask.training import train_mask

    torch.set_num_threads(args.threads)
    cv2.setNumThreads(1)
    train_mask(args.data, args.out, args.steps)


def _plot(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.plot import plot

    plot(args.log, args.out)


def _check(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.check import check
    from trained_models.recipes.autoencoder.weights import read_network

    network = read_network(args.weights)
    for clip in args.clips:
        report = check(network, clip, step=args.step)
        print(
            f"{clip.name}: {report.replaced} of {report.seen} frames replaced, {report.read_back} read back, "
            f"pose {report.pose_deg:.1f} degrees"
        )
        for name, (spread, r, gain) in report.table.items():
            print(f"  {name:18} std {spread:.2f}  r {r:5.2f}  gain {gain:5.2f}")
        if args.sheets:
            args.sheets.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(args.sheets / f"{clip.stem}.png"), report.sheet)


def _export(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.driver_mask.training import read_mask
    from trained_models.recipes.autoencoder.pairs_dataset import Pairs
    from trained_models.recipes.autoencoder.to_bundle import Story, feed_of, to_onnx, write_bundle, write_preview
    from trained_models.recipes.autoencoder.weights import read_network

    network = read_network(args.weights)
    if args.mask:
        network.driver_mask = read_mask(args.mask)
    network.decoder.condition.take_lips_as(args.lips_gain)
    pairs = Pairs(args.data)
    some = pairs.plain(np.linspace(0, len(pairs) - 1, 24).astype(int).tolist())
    files = to_onnx(network, feed_of(some))
    with np.load(args.weights, allow_pickle=False) as file:
        facts = {k: file[k].item() for k in ("steps", "batch", "hours", "seed") if k in file.files}
    story = Story(
        name=args.name,
        title=args.title or args.name.capitalize(),
        statement="Rendered character. No real person.",
        pairs=len(pairs),
        steps=int(facts.get("steps", 0)),
        batch=int(facts.get("batch", 0)),
        seed=int(facts.get("seed", 0)),
        hours=float(facts.get("hours", 0.0)),
        hardware=args.hardware,
    )
    measured = dict(fact.split("=", 1) for fact in args.measured)
    write_bundle(args.out, files, story, network.shape, measured, args.fails)
    if args.raw:
        write_preview(args.out / "preview.jpg", sorted(args.raw.glob("shard_*.npz")))
    size = sum(len(model) for model in files.named().values())
    print(f"{args.out}: {size / 1e6:.2f} MB, {files.parity}")


def _detail(args: argparse.Namespace) -> None:
    from realtime.families.face_swap.skin_detail import DETAIL_FILE
    from trained_models.recipes.autoencoder.pairs_dataset import Pairs
    from trained_models.recipes.autoencoder.prepare import finder
    from trained_models.recipes.autoencoder.skin import as_png, detail_of
    from trained_models.recipes.autoencoder.weights import from_bundle
    from trained_models.recipes.card_facts import write_facts

    found = detail_of(from_bundle(args.bundle), Pairs(args.data), finder())
    if found is None:
        raise SystemExit(f"{args.data}: no face in its pictures is found by the tracker")
    png = as_png(found)
    (args.bundle / DETAIL_FILE).write_bytes(png)
    write_facts(args.bundle, {"files": {DETAIL_FILE: f"sha256:{hashlib.sha256(png).hexdigest()}"}})
    print(f"{args.bundle / DETAIL_FILE}: {len(png) / 1e3:.0f} kB")


def _show(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.show import show

    show(args.clip, args.names, args.out, variant=args.variant)


def main() -> None:
    """Run one step of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.autoencoder")
    steps = parser.add_subparsers(required=True)

    prepare = steps.add_parser("prepare", help="find, cut and weigh the faces of rendered pairs")
    prepare.add_argument("raw", type=Path, help="folder of IDENTITY/shard_*.npz from the people recipe")
    prepare.add_argument("out", type=Path, help="folder for IDENTITY/shard_*")
    prepare.add_argument("--watch", type=float, metavar="S", help="look for new shards every S seconds")
    prepare.set_defaults(do=_prepare)

    train = steps.add_parser("train", help="train, or go on training")
    train.add_argument("data", type=Path, help="folder of prepared shards, one for each identity")
    train.add_argument("out", type=Path, help="folder for the state, weights, log and sheets; a state there goes first")
    train.add_argument("names", nargs="+", help="the identities, trained together behind one encoder")
    train.add_argument("--hours", type=float)
    train.add_argument("--steps", type=int)
    train.add_argument("--threads", type=int, default=2)
    train.add_argument("--from-bundles", action="store_true", help="start from the weights of the packaged bundles")
    train.add_argument(
        "--start", action="append", default=[], metavar="NAME=PATH", help="start NAME from a weights file or a bundle"
    )
    train.add_argument("--rate", type=float, default=1e-3, help="the optimiser's highest rate")
    train.add_argument(
        "--only", action="append", default=[], metavar="PART", help="train this part alone: condition, told, fine, ..."
    )
    train.add_argument(
        "--fine-from", type=float, default=0.5, help="share of the run after which the fine head joins in"
    )
    train.add_argument("--sharp-from", type=float, default=0.75, help="and its critic")
    train.add_argument("--read-from", type=float, default=0.5, help="and the reading of what is drawn")
    train.set_defaults(do=_train)

    drivers = steps.add_parser("drivers", help="find and cut the drivers of pairs and strangers, for the mask")
    drivers.add_argument("out", type=Path, help="folder for prepared drivers")
    drivers.add_argument("raw", type=Path, nargs="+", help="DATA/strangers, DATA/pairs/IDENTITY")
    drivers.set_defaults(do=_drivers)

    mask = steps.add_parser("mask", help="train where the driver's face shows, or go on; one for all identities")
    mask.add_argument("data", type=Path, help="folder of prepared drivers")
    mask.add_argument("out", type=Path, help="folder for state, mask.npz, log and sheet")
    mask.add_argument("--steps", type=int, default=12000)
    mask.add_argument("--threads", type=int, default=2)
    mask.set_defaults(do=_mask)

    plot = steps.add_parser("plot", help="draw the training's log as a chart")
    plot.add_argument("log", type=Path, help="log.jsonl of a training")
    plot.add_argument("out", type=Path, help="an .svg or .png")
    plot.set_defaults(do=_plot)

    check = steps.add_parser("check", help="wear the network over clips and read the output back")
    check.add_argument("weights", type=Path)
    check.add_argument("clips", type=Path, nargs="+")
    check.add_argument("--step", type=int, default=2, help="use every nth frame")
    check.add_argument("--sheets", type=Path, help="folder for contact sheets")
    check.set_defaults(do=_check)

    export = steps.add_parser("export", help="write the bundle")
    export.add_argument("weights", type=Path)
    export.add_argument("data", type=Path, help="prepared pairs, for parity")
    export.add_argument("--mask", type=Path, help="mask.npz; without it the driver's mask that the weights came with")
    export.add_argument("--lips-gain", type=float, default=1.0, help="how far to part the lips, of the driver's")
    export.add_argument("--raw", type=Path, help="the rendered shards, for the preview picture")
    export.add_argument("out", type=Path)
    export.add_argument("--name", default="ada")
    export.add_argument("--title", help="as people read it; else the name")
    export.add_argument(
        "--measured", action="append", default=[], metavar="KEY=TEXT", help="a line for the card's [measured]"
    )
    export.add_argument("--fails", action="append", default=[], metavar="TEXT", help="where it fails, for the card")
    export.add_argument("--hardware", default=f"{platform.machine()} CPU, 2 cores")
    export.set_defaults(do=_export)

    detail = steps.add_parser("detail", help="find what a bundle does not draw of its identity's skin, and add it")
    detail.add_argument("data", type=Path, help="prepared pairs of the identity")
    detail.add_argument("bundle", type=Path)
    detail.set_defaults(do=_detail)

    show = steps.add_parser("show", help="identities side by side on one driver: a clip and a contact sheet")
    show.add_argument("clip", type=Path)
    show.add_argument("out", type=Path, help="a path without suffix: .mp4 and .jpg are added")
    show.add_argument("names", nargs="+", help="bundles")
    show.add_argument("--variant", default="fast", choices=["fast", "fine"])
    show.set_defaults(do=_show)

    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()

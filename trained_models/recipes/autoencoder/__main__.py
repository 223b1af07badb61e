"""`python -m trained_models.recipes.autoencoder prepare|train|check|export`."""

import argparse
import platform
import time
from pathlib import Path

import cv2
import numpy as np

from realtime.face import Face
from trained_models.recipes.autoencoder.augment import Pixels

CHECKPOINT = Path(__file__).resolve().parent.parent / "checkpoints" / "ada.npz"


def _prepare(args: argparse.Namespace) -> None:

    from realtime.detect import Tracker
    from trained_models.recipes.autoencoder.prepare import prepare_folder

    cv2.setNumThreads(1)
    tracker = Tracker(provider="cpu")

    def find(pixels: Pixels) -> Face | None:
        found = tracker.find(np.ascontiguousarray(pixels))
        return found[0] if found else None

    while True:
        tally = prepare_folder(args.raw, args.out, find)
        if tally.kept:
            print(tally, flush=True)
        if not args.watch:
            return
        time.sleep(args.watch)


def _train(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.train import train

    done = train(args.data, args.out, hours=args.hours, steps=args.steps, start_from=args.start, threads=args.threads)
    print(f"{done.step_number} steps, {done.seconds / 3600:.2f} h")


def _check(args: argparse.Namespace) -> None:
    from trained_models.recipes.autoencoder.check import check
    from trained_models.recipes.autoencoder.training import load_weights

    network = load_weights(args.weights)
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
    from trained_models.recipes.autoencoder.pairs_dataset import Pairs
    from trained_models.recipes.autoencoder.to_bundle import Story, to_onnx, write_bundle, write_preview
    from trained_models.recipes.autoencoder.training import load_weights

    network = load_weights(args.weights)
    pairs = Pairs(args.data)
    some = pairs.plain(np.linspace(0, len(pairs) - 1, 24).astype(int).tolist())
    feed = {
        "face": some.face.contiguous().numpy(),
        "blendshapes": some.blendshapes.numpy(),
        "pose": some.pose.numpy(),
    }
    model, parity = to_onnx(network, feed)
    with np.load(args.weights, allow_pickle=False) as file:
        facts = {k: file[k].item() for k in ("steps", "batch", "hours", "seed") if k in file.files}
    story = Story(
        name=args.name,
        title=args.title,
        statement="Rendered character. No real person.",
        pairs=len(pairs),
        steps=int(facts.get("steps", 0)),
        batch=int(facts.get("batch", 0)),
        seed=int(facts.get("seed", 0)),
        hours=float(facts.get("hours", 0.0)),
        hardware=args.hardware,
    )
    measured = dict(fact.split("=", 1) for fact in args.measured)
    write_bundle(args.out, model, story, network.shape.size, parity, measured)
    if args.raw:
        write_preview(args.out / "preview.jpg", sorted(args.raw.glob("shard_*.npz")))
    print(f"{args.out}: {len(model) / 1e6:.2f} MB, {parity}")


def main() -> None:
    """Run one step of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.autoencoder")
    steps = parser.add_subparsers(required=True)

    prepare = steps.add_parser("prepare", help="find, cut and weigh the faces of rendered pairs")
    prepare.add_argument("raw", type=Path, help="folder of shard_*.npz from the people recipe")
    prepare.add_argument("out", type=Path)
    prepare.add_argument("--watch", type=float, metavar="S", help="look for new shards every S seconds")
    prepare.set_defaults(do=_prepare)

    train = steps.add_parser("train", help="train, or go on training")
    train.add_argument("data", type=Path, help="folder of prepared shards")
    train.add_argument("out", type=Path, help="folder for the state, weights, log and sheet")
    train.add_argument("--hours", type=float)
    train.add_argument("--steps", type=int)
    train.add_argument("--threads", type=int, default=2)
    train.add_argument(
        "--resume",
        dest="start",
        type=Path,
        nargs="?",
        const=CHECKPOINT,
        help="start from a weights file (default: the one in the repository); a state in OUT goes first",
    )
    train.set_defaults(do=_train)

    check = steps.add_parser("check", help="wear the network over clips and read the output back")
    check.add_argument("weights", type=Path)
    check.add_argument("clips", type=Path, nargs="+")
    check.add_argument("--step", type=int, default=2, help="use every nth frame")
    check.add_argument("--sheets", type=Path, help="folder for contact sheets")
    check.set_defaults(do=_check)

    export = steps.add_parser("export", help="write the bundle")
    export.add_argument("weights", type=Path)
    export.add_argument("data", type=Path, help="prepared pairs, for parity")
    export.add_argument("--raw", type=Path, help="the rendered shards, for the preview picture")
    export.add_argument("out", type=Path)
    export.add_argument("--name", default="ada")
    export.add_argument("--title", default="Ada")
    export.add_argument(
        "--measured", action="append", default=[], metavar="KEY=TEXT", help="a line for the card's [measured]"
    )
    export.add_argument("--hardware", default=f"{platform.machine()} CPU, 2 cores")
    export.set_defaults(do=_export)

    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()

"""`python -m trained_models.recipes.lip_sync render|train|export|check`."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

DATA = Path.home() / ".cache" / "masquerade" / "lip_sync"
ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "lip-sync"
CHECKPOINT = ROOT / "recipes" / "checkpoints" / "lip_sync.npz"
FINE_CHECKPOINT = CHECKPOINT.with_name("lip_sync_fine.npz")
AGAIN = 1e-3
"""The painter's highest rate where it is no beginner."""


def _render(args: argparse.Namespace) -> None:
    from trained_models.recipes.lip_sync.takes import render_takes

    for number in render_takes(args.data, args.first, args.end, args.step):
        print(f"person {number}", flush=True)


def _train(args: argparse.Namespace) -> None:
    if args.variant == "fine":
        _train_fine(args)
        return
    import torch

    from trained_models.recipes.lip_sync import hearing, training
    from trained_models.recipes.lip_sync.gathered import Gathered, sayings
    from trained_models.recipes.lip_sync.to_bundle import load_weights

    torch.set_num_threads(1)
    begin = load_weights(args.begin) if args.begin else None
    if args.what in ("ear", "both"):
        said, held = sayings(args.sayings)
        print(f"{len(said) / 80 / 60:.0f} minutes of speech", flush=True)
        plan = hearing.Plan(steps=args.ear_steps)
        ear = hearing.train_ear(said, held, args.run_folder, plan, begin=begin.ear if begin else None)
        print(hearing.correlations(ear, held), flush=True)
    if args.what in ("painter", "both"):
        gathered = Gathered(args.data)
        held_out = gathered.held_out()
        how = training.Plan(steps=args.steps or 7000)
        how = replace(how, peak_rate=AGAIN) if begin else how
        made = training.train(gathered, held_out, args.run_folder, how, begin=begin.painter if begin else None)
        print(made.judge(held_out), flush=True)


def _train_fine(args: argparse.Namespace) -> None:
    """The critic, then the fine painter, from the first one's weights."""
    import torch

    from trained_models.recipes.lip_sync.critic import train_critic
    from trained_models.recipes.lip_sync.fine import FINE_PLAN, SHUT, FineTraining
    from trained_models.recipes.lip_sync.gathered import Gathered, held_out_clips
    from trained_models.recipes.lip_sync.to_bundle import load_weights
    from trained_models.recipes.lip_sync.training import train
    from trained_models.recipes.lip_sync.widen import widened

    torch.set_num_threads(1)
    first = load_weights(args.begin or CHECKPOINT)
    gathered = Gathered(args.data, SHUT)
    clips, held_out = gathered.clips(), gathered.held_out()
    critic = train_critic(clips, held_out_clips(args.data), args.run_folder) if args.critic else None
    made = train(
        *(gathered, held_out, args.run_folder, replace(FINE_PLAN, steps=args.steps or FINE_PLAN.steps)),
        begin=widened(first.painter),
        make=lambda plan: FineTraining(plan, clips, first, critic),
        name="fine",
    )
    print(made.judge(held_out), flush=True)


def _export(args: argparse.Namespace) -> None:
    from trained_models.recipes.lip_sync.gathered import fine_finished, finished

    if args.variant == "fine":
        kept = args.checkpoint or FINE_CHECKPOINT
        print(fine_finished(args.run_folder, args.data, args.out, CHECKPOINT, kept))
    else:
        print(finished(args.run_folder, args.data, args.out, args.checkpoint or CHECKPOINT))


def _check(args: argparse.Namespace) -> None:
    from trained_models.recipes.card_facts import write_facts
    from trained_models.recipes.lip_sync.check import check

    facts = check(args.out, args.sounds, args.pictures, args.data, args.sheets, args.variant)
    if args.write:
        write_facts(args.out, {"measured": facts})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.lip_sync", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.add_argument("--data", type=Path, default=DATA)
        made.set_defaults(run=run)
        return made

    made = command("render", _render, "render people who speak; resumes, and ends when DATA/STOP appears")
    made.add_argument("--first", type=int, default=0)
    made.add_argument("--end", type=int, default=100)
    made.add_argument(
        "--step", type=int, default=1, help="several processes share the people: --first 0 and 1, --step 2"
    )
    made = command("train", _train, "resumes from RUN_FOLDER; ends when RUN_FOLDER/STOP appears")
    made.add_argument("run_folder", type=Path)
    made.add_argument("--what", choices=("ear", "painter", "both"), default="both")
    made.add_argument("--sayings", type=int, default=400)
    made.add_argument("--ear-steps", type=int, default=1600)
    made.add_argument("--steps", type=int, help="of the painter: 7000, or what the fine one's plan says")
    made.add_argument("--variant", choices=("fast", "fine"), default="fast", help="fine: begins with the fast one's")
    made.add_argument("--no-critic", dest="critic", action="store_false", help="fine only: without a critic of sync")
    made.add_argument(
        "--from-checkpoint",
        dest="begin",
        type=Path,
        nargs="?",
        const=CHECKPOINT,
        help="a new run starts from these weights: the repository's, unless a file is named",
    )
    made = command("export", _export, "the bundle of a run, with parity checked")
    made.add_argument("run_folder", type=Path)
    made.add_argument("--out", type=Path, default=BUNDLE)
    made.add_argument("--variant", choices=("fast", "fine"), default="fast", help="fine: put beside the fast one")
    made.add_argument("--checkpoint", type=Path, help="where the weights go, to be trained on from: the repository's")
    made = command("check", _check, "lips against voices, silence, and held-out people")
    made.add_argument("--out", type=Path, default=BUNDLE)
    made.add_argument("--sounds", type=Path, nargs="*", default=[], help="sound files, besides voices of espeak-ng")
    made.add_argument("--pictures", type=Path, nargs="*", default=[], help="faces that speak, besides the avatars")
    made.add_argument("--variant", choices=("fast", "fine"), default="fast")
    made.add_argument("--sheets", type=Path)
    made.add_argument("--write", action="store_true", help="put what was found on the card")
    return parser


if __name__ == "__main__":
    arguments = _parser().parse_args()
    arguments.run(arguments)

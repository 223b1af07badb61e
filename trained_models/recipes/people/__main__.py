"""`python -m trained_models.recipes.people sheet|pairs|clip|ceiling`."""

import argparse
from pathlib import Path

DATA = Path.home() / ".cache" / "masquerade" / "people"


def _sheet(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.sheet import write_sheet

    write_sheet(args.kind, args.out, args.seed, args.count)


def _pairs(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from trained_models.recipes.people.pairs import render_pairs

    for _ in tqdm(render_pairs(args.data, args.shards, args.workers, args.seed), unit="shard"):
        pass


def _clip(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.clip import render_clip

    render_clip(args.out, args.width, args.height)


def _ceiling(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.ceiling import ceiling, table
    from trained_models.recipes.people.person import Casting

    for seed in args.seeds:
        print(f"seed {seed}, {args.style}")
        print(table(ceiling(Casting(seed, args.style))))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.people", description=__doc__)
    commands = parser.add_subparsers(required=True)

    sheet = commands.add_parser("sheet", help="a contact sheet to look at")
    sheet.add_argument("kind", choices=["people", "expressions", "pairs"])
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"))
    sheet.add_argument("--seed", type=int, default=505, help="the first person, or whose expressions")
    sheet.add_argument("--count", type=int, default=16)
    sheet.set_defaults(run=_sheet)

    pairs = commands.add_parser("pairs", help="training pairs; resumes, and ends when DATA/STOP appears")
    pairs.add_argument("--data", type=Path, default=DATA, help="shards go to DATA/pairs")
    pairs.add_argument("--shards", type=int, default=200, help="of 100 pairs each")
    pairs.add_argument("--workers", type=int, default=2, help="processes, one core each")
    pairs.add_argument("--seed", type=int, default=20261)
    pairs.set_defaults(run=_pairs)

    clip = commands.add_parser("clip", help="the bundled driving clip; needs libespeak-ng")
    clip.add_argument("--out", type=Path, default=Path("driving.mp4"))
    clip.add_argument("--width", type=int, default=960)
    clip.add_argument("--height", type=int, default=540)
    clip.set_defaults(run=_clip)

    ceiling = commands.add_parser("ceiling", help="what the tracker reads when actions are driven")
    ceiling.add_argument("seeds", type=int, nargs="+")
    ceiling.add_argument("--style", default=None, help="hair style, else the person's own")
    ceiling.set_defaults(run=_ceiling)
    return parser


if __name__ == "__main__":
    arguments = _parser().parse_args()
    arguments.run(arguments)

"""`python -m trained_models.recipes.people sheet|pairs|strangers|clips|clip|ceiling`."""

import argparse
from pathlib import Path

DATA = Path.home() / ".cache" / "masquerade" / "people"


def _sheet(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.sheet import write_sheet

    write_sheet(args.kind, args.out, args.seed, args.count, args.identity)


def _pairs(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from trained_models.recipes.people.pairs import render_pairs

    for _ in tqdm(render_pairs(args.data, args.identity, args.shards, args.workers, args.seed), unit="shard"):
        pass


def _strangers(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from trained_models.recipes.people.pairs import render_strangers

    for _ in tqdm(render_strangers(args.data, args.shards, args.workers), unit="shard"):
        pass


def _clips(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from trained_models.recipes.people.clips import Wanted, render_clips

    wanted = Wanted(args.frames, args.size, args.cartoons, args.occluded, args.oversampling, args.identity)
    for _ in tqdm(
        render_clips(args.data, args.people, wanted, args.workers, args.seed), total=args.people, unit="clip"
    ):
        pass


def _clip(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.clip import render_clip

    render_clip(args.out, args.width, args.height)


def _ceiling(args: argparse.Namespace) -> None:
    from trained_models.recipes.people.ceiling import ceiling, spread, table
    from trained_models.recipes.people.person import Casting

    both = [ceiling(Casting(seed, args.style, args.cartoon)) for seed in args.seeds]
    for seed, (_, own) in zip(args.seeds, both, strict=True):
        print(f"seed {seed}, calibrated\n{table(own)}")
    if len(both) > 1:
        print(f"{len(both)} people, everybody's gains\n{spread([fixed for fixed, _ in both])}")
        print(f"{len(both)} people, calibrated\n{spread([own for _, own in both])}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.people", description=__doc__)
    commands = parser.add_subparsers(required=True)

    sheet = commands.add_parser("sheet", help="a contact sheet to look at")
    sheet.add_argument("kind", choices=["people", "cartoons", "expressions", "pairs"])
    sheet.add_argument("--out", type=Path, default=Path("sheet.png"))
    sheet.add_argument("--seed", type=int, default=505, help="the first person, or whose expressions")
    sheet.add_argument("--count", type=int, default=16)
    sheet.add_argument("--identity", default="ada", help="who is drawn in pairs")
    sheet.set_defaults(run=_sheet)

    pairs = commands.add_parser("pairs", help="training pairs; resumes, and ends when DATA/STOP appears")
    pairs.add_argument("--data", type=Path, default=DATA, help="shards go to DATA/pairs/IDENTITY")
    pairs.add_argument("--shards", type=int, default=200, help="of 100 pairs each")
    pairs.add_argument("--workers", type=int, default=2, help="processes, one core each")
    pairs.add_argument("--seed", type=int, default=20261)
    pairs.add_argument(
        "--identity", nargs="+", default=["ada"], help="who is drawn beside the drivers: names in person.py"
    )
    pairs.set_defaults(run=_pairs)

    strangers = commands.add_parser("strangers", help="drivers alone, many people: what a mask is learnt from")
    strangers.add_argument("--data", type=Path, default=DATA, help="shards go to DATA/strangers")
    strangers.add_argument("--shards", type=int, default=40, help="of 100 pictures each, four a person")
    strangers.add_argument("--workers", type=int, default=2, help="processes, one core each")
    strangers.set_defaults(run=_strangers)

    clips = commands.add_parser("clips", help="people in motion, drawn ones too; resumes, ends when DATA/STOP appears")
    clips.add_argument("--data", type=Path, default=DATA, help="clips go to DATA/clips")
    clips.add_argument("--people", type=int, default=100, help="one clip each")
    clips.add_argument("--frames", type=int, default=100, help="a clip, at 25 a second")
    clips.add_argument("--size", type=int, default=256)
    clips.add_argument("--cartoons", type=float, default=0.25, help="share of drawn characters, 0 to 1")
    clips.add_argument("--occluded", type=float, default=0.35, help="share with hands, cups, microphones, 0 to 1")
    clips.add_argument("--identity", help="a name in person.py: plays what everybody else would have played")
    clips.add_argument("--oversampling", type=int, default=1, help="2: smoother edges, twice the time")
    clips.add_argument("--workers", type=int, default=2, help="processes, one core each")
    clips.add_argument("--seed", type=int, default=20262)
    clips.set_defaults(run=_clips)

    clip = commands.add_parser("clip", help="the bundled driving clip; needs libespeak-ng")
    clip.add_argument("--out", type=Path, default=Path("driving.mp4"))
    clip.add_argument("--width", type=int, default=960)
    clip.add_argument("--height", type=int, default=540)
    clip.set_defaults(run=_clip)

    ceiling = commands.add_parser("ceiling", help="what the tracker reads when actions are driven")
    ceiling.add_argument("seeds", type=int, nargs="+")
    ceiling.add_argument("--style", default=None, help="hair style, else the person's own")
    ceiling.add_argument("--cartoon", action="store_true", help="as drawn characters")
    ceiling.set_defaults(run=_ceiling)
    return parser


if __name__ == "__main__":
    arguments = _parser().parse_args()
    arguments.run(arguments)

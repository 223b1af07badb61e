"""`python -m trained_models.recipes.motion albums|patches|train|export|around|avatars|check`."""

import argparse
from pathlib import Path

from trained_models.recipes.motion.albums import album_path, fill_albums

DATA = Path.home() / ".cache" / "masquerade" / "motion"
ROOT = Path(__file__).resolve().parents[2]
BUNDLE, AVATARS, FACE = ROOT / "motion", ROOT / "avatars", ROOT / "face"
CHECKPOINT = ROOT / "recipes" / "checkpoints" / "motion.npz"
AROUND_CHECKPOINT = CHECKPOINT.with_name("motion_around.npz")
HELD_OUT = 4
"""The first albums are never trained on."""


def _albums(args: argparse.Namespace) -> None:
    for number in fill_albums(args.data, args.first, args.end):
        print(f"album {number}", flush=True)


def _patches(args: argparse.Namespace) -> None:
    from realtime.families.motion.mesh.head import open_head
    from realtime.tracking.tracker import Tracker
    from trained_models.recipes.motion.patches import prepare

    tracker = Tracker(provider="cpu")
    for number in prepare(args.data, open_head(BUNDLE / "mesh.npz"), tracker, args.first, args.end):
        print(f"patches {number}", flush=True)
    tracker.close()


def _train(args: argparse.Namespace) -> None:
    import torch

    from trained_models.recipes.motion.batches import Samples, spread
    from trained_models.recipes.motion.patches import patch_files, read_patches
    from trained_models.recipes.motion.training import Plan, train

    torch.set_num_threads(args.threads)
    files = patch_files(args.data)
    held = spread(Samples(read_patches(files[:HELD_OUT]), plain=True), 14)
    samples = Samples(read_patches(files[HELD_OUT:]))
    print(f"{len(samples)} samples", flush=True)
    train(samples, held, args.run_folder, Plan(steps=args.steps))


def _export(args: argparse.Namespace) -> None:
    from trained_models.recipes.motion.batches import Samples, spread
    from trained_models.recipes.motion.mesh_file import write_mesh
    from trained_models.recipes.motion.patches import patch_files, read_patches
    from trained_models.recipes.motion.to_bundle import save_weights, to_onnx, write_bundle
    from trained_models.recipes.motion.training import Plan, Training

    files = patch_files(args.data)
    held = spread(Samples(read_patches(files[:HELD_OUT]), plain=True), 14)
    training = Training(Plan())
    training.load(args.run_folder / "state.pt")
    network = training.averaged
    errors = training.judge(held)
    args.out.mkdir(parents=True, exist_ok=True)
    write_mesh(FACE, args.out / "mesh.npz")
    model, parity = to_onnx(network, held)
    story: dict[str, str | int | float] = {
        **{"people": len(files) - HELD_OUT, "samples": len(Samples(read_patches(files[HELD_OUT:])))},
        **{"steps": training.step_number, "batch": Plan().batch, "seed": Plan().seed},
        **{"hours": round(training.seconds / 3600, 2), "hardware": "AMD EPYC, one of two shared cores"},
    }
    measured: dict[str, str | float] = {
        "held_out_mouth": f"{errors['mouth']:.4f} of 1, by geometry alone {errors['mouth_geometry']:.4f}: the log",
        "held_out_eyes": f"{errors['eyes']:.4f} of 1, by geometry alone {errors['eyes_geometry']:.4f}: the log",
    }
    write_bundle(args.out, network, parity, model, story, measured)
    save_weights(network, CHECKPOINT, {"steps": float(training.step_number)})
    print(parity, errors)


def _around(args: argparse.Namespace) -> None:
    import torch

    from realtime.families.motion.mesh.head import open_head
    from realtime.tracking.tracker import Tracker
    from trained_models.recipes.motion.around_bundle import add_around, around_to_onnx, save_around
    from trained_models.recipes.motion.around_samples import Sittings, prepare_sittings, read_sittings, sitting_files
    from trained_models.recipes.motion.around_training import AroundPlan, train_around

    torch.set_num_threads(args.threads)
    tracker = Tracker(provider="cpu")
    for number in prepare_sittings(args.data, open_head(BUNDLE / "mesh.npz"), tracker, 0, args.end):
        print(f"sitting {number}", flush=True)
    tracker.close()
    files, plan = sitting_files(args.data), AroundPlan(steps=args.steps)
    held = Sittings(read_sittings(files[:HELD_OUT]), plan.seed, plain=True).batch(0, 48)
    done = train_around(Sittings(read_sittings(files[HELD_OUT:]), plan.seed), held, args.run_folder, plan)
    made, mesh = done.judge(held)
    model, parity = around_to_onnx(done.averaged, held)
    story: dict[str, int | float] = {"people": len(files) - HELD_OUT, "steps": done.step_number, "batch": plan.batch}
    told = {"held_out": f"{made:.4f} of 1 outside the face, by the mesh alone {mesh:.4f}"}
    add_around(args.out, model, story | {"hours": round(done.seconds / 3600, 2)}, told)
    save_around(done.averaged, AROUND_CHECKPOINT, {"steps": float(done.step_number)})
    print(parity, told)


def _avatars(args: argparse.Namespace) -> None:
    from trained_models.recipes.motion.avatars import SITTERS, write_avatar

    for sitter in SITTERS:
        if not args.names or sitter.name in args.names:
            print(write_avatar(sitter, args.out), flush=True)


def _check(args: argparse.Namespace) -> None:
    import cv2

    from realtime.families.motion.mesh.model import MeshPuppet, open_mesh_puppet
    from realtime.models.library import load_bundle
    from realtime.tracking.tracker import Tracker
    from trained_models.recipes.motion.measure import across, against_themselves

    puppet = open_mesh_puppet(load_bundle(BUNDLE), provider="cpu")
    if args.geometry:
        from realtime.families.motion.mesh.head import open_head

        puppet = MeshPuppet(open_head(BUNDLE / "mesh.npz"))
    if args.clip is None:
        tracker = Tracker(provider="cpu")
        albums = [album_path(args.data / "albums", number) for number in range(HELD_OUT)]
        print(against_themselves(puppet, albums, tracker.find))
        return
    for path in args.pictures:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        score = across(puppet, args.clip, picture, args.step, args.most)
        print(f"{path}: r {score.r:.2f}, turn {score.turn_deg:.1f} degrees, {score.missed} of {score.frames} missed")
        for name, (width, r, gain) in score.table.items():
            print(f"  {name:20s} spread {width:.2f}  r {r:5.2f}  gain {gain:5.2f}")
        if args.sheets is not None:
            args.sheets.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(args.sheets / f"{path.parent.name}_{args.clip.stem}.png"), score.sheet)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trained_models.recipes.motion", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, run: object, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.add_argument("--data", type=Path, default=DATA)
        made.set_defaults(run=run)
        return made

    for name, run, text in (
        ("albums", _albums, "render people; resumes, and ends when DATA/STOP appears"),
        ("patches", _patches, "find faces, move them by geometry, cut patches; resumes"),
    ):
        made = command(name, run, text)
        made.add_argument("--first", type=int, default=0)
        made.add_argument("--end", type=int, default=200)
    made = command("train", _train, "resumes from RUN_FOLDER/state.pt; ends when RUN_FOLDER/STOP appears")
    made.add_argument("run_folder", type=Path)
    made.add_argument("--steps", type=int, default=8000)
    made.add_argument("--threads", type=int, default=1)
    made = command("export", _export, "the bundle of a run")
    made.add_argument("run_folder", type=Path)
    made.add_argument("--out", type=Path, default=BUNDLE)
    made = command("around", _around, "the network for hair and neck: sittings, training (resumes), bundle")
    made.add_argument("run_folder", type=Path)
    made.add_argument("--out", type=Path, default=BUNDLE)
    made.add_argument("--end", type=int, default=200)
    made.add_argument("--steps", type=int, default=1500)
    made.add_argument("--threads", type=int, default=1)
    made = command("avatars", _avatars, "draw the built-in avatars")
    made.add_argument("names", nargs="*")
    made.add_argument("--out", type=Path, default=AVATARS)
    made = command("check", _check, "held-out people, or with --clip avatars driven by a clip")
    made.add_argument("pictures", type=Path, nargs="*")
    made.add_argument("--clip", type=Path)
    made.add_argument("--step", type=int, default=3)
    made.add_argument("--most", type=int, default=120)
    made.add_argument("--sheets", type=Path)
    made.add_argument("--geometry", action="store_true", help="without the network")
    return parser


if __name__ == "__main__":
    arguments = _parser().parse_args()
    arguments.run(arguments)

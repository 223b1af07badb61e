"""Makes the built-in motion model and the built-in avatars; see README.md."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import torch

from realtime.families.motion.mesh.head import open_head
from realtime.models.library import face_folder
from realtime.tracking.tracker import Tracker
from trained_models.recipes.face import mesh_file
from trained_models.recipes.motion import flow as flows
from trained_models.recipes.motion import frames, refiner, samples, to_bundle
from trained_models.recipes.motion.avatars import SITTERS, write_avatar
from trained_models.recipes.motion.expressions import write_expressions
from trained_models.recipes.sample_files import finished
from trained_models.training.ema import run

DATA = Path.home() / ".cache" / "masquerade" / "motion"
ROOT = Path(__file__).resolve().parents[2]
BUNDLE, AVATARS, FACE = ROOT / "motion", ROOT / "avatars", ROOT / "face"
CHECKPOINT = ROOT / "recipes" / "checkpoints" / "motion.npz"
FLOW_CHECKPOINT = CHECKPOINT.with_name("motion_around.npz")
HELD_OUT = 4  # the first people are never trained on
PATH = click.Path(path_type=Path)
data_option = click.option("--data", type=PATH, default=DATA, show_default=True)
checkpoint_option = click.option("--from-checkpoint", is_flag=True, help="A new run starts from the kept weights.")


@click.group(help=__doc__)
def main() -> None: ...


@main.command()
@data_option
@click.option("--first", type=int, default=0)
@click.option("--end", type=int, default=200)
def render(data: Path, first: int, end: int) -> None:
    """Render people, 16 pictures each; resumes, and ends when DATA/STOP appears."""
    for number in frames.render(data, first, end):
        print(f"person {number}", flush=True)


@main.command()
@data_option
@click.option("--first", type=int, default=0)
@click.option("--end", type=int, default=200)
def patches(data: Path, first: int, end: int) -> None:
    """Find faces, move them by geometry, cut patches; resumes."""
    head, tracker = open_head(BUNDLE / "mesh.npz"), Tracker(face_folder(), provider="cpu")
    for number in samples.prepare(
        data, "patches", range(first, end), lambda person: samples.stacked(head, person, tracker.find)
    ):
        print(f"patches {number}", flush=True)
    tracker.close()


@main.command()
@click.argument("run_folder", type=PATH)
@data_option
@click.option("--steps", type=int, default=8000)
@checkpoint_option
def train(run_folder: Path, data: Path, steps: int, from_checkpoint: bool) -> None:
    """Train the refiner; resumes from RUN_FOLDER/state.pt, and ends when RUN_FOLDER/STOP appears."""
    torch.set_num_threads(1)
    files = finished(data / "patches")
    held_out = samples.spread(samples.Samples(samples.read_patches(files[:HELD_OUT]), plain=True), 14)
    learnt = samples.Samples(samples.read_patches(files[HELD_OUT:]))
    begin = to_bundle.load_refiner(CHECKPOINT) if from_checkpoint else None
    run(refiner.RefinerTraining(replace(refiner.PLAN, steps=steps)), lambda: learnt, held_out, run_folder, begin=begin)


@main.command()
@click.argument("run_folder", type=PATH)
@data_option
@click.option("--out", type=PATH, default=BUNDLE)
def export(run_folder: Path, data: Path, out: Path) -> None:
    """Write the bundle of a run, with parity checked."""
    files = finished(data / "patches")
    held_out = samples.spread(samples.Samples(samples.read_patches(files[:HELD_OUT]), plain=True), 14)
    training = refiner.RefinerTraining()
    training.load(run_folder / "state.pt")
    errors = training.judge(held_out)
    story = {"people": len(files) - HELD_OUT, "samples": len(samples.Samples(samples.read_patches(files[HELD_OUT:])))}
    story |= {"steps": training.step_number, "batch": refiner.PLAN.batch, "seed": refiner.PLAN.seed}
    story |= {"hours": round(training.seconds / 3600, 2), "hardware": "AMD EPYC, one of two shared cores"}
    measured = {
        f"held_out_{name}": f"{errors[name]:.4f} of 1, by geometry alone {errors[f'{name}_geometry']:.4f}: the log"
        for name in ("mouth", "eyes")
    }
    parity = to_bundle.write_motion(out, training.averaged, held_out, mesh_file(FACE), story, measured)
    to_bundle.save_refiner(training.averaged, CHECKPOINT, training.step_number)
    print(parity, errors)


@main.command()
@click.argument("run_folder", type=PATH)
@data_option
@click.option("--out", type=PATH, default=BUNDLE)
@click.option("--end", type=int, default=200)
@click.option("--steps", type=int, default=1500)
@checkpoint_option
def flow(run_folder: Path, data: Path, out: Path, end: int, steps: int, from_checkpoint: bool) -> None:
    """Make the flow network for hair and neck: samples, training (resumes), bundle."""
    torch.set_num_threads(1)
    tracker = Tracker(face_folder(), provider="cpu")
    make = partial(flows.stacked, open_head(BUNDLE / "mesh.npz"), find=tracker.find)
    for number in samples.prepare(data, "flow", range(end), make):
        print(f"samples {number}", flush=True)
    tracker.close()
    files, plan = finished(data / "flow"), replace(flows.PLAN, steps=steps)
    held_out = flows.FlowSamples(flows.read_samples(files[:HELD_OUT]), plan.seed, plain=True).batch(0, 48)
    learnt = flows.FlowSamples(flows.read_samples(files[HELD_OUT:]), plan.seed)
    begin = to_bundle.load_flow(FLOW_CHECKPOINT) if from_checkpoint else None
    done = run(flows.FlowTraining(plan), lambda: learnt, held_out, run_folder, begin=begin)
    errors = done.judge(held_out)
    story = {"people": len(files) - HELD_OUT, "steps": done.step_number, "batch": plan.batch}
    story["hours"] = round(done.seconds / 3600, 2)
    told = f"{errors['colour']:.4f} of 1 outside the face, by the mesh alone {errors['mesh']:.4f}"
    print(to_bundle.add_flow(out, done.averaged, held_out, story, {"held_out": told}), told)
    to_bundle.save_flow(done.averaged, FLOW_CHECKPOINT, done.step_number)


@main.command()
@click.argument("names", nargs=-1)
@click.option("--out", type=PATH, default=AVATARS)
def avatars(names: tuple[str, ...], out: Path) -> None:
    """Draw the built-in avatars."""
    for sitter in SITTERS:
        if not names or sitter.name in names:
            print(write_avatar(sitter, out), flush=True)


@main.command()
def expressions() -> None:
    """Add what stills are given of somebody else's expressions to the bundle."""
    print(write_expressions(BUNDLE, ROOT / "clips" / "driving.mp4", open_head(BUNDLE / "mesh.npz")), flush=True)


if __name__ == "__main__":
    main()

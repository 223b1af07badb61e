"""Renders clips of whole people with the truth beside them.

    python -m trained_models.recipes.whole_body FOLDER            # four people: plain, loose, clutter, dim

NAME.mp4 and NAME.npz: `names` (18,) of the joints, `joints` (N, 18, 3) in metres (x right, y down, z away from the
camera), `pixels` (N, 18, 2), `act` (N,), `fps`. `masquerade bench quality NAME.mp4 --model figure` measures with it.
"""

from pathlib import Path

import av
import click
import numpy as np

from trained_models.recipes.whole_body.acts import ACTS, perform
from trained_models.recipes.whole_body.person import JOINTS, Person
from trained_models.recipes.whole_body.scene import DIM, Camera, Light, cluttered_wall, plain_wall

FPS = 30
SEED = 9100  # of the first person
LOOSE_M = 0.035
KINDS = ("plain", "loose", "clutter", "dim")
FOCAL = 0.86  # of the picture's width


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", default=SEED, show_default=True, help="Of the first person; the others count on.")
@click.option("--people", default=len(KINDS), show_default=True, help="Plain, loose, clutter, dim, and again.")
@click.option("--frames", default=50, show_default=True, help="Of each act, at 30 a second.")
@click.option("--act", "acts", multiple=True, type=click.Choice(list(ACTS)), help="All, if not given.")
@click.option("--size", default="1280x720", show_default=True)
def main(folder: Path, seed: int, people: int, frames: int, acts: tuple[str, ...], size: str) -> None:
    """Render so many people into FOLDER; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    width, height = (int(side) for side in size.split("x"))
    for number in range(people):
        kind = KINDS[number % len(KINDS)]
        file = folder / f"{kind}_{seed + number}.mp4"
        if not file.with_suffix(".npz").exists():
            film(file, seed + number, kind, frames, acts or tuple(ACTS), (width, height))
            click.echo(file)


def film(file: Path, seed: int, kind: str, frames: int, acts: tuple[str, ...], size: tuple[int, int]) -> None:
    """One person of one kind to a video and its truth."""
    rng = np.random.default_rng([seed, 1])
    person = Person(seed, LOOSE_M if kind == "loose" else 0.0)
    wall = cluttered_wall(size, rng) if kind == "clutter" else plain_wall(size)
    camera = Camera(person, size, FOCAL * size[0], wall, DIM if kind == "dim" else Light())
    whole = np.array(
        [0, -(person.top + person.floor) / 2, 1.3 * (person.floor - person.top) * FOCAL * size[0] / size[1]]
    )
    desk = np.array([0, -(person.top + 0.33), 1.2])
    joints, done = [], []
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"crf": "19", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for act in acts:
            for moment in perform(act, frames, rng):
                posed = person.pose(moment)
                shift = (whole if ACTS[act][0] == "whole" else desk) + moment.shift
                picture = camera.shoot(posed.vertices + shift, rng)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
                joints.append(posed.joints + shift)
                done.append(act)
        out.mux(stream.encode())
    camera.close()
    truth = np.array(joints)
    np.savez_compressed(
        file.with_suffix(".npz"),
        names=np.array(list(JOINTS)),
        joints=truth.astype(np.float32),
        pixels=camera.pixels(truth).astype(np.float32),
        act=np.array(done),
        fps=np.float64(FPS),
    )


if __name__ == "__main__":
    main()

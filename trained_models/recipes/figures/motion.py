"""Writes the motion that the page tries joints with: `python -m trained_models.recipes.figures.motion`.

A wave, both arms up, a bow to the side and steps on the spot, with a face that talks, smiles and blinks.
"""

from pathlib import Path

import click
import numpy as np

from realtime.families.figure.drawing import Figure
from realtime.families.figure.retarget import BONES, Bone, FigurePose
from realtime.frame import Frame
from realtime.models.figure import read_rig
from realtime.output.motion_file import MotionRecorder
from realtime.skeleton import JOINTS, Moment

RATE_HZ, SECONDS = 10.0, 4.0
BLINKS, JAW, SMILES = (9, 10), 25, (44, 45)
# Angles below the horizontal, outwards, by time in shares of the whole: (upper arm, forearm) left and right, lean.
KEYS = (
    (0.00, (70, 78), (70, 78), 0.0),
    (0.12, (-25, -70), (70, 78), 0.04),
    (0.20, (-25, -30), (70, 78), 0.04),
    (0.28, (-25, -75), (68, 74), 0.04),
    (0.42, (60, 70), (60, 70), 0.0),
    (0.55, (-45, -60), (-45, -60), 0.0),
    (0.68, (10, 5), (10, 5), -0.10),
    (0.80, (45, 20), (45, 20), 0.08),
    (1.00, (70, 78), (70, 78), 0.0),
)


def pose_at(share: float) -> FigurePose:
    """The pose at a share of the motion."""
    times = [key[0] for key in KEYS]

    def eased(values: list[float]) -> float:
        after = min(int(np.searchsorted(times, share, side="right")), len(times) - 1)
        part = (share - times[after - 1]) / (times[after] - times[after - 1])
        part = part * part * (3 - 2 * part)
        return values[after - 1] + part * (values[after] - values[after - 1])

    bones = dict.fromkeys(BONES, Bone(None))
    for side, sign, column in (("l", 1, 1), ("r", -1, 2)):
        for bone, which in (("shoulder", 0), ("elbow", 1), ("wrist", 1)):
            angle = np.radians(eased([float(key[column][which]) for key in KEYS]))  # type: ignore[index]
            bones[f"{side}_{bone}"] = Bone(float(np.arctan2(np.sin(angle), sign * np.cos(angle))))
        lifted = max(float(np.sin(2 * np.pi * 3 * share + (0 if side == "l" else np.pi))), 0.0) * (share > 0.66)
        for bone, out in (("hip", 14.0), ("knee", -6.0)):
            angle = np.radians(88 - lifted * out)
            bones[f"{side}_{bone}"] = Bone(float(np.arctan2(np.sin(angle), sign * np.cos(angle))), 1 - 0.12 * lifted)
    lean = eased([float(key[3]) for key in KEYS])
    return FigurePose(bones, lean=lean, roll=0.6 * lean + 0.06 * float(np.sin(4 * np.pi * share)))


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("trained_models/clips/figure.npz"), show_default=True
)
def main(out: Path) -> None:
    """Write the motion, with the proportions of the built-in wooden figure."""
    folder = Path("trained_models/avatars/tilo")
    figure = Figure(read_rig(folder), folder, 0.6)
    recorder, empty = MotionRecorder(out), np.zeros((720, 1280, 3), np.uint8)
    for number in range(round(RATE_HZ * SECONDS)):
        share = number / (RATE_HZ * SECONDS)
        at = figure.place(pose_at(share), 1.0, 1 / RATE_HZ)
        face = np.zeros(52, np.float32)
        face[list(BLINKS)] = 0.9 if number % 17 in (8, 9) else 0.05
        face[JAW] = 0.45 * max(float(np.sin(number * 1.9)), 0.0) * (0.15 < share < 0.9)
        face[list(SMILES)] = 0.25 + 0.3 * (share > 0.5)
        joints = np.array([at[name] + (200, 20) for name in JOINTS], np.float32)
        recorder.show(Frame(empty, number, 0, number / RATE_HZ, motion=Moment(joints, face)))
    recorder.close()
    click.echo(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.true_swap DRIVERS TRUTH BUNDLE`: what a swap without any error would be measured as.

TRUTH holds the clips of DRIVERS played once more by the identity of BUNDLE, in the same light and place and with the
same glasses on (`people clips --identity`). Both are read frame by frame as `bench quality` reads driver and output. A
reader finds more or less of a smile on another face, so even true pictures of the identity do not reach an r of 1.
"""

import argparse
import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from benchmarks.acting_figures import blink_figures, mouth_figures, together
from benchmarks.agreement import moving
from benchmarks.clip_figures import followed
from benchmarks.goals import GOALS, judge, judge_all, table
from benchmarks.mask_truth import open_clip
from benchmarks.moment import Examiner, Moment
from benchmarks.reading import choose_reader, open_reader
from benchmarks.retrieval import Retrieval, load_gallery
from benchmarks.second_reader import open_second_reader
from benchmarks.stamp import stamp
from benchmarks.worn import known_centre
from realtime.errors import ConfigError, MasqueradeError
from realtime.face import Face
from realtime.models import load_bundle

COMPARED = ("expression", "mouth", "blinks", "pose_deg", "identity")


def true_figures(driver_clip: Path, true_clip: Path, which: Any, looks: Examiner) -> dict[str, Any]:
    """One clip's figures, a part of what `clip_figures` has. Raises ConfigError where the two clips are not alike."""
    if not true_clip.is_file():
        raise ConfigError(f"{true_clip} is missing: film it with people clips --identity, as {driver_clip.name} was")
    faces: list[tuple[Face | None, Face | None, None, None]] = []
    with ExitStack() as parts:
        readers = [parts.enter_context(closing(open_reader(which, "auto"))) for _ in range(2)]
        sources = [parts.enter_context(closing(open_clip(clip, None))) for clip in (driver_clip, true_clip)]
        while (frame := sources[0].read()) is not None:
            if (twin := sources[1].read()) is None:
                raise ConfigError(f"{true_clip} is shorter than {driver_clip}: film both with as many frames")
            face = readers[0].read(frame)
            faces.append((face, readers[1].read(twin), None, None))
            looks.see(Moment(frame.seq, {"driver": frame.pixels, "output": twin.pixels}, face, None))
        if sources[1].read() is not None:
            raise ConfigError(f"{true_clip} is longer than {driver_clip}: film both with as many frames")
    channels, pose = followed(faces, 1)
    series = [pair[0] for pair in faces], [pair[1] for pair in faces]
    return {
        "clip": driver_clip.name,
        "expression": {
            **together(channels),
            "jaw_r": channels["jawOpen"]["r"] if "jawOpen" in moving(channels) else None,
        },
        "mouth": mouth_figures(*series),
        "blinks": blink_figures(*series),
        "pose_deg": pose,
        looks.key: looks.figures(),
    }


def main() -> None:
    """Measure all clips of a folder against their twins, and print the goals that they are measured by."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.true_swap", description=__doc__)
    parser.add_argument("drivers", type=Path, help="a folder of clips")
    parser.add_argument("truth", type=Path, help="a folder of the same clips, played by the identity")
    parser.add_argument("bundle", help="the identity")
    parser.add_argument("--json", type=Path, dest="json_file")
    args = parser.parse_args()
    try:
        _compare(args)
    except MasqueradeError as error:
        parser.exit(error.exit_code, f"{error}\n")


def _compare(args: argparse.Namespace) -> None:
    reader, bundle = open_second_reader(), load_bundle(args.bundle)
    if isinstance(reader, str):
        raise ConfigError(f"the second reader {reader}")
    worn = None if bundle.preview is None else known_centre(bundle.preview)
    if worn is None:
        raise ConfigError(f"{args.bundle} is no packaged identity: give ada, amos or fern")
    which, gallery = choose_reader("auto"), load_gallery()
    clips = [
        true_figures(clip, args.truth / clip.name, which, Retrieval(reader, worn, gallery))
        for clip in sorted(args.drivers.glob("*.npz"))
    ]
    if not clips:
        raise ConfigError(f"{args.drivers} holds no clips: film some with people clips")
    goals = [goal for goal in GOALS if goal.path[0] in COMPARED]
    for clip in clips:
        clip["goals"] = judge(clip, goals)
    everything = judge_all(clips, goals)
    table(clips, everything, print)
    if args.json_file is not None:
        report = {"kind": "true swap", "stamp": stamp(), "reader": which, "goals": everything, "clips": clips}
        args.json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

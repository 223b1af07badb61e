"""MediaPipe's pose networks (BlazePose, full) → our own bundle, `trained_models/figure`.

    python -m trained_models.recipes.body mediapipe-0.10.14-….whl --out trained_models/figure

Converts the detector and the landmark network that the `mediapipe` package 0.10.14 carries (see `tflite_to_onnx`) and
writes the card. The landmark network's segmentation mask is left out: nothing uses it, and it is a third of the time.
The same input gives the same files. Needs the extra `train`. The source is Google's, Apache-2.0.
"""

import hashlib
import zipfile
from pathlib import Path

import click
import onnx

NETS: dict[str, tuple[str, str, dict[str, str], dict[str, list[int]]]] = {
    # ONNX file: (tflite file, its sha256, tflite tensor -> our name, our output -> its shape)
    "detector.onnx": (
        "mediapipe/modules/pose_detection/pose_detection.tflite",
        "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        {"input_1": "image", "Identity": "boxes", "Identity_1": "scores"},
        {"boxes": [1, 2254, 12], "scores": [1, 2254]},
    ),
    "landmarks.onnx": (
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        {
            "input_1": "image",
            "Identity": "landmarks",
            "Identity_1": "presence",
            "Identity_3": "heatmaps",
            "Identity_4": "world",
        },
        {"landmarks": [1, 39, 5], "presence": [1], "heatmaps": [1, 39, 64, 64], "world": [1, 39, 3]},
    ),
}
CARD = """\
schema = 1
name = "figure"
title = "Figures"
family = "figure"
licence = "Apache-2.0"
description = "Drawn figures move as you do; finds bodies by MediaPipe's BlazePose, by Google (NOTICE.txt)."

[identity]
kind = "none"

[files]
{files}

[input]
colour = "RGB"
layout = "NCHW"

[training]
recipe = "trained_models/recipes/body.py"
source = "mediapipe 0.10.14, pose_detection and pose_landmark_full"

[measured]
parity = "{parity}"
"""
PARITY = "joints within 2 px (median) of mediapipe 0.10.14 on whole bodies at 720p: tests/tracking/test_body.py"


def convert(wheel: Path, out: Path) -> dict[str, str]:
    """Write the bundle's files into `out`; gives their hashes by name. Raises ValueError for another wheel."""
    from trained_models.recipes.tflite_to_onnx import to_onnx

    out.mkdir(parents=True, exist_ok=True)
    digests = {}
    with zipfile.ZipFile(wheel) as package:
        for name, (member, digest, names, outputs) in NETS.items():
            data = package.read(member)
            if hashlib.sha256(data).hexdigest() != digest:
                raise ValueError(f"{member} of {wheel.name} is not the file of mediapipe 0.10.14: pass that wheel")
            onnx.save(to_onnx(data, names, outputs), out / name)
            digests[name] = hashlib.sha256((out / name).read_bytes()).hexdigest()
    files = "\n".join(f'"{name}" = "sha256:{digest}"' for name, digest in digests.items())
    (out / "model.toml").write_text(CARD.format(files=files, parity=PARITY))
    return digests


@click.command(help=__doc__.splitlines()[0])
@click.argument("wheel", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
def main(wheel: Path, out: Path) -> None:
    for name, digest in convert(wheel, out).items():
        print(f'"{name}" = "sha256:{digest}"')


if __name__ == "__main__":
    main()

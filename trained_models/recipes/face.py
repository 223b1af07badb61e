"""MediaPipe's face bundle (`face_landmarker.task`) → our own bundle, `trained_models/face`.

    python -m trained_models.recipes.face face_landmarker.task --out trained_models/face

Converts the three networks (see `tflite_to_onnx`), takes the canonical head out of the geometry file, and
writes the card; the source lies beside them for `--detector mediapipe`. The landmark network's third output
(tongue) is left out, since nothing uses it. The same input gives the same files. Needs `onnx` (extra
`train`). The source is Google's, Apache-2.0.
"""

import hashlib
import io
import struct
import zipfile
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnx

Array = npt.NDArray[np.generic]

NETS: dict[str, tuple[str, dict[str, str], dict[str, list[int]]]] = {
    # ONNX file: (tflite file, tflite tensor -> our name, our output -> its shape)
    "detector.onnx": (
        "face_detector.tflite",
        {"input": "image", "regressors": "boxes", "classificators": "scores"},
        {"boxes": [1, 896, 16], "scores": [1, 896]},
    ),
    "landmarks.onnx": (
        "face_landmarks_detector.tflite",
        {"input_12": "image", "Identity": "landmarks", "Identity_1": "presence"},
        {"landmarks": [1, 478, 3], "presence": [1]},
    ),
    "blendshapes.onnx": (
        "face_blendshapes.tflite",
        {"serving_default_input_points:0": "points", "StatefulPartitionedCall:0": "blendshapes"},
        {"blendshapes": [1, 52]},
    ),
}
TASK = "face_landmarker.task"  # kept beside them for the mediapipe package and for this recipe
GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
TRIANGLES = 898
OURS = ("skull.npz", "reflectance.npz")
HERE = Path(__file__).resolve().parents[1] / "face"
CARD = """\
schema = 1
name = "face"
title = "A picture's face"
family = "face"
licence = "Apache-2.0"
description = "Draws the face of any picture over yours; finds faces by MediaPipe's networks, by Google (NOTICE.txt)."

[identity]
kind = "none"

[files]
{files}

[input]
colour = "RGB"
layout = "NCHW"

[training]
recipe = "trained_models/recipes/face.py"
source = "face_landmarker.task, float16, sha256:{source}"

[measured]
parity = "landmarks within 0.15 px of mediapipe 1.2.2 on 720p stills: tests/test_detect.py"
speed = "{speed}"
"""
SPEED = "0.8 of the CPU time of mediapipe 1.2.2 (10.2 and 12.9 ms a 720p frame on one busy core, AMD EPYC)"


def read_geometry(message: bytes) -> dict[str, Array]:
    """The canonical head and the points that carry its pose, from the bundle's geometry file.

    `canonical` (468, 3) float32 in centimetres, `basis` (33,) int64 landmark numbers and `weights` (33,)
    float32. The file is protobuf: field 1 the mesh (its field 3: x, y, z, u, v a vertex), field 2 a
    landmark number and weight, repeated.
    """
    canonical: list[float] = []
    basis: list[int] = []
    weights: list[float] = []
    for field, value in fields_of(message):
        if field == 1 and isinstance(value, bytes):
            canonical = [number for f, number in fields_of(value) if f == 3 and isinstance(number, float)]
        elif field == 2 and isinstance(value, bytes):
            point = dict(fields_of(value))
            basis.append(int(point[1]))
            weights.append(float(point[2]))
    mesh = np.array(canonical, np.float32).reshape(-1, 5)[:, :3]
    return {"canonical": mesh, "basis": np.array(basis), "weights": np.array(weights, np.float32)}


def fields_of(message: bytes) -> list[tuple[int, int | float | bytes]]:
    found: list[tuple[int, int | float | bytes]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        elif key & 7 == 5:
            found.append((key >> 3, struct.unpack_from("<f", message, at)[0]))
            at += 4
        elif key & 7 == 2:
            length = varint()
            found.append((key >> 3, message[at : at + length]))
            at += length
        else:
            raise ValueError(f"protobuf wire type {key & 7} is not known here")
    return found


def mesh_file(face_bundle: Path) -> bytes:
    """`mesh.npz` of the motion bundle: `canonical`, `basis`, `weights` as in `pose.npz`, `triangles` (898, 3) int16.
    Field 4 of the geometry's mesh is the index buffer, three landmark numbers a triangle."""
    with zipfile.ZipFile(face_bundle / TASK) as task:
        message = task.read(GEOMETRY)
    mesh = next(value for field, value in fields_of(message) if field == 1)
    assert isinstance(mesh, bytes)
    triangles = np.array([value for field, value in fields_of(mesh) if field == 4], np.int16).reshape(-1, 3)
    if triangles.shape != (TRIANGLES, 3) or triangles.max() != 467:
        raise ValueError(f"the mesh holds triangles {triangles.shape} up to {triangles.max()}, not 898 of 468")
    out = io.BytesIO()
    np.savez(out, triangles=triangles, **read_geometry(message))
    return out.getvalue()


def convert(task: Path, out: Path, ours: Path = HERE) -> dict[str, str]:
    """Writes the bundle's files into `out` and gives back their hashes (file name → sha256). `ours` holds what
    `trained_models.recipes.skull` and `people reflectance` made."""
    from trained_models.recipes.tflite_to_onnx import to_onnx

    out.mkdir(parents=True, exist_ok=True)
    data = task.read_bytes()
    for name in OURS:
        (out / name).write_bytes((ours / name).read_bytes())
    (out / TASK).write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        for name, (tflite, names, outputs) in NETS.items():
            onnx.save(to_onnx(bundle.read(tflite), names, outputs), out / name)
        np.savez(out / "pose.npz", **read_geometry(bundle.read(GEOMETRY)))
    digests = {n: hashlib.sha256((out / n).read_bytes()).hexdigest() for n in [*NETS, "pose.npz", *OURS, TASK]}
    files = "\n".join(f'"{name}" = "sha256:{digest}"' for name, digest in digests.items())
    source = hashlib.sha256(data).hexdigest()
    (out / "model.toml").write_text(CARD.format(files=files, source=source, speed=SPEED))
    return digests


@click.command(help=__doc__.splitlines()[0])
@click.argument("task", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
def main(task: Path, out: Path) -> None:
    for name, digest in convert(task, out).items():
        print(f'"{name}" = "sha256:{digest}"')


if __name__ == "__main__":
    main()

"""`mesh.npz` of the motion bundle: MediaPipe's canonical head with its triangles, out of `face_landmarker.task`."""

import zipfile
from pathlib import Path

import numpy as np

from trained_models.recipes.face import GEOMETRY, TASK, fields_of, read_geometry

TRIANGLES = 898


def write_mesh(face_bundle: Path, out: Path) -> None:
    """Write `canonical` (468, 3), `basis` (33,), `weights` (33,) as in `face/pose.npz`, `triangles` (898, 3) int16.

    Field 4 of the geometry's mesh is the index buffer, three landmark numbers a triangle.
    """
    with zipfile.ZipFile(face_bundle / TASK) as task:
        message = task.read(GEOMETRY)
    mesh = next(value for field, value in fields_of(message) if field == 1)
    assert isinstance(mesh, bytes)
    triangles = np.array([value for field, value in fields_of(mesh) if field == 4], np.int16).reshape(-1, 3)
    if triangles.shape != (TRIANGLES, 3) or triangles.max() != 467:
        raise ValueError(f"the mesh holds triangles {triangles.shape} up to {triangles.max()}, not 898 of 468")
    np.savez(out, triangles=triangles, **read_geometry(message))

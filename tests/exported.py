"""Exports for tests, and the comparison of what they give with what upstream gave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from export.families import Part
from export.parity import Runs
from export.to_onnx import Exported, to_onnx, verify
from realtime.sessions import Array, Session
from realtime.sessions.ort import open_session
from realtime.swap.relative_motion import KeyPoints, RelativeMotion

SAEHD_OUTPUTS = {"celeb_face": "out_celeb_face", "celeb_mask": "out_celeb_face_mask", "driver_mask": "out_face_mask"}
"""A swap network's outputs -> the arrays that were recorded of DeepFaceLab's."""


def on_cpu(model: Path | bytes) -> Session:
    return open_session(model, provider="cpu", precision="fp32", threads=1)


def exported(part: Part, **options: Any) -> Exported:
    """A part as the command makes it, compared with its torch network on the way."""
    return verify(to_onnx(part, **options), part, "fp32", dynamic_batch=options.get("dynamic_batch", False))


def recorded(file: Path) -> dict[str, Any]:
    """The arrays of an .npz, by name; the file is closed again."""
    with np.load(file) as arrays:
        return dict(arrays)


def nchw(pixels: Any) -> Array:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 0..1."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)


def planar(pictures: Any) -> Any:
    """(N, H, W, C) -> (N, C, H, W)."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def worst(ours: Array, theirs: Any) -> float:
    """The largest difference; shapes must be the same."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max())


def check_motion(networks: Mapping[str, Runs], wanted: Mapping[str, Any], *, align_corners: bool) -> None:
    """The three networks of a motion bundle, by file, give the recorded key points and pictures."""
    avatar = networks["source.onnx"].run({"source": nchw(wanted["source"])})
    found = {"source": KeyPoints(avatar["keypoints"][0], avatar["jacobians"][0])}  # type: ignore[arg-type]
    for which in ("initial", "driving"):
        given = networks["keypoints.onnx"].run({"driving": nchw(wanted[which])})
        found[which] = KeyPoints(given["keypoints"][0], given["jacobians"][0])  # type: ignore[arg-type]
    for which, points in found.items():
        assert worst(points.value, wanted[f"kp_{which}_value"][0]) <= 1e-5
        assert worst(points.jacobian, wanted[f"kp_{which}_jacobian"][0]) <= 1e-5
    moved = {
        "abs": found["driving"],
        "rel_adapt": RelativeMotion(found["source"], found["initial"], adapt_scale=True)(found["driving"]),
    }
    for mode, target in moved.items():
        feed = {
            "features": avatar["features"],
            "source_small": avatar["source_small"],
            "source_keypoints": avatar["keypoints"],
            "source_jacobians": avatar["jacobians"],
            "driving_keypoints": target.value[None],
            "driving_jacobians": target.jacobian[None],
        }
        picture = wanted[f"prediction_{mode}{'_align_corners_true' if align_corners else ''}"]
        # Those recorded in half precision are 2.5e-4 off by themselves.
        tolerance = 1e-4 if picture.dtype == np.float32 else 5e-4
        assert worst(networks["frame.onnx"].run(feed)["prediction"], picture) <= tolerance

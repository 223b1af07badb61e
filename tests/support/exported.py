"""Exports for tests, and the comparison of what they give with what upstream gave."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from export.parity import Precision, Runs
from export.plan import NetworkSpec
from export.to_onnx import Exported, to_onnx, verify
from realtime.families.motion.first_order.keypoints import KeyPoints, RelativeMotion
from realtime.families.motion.first_order.model import FirstOrderModel
from realtime.families.motion.first_order.network import open_first_order
from realtime.families.motion.motion_model import Motion
from realtime.frame import Frame, Pixels
from realtime.inference.ort import open_session
from realtime.inference.session import Array, Session, report
from realtime.models.bundle import open_bundle

SAEHD_OUTPUTS = {"celeb_face": "out_celeb_face", "celeb_mask": "out_celeb_face_mask", "driver_mask": "out_face_mask"}
"""A swap network's outputs -> the arrays that were recorded of DeepFaceLab's."""


def on_cpu(model: Path | bytes) -> Session:
    return open_session(model, provider="cpu", precision="fp32", threads=1)


def exported(part: NetworkSpec, **options: Any) -> Exported:
    """A part as the command makes it, compared with its torch network on the way."""
    return verified(to_onnx(part, **options), part, **options)


def verified(model: Any, part: NetworkSpec, precision: Precision = "fp32", **options: Any) -> Exported:
    """A graph written to a file and compared with the part's torch network."""
    with TemporaryDirectory() as folder:
        file = Path(folder, part.file)
        file.write_bytes(model.SerializeToString())
        return verify(file, part, precision, **options)


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


def check_animation(folder: Path, wanted: Mapping[str, Any], *, align_corners: bool) -> None:
    """The whole animation is upstream's, in every mode: fixed squares, no filter, no limits."""
    corners = "_align_corners_true" if align_corners else ""
    network = open_first_order(open_bundle(folder), provider="cpu", precision="fp32", threads=1)
    assert (network.size, network.points, network.jacobians) == (len(wanted["source"]), 10, True)
    assert report(network.sessions)[:2] == ("CPU", "fp32")
    moves = FirstOrderModel(network, needs_face=False, limits=None)
    try:
        cast = moves.encode_source(_bgr(wanted["source"]), None)
        initial = moves.encode_driving(Frame(_bgr(wanted["initial"]), 0, 0, 0.0), None, 0.0)
        driving = moves.encode_driving(Frame(_bgr(wanted["driving"]), 1, 0, 0.04), None, 0.0)
        assert np.array_equal(cast.crop_from_avatar, [[1, 0, 0], [0, 1, 0]])
        assert driving is not None
        # Without relative movement there is no scale to adapt.
        modes = {"abs": (False, False), "abs_adapt": (False, True), "rel": (True, False), "rel_adapt": (True, True)}
        for mode, (relative, adapt) in modes.items():
            drawn = moves.draw(cast, driving, initial if relative else None, Motion(relative, adapt))
            picture = wanted[f"prediction_{mode.replace('abs_adapt', 'abs')}{corners}"]
            upstream = picture[0].astype(np.float32).transpose(1, 2, 0)[:, :, ::-1] * 255
            # Ours are whole numbers; recordings in half precision are off by themselves.
            tolerance = 0.5 + 255 * (1e-4 if picture.dtype == np.float32 else 5e-4)
            assert np.abs(drawn.pixels - upstream).max() <= tolerance
    finally:
        moves.close()


def _bgr(rgb: Any) -> Pixels:
    return np.ascontiguousarray(rgb[:, :, ::-1])

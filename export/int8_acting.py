"""Does a swap network in int8 still act? It wears the packaged clip's driver beside its fp32 self.

Numbers near each other in every picture may still differ in what matters of a face in motion: the edge of the
mask, how far the mouth opens, whether the skin is still.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx

from export.calibration import CLIP
from export.families import Plan
from realtime.capture.recording import Recording
from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import Autoencoder, Wiring
from realtime.frame import Frame
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped, Uncovered, blend
from realtime.imaging.masks import oval_mask
from realtime.inference.image_format import CropFormat
from realtime.inference.ort import open_session
from realtime.models.library import built_in_folder
from realtime.settings import Settings
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

Reals = npt.NDArray[np.float64]

STARTS, LENGTH = (20, 100, 180), 12
"""Stretches of the clip's frames: they speak, blink, smile and raise brows."""

LEAST_IOU = 0.97
"""Of the masks, where they are above a half."""

LEAST_R = 0.9
"""Correlation of each blendshape that moves, read from both outputs."""

MOST_TREMBLE = 3.0
"""Levels of 255, root mean square: by how much the difference from fp32 changes from one frame to the next."""

MOVES = 0.05
"""A blendshape with a smaller standard deviation in the fp32 output does not move enough to be compared."""

READ_AT_LEAST = 12


@dataclass(slots=True, eq=False)
class _Seen:
    """What was found over the frames."""

    ious: list[float] = field(default_factory=list)
    trembles: list[float] = field(default_factory=list)
    exact: list[Reals] = field(default_factory=list)
    near: list[Reals] = field(default_factory=list)


def check_acting(exact: onnx.ModelProto, near: onnx.ModelProto, plan: Plan) -> dict[str, float | str]:
    """The figures, for a record. Raises ModelError where one of them is beyond its limit.

    The expression is left out, in words, where the fp32 output shows no face that the tracker can read.
    """
    swappers = [_swapper(model, plan) for model in (exact, near)]
    tracker, reader = Tracker(provider="cpu"), Tracker(provider="cpu", steadiness=0.0)
    seen = _Seen()
    recording = Recording(built_in_folder() / CLIP)
    try:
        before: tuple[int, Reals] | None = None
        while (frame := recording.read()) is not None and frame.seq < STARTS[-1] + LENGTH:
            if not any(start <= frame.seq < start + LENGTH for start in STARTS):
                continue
            faces = tracker.find(frame.pixels)
            if faces:
                away = _look(frame, faces[0], swappers, reader, seen)
                if away is not None and before is not None and before[0] == frame.seq - 1:
                    seen.trembles.append(float(((away - before[1]) ** 2).mean()))
                before = None if away is None else (frame.seq, away)
    finally:
        recording.close()
        for opened in (tracker, reader):
            opened.close()
        for swapper in swappers:
            swapper.close()
    return _judged(seen)


def _swapper(model: onnx.ModelProto, plan: Plan) -> Autoencoder:
    table, names = plan.input, plan.output
    form = CropFormat(int(table["size"]), "NCHW", "RGB" if table.get("colour") == "RGB" else "BGR")
    inputs = {port.name for port in model.graph.input}
    wiring = Wiring(
        form,
        face="face",
        drawn=names["face"],
        mask=names["mask"],
        driver_mask=names.get("driver_mask"),
        blendshapes="blendshapes" if "blendshapes" in inputs else None,
        pose="pose" if "pose" in inputs else None,
        lips="lips" if "lips" in inputs else None,
        morph="morph" if "morph" in inputs else None,
    )
    session = open_session(model.SerializeToString(), provider="cpu")
    coverage = table.get("coverage")
    return Autoencoder(
        session,
        wiring,
        title="",
        face_type=str(table["face_type"]),
        coverage=float(coverage) if coverage is not None else None,
        morph=lambda: Settings().morph,
    )


def _look(frame: Frame, face: Face, swappers: list[Autoencoder], reader: Tracker, seen: _Seen) -> Reals | None:
    """Both swappers on one face; returns how they differ, (S, S, 3) in levels where the mask shows the face."""
    swapper = swappers[0]
    matrix = crop_from_frame(face.landmarks, swapper.face_type, swapper.size, coverage=swapper.coverage)
    crop = cut(frame.pixels, matrix, swapper.size)
    region = oval_mask(face.landmarks, matrix, swapper.size)
    drawn: list[Swapped] = [one(crop, face) for one in swappers]
    inside = [one.mask > 0.5 for one in drawn]
    union = int((inside[0] | inside[1]).sum())
    if not union:
        return None
    seen.ious.append(float((inside[0] & inside[1]).sum() / union))
    try:
        pictures = [blend(frame.pixels, crop, one, matrix, Settings(), region) for one in drawn]
    except Uncovered:
        return None
    read = [reader.find(picture) for picture in pictures]
    if all(read):
        for kept, people in zip((seen.exact, seen.near), read, strict=True):
            kept.append(np.asarray(people[0].blendshapes, np.float64))
    away = np.asarray(drawn[1].pixels, np.float64) - np.asarray(drawn[0].pixels, np.float64)
    shown = np.asarray(drawn[0].mask, np.float64)[:, :, None]
    return away * shown


def _judged(seen: _Seen) -> dict[str, float | str]:
    figures: dict[str, float | str] = {"frames": len(seen.ious)}
    if not seen.ious:
        return {"not judged": "the fp32 network draws no mask on the packaged clip"}
    iou = float(np.mean(seen.ious))
    tremble = float(np.sqrt(np.mean(seen.trembles))) if seen.trembles else 0.0
    figures |= {"mask_iou": round(iou, 4), "tremble_levels": round(tremble, 2)}
    if len(seen.exact) >= READ_AT_LEAST:
        r = _least_r(np.stack(seen.exact), np.stack(seen.near))
        figures["least_expression_r"] = "nothing moved" if r is None else round(r, 3)
    else:
        r = None
        figures["least_expression_r"] = "the fp32 output shows no face that can be read"
    for what, value, kept, limit in (
        ("its mask overlaps fp32's by", iou, iou >= LEAST_IOU, f"{LEAST_IOU} is the least"),
        ("its expression follows fp32's with r", r, r is None or r >= LEAST_R, f"{LEAST_R} is the least"),
        ("its face trembles by levels", tremble, tremble <= MOST_TREMBLE, f"{MOST_TREMBLE} is the most"),
    ):
        if not kept:
            raise ModelError(f"in int8 {what} {value:.2f}, {limit}: export it with --precision fp16")
    return figures


def _least_r(exact: Reals, near: Reals) -> float | None:
    """The lowest correlation among the blendshapes, (T, 52) each, that move in `exact`; None if none does."""
    found = [
        float(np.corrcoef(exact[:, n], near[:, n])[0, 1]) if near[:, n].std() > 1e-9 else 0.0
        for n in range(1, exact.shape[1])
        if exact[:, n].std() >= MOVES
    ]
    return min(found) if found else None

"""Reads the expressions that stills are given (`expressions.npz`) from the built-in driving clip."""

from io import BytesIO
from pathlib import Path

import numpy as np

from realtime.capture.recording import Recording
from realtime.families.face_swap.key_pictures import EXPRESSIONS_FILE, READ
from realtime.families.motion.mesh.head import Head, read
from realtime.models.expressions import BLINKS, expression_of, lips_apart, unrest, view_of
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker
from trained_models.training.files import add_to_bundle


def write_expressions(bundle: Path, clip: Path, head: Head) -> dict[str, int]:
    """Add the file to the motion bundle; which frame of the clip each expression is of."""
    tracker, source = Tracker(face_folder(), provider="cpu", steadiness=0.0), Recording(clip)
    best: dict[str, tuple[float, int, Face]] = {}
    try:
        while (frame := source.read()) is not None:
            for face in tracker(frame):
                expression = expression_of(face.blendshapes, lips_apart(face.landmarks))
                if expression not in READ or view_of(face) != "front":
                    continue
                cost = _cost(expression, face)
                if expression not in best or cost < best[expression][0]:
                    best[expression] = cost, frame.seq, face
    finally:
        source.close()
        tracker.close()
    readings = [read(head, best[name][2]) for name in READ]
    packed = BytesIO()
    shapes, blinks = np.stack([r.shape for r in readings]), np.stack([r.blink for r in readings])
    np.savez_compressed(packed, allow_pickle=False, shapes=shapes.astype(np.float32), blinks=blinks.astype(np.float32))
    add_to_bundle(bundle, {EXPRESSIONS_FILE: packed.getvalue()}, {"training": {"expressions": f"of {clip.name}"}})
    return {name: best[name][1] for name in READ}


def _cost(expression: str, face: Face) -> float:
    if expression == "open":
        return -lips_apart(face.landmarks)
    if expression == "closed":
        return -float(face.blendshapes[BLINKS].min())
    if expression == "smile":  # with teeth, and the jaw hardly open
        return abs(lips_apart(face.landmarks) - 0.14)
    return unrest(face)

""".dfm files: the ONNX graphs that DeepFaceLab exports from SAEHD and AMP models.

One input, `in_face:0`, (N, R, R, 3) float32 BGR 0..1; AMP has a second one, `morph_value:0`, (1,) float32.
Three outputs, known by their order: the mask of the driver's own face, the new face, the new face's mask.
The file does not record the face type it was trained on: whoever adds it must say.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import Wiring
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array, Session, TensorSpec
from realtime.inference.trial import try_model
from realtime.text import printable

SIZES = range(16, 1025)  # the sides in pixels that are taken; DeepFaceLab's own are 64 to 640


def dfm_wiring(session: Session, name: str) -> Wiring:
    """How to feed a .dfm. `name` is for errors: ModelError says why a network is not a .dfm."""
    inputs, outputs = list(session.inputs.items()), list(session.outputs.items())
    if len(inputs) not in (1, 2) or "in_face" not in inputs[0][0]:
        raise _refused(name, f"its inputs are {_listed(inputs)}; wanted are in_face:0 and, for AMP, morph_value:0")
    face, port = inputs[0]
    if len(port.shape) != 4 or port.shape[3] not in (3, None) or port.shape[0] not in (1, None):
        raise _refused(name, f"its input is {_listed(inputs[:1])}; wanted is (N, R, R, 3)")
    size = port.shape[1]
    if size is None or size != port.shape[2] or size not in SIZES:
        raise _refused(name, f"its input is {_listed(inputs[:1])}; the side must be one fixed number, 16 to 1024")
    morph = None
    if len(inputs) == 2:
        morph, second = inputs[1]
        if "morph_value" not in morph or second.shape not in ((1,), (None,)):
            raise _refused(name, f"its second input is {_listed(inputs[1:])}; wanted is morph_value:0 (1)")
    if len(outputs) != 3:
        raise _refused(name, f"it has {len(outputs)} outputs; wanted are a mask, a face and the face's mask")
    form = CropFormat(size, "NHWC", "BGR", "0..1")
    for (title, out), channels in zip(outputs, (1, 3, 1), strict=True):
        wanted = form.shape(channels)
        if not out.takes(wanted):
            raise _refused(name, f"its output {_listed([(title, out)])} should be {wanted}, N = 1")
    if any(port.dtype != np.float32 for _, port in inputs + outputs):
        raise _refused(name, f"it takes {', '.join(str(p.dtype) for _, p in inputs)}; wanted is float32")
    (driver_mask, _), (drawn, _), (mask, _) = outputs
    return Wiring(form, face=face, drawn=drawn, mask=mask, driver_mask=driver_mask, morph=morph)


def _on_cpu(file: Path) -> Session:
    """The network, once a child process has run it and lived."""
    from realtime.inference.ort import open_session  # heavy to import: only where a file is looked at

    try_model(file)
    return open_session(file, provider="cpu", precision="fp32")


def inspect_dfm(file: Path, open_session: Callable[[Path], Session] = _on_cpu) -> Wiring:
    """The wiring of a .dfm, after one picture went through it. Raises ModelError if it is none."""
    session = open_session(file)
    try:
        wiring = dfm_wiring(session, file.name)
        feed: dict[str, Array] = {wiring.face: np.full(wiring.form.shape(3), 0.5, np.float32)}
        if wiring.morph:
            feed[wiring.morph] = np.array([0.5], np.float32)
        drawn = session.run(feed)
        wiring.form.pixels(drawn[wiring.drawn])
        wiring.form.mask(drawn[wiring.mask])
        return wiring
    finally:
        session.close()


def _listed(ports: list[tuple[str, TensorSpec]]) -> str:
    return (
        ", ".join(
            f"{printable(name, 40)} ({', '.join('N' if side is None else str(side) for side in port.shape)})"
            for name, port in ports
        )
        or "none"
    )


def _refused(name: str, what: str) -> ModelError:
    return ModelError(f"{printable(name, 80)} is no .dfm of a known kind: {what}: export it from SAEHD or AMP")

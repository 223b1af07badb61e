"""A Wav2Lip checkpoint as the one network of a `lip-sync` bundle."""

from pathlib import Path

import numpy as np

from export.checkpoints.wav2lip import read_wav2lip
from export.families import Part, Plan, stem_of
from export.parity import Feed
from export.samples import mel_windows, pictures

INPUTS = ("mel", "faces")


def plan_wav2lip(file: Path) -> Plan:
    """`lip_sync.onnx`: `mel` (1, 1, 80, 16) and `faces` (1, 6, S, S) BGR 0..1 -> `mouth` (1, 3, S, S).

    The six channels: the face with its lower half black, then the face as it is. Raises ModelError.
    """
    network = read_wav2lip(file)
    size = network.shape.size

    def samples(count: int) -> list[Feed]:
        feeds: list[Feed] = []
        for mel, face in zip(mel_windows(count), pictures(size, count), strict=True):
            upper = face.copy()
            upper[:, :, size // 2 :] = 0
            feeds.append({"mel": mel, "faces": np.concatenate([upper, face], 1)})
        return feeds

    part = Part("lip_sync.onnx", network, INPUTS, {"mouth": "picture"}, samples, frozenset(INPUTS))
    return Plan(
        family="lip-sync",
        name=stem_of(file),
        parts=(part,),
        sources=(file,),
        input={"size": size, "colour": "BGR", "layout": "NCHW", "range": "0..1"},
        training={"program": "Wav2Lip"},
    )

"""Wav2Lip checkpoints as the one network of a `lip-sync` bundle."""

from pathlib import Path

import torch

from export.networks.wav2lip import Wav2Lip, shape_of
from export.parity import Feed
from export.plan import ExportPlan, NetworkSpec
from export.samples import mel_windows, pictures, with_masked_half
from export.torch_file import fill, read_torch_file, shapes_of, state_dict, stem_of
from realtime.errors import ModelError
from realtime.text import printable

INPUTS = ("mel", "faces")


def plan_wav2lip(file: Path) -> ExportPlan:
    """`lip_sync.onnx`: `mel` (1, 1, 80, 16) and `faces` (1, 6, S, S) BGR 0..1 -> `mouth` (1, 3, S, S).

    The six channels: the face with its lower half black, then the face as it is. Raises ModelError.
    """
    network = read_wav2lip(file)
    size = network.shape.size

    def samples(count: int) -> list[Feed]:
        pairs = zip(mel_windows(count), pictures(size, count), strict=True)
        return [{"mel": mel, "faces": with_masked_half(face)} for mel, face in pairs]

    spec = NetworkSpec("lip_sync.onnx", network, INPUTS, {"mouth": "picture"}, samples, frozenset(INPUTS))
    return ExportPlan(
        family="lip-sync",
        name=stem_of(file),
        networks=(spec,),
        sources=(file,),
        input={"size": size, "colour": "BGR", "layout": "NCHW", "range": "0..1"},
        training={"program": "Wav2Lip"},
    )


def read_wav2lip(file: Path) -> Wav2Lip:
    """The model in a checkpoint, on the CPU. Raises ModelError for anything else.

    The picture's size is that of the weights: 96 px for the published files.
    """
    state = state_dict(read_torch_file(file), "state_dict", "output_block.1.weight", file, "Wav2Lip")
    name = printable(file.name, 80)
    try:
        shape = shape_of(shapes_of(state))
    except ModelError as error:
        raise ModelError(f"{name} is not a Wav2Lip checkpoint: {error}") from error
    with torch.device("meta"):
        network = Wav2Lip(shape)
    fill(network, state, f"{name}: state_dict")
    return network

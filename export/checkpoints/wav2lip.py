"""Checkpoints of Wav2Lip, as upstream's trainers write them: a dict with `state_dict` and the optimizer's state."""

from pathlib import Path

import torch

from export.checkpoints.torch_file import fill, read_torch_file, shapes_of, state_dict
from export.networks.wav2lip import Wav2Lip, shape_of
from realtime.errors import ModelError
from realtime.text import printable


def read_wav2lip(file: Path) -> Wav2Lip:
    """The model in a checkpoint, ready to run on the CPU. Raises ModelError, one line, for anything else.

    The picture's size is that of the weights: 96 px for the published files.
    """
    state = state_dict(read_torch_file(file), "state_dict", file, "Wav2Lip")
    name = printable(file.name, 80)
    try:
        shape = shape_of(shapes_of(state))
    except ModelError as error:
        raise ModelError(f"{name} is not a Wav2Lip checkpoint: {error}") from error
    with torch.device("meta"):
        network = Wav2Lip(shape)
    fill(network, state, f"{name}: state_dict")
    return network

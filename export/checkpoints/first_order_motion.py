"""Checkpoints of the First Order Motion Model, as upstream's trainer writes them.

A dict with `generator` and `kp_detector`; discriminator and optimizers are left where they are.
"""

from pathlib import Path

import torch

from export.checkpoints.torch_file import fill, read_torch_file, shapes_of, state_dict
from export.networks.first_order_motion import FirstOrderMotion, build
from export.networks.motion_config import MotionConfig, config_of
from realtime.errors import ModelError
from realtime.text import printable

FAMILY = "First Order Motion Model"


def read_first_order_motion(file: Path, *, align_corners: bool, config: MotionConfig | None = None) -> FirstOrderMotion:
    """The model in a checkpoint, ready to run on the CPU. Raises ModelError, one line, for anything else.

    Without `config` the sizes are those of the weights, with the softmax temperature 0.1 of every published
    configuration. `align_corners`: see `export.networks.first_order_motion`.
    """
    found = read_torch_file(file)
    name = printable(file.name, 80)
    generator = state_dict(found, "generator", file, FAMILY)
    detector = state_dict(found, "kp_detector", file, FAMILY)
    if config is None:
        try:
            config = config_of(shapes_of(generator), shapes_of(detector))
        except ModelError as error:
            raise ModelError(f"{name} is not a {FAMILY} checkpoint: {error}") from error
    with torch.device("meta"):
        model = build(config, align_corners=align_corners)
    fill(model.generator, generator, f"{name}: generator")
    fill(model.detector, detector, f"{name}: kp_detector")
    return model

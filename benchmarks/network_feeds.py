"""Seeded inputs of the right kind for any network of ours, by the names of its inputs.

Speed does not depend on what is fed; how far runtimes differ does a little, so pictures look like pictures and
Jacobians have an inverse.
"""

from collections.abc import Mapping

import numpy as np

from export.samples import mel_windows, picture
from realtime.inference.session import Array, TensorSpec

Feed = dict[str, Array]


def noise(inputs: Mapping[str, TensorSpec], generator: np.random.Generator) -> Feed:
    """One feed for `inputs`; dynamic sizes become 1."""
    return {name: _value(name, port, generator).astype(port.dtype) for name, port in inputs.items()}


def _value(name: str, port: TensorSpec, generator: np.random.Generator) -> Array:
    shape = tuple(side or 1 for side in port.shape)
    if "jacobian" in name:
        return np.broadcast_to(np.eye(2), shape) + generator.normal(0, 0.1, shape)
    if "keypoint" in name:
        return generator.uniform(-0.8, 0.8, shape)
    if "pose" in name:
        return generator.normal(0, 0.2, shape)
    if name == "lips":
        return generator.uniform(0, 0.3, shape)
    if "morph" in name:
        return np.full(shape, 0.75)
    if shape == (1, 1, 80, 16):
        return mel_windows(1, int(generator.integers(1 << 30)))[0]
    if len(shape) == 4 and shape[0] == 1 and shape[2] == shape[3] and shape[1] in (3, 6):
        whole = picture(generator, shape[2])
        masked = whole.copy()
        masked[:, :, shape[2] // 2 :] = 0
        return whole if shape[1] == 3 else np.concatenate([masked, whole], 1)
    if len(shape) == 4 and shape[0] == 1 and shape[1] == shape[2] and shape[3] == 3:
        return np.ascontiguousarray(picture(generator, shape[1]).transpose(0, 2, 3, 1))
    return generator.random(shape)

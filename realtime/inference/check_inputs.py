"""The one check of what goes into a network, for every runtime."""

import math
from collections.abc import Mapping

import numpy as np

from realtime.errors import ModelError
from realtime.inference.session import Array, TensorSpec
from realtime.text import printable

MAX_INPUT_BYTES = 1 << 30
"""Far above any picture or sound; memory for it is taken before the network is asked anything."""


def check_feed(inputs: Mapping[str, TensorSpec], feed: Mapping[str, Array], model: str) -> None:
    """Raises ModelError, in one line, where names, dtypes or shapes do not fit the network's inputs."""
    if feed.keys() != inputs.keys():
        raise ModelError(f"{model} takes {_names(inputs)}, was given {_names(feed)}: feed exactly its inputs")
    for name, port in inputs.items():
        value = feed[name]
        if value.dtype != port.dtype:
            raise ModelError(f"{model} takes {name} as {port.dtype}, was given {value.dtype}: convert it first")
        fits = len(value.shape) == len(port.shape) and all(
            wanted in (None, given) for wanted, given in zip(port.shape, value.shape, strict=True)
        )
        if not fits:
            raise ModelError(f"{model} takes {name} of shape {shape_text(port)}, was given {value.shape}: resize it")


def blank_feed(inputs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Zeros that fit the inputs; dynamic sizes become 1. Raises ModelError for inputs of absurd sizes."""
    for name, port in inputs.items():
        if math.prod(s or 1 for s in port.shape) * port.dtype.itemsize > MAX_INPUT_BYTES:
            raise ModelError(
                f"a network takes {printable(name, 40)} of shape {shape_text(port)}, "
                "which is more than 1 GiB: use another export"
            )
    return {name: np.zeros([s or 1 for s in port.shape], port.dtype) for name, port in inputs.items()}


def shape_text(port: TensorSpec) -> str:
    """A port's shape with `?` where it is dynamic, e.g. `(?, 128, 128, 3)`."""
    return "(" + ", ".join("?" if s is None else str(s) for s in port.shape) + ")"


def _names(values: Mapping[str, object]) -> str:
    return ", ".join(sorted(values)) or "nothing"

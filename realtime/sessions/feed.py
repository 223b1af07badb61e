"""The one check of what goes into a network, for every runtime."""

from collections.abc import Mapping

import numpy as np

from realtime.errors import ModelError
from realtime.sessions import Array, Port


def check_feed(inputs: Mapping[str, Port], feed: Mapping[str, Array], model: str) -> None:
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


def blank_feed(inputs: Mapping[str, Port]) -> dict[str, Array]:
    """Zeros that fit the inputs; dynamic sizes become 1."""
    return {name: np.zeros([s or 1 for s in port.shape], port.dtype) for name, port in inputs.items()}


def shape_text(port: Port) -> str:
    """A port's shape with `?` where it is dynamic, e.g. `(?, 128, 128, 3)`."""
    return "(" + ", ".join("?" if s is None else str(s) for s in port.shape) + ")"


def _names(values: Mapping[str, object]) -> str:
    return ", ".join(sorted(values)) or "nothing"

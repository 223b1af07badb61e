"""What a checkpoint becomes: the networks of its bundle and what its card says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from export.parity import Feed, Kind
from realtime.inference.session import Array


@dataclass(frozen=True, slots=True, eq=False)
class NetworkSpec:
    """One network of a bundle before it is written. Its `run` is the reference of every comparison.

    `network` is a torch module in evaluation mode on the CPU: tensors by position, in the order of `inputs`, to
    one tensor or a tuple in the order of `outputs`. `samples` gives so many seeded feeds, float32, batch of one.
    `batched` are the inputs whose first side counts pictures (all outputs' first sides do). `shown_by` names for a
    picture the mask output that covers it. `heavy` networks run for every frame and may be fp16 or int8; what finds
    key points stays in float32, as its errors shake the whole picture.
    """

    file: str
    network: Any
    inputs: tuple[str, ...]
    outputs: Mapping[str, Kind]
    samples: Callable[[int], list[Feed]]
    batched: frozenset[str]
    shown_by: Mapping[str, str] = field(default_factory=dict)
    heavy: bool = True

    def run(self, feed: Feed) -> dict[str, Array]:
        """All outputs of the torch network by name, as new arrays."""
        with torch.no_grad():
            given = self.network(*(torch.from_numpy(np.asarray(feed[name])) for name in self.inputs))
        values = given if isinstance(given, tuple | list) else (given,)
        return {name: value.numpy() for name, value in zip(self.outputs, values, strict=True)}


@dataclass(frozen=True, slots=True, eq=False)
class ExportPlan:
    """A checkpoint that was read, and all that can be made of it.

    `name` is what its files call it. `input` and `output` are the tables of the card, `training` what the card
    tells about where it comes from. `sources` are the files that were read. `notes` are lines for the user about
    what was chosen for them. `dfm`: the network of a .dfm, None where the family has no such format.
    """

    family: Literal["swap", "motion", "lip-sync"]
    name: str
    networks: tuple[NetworkSpec, ...]
    sources: tuple[Path, ...]
    input: Mapping[str, str | int | bool]
    output: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str | int | bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dfm: NetworkSpec | None = None

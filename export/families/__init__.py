"""What each family's checkpoint becomes: one file here a family, each with a function `plan_…` -> `Plan`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from export.parity import Feed, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One network of a bundle, on its way to a file.

    `network` is a torch module in evaluation mode on the CPU: tensors by position, in the order of `inputs`, to
    one tensor or a tuple in the order of `outputs`. `samples` gives so many seeded feeds, float32, batch of one.
    `batched` are the inputs whose first side counts pictures (all outputs' first sides do).
    """

    file: str
    network: Any
    inputs: tuple[str, ...]
    outputs: Mapping[str, Kind]
    samples: Callable[[int], list[Feed]]
    batched: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A checkpoint that was read, and all that can be made of it.

    `name` is what its files call it. `input` and `output` are the tables of the card, `training` what the card
    tells about where it comes from. `sources` are the files that were read. `notes` are lines for the user
    about what was chosen for them. `dfm`: the network of a .dfm, None where the family has no such format.
    """

    family: Literal["swap", "motion", "lip-sync"]
    name: str
    parts: tuple[Part, ...]
    sources: tuple[Path, ...]
    input: Mapping[str, str | int | bool]
    output: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str | int | bool] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    dfm: Part | None = None


def stem_of(file: Path) -> str:
    """A checkpoint's name without its endings: .pth.tar are two."""
    return file.name.removesuffix(".tar").removesuffix(".pth").removesuffix(".pt") or file.name

"""The YAML files that First Order Motion Models are trained with, read as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from export.networks.motion_config import MotionConfig, config_from_params
from realtime.errors import ConfigError, ModelError
from realtime.text import printable

MAX_BYTES = 64 * 1024
"""Upstream's have 3 KiB."""
MAX_DEPTH = 16
"""Upstream's have 4 levels."""


@dataclass(frozen=True, slots=True)
class MotionFile:
    """What a YAML file says of the networks; `size` is the side of its pictures in pixels, None if it is silent."""

    config: MotionConfig
    size: int | None


def read_motion_yaml(file: Path) -> MotionFile:
    """The sizes in an upstream YAML file. Raises ConfigError, one line, for what cannot be read or is amiss.

    Tags that would make objects are refused, and so are references from one place to another: upstream's files
    have none, and nested ones can make a few lines unfold to any size.
    """
    name = printable(file.name, 80)
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{printable(file)} cannot be read ({error.strerror}): check the path") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_BYTES // 1024} KiB: give the YAML file of the model")
    try:
        text = raw.decode("utf-8-sig")
        _check_structure(text, name)
        table = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"{name} is no plain YAML ({printable(line, 80)}): give the model's own file") from error
    params = table.get("model_params") if isinstance(table, dict) else None
    if not isinstance(params, dict):
        raise ConfigError(f"{name} has no model_params: give the YAML file the model was trained with")
    try:
        return MotionFile(config_from_params(params), _side(table))
    except ModelError as error:
        raise ConfigError(f"{name}: {error}") from error


def _check_structure(text: str, name: str) -> None:
    """Refuse references and depth, as soon as they come: the time for an open bracket grows with those before it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{name} has references (*name), which no model's file has: write the values out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"{name} is nested deeper than {MAX_DEPTH} levels: give the YAML file of the model")


def _side(table: Mapping[Any, Any]) -> int | None:
    """The side in pixels that `dataset_params.frame_shape` gives: (height, width, channels), a square."""
    dataset = table.get("dataset_params")
    shape = dataset.get("frame_shape") if isinstance(dataset, dict) else None
    if shape is None:
        return None
    sides = list(shape[:2]) if isinstance(shape, list | tuple) else []
    if len(sides) != 2 or any(type(side) is not int for side in sides) or sides[0] != sides[1]:
        raise ModelError(f"dataset_params.frame_shape must be a square like [256, 256, 3], not {printable(shape, 40)}")
    return int(sides[0])

"""First Order Motion Model checkpoints as the three networks of a `motion` bundle.

What depends on the avatar alone is done once, so the work is split where the avatar's part ends:

- `source.onnx`: `source` (1, 3, S, S) -> `features`, `source_small`, `keypoints` (1, K, 2), `jacobians` (1, K, 2, 2)
- `keypoints.onnx`: `driving` (1, 3, S, S) -> `keypoints`, `jacobians`
- `frame.onnx`: `features`, `source_small`, `source_keypoints`, `source_jacobians`, `driving_keypoints`,
  `driving_jacobians` -> `prediction` (1, 3, S, S)

Pictures are RGB 0..1. A checkpoint is a dict with `generator` and `kp_detector`; discriminator and optimizers are left.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from export.networks.first_order_motion import FirstOrderMotion, FrameDriver, SourceEncoder, build
from export.networks.motion_config import PUBLISHED, MotionConfig, config_from_params, config_of
from export.parity import Feed
from export.plan import ExportPlan, NetworkSpec
from export.samples import pictures
from export.torch_file import fill, read_torch_file, shapes_of, state_dict, stem_of
from realtime.errors import ConfigError, ModelError
from realtime.text import printable

TITLE = "First Order Motion Model"
MAX_YAML_BYTES = 64 * 1024
"""Upstream's have 3 KiB."""
MAX_YAML_DEPTH = 16
"""Upstream's have 4 levels."""
DEFAULT_SIZE = 256
"""The side of all published models' pictures, in pixels."""

OTHER_THINGS = ("mgif", "taichi", "fashion", "bair")
"""What upstream calls its configurations of things without a face."""

FRAME = ("features", "source_small", "source_keypoints", "source_jacobians", "driving_keypoints", "driving_jacobians")


@dataclass(frozen=True, slots=True)
class MotionFile:
    """What a YAML file says of the networks; `size` is the side of its pictures in pixels, None if it is silent."""

    config: MotionConfig
    size: int | None


def plan_first_order_motion(file: Path, *, config: str | None = None, align_corners: bool | None = None) -> ExportPlan:
    """The three networks of a checkpoint. Raises ModelError for the file, ConfigError for the rest.

    `config`: an upstream YAML file, or the name of a published one; without it the weights' own shapes tell.
    `align_corners`: None goes by the checkpoint's age (`was_made_with_corners`).
    """
    chosen = _config(config) if config is not None else None
    corners = was_made_with_corners(file) if align_corners is None else align_corners
    model = read_first_order_motion(file, align_corners=corners, config=chosen.config if chosen else None)
    size = (chosen.size if chosen else None) or DEFAULT_SIZE
    _check_size(size, model.config)
    flag = "--align-corners" if corners else "--no-align-corners"
    why = "" if align_corners is not None else ", by the age of the file's format"
    form: dict[str, str | int | bool] = {"size": size, "colour": "RGB", "layout": "NCHW", "range": "0..1"}
    return ExportPlan(
        family="motion",
        name=stem_of(file),
        networks=motion_networks(model, size),
        sources=(file,),
        input=form if moves_faces(stem_of(file), config, model.config) else {**form, "subject": "any"},
        training={"program": TITLE, "key_points": model.config.key_points, "align_corners": corners},
        notes=(f"features are looked up with {flag}{why}",),
    )


def moves_faces(name: str, config: str | None, sizes: MotionConfig) -> bool:
    """False for a model of bodies, clothes or drawn animals, whose avatars and drivers need no face.

    Nothing in the weights says so; the names of upstream's files and configurations do, and mgif's detector.
    """
    named = f"{name} {Path(config).stem if config else ''}".lower()
    return not (sizes.single_jacobian or any(other in named for other in OTHER_THINGS))


def was_made_with_corners(file: Path) -> bool:
    """What a checkpoint was most likely trained with: True for files of before PyTorch 1.6 (not zip archives).

    Upstream asked for PyTorch 1.0.0, where looking up meant `align_corners=True`, until October 2022. Its
    published checkpoints of 2019 and 2020 are in the old form; later PyTorch writes zip archives, and means False.
    """
    return not zipfile.is_zipfile(file)


def _config(given: str) -> MotionFile:
    if given in PUBLISHED:
        return MotionFile(PUBLISHED[given], DEFAULT_SIZE)
    path = Path(given)
    if not path.is_file():
        names = ", ".join(PUBLISHED)
        raise ConfigError(f"--config {printable(given)} is no file, and none of the published ones: {names}")
    return read_motion_yaml(path)


def _check_size(size: int, config: MotionConfig) -> None:
    step = max(
        config.detector_shrink << config.detector.blocks,
        config.motion_shrink << config.motion.blocks,
        1 << config.generator.blocks,
    )
    if not (step <= size <= 1024 and size % step == 0):
        raise ConfigError(
            f"pictures of {printable(size, 20)} px do not fit this model: its halvings need a multiple of {step} "
            "to 1024 (dataset_params.frame_shape of the YAML file)"
        )


def motion_networks(model: FirstOrderMotion, size: int) -> tuple[NetworkSpec, NetworkSpec, NetworkSpec]:
    """The three networks of a model for pictures of `size` px."""

    def avatars(count: int) -> list[Feed]:
        return [{"source": picture} for picture in pictures(size, count)]

    def drivers(count: int) -> list[Feed]:
        return [{"driving": picture} for picture in pictures(size, count, seed=1)]

    source = NetworkSpec(
        "source.onnx",
        SourceEncoder(model),
        ("source",),
        {"features": "numbers", "source_small": "picture", "keypoints": "points", "jacobians": "numbers"},
        avatars,
        frozenset({"source"}),
        heavy=False,
    )
    keypoints = NetworkSpec(
        "keypoints.onnx",
        model.detector,
        ("driving",),
        {"keypoints": "points", "jacobians": "numbers"},
        drivers,
        frozenset({"driving"}),
        heavy=False,
    )

    def moved(count: int) -> list[Feed]:
        pairs = zip(avatars(count), drivers(count), strict=True)
        found = [(*source.run(avatar).values(), *keypoints.run(driving).values()) for avatar, driving in pairs]
        return [dict(zip(FRAME, values, strict=True)) for values in found]

    frame = NetworkSpec("frame.onnx", FrameDriver(model), FRAME, {"prediction": "picture"}, moved, frozenset(FRAME))
    return source, keypoints, frame


def read_first_order_motion(file: Path, *, align_corners: bool, config: MotionConfig | None = None) -> FirstOrderMotion:
    """The model in a checkpoint, ready to run on the CPU. Raises ModelError, one line, for anything else.

    Without `config` the sizes are those of the weights, with the softmax temperature 0.1 of every published
    configuration. `align_corners`: see `export.networks.first_order_motion`.
    """
    found = read_torch_file(file)
    name = printable(file.name, 80)
    generator = state_dict(found, "generator", "final.weight", file, TITLE)
    detector = state_dict(found, "kp_detector", "kp.weight", file, TITLE)
    if config is None:
        try:
            config = config_of(shapes_of(generator), shapes_of(detector))
        except ModelError as error:
            raise ModelError(f"{name} is not a {TITLE} checkpoint: {error}") from error
    with torch.device("meta"):
        model = build(config, align_corners=align_corners)
    fill(model.generator, generator, f"{name}: generator")
    fill(model.detector, detector, f"{name}: kp_detector")
    return model


def read_motion_yaml(file: Path) -> MotionFile:
    """The sizes in an upstream YAML file. Raises ConfigError, one line, for what cannot be read or is amiss.

    Tags that would make objects are refused, and so are references from one place to another: upstream's files
    have none, and nested ones can make a few lines unfold to any size.
    """
    name = printable(file.name, 80)
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{printable(file)} cannot be read ({error.strerror}): check the path") from error
    if len(raw) > MAX_YAML_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_YAML_BYTES // 1024} KiB: give the YAML file of the model")
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
        if depth > MAX_YAML_DEPTH:
            raise ConfigError(f"{name} is nested deeper than {MAX_YAML_DEPTH} levels: give the YAML file of the model")


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

"""A First Order Motion Model as the three networks of a `motion` bundle.

What depends on the avatar alone is done once, so the work is split where the avatar's part ends:

- `source.onnx`: `source` (1, 3, S, S) -> `features`, `source_small`, `keypoints` (1, K, 2), `jacobians` (1, K, 2, 2)
- `keypoints.onnx`: `driving` (1, 3, S, S) -> `keypoints`, `jacobians`
- `frame.onnx`: `features`, `source_small`, `source_keypoints`, `source_jacobians`, `driving_keypoints`,
  `driving_jacobians` -> `prediction` (1, 3, S, S)

Pictures are RGB 0..1.
"""

import zipfile
from pathlib import Path

from export.checkpoints.first_order_motion import read_first_order_motion
from export.checkpoints.motion_yaml import MotionFile, read_motion_yaml
from export.families import Part, Plan, stem_of
from export.networks.first_order_motion import FirstOrderMotion, FrameDriver, SourceEncoder
from export.networks.motion_config import PUBLISHED, MotionConfig
from export.parity import Feed, TorchNetwork
from export.samples import pictures
from realtime.errors import ConfigError
from realtime.text import printable

DEFAULT_SIZE = 256
"""The side of all published models' pictures, in pixels."""

OTHER_THINGS = ("mgif", "taichi", "fashion", "bair")
"""What upstream calls its configurations of things without a face."""

FRAME = (
    "features",
    "source_small",
    "source_keypoints",
    "source_jacobians",
    "driving_keypoints",
    "driving_jacobians",
)


def plan_first_order_motion(file: Path, *, config: str | None = None, align_corners: bool | None = None) -> Plan:
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
    return Plan(
        family="motion",
        name=stem_of(file),
        parts=motion_parts(model, size),
        sources=(file,),
        input=form if moves_faces(stem_of(file), config, model.config) else {**form, "subject": "any"},
        training={
            "program": "First Order Motion Model",
            "key_points": model.config.key_points,
            "align_corners": corners,
        },
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


def motion_parts(model: FirstOrderMotion, size: int) -> tuple[Part, Part, Part]:
    encoder, driver = SourceEncoder(model), FrameDriver(model)

    def avatars(count: int) -> list[Feed]:
        return [{"source": picture} for picture in pictures(size, count)]

    def drivers(count: int) -> list[Feed]:
        return [{"driving": picture} for picture in pictures(size, count, seed=1)]

    def moved(count: int) -> list[Feed]:
        encode = TorchNetwork(encoder, ("source",), FRAME[:4])
        detect = TorchNetwork(model.detector, ("driving",), FRAME[4:])
        pairs = zip(avatars(count), drivers(count), strict=True)
        return [{**encode.run(avatar), **detect.run(driving)} for avatar, driving in pairs]

    return (
        Part(
            "source.onnx",
            encoder,
            ("source",),
            {"features": "numbers", "source_small": "picture", "keypoints": "points", "jacobians": "numbers"},
            avatars,
            frozenset({"source"}),
        ),
        Part(
            "keypoints.onnx",
            model.detector,
            ("driving",),
            {"keypoints": "points", "jacobians": "numbers"},
            drivers,
            frozenset({"driving"}),
        ),
        Part("frame.onnx", driver, FRAME, {"prediction": "picture"}, moved, frozenset(FRAME)),
    )

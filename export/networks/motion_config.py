"""The sizes of a First Order Motion Model: from its weights, from its YAML file, and those of the published ones.

Key names and shapes of a checkpoint tell everything but the softmax temperature, which is 0.1 in every published one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from realtime.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Hourglass:
    """One encoder-decoder: `blocks` halvings, `width` channels doubled at each of them up to `widest`."""

    width: int
    widest: int
    blocks: int

    def channels(self, level: int) -> int:
        """Channels after `level` halvings."""
        return min(self.widest, self.width << level)


@dataclass(frozen=True, slots=True)
class MotionConfig:
    """What decides the key names and shapes of a checkpoint, and what the network computes.

    `generator` is the width, the widest and the number of halvings of the picture path. `shrink` is the
    factor by which pictures are made smaller before key points and motion are looked for (4: a 256 px
    picture becomes 64 px), `single_jacobian` that all key points share one map of Jacobians (mgif).
    """

    key_points: int = 10
    channels: int = 3
    detector: Hourglass = Hourglass(32, 1024, 5)
    detector_shrink: int = 4
    temperature: float = 0.1
    single_jacobian: bool = False
    generator: Hourglass = Hourglass(64, 512, 2)
    bottleneck: int = 6
    motion: Hourglass = Hourglass(64, 1024, 5)
    motion_shrink: int = 4


PUBLISHED: Mapping[str, MotionConfig] = {
    **dict.fromkeys(("vox-256", "vox-adv-256", "taichi-256", "taichi-adv-256"), MotionConfig()),
    "mgif-256": MotionConfig(single_jacobian=True),
    **dict.fromkeys(("fashion-256", "bair-256", "nemo-256"), MotionConfig()),
}
"""The published configurations, by upstream's file names (first-order-model, config/*.yaml, 2019-2020). They differ in
their data, losses and discriminators; of what is exported only mgif's detector is another one."""


def config_from_params(params: Mapping[str, Any]) -> MotionConfig:
    """The sizes in the `model_params` part of an upstream YAML file. Raises ModelError with what is amiss."""
    common = _part(params, "common_params", {"num_kp", "num_channels", "estimate_jacobian"})
    detector = _part(
        params,
        "kp_detector_params",
        {"temperature", "block_expansion", "max_features", "scale_factor", "num_blocks", "single_jacobian_map"},
    )
    known = {"num_down_blocks", "num_bottleneck_blocks", "estimate_occlusion_map", "dense_motion_params"}
    generator = _part(params, "generator_params", known | {"block_expansion", "max_features"})
    motion = _part(generator, "dense_motion_params", {"block_expansion", "max_features", "num_blocks", "scale_factor"})
    if common.get("estimate_jacobian") is not True or generator.get("estimate_occlusion_map") is not True:
        raise ModelError(
            "the configuration asks for a model without Jacobians or without an occlusion map: no published "
            "model is like that, and it cannot be exported"
        )
    temperature = detector.get("temperature")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 1e-3 <= temperature <= 1e3:
        raise ModelError("kp_detector_params.temperature must be a number from 0.001 to 1000")
    single = detector.get("single_jacobian_map", False)
    if not isinstance(single, bool):
        raise ModelError("kp_detector_params.single_jacobian_map must be true or false")
    return MotionConfig(
        key_points=_count(common, "num_kp", 256),
        channels=_count(common, "num_channels", 4),
        detector=_hourglass(detector, "num_blocks"),
        detector_shrink=_shrink(detector),
        temperature=float(temperature),
        single_jacobian=single,
        generator=_hourglass(generator, "num_down_blocks"),
        bottleneck=_count(generator, "num_bottleneck_blocks", 64),
        motion=_hourglass(motion, "num_blocks"),
        motion_shrink=_shrink(motion),
    )


def config_of(generator: Shapes, detector: Shapes) -> MotionConfig:
    """The sizes that the weights of a checkpoint have, from the shapes of its two state dicts.

    Only a guess to compare the whole checkpoint with: whoever loads it checks every name and shape. Raises
    ModelError where the names are not those of the family, or the sizes beyond reason.
    """
    try:
        key_points = detector["kp.weight"][0]
        maps = detector["jacobian.weight"][0] // 4
        config = MotionConfig(
            key_points=key_points,
            channels=generator["final.weight"][0],
            detector=_hourglass_of(detector, "predictor."),
            detector_shrink=_shrink_of(detector["down.weight"]),
            single_jacobian=maps == 1 and key_points != 1,
            generator=_path_of(generator),
            bottleneck=_blocks(generator, "bottleneck.r", ".conv1.weight"),
            motion=_hourglass_of(generator, "dense_motion_network.hourglass."),
            motion_shrink=_shrink_of(generator["dense_motion_network.down.weight"]),
        )
    except KeyError as error:
        raise ModelError(f"it has no weight {error.args[0]}, which every First Order Motion Model has") from error
    except IndexError as error:
        raise ModelError("its weights have not the number of dimensions of a First Order Motion Model's") from error
    glasses = (config.detector, config.generator, config.motion)
    sizes = [config.key_points, *(size for glass in glasses for size in (glass.width, glass.widest))]
    deep = max(glass.blocks for glass in glasses)
    if not all(1 <= size <= 4096 for size in sizes) or config.channels not in range(1, 5) or deep > 8:
        raise ModelError("it has sizes that no First Order Motion Model has")
    return config


def blur_side(shrink: int) -> int:
    """Side of the Gaussian that goes before a picture is made `shrink` times smaller: 13 for 4.

    Its sigma is (shrink - 1) / 2 and it reaches four sigma to each side.
    """
    return 2 * round((shrink - 1) / 2 * 4) + 1


def _blocks(shapes: Shapes, before: str, after: str) -> int:
    count = 0
    while count <= 64 and f"{before}{count}{after}" in shapes:
        count += 1
    if not count:
        raise KeyError(f"{before}0{after}")
    return count


def _hourglass_of(shapes: Shapes, prefix: str) -> Hourglass:
    down = [f"{prefix}encoder.down_blocks.", ".conv.weight"]
    blocks = _blocks(shapes, *down)
    width = shapes[f"{prefix}decoder.up_blocks.{blocks - 1}.conv.weight"][0]
    return Hourglass(width, max(shapes[f"{down[0]}{level}{down[1]}"][0] for level in range(blocks)), blocks)


def _path_of(shapes: Shapes) -> Hourglass:
    blocks = _blocks(shapes, "down_blocks.", ".conv.weight")
    widest = max(shapes[f"down_blocks.{level}.conv.weight"][0] for level in range(blocks))
    return Hourglass(shapes["first.conv.weight"][0], widest, blocks)


def _shrink_of(blur: tuple[int, ...]) -> int:
    for shrink in range(2, 17):
        if blur[2] == blur_side(shrink):
            return shrink
    raise ModelError(f"its blur filter is {blur[2]} px wide, which is that of no scale factor from 1/2 to 1/16")


def _part(params: Mapping[str, Any], name: str, known: set[str]) -> Mapping[str, Any]:
    part = params.get(name)
    if not isinstance(part, Mapping):
        raise ModelError(f"the configuration has no {name}: give the YAML file the model was trained with")
    unknown = sorted(str(key)[:40] for key in part if key not in known)
    if unknown:
        raise ModelError(f"{name} has {unknown[0]!r}, which is not known: known are {', '.join(sorted(known))}")
    return part


def _count(part: Mapping[str, Any], name: str, largest: int) -> int:
    value = part.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise ModelError(f"{name} must be a whole number from 1 to {largest}, not {str(value)[:40]!r}")
    return value


def _hourglass(part: Mapping[str, Any], blocks: str) -> Hourglass:
    return Hourglass(_count(part, "block_expansion", 4096), _count(part, "max_features", 4096), _count(part, blocks, 8))


def _shrink(part: Mapping[str, Any]) -> int:
    value = part.get("scale_factor")
    for shrink in range(2, 17):
        if isinstance(value, float) and abs(value * shrink - 1) < 1e-6:
            return shrink
    raise ModelError(f"scale_factor must be one of 1/2 to 1/16, not {str(value)[:40]!r}")

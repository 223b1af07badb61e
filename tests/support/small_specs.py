"""Every family's networks in small, with all their operators, as specs on their way to a bundle."""

import functools
from collections.abc import Callable

import numpy as np
import onnx
import torch

from export.networks.autoencoder import Amp, AmpShape, Archi, SaehdShape, saehd
from export.networks.first_order_motion import FrameDriver, SourceEncoder, build
from export.networks.motion_config import Hourglass, MotionConfig
from export.networks.wav2lip import Level, LipShape, Wav2Lip
from export.parity import Feed
from export.plan import NetworkSpec
from export.to_onnx import to_onnx

DRAWN = ("celeb_face", "celeb_mask", "driver_mask")
DIMS = {"ae_dims": 8, "e_dims": 4, "d_dims": 4, "d_mask_dims": 2}
SIDE = 32
SMALL_LIPS = LipShape(
    face=(Level(4, 0), Level(4, 1), Level(8, 0)), picture=(Level(8, 1), Level(8, 0), Level(4, 1)), head=4
)
SMALL_MOTION = MotionConfig(
    detector=Hourglass(8, 16, 2), generator=Hourglass(8, 16, 2), bottleneck=1, motion=Hourglass(8, 16, 2)
)
MOVED = ("features", "source_small", "source_keypoints", "source_jacobians", "driving_keypoints", "driving_jacobians")


def _spec(network: torch.nn.Module, inputs: dict[str, tuple[int, ...]], outputs: tuple[str, ...]) -> NetworkSpec:
    def samples(count: int) -> list[Feed]:
        rng = np.random.default_rng(0)
        return [{name: rng.random(shape, np.float32) for name, shape in inputs.items()} for _ in range(count)]

    kinds = dict.fromkeys(outputs, "numbers")
    return NetworkSpec("small.onnx", network.eval(), tuple(inputs), kinds, samples, frozenset(inputs))


def _saehd(archi: str) -> NetworkSpec:
    return _spec(saehd(SaehdShape(Archi.parse(archi), SIDE, **DIMS)), {"face": (1, 3, SIDE, SIDE)}, DRAWN)


def _amp() -> NetworkSpec:
    return _spec(Amp(AmpShape(SIDE, inter_dims=12, **DIMS)), {"face": (1, 3, SIDE, SIDE), "morph": (1,)}, DRAWN)


def _lips() -> NetworkSpec:
    size = SMALL_LIPS.size
    return _spec(Wav2Lip(SMALL_LIPS), {"mel": (1, 1, 80, 16), "faces": (1, 6, size, size)}, ("mouth",))


def _source() -> NetworkSpec:
    return _spec(SourceEncoder(build(SMALL_MOTION, align_corners=False)), {"source": (1, 3, 64, 64)}, MOVED[:4])


def _keypoints() -> NetworkSpec:
    return _spec(build(SMALL_MOTION, align_corners=False).detector, {"driving": (1, 3, 64, 64)}, MOVED[4:])


def _frame() -> NetworkSpec:
    model = build(SMALL_MOTION, align_corners=True)  # as the published checkpoints
    with torch.no_grad():
        encoded = SourceEncoder(model).eval()(torch.rand(1, 3, 64, 64))
    shapes = [tuple(value.shape) for value in (*encoded, *encoded[2:])]
    return _spec(FrameDriver(model), dict(zip(MOVED, shapes, strict=True)), ("prediction",))


SPECS: dict[str, Callable[[], NetworkSpec]] = {
    "SAEHD df-udtc": lambda: _saehd("df-udtc"),
    "SAEHD liae-udtc": lambda: _saehd("liae-udtc"),
    "AMP": _amp,
    "FOMM source": _source,
    "FOMM keypoints": _keypoints,
    "FOMM frame": _frame,
    "Wav2Lip": _lips,
}


@functools.cache
def exported_small(name: str) -> tuple[NetworkSpec, onnx.ModelProto]:
    """A spec and its graph as torch writes it, not simplified: made once for all tests, nobody's to change."""
    torch.manual_seed(0)
    spec = SPECS[name]()
    return spec, to_onnx(spec, simplified=False)

"""DeepFaceLab's SAEHD and AMP: one encoder for two people, and what draws the one in the place of the other.

SAEHD has two kinds (`Archi.kind`). `df`: one inter, a decoder for each person. `liae`: two inters, what both share and
what only the driver has, and one decoder for both. Checked against outputs recorded from the upstream program
for all 32 archi strings.

AMP has SAEHD's parts with a morph, how much of the code is drawn the identity's way. Upstream cuts both inters'
channels at int(inter_dims * morph) and joins the pieces, which makes shapes depend on a value. Here a mask over the
channels chooses between them: the same numbers, static shapes.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from export.networks.autoencoder_parts import Decoder, PixelNorm, Upscale, encoder_features, encoder_layers
from realtime.errors import ModelError
from realtime.text import printable

MAX_RESOLUTION = 2048
MAX_DIMS = 8192
"""Above anything that can be trained (upstream's own limits are 640 and 1024); keeps a damaged file from
asking for all memory."""

DFM_INPUT = "in_face:0"
DFM_MORPH = "morph_value:0"
DFM_OUTPUTS = ("out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0")
"""The names and the order by which the readers of .dfm files know inputs and outputs."""


class Drawn(NamedTuple):
    """The identity's `face` (N, 3, R, R) and `mask` (N, 1, R, R), and the mask of the driver's own face."""

    face: torch.Tensor
    mask: torch.Tensor
    driver_mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class Archi:
    """An archi string taken apart. `normed` u, `doubled` d, `deep` t, `wavy` c."""

    kind: Literal["df", "liae"]
    normed: bool = False
    doubled: bool = False
    deep: bool = False
    wavy: bool = False

    @classmethod
    def parse(cls, text: str) -> "Archi":
        """From `df`, `liae-ud` and the like, letters in any order. Raises ModelError for anything else."""
        found = re.fullmatch(r"(df|liae)(?:-([udtc]*))?", text)
        if not found:
            raise ModelError(
                f"archi {printable(text, 40)!r} is not known: it is df or liae, with a dash and letters of udtc"
            )
        flags = found[2] or ""
        kind: Literal["df", "liae"] = "df" if found[1] == "df" else "liae"
        return cls(kind, normed="u" in flags, doubled="d" in flags, deep="t" in flags, wavy="c" in flags)


@dataclass(frozen=True, slots=True)
class SaehdShape:
    """Everything that decides the sizes of a SAEHD network. Raises ModelError where they do not fit together."""

    archi: Archi
    resolution: int
    ae_dims: int
    e_dims: int
    d_dims: int
    d_mask_dims: int

    def __post_init__(self) -> None:
        dims = ("ae_dims", "e_dims", "d_dims", "d_mask_dims")
        step = 32 if self.archi.doubled or self.archi.deep else 16
        check_sizes(self.resolution, step, {name: getattr(self, name) for name in dims})

    @property
    def grid(self) -> int:
        """The side of what the dense layers give."""
        return self.resolution // (32 if self.archi.doubled else 16)


def check_sizes(resolution: int, step: int, dims: dict[str, int]) -> None:
    """Raise ModelError unless a network of these sizes can be built."""
    if not (step <= resolution <= MAX_RESOLUTION and resolution % step == 0):
        raise ModelError(f"resolution {resolution} does not fit: it must be a multiple of {step} to {MAX_RESOLUTION}")
    for name, size in dims.items():
        if not 1 <= size <= MAX_DIMS:
            raise ModelError(f"{name} {size} does not fit: it must be 1 to {MAX_DIMS}")


def _encoder(shape: SaehdShape) -> nn.Sequential:
    layers = encoder_layers(shape.e_dims, deep=shape.archi.deep, wavy=shape.archi.wavy)
    layers["flat"] = nn.Flatten()
    if shape.archi.normed:
        layers["norm"] = PixelNorm()
    return nn.Sequential(layers)


def _inter(shape: SaehdShape, outputs: int) -> nn.Sequential:
    features = encoder_features(shape.resolution, shape.e_dims, deep=shape.archi.deep)
    inter = nn.Sequential()
    inter.add_module("dense1", nn.Linear(features, shape.ae_dims))
    inter.add_module("dense2", nn.Linear(shape.ae_dims, shape.grid**2 * outputs))
    inter.add_module("grid", nn.Unflatten(1, (outputs, shape.grid, shape.grid)))
    if not shape.archi.deep:
        inter.add_module("upscale1", Upscale(outputs, outputs, shape.archi.wavy))
    return inter


def _decoder(shape: SaehdShape, inputs: int) -> Decoder:
    archi = shape.archi
    return Decoder(inputs, shape.d_dims, shape.d_mask_dims, deep=archi.deep, doubled=archi.doubled, wavy=archi.wavy)


class SaehdDf(nn.Module):
    """(N, 3, R, R) BGR 0..1 -> `Drawn`. The driver's mask comes from the driver's own decoder."""

    def __init__(self, shape: SaehdShape) -> None:
        super().__init__()
        self.encoder = _encoder(shape)
        self.inter = _inter(shape, shape.ae_dims)
        self.decoder_src = _decoder(shape, shape.ae_dims)
        self.decoder_dst = _decoder(shape, shape.ae_dims)

    def forward(self, face: torch.Tensor) -> Drawn:
        z = self.inter(self.encoder(face))
        drawn, mask = self.decoder_src(z)
        return Drawn(drawn, mask, self.decoder_dst.mask(z))


class SaehdLiae(nn.Module):
    """(N, 3, R, R) BGR 0..1 -> `Drawn`. What is the driver's own (`inter_B`) is replaced by what is shared."""

    def __init__(self, shape: SaehdShape) -> None:
        super().__init__()
        self.encoder = _encoder(shape)
        self.inter_AB = _inter(shape, shape.ae_dims * 2)
        self.inter_B = _inter(shape, shape.ae_dims * 2)
        self.decoder = _decoder(shape, shape.ae_dims * 4)

    def forward(self, face: torch.Tensor) -> Drawn:
        code = self.encoder(face)
        shared = self.inter_AB(code)
        drawn, mask = self.decoder(torch.cat((shared, shared), dim=1))
        return Drawn(drawn, mask, self.decoder.mask(torch.cat((self.inter_B(code), shared), dim=1)))


def saehd(shape: SaehdShape) -> nn.Module:
    """The network of that shape, its weights as torch starts them."""
    return SaehdDf(shape) if shape.archi.kind == "df" else SaehdLiae(shape)


@dataclass(frozen=True, slots=True)
class AmpShape:
    """Everything that decides the sizes of an AMP network. Raises ModelError where they do not fit together."""

    resolution: int
    ae_dims: int
    inter_dims: int
    e_dims: int
    d_dims: int
    d_mask_dims: int

    def __post_init__(self) -> None:
        dims = ("ae_dims", "inter_dims", "e_dims", "d_dims", "d_mask_dims")
        check_sizes(self.resolution, 32, {name: getattr(self, name) for name in dims})


def _amp_encoder(shape: AmpShape) -> nn.Sequential:
    layers = encoder_layers(shape.e_dims, deep=True, wavy=False)
    layers["flat"] = nn.Flatten()
    layers["norm"] = PixelNorm()
    features = encoder_features(shape.resolution, shape.e_dims, deep=True)
    layers["dense1"] = nn.Linear(features, shape.ae_dims)
    return nn.Sequential(layers)


def _amp_inter(shape: AmpShape) -> nn.Sequential:
    grid = shape.resolution // 32
    inter = nn.Sequential()
    inter.add_module("dense2", nn.Linear(shape.ae_dims, grid * grid * shape.inter_dims))
    inter.add_module("grid", nn.Unflatten(1, (shape.inter_dims, grid, grid)))
    return inter


class Amp(nn.Module):
    """(N, 3, R, R) BGR 0..1 and morph (1,) 0..1 -> `Drawn`.

    Morph 1 is all the identity, 0 all the driver; it moves in steps of 1 / inter_dims, rounded down.
    """

    def __init__(self, shape: AmpShape) -> None:
        super().__init__()
        self.inter_dims = shape.inter_dims
        self.encoder = _amp_encoder(shape)
        self.inter_src = _amp_inter(shape)
        self.inter_dst = _amp_inter(shape)
        self.decoder = Decoder(shape.inter_dims, shape.d_dims, shape.d_mask_dims, deep=True, doubled=True, wavy=False)

    def forward(self, face: torch.Tensor, morph: torch.Tensor) -> Drawn:
        code = self.encoder(face)
        driver = self.inter_dst(code)
        # Numbered from 1 in float: channel n is the identity's where n <= int(inter_dims * morph), which is
        # where n <= inter_dims * morph, as n is whole.
        numbers = torch.arange(1, self.inter_dims + 1, device=morph.device, dtype=morph.dtype)
        identitys = (numbers <= self.inter_dims * morph).reshape(1, -1, 1, 1)
        drawn, mask = self.decoder(torch.where(identitys, self.inter_src(code), driver))
        return Drawn(drawn, mask, self.decoder.mask(driver))


class DfmLayout(nn.Module):
    """A network in the layout of a .dfm: (N, R, R, C) in and out, outputs in the order of `DFM_OUTPUTS`.

    What comes after the face (AMP's morph) is passed on as it is.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, face: torch.Tensor, *further: torch.Tensor) -> tuple[Any, Any, Any]:
        drawn = self.network(face.permute(0, 3, 1, 2), *further)
        face, mask, driver_mask = (output.permute(0, 2, 3, 1) for output in drawn)
        return driver_mask, face, mask

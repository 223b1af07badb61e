"""DeepFaceLab's AMP: SAEHD's parts with a morph, how much of the code is drawn the identity's way.

Upstream cuts both inters' channels at int(inter_dims * morph) and joins the pieces, which makes shapes depend
on a value. Here a mask over the channels chooses between them: the same numbers, static shapes.
"""

from dataclasses import dataclass

import torch
from torch import nn

from export.networks.autoencoder import Drawn, check_sizes
from export.networks.autoencoder_parts import Decoder, PixelNorm, encoder_features, encoder_layers


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


def _encoder(shape: AmpShape) -> nn.Sequential:
    layers = encoder_layers(shape.e_dims, deep=True, wavy=False)
    layers["flat"] = nn.Flatten()
    layers["norm"] = PixelNorm()
    features = encoder_features(shape.resolution, shape.e_dims, deep=True)
    layers["dense1"] = nn.Linear(features, shape.ae_dims)
    return nn.Sequential(layers)


def _inter(shape: AmpShape) -> nn.Sequential:
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
        self.encoder = _encoder(shape)
        self.inter_src = _inter(shape)
        self.inter_dst = _inter(shape)
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

"""A judge of patches: does the inside of a mouth look rendered or painted? It keeps the fine painter's teeth sharp.

What a code leaves open (whose teeth, how far the tongue) has a mean, and a painter taught by differences alone paints
that: a blur. The judge (Isola et al. 2017) knows the code as well (Miyato and Koyama 2018), so a sharp mouth of another
shape is no way out. What it sees at its own layers shall be alike for both (Wang et al. 2018), which teaches most.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trained_models.recipes.lip_sync.clips import HIGH, WIDE
from trained_models.recipes.lip_sync.mouth_code import CODE
from trained_models.recipes.lip_sync.network import ROWS, SIZE


class PatchJudge(nn.Module):
    """Mouths (n, 3, 56, 72) 0..1 and codes (n, 12) → what it saw, layer by layer, and its opinion (n, 1, h, w)."""

    def __init__(self) -> None:
        super().__init__()

        def layer(inside: int, outside: int, stride: int) -> nn.Module:
            return nn.Conv2d(inside, outside, 4 if stride == 2 else 3, stride, 1)

        self.layers = nn.ModuleList([layer(3, 32, 1), layer(32, 48, 2), layer(48, 72, 2), layer(72, 96, 1)])
        self.opinion = nn.Conv2d(96, 1, 3, 1, 1)
        self.expects = nn.Linear(len(CODE), 96)
        for conv in self.layers:  # as loud in every layer as the picture is: it has few steps to learn in
            nn.init.kaiming_normal_(conv.weight, 0.2)

    def forward(self, mouths: Tensor, codes: Tensor) -> tuple[list[Tensor], Tensor]:
        x, seen = mouths * 2 - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            seen.append(x)
        fits = (x * self.expects(codes)[:, :, None, None]).sum(1, keepdim=True)
        return seen, self.opinion(x) + 0.2 * fits


def about_lips(pictures: Tensor, points: Tensor) -> Tensor:
    """(n, c, 56, 72) out of (n, c, 80, 128), the lips in the middle; `points` (n, 4, 2) as `Batch` has them."""
    middle = (points.mean(1) + 1) / 2 * torch.tensor([SIZE, ROWS])
    x = (middle[:, 0] - WIDE / 2).round().clamp(0, SIZE - WIDE).long().tolist()
    y = (middle[:, 1] - HIGH / 2).round().clamp(0, ROWS - HIGH).long().tolist()
    return torch.stack([p[:, v : v + HIGH, u : u + WIDE] for p, u, v in zip(pictures, x, y, strict=True)])


def judges_loss(judge: PatchJudge, truth: Tensor, made: Tensor, codes: Tensor, opened: Tensor) -> Tensor:
    """What the judge learns by: a hinge on either side, where mouths are `opened`, (n, 1, 56, 72).

    Elsewhere both show the same skin, and there is nothing to be told.
    """
    opinion = judge(torch.cat([truth, made]), codes.repeat(2, 1))[1].float()
    real, painted = opinion.chunk(2)
    return _where(F.relu(1 - real) + F.relu(1 + painted), opened)


def painters_loss(
    judge: PatchJudge, truth: Tensor, made: Tensor, codes: Tensor, opened: Tensor
) -> tuple[Tensor, Tensor]:
    """(how painted it looks, how differently the judge sees it): the painter's two terms."""
    with torch.no_grad():
        wanted = judge(truth, codes)[0]
    seen, opinion = judge(made, codes)
    alike = torch.stack([(a.float() - b.float()).abs().mean() for a, b in zip(seen, wanted, strict=True)]).mean()
    return _where(-opinion.float(), opened), alike


def _where(values: Tensor, opened: Tensor) -> Tensor:
    """The mean of values (n, 1, h, w) over the patches that see some of `opened`."""
    near = F.adaptive_max_pool2d(opened, list(values.shape[-2:]))
    return (values * near).sum() / (near.sum() + 1e-3)

"""The training of the fine decoder: widened from the first one, with a patch discriminator and a sync critic besides.

The discriminator (Isola et al. 2017) knows the code (Miyato and Koyama 2018), so a sharp mouth of another shape is no
way out; its features shall be alike for both (Wang et al. 2018). Discriminator and critic each have their share of what
the differences from the truth ask for (after Esser et al. 2021).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trained_models.recipes.lip_sync.batches import Batch
from trained_models.recipes.lip_sync.decoder_training import DecoderTraining
from trained_models.recipes.lip_sync.network import CODE, FINE_WIDTHS, FINISH, ROWS, SIZE, Decoder, LipSync, Widths
from trained_models.recipes.lip_sync.sync_critic import HIGH, MOUTHS, WIDE, Clips, SyncCritic, contrast, mouths
from trained_models.training.ema import Plan
from trained_models.training.losses import weighted_mean


class PatchDiscriminator(nn.Module):
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


def discriminator_loss(judge: PatchDiscriminator, truth: Tensor, made: Tensor, codes: Tensor, opened: Tensor) -> Tensor:
    """What the discriminator learns by: a hinge on either side, where mouths are `opened`, (n, 1, 56, 72). Elsewhere
    both show the same skin, and there is nothing to be told."""
    opinion = judge(torch.cat([truth, made]), codes.repeat(2, 1))[1].float()
    real, painted = opinion.chunk(2)
    return _where(F.relu(1 - real) + F.relu(1 + painted), opened)


def adversarial_loss(
    judge: PatchDiscriminator, truth: Tensor, made: Tensor, codes: Tensor, opened: Tensor
) -> tuple[Tensor, Tensor]:
    """(how painted it looks, how differently the discriminator sees it): the decoder's two terms."""
    with torch.no_grad():
        wanted = judge(truth, codes)[0]
    seen, opinion = judge(made, codes)
    alike = torch.stack([(a.float() - b.float()).abs().mean() for a, b in zip(seen, wanted, strict=True)]).mean()
    return _where(-opinion.float(), opened), alike


def _where(values: Tensor, opened: Tensor) -> Tensor:
    """The mean of values (n, 1, h, w) over the patches that see some of `opened`."""
    near = F.adaptive_max_pool2d(opened, list(values.shape[-2:]))
    return (values * near).sum() / (near.sum() + 1e-3)


LOOKS, ALIKE, IN_STEP = 1.3, 1.3, 0.2  # the shares of the discriminator's opinion, of what it sees, and of the critic
DISCRIMINATOR_RATE, FROM = 8e-4, 300  # the discriminator learns by itself first
IN_STEP_FROM = 4000  # the critic joins when mouths are mouths
SHUT = 0.4  # how often an open mouth is shut before it is shown
COVERED, INSIDE, ELSEWHERE = 0.15, 1.0, 0.2
"""Where a mouth opens, what is painted shall cover what was there, and have the truth's colours by itself: else lips
shine through, and all that is inside is a veil. Elsewhere nothing shall be painted: else lips that meet are tinted."""
CLIPS, EVERY = 2, 2  # so many clips are judged by the critic, at every second step
FINE_PLAN = Plan(steps=5600, peak_rate=1.6e-3, last_rate=3e-5)


class FineTraining(DecoderTraining):
    """A fine decoder in training before a discriminator and a sync critic. `hears`: a finished network whose
    encoder tells the codes that the critic's clips are drawn with; it learns nothing."""

    def __init__(
        self,
        plan: Plan,
        clips: Clips,
        hears: LipSync,
        critic: SyncCritic,
        widths: Widths = FINE_WIDTHS,
        finish: int = FINISH,
    ) -> None:
        super().__init__(plan, widths, finish)
        self.discriminator = PatchDiscriminator()
        self._learns = torch.optim.Adam(self.discriminator.parameters(), lr=DISCRIMINATOR_RATE, betas=(0.5, 0.9))
        self._clips, self._hears, self._critic = clips, hears.eval().requires_grad_(False), critic

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the decoder's optimiser and of the discriminator's; the errors."""
        drawn = self.drawn(batch)
        made, errors = drawn.made, dict(drawn.errors)
        loss = drawn.loss + INSIDE * weighted_mean((drawn.painted - batch.truth).abs(), batch.opened)
        loss = loss - COVERED * weighted_mean(drawn.seen.clamp_min(1e-3).log(), batch.opened)
        near = F.max_pool2d(batch.opened, 5, 1, 2)
        loss = loss - ELSEWHERE * weighted_mean((1 - drawn.seen).clamp_min(1e-3).log(), batch.weight * (1 - near))
        judge, lips = self.discriminator, batch.points[:, :4]
        truth, mouth, opened = (about_lips(x, lips) for x in (batch.truth, made, batch.opened))
        if self.step_number >= FROM:
            with torch.autocast("cpu", torch.bfloat16):
                painted, differs = adversarial_loss(judge.requires_grad_(False), truth, mouth, batch.codes, opened)
            wanted = _pull(loss, made)
            loss = loss + _share(LOOKS, wanted, painted, made) + _share(ALIKE, wanted, differs, made)
            errors |= {"painted": float(painted.detach()), "differs": float(differs.detach())}
            if self.step_number >= IN_STEP_FROM and self.step_number % EVERY == 0:
                late, pictures = self._late(batch)
                loss = loss + _share(IN_STEP, wanted * (len(pictures) / len(made)) ** 0.5, late, pictures)
                errors["late"] = EVERY * float(late.detach())
        self.descend(loss, self.plan.rate(self.step_number))
        with torch.autocast("cpu", torch.bfloat16):
            judged = discriminator_loss(judge.requires_grad_(True), truth, mouth.detach(), batch.codes, opened)
        self._learns.zero_grad(set_to_none=True)
        judged.backward()
        self._learns.step()
        return {"loss": float(loss.detach()), **errors, "judged": float(judged.detach())}

    def _late(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """How badly two clips, drawn from what the encoder hears, go with their sound; and their pictures."""
        clip = self._clips.batch(self.step_number, CLIPS)
        n = CLIPS * MOUTHS
        with torch.no_grad():
            codes = self._hears.code(clip.mels.reshape(n, 1, *clip.mels.shape[2:]))
        shown, lips = self._clips.shown(clip, self.step_number)
        self.network.eval()  # ten pictures of two people are no measure for the norms
        with torch.autocast("cpu", torch.bfloat16):
            pictures = self.network(shown.contiguous(memory_format=torch.channels_last), lips, codes).float()
        self.network.train()
        return contrast(self._critic, mouths(pictures.unflatten(0, (CLIPS, MOUTHS)), clip.corners), clip), pictures

    def state(self) -> dict[str, Any]:
        beside = {"discriminator": self.discriminator.state_dict(), "learns": self._learns.state_dict()}
        return super().state() | beside

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.discriminator.load_state_dict(state["discriminator"])
        self._learns.load_state_dict(state["learns"])


def _pull(loss: Tensor, pictures: Tensor) -> Tensor:
    return torch.autograd.grad(loss, pictures, retain_graph=True)[0].norm()


def _share(share: float, wanted: Tensor, loss: Tensor, pictures: Tensor) -> Tensor:
    """`loss`, scaled so that it pulls `share` times as hard as `wanted`."""
    return loss * (share * wanted / _pull(loss, pictures).clamp_min(1e-6)).clamp_max(1e3).detach()


NOISE = 0.03  # of a layer's weights, in their own standard deviations: what the first steps take back


def _copies(narrow: int, wide: int) -> Tensor:
    """(wide,) which narrow channel each wide one is: all in turn."""
    return torch.arange(wide) % narrow


def _set(layer: Any, given: Any, outs: Tensor, ins: Tensor, noise: torch.Generator | None) -> None:
    """A convolution's or linear layer's weights from a narrower one's; `ins`, `outs` as `_copies`."""
    shares = 1.0 / torch.bincount(ins).float()[ins]
    weight = given.weight[outs][:, ins] * shares.reshape(1, -1, *[1] * (given.weight.dim() - 2))
    if noise is not None:
        weight = weight + NOISE * weight.std() * torch.randn(weight.shape, generator=noise)
    layer.weight.copy_(weight)
    if given.bias is not None:
        layer.bias.copy_(given.bias[outs])


def _set_norm(layer: nn.BatchNorm2d, given: nn.BatchNorm2d, outs: Tensor) -> None:
    own, old = layer.state_dict(), given.state_dict()  # the tensors themselves, not copies
    for name in ("weight", "bias", "running_mean", "running_var"):
        own[name].copy_(old[name][outs])


@torch.no_grad()
def widened(given: Decoder, widths: Widths = FINE_WIDTHS, finish: int = FINISH, noise_seed: int | None = 1) -> Decoder:
    """A decoder of `widths` that draws as `given` does, to rounding errors without noise. Raises ValueError.

    After Net2Net (Chen et al. 2016): a wider layer's channels are copies of the narrow one's, and who reads a channel
    reads its copies by shares that add up to one. A little noise makes copies learn different things.
    """
    if any(new < old for new, old in zip(widths, given.widths, strict=True)):
        raise ValueError(f"a decoder of widths {given.widths} cannot be widened to {widths}")
    decoder = Decoder(widths, finish)
    noise = None if noise_seed is None else torch.Generator().manual_seed(noise_seed)
    a, b, c = (_copies(old, new) for old, new in zip(given.widths, widths, strict=True))
    old_a, old_b, _ = given.widths
    told = torch.arange(64)
    decoder.told.load_state_dict(given.told.state_dict())

    def conv(new: Any, old: Any, outs: Tensor, ins: Tensor) -> None:
        _set(new[0], old[0], outs, ins, noise)
        _set_norm(new[1], old[1], outs)

    def tuned(new: Any, old: Any, outs: Tensor, ins: Tensor) -> None:
        _set(new.conv, old.conv, outs, ins, noise)
        _set_norm(new.norm, old.norm, outs)
        _set(new.scale, old.scale, outs, told, None)
        _set(new.shift, old.shift, outs, told, None)

    face = torch.arange(given.fine[0][0].in_channels)  # type: ignore[index]
    conv(decoder.fine[0], given.fine[0], a, face)
    conv(decoder.fine[1], given.fine[1], a, a)
    conv(decoder.mid[0], given.mid[0], b, a)
    conv(decoder.mid[1], given.mid[1], b, b)
    conv(decoder.down, given.down, c, b)
    for new, old in zip(decoder.deep, given.deep, strict=True):
        tuned(new, old, c, c)
    tuned(decoder.mid_up, given.mid_up, b, torch.cat([b, old_b + c]))
    conv(decoder.mid_more, given.mid_more, b, b)
    tuned(decoder.fine_up, given.fine_up, a, torch.cat([a, old_a + b]))
    conv(decoder.fine_more, given.fine_more, a, a)
    _set(decoder.field, given.field, torch.arange(2), a, None)
    _set(decoder.paint, given.paint, torch.arange(16), a, None)
    return decoder

"""The state of a swap training and one step of it: exact to resume, light enough for two CPU cores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from realtime.frame import Floats
from trained_models.autoencoder.augment import mirrored_blendshapes
from trained_models.autoencoder.dataset import Batch
from trained_models.autoencoder.losses import SHARES, fine_loss, swap_loss
from trained_models.autoencoder.network import Critic, Family, Shape, SwapNetwork
from trained_models.autoencoder.reader import FACE, Reader, as_strangers
from trained_models.training.ema import EmaTraining, cosine_rate

LEAST_SPREAD = np.repeat(np.array([0.06, 0.05, 0.02], np.float32), [52, 3, 3])
"""Blendshapes the tracker hardly moves are not blown up beyond this; angles in radians, the lips in eyes' distances."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. `peak_rate` is AdamW's; it falls along a cosine over the last `fall` of the run.

    The fine head joins in when `fine_from` of the run is over, its critic at `sharp_from`, once the expression is
    right; at `read_from` drawn faces are read and compared with what was told. `only`: parts of the
    network by name, such as `condition` and `told`; the others stay as they are.
    """

    batch: int = 8
    peak_rate: float = 1e-3
    last_rate: float = 3e-5
    warm_up_steps: int = 200
    fall: float = 0.45
    average: float = 0.998
    seed: int = 1
    bf16: bool = True
    fine_from: float = 0.5
    sharp_from: float = 0.75
    read_from: float = 0.5
    critic_rate: float = 2e-4
    only: tuple[str, ...] = ()

    def rate(self, step: int, progress: float) -> float:
        rates = {"peak": self.peak_rate, "last": self.last_rate, "warm_up_steps": self.warm_up_steps}
        return cosine_rate(step, progress, **rates, fall=self.fall)


def device_of(name: str | None) -> torch.device:
    """The device of that name; by default a CUDA GPU if there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def decayed(parameters: Sequence[nn.Parameter], share: float = 1.0) -> list[dict[str, Any]]:
    """AdamW's groups: weights decay, biases and norms do not."""
    weights, plain = ([p for p in parameters if (p.ndim >= 2) == wide] for wide in (True, False))
    return [
        {"params": weights, "weight_decay": 0.01, "share": share},
        {"params": plain, "weight_decay": 0.0, "share": share},
    ]


class Training(EmaTraining):
    """A family of identities in training, its moving average, and one critic an identity."""

    def __init__(
        self, plan: Plan, shape: Shape | None = None, names: Sequence[str] = ("ada",), device: str | None = None
    ) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.names, self.device = plan, tuple(names), device_of(device)
        family = Family(names, shape).to(self.device)
        form = {"shape": family.shape.as_dict(), "names": list(names)}
        rates = {"peak_rate": plan.peak_rate, "average": plan.average}
        super().__init__(family, **rates, form=form, groups=decayed(list(family.parameters())))
        if plan.only:
            train_only(self.network, plan.only)
        self.critics = nn.ModuleDict({name: Critic() for name in names}).to(self.device)
        self.critics_optimizer = torch.optim.AdamW(self.critics.parameters(), lr=plan.critic_rate, betas=(0.5, 0.9))
        self.reader = Reader(FACE, self.device)

    def member(self, name: str) -> SwapNetwork:
        """An identity's averaged network, ready to draw; not a copy."""
        return self.averaged.member(name).eval()

    def fit_condition(self, name: str, readings: Floats) -> None:
        """Set what a condition is measured against: the data's readings (n, 58) and their mirror images."""
        turned = readings.copy()
        turned[:, :52] = np.stack([mirrored_blendshapes(b) for b in readings[:, :52]])
        turned[:, 53:55] *= -1
        turned[:, 55:] = readings[:, 55:][:, ::-1]
        both = np.concatenate([readings, turned])
        spread = np.maximum(both.std(axis=0), LEAST_SPREAD)
        for family in (self.network, self.averaged):
            condition = family.member(name).decoder.condition
            condition.mean.copy_(torch.from_numpy(both.mean(axis=0)))
            condition.spread.copy_(torch.from_numpy(spread))

    def step(self, name: str, batch: Batch, progress: float) -> dict[str, float]:
        """One step of the optimisers on identity `name`; the loss's terms."""
        plan, batch = self.plan, batch.to(self.device)
        rate = plan.rate(self.step_number, progress)
        network = self.network.member(name)
        face = batch.face.contiguous(memory_format=torch.channels_last)
        reads = progress >= plan.read_from
        if reads:
            batch = as_strangers(batch, np.random.default_rng([plan.seed, 11, self.step_number]))
        wants_fine = batch.fine is not None and progress >= plan.fine_from
        wants_sharp = wants_fine and progress >= plan.sharp_from
        fine = None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=plan.bf16):
            drawn = network(face, *batch.told, batch.mirrored, batch.keep_code)
            if wants_fine:
                # Half of the batch is enough for so many pixels: one of each pair of twins.
                fine = network.decoder.fine(drawn.features[0::2])
        loss, terms = swap_loss(drawn, batch.target, batch.mask, batch.weight, twins=len(face) % 2 == 0)
        if fine is not None and batch.fine is not None:
            added = fine_loss(fine.float(), batch.fine[0::2], batch.weight[0::2])
            terms["fine"] = float(added.detach())
            loss = loss + SHARES.fine * added
            if wants_sharp:
                sharp, terms["critic"] = self._criticised(name, fine.float(), batch)
                terms["sharp"] = float(sharp.detach())
                loss = loss + SHARES.sharp * sharp
        if reads:
            added, more = self.reader.loss(drawn.face.float(), batch)
            loss, terms = loss + added, terms | more
        self.descend(loss, rate)
        return {"loss": float(loss.detach()), "rate": rate, **terms}

    def _criticised(self, name: str, fine: Tensor, batch: Batch) -> tuple[Tensor, float]:
        """What the identity's critic has against the drawn faces; and its own loss, after it has learnt from them.
        Hinge losses (Lim and Ye 2017). Outside the mask both faces show the target, so that nothing there counts."""
        critic = self.critics[name]
        mask = torch.nn.functional.interpolate(batch.mask[0::2], fine.shape[-2:], mode="nearest")
        real, made = batch.fine[0::2], fine * mask + batch.fine[0::2] * (1 - mask)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bf16):
            said_real, said_made = critic(real), critic(made.detach())
        own = torch.relu(1 - said_real.float()).mean() + torch.relu(1 + said_made.float()).mean()
        self.critics_optimizer.zero_grad(set_to_none=True)
        own.backward()
        self.critics_optimizer.step()
        critic.requires_grad_(False)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bf16):
            against = -critic(made).float().mean()
        critic.requires_grad_(True)
        return against, float(own.detach())

    def state(self) -> dict[str, Any]:
        critics = {"critics": self.critics.state_dict(), "critics_optimizer": self.critics_optimizer.state_dict()}
        return super().state() | critics

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.critics.load_state_dict(state["critics"])
        self.critics_optimizer.load_state_dict(state["critics_optimizer"])


def train_only(network: nn.Module, parts: Sequence[str]) -> None:
    """From now on only these parts learn, named as in `Plan.only`; batch norms keep their statistics too."""
    for name, weight in network.named_parameters():
        weight.requires_grad_(not set(parts).isdisjoint(name.split(".")))
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.eval()

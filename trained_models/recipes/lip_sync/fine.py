"""The training of the fine painter: as the first one's, with a judge of patches and a critic of sync besides.

How much these two count is set by how far they would move the picture, not by their numbers: each has its share of what
the differences from the truth ask for (after Esser et al. 2021).
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trained_models.recipes.autoencoder.losses import weighted_mean
from trained_models.recipes.lip_sync.batches import Batch
from trained_models.recipes.lip_sync.clips import MOUTHS, Clips, mouths
from trained_models.recipes.lip_sync.critic import Critic, contrast
from trained_models.recipes.lip_sync.network import FINE_WIDTHS, FINISH, LipSync
from trained_models.recipes.lip_sync.patches import PatchJudge, about_lips, judges_loss, painters_loss
from trained_models.recipes.lip_sync.training import Plan, Training

LOOKS, ALIKE, IN_STEP = 1.3, 1.3, 0.2
"""The shares of the judge's opinion, of what it sees, and of the critic."""
JUDGES_RATE, FROM = 8e-4, 300
"""The judge learns by itself first."""
IN_STEP_FROM = 4000
"""The critic joins when mouths are mouths."""
SHUT = 0.4
"""How often an open mouth is shut before it is shown."""
COVERED, INSIDE, ELSEWHERE = 0.15, 1.0, 0.2
"""Where a mouth opens, what is painted shall cover what was there, and have the truth's colours by itself: else lips
shine through, and all that is inside is a veil. Elsewhere nothing shall be painted: else lips that meet are tinted."""
CLIPS, EVERY = 2, 2
"""So many clips are judged by the critic, at every second step."""
FINE_PLAN = Plan(steps=5600, peak_rate=1.6e-3, last_rate=3e-5, widths=FINE_WIDTHS, finish=FINISH)


class FineTraining(Training):
    """A painter in training whose mouths a judge looks at, and, with `critic`, one who listens.

    `hears`: a finished network whose ear tells the codes that the critic's clips are drawn with; the ear learns
    nothing.
    """

    def __init__(self, plan: Plan, clips: Clips, hears: LipSync, critic: Critic | None) -> None:
        super().__init__(plan)
        self.judge_of_patches = PatchJudge()
        self._learns = torch.optim.Adam(self.judge_of_patches.parameters(), lr=JUDGES_RATE, betas=(0.5, 0.9))
        self._clips, self._hears, self._critic = clips, hears.eval().requires_grad_(False), critic

    def step(self, batch: Batch) -> dict[str, float]:
        """One step of the painter's optimiser and of the judge's; the errors."""
        rate = self.plan.rate(self.step_number)
        drawn = self.drawn(batch)
        made, errors = drawn.made, dict(drawn.errors)
        loss = drawn.loss + INSIDE * weighted_mean((drawn.painted - batch.truth).abs(), batch.opened)
        loss = loss - COVERED * weighted_mean(drawn.seen.clamp_min(1e-3).log(), batch.opened)
        near = F.max_pool2d(batch.opened, 5, 1, 2)
        loss = loss - ELSEWHERE * weighted_mean((1 - drawn.seen).clamp_min(1e-3).log(), batch.weight * (1 - near))
        judge, lips = self.judge_of_patches, batch.points[:, :4]
        truth, mouth, opened = (about_lips(x, lips) for x in (batch.truth, made, batch.opened))
        if self.step_number >= FROM:
            with torch.autocast("cpu", torch.bfloat16):
                painted, differs = painters_loss(judge.requires_grad_(False), truth, mouth, batch.codes, opened)
            wanted = _pull(loss, made)
            loss = loss + _share(LOOKS, wanted, painted, made) + _share(ALIKE, wanted, differs, made)
            errors |= {"painted": float(painted.detach()), "differs": float(differs.detach())}
            listens = self.step_number >= IN_STEP_FROM and self.step_number % EVERY == 0
            if self._critic is not None and listens:
                late, pictures = self._late(batch)
                loss = loss + _share(IN_STEP, wanted * (len(pictures) / len(made)) ** 0.5, late, pictures)
                errors["late"] = EVERY * float(late.detach())
        self.descend(loss, rate)
        with torch.autocast("cpu", torch.bfloat16):
            judged = judges_loss(judge.requires_grad_(True), truth, mouth.detach(), batch.codes, opened)
        self._learns.zero_grad(set_to_none=True)
        judged.backward()
        self._learns.step()
        return {"loss": float(loss.detach()), **errors, "judged": float(judged.detach()), "rate": rate}

    def _late(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """How badly two clips, drawn from what the ear hears, go with their sound; and their pictures."""
        clip = self._clips.batch(self.step_number, CLIPS)
        n = CLIPS * MOUTHS
        with torch.no_grad():
            codes = self._hears.code(clip.mels.reshape(n, 1, *clip.mels.shape[2:]))
        shown, lips = self._clips.shown(clip, self.step_number)
        self.network.eval()  # ten pictures of two people are no measure for the norms
        with torch.autocast("cpu", torch.bfloat16):
            pictures = self.network(shown.contiguous(memory_format=torch.channels_last), lips, codes).float()
        self.network.train()
        assert self._critic is not None
        return contrast(self._critic, mouths(pictures.unflatten(0, (CLIPS, MOUTHS)), clip.corners), clip), pictures

    def save(self, path: Path) -> None:
        """As every training, with the judge beside it."""
        beside = path.with_name(path.stem + "_judge.pt")
        torch.save({"judge": self.judge_of_patches.state_dict(), "learns": self._learns.state_dict()}, beside)
        super().save(path)

    def load(self, path: Path) -> None:
        """Go on from `save`'s files."""
        state = torch.load(path.with_name(path.stem + "_judge.pt"), weights_only=True)
        self.judge_of_patches.load_state_dict(state["judge"])
        self._learns.load_state_dict(state["learns"])
        for group in self._learns.param_groups:
            group["lr"] = JUDGES_RATE
        super().load(path)


def _pull(loss: Tensor, pictures: Tensor) -> Tensor:
    """How hard a loss pulls at pictures."""
    return torch.autograd.grad(loss, pictures, retain_graph=True)[0].norm()


def _share(share: float, wanted: Tensor, loss: Tensor, pictures: Tensor) -> Tensor:
    """`loss`, scaled so that it pulls `share` times as hard as `wanted`."""
    return loss * (share * wanted / _pull(loss, pictures).clamp_min(1e-6)).clamp_max(1e3).detach()

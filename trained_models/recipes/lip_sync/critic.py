"""A sync critic: do five mouths go with 200 ms of sound? It teaches the fine painter, and is no part of the model.

After SyncNet (Chung and Zisserman 2016) as Wav2Lip uses it (Prajwal et al. 2020): pictures and sound become vectors
that point the same way where they belong together. It learns by contrast (van den Oord et al. 2018): among all sounds
of a batch, and the same voice's some pictures early or late, the right one is to be told.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trained_models.recipes.lip_sync.clips import MOUTHS, Clip, Clips, mouths
from trained_models.recipes.lip_sync.network import Conv

SHARP = 12.0
"""Cosines times this are logits."""
LENGTH = 96


class Critic(nn.Module):
    """Mouths (n, 5, 3, 56, 72) 0..1 and sounds (n, 80, 16) -4..4 → (n, 96) unit vectors each."""

    def __init__(self) -> None:
        super().__init__()
        self.sees = nn.Sequential(
            *(Conv(3 * MOUTHS, 32, 2), Conv(32, 48, 2), Conv(48, 48), Conv(48, 64, 2), Conv(64, 64), Conv(64, 96, 2)),
            *(nn.Flatten(), nn.Linear(96 * 4 * 5, LENGTH)),
        )
        self.hears = nn.Sequential(
            *(Conv(1, 24, (2, 1)), Conv(24, 32), Conv(32, 48, 2), Conv(48, 64), Conv(64, 64, 2), Conv(64, 96, (2, 1))),
            *(nn.Flatten(), nn.Linear(96 * 5 * 4, LENGTH)),
        )

    def seen(self, pictures: Tensor) -> Tensor:
        """Of mouths: whose they are and in what light does not matter, so their mean colour is taken out."""
        mean = pictures.mean((1, 3, 4), keepdim=True)
        return F.normalize(self.sees((pictures - mean).flatten(1, 2) * 4), dim=1)

    def heard(self, mel: Tensor) -> Tensor:
        """Of sounds."""
        return F.normalize(self.hears(mel[:, None] * 0.25), dim=1)


def contrast(critic: Critic, pictures: Tensor, clip: Clip) -> Tensor:
    """How badly `pictures` (n, 5, 3, 56, 72) are told to go with `clip`'s sound: a cross-entropy."""
    sounds = torch.cat([clip.heard, clip.wrong])
    told = SHARP * critic.seen(pictures) @ critic.heard(sounds).T
    here = torch.arange(len(pictures))
    among = F.cross_entropy(told, here)
    # Other people's other words are soon told apart; the same voice a little early or late is what counts.
    late = F.softplus(told[here, here + len(pictures)] - told[here, here]).mean()
    return among + 2 * late


@torch.no_grad()
def told_apart(critic: Critic, pictures: Tensor, clip: Clip) -> tuple[float, float]:
    """(the share of clips whose own sound fits better than the shifted one, the mean cosine with their own)."""
    seen, own, wrong = critic.seen(pictures), critic.heard(clip.heard), critic.heard(clip.wrong)
    right, off = (seen * own).sum(1), (seen * wrong).sum(1)
    return float((right > off).float().mean()), float(right.mean())


def train_critic(
    clips: Clips, held: Clips, run: Path, *, steps: int = 1200, batch: int = 24, rate: float = 1e-3
) -> Critic:
    """Train once, with `run`/critic.pt and critic.csv; a finished one is read."""
    critic, file = Critic(), run / "critic.pt"
    if file.exists():
        critic.load_state_dict(torch.load(file, weights_only=True))
        return critic.eval().requires_grad_(False)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    optimizer = torch.optim.AdamW(critic.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    truth = held.batch(0, 96, plain=True)
    for step in range(steps):
        clip = clips.batch(step, batch)
        loss = contrast(critic.train(), mouths(clip.faces, clip.corners), clip)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            share, cosine = told_apart(critic.eval(), mouths(truth.faces, truth.corners), truth)
            with (run / "critic.csv").open("a", encoding="utf-8") as log:
                log.write(f"{step + 1},{float(loss.detach()):.4f},{share:.3f},{cosine:.3f}\n")
    part = file.with_suffix(".part")
    torch.save(critic.state_dict(), part)
    part.replace(file)
    return critic.eval().requires_grad_(False)

"""A sync critic: do five mouths go with 200 ms of sound? It teaches the fine decoder, and is no part of the model.

After SyncNet (Chung and Zisserman 2016) as Wav2Lip uses it (Prajwal et al. 2020): pictures and sound become vectors
that point the same way where they belong together. It learns by contrast (van den Oord et al. 2018): among all sounds
of a batch, and the same voice's some pictures early or late, the right one is to be told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from realtime.audio.mel import WINDOW
from realtime.frame import Floats
from trained_models.recipes.lip_sync.batches import Samples
from trained_models.recipes.lip_sync.network import ROWS, SIZE, TOP, Conv
from trained_models.recipes.lip_sync.samples import PICTURES, SEEN, SIDE, SpokenSamples, window_of
from trained_models.recipes.motion.samples import colours

MOUTHS = 5  # 200 ms of pictures at 25 a second: as much as a window of sound lasts (Chung and Zisserman 2016)
HIGH, WIDE = 56, 72  # A mouth's picture, cut from the 80 x 128 that the decoder makes
ABOVE = 20  # rows of it above the middle of the lips at rest
NEAREST, FARTHEST = 6, 24  # by how many frames of sound, 12.5 ms each, a wrong sound is early or late


@dataclass(frozen=True, slots=True)
class Clip:
    """n clips of five pictures k .. k + 4 of a take.

    `faces` (n, 5, 3, 80, 128) BGR 0..1: the truth; `mels` (n, 5, 80, 16): each picture's own window; `heard` (n, 80,
    16): the window of the first, which lasts as long as the five; `wrong` (n, 80, 16): one that is early or late;
    `corners` (n, 2): the left upper corner of the mouth in `faces`, pixels; `picked` (n, 2): take and first picture.
    """

    faces: Tensor
    mels: Tensor
    heard: Tensor
    wrong: Tensor
    corners: npt.NDArray[np.int64]
    picked: npt.NDArray[np.int64]


class Clips:
    """All clips of `takes`; clip batch number n is always the same. `samples` are the same takes."""

    def __init__(self, takes: Sequence[SpokenSamples], samples: Samples, seed: int = 7) -> None:
        self.mel = np.concatenate([t.mel for t in takes])
        self._samples, self._seed = samples, seed

    def batch(self, number: int, count: int, *, plain: bool = False) -> Clip:
        """`count` clips in anybody's light, or as they are if `plain`."""
        rng = np.random.default_rng([self._seed, number])
        picked = np.stack(
            [rng.integers(len(self.mel), size=count), rng.integers(1, PICTURES - MOUTHS + 1, count)], axis=1
        )
        edge = (SIDE - SEEN) // 2
        frames = self._samples.frames[picked[:, :1], picked[:, 1:] + np.arange(MOUTHS)]
        cut = frames[:, :, edge + TOP : edge + SIZE, edge : edge + SIZE].transpose(0, 1, 4, 2, 3)
        faces = cut.astype(np.float32) / np.float32(255)
        if not plain:
            for row in faces:
                mix, power = colours(rng)
                row[:] = np.clip(np.einsum("ab,tbhw->tahw", mix, row), 0, 1) ** power[:, None, None]
        mels = np.stack([[self._window(t, window_of(k + j)) for j in range(MOUTHS)] for t, k in picked])
        wrong = []
        for take, first in picked:
            start = window_of(first)
            off = rng.integers(NEAREST, FARTHEST + 1, 8) * rng.choice((-1, 1), 8)
            inside = [int(o) for o in off if 0 <= start + o <= self.mel.shape[2] - WINDOW]
            wrong.append(self._window(take, start + (inside or [NEAREST if start < 40 else -NEAREST])[0]))
        corners = mouth_corners(self._samples.lips[picked[:, 0], 0] - (edge, edge + TOP))
        seen, own, first, late = (
            torch.from_numpy(np.ascontiguousarray(x)) for x in (faces, mels, mels[:, 0], np.stack(wrong))
        )
        return Clip(seen, own, first, late, corners, picked)

    def shown(self, clip: Clip, number: int) -> tuple[Tensor, Tensor]:
        """What a decoder is shown for `clip`: (5 n, 3, 80, 128) one picture of its take, at rest or not, and lips."""
        rng = np.random.default_rng([self._seed + 1, number])
        picked = [(int(t), int(rng.integers(PICTURES)) if rng.random() < 0.5 else 0, int(k)) for t, k in clip.picked]
        pairs = self._samples.pairs(picked, rng, plain=True)
        return pairs.shown.repeat_interleave(MOUTHS, 0), pairs.lips.repeat_interleave(MOUTHS, 0)

    def _window(self, take: int, start: int) -> Floats:
        return np.asarray(self.mel[take, :, start : start + WINDOW], np.float32)


def mouth_corners(lips: Floats) -> npt.NDArray[np.int64]:
    """(n, 2) where to cut a mouth out of the decoder's picture; `lips` (n, 4, 2) at rest, in its pixels."""
    middle = lips.mean(1)
    x = np.clip(np.round(middle[:, 0] - WIDE / 2), 0, SIZE - WIDE)
    y = np.clip(np.round(middle[:, 1] - ABOVE), 0, ROWS - HIGH)
    return np.stack([x, y], axis=1).astype(np.int64)


def mouths(faces: Tensor, corners: npt.NDArray[np.int64]) -> Tensor:
    """(n, k, 3, 56, 72) out of (n, k, 3, 80, 128)."""
    return torch.stack([face[..., y : y + HIGH, x : x + WIDE] for face, (x, y) in zip(faces, corners, strict=True)])


SHARP = 12.0  # cosines times this are logits
LENGTH = 96


class SyncCritic(nn.Module):
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
        return F.normalize(self.hears(mel[:, None] * 0.25), dim=1)


def contrast(critic: SyncCritic, pictures: Tensor, clip: Clip) -> Tensor:
    """How badly `pictures` (n, 5, 3, 56, 72) are told to go with `clip`'s sound: a cross-entropy."""
    sounds = torch.cat([clip.heard, clip.wrong])
    told = SHARP * critic.seen(pictures) @ critic.heard(sounds).T
    here = torch.arange(len(pictures))
    among = F.cross_entropy(told, here)
    # Other people's other words are soon told apart; the same voice a little early or late is what counts.
    late = F.softplus(told[here, here + len(pictures)] - told[here, here]).mean()
    return among + 2 * late


@torch.no_grad()
def told_apart(critic: SyncCritic, pictures: Tensor, clip: Clip) -> tuple[float, float]:
    """(the share of clips whose own sound fits better than the shifted one, the mean cosine with their own)."""
    seen, own, wrong = critic.seen(pictures), critic.heard(clip.heard), critic.heard(clip.wrong)
    right, off = (seen * own).sum(1), (seen * wrong).sum(1)
    return float((right > off).float().mean()), float(right.mean())


def train_sync_critic(
    clips: Clips, held: Clips, run: Path, *, steps: int = 1200, batch: int = 24, rate: float = 1e-3
) -> SyncCritic:
    """Train once, with `run`/critic.pt and critic.csv; a finished one is read."""
    critic, file = SyncCritic(), run / "critic.pt"
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

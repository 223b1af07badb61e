"""A new decoder in training behind the frozen encoder, and one step of it.

The decoder starts as the packaged identity's. The code it is given is not always the one of the person learnt, since
live it never is: others are withheld, moved to where a rendered stranger's codes lie, or are a stranger's own. In the
last part of the run the layers that take in readings learn alone, from what the tracker's networks read in the drawn
face (docs/studies/lip-distance-input.md).
"""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from realtime.errors import ModelError
from realtime.frame import Pixels
from trained_models.autoencoder.dataset import Batch
from trained_models.autoencoder.losses import swap_loss
from trained_models.autoencoder.network import Drawn, SwapNetwork
from trained_models.autoencoder.reader import FACE, Reader, as_strangers
from trained_models.autoencoder.training import Plan, decayed, device_of, train_only
from trained_models.autoencoder.weights import settle_norms
from trained_models.training.ema import EmaTraining

STRANGERS = 0.25  # share of the codes shown that are a stranger's own
MOVED = 0.45  # share of them that are the person's, moved to where a stranger's lie
READINGS_RATE = 0.3
"""The layers that understand readings learn slower: what a clip does not show, they know from the start."""
READING_LAYERS = ("condition", "told")
READ_BACK_RATE = 5e-4  # what these learn at first when the drawn face is read; it falls to nothing along half a cosine
READ_BACK_AVERAGE = 0.98  # A short memory: a hundred such steps may be all
LIPS_GAIN = 1.15
"""The lips are taken for so much farther apart than told, as by the identity learnt from: else they part 0.86 times as
far as the driver's (docs/studies/lip-distance-input.md). How far it has to be for this face is read back in the end
(`lips.py`)."""

LEARN_PLAN = Plan(
    batch=8, peak_rate=8e-4, last_rate=2e-5, warm_up_steps=40, fall=0.55, average=0.995, seed=1, read_from=0.75
)


class Learner(EmaTraining):
    """A decoder in training behind a frozen encoder, its moving average, and the best of them so far.

    `start`: the network whose encoder stays as it is. `strangers` (n, S, S, 3) uint8 BGR crops and `person` (n,)
    whose they are. `device`: where to compute; by default a CUDA GPU if there is one.
    """

    def __init__(
        self,
        start: SwapNetwork,
        strangers: Pixels,
        person: np.ndarray[Any, np.dtype[np.int64]],
        plan: Plan = LEARN_PLAN,
        device: str | None = None,
    ) -> None:
        self.plan, self.device = plan, device_of(device)
        network = copy.deepcopy(start).to(self.device)
        decoder = network.decoder
        # In a fixed order, and no set: the optimiser's saved state is told apart by position alone.
        slow = list(decoder.condition.parameters())
        others = [p for name, p in decoder.named_parameters() if not name.startswith("condition.")]
        groups = [*decayed(others), *decayed(slow, READINGS_RATE)]
        super().__init__(network, peak_rate=plan.peak_rate, average=plan.average, groups=groups)
        self.network.eval().requires_grad_(False)
        decoder.train().requires_grad_(True)
        self._reader: Reader | None = None
        self.skipped = 0.0
        """What of the run's progress was left out since more of the same did not help."""
        self.strange = self.codes(strangers)
        middles = [self.strange[torch.from_numpy(person == p).to(self.device)].mean(0) for p in np.unique(person)]
        self._places = torch.stack(middles)
        self._own = self._places.mean(0)
        self.best: dict[str, Tensor] | None = None
        self.best_error = float("inf")
        self.since_best = 0

    def know(self, some: Batch) -> None:
        """Take in where the codes of the person to learn lie, and how the decoder's maps spread, from some samples."""
        some = some.to(self.device)
        with torch.no_grad():
            self._own = self.averaged.encoder(some.face).mean(0)
        if self.step_number == 0:
            settle_norms(self.averaged, some.face, some.told, self.averaged.decoder)
            self.network.decoder.load_state_dict(self.averaged.decoder.state_dict())

    def codes(self, crops: Pixels) -> Tensor:
        """(n, code): what the encoder says of crops (n, S, S, 3) uint8 BGR."""
        parts = []
        with torch.no_grad():
            for some in np.array_split(crops, max(1, len(crops) // 32)):
                faces = torch.from_numpy(np.ascontiguousarray(some)).permute(0, 3, 1, 2).to(self.device)
                parts.append(self.averaged.encoder(faces.float() / 255))
        return torch.cat(parts)

    def step(self, batch: Batch, progress: float) -> dict[str, float]:
        """One step of the optimiser; the loss's terms. `progress` of the run, 0..1, sets the rate."""
        plan, batch = self.plan, batch.to(self.device)
        if progress >= plan.read_from and not self.reads:
            # On from the best decoder so far.
            if self.best is not None:
                self.network.decoder.load_state_dict(self.best)
                self.averaged.decoder.load_state_dict(self.best)
            self._read()
        if self.reads:
            rate = READ_BACK_RATE * 0.5 * (1 + math.cos(math.pi * (progress - plan.read_from) / (1 - plan.read_from)))
            batch = as_strangers(batch, np.random.default_rng([plan.seed, 11, self.step_number]))
        else:
            rate = plan.rate(self.step_number, progress / plan.read_from)
        faces = batch.face.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bf16):
            with torch.no_grad():
                code = self.network.encoder(faces)
            code = self._disguised(code.float()) * batch.keep_code
            face, mask = self.network.decoder(code, *batch.told, batch.mirrored)
        drawn, twins = Drawn(face, mask), len(face) % 2 == 0
        loss, terms = swap_loss(drawn, batch.target, batch.mask, batch.weight, twins=twins)
        if self._reader is not None:
            added, more = self._reader.loss(face.float(), batch)
            loss, terms = loss + added, terms | more
        self.descend(loss, rate)
        return {"loss": float(loss.detach()), "rate": rate, **terms}

    @property
    def reads(self) -> bool:
        """Whether this is the last part of the run: drawn faces are read."""
        return self._reader is not None

    def _read(self) -> None:
        self._reader, self.average = Reader(FACE, self.device), READ_BACK_AVERAGE
        for group in self.optimizer.param_groups:
            group["share"] = 1.0
        train_only(self.network, READING_LAYERS)

    def _disguised(self, code: Tensor) -> Tensor:
        """The codes (n, code) with some moved to strangers' places and some exchanged for strangers' own."""
        rng = np.random.default_rng([self.plan.seed, 7, self.step_number])
        kind = rng.uniform(size=len(code))
        place = self._places[rng.integers(len(self._places), size=len(code))]
        stranger = self.strange[rng.integers(len(self.strange), size=len(code))]
        moved = torch.from_numpy(kind < MOVED)[:, None].to(code.device)
        exchanged = torch.from_numpy(kind >= 1 - STRANGERS)[:, None].to(code.device)
        return torch.where(exchanged, stranger, torch.where(moved, code - self._own + place, code))

    def error(self, batch: Batch) -> float:
        """Mean absolute colour error in the face, 0..1: half with the person's own codes, half with strangers'."""
        batch = batch.to(self.device)
        errors = []
        with torch.no_grad():
            own = self.averaged.encoder(batch.face)
            stranger = self.strange[torch.arange(len(own), device=self.device) * 7 % len(self.strange)]
            for code in (own, stranger):
                face, _ = self.averaged.decoder(code, *batch.told, batch.mirrored)
                wrong = (face.clamp(0, 1) - batch.target).abs() * batch.mask
                errors.append(float(wrong.sum() / (3 * batch.mask.sum())))
        return float(np.mean(errors))

    def judge(self, error: float, least_gain: float = 0.003) -> None:
        """Remember the averaged decoder if `error` is the least so far; count how long it has not been, clearly. Once
        drawn faces are read the newest one is the best: the colours alone no longer say which is."""
        clearly = error < self.best_error * (1 - least_gain)
        if self.reads or error < self.best_error:
            self.best_error = error
            self.best = {k: v.detach().clone() for k, v in self.averaged.decoder.state_dict().items()}
        self.since_best = 0 if clearly else self.since_best + 1

    def learnt(self) -> SwapNetwork:
        """The network to wear, on the CPU: the frozen encoder and the best decoder."""
        done: SwapNetwork = copy.deepcopy(self.averaged).cpu().eval()
        if self.best is not None:
            done.decoder.load_state_dict(self.best)
        done.decoder.condition.take_lips_as(LIPS_GAIN)
        return done

    def state(self) -> dict[str, Any]:
        return super().state() | {
            "best": self.best,
            "best_error": self.best_error,
            "since_best": self.since_best,
            "reads": self.reads,
            "skipped": self.skipped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.best, self.best_error = state["best"], float(state["best_error"])
        self.since_best, self.skipped = int(state["since_best"]), float(state["skipped"])
        if state["reads"]:
            self._read()

    def load(self, path: Path) -> None:
        """Go on from `save`'s file; only plain tensors are read from it. Raises ModelError."""
        try:
            super().load(path)
        except Exception as error:  # torch's own kinds are many; the file is ours, and then broken
            raise ModelError(
                f"{path} cannot be read: delete it, and the same command starts the training anew"
            ) from error

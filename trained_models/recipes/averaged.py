"""A network in training beside the running average of its weights, which is what gets exported."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class AveragedTraining(Generic[Network]):
    """A network, its running average, and AdamW. The average is steadier than any single step.

    `make` gives the network, the same at every call but for chance; `average`: how much of itself the average keeps at
    each step; `form`: plain values that a saved training must have in common with this one.
    """

    def __init__(
        self,
        make: Callable[[], Network],
        *,
        seed: int,
        peak_rate: float,
        average: float,
        form: Mapping[str, Any] | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.network = make().to(memory_format=torch.channels_last).train()
        self.averaged = make().to(memory_format=torch.channels_last).eval()
        self.averaged.load_state_dict(self.network.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=peak_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self._average, self._form = average, dict(form or {})
        self._kept, self._newest = (
            [t for t in n.state_dict().values() if t.is_floating_point()] for n in (self.averaged, self.network)
        )
        self.step_number = 0
        self.seconds = 0.0

    def descend(self, loss: Tensor, rate: float) -> None:
        """One step of the optimiser down `loss`, at the learning rate `rate`."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.step_number += 1
        # Early weights are soon forgotten: the average's memory grows with the run.
        keep = min(self._average, (1 + self.step_number) / (10 + self.step_number))
        with torch.no_grad():
            torch._foreach_lerp_(self._kept, self._newest, 1 - keep)

    def save(self, path: Path) -> None:
        """Everything needed to go on, written whole or not at all."""
        state = self._form | {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step_number,
            "seconds": self.seconds,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    def load(self, path: Path) -> None:
        """Go on from `save`'s file. Only plain tensors are read from it. Raises ValueError for another form."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        for name, own in self._form.items():
            if state[name] != own:
                raise ValueError(f"{path.name} holds a network of {name} {state[name]}: train into another folder")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step_number, self.seconds = int(state["step"]), float(state["seconds"])

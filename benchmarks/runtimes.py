"""Every way in which this machine can run a network: providers with their precisions, and why the others cannot."""

from dataclasses import dataclass

from realtime.errors import ModelError
from realtime.inference.providers import NAMES, choose, why_not


@dataclass(frozen=True, slots=True)
class Way:
    """A provider and a precision to ask it for, as `open_session` takes them."""

    provider: str
    precision: str

    @property
    def title(self) -> str:
        """As tables and charts name it."""
        return f"{self.provider} {self.precision}"


REFERENCE = Way("cpu", "fp32")


def ways_here() -> tuple[list[Way], dict[str, str]]:
    """What seems to run here, the reference first, and for what does not, the reason."""
    ways, missing = [REFERENCE], {}
    for provider in NAMES:
        if provider in ("auto", REFERENCE.provider):
            continue
        if reason := why_not(provider):
            missing[provider] = reason
            continue
        for precision in _precisions(provider):
            way = Way(provider, precision)
            try:
                choose(provider, precision, 1)
                ways.append(way)
            except ModelError as error:
                missing[way.title] = str(error)
    return ways, missing


def _precisions(provider: str) -> tuple[str, ...]:
    """What to ask a provider for; `auto` means TF32 on NVIDIA's GPUs, and nothing of its own elsewhere."""
    if provider == "openvino":
        return ("fp32", "bf16")
    return ("fp32", "auto") if provider in ("cuda", "tensorrt", "rtx") else ("fp32",)

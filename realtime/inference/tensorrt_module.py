"""NVIDIA's TensorRT or TensorRT-RTX, whichever a provider name means: two packages with one API.

Both are proprietary and installed by the user. TensorRT-RTX serves GeForce RTX and RTX PRO cards (compute
capability 7.5 to 8.9 and 12) and compiles without a GPU; TensorRT serves all others, data-centre GPUs included.
"""

import importlib
import importlib.util
import logging
from collections import deque
from functools import lru_cache
from typing import Any

from realtime.errors import ModelError
from realtime.inference.cuda_driver import GpuFacts
from realtime.inference.providers import MODULES

log = logging.getLogger(__name__)

KEPT_LINES = 20


def load_module(provider: str) -> Any:
    """The TensorRT module of the provider `tensorrt` or `rtx`. Raises ModelError where it is missing or broken."""
    names, title, advice = MODULES[provider]
    for name in names:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            found = importlib.import_module(name)
        except Exception as error:  # a missing library of its own: ImportError, OSError or FileNotFoundError
            line = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise ModelError(f"{title} is installed but does not load ({line}): {advice}") from error
        if not hasattr(found, "OnnxParser"):
            raise ModelError(f"the module {name} is not {title} 10 or later: {advice}")
        return found
    raise ModelError(f"{title} is not installed: {advice}, or use --provider auto")


def is_rtx(trt: Any) -> bool:
    """Whether a module is TensorRT-RTX: only that one compiles for GPUs that are not here."""
    return str(trt.__name__).startswith("tensorrt_rtx")


def title(trt: Any) -> str:
    """The module's name and version for the user, e.g. `TensorRT RTX 1.7.1.116`."""
    return f"{MODULES['rtx' if is_rtx(trt) else 'tensorrt'][1]} {trt.__version__}"


def check_card(trt: Any, gpu: GpuFacts) -> None:
    """Raises ModelError where TensorRT-RTX has no kernels for a GPU: those of data centres, and old ones.

    It names the kinds that it knows; for later ones than those it compiles while loading.
    """
    if not is_rtx(trt):
        return
    names = trt.ComputeCapability.__members__
    known = {(int(n[2:-1]), int(n[-1])) for n in names if n.startswith("SM") and n[2:].isdigit()}
    if known and gpu.capability not in known and gpu.capability < max(known):
        raise ModelError(f"{title(trt)} has no kernels for {gpu.model}: use --provider tensorrt or cuda")


@lru_cache(maxsize=4)
def logger(trt: Any) -> Any:
    """The one logger of a TensorRT module: it takes the first it is given for the whole process.

    `errors` holds the last lines that said error; they go into our own messages, not to the screen.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]  # the module is only known while running
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT_LINES)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            log.debug("%s", message)

    return Logger()


def last_error(trt: Any) -> str:
    """The last thing the module complained about, cut to one line; clears what was kept."""
    kept = logger(trt).errors
    text = kept[-1] if kept else "it gave no reason"
    kept.clear()
    lines = str(text).strip().splitlines()
    return lines[0].strip()[:240] if lines else "it gave no reason"

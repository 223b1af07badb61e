"""The engine of a network: out of this user's sealed cache where it fits, else compiled and kept there.

An engine is kept for exactly one set of facts: the ONNX file's hash, its precision and batch size, the TensorRT
module and version, the driver, the GPU, the operating system and how it is built. When any of them changes (a new
driver, another card), so does the name it is kept under: it is compiled again and never loaded where it does not
belong. All networks of one machine share what the builder learnt about the GPU's kernels (the timing cache).
"""

import hashlib
import logging
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from realtime.inference.cuda_driver import GpuFacts
from realtime.inference.sealed_cache import Facts, SealedCache, cache_folder, secret_file
from realtime.inference.tensorrt_build import BUILD, Built
from realtime.inference.tensorrt_module import title

log = logging.getLogger(__name__)

NO_GPU = "none"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Everything that decides which engine a network gets."""

    model: str  # sha256 of the ONNX file
    precision: str
    tf32: bool
    batch: int
    runtime: str
    gpu: str
    driver: str

    @property
    def on_this_gpu(self) -> bool:
        """Whether the engine is for the GPU here; else it is for every kind, and no session wants it."""
        return self.gpu != NO_GPU

    def of(self, kind: str) -> Facts:
        """The facts as a cache keeps them; `kind` tells an engine from kernels compiled out of it."""
        network = {"model": self.model, "precision": self.precision, "tf32": self.tf32, "batch": self.batch}
        return {**self.machine(kind), **network, "build": BUILD}

    def machine(self, kind: str) -> Facts:
        """The part that is the same for every network here."""
        system = f"{sys.platform} {platform.machine()}"
        return {"kind": kind, "runtime": self.runtime, "gpu": self.gpu, "driver": self.driver, "system": system}


class CachedEngine(NamedTuple):
    """An engine; the file it is kept in (None where the disk did not take it); whether it was compiled just now."""

    engine: bytes
    path: Path | None
    compiled: bool


def engine_facts(
    trt: Any, data: bytes, precision: str, gpu: GpuFacts | None, *, tf32: bool = False, batch: int = 1
) -> EngineFacts:
    """The facts for an ONNX file and this machine. Without a GPU (None) no session can ever want the engine."""
    model = hashlib.sha256(data).hexdigest()
    here = (gpu.model, gpu.driver) if gpu else (NO_GPU, NO_GPU)
    return EngineFacts(model, precision, tf32, batch, title(trt), *here)


def open_cache() -> SealedCache:
    """This user's cache of engines."""
    return SealedCache(cache_folder() / "engines", secret_file())


def find_engine(facts: EngineFacts, name: str, cache: SealedCache, make: Callable[[bytes], Built]) -> CachedEngine:
    """The engine for these facts. `make` compiles it, given what earlier builds learnt; called where none is kept.

    Raises what `make` raises. A full disk costs the keeping, not the engine.
    """
    kept = cache.load(facts.of("engine"))
    if kept is not None:
        return CachedEngine(kept, cache.path(facts.of("engine")), False)
    if facts.on_this_gpu:
        log.warning("%s is compiled for %s: this can take minutes, once", name, facts.gpu)
    timings = cache.load(facts.machine("timings")) or b""
    built = make(timings)
    if built.timings and built.timings != timings:
        cache.store(facts.machine("timings"), built.timings)
    return CachedEngine(built.engine, cache.store(facts.of("engine"), built.engine), True)

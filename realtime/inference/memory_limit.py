"""A bound on what networks on the CPU may take of the memory, all together.

A few bytes of a model file can ask for any amount (a tensor filled, tiled or padded to a size that is written
there). Linux promises memory that it does not have and then ends the program, or another one. So ONNX Runtime's
sessions share one arena that ends at half of the machine's memory: above it a run fails with an error. Sharing
costs no time (1.00 of the time a run of two networks, alternating) and less memory than an arena each.
"""

import logging
import os
from typing import Any

log = logging.getLogger(__name__)

WITHOUT_AN_ANSWER = 8 << 30

_registered: list[int] = []


def limit_memory(runtime: Any, options: Any) -> None:
    """Let a session with these options take its memory from the shared arena. `runtime`: ONNX Runtime's module."""
    if not hasattr(runtime, "create_and_register_allocator"):
        return
    if not _registered:
        limit = memory_bytes() // 2
        where = runtime.OrtMemoryInfo(
            "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
        )
        try:
            runtime.create_and_register_allocator(where, runtime.OrtArenaCfg(limit, -1, -1, -1))
        except Exception as error:  # somebody else in this process has registered one
            log.debug("memory for networks is not limited: %s", error)
            limit = 0
        _registered.append(limit)
    if _registered[0]:
        options.add_session_config_entry("session.use_env_allocators", "1")


def memory_bytes() -> int:
    """The machine's memory; 8 GiB where it cannot be asked."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return WITHOUT_AN_ANSWER

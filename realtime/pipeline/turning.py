"""Turns an open loop until it ends, is told to, or has run long enough; says its live line once a second."""

from collections.abc import Callable, Sequence

from realtime.audio.voice_pipeline import Work
from realtime.clock import NS_PER_S, Clock
from realtime.pipeline.hotkeys import typed_keys
from realtime.pipeline.loop import Loop, run_live, run_offline
from realtime.threads import Crew


def turn_offline(loop: Loop, *, limit_s: float | None, say: Callable[[], None], clock: Clock) -> None:
    """Every frame of the source, in the caller's thread. `say` is called once a second."""
    started = last_line = clock()

    def stop() -> bool:
        nonlocal last_line
        now = clock()
        if now - last_line > NS_PER_S:
            last_line = now
            say()
        return limit_s is not None and now - started >= limit_s * NS_PER_S

    run_offline(loop, stop)


def turn_live(
    loop: Loop,
    works: Sequence[Work],
    *,
    limit_s: float | None,
    say: Callable[[], None],
    press: Callable[[str], None],
    clock: Clock,
) -> None:
    """In threads, with the newest frame winning; `press` gets the keys that are typed, but q, which ends it."""
    with Crew() as crew, typed_keys() as read_key:
        for work in works:
            crew.start(work.name, work.do, work.unblock)
        run_live(loop, crew)
        started = last_line = clock()
        while not crew.wait("output", 0):
            key = read_key(0.1)
            if key == "q":
                break
            if key:
                press(key)
            now = clock()
            if now - last_line >= NS_PER_S:
                last_line = now
                say()
            if limit_s is not None and now - started >= limit_s * NS_PER_S:
                break

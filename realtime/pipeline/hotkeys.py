"""Single keys typed in the terminal while the loop runs."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import get_args

from realtime.config import ColorTransfer, Region, Settings

_COLORS: tuple[str, ...] = get_args(ColorTransfer)
_REGIONS: tuple[str, ...] = get_args(Region)
_MISSES = ("hold", "card", "blur")
_DIGITS = tuple("123456789")


def changed(settings: Settings, key: str, avatars: Sequence[str] = ()) -> Settings | None:
    """The settings after a key, None where the key means nothing. `avatars`: those to choose from. Pure."""
    change: dict[str, object]
    if key == "m":
        change = {"mirror": not settings.mirror}
    elif key == "p":
        change = {"panic": not settings.panic}  # slate and silence at once, and back
    elif key == "c":
        change = {"color_transfer": _next(_COLORS, settings.color_transfer)}
    elif key == "h":
        change = {"on_miss": _next(_MISSES, settings.on_miss)}
    elif key == "r":
        change = {"reference": settings.reference + 1}  # the driver's pose of now is the neutral one
    elif key == "e":
        change = {"region": _next(_REGIONS, settings.region)}
    elif avatars and (key in ("a", "A") or key in _DIGITS[: len(avatars)]):
        now = avatars.index(settings.avatar) if settings.avatar in avatars else 0
        chosen = _DIGITS.index(key) if key in _DIGITS else (now + (1 if key == "a" else -1)) % len(avatars)
        change = {"avatar": avatars[chosen]}
    elif key in "+-":
        change = {"mask_blur": min(200, max(0, settings.mask_blur + (5 if key == "+" else -5)))}
    else:
        return None
    return settings.model_copy(update=change)


def _next(choices: tuple[str, ...], now: str) -> str:
    return choices[(choices.index(now) + 1) % len(choices)] if now in choices else choices[0]


@contextmanager
def typed_keys() -> Iterator[Callable[[float], str]]:
    """Gives `read(timeout_s)`: the next key, or "" when none came. Without a terminal it only waits.

    The terminal is put back as it was, whatever ends the block.
    """
    import time

    def wait(timeout_s: float) -> str:
        time.sleep(timeout_s)
        return ""

    try:
        import select
        import termios
        import tty

        interactive = sys.stdin is not None and sys.stdin.isatty()
    except ImportError:  # Windows: the page has all the controls
        interactive = False
    if not interactive:
        yield wait
        return
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def read(timeout_s: float) -> str:
        ready, _, _ = select.select([handle], [], [], timeout_s)
        return sys.stdin.read(1) if ready else ""

    try:
        tty.setcbreak(handle)
        yield read
    finally:
        with suppress(termios.error):  # a terminal that was closed
            termios.tcsetattr(handle, termios.TCSADRAIN, before)

"""The family `motion`: an avatar's still picture moves as a driver does."""

from typing import Any

from realtime.families.effect import Effect, Family


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.motion.effect import open_reenactment  # heavy: only where a network is wanted

    return open_reenactment(*args, **options)


MOTION = Family(
    name="motion",
    hint="a still picture moves as you do: masquerade run --model {name} --avatar NAME|FILE|FOLDER",
    open=_open,
    avatars="required",
    seeks_rest=True,
    exported_as=("first-order-motion",),
)

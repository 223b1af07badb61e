"""The family `figure`: a drawn or jointed whole figure moves as the driver's body and face do."""

from typing import Any

from realtime.families.effect import Effect, Family


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.figure.effect import open_figures  # heavy: only where a network is wanted

    return open_figures(*args, **options)


FIGURE = Family(
    name="figure",
    hint="a drawn figure moves as you do: masquerade run --model {name} --avatar NAME|FOLDER",
    open=_open,
    avatars="required",
    figures=True,
    may_speak=True,
)

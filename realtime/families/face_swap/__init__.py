"""The family `swap`: a network draws an identity's face over each face of the picture, in its place."""

from typing import Any

from realtime.families.effect import Effect, Family


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.face_swap.effect import open_face_swap  # heavy: only where a network is wanted

    return open_face_swap(*args, **options)


FACE_SWAP = Family(
    name="swap",
    hint="a face takes the place of yours: masquerade run --model {name}",
    open=_open,
    exported_as=("deepfacelab",),
)

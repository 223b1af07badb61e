"""The family `swap`: a network draws an identity's face over each face of the picture, in its place."""

from typing import Any

from realtime.families.effect import Effect, Family, check_known_keys
from realtime.models.card import ModelCard


def _check(card: ModelCard) -> None:
    if card.identity.kind == "none":
        raise ValueError('a swap model shows somebody: identity.kind = "none" is not possible')
    if card.input.face_type is None:
        raise ValueError("a swap model's [input] needs face_type")
    # A .dfm says itself what it is fed.
    if card.input.size is None and not any(file.lower().endswith(".dfm") for file in card.files):
        raise ValueError("a swap model's [input] needs size")
    check_known_keys(card)


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.face_swap.effect import open_face_swap  # heavy: only where a network is wanted

    return open_face_swap(*args, **options)


FACE_SWAP = Family(
    name="swap",
    check=_check,
    hint="a face takes the place of yours: masquerade run --model {name}",
    open=_open,
    exported_as=("deepfacelab",),
)

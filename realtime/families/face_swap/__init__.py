"""The families `swap` and `face`: an identity's face, or an avatar's, is drawn over each face of the picture."""

from typing import Any

from realtime.families.effect import Effect, Family


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.face_swap.effect import open_face_swap  # heavy: only where a network is wanted

    return open_face_swap(*args, **options)


def _open_avatar(*args: Any, **options: Any) -> Effect:
    from realtime.families.face_swap.avatar_face import open_avatar_face

    return open_avatar_face(*args, **options)


FACE_SWAP = Family(
    name="swap",
    hint="a face takes the place of yours: masquerade run --model {name}",
    open=_open,
    exported_as=("deepfacelab",),
)

AVATAR_FACE = Family(
    name="face",
    hint="a picture's face takes the place of yours: masquerade run --model {name} --avatar NAME|FILE|FOLDER",
    open=_open_avatar,
    avatars="required",
)

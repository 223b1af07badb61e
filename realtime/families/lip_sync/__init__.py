"""The family `lip-sync`: a voice moves the mouth of an avatar, or of the face in the source."""

from typing import Any

from realtime.families.effect import Effect, Family


def _open(*args: Any, **options: Any) -> Effect:
    from realtime.families.lip_sync.effect import open_lips  # heavy: only where a network is wanted

    return open_lips(*args, **options)


LIP_SYNC = Family(
    name="lip-sync",
    hint="a picture speaks: masquerade run --model {name} --avatar NAME|FILE --sound mic|FILE",
    open=_open,
    avatars="optional",
    speaks=True,
    shows_source=True,
    exported_as=("wav2lip",),
)

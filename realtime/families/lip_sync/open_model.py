"""From a lip-sync bundle and a voice to a character: an avatar that speaks, or the people of a video."""

from collections.abc import Callable, Sequence

from realtime.audio.delay_line import Speech
from realtime.families.effect import Effect
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar
from realtime.families.lip_sync.idle import find_head
from realtime.families.lip_sync.network import open_lip_sync
from realtime.families.motion.canvas import Background
from realtime.families.motion.mesh.head import Head
from realtime.inference.session import Session
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle


def open_lips(
    bundle: Bundle,
    speech: Speech,
    avatars: Sequence[Avatar],
    *,
    background: Callable[[str], Background | None],
    provider: str = "auto",
    precision: str = "auto",
    open_session: Callable[..., Session] | None = None,
    head: Callable[[], Head | None] = find_head,
) -> Effect:
    """The bundle's network with a voice: `avatars` speak, or without any the source's own picture does.

    `head` finds the mesh that lets avatars blink and sway. The voice is not owned. Raises ModelError, or ConfigError
    for an avatar without a face; nothing is left open then.
    """
    network = open_lip_sync(bundle, provider=provider, precision=precision, open_session=open_session)
    try:
        if avatars:
            return TalkingAvatar(network, speech, avatars, background=background, head=head())
        return LipSync(network, speech, title=bundle.card.title)
    except BaseException:
        network.close()
        raise

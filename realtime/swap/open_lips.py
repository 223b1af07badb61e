"""From a lip-sync bundle and a voice to a character: an avatar that speaks, or the people of a video."""

from collections.abc import Callable, Sequence

from realtime.avatars import Avatar
from realtime.bundle import Bundle
from realtime.character import Character
from realtime.sessions import Session
from realtime.sound.look_ahead import Speech
from realtime.swap.idle_still import find_head
from realtime.swap.lip_sync import LipSync
from realtime.swap.lip_sync_network import open_lip_sync
from realtime.swap.mesh_points import Head
from realtime.swap.stage import Background
from realtime.swap.talking_avatar import TalkingAvatar


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
) -> Character:
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

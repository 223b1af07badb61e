"""Who is to be worn when the live settings change."""

from dataclasses import replace

from realtime.models.avatar_loading import MOST_AVATARS
from realtime.models.library import find_avatar
from realtime.pipeline.active_identity import ActiveIdentity, find_role
from realtime.settings import Settings


def role_for(settings: Settings, now: ActiveIdentity, *, model: str | None, avatar: str | None) -> ActiveIdentity:
    """The role that `settings` ask for, where `now` is worn; `model` and `avatar` are those of the run's start.

    Avatars that are ready now stay ready, and the one asked for joins them from the shelf, the oldest giving way
    where there are MOST_AVATARS. Raises ConfigError, ModelError for what is not there.
    """
    role = find_role(settings.model or model or now.bundle.name, avatar)
    if not role.avatars:
        return role
    if now.bundle.name == role.bundle.name:
        # A removed avatar's picture is gone.
        role = replace(role, avatars=tuple(ready for ready in now.avatars if ready.picture.is_file()))
    if settings.avatar is None or settings.avatar in role.avatar_names:
        return role
    return replace(role, avatars=(*role.avatars, find_avatar(settings.avatar))[-MOST_AVATARS:])


def same_cast(one: ActiveIdentity, other: ActiveIdentity) -> bool:
    """True where nothing would have to be loaded to change from one to the other."""
    return (one.bundle.name, one.avatar_names) == (other.bundle.name, other.avatar_names)

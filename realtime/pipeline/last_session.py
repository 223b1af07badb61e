"""Who was worn last on the page, and how: where the next run begins."""

import logging
from pathlib import Path
from typing import Any

from realtime.config import RunConfig
from realtime.errors import ConfigError, MasqueradeError
from realtime.models.library import user_home
from realtime.pipeline.active_identity import ActiveIdentity, find_role
from realtime.pipeline.presets import Presets
from realtime.pipeline.select_identity import role_for
from realtime.settings import Settings

log = logging.getLogger(__name__)

_NAME = "last"


def last_looks(file: Path | None = None) -> Presets:
    """Where it is kept, in the form of a preset. By default the user's own."""
    return Presets(file or user_home() / "last-look.json")


def keep_look(settings: Settings) -> None:
    """Remember these settings. A disk that is full is no reason to stop: then they are not there the next time."""
    try:
        last_looks().save(_NAME, settings)
    except MasqueradeError as error:
        log.info("the look is not kept: %s", error)


def begin(config: RunConfig, *, recall: bool) -> tuple[RunConfig, ActiveIdentity, str | None]:
    """The configuration, the role and the avatar shown of a run, None for its first; where `recall`, as it was last.

    What the options of this run name wins; what it may not have, or what is no longer there, is left out.
    Raises ConfigError, ModelError.
    """
    kept = _kept() if recall else {}
    asked = config.model_fields_set
    model, avatar = kept.pop("model", None), kept.pop("avatar", None)
    look = {key: value for key, value in kept.items() if key not in asked}
    if look.get("on_miss") == "raw" or look.get("opacity", 1.0) < 1:  # that is asked for each time anew
        look = {key: value for key, value in look.items() if key not in ("on_miss", "opacity")}
    worn: RunConfig | None = None
    if model is not None and not asked & {"model", "avatar", "sound"}:
        worn = _worn(config, model)
    config = (worn or config).model_copy(update=look)
    if config.model is None:
        raise ConfigError("no model given: choose one with --model (masquerade models lists them)")
    role = find_role(config.model, config.avatar)
    if worn is not None and avatar is not None and role.avatars:
        role, avatar = _with_avatar(config, role, avatar)
    else:
        avatar = None
    if config.badge == "off" and "badge" not in asked and not role.may_hide_badge:
        config = config.model_copy(update={"badge": "on"})
    return config, role, avatar


def _kept() -> dict[str, Any]:
    try:
        return last_looks().change(_NAME)
    except ConfigError as error:
        log.info("no last look: %s", error)
        return {}


def _worn(config: RunConfig, model: str) -> RunConfig | None:
    """With that model, if it is there and needs nothing more to be worn."""
    try:
        if find_role(model, None).bundle.card.family in ("swap", "motion"):
            return config.model_copy(update={"model": model})
    except MasqueradeError as error:
        log.info("who was worn last is not there: %s", error)
    return None


def _with_avatar(config: RunConfig, role: ActiveIdentity, avatar: str) -> tuple[ActiveIdentity, str | None]:
    try:
        return role_for(Settings(avatar=avatar), role, model=config.model, avatar=config.avatar), avatar
    except MasqueradeError as error:
        log.info("the picture shown last is not there: %s", error)
    return role, None

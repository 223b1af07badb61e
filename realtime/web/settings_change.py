"""Settings as the page may change them: what `Settings` allows, and no path to a file."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from realtime.config import explain
from realtime.errors import ConfigError
from realtime.models.card import NAME_PATTERN
from realtime.settings import Settings
from realtime.text import printable

_BACKGROUND = re.compile(r"kept|blurred|#[0-9a-fA-F]{6}")


def changed_settings(now: Settings, change: Mapping[str, Any]) -> Settings:
    """All settings after `change`, which is taken whole or not at all. Raises ConfigError.

    A model, an avatar or a background that is a path may have been given on the command line, and stays; from the
    page only names and colours come.
    """
    try:
        wanted = Settings.model_validate({**now.model_dump(), **change}, strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, Settings)) from error
    for key in ("model", "avatar"):
        value = getattr(wanted, key)
        if value is not None and value != getattr(now, key) and not NAME_PATTERN.fullmatch(value):
            raise ConfigError(f"{key} = {printable(value, 80)!r} is not a name: choose one from the gallery")
    if wanted.background != now.background and not _BACKGROUND.fullmatch(wanted.background):
        raise ConfigError(
            f"background = {printable(wanted.background, 80)!r} is neither kept, blurred nor a colour like #336699"
        )
    return wanted

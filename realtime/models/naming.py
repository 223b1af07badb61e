"""What a bundle is called, made of file names and of what users write."""

import re
import unicodedata

from realtime.errors import ConfigError
from realtime.text import printable, unprintable


def name_from(stem: str) -> str:
    """A bundle's name out of a file's. Raises ConfigError where nothing of it can be kept."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:64].rstrip("-._")
    if not name:
        raise ConfigError(f"no name can be made of {printable(stem, 80)!r}: give one with --name")
    return name


def title_from(stem: str) -> str:
    """A title out of a file's name, one safe line."""
    return printable(re.sub(r"[_\s]+", " ", stem).strip(), 80)


def stated(option: str, text: str | None, do: str, limit: int = 500) -> str:
    """What a user wrote after `option`, if it is one printable line. Raises ConfigError, whose line ends with `do`."""
    if text is None or not text.strip():
        raise ConfigError(f"{option} is missing: {do}")
    odd = unprintable(text.strip())
    if odd or len(text) > limit:
        raise ConfigError(f"{option} {f'holds the character {odd}' if odd else 'is longer than {limit} letters'}: {do}")
    return text.strip()

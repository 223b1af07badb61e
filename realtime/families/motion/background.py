"""What an avatar stands before, as `Settings.background` names it."""

import re
from pathlib import Path

import numpy as np

from realtime.capture.picture import load_picture
from realtime.errors import ConfigError
from realtime.families.motion.canvas import Background, cover
from realtime.frame import Pixels
from realtime.text import printable

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def read_background(text: str) -> Background | None:
    """`kept` and `blurred`: None, the avatar's own; else a colour (#rrggbb) or a picture's file. Raises ConfigError."""
    if text in ("kept", "blurred"):
        return None
    if _COLOUR.fullmatch(text):
        red, green, blue = (int(text[at : at + 2], 16) for at in (1, 3, 5))
        return lambda size: np.full((size[1], size[0], 3), (blue, green, red), np.uint8)
    path = Path(text)
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise ConfigError(
            f"background = {printable(text, 80)!r} is neither kept, blurred, a colour like #336699 nor a picture's file"
        )
    pixels = load_picture(path)

    def picture(size: tuple[int, int]) -> Pixels:
        return cover(pixels, size)

    return picture

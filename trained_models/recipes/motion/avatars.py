"""The built-in avatars: rendered and drawn people from seeds, each a picture and a card in `trained_models/avatars`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.models.bundle import hash_file
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.person import PersonSpec, calibration
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology

STATEMENT = {False: "Rendered character. No real person.", True: "Drawn character. No real person."}
CARD = """\
# {description} Drawn by `python -m trained_models.recipes.motion avatars`, seed {seed}.
schema = 1
name = "{name}"
title = "{title}"
licence = "CC0-1.0"

[identity]
kind = "synthetic"
statement = "{statement}"

[picture]
file = "{file}"
sha256 = "{digest}"
"""
JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Sitter:
    """Who sits for a portrait and how: `smile` 0..1, `light` and `room` seeds; `cut_out`: a transparent PNG."""

    name: str
    title: str
    seed: int
    description: str
    style: str | None = None
    cartoon: bool = False
    smile: float = 0.3
    light: int = 12
    room: int = 3
    cut_out: bool = False
    size: tuple[int, int] = (1280, 720)


SITTERS = (
    Sitter("mira", "Mira", 700_010, "A young woman with a black bob.", smile=0.4),
    Sitter("otto", "Otto", 700_039, "An older man with grey hair.", light=5),
    Sitter("finn", "Finn", 700_021, "A drawn boy with orange hair.", cartoon=True, light=9),
    Sitter("zola", "Zola", 700_026, "A drawn woman with orange hair.", cartoon=True, light=7),
    Sitter(
        *("yuki", "Yuki", 700_015, "A drawn character, cut out: the background is transparent."),
        **{"cartoon": True, "cut_out": True, "size": (720, 720)},
    ),
)


def portrait(sitter: Sitter) -> Any:
    """The picture, (h, w, 3) or with alpha (h, w, 4), uint8 BGR(A)."""
    width, height = sitter.size
    renderer, names = Renderer(width, height, 2), topology().actions
    PersonSpec(sitter.seed, sitter.style, cartoon=sitter.cartoon, wears=False).load_into(renderer)
    actions = np.zeros(len(names), np.float32)
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        actions[names.index(name)] = sitter.smile
    driven = calibration(renderer).drive(actions)
    centre = renderer.scene.person.centre
    target = centre + np.array([0.0, -0.40, 0.3])
    place = target + 10.0 * np.array([0.0, 0.02, 1.0])
    view_deg = float(2 * np.degrees(np.arctan(4.8 / 2 / 10.0)))
    moment = Moment(driven, (0, 0, 0), (0, 0), view_deg, lambda _: (place, target), Light(sitter.light))
    if not sitter.cut_out:
        return renderer.picture(moment, background(sitter.room, width, height)).pixels[..., ::-1]
    white, black = (np.full((height, width, 3), level, np.float32) for level in (1.0, 0.0))
    first = renderer.picture(moment, white)
    light = first.pixels.astype(np.float32)
    dark = renderer.picture(moment, black, Camera(exposure=first.exposure)).pixels.astype(np.float32)
    # What lets the white through is what is not there.
    span = float(np.median((light - dark)[:20, :20]))
    alpha = np.clip(1.0 - (light - dark).mean(axis=2) / max(span, 1.0), 0, 1)
    colour = np.where(alpha[..., None] > 0.02, dark / np.maximum(alpha[..., None], 0.02), 0)
    whole = np.dstack([np.clip(colour[..., ::-1], 0, 255), alpha * 255])
    return (whole + 0.5).astype(np.uint8)


def write_avatar(sitter: Sitter, folder: Path) -> Path:
    """Draw a sitter and write the card; the folder."""
    home = folder / sitter.name
    home.mkdir(parents=True, exist_ok=True)
    picture = home / ("picture.png" if sitter.cut_out else "picture.jpg")
    how = [cv2.IMWRITE_PNG_COMPRESSION, 9] if sitter.cut_out else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    if not cv2.imwrite(str(picture), np.ascontiguousarray(portrait(sitter)), how):
        raise OSError(f"{picture} could not be written")
    card = CARD.format(
        **{"name": sitter.name, "title": sitter.title, "description": sitter.description, "seed": sitter.seed},
        **{"statement": STATEMENT[sitter.cartoon], "file": picture.name, "digest": hash_file(picture)},
    )
    (home / "avatar.toml").write_text(card, encoding="utf-8")
    return home

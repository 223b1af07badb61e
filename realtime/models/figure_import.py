"""Takes figures among the user's avatars: a folder with `figure.json`, a character of AnimatedDrawings as it is,
layered art, or the pictures of a face that only talks and blinks."""

import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tomli_w
import yaml

from realtime.capture.picture import SUFFIXES, decode_picture, open_picture
from realtime.errors import ConfigError
from realtime.models.avatar import AVATAR_FILE, StoredAvatar, read_avatar_card
from realtime.models.bundle import hash_file
from realtime.models.card import name_from, require_consent, title_from
from realtime.models.figure import DRAWING_FILE, FIGURE_FILE, MOST_BYTES, Rig, is_figure_folder, read_rig
from realtime.models.figure_from_art import figure_from_art
from realtime.models.layered_art import WORK_PX, is_layered_art
from realtime.models.library import AVATARS, new_card
from realtime.text import printable

MOST_PICTURE_BYTES = 16 << 20
PREVIEW = "picture.png"
TALKING = ("closed", "open", "blink", "open-blink")
"""What the pictures of a talking face show: the mouth, and the lids where they are closed."""
MOST_NAMED = 20
log = logging.getLogger(__name__)
_CANVAS_PX, _RIM_PX = 1080, 12  # what a drawing is scaled to, and the nothing around it
_EDGE_SIGMA_PX = 1.2
_RIM_SHARE = 0.06  # of a talking face's size: so far it may nod and turn
# AnimatedDrawings' joints: of each side in its names, ours, and how far beyond a limb's end a hand and a foot reach.
_SIDES = {"l": "left", "r": "right"}
_WRIST_AT, _TOE_BEYOND = 0.8, 0.12


def is_figure_source(source: Path) -> bool:
    """Whether `add_figure` takes a path as it is: layered art, a figure's folder, the pictures of a talking face."""
    if source.is_dir():
        return is_figure_folder(source) or bool(_talking_files(source))
    return source.is_file() and is_layered_art(source)


def add_figure(
    source: Path,
    *,
    preview: Callable[[Rig, Path], npt.NDArray[np.uint8]],
    identity: str | None,
    statement: str | None,
    name: str | None = None,
    title: str | None = None,
    licence: str | None = None,
    tell: Callable[[str], object] = log.info,
) -> StoredAvatar:
    """Keep a figure among the user's avatars, with a card that says whom it shows.

    `source`: a folder, layered art or an animated picture. `preview` draws it, (H, W, 4) BGRA. `tell` gets one line of
    layers that were not understood. Raises ConfigError for the arguments or the contents, ModelError for a broken
    figure, DeviceError where it cannot be stored.
    """
    said = require_consent(identity, statement)
    stem = source.resolve().name if source.is_dir() else source.stem
    chosen = name or name_from(stem)
    card = new_card(chosen, title_from(title or name or stem), licence, said)
    with AVATARS.adding(chosen) as unfinished:
        _take_in(source, unfinished, tell)
        rig = read_rig(unfinished)
        ok, encoded = cv2.imencode(".png", preview(rig, unfinished))
        assert ok
        (unfinished / PREVIEW).write_bytes(encoded.tobytes())
        card["picture"] = {"file": PREVIEW, "sha256": hash_file(unfinished / PREVIEW)}
        card["figure"] = {file: hash_file(unfinished / file) for file in (FIGURE_FILE, *rig.files)}
        (unfinished / AVATAR_FILE).write_text(tomli_w.dumps(card), encoding="utf-8")
        parsed = read_avatar_card(unfinished)
    return StoredAvatar(AVATARS.own / chosen, parsed)


def _take_in(source: Path, out: Path, tell: Callable[[str], object]) -> None:
    """Write a figure's folder, from whatever the user has. Raises ConfigError."""
    if (source / FIGURE_FILE).is_file():
        for file in (FIGURE_FILE, *read_rig(source).files):
            _copy(source / file, out / file)
    elif (source / DRAWING_FILE).is_file():
        _convert_drawing(source, out)
    elif source.is_dir():
        files = _talking_files(source)
        if not files:
            wanted = f"{FIGURE_FILE}, {DRAWING_FILE}, closed.png and open.png"
            raise ConfigError(f"{printable(source)} has none of {wanted}: give a figure's folder")
        _talking_face({name: decode_picture(file) for name, file in files.items()}, source, out)
    elif is_layered_art(source):
        unknown = figure_from_art(source, out)
        if unknown:
            names = printable(", ".join(unknown[:MOST_NAMED]), 400)
            more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
            tell(f"not understood, so they do not move by themselves: {names}{more}")
    else:
        _talking_face(dict(zip(TALKING, _frames(source), strict=False)), source, out)


def _talking_files(folder: Path) -> dict[str, Path]:
    """The pictures of a face that talks, by what they show.

    Empty where the two of the mouth are not there, or others are: those are photographs of somebody.
    """
    found = dict[str, Path]()
    for file in sorted(folder.iterdir()):
        stem = re.sub(r"[\s_]+", "-", file.stem.lower())
        if file.suffix.lower()[1:] not in SUFFIXES or file.name.startswith("."):
            continue
        if stem not in TALKING:
            return {}
        found.setdefault(stem, file)
    return found if {"closed", "open"} <= set(found) else {}


def _frames(file: Path) -> list[npt.NDArray[np.uint8]]:
    """The first pictures of an animated one. Raises ConfigError where there is only one."""
    with open_picture(file) as image:
        count = getattr(image, "n_frames", 1)
        if count < 2:
            raise ConfigError(
                f"{printable(file)} is one picture: give an animated one, whose pictures are {', '.join(TALKING)}"
            )
        found = []
        for number in range(min(count, len(TALKING))):
            try:
                image.seek(number)
                rgba = np.asarray(image.convert("RGBA"), np.uint8)
            except Exception as error:  # damaged files make Pillow raise nearly anything
                raise ConfigError(f"{printable(file)} is damaged or cut off: give another file") from error
            found.append(np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]))
    return found


def _talking_face(pictures: Mapping[str, npt.NDArray[np.uint8]], source: Path, out: Path) -> None:
    """A figure of whole pictures with the mouth closed and open, and with lids closed: one of them is shown."""
    sizes = {picture.shape[:2] for picture in pictures.values()}
    if len(sizes) > 1:
        raise ConfigError(f"the pictures in {printable(source)} differ in size: save them from one canvas")
    rows, columns = sizes.pop()
    scale = min(WORK_PX / max(rows, columns), 1.0)
    width, height = max(round(columns * scale), 32), max(round(rows * scale), 32)
    layers, tops = [], []
    for name, picture in pictures.items():
        solid = picture if picture.shape[2] == 4 else np.dstack([picture, np.full((rows, columns), 255, np.uint8)])
        solid = np.asarray(cv2.resize(solid, (width, height), interpolation=cv2.INTER_AREA))
        ok, encoded = cv2.imencode(".png", solid)
        assert ok
        (out / f"{name}.png").write_bytes(encoded.tobytes())
        seen = np.flatnonzero(solid[..., 3].max(axis=1) > 99)
        tops.append(int(seen[0]) if len(seen) else 0)
        layer = {"name": name, "image": f"{name}.png", "at": [0, 0], "depth": 0}
        layer["mouth"] = "ah" if name.startswith("open") else "neutral"
        if name.endswith("blink"):
            layer["closed"] = "eyeBlinkLeft"
        elif ("blink" if name == "closed" else "open-blink") in pictures:
            layer["open"] = "eyeBlinkLeft"
        layers.append(layer)
    middle, rim = width / 2, _RIM_SHARE * max(width, height)
    joints = {"hips": (middle, height), "neck": (middle, 0.72 * height), "head": (middle, 0.4 * height)}
    for side, out_by in (("l", 0.18 * width), ("r", -0.18 * width)):
        for number, joint in enumerate(("shoulder", "elbow", "wrist", "hand")):
            joints[f"{side}_{joint}"] = (middle + out_by, (0.76 + 0.08 * number) * height)
        for number, joint in enumerate(("hip", "knee", "ankle", "toe")):
            joints[f"{side}_{joint}"] = (middle + out_by / 2, (1.0 + 0.02 * number) * height)
    head = {
        "size": [round(width + 2 * rim), round(height + 2 * rim)], "centre": [middle + rim, 0.4 * height + rim],
        "place": joints["head"], "pivot": joints["neck"], "radius": 0.3 * min(width, height),
        "layers": [layer | {"at": [rim, rim]} for layer in layers],
    }  # fmt: skip
    rig = {
        "name": printable(source.stem, 80), "licence": "unknown", "size": [width, height], "floor": height,
        "top": min(tops), "joints": joints, "head": head,
    }  # fmt: skip
    (out / FIGURE_FILE).write_text(json.dumps(rig), encoding="utf-8")


def _copy(file: Path, to: Path) -> None:
    try:
        if file.stat().st_size > MOST_PICTURE_BYTES:
            raise ConfigError(f"{printable(file)} is larger than 16 MB: give a smaller picture")
        shutil.copyfile(file, to)
    except OSError as error:
        raise ConfigError(f"{printable(file)} cannot be read ({error.strerror}): check the figure's folder") from error


def _convert_drawing(source: Path, out: Path) -> None:
    """A character folder of AnimatedDrawings (texture.png, mask.png, char_cfg.yaml) as a flat figure of ours."""
    skeleton = _read_skeleton(source / DRAWING_FILE)
    colour = decode_picture(source / "texture.png")[..., :3]
    mask = np.ascontiguousarray(decode_picture(source / "mask.png")[..., 0])
    if mask.shape != colour.shape[:2]:
        raise ConfigError(f"texture.png and mask.png in {printable(source)} differ in size: export the character again")
    scale = _CANVAS_PX / colour.shape[0]
    size = max(round(colour.shape[1] * scale), 1), _CANVAS_PX
    large = cv2.resize(np.ascontiguousarray(colour), size, interpolation=cv2.INTER_CUBIC)
    solid = (cv2.resize(mask, size) > 127).astype(np.uint8) * 255
    alpha = cv2.GaussianBlur(solid, (0, 0), _EDGE_SIGMA_PX)
    picture = cv2.copyMakeBorder(np.dstack([large, alpha]), *(_RIM_PX,) * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    rows = np.flatnonzero(picture[..., 3].max(axis=1) > 99)
    if not len(rows):
        raise ConfigError(f"mask.png in {printable(source)} is empty: export the character again")
    at = {name: np.array(place) * scale + _RIM_PX for name, place in skeleton.items()}
    joints = {"hips": at["root"], "neck": at["torso"], "head": at["neck"]}
    for side, word in _SIDES.items():
        elbow, hand, knee, foot = (at[f"{word}_{joint}"] for joint in ("elbow", "hand", "knee", "foot"))
        joints |= {f"{side}_shoulder": at[f"{word}_shoulder"], f"{side}_elbow": elbow, f"{side}_hand": hand}
        joints |= {f"{side}_wrist": elbow + _WRIST_AT * (hand - elbow), f"{side}_hip": at[f"{word}_hip"]}
        joints |= {f"{side}_knee": knee, f"{side}_ankle": foot, f"{side}_toe": foot + _TOE_BEYOND * (foot - knee)}
    rig = {
        "name": printable(source.resolve().name, 80),
        "licence": "unknown",
        "size": [picture.shape[1], picture.shape[0]],
        "floor": float(rows[-1]),
        "top": float(rows[0]),
        "picture": "source.png",
        "joints": {name: [round(float(v), 1) for v in place] for name, place in joints.items()},
    }
    ok, encoded = cv2.imencode(".png", picture)
    assert ok
    (out / "source.png").write_bytes(encoded.tobytes())
    (out / FIGURE_FILE).write_text(json.dumps(rig), encoding="utf-8")


def _read_skeleton(file: Path) -> Mapping[str, tuple[float, float]]:
    """Where each of AnimatedDrawings' joints is, in the texture's pixels. Raises ConfigError."""
    words = ("shoulder", "elbow", "hand", "hip", "knee", "foot")
    wanted = ("root", "torso", "neck", *(f"{side}_{word}" for side in _SIDES.values() for word in words))
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{printable(file)} is larger than 1 MB: give a character's own file")
        said: Any = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        places = {joint["name"]: (float(joint["loc"][0]), float(joint["loc"][1])) for joint in said["skeleton"]}
        missing = [name for name in wanted if name not in places]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{printable(file)} cannot be read: export the character again") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ConfigError(f"{printable(file)} is no character of AnimatedDrawings: it has no skeleton") from error
    if missing or not np.isfinite(list(places.values())).all():
        raise ConfigError(f"{printable(file)} lacks joints ({', '.join(missing[:4])}): export the character again")
    return places

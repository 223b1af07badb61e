"""Takes figures among the user's avatars: a folder with `figure.json`, or a character of AnimatedDrawings as it is."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tomli_w
import yaml

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError
from realtime.models.avatar import AVATAR_FILE, StoredAvatar, read_avatar_card
from realtime.models.bundle import hash_file
from realtime.models.card import name_from, require_consent, title_from
from realtime.models.figure import DRAWING_FILE, FIGURE_FILE, MOST_BYTES, Rig, is_figure_folder, read_rig
from realtime.models.library import AVATARS, new_card
from realtime.text import printable

MOST_PICTURE_BYTES = 16 << 20
PREVIEW = "picture.png"
_CANVAS_PX, _RIM_PX = 1080, 12  # what a drawing is scaled to, and the nothing around it
_EDGE_SIGMA_PX = 1.2
# AnimatedDrawings' joints: of each side in its names, ours, and how far beyond a limb's end a hand and a foot reach.
_SIDES = {"l": "left", "r": "right"}
_WRIST_AT, _TOE_BEYOND = 0.8, 0.12


def add_figure(
    source: Path,
    *,
    preview: Callable[[Rig, Path], npt.NDArray[np.uint8]],
    identity: str | None,
    statement: str | None,
    name: str | None = None,
    licence: str | None = None,
) -> StoredAvatar:
    """Keep a figure's folder among the user's avatars, with a card that says whom it shows.

    `preview` draws it, (H, W, 4) BGRA. Raises ConfigError for the arguments or the folder's contents, ModelError for a
    broken figure, DeviceError where it cannot be stored.
    """
    said = require_consent(identity, statement)
    if not is_figure_folder(source):
        raise ConfigError(f"{printable(source)} has neither {FIGURE_FILE} nor {DRAWING_FILE}: give a figure's folder")
    chosen = name or name_from(source.resolve().name)
    card = new_card(chosen, title_from(name or source.resolve().name), licence, said)
    with AVATARS.adding(chosen) as unfinished:
        if (source / FIGURE_FILE).is_file():
            for file in (FIGURE_FILE, *read_rig(source).files):
                _copy(source / file, unfinished / file)
        else:
            _convert_drawing(source, unfinished)
        rig = read_rig(unfinished)
        ok, encoded = cv2.imencode(".png", preview(rig, unfinished))
        assert ok
        (unfinished / PREVIEW).write_bytes(encoded.tobytes())
        card["picture"] = {"file": PREVIEW, "sha256": hash_file(unfinished / PREVIEW)}
        card["figure"] = {file: hash_file(unfinished / file) for file in (FIGURE_FILE, *rig.files)}
        (unfinished / AVATAR_FILE).write_text(tomli_w.dumps(card), encoding="utf-8")
        parsed = read_avatar_card(unfinished)
    return StoredAvatar(AVATARS.own / chosen, parsed)


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

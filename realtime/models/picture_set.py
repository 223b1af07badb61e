"""Picture sets: a few key pictures of one person with their landmarks, which a `swap` bundle is drawn from.

A set may come from anywhere: sizes are read before anything is decoded, and every refusal is one line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tomli_w

from realtime.capture.picture import decode_picture, open_picture
from realtime.errors import ConfigError
from realtime.frame import Floats, Pixels
from realtime.inference.file_kind import read_arrays
from realtime.models.bundle import PREVIEW_FILE, Bundle, hash_file
from realtime.models.card import CARD_FILE, POINTS_FILE, Expression, PictureEntry, View, parse_card, refusal

SIDES = range(256, 769)  # pixels; 512 is usual
LANDMARKS = 478
WEBP_QUALITY = 92
PREVIEW_SIDE = 256
_MEND = "make the pictures again"


@dataclass(frozen=True, slots=True, eq=False)
class KeyPicture:
    """One picture of a person.

    `pixels`: (S, S, 3) uint8 BGR, S in `SIDES`. `points`: (478, 3) float32, MediaPipe's landmarks in its pixels, z in
    the same unit, smaller is nearer. `skin`: (S, S) uint8, 255 where bare skin or a lip is; None where nobody said.
    """

    pixels: Pixels
    points: Floats
    expression: Expression = "rest"
    view: View = "front"
    skin: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
    """The key pictures of one person, each of another expression or view; that at rest, from the front, is first."""

    keys: tuple[KeyPicture, ...]

    @property
    def rest(self) -> KeyPicture:
        """The picture at rest, from the front."""
        return self.keys[0]

    def find(self, expression: Expression, view: View = "front") -> KeyPicture | None:
        """The picture of an expression and view; None where the set has none."""
        return next((key for key in self.keys if (key.expression, key.view) == (expression, view)), None)


def skin_file(picture: str) -> str:
    """The name of the skin map that belongs to a picture's file."""
    return f"{Path(picture).stem}_skin.png"


def read_picture_set(bundle: Bundle) -> PictureSet:
    """The pictures of a `swap` bundle whose card lists some. Raises ModelError, in one line."""
    entries = sorted(bundle.card.pictures, key=lambda entry: (entry.expression, entry.view) != ("rest", "front"))
    points = read_arrays(bundle.path(POINTS_FILE), *(Path(entry.file).stem for entry in entries))
    keys = (_read(bundle, entry, found) for entry, found in zip(entries, points, strict=True))
    return PictureSet(tuple(keys))


def _read(bundle: Bundle, entry: PictureEntry, points: npt.NDArray[Any]) -> KeyPicture:
    pixels = _decoded(bundle, entry.file)
    side = pixels.shape[0]
    if points.shape != (LANDMARKS, 3) or not np.abs(points).max() <= 2 * side:  # NaN is no number at most
        what = f"the landmarks of {entry.file} are not {LANDMARKS} points of that picture"
        raise refusal(bundle.folder, what, _MEND)
    skin = None
    if skin_file(entry.file) in bundle.card.files:
        skin = np.ascontiguousarray(_decoded(bundle, skin_file(entry.file))[..., 1])
        if skin.shape[0] != side:
            raise refusal(bundle.folder, f"{skin_file(entry.file)} is not as large as {entry.file}", _MEND)
    landmarks = np.ascontiguousarray(points, np.float32)
    return KeyPicture(np.ascontiguousarray(pixels[..., :3]), landmarks, entry.expression, entry.view, skin)


def _decoded(bundle: Bundle, file: str) -> Pixels:
    path = bundle.path(file)
    try:
        with open_picture(path) as image:
            width, height = image.size
        if width != height or width not in SIDES:
            size = f"it must be a square of {SIDES.start} to {SIDES.stop - 1}"
            raise refusal(bundle.folder, f"{file} has {width}x{height} pixels, and {size}", _MEND)
        return decode_picture(path)
    except ConfigError as error:
        raise refusal(bundle.folder, f"{file} is no whole picture", _MEND) from error


def write_picture_set(folder: Path, keys: Sequence[KeyPicture], card: Mapping[str, Any]) -> None:
    """Write the pictures, their points and `model.toml` into a folder that is there, and a preview of the first.

    `card`: what a card begins with (`realtime.models.library.new_card`), and [training] and [measured] where there are
    any. Raises ModelError where that is no card, or the pictures are no set.
    """
    names = [f"{key.expression}_{key.view}" for key in keys]
    files: dict[str, bytes] = {}
    for name, key in zip(names, keys, strict=True):
        files[f"{name}.webp"] = _encoded(".webp", key.pixels, cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY)
        if key.skin is not None:
            files[skin_file(name)] = _encoded(".png", key.skin, cv2.IMWRITE_PNG_COMPRESSION, 9)
    points = {name: key.points.astype(np.float32) for name, key in zip(names, keys, strict=True)}
    packed = BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **points)
    files[POINTS_FILE] = packed.getvalue()
    small = cv2.resize(keys[0].pixels, (PREVIEW_SIDE, PREVIEW_SIDE), interpolation=cv2.INTER_AREA)
    (folder / PREVIEW_FILE).write_bytes(_encoded(".jpg", np.asarray(small, np.uint8), cv2.IMWRITE_JPEG_QUALITY, 92))
    for file, content in files.items():
        (folder / file).write_bytes(content)
    entries = [
        {"file": f"{name}.webp", "expression": key.expression, "view": key.view}
        for name, key in zip(names, keys, strict=True)
    ]
    head = {name: value for name, value in card.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in card.items() if isinstance(value, dict)}
    digests = {file: hash_file(folder / file) for file in files}
    text = tomli_w.dumps({**head, "family": "swap", "pictures": entries, "files": digests, **tables})
    parse_card(text.encode(), folder)
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _encoded(suffix: str, pixels: npt.NDArray[np.uint8], flag: int, value: int) -> bytes:
    return np.asarray(cv2.imencode(suffix, pixels, [flag, value])[1], np.uint8).tobytes()

"""Chooses the avatars that `--avatar` names, decodes their pictures and finds their faces."""

import logging
import math
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime.capture.picture import SUFFIXES
from realtime.errors import ConfigError, ModelError
from realtime.frame import Pixels
from realtime.imaging.sdr import over_grey
from realtime.models.avatar import (
    AVATAR_FILE,
    Avatar,
    MorePixels,
    StoredAvatar,
    avatar_pixels,
    open_avatar,
    read_avatar_card,
)
from realtime.models.bundle import hash_file
from realtime.models.expressions import unrest
from realtime.models.figure import FigureFiles, is_figure_folder, read_rig
from realtime.models.library import AVATARS
from realtime.text import printable
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles

log = logging.getLogger(__name__)

MOST_AVATARS = 40  # kept ready: each takes 5 to 20 MB, by its size and the output's
MAX_PICTURE_BYTES = 256 << 20  # no camera's file is larger
LEAST_FACE_PX = 48  # of a face's height: a smaller one has no lips to move
MOST_TURN_DEG = 38.0  # to any side: of a profile half the face is missing
MOST_VIEW_DEG = 55.0  # of a further picture, which shows one side

Find = Callable[[Pixels], list[Face]]
"""All faces of a still picture."""


def choose_avatars(spec: str | None, *, figures: bool = False) -> tuple[StoredAvatar, ...]:
    """The avatars that `--avatar` names: one of the library, a picture's file, or all pictures of a folder.

    A folder that was added whole is one avatar, of one person. None: those that come with masquerade. `figures`: those
    with joints are wanted, else pictures. Raises ConfigError for one of the other kind, for a picture that no card
    vouches for, for a folder without pictures or with more than MOST_AVATARS; ModelError for an unknown name.
    """
    if spec is None:
        stored = (open_avatar(folder) for folder in AVATARS.folders() if folder.parent == AVATARS.built_in)
        built_in = tuple(avatar for avatar in stored if avatar.is_figure == figures)
        if not built_in:
            raise ConfigError("no avatar given: choose a picture with --avatar (masquerade avatars lists yours)")
        return built_in
    path = Path(spec)
    try:
        if AVATARS.folder(spec) is None:  # a file of the same name in the current folder does not hide an avatar
            if path.is_dir():
                return _figure_in(path, figures=figures) or _one_person(path) or _in_folder(path)
            if path.is_file():
                return (_avatar_of_picture(path),)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--avatar {printable(spec)} cannot be read: check the path") from error
    return (_of_kind(AVATARS.find(spec), figures=figures),)


def is_figure(name: str) -> bool:
    """Whether the library's avatar of that name, or what lies in that folder, has joints; False for what is broken."""
    try:
        folder = AVATARS.folder(name) or Path(name)
        return is_figure_folder(folder) or bool(read_avatar_card(folder).figure)
    except (ModelError, OSError, ValueError):
        return False


def _figure_in(folder: Path, *, figures: bool) -> tuple[StoredAvatar, ...]:
    """The figure in a folder with its card; empty where the folder holds none. Raises ConfigError without a card."""
    if (folder / AVATAR_FILE).is_file():
        return (_of_kind(open_avatar(folder), figures=figures),)
    if is_figure_folder(folder):
        raise _not_vouched(folder)
    return ()


def _of_kind(avatar: StoredAvatar, *, figures: bool) -> StoredAvatar:
    """The avatar, if it is what the model moves. Raises ConfigError."""
    if avatar.is_figure == figures:
        return avatar
    if figures:
        raise ConfigError(f"avatar {avatar.name} is a picture without joints: choose a figure (masquerade avatars)")
    raise ConfigError(f"avatar {avatar.name} is a figure: run it with --model figure")


def _one_person(folder: Path) -> tuple[StoredAvatar, ...]:
    """The avatar that all pictures of a folder belong to; empty where there is none.

    Raises ConfigError where no card vouches for any of them.
    """
    files = pictures_in(folder)
    if len(files) > MOST_AVATARS:
        many = f"has {len(files)} pictures, and {MOST_AVATARS} at most are kept ready"
        raise ConfigError(f"{printable(folder)} {many}: take a folder with fewer")
    wanted, known = {_hash_of(file) for file in files}, set[str]()
    for stored, vouched in _vouched():
        known |= vouched
        if len(wanted) > 1 and wanted <= vouched:
            return (open_avatar(stored),)
    if len(wanted) > 1 and not wanted & known:
        raise _not_vouched(folder)
    return ()


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name. Raises ConfigError where there is none."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower()[1:] in SUFFIXES and not f.name.startswith("."))
    if not files:
        raise ConfigError(f"there is no picture in {printable(folder)}: give a folder of pictures, or one picture")
    return files


def _in_folder(folder: Path) -> tuple[StoredAvatar, ...]:
    found: dict[str, StoredAvatar] = {}
    for file in pictures_in(folder):
        avatar = _avatar_of_picture(file)
        found.setdefault(avatar.card.name, avatar)  # the same picture twice is one avatar
    return tuple(found.values())


def _avatar_of_picture(picture: Path) -> StoredAvatar:
    """The avatar whose picture is this file's, byte for byte: a picture is shown only if a card vouches for it.

    Raises ConfigError with the command that adds it, where there is none.
    """
    wanted = _hash_of(picture)
    for folder, vouched in _vouched():
        if wanted in vouched:
            return open_avatar(folder)
    raise _not_vouched(picture)


def _hash_of(picture: Path) -> str:
    """The hash of a picture's file. Raises ConfigError for one that cannot be read, or is too large."""
    try:
        if picture.stat().st_size > MAX_PICTURE_BYTES:
            raise ConfigError(f"{printable(picture)} is larger than any picture: give another file")
        return hash_file(picture)
    except OSError as error:
        raise ConfigError(f"{printable(picture)} cannot be read ({error.strerror}): check the path") from error


def _vouched() -> Iterator[tuple[Path, set[str]]]:
    """The folder of each avatar and the hashes of its pictures."""
    for folder in AVATARS.folders():
        try:
            card = read_avatar_card(folder)
        except ModelError:
            continue  # a broken one vouches for nothing; `masquerade avatars` names it
        yield folder, {picture.sha256 for picture in (card.picture, *card.pictures)}


def _not_vouched(path: Path) -> ConfigError:
    return ConfigError(
        f"nobody has said yet whose face {printable(path)} shows: "
        f"masquerade avatars add {printable(shlex.quote(os.fspath(path)))} "
        '--identity synthetic|self|consented --statement "who it is and how they agreed"'
    )


def ready_avatars(stored: Sequence[StoredAvatar], find: Find | None) -> list[Avatar]:
    """The pictures decoded, and their faces found by `find`; None for a model that needs none.

    Of several, one without a usable face is left out with a warning. Raises ConfigError where none is left.
    """
    ready: list[Avatar] = []
    refused: list[ConfigError] = []
    for avatar in stored:
        try:
            pixels, alpha = avatar_pixels(avatar.picture)
            if avatar.is_figure:
                figure = FigureFiles(read_rig(avatar.folder), avatar.folder)
                named = avatar.name, avatar.card.title, avatar.card.identity.kind
                ready.append(Avatar(*named, pixels, alpha, figure=figure))
                continue
            face = None if find is None else usable_face(avatar.name, find(_opaque(pixels, alpha)))
            more = () if find is None else _more(avatar, find)
            named = avatar.name, avatar.card.title, avatar.card.identity.kind
            ready.append(Avatar(*named, pixels, alpha, face, more=more))
        except ConfigError as error:
            refused.append(error)
    if not ready and refused:
        raise refused[0]
    for refusal in refused:
        log.warning("%s; it is left out", refusal)
    return ready


def _more(avatar: StoredAvatar, find: Find) -> tuple[MorePixels, ...]:
    """An avatar's further pictures; one without a usable face is left out with a warning."""
    found: list[MorePixels] = []
    for entry in avatar.card.pictures:
        try:
            pixels = _opaque(*avatar_pixels(avatar.folder / entry.file))
            face = usable_face(f"{avatar.name}, {entry.file}", find(pixels), most_turn_deg=MOST_VIEW_DEG)
            found.append(MorePixels(pixels, face, entry.expression, entry.view))
        except ConfigError as error:
            log.warning("%s; it is left out", error)
    return tuple(found)


def _opaque(pixels: Pixels, alpha: npt.NDArray[np.uint8] | None) -> Pixels:
    return pixels if alpha is None else over_grey(np.dstack([pixels, alpha]))


def calmest_first(files: Sequence[Path], find: Find) -> list[Path]:
    """The pictures of one person that can be used, the face that rests and looks ahead most first.

    One without a usable face is left out with a warning. Raises ConfigError where none is left.
    """
    faces: dict[Path, Face] = {}
    refused: list[ConfigError] = []
    for file in files:
        try:
            faces[file] = usable_face(printable(file.name), find(_opaque(*avatar_pixels(file))), MOST_VIEW_DEG)
        except ConfigError as error:
            refused.append(error)
            log.warning("%s; it is left out", error)
    if not faces:
        raise refused[0]
    return sorted(faces, key=lambda file: unrest(faces[file]))


def usable_face(name: str, faces: Sequence[Face], most_turn_deg: float = MOST_TURN_DEG) -> Face:
    """The largest of the faces in an avatar's picture. Raises ConfigError, which says what is wrong with it."""
    if not faces:
        raise ConfigError(f"avatar {name}: no face was found in the picture: take one that shows a face from the front")
    face = max(faces, key=lambda face: face.box[3] - face.box[1])
    if len(faces) > 1:
        log.warning("avatar %s: there are %d faces in the picture, the largest is taken", name, len(faces))
    _, top, _, bottom = face.box
    pitch, yaw, _ = (abs(math.degrees(angle)) for angle in head_angles(face.pose).tolist())
    if bottom - top < LEAST_FACE_PX:
        wrong = f"{bottom - top:.0f} pixels high, at least {LEAST_FACE_PX} are needed: take a larger picture"
    elif max(pitch, yaw) > most_turn_deg:
        wrong = f"turned by {max(pitch, yaw):.0f} degrees, at most {most_turn_deg:.0f} will do: take one from the front"
    else:
        return face
    raise ConfigError(f"avatar {name}: its face is {wrong}")

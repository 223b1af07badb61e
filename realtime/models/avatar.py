"""Avatars: the still pictures that motion and lip-sync models bring to life, and the cards that say whom they show."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, ValidationError

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.resize import scaled_into
from realtime.models.bundle import check_file
from realtime.models.card import (
    MOST_PICTURES,
    Digest,
    Expression,
    FileName,
    Identity,
    IdentityKind,
    Line,
    Name,
    Schema,
    Table,
    Title,
    View,
    first_fault,
    read_card_text,
    read_table,
    refusal,
)
from realtime.models.figure import MOST_FILES, FigureFiles
from realtime.tracking.face import Face

AVATAR_FILE = "avatar.toml"

LEAST_PX = 32  # a picture with a shorter side shows nothing that could move
LARGEST_PX = 2560  # larger ones are scaled down to this longer side: more is not seen, and many are kept ready at once
OPAQUE = 250  # alpha from here on is none: pictures that were resized have a rim a little below 255


@dataclass(frozen=True, slots=True, eq=False)
class MorePixels:
    """A further picture of the same person, (H, W, 3) uint8 BGR, the face in it, and what the card says that it shows.

    `expression` and `view` None: the card does not say.
    """

    pixels: Pixels
    face: Face
    expression: Expression | None = None
    view: View | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Avatar:
    """A picture ready to be animated, and who it shows.

    `pixels`: (H, W, 3) uint8 BGR, upright, no side above 2560. `alpha`: (H, W) uint8, None where nothing shines
    through. `face`: the one that moves, in the picture's pixels; None where the model needs none and there is none.
    `more`: further pictures of the same person, where the avatar has some.
    """

    name: str
    title: str
    kind: IdentityKind
    pixels: Pixels
    alpha: npt.NDArray[np.uint8] | None = None
    face: Face | None = None
    figure: FigureFiles | None = None
    more: tuple[MorePixels, ...] = ()


def _shows_somebody(identity: Identity) -> Identity:
    if identity.kind == "none":
        raise ValueError('an avatar shows somebody, if only a drawing: kind = "none" is not possible')
    return identity


class PictureFile(Table):
    """The picture beside the card, and its hash."""

    file: FileName
    sha256: Digest


class MorePicture(PictureFile):
    """A further picture of the same person; what it does not say of itself, the tracker finds out."""

    expression: Expression | None = None
    view: View | None = None


class AvatarCard(Table):
    """Everything `avatar.toml` says; field names are the file's own, but for `schema`.

    `picture` is the one at rest, from the front; `pictures` are more of the same person. `figure`: the files of a
    figure and their hashes, `figure.json` among them; empty for a picture.
    """

    schema_version: Schema
    name: Name
    title: Title
    licence: Line
    identity: Annotated[Identity, AfterValidator(_shows_somebody)]
    picture: PictureFile
    pictures: Annotated[tuple[MorePicture, ...], Field(max_length=MOST_PICTURES, strict=False)] = ()
    figure: Annotated[dict[FileName, Digest], Field(max_length=MOST_FILES)] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAvatar:
    """An avatar's folder and card; its pictures had the card's hashes when it was opened."""

    folder: Path
    card: AvatarCard

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.card.name

    @property
    def is_figure(self) -> bool:
        """True where it has joints: a drawing that moves, no picture of a face."""
        return bool(self.card.figure)

    @property
    def picture(self) -> Path:
        """The picture's file."""
        return self.folder / self.card.picture.file


def read_avatar_card(folder: Path) -> AvatarCard:
    """The card in an avatar's folder. Raises ModelError, in one line."""
    try:
        return AvatarCard.model_validate(read_table(read_card_text(folder, AVATAR_FILE), folder, AVATAR_FILE))
    except ValidationError as error:
        raise refusal(folder, first_fault(error)) from error


def open_avatar(folder: Path) -> StoredAvatar:
    """The avatar in a folder, its picture checked against its hash. Raises ModelError."""
    card = read_avatar_card(folder)
    pictures = {picture.file: picture.sha256 for picture in (card.picture, *card.pictures)}
    for file, digest in {**pictures, **card.figure}.items():
        check_file(folder.resolve(), file, digest)
    return StoredAvatar(folder, card)


def avatar_pixels(file: Path) -> tuple[Pixels, npt.NDArray[np.uint8] | None]:
    """(H, W, 3) uint8 BGR, upright, no side above 2560, and alpha (H, W) uint8, None where all is opaque.

    Grey, palette and 16-bit pictures come out as 8-bit colour; of an animation the first picture.
    Raises ConfigError for what is no picture, or too small.
    """
    image = decode_picture(file)
    size = image.shape[1], image.shape[0]
    if min(size) < LEAST_PX:
        raise ConfigError(f"{file} is {size[0]}x{size[1]} pixels, too small: give a larger picture")
    colour, alpha = image[..., :3], image[..., 3] if image.shape[2] == 4 else None
    if alpha is not None and int(alpha.min()) >= OPAQUE:
        alpha = None
    if max(size) > LARGEST_PX:
        size = scaled_into(size, (LARGEST_PX, LARGEST_PX))
        if alpha is not None:  # what is transparent must not bleed into what is not
            colour = np.where(alpha[..., None] > 0, colour, 128).astype(np.uint8)
            alpha = np.asarray(cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_AREA), np.uint8)
        colour = np.asarray(cv2.resize(np.ascontiguousarray(colour), size, interpolation=cv2.INTER_AREA), np.uint8)
    if alpha is not None and not alpha.any():
        raise ConfigError(f"{file} is transparent all over: give a picture that shows something")
    return np.ascontiguousarray(colour), None if alpha is None else np.ascontiguousarray(alpha)

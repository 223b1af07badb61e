"""What an avatar's card says: whose face the picture shows, and which picture it is."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from realtime.models.card import Identity, Line, Title, bundle_name, digest, plain_file
from realtime.models.card_file import first_fault, read_card_text, read_table, refusal

AVATAR_FILE = "avatar.toml"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _somebodys(identity: Identity) -> Identity:
    if identity.kind == "none":
        raise ValueError('an avatar shows somebody, if only a drawing: kind = "none" is not possible')
    return identity


class PictureFile(_Table):
    """The picture beside the card, and its hash."""

    file: Annotated[str, AfterValidator(plain_file)]
    sha256: Annotated[str, AfterValidator(digest)]


class AvatarCard(_Table):
    """Everything `avatar.toml` says; field names are the file's own, but for `schema`."""

    schema_version: Annotated[int, Field(alias="schema", ge=1, le=1)]
    name: Annotated[str, AfterValidator(bundle_name)]
    title: Title
    licence: Line
    identity: Annotated[Identity, AfterValidator(_somebodys)]
    picture: PictureFile


def read_avatar_card(folder: Path) -> AvatarCard:
    """The card in an avatar's folder. Raises ModelError, in one line."""
    try:
        return AvatarCard.model_validate(read_table(read_card_text(folder, AVATAR_FILE), folder, AVATAR_FILE))
    except ValidationError as error:
        raise refusal(folder, first_fault(error)) from error

"""The card of a bundle, `model.toml`: what the model is, whose face it shows, what it needs; reading and checking it.

A card may come from anywhere, so reading one is bounded in size, depth and characters before any of it is believed,
and every refusal is one line that can be printed to a terminal as it is.
"""

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from realtime.errors import ConfigError, ModelError
from realtime.text import printable, unprintable

CARD_FILE = "model.toml"
MAX_CARD_BYTES = 64 * 1024  # far above any honest card
MAX_LINE_BYTES = 4 * 1024  # Python's TOML reader takes time quadratic in a dotted key's length
MAX_DEPTH = 8

Family = Literal["swap", "face", "motion", "lip-sync", "figure", "landmarks"]
IdentityKind = Literal["synthetic", "self", "consented", "none"]
FaceTypeName = Literal["half", "mid-full", "full", "whole_face", "head"]
ValueRange = Literal["0..1", "-1..1", "0..255"]
Expression = Literal["rest", "smile", "open", "wide", "pucker", "closed", "brows_up"]
View = Literal["front", "left", "right", "up", "down"]
POINTS_FILE = "points.npz"  # the landmarks of a picture set's key pictures
MOST_PICTURES = 20

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+()-]{0,127}")
# Windows opens a device for these, whatever the folder and the suffix.
_DEVICE_NAMES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}
# Formats that can carry code: a model file is data.
_CODE_SUFFIX = re.compile(r"\.(plan|engine|trt|pkl|pickle|pt|pth|ckpt|py|pyc|pyd|so|dll|dylib|exe|bat|sh)", re.I)


def bundle_name(text: str) -> str:
    """`text` if it can be a bundle's name. Raises ValueError."""
    if not NAME_PATTERN.fullmatch(text) or text.endswith(".") or text.partition(".")[0] in _DEVICE_NAMES:
        raise ValueError("a name is 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit")
    return text


def plain_file(name: str) -> str:
    """`name` if it can be a data file's beside a card. Raises ValueError."""
    if not _FILE_PATTERN.fullmatch(name) or name.endswith((".", " ")) or ".." in name:
        raise ValueError("a file's name is plain, without folders")
    if name.partition(".")[0].rstrip().lower() in _DEVICE_NAMES or name == CARD_FILE:
        raise ValueError("this file name is reserved")
    if _CODE_SUFFIX.fullmatch(Path(name).suffix):
        raise ValueError("this format can carry code, a bundle holds data only")
    return name


Name = Annotated[str, AfterValidator(bundle_name)]
FileName = Annotated[str, AfterValidator(plain_file)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Side = Annotated[int, Field(ge=16, le=1024)]
Schema = Annotated[int, Field(alias="schema", ge=1, le=1)]


class Table(BaseModel):
    """A table of a card: frozen, without other keys and types than these."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Identity(Table):
    """Whose face it is: `statement` says so in one line, in the words of whoever made or added the bundle."""

    kind: IdentityKind
    statement: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _has_statement(self) -> "Identity":
        if self.kind != "none" and not self.statement.strip():
            raise ValueError("statement is empty: it must say whose face this is and who agreed to its use")
        return self

    @property
    def may_hide_badge(self) -> bool:
        """True where the disclosure badge is the user's choice: the face is nobody's, or their own."""
        return self.kind in ("synthetic", "self")


class Input(Table):
    """What a network wants to be fed; a .dfm says itself all but `face_type` and `coverage`.

    `size`: the crop's side in pixels. `coverage`: the crop's side as a multiple of the mean face's, None for
    the face type's own. `colour`, `layout`, `range` describe the picture's numbers. `blendshapes`, `pose`,
    `lips`, `morph`: further inputs the network may have. `subject`: what a motion model moves, a `face`, or `any`
    thing.
    """

    size: Side | None = None
    face_type: FaceTypeName | None = None
    coverage: Annotated[float, Field(ge=0.1, le=8.0, strict=False)] | None = None
    colour: Literal["BGR", "RGB"] = "BGR"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    range: ValueRange = "0..1"
    blendshapes: bool = False
    pose: bool = False
    lips: bool = False
    morph: bool = False
    subject: Literal["face", "any"] = "face"


class Output(Table):
    """The names of a swap network's outputs; `driver_mask` None where it has none.

    `driver_mask`: where the driver's own face is, a soft mask to be shaped with the other; `visible`: where it shows,
    an outline that hands and hair are cut out of, taken as it is. `features`: what a fine variant draws from,
    `fine` the output of that second network (`fine.onnx`) and `fine_size` its side in pixels.
    """

    face: str = "celeb_face"
    mask: str = "celeb_mask"
    driver_mask: str | None = None
    visible: str | None = None
    features: str | None = None
    fine: str | None = None
    fine_size: Side | None = None


class PictureEntry(Table):
    """One key picture of a picture set, and what it shows; `view`: where the person looks in the picture."""

    file: FileName
    expression: Expression = "rest"
    view: View = "front"


class ModelCard(Table):
    """Everything `model.toml` says. Field names are the file's own, but for `schema`; of `training` and `measured` any
    keys."""

    schema_version: Schema
    name: Name
    title: Title
    family: Family
    licence: Line
    description: Line | None = None
    identity: Identity
    files: Annotated[dict[FileName, Digest], Field(min_length=1, max_length=64)]
    pictures: Annotated[tuple[PictureEntry, ...], Field(max_length=MOST_PICTURES, strict=False)] = ()
    input: Input = Input()
    output: Output = Output()
    training: dict[str, Any] = {}
    measured: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits_the_family(self) -> "ModelCard":
        if self.family in ("face", "figure", "landmarks"):
            return self  # their networks are MediaPipe's, whose sizes are known
        if self.family == "swap":
            if self.identity.kind == "none":
                raise ValueError('a swap model shows somebody: identity.kind = "none" is not possible')
            if self.pictures:
                return self._with_whole_pictures()
            if self.input.face_type is None:
                raise ValueError("a swap model's [input] needs face_type")
            if any(file.lower().endswith(".dfm") for file in self.files):
                return self  # it says its size itself
        elif self.input.layout != "NCHW":
            raise ValueError(f'a {self.family} model\'s [input] has layout "{self.input.layout}", only "NCHW" is run')
        if self.input.size is None:
            raise ValueError(f"a {self.family} model's [input] needs size")
        return self

    def _with_whole_pictures(self) -> "ModelCard":
        shown = [(picture.expression, picture.view) for picture in self.pictures]
        if ("rest", "front") not in shown:
            raise ValueError("a picture set needs a picture with the expression rest and the view front")
        if len(set(shown)) < len(shown):
            raise ValueError("two of its pictures have the same expression and view")
        missing = {POINTS_FILE, *(picture.file for picture in self.pictures)} - self.files.keys()
        if missing:
            raise ValueError(f"[files] lacks {', '.join(sorted(missing))}, which its pictures need")
        return self


def read_card_text(folder: Path, name: str = CARD_FILE) -> bytes:
    """The card of a folder as it is written, at most `MAX_CARD_BYTES` of it; `name` is its file. Raises ModelError."""
    path = folder / name
    try:
        if not path.is_file():  # a FIFO or a device would block or never end
            raise refusal(folder, f"there is no {name} in it", "name a bundle's folder")
        with path.open("rb") as file:
            raw = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise refusal(folder, f"{name} cannot be read ({error.strerror})") from error
    if len(raw) > MAX_CARD_BYTES:
        raise refusal(folder, f"{name} is larger than {MAX_CARD_BYTES // 1024} KiB")
    return raw


def parse_card(raw: bytes, folder: Path) -> ModelCard:
    """The card written in `raw` (TOML, UTF-8); `folder` is only named in errors. Raises ModelError."""
    table = read_table(raw, folder)
    schema = table.get("schema")
    if type(schema) is int and schema > 1:
        raise refusal(folder, f"{CARD_FILE} has schema {printable(schema, 20)}, this version reads 1", "update")
    if "identity" not in table:
        how = 'masquerade models add FOLDER --identity self --statement "…"'
        raise refusal(
            folder, "its card does not say whose face it is", f"add it with {how}, or write [identity] into it"
        )
    try:
        return ModelCard.model_validate(table)
    except ValidationError as error:
        raise refusal(folder, first_fault(error)) from error


def has_identity(raw: bytes, folder: Path) -> bool:
    """True where the card written in `raw` has an [identity], of whatever kind. Raises ModelError."""
    return "identity" in read_table(raw, folder)


def read_table(raw: bytes, folder: Path, name: str = CARD_FILE) -> dict[str, Any]:
    """The TOML of a card's file `name`, safe to walk and to print, not yet validated. Raises ModelError."""
    if max(map(len, raw.split(b"\n"))) > MAX_LINE_BYTES:
        raise refusal(folder, f"{name} has a line longer than {MAX_LINE_BYTES // 1024} KiB")
    try:
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # ValueError: bad TOML, bad UTF-8, endless integers
        raise refusal(folder, f"{name} is not TOML ({printable(error, 80)})") from error
    # Depth, characters and numbers that could harm whoever walks or prints the card; not by recursion.
    waiting: list[tuple[object, int, str]] = [(table, 0, "")]
    while waiting:
        value, depth, top = waiting.pop()
        if depth > MAX_DEPTH:
            raise refusal(folder, f"{name} is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            waiting += [(v, depth + 1, top or str(k)) for k, v in value.items()]
            waiting += [(k, depth + 1, "a key") for k in value]
        elif isinstance(value, list):
            waiting += [(v, depth + 1, top) for v in value]
        elif isinstance(value, int) and value.bit_length() > 64:  # Python refuses to print much longer ones
            raise refusal(folder, f"{name} has an endless number in {printable(top, 40)}")
        elif isinstance(value, str):
            # Only free facts may run over several lines; what a screen shows as one line must be one.
            bad = unprintable(value, allow="\n\t" if top in ("training", "measured") else "")
            if bad:
                raise refusal(folder, f"{name} has the character {bad} in {printable(top, 40)}")
    return table


def first_fault(error: ValidationError) -> str:
    """The first thing wrong, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(printable(part, 60) for part in first["loc"] if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"its card has no {where}"
    if first["type"] == "extra_forbidden":
        return f"its card has the unknown key {where}"
    if isinstance(first["input"], dict) or not where:
        return f"its card is wrong: {(where + ': ') if where else ''}{message}"
    return f"its card has {where} = {printable(repr(first['input']), 60)}: {message}"


def refusal(folder: Path, what: str, do: str = "mend the card or get it again") -> ModelError:
    """The one-line error for a bundle folder: what is wrong with it, what to do."""
    return ModelError(f"bundle {printable(folder)}: {what}: {do}")


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


def validate_line(option: str, text: str | None, do: str, limit: int = 500) -> str:
    """What a user wrote after `option`, if it is one printable line. Raises ConfigError, whose line ends with `do`."""
    if text is None or not text.strip():
        raise ConfigError(f"{option} is missing: {do}")
    odd = unprintable(text.strip())
    if odd or len(text) > limit:
        raise ConfigError(
            f"{option} {f'holds the character {odd}' if odd else f'is longer than {limit} letters'}: {do}"
        )
    return text.strip()


def require_consent(identity: str | None, statement: str | None) -> tuple[str, str]:
    """The kind and the statement for a card's [identity], as a user gave them. Raises ConfigError."""
    if identity not in ("self", "consented", "synthetic"):
        given = f", not {printable(identity, 40)}" if identity else ""
        raise ConfigError(f"say whose face it is: --identity self, consented or synthetic{given}")
    return identity, validate_line("--statement", statement, "say in one line who it is and how they agreed")

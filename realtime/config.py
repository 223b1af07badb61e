"""What a run is asked for (one TOML file, then the command line), and its live settings."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from realtime.errors import ConfigError
from realtime.text import printable

ColorTransfer = Literal["none", "rct", "lct", "mkl", "idt"]
Region = Literal["all", "expression", "head", "lips", "eyes"]


MySkin = Literal["auto", "pale", "light", "medium", "tan", "brown", "dark"]


def _skin(value: object) -> object:
    """`auto`, or a number from 0 to 1."""
    try:
        share = value if value == "auto" else float(value if not isinstance(value, bool) else "")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        share = -1.0
    if share != "auto" and not 0.0 <= share <= 1.0:  # type: ignore[operator]
        raise ValueError("auto, or a number from 0 (the identity's own tone) to 1 (yours)")
    return share


class Settings(BaseModel):
    """Live settings, with DeepFaceLab's names where it has one.

    `mask_erode` and `mask_blur` are in pixels of a 224-pixel crop, scaled to the real one, so that a
    setting looks the same at every size. `sharpen` is the unsharp mask's amount in percent.
    The defaults differ from DeepFaceLive's (5, 25, rct): docs/studies/blend-defaults.md says why.
    `morph` is the AMP models' factor. `shape`: how much of its own bones an identity made of pictures shows.
    `steadiness` scales the landmark filter (0 = off, 1 = default).
    `others` says what becomes of a face that is not replaced: it is covered, or the slate goes out (`card`), or it is
    shown. `on_miss` says what goes out while there is no synthetic picture; `raw` only where the run was
    started with --allow-raw. `model` names the bundle shown; None keeps the one of the start. `variant`: `fine` draws a
    larger, sharper face, where the model has that, and takes longer. `panic` shows the slate, whatever else is set, and
    no sound leaves meanwhile: not to a call, not into a recording, not to the page.

    For identities made of pictures: `skin` is how far the identity's skin tone goes to the driver's, 0 to 1; `auto`
    leaves a difference that a neck does not give away. `my_skin` is the driver's own tone; `auto` finds it by the
    eyes' white.

    The rest is for models that move a still picture. `avatar` names the one shown, of those the run has ready;
    None is the first. `movement`: by how much the driver differs from a neutral pose, or the driver's own pose as
    it is. `adapt_scale`: movements grow with the avatar's head. `region`: what of the motion is taken over.
    `background`: what is behind a picture with transparency and beside one of another shape: `kept`, `blurred`, a
    colour (#rrggbb) or a picture's file. Raising `reference` takes the driver's pose of that moment as neutral.
    `idle`: a picture that speaks blinks, breathes and moves its head a little.
    `voice_offset_ms`: by how much later than measured (earlier, where negative) a call hears the voice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask_erode: Annotated[int, Field(ge=-200, le=200)] = 8
    mask_blur: Annotated[int, Field(ge=0, le=200)] = 12
    opacity: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    color_transfer: ColorTransfer = "mkl"
    sharpen: Annotated[int, Field(ge=0, le=200)] = 30
    morph: Annotated[float, Field(ge=0.0, le=1.0)] = 0.75
    shape: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    steadiness: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    mirror: bool = False
    badge: Literal["on", "off"] = "on"
    others: Literal["cover", "card", "show"] = "cover"
    panic: bool = False
    on_miss: Literal["hold", "card", "blur", "raw"] = "hold"
    model: str | None = None
    variant: Literal["fast", "fine"] = "fast"
    skin: Annotated[float | Literal["auto"], BeforeValidator(_skin)] = "auto"
    my_skin: MySkin = "auto"
    avatar: str | None = None
    movement: Literal["relative", "absolute"] = "relative"
    adapt_scale: bool = True
    region: Region = "all"
    background: Annotated[str, Field(min_length=1, max_length=1024)] = "kept"
    reference: Annotated[int, Field(ge=0, le=2**31)] = 0
    idle: bool = True
    voice_offset_ms: Annotated[int, Field(ge=-300, le=1000)] = 0


def _size(value: object) -> object:
    """`1280x720` as (1280, 720)."""
    if isinstance(value, str):
        width, cross, height = value.lower().partition("x")
        if not (cross and width.isdigit() and height.isdigit()):
            raise ValueError("write it as WIDTHxHEIGHT, e.g. 1280x720")
        return int(width), int(height)
    return value


def _sane(size: tuple[int, int]) -> tuple[int, int]:
    if not (16 <= size[0] <= 7680 and 16 <= size[1] <= 4320):
        raise ValueError("between 16x16 and 7680x4320")
    return size


Size = Annotated[tuple[int, int], BeforeValidator(_size), AfterValidator(_sane)]


class RunConfig(Settings):
    """All options of `masquerade run`, named as on the command line with underscores.

    The live settings are the ones inherited: they are where the run starts, and may change. `avatar` may here be a
    file or a folder, too: it says which avatars are made ready. `virtual_microphone` None: with a camera as output,
    where there can be one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = "0"
    model: str | None = "ada"
    sound: str | None = None
    virtual_microphone: bool | None = None
    output: tuple[str, ...] = ()
    pace: Literal["live", "all"] | None = None
    size: Size | None = None
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    provider: Literal["auto", "cpu", "openvino", "cuda", "tensorrt", "rtx", "coreml", "directml"] = "auto"
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    detector: Literal["own", "mediapipe"] = "own"
    faces: Annotated[int, Field(ge=1, le=8)] = 1
    allow_raw: bool = False
    loop: bool = False
    seconds: Annotated[float, Field(gt=0)] | None = None
    metrics: Path | None = None
    record_motion: Path | None = None

    def settings(self) -> Settings:
        """The live settings at the start. `model` and `avatar` are left out: the run loads them itself."""
        kept = (name for name in Settings.model_fields if name not in ("model", "avatar"))
        return Settings(**{name: getattr(self, name) for name in kept})


def read_toml(path: Path) -> dict[str, Any]:
    """A configuration file's keys. Raises ConfigError for a missing or broken file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"the configuration file {path} does not exist: check --config") from None
    except (OSError, ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise ConfigError(f"the configuration file {path} can't be read: {printable(error)}") from error


def make_config(from_file: Mapping[str, Any], from_flags: Mapping[str, Any]) -> RunConfig:
    """The configuration of a run; flags win over the file. Raises ConfigError naming key, value, allowed."""
    try:
        return RunConfig.model_validate({**from_file, **from_flags})
    except ValidationError as error:
        raise ConfigError(explain(error, RunConfig)) from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault of a validation in one line: which key, which value, what is allowed."""
    first = error.errors(include_url=False)[0]
    key = printable(".".join(str(part) for part in first["loc"]), 60) or "the configuration"
    if first["type"] == "extra_forbidden":
        return f"unknown option {key}: known are {', '.join(sorted(model.model_fields))}"
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{key} = {printable(repr(first['input']), 120)} is not allowed: {printable(message)}"

"""What can change while the loop runs: one frozen object, swapped whole."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ColorTransfer = Literal["none", "rct", "lct", "mkl", "idt"]
Region = Literal["all", "expression", "head", "lips", "eyes"]


class Settings(BaseModel):
    """Live settings, with DeepFaceLab's names where it has one.

    `mask_erode` and `mask_blur` are in pixels of a 224-pixel crop, scaled to the real one, so that a
    setting looks the same at every size. `sharpen` is the unsharp mask's amount in percent.
    The defaults differ from DeepFaceLive's (5, 25, rct): docs/studies/blend-defaults.md says why.
    `morph` is the AMP models' factor. `steadiness` scales the landmark filter (0 = off, 1 = default).
    `on_miss` says what goes out while there is no synthetic picture; `raw` only where the run was
    started with --allow-raw. `model` names the bundle worn; None keeps the one of the start. `variant`: `fine` draws a
    larger, sharper face, where the model has that, and takes longer. `panic` shows the card, whatever else is set, and
    no sound leaves meanwhile: not to a call, not into a recording, not to the page.

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
    steadiness: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    mirror: bool = False
    badge: Literal["on", "off"] = "on"
    panic: bool = False
    on_miss: Literal["hold", "card", "blur", "raw"] = "hold"
    model: str | None = None
    variant: Literal["fast", "fine"] = "fast"
    avatar: str | None = None
    movement: Literal["relative", "absolute"] = "relative"
    adapt_scale: bool = True
    region: Region = "all"
    background: Annotated[str, Field(min_length=1, max_length=1024)] = "kept"
    reference: Annotated[int, Field(ge=0, le=2**31)] = 0
    idle: bool = True
    voice_offset_ms: Annotated[int, Field(ge=-300, le=1000)] = 0

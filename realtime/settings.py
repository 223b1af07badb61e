"""What can change while the loop runs: one frozen object, swapped whole."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ColorTransfer = Literal["none", "rct", "lct", "mkl", "idt"]


class Settings(BaseModel):
    """Live settings, with DeepFaceLab's names where it has one.

    `mask_erode` and `mask_blur` are in pixels of a 224-pixel crop, scaled to the real one, so that a
    setting looks the same at every size. `sharpen` is the unsharp mask's amount in percent.
    The defaults differ from DeepFaceLive's (5, 25, rct): docs/decisions/0001 says why.
    `morph` is the AMP models' factor. `steadiness` scales the landmark filter (0 = off, 1 = default).
    `on_miss` says what goes out while there is no synthetic picture; `raw` only where the run was
    started with --allow-raw. `model` names the bundle worn; None keeps the one of the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mask_erode: Annotated[int, Field(ge=-200, le=200)] = 15
    mask_blur: Annotated[int, Field(ge=0, le=200)] = 20
    opacity: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    color_transfer: ColorTransfer = "mkl"
    sharpen: Annotated[int, Field(ge=0, le=200)] = 60
    morph: Annotated[float, Field(ge=0.0, le=1.0)] = 0.75
    steadiness: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0
    mirror: bool = False
    badge: Literal["on", "off"] = "on"
    on_miss: Literal["hold", "card", "blur", "raw"] = "hold"
    model: str | None = None

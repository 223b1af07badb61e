"""What a user asks of an export, checked before anything is read."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from export.parity import Precision
from realtime.errors import ConfigError
from realtime.models.atomic_dir import is_empty_folder
from realtime.models.card import bundle_name, require_consent, validate_line
from realtime.text import printable

Family = Literal["deepfacelab", "first-order-motion", "wav2lip"]
Format = Literal["bundle", "dfm"]

FAMILIES: tuple[Family, ...] = get_args(Family)
FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """One call of `masquerade export`; fields are its options. Raises ConfigError for what does not go together."""

    checkpoint: Path
    family: Family
    out: Path
    config: str | None = None
    format: Format = "bundle"
    precision: Precision = "fp32"
    engine: Literal["tensorrt"] | None = None
    name: str | None = None
    title: str | None = None
    identity: str | None = None
    statement: str | None = None
    face_type: str | None = None
    align_corners: bool | None = None
    dynamic_batch: bool = False
    calibration: Path | None = None

    def __post_init__(self) -> None:
        self._check_family()
        self._check_format()
        if self.name is not None:
            try:
                bundle_name(self.name)
            except ValueError as error:
                raise ConfigError(f"--name {printable(self.name, 80)} cannot be a bundle's name: {error}") from error
        if self.title is not None:
            validate_line("--title", self.title, "give a title", 80)
        if self.calibration is not None and not self.calibration.is_dir():
            raise ConfigError(f"--calibration {printable(self.calibration)} is no folder: give one with pictures")
        if self.calibration is not None and self.precision != "int8":
            raise ConfigError("--calibration is for --precision int8: leave it out")

    def check_out(self) -> None:
        """Raise ConfigError unless `out` is free or an empty folder, and the folder around it is there."""
        here = self.out.resolve() == Path.cwd()  # it would be replaced under the caller's feet
        if os.path.lexists(self.out) and (here or not is_empty_folder(self.out)):
            raise ConfigError(f"--out {printable(self.out)} is there already: name a new folder, or remove that one")
        parent = self.out.absolute().parent
        if not os.path.isdir(parent):
            raise ConfigError(f"there is no folder {printable(parent)} for --out: make it first")
        if not os.access(parent, os.W_OK):
            raise ConfigError(f"--out cannot be made in {printable(parent)}, which is not writable: choose another")

    def _check_family(self) -> None:
        if self.family != "first-order-motion" and (self.config is not None or self.align_corners is not None):
            option = "--config" if self.config is not None else "--align-corners"
            raise ConfigError(f"{option} is for --family first-order-motion: leave it out")
        if self.family != "deepfacelab":
            for option, value in (
                ("--identity", self.identity),
                ("--statement", self.statement),
                ("--face-type", self.face_type),
            ):
                if value is not None:
                    raise ConfigError(f"{option} is for --family deepfacelab, whose models show somebody: leave it out")
        elif self.format == "bundle" and (self.identity is not None or self.statement is not None):
            require_consent(self.identity, self.statement)

    def _check_format(self) -> None:
        if self.format != "dfm":
            if self.dynamic_batch and (self.engine or self.precision == "int8"):
                option = "--engine" if self.engine else "--precision int8"
                raise ConfigError(f"{option} needs static shapes: leave out --dynamic-batch")
            return
        if self.family != "deepfacelab":
            raise ConfigError("--format dfm is for --family deepfacelab: leave it out")
        if self.engine or self.precision == "int8":
            option = "--engine tensorrt" if self.engine else "--precision int8"
            raise ConfigError(f"{option} is for bundles, a .dfm is fp32 or fp16: leave it out")
        if self.identity is not None or self.statement is not None:
            raise ConfigError(
                "a .dfm records no identity: give --identity and --statement to masquerade models add instead"
            )

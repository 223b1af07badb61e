"""Settings saved by name in the user's own folder, and those of the last session, where the next one begins."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError, MasqueradeError
from realtime.families import family_of
from realtime.families.figure import FIGURE
from realtime.home import locked, user_home
from realtime.models.atomic_dir import storage_error
from realtime.models.avatar_loading import is_figure
from realtime.models.card import validate_line
from realtime.pipeline.active_identity import Selection, reselect, select_identity
from realtime.text import printable

log = logging.getLogger(__name__)

MOST_PRESETS = 50
MAX_FILE_BYTES = 256 * 1024
MOMENTARY = frozenset({"panic", "reference"})
"""What belongs to a moment, not to a look."""


class Presets:
    """The presets of `file`, by default the user's own. Read anew each time: two runs may share it."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file or user_home() / "presets.json"

    def names(self) -> list[str]:
        return sorted(self._read(), key=str.casefold)

    def change(self, name: str) -> dict[str, Any]:
        """The settings of a preset, of those that this version knows. Raises ConfigError."""
        presets = self._read()
        if name not in presets:
            raise ConfigError(f"there is no preset {printable(name, 60)!r}: it was removed, or never saved")
        known = {key: value for key, value in presets[name].items() if key in Settings.model_fields}
        change = {key: value for key, value in known.items() if key not in MOMENTARY}
        try:
            Settings.model_validate(change, strict=True)
        except ValidationError as error:
            raise ConfigError(f"preset {printable(name, 60)} holds what is not allowed: save it anew") from error
        return change

    def save(self, name: str, settings: Settings) -> None:
        """Keep the settings under a name, in place of what had it. Raises ConfigError, DeviceError.

        A background that is a file is left out: the page may not name files.
        """
        name = validate_line("the preset's name", name, "give one of at most 40 letters", 40)
        kept = {key: value for key, value in settings.model_dump().items() if key not in MOMENTARY}
        if not (settings.background in ("kept", "blurred") or settings.background.startswith("#")):
            del kept["background"]
        with self._changing() as presets:
            presets[name] = kept
            if len(presets) > MOST_PRESETS:
                raise ConfigError(f"there are {MOST_PRESETS} presets already: remove one first")

    def remove(self, name: str) -> None:
        """Forget a preset. Raises ConfigError where there is none of that name."""
        with self._changing() as presets:
            if presets.pop(name, None) is None:
                raise ConfigError(f"there is no preset {printable(name, 60)!r}: it was removed, or never saved")

    @contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, Any]]]:
        """The presets, to change; written when the block ends well. Others who change them wait."""
        try:
            with locked(self._file):
                presets = self._read()
                yield presets
                self._write(presets)
        except OSError as error:
            raise storage_error(
                "the preset cannot be stored in", self._file.parent, error, "make room there"
            ) from error

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            with self._file.open("rb") as opened:
                raw = opened.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"the presets in {self._file} cannot be read ({error.strerror})") from error
        try:
            table = json.loads(raw)["presets"] if len(raw) <= MAX_FILE_BYTES else None
        except (ValueError, KeyError, TypeError, RecursionError):
            table = None
        if not isinstance(table, dict) or not all(isinstance(preset, dict) for preset in table.values()):
            raise ConfigError(f"the presets in {self._file} are damaged: mend the file or move it away")
        return table

    def _write(self, presets: Mapping[str, Mapping[str, Any]]) -> None:
        """At once and whole: a full disk must not cost the presets that there are."""
        handle, unfinished = tempfile.mkstemp(prefix=".presets-", dir=self._file.parent)  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                json.dump({"schema": 1, "presets": presets}, opened, indent=1, ensure_ascii=False)
                opened.flush()
                os.fsync(opened.fileno())
            os.replace(unfinished, self._file)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise


_LAST = "last"


def last_session() -> Presets:
    """The last session's settings, kept as a preset."""
    return Presets(user_home() / "last-look.json")


def is_session_kept() -> bool:
    """Whether there is a last session that the next one goes on from."""
    return bool(_kept())


def keep_session(settings: Settings) -> None:
    """Save the settings for the next session. A full disk is no reason to stop: then they are not there next time."""
    try:
        last_session().save(_LAST, settings)
    except MasqueradeError as error:
        log.info("the settings are not kept: %s", error)


def recall(config: RunConfig, *, use_last: bool) -> tuple[RunConfig, Selection, str | None]:
    """A run's configuration, its selection, and the avatar shown (None: the first); with `use_last`, as it was last.

    What the options of this run name wins; what it may not have, or what is no longer there, is left out.
    Raises ConfigError, ModelError.
    """
    kept = _kept() if use_last else {}
    asked = config.model_fields_set
    model, avatar = kept.pop("model", None), kept.pop("avatar", None)
    look = {key: value for key, value in kept.items() if key not in asked}
    if look.get("on_miss") == "raw" or look.get("opacity", 1.0) < 1:  # that is asked for each time anew
        look = {key: value for key, value in look.items() if key not in ("on_miss", "opacity")}
    if look.get("others") == "show":
        del look["others"]
    last = None
    if model is not None and not asked & {"model", "avatar", "sound"}:
        last = _with_model(config, model)
    config = (last or config).model_copy(update=look)
    if "model" not in asked and config.avatar is not None and is_figure(config.avatar):
        config = config.model_copy(update={"model": FIGURE.name})  # an avatar says what it is
    if config.model is None:
        raise ConfigError("no model given: choose one with --model (masquerade models lists them)")
    selection = select_identity(config.model, config.avatar)
    shown = None
    if last is not None and avatar is not None and selection.avatars:
        try:
            selection = reselect(Settings(avatar=avatar), selection, model=config.model, avatar=config.avatar)
            shown = avatar
        except MasqueradeError as error:
            log.info("the avatar of the last session is not there: %s", error)
    if config.badge == "off" and "badge" not in asked and not selection.may_hide_badge:
        config = config.model_copy(update={"badge": "on"})
    return config, selection, shown


def _kept() -> dict[str, Any]:
    try:
        return last_session().change(_LAST)
    except ConfigError as error:
        log.info("no last session: %s", error)
        return {}


def _with_model(config: RunConfig, model: str) -> RunConfig | None:
    """With that model, if it is there and needs nothing more to be shown."""
    try:
        family = family_of(select_identity(model, None).bundle.card)
        if family.open is not None and not family.speaks:
            return config.model_copy(update={"model": model})
    except MasqueradeError as error:
        log.info("the model of the last session is not there: %s", error)
    return None

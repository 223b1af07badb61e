"""Reading and writing `model.toml`.

A card may come from anywhere, so reading one is bounded in size, depth and characters before any of it is
believed, and every refusal is one line that can be printed to a terminal as it is.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from realtime.errors import ModelError
from realtime.models.card import CARD_FILE, ModelCard
from realtime.text import printable, unprintable

MAX_CARD_BYTES = 64 * 1024
"""Far above any honest card."""
MAX_LINE_BYTES = 4 * 1024
"""Python's TOML reader takes time quadratic in a dotted key's length: 20 s for one that fills a card."""
MAX_DEPTH = 8


def read_card(folder: Path) -> ModelCard:
    """The card of a bundle folder. Raises ModelError with what is wrong and what to do."""
    return parse_card(read_card_text(folder), folder)


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
        raise refusal(
            folder,
            "its card does not say whose face it is",
            'add it with masquerade models add FOLDER --identity self --statement "…", or write [identity] into it',
        )
    try:
        return ModelCard.model_validate(table)
    except ValidationError as error:
        raise refusal(folder, first_fault(error)) from error


def says_whose(raw: bytes, folder: Path) -> bool:
    """True where the card written in `raw` has an [identity], of whatever kind. Raises ModelError."""
    return "identity" in read_table(raw, folder)


def write_toml(table: Mapping[str, Any]) -> str:
    """TOML text of a table of plain values and one level of tables (what a card needs)."""
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{_key(k)} = {_value(v)}" for k, v in table.items() if k not in tables]
    for title, inner in tables.items():
        lines += ["", f"[{_key(title)}]", *(f"{_key(k)} = {_value(v)}" for k, v in inner.items())]
    return "\n".join(lines) + "\n"


def read_table(raw: bytes, folder: Path, name: str = CARD_FILE) -> dict[str, Any]:
    """The TOML of a card's file `name`, safe to walk and to print, not yet validated. Raises ModelError."""
    if max(map(len, raw.split(b"\n"))) > MAX_LINE_BYTES:
        raise refusal(folder, f"{name} has a line longer than {MAX_LINE_BYTES // 1024} KiB")
    try:
        table = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # ValueError: bad TOML, bad UTF-8, endless integers
        raise refusal(folder, f"{name} is not TOML ({printable(error, 80)})") from error
    _check_text(table, folder, name)
    return table


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _value(value: object) -> str:
    if not isinstance(value, str | bool | int | float):
        raise TypeError(f"a card holds plain values, not {type(value).__name__}")
    return json.dumps(value, ensure_ascii=False)  # the same in TOML for these types


def _check_text(table: dict[str, Any], folder: Path, name: str) -> None:
    """Refuse depth, characters and numbers that could harm whoever walks or prints the card.

    Not recursive itself.
    """
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


def first_fault(error: ValidationError) -> str:
    """The first thing wrong, in one line."""
    first = error.errors(include_url=False)[0]
    where = ".".join(printable(part, 60) for part in first["loc"] if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"its card has no {where}"
    if isinstance(first["input"], dict) or not where:
        return f"its card is wrong: {(where + ': ') if where else ''}{message}"
    return f"its card has {where} = {printable(repr(first['input']), 60)}: {message}"


def refusal(folder: Path, what: str, do: str = "mend the card or get the bundle again") -> ModelError:
    """The one-line error for a bundle folder: what is wrong with it, what to do."""
    return ModelError(f"bundle {printable(folder)}: {what}: {do}")

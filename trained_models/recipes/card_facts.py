"""What is found out after a bundle was written, put on its card."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from realtime.models.card import write_toml

LAST = ("training", "measured")


def write_facts(bundle: Path, facts: Mapping[str, Mapping[str, str | int | float]]) -> None:
    """Put `facts`, by table, on the card of the folder `bundle`, in place of those of the same names."""
    file = bundle / "model.toml"
    card = tomllib.loads(file.read_text(encoding="utf-8"))
    for table, new in facts.items():
        card.setdefault(table, {}).update(new)
    for table in LAST:  # where a reader looks for them, whatever table is new
        if table in card:
            card[table] = card.pop(table)
    file.write_text(write_toml(card), encoding="utf-8")

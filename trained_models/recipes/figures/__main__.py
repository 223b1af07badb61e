"""Draws the built-in figures: `python -m trained_models.recipes.figures [NAME …] --out trained_models/avatars`."""

import importlib
from pathlib import Path

import click

FIGURES = {
    "pip": "fox",
    "nimka": "cat",
    "tilo": "mannequin",
    "rivo": "robot",
    "solki": "paper",
    "kritzi": "crayon",
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(FIGURES)))
@click.option("--out", type=click.Path(path_type=Path), default=Path("trained_models/avatars"), show_default=True)
def main(names: tuple[str, ...], out: Path) -> None:
    """Write the folders of figures, all of them unless NAMES are given."""
    for name in names or FIGURES:
        importlib.import_module(f"trained_models.recipes.figures.{FIGURES[name]}").draw().save(out / name)


if __name__ == "__main__":
    main()

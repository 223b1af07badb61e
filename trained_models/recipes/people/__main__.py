"""Renders people who do not exist; see README.md."""

from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from benchmarks.report import finish, stamp
from trained_models.recipes.people import skin_tones
from trained_models.recipes.people.clip import render_clip
from trained_models.recipes.people.clips import FIRST_PERSON, Wanted, render_clips
from trained_models.recipes.people.key_pictures import write_keys
from trained_models.recipes.people.pairs import SEED, STRANGERS, Drivers, render_shards
from trained_models.recipes.people.reflectance import patterns

DATA = Path.home() / ".cache" / "masquerade" / "people"
PATH = click.Path(path_type=Path)
data_option = click.option("--data", type=PATH, default=DATA, show_default=True)
workers_option = click.option("--workers", type=int, default=2, help="Processes, one core each.")


@click.group(help=__doc__)
def main() -> None: ...


def _count(numbers: Any, total: int | None, unit: str) -> None:
    with click.progressbar(numbers, total, label=unit, show_pos=True) as bar:
        for _ in bar:
            pass


@main.command()
@data_option
@click.option("--shards", type=int, default=200, help="Of 100 pairs each.")
@workers_option
@click.option("--seed", type=int, default=SEED)
@click.option("--identity", "identities", multiple=True, default=["ada"], help="Whom to draw beside the drivers.")
def pairs(data: Path, shards: int, workers: int, seed: int, identities: tuple[str, ...]) -> None:
    """Training pairs to DATA/pairs/IDENTITY; resumes, and ends when DATA/STOP appears."""
    _count(render_shards(data, identities, shards, workers, Drivers(seed)), shards, "shard")


@main.command()
@data_option
@click.option("--shards", type=int, default=40, help="Of 100 pictures each, four a person.")
@workers_option
def strangers(data: Path, shards: int, workers: int) -> None:
    """Drivers alone, many people, to DATA/strangers: what a mask is learnt from."""
    _count(render_shards(data, (), shards, workers, STRANGERS), shards, "shard")


@main.command()
@data_option
@click.option("--people", type=int, default=100, help="One clip each.")
@click.option("--frames", type=int, default=100, help="A clip, at 25 a second.")
@click.option("--size", type=int, default=256)
@click.option("--cartoons", type=float, default=0.25, help="Share of drawn characters, 0 to 1.")
@click.option("--occluded", type=float, default=0.35, help="Share with hands, cups, microphones, 0 to 1.")
@click.option("--identity", help="A name in person.py: plays what everybody else would have played.")
@click.option("--truth", help="Another: drawn in the place of each, as `bench quality` compares a swap with.")
@click.option("--first", type=int, default=FIRST_PERSON, show_default=True, help="The first person's seed.")
@workers_option
@click.option("--seed", type=int, default=20262)
def clips(data: Path, people: int, workers: int, seed: int, **wanted: Any) -> None:
    """People in motion, drawn ones too, to DATA/clips; resumes, and ends when DATA/STOP appears."""
    _count(render_clips(data, people, Wanted(**wanted), workers, seed), people, "clip")


@main.command()
@click.option("--out", type=PATH, default=Path("driving.mp4"))
def clip(out: Path) -> None:
    """The bundled driving clip; needs libespeak-ng."""
    _count(render_clip(out), None, "frame")


@main.command()
@click.argument("identity")
@click.option("--out", type=PATH, required=True, help="The bundle's folder.")
def keys(identity: str, out: Path) -> None:
    """An identity of person.py as a picture set, to measure the swap with (`clips --truth`)."""
    click.echo(f"{write_keys(identity, out)} pictures")


@main.command()
@click.option("--people", type=int, default=24, show_default=True)
@click.option("--out", type=PATH, default=Path("reflectance.npz"), show_default=True)
def reflectance(people: int, out: Path) -> None:
    """What every face's skin has in common; `trained_models.recipes.face` takes it from `trained_models/face`."""
    found: list[Any] = []
    with click.progressbar(patterns(people), people, label="person", show_pos=True) as bar:
        found.extend(bar)
    np.savez(out, pattern=np.mean(found, axis=0).astype(np.float32))


@main.command()
@click.option("--identities", default=",".join(skin_tones.IDENTITIES), show_default=True)
@click.option("--drivers", default=",".join(skin_tones.DRIVERS), show_default=True)
@click.option("--lights", default=",".join(skin_tones.LIGHTS), show_default=True)
@click.option("--json", "json_file", type=PATH, help="The report's file.")
@click.option("--sheet", type=PATH, help="A contact sheet: .jpg or .png.")
def tones(identities: str, drivers: str, lights: str, json_file: Path | None, sheet: Path | None) -> None:
    """Light and skin tone of faces made of pictures, against rendered truth."""
    rows = list(skin_tones.cases(identities.split(","), drivers.split(","), lights.split(",")))
    if sheet is not None:
        cv2.imwrite(str(sheet), skin_tones.sheet(rows))
    asked = {"identities": identities.split(","), "drivers": drivers.split(","), "lights": lights.split(",")}
    report = {"schema": 1, "kind": "skin-tones", "stamp": stamp(), "asked": asked, **skin_tones.summary(rows)}
    finish(report, json_file)
    for name, line in report["goals"].items():
        click.echo(f"{name}: {line['value']} (limit {line['limit']})")


if __name__ == "__main__":
    main()

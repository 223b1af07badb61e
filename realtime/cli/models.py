"""`masquerade models` and `masquerade avatars`: list, show, add and remove what is on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from realtime.errors import ConfigError

if TYPE_CHECKING:  # heavy to import, and `masquerade --help` needs none of it
    from realtime.models.avatar import StoredAvatar
    from realtime.models.bundle import Bundle
    from realtime.models.library import Library

_identity = click.option("--identity", help="Whose face it is: self, consented or synthetic.")
_statement = click.option("--statement", help="Who it is, and how they agreed, in one sentence.")
_name = click.option("--name", help="How to call it; the file's name if not given.")


def _bundle_row(bundle: "Bundle") -> str:
    return f"{bundle.card.family:<10} {_avatar_row(bundle)}"


def _avatar_row(avatar: "Bundle | StoredAvatar") -> str:
    card = avatar.card
    return f"{card.identity.kind:<10} {card.title} ({card.licence})"


def _bundle_hints(bundle: "Bundle") -> list[str]:
    from realtime.families import family_of

    return [f"folder: {bundle.folder}", family_of(bundle.card).hint.format(name=bundle.name)]


def _group(noun: str, what: str, row: Callable[[Any], str], hints: Callable[[Any], list[str]]) -> click.Group:
    """The commands that both kinds share. `row`: an item's line after its name; `hints`: what `show` adds to a card."""

    def library() -> "Library[Any]":
        from realtime.models.library import AVATARS, BUNDLES

        return BUNDLES if noun == "a bundle" else AVATARS

    @click.group(help=what, invoke_without_command=True)
    @click.pass_context
    def group(context: click.Context) -> None:
        if context.invoked_subcommand is None:
            context.invoke(listed)

    @group.command("list", help=f"One line {noun}, and where your own live.")
    def listed() -> None:
        from realtime.models.library import Broken

        for item in library().entries():
            text = f"broken: {item.reason}" if isinstance(item, Broken) else row(item)
            click.echo(f"{item.name:<20} {text}")
        click.echo(f"your own {noun.split()[-1]}s: {library().own}")

    @group.command("show", help=f"{noun.capitalize()}'s card.")
    @click.argument("name")
    def show(name: str) -> None:
        from realtime.models.library import load_bundle

        item = load_bundle(name) if noun == "a bundle" else library().find(name)
        click.echo((item.folder / library().card_file).read_text(encoding="utf-8").rstrip())
        for hint in hints(item):
            click.echo(f"# {hint}")

    @group.command("remove", help=f"Delete one of your own {noun.split()[-1]}s.")
    @click.argument("name")
    def remove(name: str) -> None:
        library().remove(name)
        click.echo(f"removed {name}")

    return group


def _avatar_hints(avatar: "StoredAvatar") -> list[str]:
    return [f"picture: {avatar.picture}"]


models = _group("a bundle", "The identities and models on this machine.", _bundle_row, _bundle_hints)
avatars = _group("an avatar", "The still pictures that motion models move.", _avatar_row, _avatar_hints)


def add_model(
    path: Path,
    *,
    name: str | None = None,
    identity: str | None = None,
    statement: str | None = None,
    face_type: str | None = None,
) -> "Bundle":
    """Add a bundle's folder or a .dfm. Raises ConfigError, ModelError, DeviceError."""
    from realtime.families.face_swap.dfm import inspect_dfm
    from realtime.models.library import add_file, add_folder

    if path.is_dir():
        if name or face_type:
            raise ConfigError(f"{path} is a bundle and brings its own card: give its folder without those")
        return add_folder(path, identity=identity, statement=statement)
    given = face_type or "whole_face"
    return add_file(path, inspect=inspect_dfm, name=name, identity=identity, statement=statement, face_type=given)


@models.command("add")
@click.argument("file", type=click.Path(path_type=Path))
@_name
@_identity
@_statement
@click.option("--face-type", "face_type", default=None, help="half, mid-full, full, whole_face or head (a .dfm).")
def models_add(file: Path, **given: str | None) -> None:
    """Make a bundle from a .dfm file, or copy a bundle's folder."""
    bundle = add_model(file, **given)
    click.echo(f"added {bundle.name}: masquerade run --model {bundle.name}")


@avatars.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_identity
@_statement
@_name
@click.option("--licence", help="The picture's licence, if it has one.")
@click.option(
    "--figure/--picture", "figure", default=None, help="A whole figure that moves, or a face; found out if not given."
)
@click.option("--mask", type=click.Path(path_type=Path), help="A picture that is white where the figure is.")
def avatars_add(
    files: tuple[Path, ...], name: str | None, figure: bool | None, mask: Path | None, **given: Any
) -> None:
    """Add pictures, folders of several pictures of one person, or figures, and say whom they show.

    Figures are folders, PSD, .ora and SVG drawings, pictures of a whole figure, and with --figure animated pictures
    of a talking one: mouth closed, open, blink.
    """
    from realtime.capture.picture import is_animated
    from realtime.families.figure.drawing import still
    from realtime.models.figure_import import add_figure, is_figure_source
    from realtime.models.flat_figure import add_picture

    if name and len(files) > 1:
        raise ConfigError("--name is for one avatar: add several without it, each is called as its file")
    if mask is not None:
        if len(files) > 1 or not files[0].is_file() or figure is False:
            raise ConfigError("--mask is for one picture of a figure: add it alone")
        figure = True
    for file in files:
        talks = figure and file.is_file() and is_animated(file)
        drawn = is_figure_source(file) and not (figure is False and file.is_dir())
        if talks or drawn or (file.is_dir() and (figure or not _has_pictures(file))):
            added = add_figure(file, preview=still, name=name, tell=click.echo, **given).name
            click.echo(f"added {added}: masquerade run --avatar {added}")
            continue
        if file.is_dir():
            avatar, faults = _add_person(file, name, **given), list[str]()
        else:
            avatar, faults = add_picture(file, preview=still, figure=figure, mask=mask, name=name, **given)
        if not avatar.is_figure:
            added = avatar.name
            click.echo(f"added {added}: masquerade run --model motion --avatar {added}, or --model face to wear it")
            continue
        click.echo(f"added {avatar.name} as a figure: masquerade run --avatar {avatar.name}")
        for fault in faults:
            click.echo(f"  {fault}")
        click.echo(
            f"its joints and its face were proposed: mend them on the page (masquerade demo --avatar {avatar.name}, "
            "then Joints at its picture)"
        )


def _has_pictures(folder: Path) -> bool:
    """False for what holds none: what is said of it then names what a figure has."""
    from realtime.models.avatar_loading import pictures_in

    try:
        return bool(pictures_in(folder))
    except ConfigError:
        return False


def _add_person(folder: Path, name: str | None, **given: str | None) -> "StoredAvatar":
    """Keep a folder's pictures of one person as one avatar."""
    from contextlib import closing

    from realtime.models.avatar_loading import calmest_first, pictures_in
    from realtime.models.card import name_from, require_consent
    from realtime.models.library import add_avatar, face_folder
    from realtime.tracking.tracker import Tracker

    require_consent(given["identity"], given["statement"])
    with closing(Tracker(face_folder(), provider="cpu", faces=4)) as tracker:
        first, *more = calmest_first(pictures_in(folder), tracker.find)
    return add_avatar(first, more=more, name=name or name_from(folder.resolve().name), **given)

"""`masquerade avatars`: the pictures that motion models move, and whose faces they show."""

from pathlib import Path

import click


@click.group(invoke_without_command=True)
@click.pass_context
def avatars(context: click.Context) -> None:
    """The still pictures that motion models move."""
    if context.invoked_subcommand is None:
        context.invoke(avatars_list)


@avatars.command("list")
def avatars_list() -> None:
    """One line an avatar, and where your own live."""
    from realtime.models.library import ShelvedAvatar, list_avatars, user_avatars
    from realtime.text import printable

    for avatar in list_avatars():
        if isinstance(avatar, ShelvedAvatar):
            card = avatar.card
            click.echo(f"{card.name:<20} {card.identity.kind:<10} {card.title} ({card.licence})")
        else:
            click.echo(f"{printable(avatar.folder.name, 64):<20} broken: {avatar.reason}")
    click.echo(f"your own avatars: {user_avatars()}")


@avatars.command("show")
@click.argument("name")
def avatars_show(name: str) -> None:
    """An avatar's card."""
    from realtime.models.avatar import AVATAR_FILE
    from realtime.models.library import find_avatar

    avatar = find_avatar(name)
    click.echo((avatar.folder / AVATAR_FILE).read_text(encoding="utf-8").rstrip())
    click.echo(f"# picture: {avatar.picture}")


@avatars.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--identity", help="Whose face it is: self, consented or synthetic.")
@click.option("--statement", help="Who it is, and how they agreed, in one sentence.")
@click.option("--name", help="How to call it; the file's name if not given.")
@click.option("--licence", help="The picture's licence, if it has one.")
def avatars_add(
    files: tuple[Path, ...], identity: str | None, statement: str | None, name: str | None, licence: str | None
) -> None:
    """Put pictures on your shelf, and say whose face they show."""
    from realtime.errors import ConfigError
    from realtime.models.library import add_avatar

    if name and len(files) > 1:
        raise ConfigError("--name is for one picture: add several without it, each is called as its file")
    for file in files:
        added = add_avatar(file, identity=identity, statement=statement, name=name, licence=licence).card.name
        click.echo(f"added {added}: masquerade run --model motion --avatar {added}")


@avatars.command("remove")
@click.argument("name")
def avatars_remove(name: str) -> None:
    """Delete one of your own avatars."""
    from realtime.models.library import remove_avatar

    remove_avatar(name)
    click.echo(f"removed {name}")

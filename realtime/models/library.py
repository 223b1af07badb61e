"""Where bundles live on this machine, and finding one.

The built-in ones lie in `trained_models/`, of which this is the only reader; the user's own in the
platform's data folder, or under MASQUERADE_HOME.
"""

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from realtime.errors import ModelError
from realtime.models.bundle import BrokenBundle, Bundle, open_bundle
from realtime.models.card import CARD_FILE
from realtime.models.card_file import refusal
from realtime.text import printable


def built_in_folder() -> Path:
    """The folder of the bundles that come with masquerade (the installed `trained_models`)."""
    return Path(__file__).resolve().parents[2] / "trained_models"


def user_folder() -> Path:
    """The folder of the user's own bundles; it may not exist yet."""
    return user_home() / "models"


def user_home() -> Path:
    """The folder of everything that is the user's own: MASQUERADE_HOME, else the platform's data folder."""
    home = os.environ.get("MASQUERADE_HOME")
    if home:
        return Path(home).expanduser().absolute()
    return platformdirs.user_data_path("masquerade", appauthor=False)


def load_bundle(name_or_folder: str | Path) -> Bundle:
    """The bundle of that name, or in that folder, verified. Raises ModelError.

    A plain string is first a name: a folder of the same name in the current directory does not hide a
    bundle. A Path is always a folder.
    """
    if isinstance(name_or_folder, Path):
        return open_bundle(name_or_folder)
    for folder in bundle_folders():
        if folder.name == name_or_folder:
            return _on_the_shelf(folder)
    if os.path.isdir(name_or_folder):  # unlike Path's, it takes any text for an answer
        return open_bundle(Path(name_or_folder))
    if name_or_folder.lower().endswith((".dfm", ".onnx")) and os.path.isfile(name_or_folder):
        file = printable(name_or_folder)
        raise ModelError(f"{file} is a model file: add it first (masquerade models add FILE)")
    raise unknown_model(name_or_folder)


def list_bundles() -> list[Bundle | BrokenBundle]:
    """All bundles, the built-in ones first, each verified; what cannot be used is there with its reason."""
    found: list[Bundle | BrokenBundle] = []
    taken: set[str] = set()
    for folder in bundle_folders():
        try:
            if folder.name in taken:
                raise refusal(folder, "a built-in bundle has the same name", "rename its folder and its card")
            found.append(_on_the_shelf(folder))
        except ModelError as error:
            found.append(BrokenBundle(folder, str(error)))
        taken.add(folder.name)
    return found


def bundle_folders() -> Iterator[Path]:
    """The folders where bundles are or should be: the built-in ones, then the user's own, by name."""
    yield from (folder for folder in visible_folders(built_in_folder()) if (folder / CARD_FILE).is_file())
    yield from visible_folders(user_folder())


def unknown_model(name: str) -> ModelError:
    """The error for a name that no bundle has, with the nearest that there is."""
    names = [folder.name for folder in bundle_folders()]
    near = difflib.get_close_matches(name.lower(), names, 1)
    hint = f"did you mean {printable(near[0], 64)}? " if near else ""
    return ModelError(f"there is no model {printable(name, 80)!r}: {hint}see the ones there are (masquerade models)")


def visible_folders(shelf: Path) -> list[Path]:
    """The folders on a shelf by name, without hidden ones; none where there is no shelf yet."""
    try:
        return sorted(entry for entry in shelf.iterdir() if not entry.name.startswith((".", "_")) and entry.is_dir())
    except OSError:  # not made yet, or not ours to read: then there are no bundles there
        return []


def _on_the_shelf(folder: Path) -> Bundle:
    bundle = open_bundle(folder)
    if bundle.name != folder.name:
        raise refusal(folder, f"its card names it {bundle.name}", "give the folder that name")
    return bundle

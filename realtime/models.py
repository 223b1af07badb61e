"""The bundles on this machine, in one place to import from: cards, finding, adding, removing."""

from realtime.add_model import add, add_file, add_folder, remove
from realtime.bundle import BrokenBundle, Bundle
from realtime.card import Card, may_hide_badge
from realtime.shelf import built_in_folder, list_bundles, load_bundle, user_folder

__all__ = [
    "BrokenBundle",
    "Bundle",
    "Card",
    "add",
    "add_file",
    "add_folder",
    "built_in_folder",
    "list_bundles",
    "load_bundle",
    "may_hide_badge",
    "remove",
    "user_folder",
]

"""What can be worn on this machine, as the page shows it."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from realtime.capture.picture import decode_picture, over_grey
from realtime.errors import ConfigError
from realtime.imaging.resize import scaled_into
from realtime.models.avatar import StoredAvatar
from realtime.models.bundle import Bundle
from realtime.models.library import AVATARS, BUNDLES, Broken
from realtime.text import printable

PREVIEW_PX = 320
"""A preview's longer side: sharp on screens of double density."""

WORN = ("swap", "motion", "lip-sync")
"""Families that put something before people; the others are parts of masquerade."""

Kind = Literal["model", "avatar"]


def gallery() -> list[dict[str, Any]]:
    """Identities and avatars, each: `kind`, `name`, `title`, `family`, `licence`, `whose`, `statement`, `own`,
    `preview` (True where there is one) and `broken`, which is None or the reason why it cannot be worn.

    Reads and hashes files: not for a thread that others wait for.
    """
    found = [_of_bundle(bundle) for bundle in BUNDLES.entries()]
    return [entry for entry in found if entry["family"] in WORN or entry["broken"]] + [
        _of_avatar(avatar) for avatar in AVATARS.entries()
    ]


def preview(kind: str, name: str) -> bytes | None:
    """A small JPEG of that identity or avatar, None where there is none.

    `name` is compared with what there is and never becomes part of a path. The picture is decoded and encoded anew,
    so that only pixels reach the page.
    """
    file: Path | None = None
    if kind == "model":
        file = next((b.preview for b in BUNDLES.entries() if isinstance(b, Bundle) and b.name == name), None)
    elif kind == "avatar":
        file = next((a.picture for a in AVATARS.entries() if isinstance(a, StoredAvatar) and a.card.name == name), None)
    if file is None:
        return None
    try:
        found = file.stat()
        return _small(file, found.st_mtime_ns, found.st_size)
    except (OSError, ConfigError):  # gone meanwhile, or no picture after all: a gallery shows a blank
        return None


@lru_cache(maxsize=256)
def _small(file: Path, mtime_ns: int, size: int) -> bytes:
    """`mtime_ns` and `size` tell a changed file from the one before."""
    pixels = over_grey(decode_picture(file))
    width, height = pixels.shape[1], pixels.shape[0]
    if max(width, height) > PREVIEW_PX:
        small = scaled_into((width, height), (PREVIEW_PX, PREVIEW_PX))
        pixels = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), np.uint8)
    ok, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert ok
    return jpeg.tobytes()


def _of_bundle(bundle: Bundle | Broken) -> dict[str, Any]:
    own = bundle.folder.parent == BUNDLES.own
    if isinstance(bundle, Broken):
        return _broken("model", bundle.name, own, bundle.reason)
    card = bundle.card
    return {
        "kind": "model",
        "name": card.name,
        "title": card.title,
        "family": card.family,
        "licence": card.licence,
        "whose": card.identity.kind,
        "statement": card.identity.statement,
        "own": own,
        "preview": bundle.preview is not None,
        "broken": None,
    }


def _of_avatar(avatar: Any) -> dict[str, Any]:
    own = avatar.folder.parent == AVATARS.own
    if not isinstance(avatar, StoredAvatar):
        return _broken("avatar", printable(avatar.folder.name, 64), own, avatar.reason)
    card = avatar.card
    return {
        "kind": "avatar",
        "name": card.name,
        "title": card.title,
        "family": "picture",
        "licence": card.licence,
        "whose": card.identity.kind,
        "statement": card.identity.statement,
        "own": own,
        "preview": True,
        "broken": None,
    }


def _broken(kind: Kind, name: str, own: bool, reason: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": name,
        "title": name,
        "family": "",
        "licence": "",
        "whose": "",
        "statement": "",
        "own": own,
        "preview": False,
        "broken": reason,
    }

"""The lips of the takes as the live tracker sees them: read once, kept beside the takes."""

from pathlib import Path

import cv2
import numpy as np

from realtime.families.lip_sync.network import LIP_POINTS, lip_outline
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync.takes import SIDE, Floats, Pixels

ROOM, LARGER = 40, 2
"""Pixels added round a tight crop and how often it is enlarged, so that the tracker finds the face."""


def large(picture: Pixels) -> Pixels:
    """Room around a tight crop, so that the tracker finds the face."""
    padded = cv2.copyMakeBorder(picture, ROOM, ROOM, ROOM, ROOM, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(padded, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_LINEAR), np.uint8)


def outline_of(tracker: Tracker, picture: Pixels) -> Floats | None:
    """(40, 2) the lips' outlines in pixels of `picture`, a tight crop; None where the tracker finds no face."""
    faces = tracker.find(large(picture))
    if not faces:
        return None
    back = 1.0 / LARGER  # of pixels' centres: 2 x + 0.5 is where the large one has x
    shift = 0.5 * back - 0.5 - ROOM
    return lip_outline(faces[0].landmarks, np.array([[back, 0.0, shift], [0.0, back, shift]]))


def outlines_path(takes: Path) -> Path:
    """Where the outlines of a file of takes lie."""
    return takes.with_name(takes.name.replace("takes_", "lips_")).with_suffix(".npy")


def outlines(takes: Path, frames: Pixels) -> Floats:
    """(T, 16, 40, 2) in pixels of the stored pictures `frames`, not numbers where no face was found; kept for later."""
    path = outlines_path(takes)
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    found = np.full((*frames.shape[:2], len(LIP_POINTS), 2), np.nan, np.float32)
    tracker = Tracker(provider="cpu")
    try:
        for place, picture in zip(np.ndindex(*frames.shape[:2]), frames.reshape(-1, SIDE, SIDE, 3), strict=True):
            outline = outline_of(tracker, picture)
            if outline is not None:
                found[place] = outline
    finally:
        tracker.close()
    part = path.with_suffix(".part.npy")
    np.save(part, found)
    part.rename(path)
    return found

"""People and posters that scenes are composed of, with the outline of the face in each of their pictures.

All are rendered and part of the project: the bundled clip, the built-in avatars moved by it, and for posters the
pictures of `album.npz` too: 140 rendered people. Filmed people come from a folder that the user names.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.capture.recording import Recording
from realtime.clock import StageTimer, now_ns
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.align import FACE_OVAL
from realtime.models.library import built_in_folder, face_folder
from realtime.pipeline.active_identity import open_effect, select_identity
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

PEOPLE = ("driver", "mira", "otto", "zola", "finn")
FRAMES = 70
"""Of each moving person; then they go back to where they began."""

STORED_PX = 260
"""How high the faces of composed people are stored at most: scenes need no more."""

ALBUM = 420
TURNING = ((49, 48, 50), (103, 102, 104), (107, 105, 106), (149, 148, 147), (165, 166, 167), (276, 278, 277))
"""Pictures of one person each in the album, from the one that looks furthest aside (38 to 52 degrees) to the camera."""

STEP_FRAMES = 15
_OVAL = np.array(FACE_OVAL)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A person, or a picture of one: BGR pictures of one size, each with its face's outline (36, 2) or None.

    `alpha`: (H, W) float32 0..1, what of the pictures is pasted. A still picture has one frame.
    """

    name: str
    frames: Sequence[Pixels]
    outlines: Sequence[Floats | None]
    alpha: Floats

    @property
    def first(self) -> Floats:
        """The outline of the first picture that has one."""
        return next(outline for outline in self.outlines if outline is not None)

    def number(self, frame: int) -> int:
        """The picture at a scene's frame: forwards, then back."""
        if len(self.frames) == 1:
            return 0
        at = frame % (2 * len(self.frames) - 2)
        return min(at, 2 * len(self.frames) - 2 - at)


@cache
def person(name: str) -> Look:
    """One of PEOPLE, moving: head and shoulders on nothing."""
    driving = _driving()
    if name == "driver":
        return _cut_out(name, [frame.pixels for frame, _ in driving])
    settings, shown = Settings(), []
    with closing(open_effect(select_identity("motion", name), provider="auto", precision="auto")) as effect:
        for frame, faces in driving:
            picture = effect(frame, faces, settings, StageTimer(now_ns))
            if picture is not None and not effect.resting:
                shown.append(picture)
    return _cut_out(name, shown)


@cache
def _driving() -> list[tuple[Frame, list[Face]]]:
    """The bundled clip's pictures, and the face in each."""
    clip = built_in_folder() / "clips" / "driving.mp4"
    with closing(Tracker(face_folder(), provider="cpu")) as tracker:
        return [(frame, tracker(frame)) for frame in _frames(clip, FRAMES)]


@cache
def filmed(path: Path, size: tuple[int, int], most: int) -> Look:
    """A clip as it is, scaled to `size`; its faces are found at its own size. Raises ConfigError where none is."""
    pixels = [frame.pixels for frame in _frames(path, most)]
    outlines = outlines_of(pixels)
    if not any(outline is not None for outline in outlines):
        raise ConfigError(f"{path}: no face is found in this clip: move it out of the folder")
    scale = np.array(size, np.float32) / (pixels[0].shape[1], pixels[0].shape[0])
    small = [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8) for p in pixels]
    scaled = [None if outline is None else (outline * scale).astype(np.float32) for outline in outlines]
    return Look(path.stem, small, scaled, np.ones((size[1], size[0]), np.float32))


@cache
def poster(number: int) -> Look:
    """A still picture of somebody: the avatars', then other rendered people's."""
    avatars = sorted((built_in_folder() / "avatars").glob("*/picture.*"))
    if number < len(avatars):
        pixels = np.asarray(cv2.imread(str(avatars[number])), np.uint8)
    else:
        pixels = _album([number * 37 % ALBUM])[0]
    outlines = outlines_of([pixels])
    if outlines[0] is None:
        return poster(number + 1)
    look = Look(f"poster {number}", [pixels], outlines, np.ones(pixels.shape[:2], np.float32))
    return _trimmed(look, 0.9, 0.8)


@cache
def turning(number: int) -> Look:
    """Somebody who looks aside and turns to the camera, in three steps."""
    pictures = [picture for picture in _album(TURNING[number]) for _ in range(STEP_FRAMES)]
    height, width = pictures[0].shape[:2]
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (round(0.46 * width), round(0.46 * height)), 0, 0, 360, 1.0, -1)
    alpha = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.02 * height), np.float32)
    outlines = outlines_of(_album(TURNING[number]))
    return Look(f"turning {number}", pictures, [outline for outline in outlines for _ in range(STEP_FRAMES)], alpha)


def _album(numbers: Sequence[int]) -> list[Pixels]:
    """Pictures of rendered people, (160, 160, 3), three of each."""
    with np.load(Path(__file__).with_name("album.npz"), allow_pickle=False) as album:
        ends, packed = album["ends"], album["jpg"]
    files = [packed[(ends[n - 1] if n else 0) : ends[n]] for n in numbers]
    return [np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8) for file in files]


def toned(look: Look, warmth: float, gain: float) -> Look:
    """The same person in another light: `warmth` moves blue against red, both in parts of 1."""
    factors = np.array([gain * (1 - warmth), gain, gain * (1 + warmth)])
    table = np.clip(np.arange(256)[:, None] * factors, 0, 255).astype(np.uint8)[None]
    return replace(look, frames=[np.asarray(cv2.LUT(pixels, table), np.uint8) for pixels in look.frames])


def outlines_of(pictures: Sequence[Pixels]) -> list[Floats | None]:
    """Each picture's largest face's outline, (36, 2), by our own networks, each picture for itself."""
    with closing(Tracker(face_folder(), provider="cpu")) as tracker:
        found = [tracker.find(pixels) for pixels in pictures]
    return [faces[0].landmarks[_OVAL, :2].copy() if faces else None for faces in found]


def _frames(path: Path, most: int) -> Iterator[Frame]:
    with closing(Recording(path)) as clip:
        while (frame := clip.read()) is not None and frame.seq < most:
            yield frame


def _cut_out(name: str, pictures: Sequence[Pixels]) -> Look:
    """A person in front of a plain wall, cut out softly: the head with its hair, and the shoulders below."""
    outlines = outlines_of(pictures)
    every = np.concatenate([outline for outline in outlines if outline is not None])
    (x0, y0), (x1, y1) = every.min(axis=0), every.max(axis=0)
    height, width = pictures[0].shape[:2]
    mask = np.zeros((height, width), np.float32)
    middle, head = ((x0 + x1) / 2, (y0 + y1) / 2 - 0.12 * (y1 - y0)), (0.72 * (x1 - x0), 0.78 * (y1 - y0))
    cv2.ellipse(mask, _whole(middle), _whole(head), 0, 0, 360, 1.0, -1)
    neck, wide = y1 - 0.1 * (y1 - y0), 0.85 * (x1 - x0)
    body = [(middle[0] - 0.4 * wide, neck), (middle[0] + 0.4 * wide, neck), (middle[0] + 1.3 * wide, height)]
    body += [
        (middle[0] + 1.3 * wide, height + 50),
        (middle[0] - 1.3 * wide, height + 50),
        (middle[0] - 1.3 * wide, height),
    ]
    cv2.fillConvexPoly(mask, cv2.convexHull(np.array(body, np.int32)), 1.0)
    alpha = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.03 * (y1 - y0)), np.float32)
    return _trimmed(Look(name, pictures, outlines, alpha), 0.8, 1.1)


def _whole(point: tuple[float, float]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _trimmed(look: Look, beside: float, below: float) -> Look:
    """What is about the face, in face widths and heights, and no larger than STORED_PX asks for."""
    every = np.concatenate([outline for outline in look.outlines if outline is not None])
    (x0, y0), (x1, y1) = every.min(axis=0), every.max(axis=0)
    height, width = look.alpha.shape
    left, right = (round(max(0.0, x0 - beside * (x1 - x0))), round(min(width, x1 + beside * (x1 - x0))))
    top, bottom = (round(max(0.0, y0 - 0.7 * (y1 - y0))), round(min(height, y1 + below * (y1 - y0))))
    scale = min(1.0, STORED_PX / float(np.ptp(look.first[:, 1])))
    size = (round((right - left) * scale), round((bottom - top) * scale))

    def small(pixels: Pixels | Floats) -> Any:
        return cv2.resize(pixels[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)

    factor = np.array([size[0] / (right - left), size[1] / (bottom - top)], np.float32)
    outlines = [None if o is None else ((o - (left, top)) * factor).astype(np.float32) for o in look.outlines]
    return Look(look.name, [small(p) for p in look.frames], outlines, small(look.alpha))

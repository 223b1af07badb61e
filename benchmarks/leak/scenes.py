"""Composes pictures of people, posters and things, and knows where every face in them is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.leak.judge import TrueFace, TruePicture
from benchmarks.leak.people import Look
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix

RATE_HZ = 25.0


class Place(NamedTuple):
    """Where a look's face is: its middle in parts of the picture's width and height, its height in parts of the
    picture's, the turn of its axis in degrees, and its width in parts of its own."""

    x: float
    y: float
    height: float
    turn_deg: float = 0.0
    squeeze: float = 1.0


Path = Callable[[int], Place | None]
"""The place at a frame; None while out of the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A look that is pasted along a path. `rim`: a border's colour, as of a poster or a telephone. `offset`: frames by
    which its acting is ahead. `living` None: it has no face."""

    look: Look
    path: Path
    living: bool | None = True
    mirrored: bool = False
    rim: tuple[int, int, int] | None = None
    offset: int = 0


@dataclass(slots=True, eq=False)
class Scene:
    """What is filmed, and what is done meanwhile.

    `actors` from the back to the front. `light`: the gain at a frame. `camera`: frame pixels moved at a frame, None for
    none. `size_at`: the source's size at a frame. `changes`: live settings by frame. `options`: those of the run.
    `allowed`: who may be shown. `faulty`: changes the open parts of the run before it begins.
    """

    actors: list[Actor]
    options: dict[str, Any] = field(default_factory=dict)
    changes: dict[int, dict[str, Any]] = field(default_factory=dict)
    light: Callable[[int], float] = lambda frame: 1.0
    camera: Callable[[int], Matrix | None] = lambda frame: None
    size_at: Callable[[int], tuple[int, int] | None] = lambda frame: None
    faulty: Callable[[Any], None] | None = None
    wall: Pixels | None = None
    noise: float = 1.5
    seed: int = 0
    alone: bool = False
    size: tuple[int, int] = (640, 360)
    _grain: Pixels | None = None

    def picture(self, frame: int) -> TruePicture:
        """The picture at a frame, and its faces."""
        size = self.size_at(frame) or self.size
        wall = wall_of(self.seed, size) if self.wall is None or self.wall.shape[1::-1] != size else self.wall
        self.wall = wall
        pixels, owner = wall.copy(), np.zeros(wall.shape[:2], np.uint8)
        outlines: list[tuple[int, Floats]] = []
        for number, actor in enumerate(self.actors, 1):
            place = actor.path(frame)
            if place is None:
                continue
            outline = _paste(pixels, owner, number, actor, place, frame)
            if outline is not None and actor.living is not None:
                outlines.append((number, outline))
        moved = self.camera(frame)
        if moved is not None:
            pixels = np.asarray(cv2.warpAffine(pixels, moved, size, borderMode=cv2.BORDER_REFLECT), np.uint8)
            owner = np.asarray(cv2.warpAffine(owner, moved, size, flags=cv2.INTER_NEAREST), np.uint8)
            outlines = [(n, (o @ moved[:, :2].T + moved[:, 2]).astype(np.float32)) for n, o in outlines]
        pixels = self._exposed(pixels, frame)
        faces = tuple(
            TrueFace(f"{n} {self.actors[n - 1].look.name}", bool(self.actors[n - 1].living), o, owner == n)
            for n, o in outlines
        )
        return TruePicture(frame, pixels, faces)

    def _exposed(self, pixels: Pixels, frame: int) -> Pixels:
        gain = self.light(frame)
        if gain != 1.0:
            pixels = np.asarray(cv2.convertScaleAbs(pixels, alpha=gain), np.uint8)
        if not self.noise:
            return pixels
        height, width = pixels.shape[:2]
        if self._grain is None or self._grain.shape[0] < height + 64 or self._grain.shape[1] < width + 64:
            rng = np.random.default_rng(self.seed)
            shape = (height + 64, width + 64, 3)
            self._grain = np.clip(128 + rng.normal(0, self.noise, shape), 0, 255).astype(np.uint8)
        rng = np.random.default_rng((self.seed, frame))
        y, x = rng.integers(0, 64, 2).tolist()
        grain = self._grain[y : y + height, x : x + width]
        return np.asarray(cv2.addWeighted(pixels, 1.0, grain, 1.0, -128.0), np.uint8)


def _paste(
    pixels: Pixels, owner: npt.NDArray[np.uint8], number: int, actor: Actor, place: Place, frame: int
) -> Floats | None:
    """Lay an actor into the picture; its face's outline there."""
    look = actor.look
    at = look.number(frame + actor.offset)
    picture: Any = look.frames[at]
    alpha: Any = look.alpha
    first = look.first
    height, width = pixels.shape[:2]
    scale = place.height * height / float(np.ptp(first[:, 1]))
    middle = (first.min(axis=0) + first.max(axis=0)) / 2
    turn = np.deg2rad(place.turn_deg)
    across = scale * place.squeeze * (-1 if actor.mirrored else 1)
    matrix = np.array([[np.cos(turn) * across, -np.sin(turn) * scale], [np.sin(turn) * across, np.cos(turn) * scale]])
    shift = np.array([place.x * width, place.y * height]) - matrix @ middle
    frame_from_look = np.column_stack([matrix, shift])
    corners = np.array([(0, 0), (look.alpha.shape[1], 0), look.alpha.shape[::-1], (0, look.alpha.shape[0])], float)
    placed = corners @ matrix.T + shift
    if actor.rim is not None:
        centre = placed.mean(axis=0)
        border = np.round(centre + 1.12 * (placed - centre)).astype(np.int32)
        cv2.fillConvexPoly(pixels, border, actor.rim, lineType=cv2.LINE_AA)
        cv2.fillConvexPoly(owner, border, number)
    x0, y0 = np.maximum(np.floor(placed.min(axis=0)), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(placed.max(axis=0)), (width, height)).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    while scale < 0.5:
        picture, alpha = (cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for p in (picture, alpha))
        frame_from_look = np.column_stack([frame_from_look[:, :2] * 2, frame_from_look[:, 2]])
        scale *= 2
    to_part = frame_from_look - np.array([[0, 0, x0], [0, 0, y0]])
    window = (x1 - x0, y1 - y0)
    part = cv2.warpAffine(picture, to_part, window, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(alpha, to_part, window)
    under = pixels[y0:y1, x0:x1]
    under[...] = cv2.blendLinear(part, np.ascontiguousarray(under), cover, 1 - cover)
    owner[y0:y1, x0:x1][cover > 0.3] = number
    outline = look.outlines[at]
    return None if outline is None else (outline @ matrix.T + shift).astype(np.float32)


def wall_of(seed: int, size: tuple[int, int]) -> Pixels:
    """A seeded room behind everybody: a lit wall with shelves and things out of focus."""
    rng = np.random.default_rng(seed)
    width, height = size
    light = np.linspace(rng.uniform(90, 210), rng.uniform(60, 220), width)[None, :, None]
    wall = np.broadcast_to(light * rng.uniform(0.85, 1.1, 3), (height, width, 3)).astype(np.uint8).copy()
    for _ in range(rng.integers(0, 9)):
        x, y, w, h = rng.uniform(0, 1, 4) * (width, height, width / 3, height / 3)
        cv2.rectangle(wall, (int(x), int(y)), (int(x + w), int(y + h)), rng.integers(20, 235, 3).tolist(), -1)
    return np.asarray(cv2.GaussianBlur(wall, (0, 0), height / 120), np.uint8)


def hand_look() -> Look:
    """An open hand, drawn."""
    picture = np.full((220, 200, 3), (128, 150, 205), np.uint8)
    mask = np.zeros((220, 200), np.float32)
    cv2.ellipse(mask, (100, 150), (62, 68), 0, 0, 360, 1.0, -1)
    for tip, root in zip(((30, 60), (72, 16), (112, 12), (152, 34), (188, 120)), (60, 82, 104, 126, 140), strict=True):
        cv2.line(mask, tip, (root, 130), 1.0, 30)
        cv2.line(picture, tip, (root, 130), (104, 126, 182), 3)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.5), np.float32)
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    outline = np.stack([100 + 95 * np.sin(angles), 110 - 105 * np.cos(angles)], axis=1).astype(np.float32)
    return Look("hand", [np.asarray(cv2.GaussianBlur(picture, (0, 0), 2), np.uint8)], [outline], mask)

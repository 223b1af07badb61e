"""Places an avatar's picture on a canvas of the output's size, and lays the moving crop into it."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime.capture.picture import load_picture
from realtime.config import Settings
from realtime.errors import ConfigError, MasqueradeError
from realtime.families.effect import Kept
from realtime.families.motion.motion_model import DrawnCrop, Region
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, Points, invert, warp
from realtime.imaging.align import IBUG_68
from realtime.models.avatar import Avatar
from realtime.text import printable

log = logging.getLogger(__name__)
Background = Callable[[tuple[int, int]], Pixels]  # gives a picture of (width, height) to stand before
_BLUR_SHARE = 0.06  # of the canvas: the Gaussian sigma of an avatar's own picture as what is beside it
_DIM = 0.72  # and how bright that is: the eye stays on the picture
_EDGE = 0.012  # the soft edge between a picture and what is beside it, in canvas sides


class Canvas:
    """An avatar's still picture on a canvas, with a place for the crop that moves.

    `picture` is the avatar's own, over the background where it is transparent: what a motion model encodes.
    After `place`, `still` is the canvas, (H, W, 3) and read-only, `canvas_from_avatar` and `canvas_from_crop` say where
    things lie on it, and `show` lays crops into it.
    """

    def __init__(self, avatar: Avatar, size: tuple[int, int], background: Background | None) -> None:
        """`background` None: the avatar's own, blurred, beside it, and a quiet grey behind transparency."""
        rows, columns = avatar.pixels.shape[:2]
        self._size, self._softly = size, avatar.alpha is None and background is None
        scale = min(size[0] / columns, size[1] / rows)
        self._nominal = _centred(columns, rows, scale, size)
        if avatar.alpha is not None and int(avatar.alpha[-1].max()) > 127:
            # A bust that its picture cuts off below would float in the middle: it stands on the canvas' edge.
            self._nominal[1, 2] = size[1] - scale * rows + 0.5 * (scale - 1)
        self._behind = background(size) if background else _behind(avatar, size)
        self.picture = avatar.pixels
        if avatar.alpha is not None:
            around = warp(self._behind, invert(self._nominal), columns, rows, "edge")
            self.picture = _mixed(avatar.pixels, around, avatar.alpha.astype(np.float32) / np.float32(255))
        self.still: Pixels = self._behind
        self._covers: Floats | None = None
        self._side, self._left, self._top = 0, 0, 0
        self._weights: _Weights | None = None
        self.canvas_from_crop = self.canvas_from_avatar = self._nominal

    @property
    def enlarged(self) -> float:
        """How many pixels of the canvas a crop's pixel becomes, one way."""
        return self._side / self._crop_size

    def place(self, crop_from_avatar: Matrix, crop_size: int) -> None:
        """Say where in the avatar's picture the crops lie.

        The whole picture is moved by less than a pixel, and scaled by as little, so that a crop's edges fall
        between pixels of the canvas: laying it in is then a plain resize, four times as quick as a warp.
        """
        nominal = product(self._nominal, invert(crop_from_avatar))
        self._crop_size = crop_size
        self._side = max(round(crop_size * float(nominal[0, 0])), 2)
        scale = self._side / crop_size
        # A crop's left edge is at -0.5, half a pixel from its first pixel's centre.
        left, top = (round(float(edge) + 0.5) for edge in nominal @ (-0.5, -0.5, 1.0))
        self._left, self._top = left, top
        shift = 0.5 * (scale - 1.0)
        self.canvas_from_crop = np.array([[scale, 0.0, left + shift], [0.0, scale, top + shift]])
        self.canvas_from_avatar = product(self.canvas_from_crop, crop_from_avatar)
        rows, columns = self.picture.shape[:2]
        placed = warp(self.picture, self.canvas_from_avatar, *self._size, "edge")
        self._covers = _covers(self.canvas_from_avatar, (columns, rows), self._size, softly=self._softly)
        self.still = placed if self._covers is None else _mixed(placed, self._behind, self._covers)
        self.still.flags.writeable = False
        self._weights = None

    def show(self, drawn: DrawnCrop, share: float = 1.0) -> Pixels:
        """The whole picture with the crop in it, a new (H, W, 3) array. `share` fades the crop out, 1 to 0."""
        out = self.still.copy()
        if self._weights is None or self._weights.mask is not drawn.mask:
            self._weights = self._weigh(drawn.mask)
        weights = self._weights
        x0, y0, x1, y1 = weights.reach
        if x1 <= x0 or y1 <= y0:
            return out
        kernel = cv2.INTER_AREA if self._side < self._crop_size else cv2.INTER_LINEAR
        crop = cv2.resize(drawn.pixels, (self._side, self._side), interpolation=kernel)
        crop = crop[y0 - self._top : y1 - self._top, x0 - self._left : x1 - self._left]
        there = out[y0:y1, x0:x1]
        if share < 1.0:
            new = weights.new * np.float32(share)
            there[...] = cv2.blendLinear(crop, there, new, 1.0 - new)
            return out
        for rows, columns in weights.rim:
            part = rows, columns
            there[part] = cv2.blendLinear(crop[part], there[part], weights.new[part], weights.old[part])
        there[weights.inside] = crop[weights.inside]
        return out

    def _weigh(self, mask: Floats) -> "_Weights":
        """The mask where it lies on the canvas."""
        kernel = cv2.INTER_AREA if self._side < self._crop_size else cv2.INTER_LINEAR
        large = np.asarray(cv2.resize(mask, (self._side, self._side), interpolation=kernel), np.float32)
        x0, y0 = max(self._left, 0), max(self._top, 0)
        x1, y1 = min(self._left + self._side, self._size[0]), min(self._top + self._side, self._size[1])
        if x1 <= x0 or y1 <= y0:
            return _Weights(mask, (0, 0, 0, 0), large, large, (slice(0), slice(0)), ())
        new = large[y0 - self._top : y1 - self._top, x0 - self._left : x1 - self._left].copy()
        if self._covers is not None:  # a crop that reaches beyond the picture must not be seen there
            new *= self._covers[y0:y1, x0:x1]
        inside = _opaque_middle(new)
        (top, bottom), (left, right) = ((s.start, s.stop) for s in inside)
        around: tuple[Part, ...] = (
            (slice(0, top), slice(None)),
            (slice(bottom, None), slice(None)),
            (slice(top, bottom), slice(0, left)),
            (slice(top, bottom), slice(right, None)),
        )
        rim = tuple(part for part in around if new[part].any())
        return _Weights(mask, (x0, y0, x1, y1), new, np.asarray(1.0 - new, np.float32), inside, rim)


Part = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """A mask where it lies on the canvas: `new` and `old` weigh crop and still within `reach` (x0, y0, x1, y1).

    `inside`: a part of it where there is only crop; `rim`: the parts around that, as far as there is any crop.
    """

    mask: Floats
    reach: tuple[int, int, int, int]
    new: Floats
    old: Floats
    inside: Part
    rim: tuple[Part, ...]


def _opaque_middle(weights: Floats) -> Part:
    """A large rectangle of weights of 1, grown from the middle of where they are; empty where there is none."""
    full = weights >= 1.0 - 1 / 512
    rows, columns = full.shape
    x, y, w, h = cv2.boundingRect(full.astype(np.uint8))
    for cut in np.linspace(0.0, 0.45, 19).tolist():
        part = (slice(y + int(cut * h), y + h - int(cut * h)), slice(x + int(cut * w), x + w - int(cut * w)))
        if w and h and full[part].all():
            return part
    return slice(rows, rows), slice(0, columns)


def _covers(
    canvas_from_avatar: Matrix, picture: tuple[int, int], size: tuple[int, int], *, softly: bool
) -> Floats | None:
    """Where on the canvas the picture is, (H, W) float32 0..1; None where everywhere."""
    scale = float(canvas_from_avatar[0, 0])
    soft = max(1.0, _EDGE * max(size)) if softly else 1.0

    def along(axis: int) -> Floats:
        start = float(canvas_from_avatar[axis, 2]) - 0.5 * scale
        end, count = start + scale * picture[axis], size[axis]
        at = np.arange(count)
        # Within two pixels of the canvas' own edge it fills it: rounding, which `place` adds to.
        low = np.ones(count) if start < 1.5 else (at + 0.5 - (start + 0.5)) / soft
        high = np.ones(count) if end > count - 2.5 else (end + 0.5 - (at + 0.5)) / soft
        return np.asarray(np.clip(np.minimum(low, high), 0.0, 1.0), np.float32)

    across, down = along(0), along(1)
    if across.min() == 1.0 and down.min() == 1.0:
        return None
    return np.asarray(down[:, None] * across[None, :], np.float32)


def _centred(columns: int, rows: int, scale: float, size: tuple[int, int]) -> Matrix:
    """The matrix that puts the middle of a picture, scaled, in the middle of a canvas."""
    shift = ((size[0] - scale * columns + scale - 1) / 2, (size[1] - scale * rows + scale - 1) / 2)
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def _behind(avatar: Avatar, size: tuple[int, int]) -> Pixels:
    """What is beside a picture of another shape: itself, enlarged and blurred; a quiet grey if it is transparent."""
    width, height = size
    if avatar.alpha is not None:
        rise = np.linspace(0.82, 0.58, height)[:, None, None] * np.array([232.0, 230.0, 226.0])
        return np.ascontiguousarray(np.broadcast_to(np.rint(rise).astype(np.uint8), (height, width, 3)))
    return blurred_cover(avatar.pixels, size)


def cover(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """A picture that fills (width, height), its middle kept and what is too much cut off."""
    rows, columns = pixels.shape[:2]
    return warp(pixels, _centred(columns, rows, max(size[0] / columns, size[1] / rows), size), *size, "edge")


def blurred_cover(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """The same, blurred beyond recognition and dimmed."""
    tiny = (max(size[0] // 8, 1), max(size[1] // 8, 1))
    soft = cv2.GaussianBlur(cover(pixels, tiny), (0, 0), _BLUR_SHARE * max(tiny), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(cv2.resize(soft, size, interpolation=cv2.INTER_CUBIC), alpha=_DIM), np.uint8)


def _mixed(front: Pixels, back: Pixels, share: Floats) -> Pixels:
    return np.asarray(cv2.blendLinear(front, back, share, np.asarray(1.0 - share, np.float32)), np.uint8)


def product(a_from_b: Matrix, b_from_c: Matrix) -> Matrix:
    """`a_from_c`, (2, 3): one map after the other."""
    return np.hstack([a_from_b[:, :2] @ b_from_c[:, :2], a_from_b[:, :2] @ b_from_c[:, 2:] + a_from_b[:, 2:]])


class AvatarEffect(ABC):
    """What effects that show avatars share: a canvas for each, made anew for another size or background."""

    keeps: Kept = "nothing"
    motion = None

    def __init__(self, avatars: Sequence[Avatar]) -> None:
        self._avatars = {avatar.name: avatar for avatar in avatars}
        self._first = self._active = avatars[0]
        self._canvases: dict[str, Canvas] = {}
        self._ready_for: tuple[tuple[int, int], str] | None = None

    @property
    def title(self) -> str:
        """The avatar's display name."""
        return self._active.title

    def prepare(self, size: tuple[int, int], settings: Settings) -> None:
        """Set every avatar on a canvas of (width, height). Raises MasqueradeError.

        A background that cannot be read is refused at the start; later the one before stays.
        """
        wanted = (size, settings.background)
        if self._ready_for == wanted:
            return
        try:
            background = read_background(settings.background)
        except MasqueradeError as error:
            if self._ready_for is None or self._ready_for[0] != size:
                raise
            log.warning("%s; the background stays as it is", error)
        else:
            self._make_canvases(size, background)
        self._ready_for = wanted

    @abstractmethod
    def _make_canvases(self, size: tuple[int, int], background: Background | None) -> None:
        """Fill `_canvases`, and what else depends on them. Raises MasqueradeError; then all is as before."""

    def _select(self, settings: Settings, size: tuple[int, int]) -> None:
        """Make the avatar that is asked for the active one, ready for that size."""
        # An avatar that is still loading is not among them yet: the present one stays until then.
        self._active = self._avatars.get(settings.avatar, self._active) if settings.avatar else self._first
        self.prepare(size, settings)


_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def read_background(text: str) -> Background | None:
    """`kept` and `blurred`: None, the avatar's own; else a colour (#rrggbb) or a picture's file. Raises ConfigError."""
    if text in ("kept", "blurred"):
        return None
    if _COLOUR.fullmatch(text):
        red, green, blue = (int(text[at : at + 2], 16) for at in (1, 3, 5))
        return lambda size: np.full((size[1], size[0], 3), (blue, green, red), np.uint8)
    path = Path(text)
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise ConfigError(
            f"background = {printable(text, 80)!r} is neither kept, blurred, a colour like #336699 nor a picture's file"
        )
    pixels = load_picture(path)
    return lambda size: cover(pixels, size)


_FIRST = np.array([first for first, _ in IBUG_68])
_LIPS = (_FIRST[48:68],)
_EYES = (np.concatenate([_FIRST[36:42], _FIRST[17:22]]), np.concatenate([_FIRST[42:48], _FIRST[22:27]]))
_CHIN, _LOWER_LIP = 152, 17
GROWN = {"lips": 0.10, "eyes": 0.06}
"""How far a part's outline is pushed out, in face heights: lips open and brows rise beyond where they rest."""
SOFT = 0.03  # the Gaussian sigma of the edges, in face heights
BORDER = 0.08  # the width of a whole crop's soft border, in its sides


def border_mask(size: int, border: float = BORDER) -> Floats:
    """A whole crop, (size, size) float32: 1 within, falling to 0 at the edge over `border` sides (smoothstep)."""
    away = np.minimum(np.arange(size), np.arange(size)[::-1]) / (border * size)
    rise = np.clip(away, 0.0, 1.0)
    rise = rise * rise * (3.0 - 2.0 * rise)
    return np.ascontiguousarray(rise[:, None] * rise[None, :], dtype=np.float32)


def region_mask(landmarks: Points, crop_from_avatar: Matrix, size: int, region: Region) -> Floats:
    """Where a region of a face lies in a crop, (size, size) float32 0..1, soft, 0 at the crop's border.

    `landmarks` is (478, 3) in the avatar's pixels. Regions that are not parts of the face are the whole crop.
    """
    whole = border_mask(size)
    if region not in ("lips", "eyes"):
        return whole
    points = np.asarray(landmarks, np.float64)[:, :2] @ crop_from_avatar[:, :2].T + crop_from_avatar[:, 2]
    height = max(float(np.ptp(points[:, 1])), 1.0)
    drawn = np.zeros((size, size), np.uint8)
    for part in _LIPS if region == "lips" else _EYES:
        outline = points[part]
        if region == "lips":  # an opening jaw takes the chin with it
            outline = np.concatenate([outline, 0.35 * points[_LOWER_LIP : _LOWER_LIP + 1] + 0.65 * points[_CHIN]])
        hull = cv2.convexHull(np.clip(outline, -(2**15), 2**15).astype(np.float32)).astype(np.int32)
        cv2.fillConvexPoly(drawn, hull, 255)
    grow = 2 * round(GROWN[region] * height / 2) + 1
    wide = cv2.dilate(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow)))
    soft = cv2.GaussianBlur(wide.astype(np.float32) / 255.0, (0, 0), max(SOFT * height, 0.5))
    return np.asarray(soft * whole, np.float32)

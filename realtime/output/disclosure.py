"""What says that a picture is synthetic: badge, camera name, metadata; and the slates that stand in for a picture."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

from realtime.frame import Pixels

CAMERA_LABEL = "masquerade (AI)"  # the virtual camera's name, as programs list it
_BADGE_TEXT = "AI"
_BADGE_HEIGHT = 0.072  # of the picture's height: 26 px at 360p, where its letters are 14 px high
_BADGE_MIN_PX = 16
_BADGE_WIDTH = 1.55  # in badge heights
_BADGE_MARGIN = 0.35  # from the picture's edges, in badge heights
_OVERSAMPLE = 4  # the badge is drawn this much larger and averaged: clean edges at every size
_INK = (255, 255, 255)
_BADGE_COLOR = (28, 24, 24)
_BADGE_ALPHA = 0.85

_SLATE_TOP = (74, 56, 46)
_SLATE_BOTTOM = (38, 28, 24)
_SLATE_TITLE = (240, 236, 232)
_SLATE_TEXT = (186, 172, 164)
_SLATE_ACCENT = (150, 190, 90)

_GRAIN_PX = 61

_BLURRED_WIDTH_PX = 12
"""A face that fills the picture's whole width keeps this many pixels: nobody can be recognised."""

Patch = tuple[Pixels, Pixels]  # (ink, 255 - alpha), both (h, w, 3) uint8: the ink is already multiplied by its alpha


def badge(pixels: Pixels, *, in_place: bool = False) -> Pixels:
    """The picture with the "AI" badge in its top right corner, (H, W, 3) uint8 BGR.

    A new array, or with `in_place` the caller's own. The badge is 7.2 % of the height, at least 16 px, and never larger
    than the picture.
    """
    out = pixels if in_place else pixels.copy()
    rows, columns = out.shape[:2]
    ink, clear = _badge_patch(columns, rows)
    height, width = ink.shape[:2]
    margin = min(round(_BADGE_MARGIN * height), columns - width, rows - height)
    corner = out[margin : margin + height, columns - margin - width : columns - margin]
    corner[...] = cv2.add(cv2.multiply(corner, clear, scale=1.0 / 255.0), ink)
    return out


@lru_cache(maxsize=16)
def _badge_patch(columns: int, rows: int) -> Patch:
    """The badge for a picture of this size: white letters on a dark pill with a thin light rim."""
    height = max(1, min(max(round(_BADGE_HEIGHT * rows), _BADGE_MIN_PX), rows, round(columns / _BADGE_WIDTH)))
    width = max(1, min(round(_BADGE_WIDTH * height), columns))
    h, w = height * _OVERSAMPLE, width * _OVERSAMPLE
    shape, inner = _pill(h, w, 0), _pill(h, w, max(h // 26, 1))
    letters = np.zeros((h, w, 3), dtype=np.uint8)
    font = cv2.FontFace("sans")
    size = max(round(0.76 * h), 1)
    cv2.putText(letters, _BADGE_TEXT, (w // 4, 3 * h // 4), _INK, font, size, 700)
    # Centred by its ink: a font's own box leaves room for accents and descenders.
    x, y, wide, high = cv2.boundingRect(letters[:, :, 0])
    letters = np.roll(letters, ((h - high) // 2 - y, (w - wide) // 2 - x), axis=(0, 1))
    light = np.maximum(letters.astype(np.float32), np.where(inner == 0, shape, 0)[:, :, None] * 0.55)
    light /= 255.0
    alpha = np.maximum(light, (shape / 255.0 * _BADGE_ALPHA)[:, :, None])
    ink = light * np.array(_INK) + (alpha - light) * np.array(_BADGE_COLOR)
    return _averaged(ink, width, height), _averaged(255.0 * (1.0 - alpha), width, height)


def _pill(h: int, w: int, inset: int) -> Pixels:
    """A white box with round ends, `inset` from the edges, on black; (h, w) uint8."""
    canvas = np.zeros((h, w), dtype=np.uint8)
    radius = max((h - 2 * inset) // 2, 0)
    left, right = inset + radius, max(w - 1 - inset - radius, inset + radius)
    for x in (left, right):
        cv2.circle(canvas, (x, h // 2), radius, 255, -1)
    cv2.rectangle(canvas, (left, h // 2 - radius), (right, h // 2 + radius), 255, -1)
    return canvas


def _averaged(large: np.ndarray[tuple[int, ...], np.dtype[np.floating]], width: int, height: int) -> Pixels:
    small = cv2.resize(large.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.convertScaleAbs(small), dtype=np.uint8)


def slate(size: tuple[int, int], lines: Sequence[str]) -> Pixels:
    """A calm full picture with a few lines of text, (H, W, 3) uint8 BGR, a new array.

    `size` is (width, height). The first line is the title; lines that are too long are set smaller.
    """
    width, height = size
    mix = np.linspace(0.0, 1.0, height)[:, None]
    column = (1.0 - mix) * np.array(_SLATE_TOP) + mix * np.array(_SLATE_BOTTOM)
    # A gradient this gentle would show steps: one grey level of fixed noise hides them. It repeats sideways.
    grain = np.random.default_rng(0).uniform(-0.5, 0.5, (height, _GRAIN_PX, 1))
    strip = np.rint(column[:, None, :] + grain).astype(np.uint8)
    picture: Pixels = np.ascontiguousarray(np.tile(strip, (1, -(-width // _GRAIN_PX), 1))[:, :width])
    unit = min(height, width * 9 / 16)
    title_px, text_px = 0.085 * unit, 0.048 * unit
    if title_px < 4.0 or not lines:
        return picture
    leading = [1.0 * title_px] + [1.7 * text_px] * (len(lines) - 1)
    gap = 0.7 * title_px if len(lines) > 1 else 0.0
    baseline = 0.5 * (height - sum(leading) - gap) + leading[0]
    _write(picture, lines[0], baseline, title_px, 600, _SLATE_TITLE)
    if len(lines) > 1:
        rule_y, half = round(baseline + 0.5 * title_px), round(0.5 * title_px)
        thick = max(round(0.05 * title_px), 1)
        cv2.rectangle(picture, (width // 2 - half, rule_y), (width // 2 + half, rule_y + thick - 1), _SLATE_ACCENT, -1)
    baseline += gap
    for line, step in zip(lines[1:], leading[1:], strict=True):
        baseline += step
        _write(picture, line, baseline, text_px, 400, _SLATE_TEXT)
    return picture


def _write(
    picture: Pixels, text: str, baseline: float, size_px: float, weight: int, color: tuple[int, int, int]
) -> None:
    """One centred line, no wider than 86 % of the picture."""
    rows, columns = picture.shape[:2]
    font = cv2.FontFace("sans")
    size = max(round(size_px), 1)
    # An unbounded picture: getTextSize wraps at the edge of the one that it is given.
    x, _, wide, _ = cv2.getTextSize((1 << 20, rows), text, (0, 0), font, size, weight)
    if wide > 0.86 * columns:
        size = max(int(size * 0.86 * columns / wide), 1)
        x, _, wide, _ = cv2.getTextSize((1 << 20, rows), text, (0, 0), font, size, weight)
    cv2.putText(picture, text, ((columns - wide) // 2 - x, round(baseline)), color, font, size, weight)


def blurred_slate(pixels: Pixels) -> Pixels:
    """The frame as a wash of colour in which nobody can be recognised, (H, W, 3) uint8 BGR, a new array.

    Averaged to 12 pixels across and drawn large again: what is gone cannot be sharpened back.
    """
    rows, columns = pixels.shape[:2]
    width = min(_BLURRED_WIDTH_PX, columns)
    height = min(max(round(width * rows / columns), 1), _BLURRED_WIDTH_PX, rows)
    # Two steps: one straight to so few pixels takes ten times as long.
    small = cv2.resize(pixels, (max(columns // 16, width), max(rows // 16, height)), interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(tiny, (columns, rows), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def metadata(bundle_name: str, identity_kind: str, version: str) -> dict[str, str]:
    """What a file says about itself, as container tags.

    `comment` holds it all, because MP4 keeps no tags of our own unless asked to. The digital source type is IPTC's term
    for a recording that is partly the work of a trained model.
    """
    return {
        "comment": f"Synthetic face (AI) by masquerade {version}: {bundle_name}, identity {identity_kind}",
        "masquerade_model": bundle_name,
        "masquerade_identity": identity_kind,
        "masquerade_version": version,
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
    }

"""Drawing of figures in layers: sheets, shapes, and the folder that an avatar is."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import skia
from PIL import Image

from realtime.families.figure.drawing import still
from realtime.families.figure.mesh import Picture
from realtime.models.figure import read_rig

Point = tuple[float, float]
Joints = Mapping[str, Point]
RIM_PX = 3  # of nothing round a layer
ARM, LEG = ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "toe")


def both_sides(right: Joints, middle: float) -> dict[str, Point]:
    """Joints of the figure's right side, and their mirror images; those without a side are in the middle."""
    joints = {}
    for name, (x, y) in right.items():
        if name in ("hips", "neck", "head"):
            joints[name] = (x, y)
        else:
            joints["r_" + name], joints["l_" + name] = (x, y), (2 * middle - x, y)
    return joints


def shape(svg: str) -> skia.Path:
    """A path from the data of an SVG's `d`: of its commands M, L, H, V, Q, C and Z."""
    path, x, y = skia.PathBuilder(), 0.0, 0.0
    for command, numbers in re.findall(r"([MLHVQCZ])([^MLHVQCZ]*)", svg):
        values = [float(value) for value in re.findall(r"-?[\d.]+(?:e-?\d+)?", numbers)]
        if command == "Z":
            path.close()
            continue
        if command in "HV":
            values = [values[0], y] if command == "H" else [x, values[0]]
        length = {"Q": 4, "C": 6}.get(command, 2)
        for k in range(0, len(values), length):
            {"M": path.moveTo, "Q": path.quadTo, "C": path.cubicTo}.get(command, path.lineTo)(*values[k : k + length])
        x, y = values[-2:]
    return path.detach()


def box(x: float, y: float, width: float, height: float, radius: float) -> skia.Path:
    """A rectangle with round corners around (x, y)."""
    rect = skia.Rect.MakeXYWH(x - width / 2, y - height / 2, width, height)
    return skia.Path.RRect(rect, radius, radius)


def disc(x: float, y: float, width: float, height: float | None = None) -> skia.Path:
    """A circle or an ellipse around (x, y), by half its width and height."""
    height = width if height is None else height
    return skia.Path.Oval(skia.Rect.MakeXYWH(x - width, y - height, 2 * width, 2 * height))


def tube(points: Sequence[Point], widths: Sequence[float]) -> skia.Path:
    """A limb along points, so wide at each of them, with rounded bends and ends."""
    middle, wide = [], []
    for (a, b), (start, end) in zip(pairwise(points), pairwise(widths), strict=True):
        for t in np.arange(0, 1, 1 / 24):
            middle.append(np.array(a) * (1 - t) + np.array(b) * t)
            wide.append(start * (1 - t) + end * t)
    line, radii = np.array([*middle, points[-1]], float), np.array([*wide, widths[-1]]) / 2
    for _ in range(30):
        line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    turns = np.linspace(0, np.pi, 17)[1:-1, None]
    last = line[-1] + radii[-1] * (np.cos(turns) * across[-1] + np.sin(turns) * along[-1])
    first = line[0] + radii[0] * (-np.cos(turns) * across[0] - np.sin(turns) * along[0])
    edge = radii[:, None] * across
    outline = np.concatenate([line + edge, last, (line - edge)[::-1], first])
    return skia.Path.Polygon([skia.Point(float(x), float(y)) for x, y in outline], True)


class Sheet:
    """One transparent layer that is drawn on."""

    def __init__(self, size: tuple[int, int], mirrored: bool = False) -> None:
        self.canvas = self._open(size)
        if mirrored:
            self.canvas.translate(size[0], 0)
            self.canvas.scale(-1, 1)

    def _open(self, size: tuple[int, int]) -> skia.Canvas:
        self._surface = skia.Surface(*size)
        canvas = self._surface.getCanvas()
        canvas.clear(0)
        return canvas

    def fill(self, path: skia.Path, colour: int | skia.Shader) -> None:
        """A plane in one colour or shaded."""
        ink = skia.Paint(AntiAlias=True)
        if isinstance(colour, int):
            ink.setColor(colour)
        else:
            ink.setShader(colour)
        self.canvas.drawPath(path, ink)

    def line(self, path: skia.Path, colour: int, width: float) -> None:
        """A line with round ends."""
        ink = skia.Paint(AntiAlias=True, Color=colour, Style=skia.Paint.kStroke_Style, StrokeWidth=width)
        ink.setStrokeCap(skia.Paint.kRound_Cap)
        ink.setStrokeJoin(skia.Paint.kRound_Join)
        self.canvas.drawPath(path, ink)

    def glow(self, path: skia.Path, colour: int, sigma: float, width: float = 0.0) -> None:
        """A soft light in the form of a plane, or of a line so wide."""
        blur = skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, sigma)
        ink = skia.Paint(AntiAlias=True, Color=colour, MaskFilter=blur)
        if width:
            ink.setStyle(skia.Paint.kStroke_Style)
            ink.setStrokeWidth(width)
            ink.setStrokeCap(skia.Paint.kRound_Cap)
        self.canvas.drawPath(path, ink)

    @contextmanager
    def inside(self, path: skia.Path) -> Iterator[None]:
        """Draw only what is inside a plane."""
        self.canvas.save()
        self.canvas.clipPath(path, True)
        yield
        self.canvas.restore()

    @contextmanager
    def along(self, start: Point, end: Point) -> Iterator[float]:
        """Draw in the coordinates of a bone: it begins at (0, 0) and goes down; gives its length."""
        across, down = end[0] - start[0], end[1] - start[1]
        self.canvas.save()
        self.canvas.translate(*start)
        self.canvas.rotate(float(np.degrees(np.arctan2(down, across))) - 90)
        yield float(np.hypot(across, down))
        self.canvas.restore()

    def pixels(self) -> Picture:
        """(H, W, 4) uint8 BGRA, colours not multiplied by alpha."""
        image = self._surface.makeImageSnapshot()
        return np.array(image.toarray(colorType=skia.kBGRA_8888_ColorType), np.uint8)


@dataclass
class Drawing:
    """A figure that is being drawn: `joints` on a canvas of `size`, and its layers."""

    name: str
    words: str
    size: tuple[int, int]
    floor: int
    top: int
    joints: dict[str, Point]
    head: dict[str, object] = field(default_factory=dict)
    picture: Picture | None = None  # instead of layers
    few_colours: bool = False  # 256 in a layer
    sheet: Callable[..., "Sheet"] = Sheet
    finish: Callable[[Picture, str], object] | None = None
    parts: list[tuple[Sheet, dict[str, object]]] = field(default_factory=list)
    layers: list[tuple[Sheet, dict[str, object]]] = field(default_factory=list)
    views: dict[str, list[tuple[Sheet, dict[str, object]]]] = field(default_factory=dict)
    _view: str | None = None

    def part(self, name: str, chain: Sequence[str], group: str, **more: object) -> Sheet:
        """A layer of the body, from back to front; one of the left is drawn as the right and mirrored."""
        sheet = self.sheet(self.size, mirrored=group.endswith("_l"))
        self.parts.append((sheet, {"name": name, "chain": list(chain), "group": group, **more}))
        return sheet

    def limb(self, name: str, side: str, **more: object) -> Sheet:
        """An arm or a leg."""
        chain = [f"{side}_{joint}" for joint in (ARM if name == "arm" else LEG)]
        return self.part(f"{name}_{side}", chain, f"{name}_{side}", **more)

    def layer(self, name: str, depth: float, **more: object) -> Sheet:
        """A layer of the head, from back to front, on the head's own sheet."""
        width, height = self.head["size"]  # type: ignore[misc]
        sheet = self.sheet((width, height))
        listed = self.layers if self._view is None else self.views.setdefault(self._view, [])
        listed.append((sheet, {"name": name, "depth": depth, **more}))
        return sheet

    @contextmanager
    def view(self, turn: str | None) -> Iterator[None]:
        """Draw the head's layers for another turn."""
        self._view = turn
        yield
        self._view = None

    def save(self, folder: Path) -> None:
        """Write the avatar's folder: layers, `figure.json`, `picture.png` and `avatar.toml`."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        rig: dict[str, object] = {"name": self.name.title(), "licence": "CC0-1.0", "size": self.size}
        rig |= {"floor": self.floor, "top": self.top, "joints": self.joints}
        if self.picture is not None:
            rig |= {"picture": "drawing.png"}
            _write(folder / "drawing.png", self.picture, few_colours=True)
        else:
            rig["parts"] = [self._written(folder, *part) for part in self.parts]
        if self.layers:
            rig["head"] = {**self.head, "layers": [self._written(folder, *layer) for layer in self.layers]}
        if self.views:
            views = [
                {"turn": turn, "layers": [self._written(folder, *layer, before=f"{turn}_") for layer in layers]}
                for turn, layers in self.views.items()
            ]
            rig["head"] |= {"views": views}  # type: ignore[operator]
        (folder / "figure.json").write_text(json.dumps(rig, indent=1) + "\n", encoding="utf-8")
        read = read_rig(folder)
        _write(folder / "picture.png", still(read, folder), few_colours=True, faintest=96)
        files = "\n".join(f'"{file}" = "{_digest(folder / file)}"' for file in ("figure.json", *read.files))
        card = CARD.format(
            words=self.words,
            name=self.name,
            title=self.name.title(),
            picture=_digest(folder / "picture.png"),
            files=files,
        )
        (folder / "avatar.toml").write_text(card, encoding="utf-8")

    def _written(self, folder: Path, sheet: Sheet, spec: dict[str, object], before: str = "") -> dict[str, object]:
        """A layer's picture, cut to what is on it, and what `figure.json` says of it."""
        pixels = sheet.pixels()
        if self.finish is not None:
            self.finish(pixels, str(spec["name"]))
        x, y, width, height = cv2.boundingRect(pixels[..., 3])
        x0, y0 = max(x - RIM_PX, 0), max(y - RIM_PX, 0)
        file = f"{before}{spec['name']}.png"
        _write(folder / file, pixels[y0 : y + height + RIM_PX, x0 : x + width + RIM_PX], self.few_colours)
        return {**spec, "image": file, "at": (x0, y0)}


CARD = """\
# {words}
schema = 1
name = "{name}"
title = "{title}"
licence = "CC0-1.0"

[identity]
kind = "synthetic"
statement = "Drawn character. No real person."

[picture]
file = "picture.png"
sha256 = "{picture}"

[figure]
{files}
"""


def _write(file: Path, pixels: Picture, few_colours: bool = False, faintest: int = 28) -> None:
    """A PNG, as small as it gets; `few_colours`: with a palette of 256, without what is fainter than `faintest`."""
    if few_colours:
        pixels = pixels * (pixels[..., 3:] >= faintest)
    image = Image.fromarray(np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]))
    if few_colours:
        image = image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        colours = np.reshape(image.getpalette("RGBA"), (-1, 4)).astype(np.uint8)
        colours[np.unique(np.asarray(image)[pixels[..., 3] == 0])] = 0  # nothing stays nothing
        image.putpalette(colours.tobytes(), "RGBA")
    image.save(file, optimize=True)


def _digest(file: Path) -> str:
    return "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()

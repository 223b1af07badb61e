"""Reads layered art as artists make it: Photoshop's PSD, OpenRaster (.ora) and SVG, as a tree of named layers.

Such files may be hostile: sizes are checked before anything is unpacked, and `figure_from_art` reads them in a child.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.picture import decode_picture, first_bytes
from realtime.errors import ConfigError
from realtime.inference.file_kind import ZIP_ERRORS, open_zip
from realtime.text import printable

Picture = npt.NDArray[np.uint8]
"""(H, W, 4) uint8 BGRA, colours not multiplied by alpha."""

WORK_PX = 1440  # of a canvas' height: larger art is scaled down, drawings of lines are drawn so large
MOST_FILE_BYTES = 400 << 20
MOST_SIDE_PX = 12_000
MOST_RATIO = 2.5  # of a canvas' longer side to the shorter
MOST_LAYER_PX = 100_000_000
MOST_LAYERS, MOST_DEPTH = 400, 24
MOST_XML_BYTES, MOST_ENTRY_BYTES = 16 << 20, 64 << 20
FIND_PX = 240  # of a canvas' height: so large an SVG's layer is drawn first, to find where it lies

_INSTALL = "pip install 'masquerade[art]'"
_SVG, _INKSCAPE = "{http://www.w3.org/2000/svg}", "{http://www.inkscape.org/namespaces/inkscape}"
_HREF = ("href", "{http://www.w3.org/1999/xlink}href")
_DRAWN = {
    _SVG + tag
    for tag in ("g", "svg", "a", "switch", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text",
                "image", "use")
}  # fmt: skip
_UNITS = {"": 1.0, "px": 1.0, "pt": 96 / 72, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_UNNAMED = re.compile(
    r"(g|path|layer|svg|rect|circle|ellipse|line|polyline|polygon|text|tspan|image|use|group|vector|clip path group)"
    r"[ -]*\d*",
    re.I,
)


@dataclass(slots=True, eq=False)
class Layer:
    """A layer, or a group of `layers` from back to front. `picture` lies at `at` on the canvas, None of a group."""

    name: str
    layers: list["Layer"] = field(default_factory=list)
    picture: Picture | None = None
    at: tuple[float, float] = (0.0, 0.0)

    def leaves(self) -> Iterator["Layer"]:
        """The pictures in it, from back to front."""
        if self.picture is not None:
            yield self
        for layer in self.layers:
            yield from layer.leaves()

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all that is drawn in it. Raises ValueError where nothing is."""
        boxes = [(*leaf.at, *np.add(leaf.at, leaf.picture.shape[1::-1])) for leaf in self.leaves()]  # type: ignore[union-attr]
        if not boxes:
            raise ValueError("nothing is drawn in it")
        low, high = np.array(boxes)[:, :2].min(axis=0), np.array(boxes)[:, 2:].max(axis=0)
        return (*low.tolist(), *high.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Art:
    """A document: its canvas' size (width, height), and all its layers in `root`."""

    size: tuple[int, int]
    root: Layer


def is_layered_art(file: Path) -> bool:
    """Whether a file is a PSD, an OpenRaster file or an SVG, by its first bytes. Raises ConfigError without a file."""
    return _reader(first_bytes(file)) is not None


def read_art(file: Path, scratch: Path) -> Art:
    """All layers of a file, scaled to the working size; `scratch` is an empty folder. Raises ConfigError."""
    reader = _reader(first_bytes(file))
    if reader is None:
        raise ConfigError(f"{printable(file)} is no PSD, no OpenRaster file and no SVG: export one of these")
    if file.stat().st_size > MOST_FILE_BYTES:
        raise ConfigError(f"{printable(file)} is larger than 400 MB: make its canvas smaller")
    art = reader(file, scratch)
    if not any(art.root.leaves()):
        raise ConfigError(f"{printable(file)} has no layer with anything on it: export it with its layers")
    return art


def _reader(start: bytes) -> Callable[[Path, Path], Art] | None:
    if start.startswith(b"8BPS"):
        return _read_psd
    if start.startswith(b"PK\x03\x04") and b"image/openraster" in start[:128]:
        return _read_ora
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text):
        return _read_svg
    return None


def _scale_of(size: tuple[float, float], file: Path, *, pixels: bool = True) -> float:
    """From the document's units to our pixels; art of pixels is never enlarged. Raises ConfigError for no canvas."""
    width, height = size
    if pixels and not 16 <= min(size) <= max(size) <= MOST_SIDE_PX:
        raise ConfigError(
            f"{printable(file)} has a canvas of {width:.0f}x{height:.0f} pixels: make it 16 to {MOST_SIDE_PX} large"
        )
    if min(size) <= 0 or max(size) > MOST_RATIO * min(size):
        raise ConfigError(f"{printable(file)} has a canvas far longer than wide: cut it to the figure")
    return min(WORK_PX / height, 1.0) if pixels else WORK_PX / height


def _made(name: str, picture: Picture, at: tuple[float, float], scale: float) -> Layer:
    """A layer of the document's own size, cut to what is on it and scaled."""
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(picture[..., 3]))
    cut = picture[y : y + height, x : x + width].astype(np.float32)
    if not width:
        return Layer(name)
    cut[..., :3] *= cut[..., 3:] / 255
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    fitted = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.float32)
    fitted[..., :3] *= 255 / np.maximum(fitted[..., 3:], 1)
    pixels = np.rint(np.clip(fitted, 0, 255)).astype(np.uint8)
    return Layer(name, picture=pixels, at=((at[0] + x) * scale, (at[1] + y) * scale))


class _Counted:
    """Counts layers. Raises ConfigError for too many, or those that lie too deep."""

    def __init__(self, file: Path) -> None:
        self._file, self._left = file, MOST_LAYERS

    def __call__(self, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise ConfigError(f"{printable(self._file)} has more than {MOST_LAYERS} layers: merge some")
        if depth > MOST_DEPTH:
            raise ConfigError(f"{printable(self._file)} has groups in groups {MOST_DEPTH} deep: flatten some")


def _read_psd(file: Path, scratch: Path) -> Art:
    del scratch
    try:
        from psd_tools import PSDImage
    except ImportError as error:
        raise ConfigError(f"{printable(file)} is a PSD, which needs a library: {_INSTALL}") from error
    count = _Counted(file)
    header = first_bytes(file)[:26]
    height, width = (int.from_bytes(header[at : at + 4]) for at in (14, 18))
    scale = _scale_of((width, height), file)
    try:
        document = PSDImage.open(file, max_alloc_bytes=16 * MOST_LAYER_PX)

        def read(node: Any, depth: int) -> list[Layer]:
            found = []
            for layer in node:
                count(depth)
                if layer.is_group():
                    found.append(Layer(str(layer.name), read(layer, depth + 1)))
                elif not layer.clipping and layer.width > 0 and layer.height > 0:
                    if layer.width * layer.height > MOST_LAYER_PX:
                        raise ConfigError(
                            f"{printable(file)} has a layer of {layer.width}x{layer.height} pixels: make it smaller"
                        )
                    image = layer.composite(layer_filter=lambda _: True)  # hidden ones too: mouths often are
                    if image is not None:
                        pixels = np.asarray(image.convert("RGBA"))[..., [2, 1, 0, 3]]
                        found.append(_made(str(layer.name), pixels, (layer.left, layer.top), scale))
            return found

        layers = read(document, 0)
    except (ConfigError, MemoryError):
        raise
    except Exception as error:  # a damaged file makes the library raise nearly anything
        raise ConfigError(f"{printable(file)} is not a whole PSD, damaged or cut off: save it again") from error
    return Art((round(width * scale), round(height * scale)), Layer("", layers))


def _read_ora(file: Path, scratch: Path) -> Art:
    count = _Counted(file)
    try:
        with open_zip(file) as archive:
            image = _xml(_unpacked(archive, "stack.xml", MOST_XML_BYTES), file)
            size = _number(image.get("w")), _number(image.get("h"))
            scale = _scale_of(size, file)

            def read(node: ElementTree.Element, at: tuple[float, float], depth: int) -> list[Layer]:
                found = []
                for item in reversed(node):  # the first is on top
                    count(depth)
                    name = item.get("name") or ""
                    place = at[0] + _number(item.get("x") or "0"), at[1] + _number(item.get("y") or "0")
                    if item.tag == "stack":
                        found.append(Layer(name, read(item, place, depth + 1)))
                    elif item.tag == "layer":
                        target = scratch / "layer"
                        target.write_bytes(_unpacked(archive, item.get("src") or "", MOST_ENTRY_BYTES))
                        pixels = decode_picture(target)
                        if pixels.shape[2] == 3:
                            pixels = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
                        opacity = min(max(_number(item.get("opacity") or "1"), 0.0), 1.0)
                        if 0 < opacity < 1:
                            pixels[..., 3] = np.rint(pixels[..., 3] * opacity)
                        found.append(_made(name, pixels, place, scale))
                return found

            layers = [layer for stack in image.findall("stack") for layer in read(stack, (0.0, 0.0), 0)]
    except (*ZIP_ERRORS, KeyError, ConfigError) as error:
        if isinstance(error, ConfigError) and "whole picture" not in str(error):
            raise
        raise ConfigError(f"{printable(file)} is not a whole OpenRaster file: save it again") from error
    return Art((round(size[0] * scale), round(size[1] * scale)), Layer("", layers))


def _unpacked(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file of an archive. Raises ValueError where it is larger than `most`, whatever the archive claims."""
    with archive.open(name) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError("larger than any layer")
    return content


def _number(text: str | None) -> float:
    """Raises ValueError for no number."""
    value = float(text or "")
    if not abs(value) < 1e6:
        raise ValueError("no size or place")
    return value


def _xml(text: bytes, file: Path) -> ElementTree.Element:
    """The root of an XML text, which must not define entities: they multiply."""
    if b"<!ENTITY" in text.upper():
        raise ConfigError(f"{printable(file)} defines XML entities: export it without them")
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError) as error:
        raise ConfigError(f"{printable(file)} is not whole, damaged or cut off: save it again") from error


def _read_svg(file: Path, scratch: Path) -> Art:
    del scratch
    try:
        import resvg_py
    except ImportError as error:
        raise ConfigError(f"{printable(file)} is an SVG, which needs a library: {_INSTALL}") from error
    with file.open("rb") as stream:
        text = stream.read(MOST_XML_BYTES + 1)
    if len(text) > MOST_XML_BYTES:
        raise ConfigError(f"{printable(file)} is larger than 16 MB: take large pictures out of it")
    root = _xml(text, file)
    x0, y0, width, height = _view_box(root, file)
    scale = _scale_of((width, height), file, pixels=False)
    for element in root.iter():
        for key in _HREF:
            if not (element.get(key) or "#").startswith(("#", "data:")):
                del element.attrib[key]  # nothing but the file itself is read
    tree, leaves = _svg_layers(root, file)

    def draw(box: tuple[float, float, float, float], tall: int) -> Picture:
        """What is shown of the document in a box of it, `tall` pixels high."""
        wide = max(round(tall * box[2] / box[3]), 1)
        root.attrib.update(viewBox=" ".join(f"{v:.6g}" for v in box), width=str(wide), height=str(tall))
        png = resvg_py.svg_to_bytes(svg_string=ElementTree.tostring(root, "unicode"), skip_system_fonts=True)
        return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)

    root.set("preserveAspectRatio", "none")
    parent = {child: element for element in root.iter() for child in element}
    asked = [name for element in root.iter() for name in _asked_for(element)]
    for _, elements in leaves:
        _hide(elements, parent, asked)
    try:
        for layer, elements in leaves:
            _show(elements, parent)
            rough = draw((x0, y0, width, height), FIND_PX)
            x, y, w, h = (v / FIND_PX * height for v in cv2.boundingRect(np.ascontiguousarray(rough[..., 3])))
            if w:
                rim = 2 * height / FIND_PX
                box = (x0 + x - rim, y0 + y - rim, w + 2 * rim, h + 2 * rim)
                tall = max(round(box[3] * scale), 1)
                found = _made(layer.name, draw(box, tall), (0.0, 0.0), 1.0)
                layer.picture = found.picture
                layer.at = (x - rim) * scale + found.at[0], (y - rim) * scale + found.at[1]
            _hide(elements, parent, asked)
    except ValueError as error:
        why = printable(error, 80)
        raise ConfigError(f"{printable(file)} cannot be drawn ({why}): export it as plain SVG") from error
    return Art((round(width * scale), round(height * scale)), tree)


def _asked_for(element: ElementTree.Element) -> list[str]:
    """The ids that an element refers to: colours, masks, what it repeats."""
    return re.findall(r"url\(\s*['\"]?#([^'\")]+)", " ".join(element.attrib.values())) + [
        element.attrib[key][1:] for key in _HREF if element.get(key, "").startswith("#")
    ]


def _hide(
    elements: list[ElementTree.Element],
    parent: Mapping[ElementTree.Element, ElementTree.Element],
    asked: Sequence[str],
) -> None:
    """Take a layer out of its document; it stays, and is not shown, where another one asks for something in it."""
    inside = [below for element in elements for below in element.iter()]
    names = {below.get("id") for below in inside}
    own = sum(name in names for below in inside for name in _asked_for(below))
    stays = sum(name in names for name in asked) > own
    for element in elements:
        if stays:
            element.set("display", "none")
        else:
            parent[element].remove(element)


def _show(elements: list[ElementTree.Element], parent: Mapping[ElementTree.Element, ElementTree.Element]) -> None:
    for element in elements:
        if element.attrib.pop("display", None) is None:
            parent[element].append(element)


def _view_box(root: ElementTree.Element, file: Path) -> tuple[float, float, float, float]:
    """Left, top, width and height of what is shown. Raises ConfigError."""
    try:
        if root.get("viewBox"):
            x, y, width, height = (_number(v) for v in re.split(r"[ ,]+", str(root.get("viewBox")).strip()))
            return x, y, width, height
        sides = []
        for key in ("width", "height"):
            number, unit = re.fullmatch(r"\s*([\d.eE+-]+)\s*([a-z]*)\s*", root.get(key) or "").groups()  # type: ignore[union-attr]
            sides.append(_number(number) * _UNITS[unit])
        return 0.0, 0.0, sides[0], sides[1]
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{printable(file)} does not say its size: save it with a viewBox") from error


def _svg_layers(root: ElementTree.Element, file: Path) -> tuple[Layer, list[tuple[Layer, list[ElementTree.Element]]]]:
    """The tree of an SVG's named groups, and of each layer to be drawn the elements that it is made of."""
    count, leaves = _Counted(file), list[tuple[Layer, list[ElementTree.Element]]]()
    named: Mapping[int, bool] = {}

    def note(element: ElementTree.Element, depth: int) -> bool:
        """Whether anything below an element has a name."""
        if depth > 4 * MOST_DEPTH:
            raise ConfigError(f"{printable(file)} has groups in groups too deep: flatten some")
        below = [note(child, depth + 1) | bool(_svg_name(child)) for child in element if child.tag in _DRAWN]
        named[id(element)] = any(below)  # type: ignore[index]
        return any(below)

    def read(element: ElementTree.Element, layer: Layer, depth: int) -> None:
        loose: list[ElementTree.Element] = []
        for child in element:
            if child.tag not in _DRAWN:
                continue
            child.attrib.pop("display", None)  # hidden mouths are drawn too
            if "style" in child.attrib:
                child.set("style", re.sub(r"display\s*:[^;]*;?", "", child.attrib["style"]))
            name = _svg_name(child)
            if not name and not named[id(child)]:
                loose.append(child)
                if len(loose) > 1:
                    continue
            count(depth)
            if loose and not name:
                leaf = Layer("")
                layer.layers.append(leaf)
                leaves.append((leaf, loose))
                continue
            loose = []
            if not named[id(child)]:
                leaf = Layer(name)
                layer.layers.append(leaf)
                leaves.append((leaf, [child]))
                continue
            group = layer if not name else Layer(name)
            read(child, group, depth + 1)
            if name:
                layer.layers.append(group)

    tree = Layer("")
    note(root, 0)
    read(root, tree, 0)
    return tree, leaves


def _svg_name(element: ElementTree.Element) -> str:
    """A layer's name as the artist wrote it: Inkscape's label, Illustrator's data-name or the id; "" for none."""
    name = element.get(_INKSCAPE + "label") or element.get("data-name") or element.get("id") or ""
    name = re.sub(r"_x([0-9A-Fa-f]{2})_", lambda code: chr(int(code[1], 16)), name).replace("_", " ").strip()
    return "" if _UNNAMED.fullmatch(name) else name

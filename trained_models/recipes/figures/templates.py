"""Writes Pip as layered art, a template for artists' own: `python -m trained_models.recipes.figures.templates`."""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import click
import cv2
import numpy as np
import skia
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import Compression

from realtime.families.figure.mesh import Picture
from trained_models.recipes.figures import fox
from trained_models.recipes.figures.pen import Drawing, Sheet, disc

SIDES = {"l": "Left", "r": "Right"}
PLAIN = {"face": "Face", "mask": "Muzzle", "tuft": "Hair", "nose": "Nose", "tail": "Tail", "torso": "Torso"}
HANDLES = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


class VectorSheet(Sheet):
    """A layer that keeps its lines."""

    def _open(self, size: tuple[int, int]) -> skia.Canvas:
        self._stream = skia.DynamicMemoryWStream()
        return skia.SVGCanvas.Make(skia.Rect.MakeWH(*size), self._stream)

    def svg(self, prefix: str) -> str:
        """What is inside the `<svg>`, its ids unlike those of other layers."""
        del self.canvas
        text = bytes(self._stream.detachAsData()).decode()
        inside = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
        inside = re.sub(r"\b(id=\"|url\(#)(\w+)", rf"\1{prefix}_\2", inside)
        inside = re.sub(r"-?\d+\.\d+(e-?\d+)?", lambda n: f"{float(n[0]):.1f}".removesuffix(".0"), inside)
        return re.sub(r"\s*\n\s*", "", inside)


@dataclass
class Group:
    """A named group of layers from back to front; a leaf has a `sheet` that lies at `at`.

    `hidden`: what would cover the rest when the file is opened, and is read all the same.
    """

    name: str
    sheet: Sheet | None = None
    at: tuple[float, float] = (0.0, 0.0)
    hidden: bool = False
    groups: list["Group"] = field(default_factory=list)

    def into(self, *names: str) -> "Group":
        """The group inside this one, made where it is missing."""
        here = self
        for name in names:
            found = next((group for group in here.groups if group.name == name), None)
            if found is None:
                found = Group(name)
                here.groups.append(found)
            here = found
        return here


def arranged(drawing: Drawing) -> Group:
    """A drawing's layers in groups named as artists do for Adobe Character Animator."""
    whole = Group("")
    body, head = whole.into("+Pip", "Body"), whole.into("+Pip", "Head")
    for sheet, spec in drawing.parts:
        name = str(spec["name"])
        title = PLAIN.get(name) or f"+{SIDES[name[-1]]} {name[:-2].title()}"
        body.groups.append(Group(title, sheet))
    for name, place in drawing.joints.items():
        side, _, joint = name.partition("_")
        if joint in HANDLES:
            dot = drawing.sheet(drawing.size)
            dot.fill(disc(*place, 4), 0xFFFF00FF)
            body.groups.append(Group(f"{SIDES[side]} {joint.title()}", dot, hidden=True))
    centre, corner = drawing.head["place"], drawing.head["centre"]
    at = centre[0] - corner[0], centre[1] - corner[1]  # type: ignore[index]
    views = {"Frontal": drawing.layers}
    for turn, layers in drawing.views.items():
        views[turn.replace("_", " ").title()] = layers
    for view, layers in views.items():
        for sheet, spec in layers:
            *groups, title = _title(str(spec["name"]), spec)
            hidden = spec.get("mouth", "smile") != "smile" or "closed" in spec
            head.into(view, *groups).groups.append(Group(title, sheet, at, hidden))
        head.into(view).hidden = view != "Frontal"
    return whole


def _title(name: str, spec: dict[str, Any]) -> list[str]:
    """A layer of the head: the groups that it is in, and its own name."""
    side = SIDES.get(name[-1], "")
    if "mouth" in spec:
        return ["Mouth", "W-Oo" if spec["mouth"] == "w-oo" else str(spec["mouth"]).title()]
    inside = {"eye": "Eyeball", "iris": "Pupil", "closed": "Blink"}.get(name[:-2])
    if inside is not None:
        return [f"{side} Eye", f"{side} {inside}"]
    if name.startswith("brow"):
        return [f"+{side} Eyebrow"]
    return [PLAIN.get(name) or f"{side} {name[:-2].title()}"]


def leaves(group: Group) -> Iterator[tuple[Group, Picture, tuple[int, int]]]:
    """Each leaf, its picture cut to what is on it (RGBA), and where that lies."""
    for below in group.groups:
        yield from leaves(below)
    if group.sheet is not None:
        pixels = group.sheet.pixels()
        x, y, width, height = cv2.boundingRect(pixels[..., 3])
        at = round(group.at[0]) + x, round(group.at[1]) + y
        yield group, np.ascontiguousarray(pixels[y : y + height, x : x + width][..., [2, 1, 0, 3]]), at


def write_psd(whole: Group, size: tuple[int, int], file: Path) -> None:
    """A Photoshop document."""
    document = PSDImage.new("RGB", size, compression=Compression.RLE)
    pictures = {id(group): (picture, at) for group, picture, at in leaves(whole)}

    def write(group: Group, into: Any) -> None:
        if group.sheet is not None:
            picture, (left, top) = pictures[id(group)]
            made = document.create_pixel_layer(
                Image.fromarray(picture), name=group.name, top=top, left=left, compression=Compression.RLE
            )
        else:
            made = document.create_group(name=group.name)
        made.visible = not group.hidden
        if into is not document:
            made.move_to_group(into)
        for below in group.groups:
            write(below, made)

    for group in whole.groups:
        write(group, document)
    document.save(file)


def write_ora(whole: Group, size: tuple[int, int], file: Path) -> None:
    """An OpenRaster file (https://www.openraster.org), as Krita, GIMP and MyPaint write it."""
    pictures = {id(group): (picture, at) for group, picture, at in leaves(whole)}
    merged = Image.new("RGBA", size)

    def element(group: Group, shown: bool = True) -> str:
        seen = ' visibility="hidden"' if group.hidden else ""
        shown &= not group.hidden
        if group.sheet is None:
            inside = "".join([element(below, shown) for below in group.groups][::-1])  # the first is on top
            return f"<stack name={quoteattr(group.name)}{seen}>{inside}</stack>"
        picture, (x, y) = pictures[id(group)]
        if shown:
            merged.alpha_composite(Image.fromarray(picture), (x, y))
        number = list(pictures).index(id(group))
        return f'<layer name={quoteattr(group.name)} src="data/{number:03d}.png" x="{x}" y="{y}"{seen}/>'

    stack = "".join([element(group) for group in whole.groups][::-1])
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "mimetype", b"image/openraster", zipfile.ZIP_STORED)
        text = f'<?xml version="1.0"?><image version="0.0.3" w="{size[0]}" h="{size[1]}"><stack>{stack}</stack></image>'
        _add(archive, "stack.xml", text.encode())
        for number, (picture, _) in enumerate(pictures.values()):
            _add(archive, f"data/{number:03d}.png", _png(Image.fromarray(picture)))
        _add(archive, "mergedimage.png", _png(merged))
        _add(archive, "Thumbnails/thumbnail.png", _png(merged.resize((213, 256))))


def _add(archive: zipfile.ZipFile, name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> None:
    archive.writestr(zipfile.ZipInfo(name), content, how)  # without the time of day: the same file each time


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def write_svg(whole: Group, size: tuple[int, int], file: Path) -> None:
    """An SVG whose groups Inkscape shows as layers."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" '
        f'viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}">'
    ]
    numbers = iter(range(10_000))

    def write(group: Group) -> None:
        number = next(numbers)
        move = f' transform="translate({group.at[0]:g} {group.at[1]:g})"' if any(group.at) else ""
        move += ' style="display:none"' if group.hidden else ""
        lines.append(f'<g id="n{number}" inkscape:groupmode="layer" inkscape:label={quoteattr(group.name)}{move}>')
        if isinstance(group.sheet, VectorSheet):
            lines.append(group.sheet.svg(f"n{number}"))
        for below in group.groups:
            write(below)
        lines.append("</g>")

    for group in whole.groups:
        write(group)
    file.write_text("\n".join([*lines, "</svg>\n"]), encoding="utf-8")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/templates"), show_default=True)
def main(out: Path) -> None:
    """Write pip.psd, pip.ora and pip.svg."""
    out.mkdir(parents=True, exist_ok=True)
    write_psd(arranged(fox.draw()), fox.SIZE, out / "pip.psd")
    write_ora(arranged(fox.draw()), fox.SIZE, out / "pip.ora")
    write_svg(arranged(fox.draw(sheet=VectorSheet)), fox.SIZE, out / "pip.svg")


if __name__ == "__main__":
    main()

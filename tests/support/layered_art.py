"""Small layered art for tests: one tree of named layers, saved as PSD, OpenRaster and SVG."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

SIZE = (200, 260)
Tree = Mapping[str, Any]
"""By name, from back to front: a group (another mapping), or a box (left, top, right, bottom) with a colour (RGB)."""

GREEN, RED, BLUE, WHITE, BLACK, PINK, BROWN, GREY = (
    (40, 160, 40), (200, 40, 40), (40, 40, 200), (250, 250, 250), (10, 10, 10), (240, 140, 160), (120, 70, 30),
    (90, 90, 90),
)  # fmt: skip


def an_eye(side: str, x: int, y: int = 50) -> dict[str, Any]:
    """Its layers, `x` and `y` the middle."""
    return {
        f"{side} Eyeball": (x - 9, y - 7, x + 9, y + 7, WHITE),
        f"{side} Pupil": (x - 4, y - 4, x + 4, y + 4, BLACK),
        f"{side} Blink": (x - 9, y - 1, x + 9, y + 2, BROWN),
    }


def a_face(shift: int = 0) -> dict[str, Any]:
    """One view of a head, its features `shift` pixels to the right."""
    x = 100 + shift
    return {
        "Hair": (66, 12, 134, 60, BROWN),
        "Face": (70, 20, 130, 90, PINK),
        "Left Eye": an_eye("Left", x + 14),
        "Right Eye": an_eye("Right", x - 14),
        "+Left Eyebrow": (x + 6, 36, x + 22, 39, BROWN),
        "+Right Eyebrow": (x - 22, 36, x - 6, 39, BROWN),
        "Mouth": {"Neutral": (x - 8, 72, x + 8, 74, RED), "Ah": (x - 8, 68, x + 8, 80, BLACK)},
        "+Nose": (x - 3, 58, x + 3, 64, RED),
    }


def a_whole_figure() -> dict[str, Any]:
    """Head and body, with a hat that nobody has a name for."""
    return {
        "+Chloe": {
            "Body": {
                "Torso": (80, 88, 120, 170, GREEN),
                "+Left Arm": (118, 92, 130, 168, BLUE),
                "+Right Arm": (70, 92, 82, 168, RED),
                "Left Leg": (104, 164, 116, 250, GREY),
                "Right Leg": (84, 164, 96, 250, BROWN),
                "Left Elbow": (122, 128, 126, 132, BLACK),
                "Parrot": (126, 80, 140, 96, RED),
            },
            "Head": {"Frontal": a_face(), "Left Quarter": a_face(6)},
        }
    }


def save(tree: Tree, file: Path, size: tuple[int, int] = SIZE) -> Path:
    """Write a tree in the format that the file's suffix names."""
    {".psd": _psd, ".ora": _ora, ".svg": _svg}[file.suffix](tree, file, size)
    return file


def _picture(box: tuple[Any, ...]) -> Image.Image:
    left, top, right, bottom, colour = box
    return Image.new("RGBA", (right - left, bottom - top), (*colour, 255))


def _psd(tree: Tree, file: Path, size: tuple[int, int]) -> None:
    from psd_tools import PSDImage

    document = PSDImage.new("RGB", size)

    def write(name: str, what: Any, into: Any) -> None:
        if isinstance(what, Mapping):
            made = document.create_group(name=name)
        else:
            made = document.create_pixel_layer(_picture(what), name=name, left=what[0], top=what[1])
            made.visible = name != "Ah"  # as artists save it
        if into is not None:
            made.move_to_group(into)
        for below in what.items() if isinstance(what, Mapping) else ():
            write(*below, made)

    for item in tree.items():
        write(*item, None)
    document.save(file)


def _ora(tree: Tree, file: Path, size: tuple[int, int]) -> None:
    pictures: list[bytes] = []

    def element(name: str, what: Any) -> str:
        if isinstance(what, Mapping):
            inside = "".join(element(*below) for below in reversed(what.items()))
            return f"<stack name={quoteattr(name)}>{inside}</stack>"
        stream = io.BytesIO()
        _picture(what).save(stream, "PNG")
        pictures.append(stream.getvalue())
        return f'<layer name={quoteattr(name)} src="data/{len(pictures) - 1}.png" x="{what[0]}" y="{what[1]}"/>'

    stack = "".join(element(*item) for item in reversed(tree.items()))
    write_ora(file, f'<image w="{size[0]}" h="{size[1]}"><stack>{stack}</stack></image>', pictures)


def write_ora(file: Path, stack: str, pictures: list[bytes]) -> Path:
    """An OpenRaster file with this stack.xml."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), "image/openraster")
        archive.writestr("stack.xml", stack)
        for number, picture in enumerate(pictures):
            archive.writestr(f"data/{number}.png", picture)
    return file


def _svg(tree: Tree, file: Path, size: tuple[int, int]) -> None:
    def element(name: str, what: Any) -> str:
        label = quoteattr(name.replace(" ", "_").replace("+", "_x2B_"))  # as Illustrator does
        if isinstance(what, Mapping):
            return f"<g id={label}>{''.join(element(*below) for below in what.items())}</g>"
        left, top, right, bottom, colour = what
        hidden = ' style="display:none"' if name == "Ah" else ""
        return (
            f'<rect id={label} x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" '
            f'fill="rgb{colour}"{hidden}/>'
        )

    inside = "".join(element(*item) for item in tree.items())
    file.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}">{inside}</svg>')


def blank_psd_header(width: int, height: int) -> bytes:
    """The first bytes of a PSD that claims this size."""
    sizes = np.array([height, width], ">u4").tobytes()
    return b"8BPS\0\1" + bytes(6) + b"\0\3" + sizes + b"\0\x08\0\3" + bytes(12)

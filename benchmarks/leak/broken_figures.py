"""Figures with something wrong: joints, pictures and numbers of their folder."""

import json
import struct
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.models.avatar import Avatar
from realtime.models.figure import FIGURE_FILE, FigureFiles, read_rig

HUGE_PX = 20_000
SMALL_PX = 240  # of a figure's canvas here
RIG = (
    *("joint beyond", "joints in one point", "joints exchanged", "random joints", "no head", "layer missing"),
    *("layer of 20,000 px", "layer cut off", "layer no picture", "empty layer", "layer of one pixel", "chain unknown"),
    *("chain doubled", "tiny radius", "no mouths", "no JSON", "half the JSON", "huge numbers", "clip in itself"),
    *("floor above", "random depths", "one part"),
)


def small(avatar: Avatar, folder: Path) -> Avatar:
    """The same figure with small pictures, in a folder of its own: they are loaded thousands of times."""
    assert avatar.figure is not None
    rig = avatar.figure.rig
    share = SMALL_PX / rig.size[1]
    folder.mkdir()
    for name in rig.files:
        picture = cv2.imread(str(avatar.figure.folder / name), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        size = [max(round(side * share), 1) for side in picture.shape[1::-1]]
        cv2.imwrite(str(folder / name), cv2.resize(picture, size, interpolation=cv2.INTER_AREA))

    def scaled(value: Any) -> Any:
        if isinstance(value, list):
            return [scaled(item) for item in value]
        return value * share if isinstance(value, int | float) else value

    def walked(table: Any, key: str = "") -> Any:
        if isinstance(table, dict):
            return {name: walked(value, "joints" if key == "joints" else name) for name, value in table.items()}
        if isinstance(table, list) and table and isinstance(table[0], dict):
            return [walked(item) for item in table]
        if key == "size":
            return [max(round(side * share), 32) for side in table]
        lengths = ("at", "centre", "place", "pivot", "radius", "floor", "top", "gaze", "joints")
        return scaled(table) if key in lengths else table

    told = walked(json.loads((avatar.figure.folder / FIGURE_FILE).read_text(encoding="utf-8")))
    (folder / FIGURE_FILE).write_text(json.dumps(told), encoding="utf-8")
    return replace(avatar, figure=FigureFiles(read_rig(folder), folder))


def spoilt(rig: dict[str, Any], folder: Path, kind: str, rng: np.random.Generator) -> str:
    """`figure.json` with something wrong, or one of its pictures."""
    joints, width = rig["joints"], rig["size"][0]
    parts, layers = rig.get("parts", []), (rig.get("head") or {}).get("layers", [])
    pictures = [rig["picture"]] if rig.get("picture") else [part["image"] for part in (*parts, *layers)]
    some = folder / pictures[int(rng.integers(len(pictures)))]
    name = str(rng.choice(list(joints)))
    if kind == "joint beyond":
        joints[name] = rng.choice([-4000.0, 8000.0], 2).tolist()
    elif kind == "joints in one point":
        joints.update(dict.fromkeys(joints, joints[name]))
    elif kind == "joints exchanged":
        places = [joints[key] for key in joints]
        rng.shuffle(places)
        joints.update(zip(list(joints), places, strict=True))
    elif kind == "random joints":
        joints.update({key: rng.uniform(-width, 2 * width, 2).tolist() for key in joints})
    elif kind == "no head":
        rig.pop("head", None)
    elif kind == "layer missing":
        some.unlink()
    elif kind == "layer of 20,000 px":
        some.write_bytes(huge_png())
    elif kind == "layer cut off":
        content = some.read_bytes()
        some.write_bytes(content[: int(rng.integers(len(content)))])
    elif kind == "layer no picture":
        some.write_bytes(rng.bytes(300))
    elif kind in ("empty layer", "layer of one pixel"):
        side = 1 if kind == "layer of one pixel" else 40
        some.write_bytes(cv2.imencode(".png", np.zeros((side, side, 4), np.uint8))[1].tobytes())
    elif kind == "chain unknown" and parts:
        parts[0]["chain"] = ["hips", "nowhere"]
    elif kind == "chain doubled" and parts:
        parts[int(rng.integers(len(parts)))]["chain"] = ["hips", "hips", "hips"]
    elif kind == "tiny radius" and layers:
        rig["head"]["radius"] = 1.0001
    elif kind == "no mouths" and layers:
        rig["head"]["layers"] = [layer for layer in layers if not layer.get("mouth")]
    elif kind == "no JSON":
        return rng.bytes(200).decode("latin-1")
    elif kind == "huge numbers":
        rig["size"] = [4096, 4096]
        joints[name] = [1e300, -1e300]
    elif kind == "clip in itself":
        for layer in layers:
            layer["clip"] = layer["name"]
    elif kind == "floor above":
        rig["floor"], rig["top"] = 0, 4096
    elif kind == "random depths":
        for layer in layers:
            layer["depth"] = float(rng.uniform(-2, 2))
    elif kind == "one part" and parts:
        rig["parts"] = parts[:1]
    text = json.dumps(rig)
    return text[: len(text) // 2] if kind == "half the JSON" else text


@cache
def huge_png() -> bytes:
    """A black picture of HUGE_PX a side, one bit a pixel: 50 kB that unpack to half a gigabyte and more."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = zlib.compress(bytes((HUGE_PX // 8 + 1) * HUGE_PX), 9)
    header = struct.pack(">IIBBBBB", HUGE_PX, HUGE_PX, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

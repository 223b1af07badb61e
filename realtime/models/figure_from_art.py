"""Makes a figure of layered art: its joints, the parts of its body and the layers of its head, by the layers' names."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.errors import ConfigError, ModelError
from realtime.frame import Doubles
from realtime.inference.trial import child_exit, limit_memory, run_child
from realtime.models.figure import FIGURE_FILE, MOST_HEAD_LAYERS, MOST_PX
from realtime.models.layer_names import Feature, Understood, plain_name, understand
from realtime.models.layered_art import Art, Layer, read_art
from realtime.skeleton import JOINTS
from realtime.text import printable

SECONDS = 90
MEMORY_BYTES = 4 << 30
NOT_UNDERSTOOD = "notunderstand.json"

_OUTWARDS = {"l": 1, "r": -1}
_LIMBS = {"arm": ("shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "toe")}
DEPTHS = {"brow": 0.46, "eye": 0.42, "pupil": 0.50, "mouth": 0.60, "nose": 0.85, "face": 0.0}
BEHIND, BEFORE = -0.3, 0.25  # the depth of what is drawn behind the face, and before it
EYE_REACH = 0.30  # of an eye's half size: how far a pupil goes where nothing says it
FACE_SHARE = 0.48  # of the face's mean size: its radius
SLIDES = 0.45  # of the radius: so far layers of the head move over its edge


def figure_from_art(file: Path, out: Path) -> list[str]:
    """Write the figure that a PSD, an OpenRaster file or an SVG holds into the folder `out`.

    Gives the names of the layers that were not understood. It runs in a child with limits, for the file may be hostile.
    Raises ConfigError.
    """
    name, do = printable(file), "make its canvas smaller, or export it again"
    try:
        run_child(
            "realtime.models.figure_from_art", str(file), str(out), crashed=f"{name} cannot be read", do=do,
            seconds=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{name} takes more than {SECONDS} s to read: {do}") from error
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror or error}): close other programs") from error
    except ModelError as error:
        raise ConfigError(str(error)) from error
    notes = out / NOT_UNDERSTOOD
    said: list[str] = json.loads(notes.read_text(encoding="utf-8"))
    notes.unlink()
    return said


def main(file: str, out: str) -> None:
    """The child. Raises ModelError."""
    limit_memory(MEMORY_BYTES)
    folder = Path(out)
    scratch = folder / "scratch"
    scratch.mkdir()
    try:
        art = read_art(Path(file), scratch)
        rig, said = rigged(art, Path(file).stem, folder)
    except ConfigError as error:
        raise ModelError(str(error)) from error
    except MemoryError as error:
        raise ModelError(f"{printable(file)} takes too much memory: make its canvas smaller") from error
    (folder / FIGURE_FILE).write_text(json.dumps(rig), encoding="utf-8")
    (folder / NOT_UNDERSTOOD).write_text(json.dumps(said), encoding="utf-8")
    for left in scratch.iterdir():
        left.unlink()
    scratch.rmdir()


def rigged(art: Art, name: str, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """What `figure.json` says of layered art, its pictures written into a folder; and the layers not understood.

    Raises ConfigError where there is no head and no body in it.
    """
    found = understand(art.root)
    front = found.views.get("frontal") or next(iter(found.views.values()), [])
    if not front and not found.body:
        raise ConfigError("it has neither a group Head nor a group Body: name its layers as the guide says")
    width, height = art.size
    files = _Files(folder)
    _, top, _, bottom = Layer("", [f.layer for f in front] + [layer for layer, _, _ in found.body]).box
    joints = _joints(found, front, art.size)
    rig: dict[str, Any] = {
        "name": printable(name, 80), "licence": "unknown", "size": [width, height],
        "floor": round(min(bottom, height), 1), "top": round(max(top, 0.0), 1),
    }  # fmt: skip
    parts = []
    for layer, group, bones in found.body:
        chain = _chain(group, bones)
        spec: dict[str, Any] = {"chain": chain, "group": group}
        if group == "back":
            joints["tail"], joints["tail_end"] = _tail(layer, joints["hips"])
            spec["spring"] = True
        parts.append(files.keep(layer) | {"name": layer.name or group} | spec)
    rig["parts"] = parts
    if front:
        rig["head"] = _head(found, front, joints, files)
    rig["joints"] = {key: _kept(place, width, height) for key, place in joints.items()}
    return rig, sorted(set(found.unknown))


def _kept(place: Sequence[float], width: int, height: int) -> list[float]:
    x, y = np.clip(place, (-width, -height), (2 * width, 2 * height))
    return [round(float(x), 1), round(float(y), 1)]


class _Files:
    """Writes each picture once, under a plain name."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, dict[int, str]()

    def keep(self, layer: Layer, shift: Sequence[float] = (0.0, 0.0)) -> dict[str, Any]:
        """`image` and `at` of a layer."""
        merged = _merged(layer)
        assert merged.picture is not None
        if id(layer) not in self._names:
            plain = re.sub(r"[^a-z0-9]+", "_", layer.name.lower()).strip("_")[:40]
            self._names[id(layer)] = file = f"{len(self._names):03d}_{plain or 'layer'}.png"
            ok, png = cv2.imencode(".png", merged.picture)
            assert ok
            (self._folder / file).write_bytes(png.tobytes())
        at = [round(float(a - s), 2) for a, s in zip(merged.at, shift, strict=True)]
        return {"image": self._names[id(layer)], "at": at}


def _merged(layer: Layer) -> Layer:
    """A group as one picture."""
    leaves = list(layer.leaves())
    if len(leaves) == 1 and leaves[0].picture is not None:
        return leaves[0]
    left, top, right, bottom = layer.box
    x0, y0 = int(np.floor(left)), int(np.floor(top))
    sheet = np.zeros((int(np.ceil(bottom)) - y0 + 1, int(np.ceil(right)) - x0 + 1, 4), np.float32)
    for leaf in leaves:
        assert leaf.picture is not None
        x, y = round(leaf.at[0]) - x0, round(leaf.at[1]) - y0
        over = leaf.picture.astype(np.float32)
        over[..., :3] *= over[..., 3:] / 255
        under = sheet[y : y + over.shape[0], x : x + over.shape[1]]
        under *= 1 - over[..., 3:] / 255
        under += over
    sheet[..., :3] *= 255 / np.maximum(sheet[..., 3:], 1)
    return Layer(layer.name, picture=np.rint(np.clip(sheet, 0, 255)).astype(np.uint8), at=(float(x0), float(y0)))


def _chain(group: str, bones: tuple[str, str] | None) -> list[str]:
    """The joints that a part bends along."""
    if group == "torso":
        return ["hips", "neck"]
    if group == "back":
        return ["tail", "tail_end"]
    limb, side = group.split("_")
    return [f"{side}_{joint}" for joint in bones or _LIMBS[limb]]


def _joints(found: Understood, front: list[Feature], size: tuple[int, int]) -> dict[str, Any]:
    """All 19 joints: from handles, else from where the layers lie."""
    trunk = [layer for layer, group, _ in found.body if group == "torso"]
    head = Layer("", [f.layer for f in front if f.role not in ("loose",)] or [f.layer for f in front])
    everything = Layer("", [f.layer for f in front] + [layer for layer, _, _ in found.body])
    left, top, right, bottom = everything.box
    skull = head.box if front else (left, top, right, top + 0.2 * (bottom - top))
    middle, tall = (skull[0] + skull[2]) / 2, skull[3] - skull[1]
    if trunk:
        torso = Layer("", trunk).box
    else:
        reach = max(size[1] - skull[3], 0.6 * tall)
        torso = (middle - 0.3 * tall, skull[3] - 0.05 * tall, middle + 0.3 * tall, skull[3] + 0.6 * reach)
    at: dict[str, Doubles] = {key: np.array(place) for key, place in found.handles.items()}
    high = torso[3] - torso[1]
    collar = max(torso[1] + 0.04 * high, skull[3] - 0.12 * tall) if front else torso[1]
    at.setdefault("neck", np.array([middle, collar]))
    at["head"] = np.array([middle, (skull[1] + skull[3]) / 2]) if front else at["neck"] - (0, 0.15 * high)
    legs = {side: _mask_of(found, f"leg_{side}") for side in "lr"}
    has_legs = all(mask is not None for mask in legs.values())
    at.setdefault("hips", np.array([(torso[0] + torso[2]) / 2, torso[3] - (0.10 if has_legs else 0.02) * high]))
    trunk_length = float(np.linalg.norm(at["hips"] - at["neck"]))
    wide = torso[2] - torso[0]
    for side, out in _OUTWARDS.items():
        near = at["neck"] + (out * 0.35 * wide, 0.10 * trunk_length)
        _limb_joints(at, side, "arm", _mask_of(found, f"arm_{side}"), near, (out * 0.12, 0.9 * trunk_length))
        near = at["hips"] + (out * 0.20 * wide, 0.05 * trunk_length)
        _limb_joints(at, side, "leg", legs[side], near, (out * 0.02, max(bottom - near[1], 0.8 * trunk_length)))
    return {joint: at[joint].tolist() for joint in JOINTS}


def _mask_of(found: Understood, group: str) -> Doubles | None:
    """The opaque pixels (N, 2) of a limb, thinned; None where there is none."""
    places = []
    for layer, own, _ in found.body:
        for leaf in layer.leaves() if own == group else ():
            assert leaf.picture is not None
            ys, xs = np.nonzero(leaf.picture[::3, ::3, 3] > 99)
            places.append(np.stack([xs, ys], 1) * 3.0 + leaf.at)
    return np.concatenate(places) if places and sum(map(len, places)) > 8 else None


def _limb_joints(
    at: dict[str, Doubles], side: str, limb: str, pixels: Doubles | None, near: Doubles, hangs: tuple[float, float]
) -> None:
    """The joints of a limb that no handle gives: along its pixels from the end at `near`; without any it hangs."""
    names = [f"{side}_{joint}" for joint in _LIMBS[limb]]
    shares = (0.0, 0.43, 0.74, 0.90) if limb == "arm" else (0.0, 0.42, 0.82, 1.0)
    if pixels is None:
        for name, share in zip(names, shares, strict=True):
            at.setdefault(name, near + share * np.array(hangs))
        return
    away = np.linalg.norm(pixels - near, axis=1)
    root = at.get(names[0])
    if root is None:
        close = pixels[away <= np.percentile(away, 8)]
        root = np.asarray(close.mean(axis=0))
    away = np.linalg.norm(pixels - root, axis=1)
    longest = float(away.max())
    thick = max(float(np.sqrt(len(pixels) * 9.0 / max(longest, 1.0) ** 2)) * longest * 0.25, 2.0)
    at.setdefault(names[0], root)
    for name, share in zip(names[1:], shares[1:], strict=True):
        band = np.abs(away - share * longest) <= max(thick * 0.5, 0.03 * longest)
        at.setdefault(name, np.asarray(pixels[band].mean(axis=0)) if band.any() else root + share * longest)


def _tail(layer: Layer, hips: Sequence[float]) -> tuple[list[float], list[float]]:
    """Where a tail begins and ends: the ends of its pixels nearest to the hips and furthest from there."""
    pixels = []
    for leaf in layer.leaves():
        assert leaf.picture is not None
        ys, xs = np.nonzero(leaf.picture[::3, ::3, 3] > 99)
        pixels.append(np.stack([xs, ys], 1) * 3.0 + leaf.at)
    places = np.concatenate(pixels)
    if not len(places):
        left, top, right, bottom = layer.box
        return [left, bottom], [right, top]
    away = np.linalg.norm(places - np.array(hips), axis=1)
    near, far = places[away <= np.percentile(away, 4)], places[away >= np.percentile(away, 98)]
    return near.mean(axis=0).tolist(), far.mean(axis=0).tolist()


def _head(found: Understood, front: list[Feature], joints: dict[str, Any], files: _Files) -> dict[str, Any]:
    """The head of `figure.json`: its sheet, and the layers of all its views."""
    still = [f.layer for f in front if f.role in ("still", "nose", "eye", "eyeball", "mouth", "brow")]
    left, top, right, bottom = Layer("", still or [f.layer for f in front]).box
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    radius = max(FACE_SHARE * ((right - left) + (bottom - top)) / 2, 4.0)
    boxes = np.array([Layer("", [f.layer for f in view]).box for view in found.views.values()])
    x0, y0 = np.floor(boxes[:, :2].min(axis=0) - SLIDES * radius)
    x1, y1 = np.ceil(boxes[:, 2:].max(axis=0) + SLIDES * radius)
    size = np.clip([x1 - x0, y1 - y0], 8, MOST_PX).astype(int).tolist()
    head: dict[str, Any] = {
        "size": size, "centre": [round(float(v), 1) for v in centre - (x0, y0)], "radius": round(float(radius), 1),
        "place": [round(float(v), 1) for v in centre], "pivot": [round(float(v), 1) for v in joints["neck"]],
        "layers": _layers(front, (x0, y0), centre, files),
    }  # fmt: skip
    views = [
        {"turn": name.replace(" ", "_"), "layers": _layers(features, (x0, y0), centre, files)}
        for name, features in found.views.items()
        if features is not front
    ]
    if views:
        head["views"] = views
    if sum(len(layers["layers"]) for layers in (head, *views)) > MOST_HEAD_LAYERS:
        raise ConfigError(f"its heads have more than {MOST_HEAD_LAYERS} layers together: merge some")
    return head


def _layers(
    features: list[Feature], corner: tuple[float, float], centre: Doubles, files: _Files
) -> list[dict[str, Any]]:
    """One view's layers from back to front."""
    largest = max(
        (f.layer for f in features if f.role == "still"),
        key=lambda layer: (layer.box[2] - layer.box[0]) * (layer.box[3] - layer.box[1]),
        default=None,
    )
    face_seen, listed, names = False, list[dict[str, Any]](), set[str]()
    whites = {
        f.side: f"{f.role}_{f.side}" for role in ("eye", "eyeball") for f in features if f.role == role and f.side
    }
    for feature in features:
        layer, role, side = feature.layer, feature.role, feature.side
        word = {"l": "Left", "r": "Right"}.get(side, "")
        name = "_".join(filter(None, [role, side, feature.mouth]))
        if role in ("still", "loose"):
            name = "face" if layer is largest else plain_name(layer.name) or role
        while name in names:
            name += "+"
        names.add(name)
        left, top, right, bottom = layer.box
        middle = [round((left + right) / 2 - corner[0], 1), round((top + bottom) / 2 - corner[1], 1)]
        spec: dict[str, Any] = {"name": name, "centre": middle}
        if role in ("still", "loose", "lid"):
            spec["depth"] = 0.0 if layer is largest else BEFORE if face_seen else BEHIND
            if role == "lid":
                spec["depth"] = DEPTHS["eye"]
        else:
            spec["depth"] = DEPTHS.get("eye" if role in ("eyeball", "blink") else role, 0.0)
        face_seen |= layer is largest
        if role == "loose":
            toward = float(np.clip(centre[1], top, bottom)) - corner[1]
            spec |= {"spring": 1.0, "centre": [middle[0], round(toward, 1)]}
        elif role in ("eye", "eyeball", "pupil"):
            spec["open"] = f"eyeBlink{word}"
        elif role == "blink":
            spec["closed"] = f"eyeBlink{word}"
        elif role == "brow":
            spec["brow"] = word
        elif role == "mouth":
            spec["mouth"] = feature.mouth
        if role == "pupil":
            spec |= _gaze(feature, features, whites)
        listed.append(files.keep(layer, corner) | spec)
    return listed


def _gaze(pupil: Feature, features: list[Feature], whites: dict[str, str]) -> dict[str, Any]:
    """How far a pupil goes, and the white of the eye that it stays in."""
    white = next((f for f in features if f.side == pupil.side and f"{f.role}_{f.side}" == whites.get(f.side)), None)
    outer, own = (white or pupil).layer.box, pupil.layer.box
    free = 0.5 * ((outer[2] - outer[0]) - (own[2] - own[0]))
    gaze = float(np.clip(free, EYE_REACH * (own[2] - own[0]) / 2, 200))
    return {"gaze": round(gaze, 1)} | ({"clip": whites[pupil.side]} if white else {})


if __name__ == "__main__":
    child_exit(lambda: main(*sys.argv[1:]))

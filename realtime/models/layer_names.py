"""Says what the layers of a drawing are, by the names that artists give them for Adobe Character Animator.

Its guide "Prepare artwork" names them: a group Head, in it Frontal, Left Quarter, … and Left Eye with Left Pupil and
Left Blink, Left Eyebrow, Mouth with Neutral, Ah, …; and a group Body. Left is the figure's own. Case, a leading + and
numbers at the end do not count. A layer named after a joint (Left Elbow) is not drawn: it says where that joint is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from realtime.models.figure import MOUTH_NAMES
from realtime.models.layered_art import Layer

Side = Literal["l", "r"]
_SIDES: dict[str, Side] = {"left": "l", "right": "r"}
VIEWS = ("frontal", "left quarter", "left profile", "right quarter", "right profile", "upward", "downward")
_HANDLES = {
    "neck": "neck", "waist": "hips", "hips": "hips", "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist",
    "hip": "hip", "knee": "knee", "ankle": "ankle", "heel": "ankle", "toe": "toe", "toes": "toe",
}  # fmt: skip
_LIMB_PIECES: dict[str, tuple[str, tuple[str, str] | None]] = {
    "arm": ("arm", None), "sleeve": ("arm", None), "upper arm": ("arm", ("shoulder", "elbow")),
    "forearm": ("arm", ("elbow", "wrist")), "lower arm": ("arm", ("elbow", "wrist")),
    "hand": ("arm", ("wrist", "hand")),
    "leg": ("leg", None), "upper leg": ("leg", ("hip", "knee")), "thigh": ("leg", ("hip", "knee")),
    "lower leg": ("leg", ("knee", "ankle")), "shin": ("leg", ("knee", "ankle")), "calf": ("leg", ("knee", "ankle")),
    "foot": ("leg", ("ankle", "toe")), "shoe": ("leg", ("ankle", "toe")),
}  # fmt: skip
_LOOSE = re.compile(r"\b(hair|fringe|bangs|tuft|ponytail|pigtail|ears?|antennae?|feather|tassel|dangle)\b")
_STILL = re.compile(
    r"\b(face|head|skin|skull|cheeks?|muzzle|snout|beard|whiskers?|jaw|nose|chin|hair|fringe|bangs|tuft|ponytail|"
    r"pigtail|ears?|antennae?|feather|tassel|dangle|hat|cap|glasses|freckles|neck|background|base|horns?|mask|"
    r"eyelid top|eyelid bottom|eyelids?|torso|body|chest|belly|hips|pelvis|skirt|dress|shirt|coat|scarf|collar|tail)\b"
)


@dataclass(slots=True)
class Feature:
    """One picture of the head and what is known of it."""

    layer: Layer
    role: str
    side: str = ""
    mouth: str = ""


@dataclass(slots=True)
class Understood:
    """What the layers of a document are."""

    views: dict[str, list[Feature]] = field(default_factory=dict)
    body: list[tuple[Layer, str, tuple[str, str] | None]] = field(default_factory=list)
    handles: dict[str, tuple[float, float]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def plain_name(name: str) -> str:
    """A layer's name without what does not count."""
    text = re.sub(r"[\s_]+", " ", name.lower()).strip().lstrip("+").strip()
    return re.sub(r"([ -]\d+| copy( \d+)?)+$", "", text) or text


def understand(root: Layer) -> Understood:
    """Says of each layer what it is."""
    found = Understood()
    top = root
    while len(top.layers) == 1 and top.layers[0].layers and plain_name(top.layers[0].name) not in ("head", "body"):
        top = top.layers[0]  # +Chloe: the group of all
    sides = _sides(top)
    whole_views = {plain_name(layer.name): layer for layer in top.layers if plain_name(layer.name) in VIEWS}
    scenes = whole_views or {"": top}
    for view, scene in scenes.items():
        heads = [layer for layer in _groups(scene) if plain_name(layer.name) == "head"]
        head = heads[0] if heads else next((g for g in (scene, *_groups(scene)) if _is_face(g)), None)
        if head is not None:
            _read_head(head, view, sides, found)
        if view in ("", "frontal"):
            for layer in scene.layers:
                _read_body(layer, head, sides, found)
    return found


def _groups(layer: Layer) -> Iterator[Layer]:
    """All groups below one, outer ones first."""
    for below in layer.layers:
        if below.layers:
            yield below
    for below in layer.layers:
        yield from _groups(below)


def _is_face(group: Layer) -> bool:
    """Whether a group holds a mouth or eyes: the head of art without a group of that name."""
    return any(plain_name(layer.name) in ("mouth", "left eye", "right eye", "left pupil") for layer in group.layers)


def _sides(root: Layer) -> dict[str, Side]:
    """Which side the words left and right mean: the figure's own, unless its features lie the other way round."""
    middles: dict[str, list[float]] = {"left": [], "right": []}

    def look(layer: Layer) -> None:
        name = plain_name(layer.name)
        if name in VIEWS and name != "frontal":
            return
        word, _, what = name.partition(" ")
        if word in middles and what in ("eye", "eyebrow", "pupil", "blink", "arm", "leg") and any(layer.leaves()):
            box = layer.box
            middles[word].append((box[0] + box[2]) / 2)
        for below in layer.layers:
            look(below)

    look(root)
    if middles["left"] and middles["right"] and np.mean(middles["left"]) < np.mean(middles["right"]):
        return {"left": "r", "right": "l"}
    return _SIDES


def _sided(name: str, sides: dict[str, Side]) -> tuple[str, str]:
    """The side that a name begins (or ends) with, and the rest."""
    for word, side in sides.items():
        if name.startswith(word + " "):
            return side, name[len(word) + 1 :]
        if name.endswith(" " + word):
            return side, name[: -len(word) - 1]
    return "", name


def _handle(layer: Layer, sides: dict[str, Side], found: Understood) -> bool:
    """Takes a layer that says where a joint is."""
    side, what = _sided(plain_name(layer.name), sides)
    joint = _HANDLES.get(what)
    if joint is None or layer.layers or bool(side) == (joint in ("neck", "hips")):
        return False
    if any(layer.leaves()):
        left, top, right, bottom = layer.box
        found.handles[f"{side}_{joint}" if side else joint] = ((left + right) / 2, (top + bottom) / 2)
    return True


def _read_head(head: Layer, view: str, sides: dict[str, Side], found: Understood) -> None:
    """The features of each view of a head, from back to front; what belongs to no view is in all of them."""
    drawn = [plain_name(layer.name) for layer in head.layers if plain_name(layer.name) in VIEWS]
    for name in [view or "frontal"] if view or not drawn else drawn:
        features: list[Feature] = []
        for layer in head.layers:
            own = plain_name(layer.name)
            if own in VIEWS and own != name and not view:
                continue
            if own in VIEWS:
                for below in layer.layers or [layer]:
                    _read_feature(below, "", "", sides, features, found)
            else:
                _read_feature(layer, "", "", sides, features, found)
        key = name
        if sides is not _SIDES and name.split()[0] in sides:
            key = f"{'right' if name.startswith('left') else 'left'} {name.split()[1]}"
        if features:
            found.views[key] = features


def _read_feature(
    layer: Layer, within: str, side: str, sides: dict[str, Side], features: list[Feature], found: Understood
) -> None:
    """What one layer of the head is. `within`: the eye or mouth that it is in, of that `side`."""
    if not any(layer.leaves()) or (not within and _handle(layer, sides, found)):
        return
    name = plain_name(layer.name)
    own, what = _sided(name, sides)
    side = own or side
    if within == "mouth":
        if name in MOUTH_NAMES:
            features.append(Feature(layer, "mouth", mouth=name))
        else:
            found.unknown.append(layer.name)
        return
    if what == "mouth":
        shapes = [below for below in layer.layers if plain_name(below.name) in MOUTH_NAMES]
        if not shapes:
            features.append(Feature(layer, "mouth", mouth="neutral"))
        for below in layer.layers if shapes else []:
            _read_feature(below, "mouth", "", sides, features, found)
    elif what in ("eyebrow", "brow") and side:
        features.append(Feature(layer, "brow", side))
    elif what in ("blink", "pupil") and side:
        features.append(Feature(layer, what, side))
    elif what in ("eyeball", "pupil range") and side:
        features.append(Feature(layer, "eyeball", side))
    elif what == "eye" and side and layer.layers:
        for below in layer.layers:
            _read_feature(below, "eye", side, sides, features, found)
    elif (within == "eye" or what == "eye") and side:
        features.append(Feature(layer, "lid" if "eyelid" in what else "eye", side))
        if layer.name and within == "eye" and "eyelid" not in what and what not in ("eye", "white", "iris", "sclera"):
            found.unknown.append(layer.name)
    elif what == "nose":
        features.append(Feature(layer, "nose"))
    elif layer.layers and any(_is_known(below, sides) for below in layer.layers):
        for below in layer.layers:
            _read_feature(below, within, side, sides, features, found)
    else:
        features.append(Feature(layer, "loose" if _LOOSE.search(name) else "still", side))
        if not _STILL.search(name) and layer.name:
            found.unknown.append(layer.name)


def _is_known(layer: Layer, sides: dict[str, Side]) -> bool:
    """Whether a layer, or any below it, is a part of the face that moves."""
    side, what = _sided(plain_name(layer.name), sides)
    moves = what in ("mouth", "nose") or (side and what in ("eye", "eyebrow", "brow", "blink", "pupil", "eyeball"))
    return bool(moves) or any(_is_known(below, sides) for below in layer.layers)


def _read_body(layer: Layer, head: Layer | None, sides: dict[str, Side], found: Understood) -> None:
    """What one layer outside the head is, and those in it."""
    if layer is head or not any(layer.leaves()) or _handle(layer, sides, found):
        return
    name = plain_name(layer.name)
    side, what = _sided(name, sides)
    if name in VIEWS and name != "frontal":
        found.unknown.append(layer.name)
        return
    if side and what in _LIMB_PIECES:
        pieces = [_sided(plain_name(below.name), sides)[1] for below in layer.layers]
        if not any(piece in _LIMB_PIECES or piece in _HANDLES for piece in pieces):
            limb, bones = _LIMB_PIECES[what]
            found.body.append((layer, f"{limb}_{side}", bones))
            return
        word = next(word for word, own in sides.items() if own == side)
        for below in layer.layers:
            if not _sided(plain_name(below.name), sides)[0]:
                below.name = f"{word} {below.name or what}"  # within Left Arm, Hand is the left one
            _read_body(below, head, sides, found)
        return
    holds = head is not None and any(group is head for group in _groups(layer))
    if layer.layers and (holds or any(_is_limb(below, sides) for below in layer.layers)):
        for below in layer.layers:
            _read_body(below, head, sides, found)
        return
    found.body.append((layer, "back" if what == "tail" else "torso", None))
    if layer.name and not _STILL.search(name):
        found.unknown.append(layer.name)


def _is_limb(layer: Layer, sides: dict[str, Side]) -> bool:
    """Whether a layer, or any below it, is a limb, a tail, a joint or a view."""
    name = plain_name(layer.name)
    side, what = _sided(name, sides)
    known = (side and (what in _LIMB_PIECES or what in _HANDLES)) or what in ("tail", "neck", "waist") or name in VIEWS
    return bool(known) or any(_is_limb(below, sides) for below in layer.layers)

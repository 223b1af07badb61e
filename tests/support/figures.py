"""Small figures for tests: drawn in code, in layers or flat."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.frame import Frame
from realtime.models.avatar import Avatar
from realtime.models.figure import FigureFiles, read_rig
from realtime.tracking.body import AT, Body

SIZE = (200, 240)  # of the canvas
JOINTS = {
    "hips": (100, 150), "neck": (100, 90), "head": (100, 60),
    "l_shoulder": (118, 96), "l_elbow": (140, 125), "l_wrist": (158, 150), "l_hand": (166, 160),
    "r_shoulder": (82, 96), "r_elbow": (60, 125), "r_wrist": (42, 150), "r_hand": (34, 160),
    "l_hip": (110, 154), "l_knee": (112, 190), "l_ankle": (114, 224), "l_toe": (122, 234),
    "r_hip": (90, 154), "r_knee": (88, 190), "r_ankle": (86, 224), "r_toe": (78, 234),
}  # fmt: skip
COLOURS = {
    "torso": (40, 160, 40), "arm_l": (200, 40, 40), "arm_r": (40, 40, 200), "leg_l": (160, 160, 20),
    "leg_r": (20, 160, 160), "face": (120, 200, 240), "open": (10, 10, 10), "closed": (90, 10, 90),
}  # fmt: skip
"""BGR, each colour only once."""


def chain_of(limb: str, side: str) -> list[str]:
    joints = ("shoulder", "elbow", "wrist", "hand") if limb == "arm" else ("hip", "knee", "ankle", "toe")
    return [f"{side}_{joint}" for joint in joints]


def a_layered_figure(folder: Path, **changes: Any) -> Path:
    """A figure of six parts and a head with a face and two mouths. `changes`: other keys of figure.json."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for name, chain in {"leg_l": None, "leg_r": None, "torso": ["hips", "neck"], "arm_l": None, "arm_r": None}.items():
        joints = chain or chain_of(name[:3], name[-1])
        canvas = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
        points = np.array([JOINTS[joint] for joint in joints], np.int32)
        cv2.polylines(canvas, [points], False, (*COLOURS[name], 255), 34 if name == "torso" else 14)
        parts.append(_saved(folder, name, canvas) | {"name": name, "chain": joints, "group": name})
    face = np.zeros((80, 80, 4), np.uint8)
    cv2.circle(face, (40, 40), 26, (*COLOURS["face"], 255), -1)
    layers = [_saved(folder, "face", face) | {"name": "face", "depth": 0}]
    for mouth, height in (("closed", 2), ("open", 8)):
        drawn = np.zeros((80, 80, 4), np.uint8)
        cv2.rectangle(drawn, (32, 50 - height), (48, 50 + height), (*COLOURS[mouth], 255), -1)
        layers.append(_saved(folder, mouth, drawn) | {"name": mouth, "depth": 0.6, "mouth": mouth, "centre": [40, 50]})
    head = {
        "size": [80, 80],
        "centre": [40, 40],
        "place": [100, 60],
        "pivot": [100, 90],
        "radius": 26,
        "layers": layers,
    }
    rig = {
        "name": "Toy",
        "licence": "CC0-1.0",
        "size": SIZE,
        "floor": 234,
        "top": 34,
        "joints": JOINTS,
        "parts": parts,
        "head": head,
    }
    (folder / "figure.json").write_text(json.dumps(rig | changes))
    return folder


def a_flat_figure(folder: Path) -> Path:
    """The same body as one picture."""
    folder.mkdir(parents=True, exist_ok=True)
    canvas = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    for name in ("leg_l", "leg_r", "arm_l", "arm_r"):
        points = np.array([JOINTS[joint] for joint in chain_of(name[:3], name[-1])], np.int32)
        cv2.polylines(canvas, [points], False, (*COLOURS[name], 255), 14)
    cv2.line(canvas, JOINTS["hips"], JOINTS["neck"], (*COLOURS["torso"], 255), 40)
    cv2.circle(canvas, JOINTS["head"], 26, (*COLOURS["face"], 255), -1)
    cv2.imwrite(str(folder / "source.png"), canvas)
    rig = {"name": "Flat", "licence": "CC0-1.0", "size": SIZE, "floor": 234, "joints": JOINTS, "picture": "source.png"}
    (folder / "figure.json").write_text(json.dumps(rig))
    return folder


def as_avatar(folder: Path, name: str = "toy") -> Avatar:
    """The figure in a folder, ready for an effect."""
    files = FigureFiles(read_rig(folder), folder)
    return Avatar(name, name.title(), "synthetic", np.zeros((32, 32, 3), np.uint8), figure=files)


def write_card(folder: Path, name: str) -> None:
    """The avatar's card of a figure's folder."""
    picture = folder / "picture.png"
    cv2.imwrite(str(picture), np.full((40, 40, 3), 120, np.uint8))
    rig = read_rig(folder)
    files = "\n".join(f'"{file}" = "{_digest(folder / file)}"' for file in ("figure.json", *rig.files))
    (folder / "avatar.toml").write_text(
        f'schema = 1\nname = "{name}"\ntitle = "{name.title()}"\nlicence = "CC0-1.0"\n'
        '[identity]\nkind = "synthetic"\nstatement = "Drawn in a test."\n'
        f'[picture]\nfile = "picture.png"\nsha256 = "{_digest(picture)}"\n[figure]\n{files}\n'
    )


def _saved(folder: Path, name: str, canvas: np.ndarray) -> dict[str, Any]:
    """A layer's picture cut to what is in it, and where it lies."""
    x, y, width, height = cv2.boundingRect(canvas[..., 3])
    cv2.imwrite(str(folder / f"{name}.png"), canvas[y : y + height, x : x + width])
    return {"image": f"{name}.png", "at": [x, y]}


def _digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def a_body(
    arm_deg: tuple[float, float] = (75.0, 75.0), *, depth: float = -0.1, seen: float = 0.95, x: float = 640.0
) -> Body:
    """Somebody who faces the camera in 1280x720, arms straight, at these angles below the horizontal (left, right).

    `depth`: metres that the wrists are nearer (negative) or further than the shoulders.
    """
    metre = 340.0
    metres = np.zeros((33, 3), np.float32)
    for side, sign, angle in (("left", 1, np.radians(arm_deg[0])), ("right", -1, np.radians(arm_deg[1]))):
        way = np.array([sign * np.cos(angle), np.sin(angle), 0.0])
        shoulder = np.array([sign * 0.18, -0.5, 0.0])
        places = {"shoulder": shoulder, "elbow": shoulder + 0.28 * way + (0, 0, depth / 2)}
        places["wrist"] = shoulder + 0.54 * way + (0, 0, depth)
        for finger in ("pinky", "index", "thumb"):
            places[finger] = shoulder + 0.64 * way + (0, 0, depth)
        places |= {"hip": np.array([sign * 0.1, 0, 0]), "knee": np.array([sign * 0.11, 0.42, 0])}
        places |= {joint: np.array([sign * 0.12, 0.84, 0]) for joint in ("ankle", "heel", "foot_index")}
        places |= {"ear": np.array([sign * 0.08, -0.68, 0.0]), "eye": np.array([sign * 0.03, -0.7, -0.08])}
        for name, place in places.items():
            metres[AT[f"{side}_{name}"]] = place
    metres[AT["nose"]] = (0, -0.668, -0.1)
    landmarks = metres * metre + (x, 400, 0)
    return Body(landmarks.astype(np.float32), np.full(33, seen, np.float32), metres, 0.99, 700.0)


class ScriptedBodies:
    """A body tracker that says what it is told, one answer a call; the last one for ever."""

    sessions = ()
    steadiness = 1.0

    def __init__(self, *answers: Body | None) -> None:
        self.answers = list(answers)
        self.closed = False

    def __call__(self, frame: Frame) -> list[Body]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [] if answer is None else [answer]

    def close(self) -> None:
        self.closed = True


BVH = """HIERARCHY
ROOT Hips
{{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT Neck
 {{
  OFFSET 0 50 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  JOINT Head
  {{
   OFFSET 0 15 0
   CHANNELS 3 Zrotation Xrotation Yrotation
   End Site
   {{
    OFFSET 0 12 0
   }}
  }}
{arms} }}
{legs}}}
MOTION
Frames: {count}
Frame Time: 0.0333333
{rows}
"""


def write_bvh(file: Path, arm_deg: list[float], *, turned_deg: float = 0.0) -> Path:
    """A person whose left arm turns from hanging (0) outwards, one angle a frame; who looks `turned_deg` aside."""

    def chain(names: tuple[str, ...], offsets: list[tuple[float, float, float]]) -> str:
        text = ""
        for name, (x, y, z) in zip(names, offsets, strict=True):
            text += f"JOINT {name}\n{{\nOFFSET {x} {y} {z}\nCHANNELS 3 Zrotation Xrotation Yrotation\n"
        return text + "End Site\n{\nOFFSET 0 -5 0\n}\n" + "}\n" * len(names)

    sides = (("Left", 1), ("Right", -1))
    arms = "".join(
        chain((f"{s}Arm", f"{s}ForeArm", f"{s}Hand"), [(18 * k, -5, 0), (0, -28, 0), (0, -26, 0)]) for s, k in sides
    )
    legs = "".join(
        chain((f"{s}UpLeg", f"{s}Leg", f"{s}Foot"), [(10 * k, -2, 0), (0, -42, 0), (0, -42, 0)]) for s, k in sides
    )
    rows = []
    for angle in arm_deg:
        rest = [0.0] * 3
        values = [0, 90, 0, 0, 0, turned_deg, *rest, *rest, angle, 0, 0, *rest * 2, *rest * 3, *rest * 6]
        rows.append(" ".join(map(str, values)))
    file.write_text(BVH.format(arms=arms, legs=legs, count=len(rows), rows="\n".join(rows)))
    return file

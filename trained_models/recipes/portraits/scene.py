"""Draws a sculpted character with Cycles. Runs in an environment of its own with `bpy` and numpy, as a module:

    python -m trained_models.recipes.portraits.scene FOLDER JOB.json

FOLDER holds what `sculpt` and `maps` made; JOB lists shots (see `Shot`). Pictures that exist are kept.
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from trained_models.recipes.portraits.materials import (
    SURFACES,
    bare_material,
    black_material,
    cloth_material,
    hair_material,
    linear,
)

LIMBUS = 0.425  # the iris's radius over the eyeball's
EYES_SHARE = 0.33  # outer corners of the eyes apart, over the picture's side, in key pictures
KEY_DISTANCE, PORTRAIT_DISTANCE = 9.0, 12.0  # of the camera, dm
PORTRAIT_HEIGHT = 4.1  # of what a portrait shows, dm
BACKDROP = 0.16


@dataclass(frozen=True)
class Shot:
    """One picture: `file`, `expression`, `yaw` and `pitch` (degrees that the person looks to the picture's right and
    up), `size` in pixels, `samples`; `look` "key", "portrait" or "skin" (white where bare skin or lip is); `region`:
    (left, top, right, bottom) shares of the picture that are drawn, all of it if missing."""

    file: str
    expression: str
    look: str
    size: int
    samples: int
    yaw: float = 0.0
    pitch: float = 0.0
    region: tuple[float, float, float, float] | None = None


def turned(points: Any) -> Any:
    """Our frame (y up, z to the viewer) → Blender's (z up, -y to the viewer)."""
    points = np.asarray(points, np.float32)
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1)


def add_mesh(name: str, points: Any, faces: Any, material: Any, uv: Any = None, smooth: int = 0) -> Any:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(turned(points).tolist(), [], np.asarray(faces).tolist())
    if uv is not None:
        mesh.uv_layers.new(name="uv").data.foreach_set("uv", np.ascontiguousarray(uv, np.float32).reshape(-1))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    mesh.materials.append(material)
    return _linked(name, mesh, smooth)


def add_hairs(name: str, points: Any, radius: Any, material: Any, tip: float = 0.25) -> Any:
    count, steps = points.shape[:2]
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([steps] * count)
    curves.attributes["position"].data.foreach_set("vector", turned(points).reshape(-1))
    along = 1 - (1 - tip) * np.linspace(0, 1, steps) ** 1.5
    radii = np.broadcast_to(np.asarray(radius, np.float32).reshape(-1, 1), (count, 1)) * along
    attribute = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    attribute.data.foreach_set("value", radii.astype(np.float32).reshape(-1))
    curves.materials.append(material)
    return _linked(name, curves, 0)


def _linked(name: str, data: Any, smooth: int) -> Any:
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    if smooth:
        modifier = thing.modifiers.new("smooth", "SUBSURF")
        modifier.levels = modifier.render_levels = smooth
    return thing


def attribute(thing: Any, name: str, values: Any) -> None:
    thing.data.attributes.new(name, "FLOAT", "POINT").data.foreach_set("value", np.asarray(values, np.float32))


class Person:
    """The character as objects in the scene; `pose` moves them into an expression."""

    def __init__(self, folder: Path, key: bool) -> None:
        self.folder, self.key = folder, key
        self.who = json.loads((folder / "character.json").read_text())
        self.shape = dict(np.load(folder / "geometry.npz"))
        self.eyes = self.shape["eyes"]
        self.surface = {part: make(folder, self.who, key) for part, make in SURFACES[self.who["material"]].items()}
        self.hairy = self.who["material"] == "skin"
        self.expression: str | None = None
        self.things: list[Any] = []
        self._eyeballs()
        if not key:
            self._clothes()
            if self.hairy:
                self._hair()

    def _eyeballs(self) -> None:
        height = math.sqrt(1 - LIMBUS**2)
        angle = np.linspace(math.asin(LIMBUS), math.radians(175), 40)
        share = np.linspace(0.02, 1, 20)
        bend = 0.66
        rim = math.asin(LIMBUS * 1.04 / bend)
        dome = np.linspace(0, rim, 18)
        profiles = {
            "white": np.c_[np.sin(angle), np.cos(angle)],
            "iris": np.c_[share * LIMBUS * 1.01, height - 0.12 + 0.06 * share**2 + 0.02 * share],
            "cornea": np.c_[np.sin(dome), np.cos(dome) - math.cos(rim)] * bend + [0, height * 0.985],
        }
        for number, (x, y, z, radius) in enumerate(self.eyes):
            inwards = math.radians(1.5 if number else -1.5)
            turn = np.array(
                [[math.cos(inwards), 0, math.sin(inwards)], [0, 1, 0], [-math.sin(inwards), 0, math.cos(inwards)]]
            )
            for part, profile in profiles.items():
                if part in self.surface:
                    points, faces = _revolved(profile)
                    uv = points[:, :2] / (LIMBUS * 1.01 if part == "iris" else 1) * 0.5 + 0.5
                    placed = (points * radius) @ turn.T + [x, y, z]
                    add_mesh(part, placed, faces, self.surface[part], uv[faces].reshape(-1, 2))

    def _clothes(self) -> None:
        shape, colour = self.shape, self.who["shirt"]
        shirt = add_mesh("shirt", shape["shirt"], shape["shirt_quads"], cloth_material(colour, True), smooth=2)
        attribute(shirt, "edge", shape["shirt_edge"])
        add_mesh("collar", shape["collar"], shape["collar_quads"], cloth_material(colour, False), smooth=1)

    def _hair(self) -> None:
        strands = self.shape["hair"]
        colour = [0.5 * (a + b) * 0.5 for a, b in zip(*(linear(c)[:3] for c in self.who["hair"]), strict=True)]
        radius = np.random.default_rng(3).uniform(0.0022, 0.0034, len(strands))
        add_hairs("hair", strands, radius, hair_material("hair", (*colour, 1)), tip=0.35)

    def pose(self, expression: str) -> None:
        if expression == self.expression:
            return
        for thing in self.things:
            bpy.data.objects.remove(thing)
        self.expression = expression
        part = {name.split(".")[1]: a for name, a in self.shape.items() if name.startswith(expression + ".")}
        shape, surface = self.shape, self.surface
        skin = add_mesh("skin", part["skin"], shape["quads"], surface["skin"], shape["uv"], smooth=1)
        attribute(skin, "head", shape["kind"][:, 0])
        attribute(skin, "lining", shape["kind"][:, 1])
        self.things = [
            skin,
            add_mesh("teeth", part["teeth"], shape["teeth_faces"], surface["teeth"], shape["teeth_uv"]),
            add_mesh("tongue", part["tongue"], shape["tongue_quads"], surface["tongue"], smooth=1),
        ]
        if self.hairy:
            self._hairs(part)

    def _hairs(self, part: dict[str, Any]) -> None:
        root = np.array(linear(self.who["hair"][0])[:3])
        woman, old = self.who["shape"]["gender"] > 0.5, root.mean() > 0.1
        brow = (*(root * (0.8 if old else 0.9)), 1.0)
        lash = (*np.minimum(root * 0.4, 0.012), 1.0)
        grown = [
            add_hairs("brows", part["brows"], 0.0013 if woman else 0.0015, hair_material("brow", brow, 0.4, 0.5)),
            add_hairs("lashes", part["lashes"], 0.0017 if woman else 0.0013, hair_material("lash", lash, 0.4)),
        ]
        if len(part["beard"]) and not self.key:
            grown.append(add_hairs("beard", part["beard"], 0.0024, hair_material("beard", brow, 0.4)))
        if not self.key:
            pale = (0.5, 0.42, 0.34, 1) if self.who["melanin"] < 0.5 else (0.10, 0.07, 0.05, 1)
            grown.append(add_hairs("fuzz", part["fuzz"], 0.0006, hair_material("fuzz", pale, 0.5)))
        self.things += grown


def _revolved(profile: Any, around: int = 72) -> tuple[Any, Any]:
    """(n, 2) radius and height → points with z along the axis, quads."""
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    x, y = (profile[:, 0, None] * f(angle) for f in (np.cos, np.sin))
    points = np.stack([x, y, np.broadcast_to(profile[:, 1, None], x.shape)], -1).reshape(-1, 3)
    row = np.arange(len(profile) - 1)[:, None] * around
    here, following = row + np.arange(around), row + (np.arange(around) + 1) % around
    return points, np.stack([here, following, following + around, here + around], -1).reshape(-1, 4)


def area_light(place: Any, size: tuple[float, float], power: float, colour: Any, target: Any) -> Any:
    light = bpy.data.lights.new("area", "AREA")
    light.shape, light.size, light.size_y = "RECTANGLE", *size
    light.energy, light.color = power, colour
    thing = _linked("area", light, 0)
    thing.matrix_world = _looking(place, target)
    return thing


def _looking(place: Any, target: Any) -> Any:
    turn = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    return Matrix.Translation(Vector(place)) @ turn


def key_light(middle: Any) -> list[Any]:
    """Even light, a little more from the front and above: pictures are nearly the skin's own colour."""
    _world(0.50)
    soft = area_light(middle + [-0.8, -9.0, 1.2], (6, 6), 340, (1, 1, 1), middle)
    soft.visible_glossy = False  # it would lie on the eyes as a veil; the small one is their catch light
    return [soft, area_light(middle + [-3.0, -8.0, 3.6], (0.6, 0.6), 80, (1, 1, 1), middle)]


def portrait_light(middle: Any, who: dict[str, Any]) -> list[Any]:
    """A window to the left, its reflection from the right, a lamp behind."""
    room = Path(bpy.utils.resource_path("LOCAL")) / "datafiles/studiolights/world" / f"{who['room']}.exr"
    _world(0.20, room, who["turn"])
    return [
        area_light(middle + [-6.5, -7.0, 4.0], (4.5, 5.0), 600, (1.0, 0.96, 0.91), middle),
        area_light(middle + [7.0, -6.0, 0.5], (6, 6), 140, (0.93, 0.96, 1.0), middle),
        area_light(middle + [4.5, 6.5, 5.0], (2, 4), 420, (1.0, 0.96, 0.92), middle),
    ]


def _world(mean: float, room: Path | None = None, turn_deg: float = 0.0) -> None:
    """Light from all around of the mean radiance `mean`; a room's picture (Poly Haven, CC0) or plain."""
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    light, out = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
    links.new(light.outputs[0], out.inputs[0])
    if room is None:
        light.inputs[0].default_value = (1, 1, 1, 1)
        light.inputs[1].default_value = mean
        plain, seen = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeMixShader")
        plain.inputs[0].default_value = (BACKDROP, BACKDROP, BACKDROP, 1)
        links.new(nodes.new("ShaderNodeLightPath").outputs["Is Camera Ray"], seen.inputs[0])
        links.new(light.outputs[0], seen.inputs[1])
        links.new(plain.outputs[0], seen.inputs[2])
        links.new(seen.outputs[0], out.inputs[0])
        return
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image, picture.interpolation = bpy.data.images.load(str(room)), "Cubic"
    place, turn = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
    turn.inputs["Rotation"].default_value[2] = math.radians(turn_deg)
    links.new(place.outputs["Generated"], turn.inputs["Vector"])
    links.new(turn.outputs[0], picture.inputs["Vector"])
    links.new(picture.outputs[0], light.inputs[0])
    pixels = np.array(picture.image.pixels[:]).reshape(-1, 4)[:, :3]
    light.inputs[1].default_value = mean / float(np.clip(pixels, 0, 8).mean())


class Studio:
    """The scene: one person, their light, the camera."""

    def __init__(self, folder: Path, key: bool) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.key = key
        self.person = Person(folder, key)
        eyes = self.person.eyes
        self.middle = turned(eyes[:, :3].mean(0))
        camera = bpy.data.cameras.new("camera")
        self.camera = _linked("camera", camera, 0)
        camera.sensor_width, camera.clip_start, camera.clip_end = 36, 0.1, 1000
        scene = bpy.context.scene
        scene.camera = self.camera
        apart = float(np.linalg.norm(eyes[0, :3] - eyes[1, :3])) + 2.1 * float(eyes[:, 3].mean())
        if key:
            self.distance, self.height = KEY_DISTANCE, apart / EYES_SHARE
            self.target = self.middle + [0, 0, -0.10 * self.height]
            self.lights = key_light(self.middle)
            scene.view_settings.view_transform = "Standard"
        else:
            self.distance, self.height = PORTRAIT_DISTANCE, PORTRAIT_HEIGHT
            self.target = self.middle + [0, 0, -0.34]
            self.lights = portrait_light(self.middle, self.person.who)
            scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
            scene.view_settings.exposure = self.person.who["exposure"]
            camera.dof.use_dof, camera.dof.aperture_fstop = True, 0.5
            camera.dof.focus_distance = self.distance - 0.1
        camera.lens = 36 * self.distance / self.height
        self.at_rest = [light.matrix_world.copy() for light in self.lights]
        _settings(scene)

    def shoot(self, shot: Shot, path: Path) -> None:
        """Draw one picture to `path`."""
        scene = bpy.context.scene
        self.person.pose(shot.expression)
        turn = Matrix.Rotation(math.radians(-shot.yaw), 4, "Z") @ Matrix.Rotation(math.radians(shot.pitch), 4, "X")
        about = Matrix.Translation(self.target) @ turn @ Matrix.Translation(-Vector(self.target))
        place = Vector(self.target) + Vector((0, -self.distance, 0.0))
        self.camera.matrix_world = about @ _looking(place, self.target)
        for light, at in zip(self.lights, self.at_rest, strict=True):
            light.matrix_world = about @ at
        render = scene.render
        render.resolution_x = render.resolution_y = shot.size
        render.filepath = str(path)
        scene.cycles.samples = shot.samples
        render.use_border = shot.region is not None
        if shot.region:
            left, top, right, bottom = shot.region
            render.border_min_x, render.border_max_x = left, right
            render.border_min_y, render.border_max_y = 1 - bottom, 1 - top
        if shot.look == "skin":
            self._flat(True)
        bpy.ops.render.render(write_still=True)
        if shot.look == "skin":
            self._flat(False)

    def _flat(self, on: bool) -> None:
        """Draw what is bare skin white and all else black, or go back."""
        scene = bpy.context.scene
        scene.cycles.use_denoising = not on
        scene.view_settings.view_transform = "Raw" if on else "Standard"
        scene.cycles.max_bounces = 0 if on else 6
        for light in self.lights:
            light.hide_render = on
        if on:
            self.usual = [(t, t.data.materials[0]) for t in scene.objects if t.type in ("MESH", "CURVES")]
            self.world, scene.world = scene.world, None
            bare, black = bare_material(self.person.folder), black_material()
            for thing, _ in self.usual:
                if thing.name.startswith("cornea"):
                    continue
                thing.data.materials[0] = bare if thing.name.startswith("skin") else black
            return
        scene.world = self.world
        for thing, material in self.usual:
            thing.data.materials[0] = material


def _settings(scene: Any) -> None:
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.use_adaptive_sampling = "CPU", False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 6, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 4, 12
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.hair_type = "STRIP"


def main(folder: Path, job: Path) -> None:
    shots = [Shot(**shot) for shot in json.loads(job.read_text())]
    left = [shot for shot in shots if not Path(shot.file).exists()]
    for key in (True, False):
        own = [shot for shot in left if (shot.look != "portrait") == key]
        studio = Studio(folder, key) if own else None
        for shot in own:
            path = Path(shot.file)
            part = path.with_suffix(".part.png")
            assert studio is not None
            studio.shoot(shot, part)
            part.rename(path)
            print("drawn", path.name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

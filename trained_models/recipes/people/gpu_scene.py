"""One person on the graphics card: what is sent once when the person is loaded, and what moves each frame."""

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels
from trained_models.recipes.people.accessories import Worn
from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.chart import chart, chart_uv, on_head
from trained_models.recipes.people.geometry import fit_affine
from trained_models.recipes.people.gpu import Part, Shelf, Surface, as_bytes, context, program, transfer
from trained_models.recipes.people.look import Look
from trained_models.recipes.people.shape import Identity, Posed
from trained_models.recipes.people.surroundings import COSINE, harmonics
from trained_models.recipes.people.topology import topology

STEEPEST = 1600.0  # relief units a chart width
SHIRT_GAP = 0.06  # dm between body and cloth
HEAD_SHARE = np.array([0.15, 0.3, 0.5, 1], np.float32)
"""How much of the head's turn a vertex makes, by the bone that carries it: picks the light's frame."""


@cache
def programs() -> SimpleNamespace:
    """The shader programs, compiled once a process and shared by its renderers."""
    return SimpleNamespace(
        skin=program("skin.vert", "skin.frag"),
        eye=program("eye.vert", "eye.frag"),
        hair=program("hair.vert", "hair.frag", PROJECTION="VP", **{"#version 330": "#version 330\n#define LIT"}),
        hair_depth=program("hair.vert", "depth.frag", PROJECTION="LVP"),
        lash=program("lash.vert", "lash.frag"),
        depth=program("depth.vert", "depth.frag"),
    )


def eyeball(rings: int = 24) -> tuple[Floats, Ints]:
    """Unit directions (n, 3) and triangles (t, 3) of a ball whose pole looks ahead."""
    polar, turn = np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1)
    grid = np.stack(np.meshgrid(polar, turn, indexing="ij"), -1).reshape(-1, 2)
    sine = np.sin(grid[:, 0])
    directions = np.stack([sine * np.cos(grid[:, 1]), sine * np.sin(grid[:, 1]), np.cos(grid[:, 0])], 1)
    row = 2 * rings + 1
    first = np.arange(rings)[:, None] * row + np.arange(2 * rings)[None]
    corners = np.stack([first, first + row, first + row + 1, first, first + row + 1, first + 1], -1)
    return directions.astype(np.float32), corners.reshape(-1, 3)


def _packed_colour(albedo: Floats) -> Pixels:
    """8 bits are enough, and drawn faster, if dark colours get more of them: square roots; gloss as it is."""
    packed = np.concatenate([np.sqrt(albedo[..., :3]), albedo[..., 3:]], -1)
    return np.asarray(packed * 255 + 0.5, np.uint8)


def _packed_slopes(bump: Floats) -> Pixels:
    """Slopes of the relief along u and v a whole chart, as shares of `STEEPEST` about the middle, and the face."""
    down, along = np.gradient(bump)
    slopes = np.stack([along * bump.shape[1], down * bump.shape[0]], -1) / STEEPEST * 0.5 + 0.5
    packed = np.concatenate([slopes, chart().face[..., None], np.ones((*bump.shape, 1))], -1)
    return np.asarray(np.clip(packed, 0, 1) * 255 + 0.5, np.uint8)


class GpuScene:
    """The person that a renderer draws. `load` before all else; `move` before each picture."""

    person: Identity
    look: Look

    def __init__(self) -> None:
        self.programs = programs()
        self._topology = topology()
        self._shelf, self._props = Shelf(), Shelf()
        self._near = self._topology.skin.neighbour_mean()
        self._nearer_two = (self._near @ self._near).tocsr()
        self._ball, self._ball_triangles = eyeball()

    def load(self, person: Identity, look: Look, bake_views: int) -> None:
        """Send everything that does not move."""
        self.person, self.look = person, look
        self._shelf.clear()
        shelf, topo = self._shelf, self._topology
        neutral = person.pose().vertices
        skin, shirt = topo.skin.surface(neutral), topo.shirt.surface(neutral)
        self._rest_curvature = self._curvature(*skin)
        light = self._bake(skin, shirt, bake_views)
        self._load_skin(skin[1], light[0])

        corner = topo.shirt.corner_vertex
        still = np.c_[shirt[1][corner], topo.shirt.uv, light[3][corner], np.zeros(len(corner))]
        self.shirt = shelf.part(self.programs.skin, still, topo.shirt.corner_triangles, np.ones((len(corner), 4)))

        tongue = len(topo.tongue)
        material = np.tile([0, 0, 0, 1.0], (tongue, 1))
        self.tongue = self._small_part(topo.tongue.triangles, material)
        self.teeth = [
            self._small_part(t.triangles, np.c_[t.gum, np.zeros((len(t.places), 2)), np.ones(len(t.places))])
            for t in look.teeth
        ]
        ball = shelf.buffer(self._ball_triangles, np.int32)
        layout = ("3f 4f 4f 1f", "dir", "ta", "tb", "tc")
        self.eyes = [
            shelf.hold(
                context().vertex_array(self.programs.eye, [(shelf.buffer(np.c_[self._ball, baked]), *layout)], ball)
            )
            for baked in light[1:3]
        ]
        self._load_lashes()
        self._load_worn()
        ribbons = shelf.buffer(look.hair.vertices)
        index = shelf.buffer(look.hair.triangles, np.int32)
        strand = [(ribbons, "3f 3f 4f 3f", "pos", "tan", "prm", "aw")]
        # The shadow needs neither density nor shade: the compiler drops them.
        self.hair = shelf.hold(context().vertex_array(self.programs.hair, strand, index))
        self.hair_depth = shelf.hold(context().vertex_array(self.programs.hair_depth, strand, index))
        self.textures = [
            shelf.texture(_packed_colour(look.skin.albedo)),
            shelf.texture(_packed_slopes(look.skin.bump)),
            shelf.texture(look.eye_texture, repeat=True),
            shelf.texture(look.lash_texture),
        ]

    def _bake(self, skin: tuple[Floats, Floats], shirt: tuple[Floats, Floats], views: int) -> list[Floats]:
        """Light transfer of skin, left eye, right eye and shirt."""
        topo, person = self._topology, self.person
        cloth = shirt[0] + shirt[1] * SHIRT_GAP
        surfaces = [Surface(skin[0], skin[1], skin[0], topo.skin.triangles)]
        for centre, radius in person.eyes:
            # The eyeball casts as a slightly smaller one, or it would shade itself and the lids.
            ball, smaller = (self._ball * radius * k + centre for k in (1.0, 0.97))
            surfaces.append(Surface(ball, self._ball, smaller, self._ball_triangles))
        surfaces.append(Surface(cloth, shirt[1], cloth, topo.shirt.triangles))
        baked = transfer(self.programs.depth, surfaces, person.centre, views)
        for _ in range(3):
            baked[0] = self._near @ baked[0]
        return baked

    def _load_skin(self, normals: Floats, light: Floats) -> None:
        mesh, shelf = self._topology.skin, self._shelf
        corner, uv = mesh.corner_vertex, mesh.uv
        in_mouth = ((uv[:, 0] > 0.75) & (uv[:, 1] < 0.16)).astype(np.float32)
        in_socket = ((uv[:, 0] < 0.16) & (uv[:, 1] > 0.53) & (uv[:, 1] < 0.65)).astype(np.float32)
        parts = [on_head(uv).astype(np.float32), in_mouth, in_socket, np.ones_like(in_mouth)]
        self._skin_material = np.stack(parts, 1).astype(np.float32)
        mouth = np.zeros(len(mesh), np.float32)
        mouth[corner] = in_mouth
        self._inside_mouth: npt.NDArray[np.bool_] = mouth > 0
        follows = (mesh.subdivide @ (self._topology.spine @ HEAD_SHARE))[corner]
        still = np.c_[normals[corner], chart_uv(uv), light[corner], follows]
        self.skin = shelf.part(self.programs.skin, still, mesh.corner_triangles, self._skin_material)
        index = shelf.buffer(mesh.corner_triangles, np.int32)
        depth = [(self.skin.moving, "3f 12x", "pos")]
        self.skin_depth = shelf.hold(context().vertex_array(self.programs.depth, depth, index))

    def _small_part(self, triangles: Ints, material: Any) -> Part:
        count = len(material)
        light = np.zeros((count, 9), np.float32)
        light[:, 0] = 0.7
        still = np.c_[np.tile([0, 0, 1], (count, 1)), np.zeros((count, 2)), light, np.ones(count)]
        return self._shelf.part(self.programs.skin, still, triangles, material)

    def _load_lashes(self) -> None:
        self.lashes: list[tuple[Any, Any, Ints]] = []
        for vertices, uv, triangles in self.look.lash_meshes:
            moving = self._shelf.hold(context().buffer(reserve=len(vertices) * 12, dynamic=True))
            layout = [(moving, "3f", "pos"), (self._shelf.buffer(uv), "2f", "uv")]
            index = self._shelf.buffer(triangles, np.int32)
            array = self._shelf.hold(context().vertex_array(self.programs.lash, layout, index))
            self.lashes.append((array, moving, vertices))

    def move(self, posed: Posed) -> None:
        topo, (turned, moved) = self._topology, posed.head
        front = float(np.percentile(posed.rest[self.look.lips, 2], 92))

        def daylight(in_head: Floats) -> Any:
            """How much light reaches points behind the lips."""
            return np.clip(1.10 - (front - in_head[:, 2]) * 1.35, 0.05, 1)

        places, normals = topo.skin.surface(posed.vertices)
        corner = topo.skin.corner_vertex
        self.skin.move(places[corner], normals[corner])
        folds = self._folds(places, normals)
        inside = self._inside_mouth
        in_head = (places - moved) @ turned
        folds[inside] = np.minimum(folds[inside], 1) * daylight(in_head[inside]) ** 1.6 * 0.8
        material = self._skin_material.copy()
        material[:, 3] = folds[corner]
        self.skin.paint(material)

        cloth, cloth_normals = topo.shirt.surface(posed.vertices)
        corner = topo.shirt.corner_vertex
        self.shirt.move((cloth + cloth_normals * SHIRT_GAP)[corner], cloth_normals[corner])

        tongue, tongue_normals = topo.tongue.surface(posed.vertices)
        self.tongue.move(tongue, tongue_normals)
        self.tongue.paint(np.c_[np.zeros((len(tongue), 3)), daylight((tongue - moved) @ turned)])
        for teeth, part, strip in zip(self.look.teeth, self.teeth, (topo.upper_teeth, topo.lower_teeth), strict=True):
            affine = fit_affine(topo.template[strip], posed.rest[strip])
            at = np.c_[teeth.places, np.ones(len(teeth.places))] @ affine
            normal = teeth.normals @ np.linalg.inv(affine[:3]).T
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            open_to_light = np.clip(daylight(at) * 1.1, 0, 1) * teeth.openness * 0.85
            part.move(at @ turned.T + moved, normal @ turned.T)
            part.paint(np.c_[teeth.gum, np.zeros((len(at), 2)), open_to_light])
        outfit = self.look.outfit
        for thing, part in zip(outfit.solids, self.worn, strict=True):
            part.move(thing.places @ turned.T + moved, thing.normals @ turned.T)
        if outfit.lens is not None:
            self._lens_places.write(as_bytes(outfit.lens.places @ turned.T + moved))
        for _, moving, vertices in self.lashes:
            moving.write(as_bytes(posed.vertices[vertices]))

    def _load_worn(self) -> None:
        shelf, outfit = self._shelf, self.look.outfit
        self.worn = [self._openly_lit(shelf, thing) for thing in outfit.solids]
        self.lens: Any = None
        if outfit.lens is not None:
            self._lens_places = shelf.hold(context().buffer(reserve=outfit.lens.places.nbytes, dynamic=True))
            flat = shelf.buffer(np.full((len(outfit.lens.places), 2), 0.5, np.float32))
            index = shelf.buffer(outfit.lens.triangles, np.int32)
            content = [(self._lens_places, "3f", "pos"), (flat, "2f", "uv")]
            self.lens = shelf.hold(context().vertex_array(self.programs.lash, content, index))
            self.lens_texture = shelf.texture(np.full((2, 2), 255, np.uint8))

    def _openly_lit(self, shelf: Shelf, thing: Worn) -> Part:
        sky = harmonics(thing.normals) * COSINE
        still = np.c_[thing.normals, thing.edge, 0 * thing.edge, sky, np.ones(len(thing.edge))]
        return shelf.part(self.programs.skin, still, thing.triangles, thing.paint)

    def prop(self, thing: Worn) -> Part:
        """Something in the room, until the next call."""
        self._props.clear()
        part = self._openly_lit(self._props, thing)
        part.move(thing.places, thing.normals)
        return part

    def _curvature(self, places: Floats, normals: Floats) -> tuple[Floats, Floats]:
        """(n,) how far each vertex lies below its near, and its wider, surroundings."""
        smooth = self._nearer_two
        fine = ((smooth @ places - places) * normals).sum(1)
        broad = ((smooth @ (smooth @ (smooth @ places)) - places) * normals).sum(1)
        return fine, broad

    def _folds(self, places: Floats, normals: Floats) -> Floats:
        """(n,) how open skin lies: hollows darken, above all those that the expression makes (smile folds)."""
        fine, broad = self._curvature(places, normals)
        fine_rest, broad_rest = self._rest_curvature
        hollow = np.clip(fine * 14 + broad * 4.5, -0.12, 0.55) * 0.9
        made = np.clip((fine - fine_rest) * 14 + (broad - broad_rest) * 5, -0.1, 0.35)
        return np.clip(1 - hollow - made, 0.25, 1.12).astype(np.float32)

    def hair_uniforms(self, posed: Posed) -> dict[str, Any]:
        """How hair follows: near the scalp the head, below the jaw the neck."""
        (head, head_at), (neck, neck_at) = posed.head, posed.neck
        return {
            "RH": head.T,
            "tH": tuple(map(float, head_at)),
            "RB": neck.T,
            "tB": tuple(map(float, neck_at)),
            "nrmc": tuple(map(float, self.look.hair_centre)),
        }

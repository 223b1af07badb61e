"""One character as plain geometry, for Blender: skin, teeth, tongue, eyes, clothes and every hair, in each expression.

Frame and unit are those of `people.assets`: decimetres, y up, z towards the viewer.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from trained_models.recipes.people.assets import BODY_VERTICES, Floats, Ints
from trained_models.recipes.people.calibrate import both_sides, gains
from trained_models.recipes.people.chart import chart_uv, on_head
from trained_models.recipes.people.geometry import smoothstep
from trained_models.recipes.people.hair import guides
from trained_models.recipes.people.shape import Identity, Shape, sample_shape
from trained_models.recipes.people.teeth import REST_HEIGHT
from trained_models.recipes.people.topology import topology
from trained_models.recipes.portraits.characters import EXPRESSIONS, Character

TEETH = "teeth/teeth_base/teeth_base"  # in MakeHuman's assets
BROW_FLOOR = 7.37  # skin below moves with the lids and carries no brow
BROW_POINTS = 5


def sculpt(who: Character, makehuman: Path) -> dict[str, Any]:
    """Everything `scene` draws of a character. Keys `EXPRESSION.part` are posed (`skin`, `normals`, `tongue`, `teeth`,
    `brows`, `lashes`, `fuzz`, `beard`); the rest is the same in all of them."""
    shape = sample_shape(who.seed)
    changes = {label: change * who.variety for label, change in shape.changes.items()}
    for label, change in who.changes.items():
        changes |= {side + label: change for side in ("", "l-", "r-") if side + label in changes}
    person, topo = Identity(Shape({**shape.phenotype, **who.shape}, changes)), topology()
    rng = np.random.default_rng(who.seed + 9)
    neutral = topo.skin.surface(person.neutral)[0]
    triangles = topo.skin.corner_triangles
    corner_quads = np.c_[triangles[0::2], triangles[1::2][:, 2]]
    teeth = Proxy(makehuman / TEETH, person.neutral)
    growth = _Growth(rng, who, neutral)
    out: dict[str, Any] = {
        **{"quads": topo.skin.corner_vertex[corner_quads], "uv": chart_uv(topo.skin.uv)[corner_quads].reshape(-1, 2)},
        "kind": _kinds(),
        "tongue_quads": topo.tongue.quads,
        **{"teeth_faces": teeth.faces, "teeth_uv": teeth.uv},
        "eyes": np.array([[*centre, radius] for centre, radius in person.eyes]),
        "hair": _strands(rng, who, person),
        **_clothes(person),
    }
    for name, weights in EXPRESSIONS.items():
        by_side = both_sides(weights)
        actions = np.array([by_side.get(action, 0.0) for action in topo.actions], np.float32)
        actions *= np.where([a.startswith("eyeBlink") for a in topo.actions], 1, gains(topo.actions))
        posed = person.pose(actions).vertices
        skin, normals = topo.skin.surface(posed)
        parts = {"skin": skin, "normals": normals, "tongue": topo.tongue.surface(posed)[0], "teeth": teeth.fit(posed)}
        parts |= growth.on(skin, normals) | {"lashes": _lashes(who, posed)}
        out |= {f"{name}.{part}": value for part, value in parts.items()}
    return out


def _kinds() -> Floats:
    """(n, 2) of each skin vertex: how much the head's chart colours it, and whether it lines mouth or eye socket."""
    mesh = topology().skin
    x, y = mesh.uv.T
    out = np.zeros((len(mesh), 2), np.float32)
    out[mesh.corner_vertex[on_head(mesh.uv)], 0] = 1
    out[:, 0] *= smoothstep(5.55, 5.9, mesh.surface(topology().template)[0][:, 1])
    lining = (x > 0.75) & (y < 0.16) | (x < 0.16) & (y > 0.53) & (y < 0.65)
    out[mesh.corner_vertex[lining], 1] = 1
    return out


STRANDS = {"buzz": 42000, "short": 42000, "sidepart": 44000, "bob": 52000, "bun": 46000, "afro": 40000}
UNRULY = {"buzz": 0.4, "bun": 0.35, "bob": 0.6, "sidepart": 0.7}  # against 1: how far strands leave their guides


def _strands(rng: np.random.Generator, who: Character, person: Identity) -> Floats:
    """(n, steps, 3) the hair on the head: strands between guides, running together a little towards their tips."""
    guide, _ = guides(person, who.style, who.seed + 5, who.recession)
    count, steps = STRANDS[who.style], guide.shape[1]
    near = cKDTree(guide[:, 0]).query(guide[:, 0], k=7)[1]
    first = rng.integers(0, len(guide), count)
    three = np.c_[first, near[first[:, None], rng.integers(1, 7, (count, 2))]]
    share = rng.dirichlet([1.6, 0.8, 0.8], count)
    # Strands that go another way, as on the far side of a parting, have no say.
    heading = guide[:, min(4, steps - 1)] - guide[:, 0]
    apart = np.linalg.norm(heading[three] - heading[three[:, :1]], axis=2)
    share = np.where(apart > 0.25 * np.linalg.norm(heading[three[:, :1]], axis=2) + 0.05, 0, share)
    share /= share.sum(1, keepdims=True)
    strands = (guide[three] * share[..., None, None]).sum(1)
    t = np.linspace(0, 1, steps)[None, :, None]
    lead = guide[first] + (strands[:, :1] - guide[first][:, :1]) * (1 - 0.6 * t)
    strands = strands + (lead - strands) * 0.35 * t
    wild = UNRULY.get(who.style, 1.0)
    strands = strands + wild * rng.normal(0, 1, (count, 1, 3)) * (0.006 + 0.022 * t)
    stray = (rng.random(count) < 0.02)[:, None, None] * rng.normal(0, 1, (count, 1, 3))
    strands = strands + wild * 0.07 * stray * t**1.5
    # Ends are cut at different lengths.
    kept = t[..., 0] * rng.uniform(0.78, 1.0, (count, 1)) * (steps - 1)
    low = np.minimum(kept.astype(int), steps - 2)
    rest, row = (kept - low)[..., None], np.arange(count)[:, None]
    return np.asarray(strands[row, low] * (1 - rest) + strands[row, low + 1] * rest, np.float32)


def _clothes(person: Identity) -> dict[str, Any]:
    """A shirt loose on the body, its neckline as an attribute that is above 0 where it is cut off, and a ribbed collar
    along that line."""
    mesh = topology().shirt
    places, normals = mesh.surface(person.neutral)
    throat = float(person.neutral[np.argmin(((topology().template[:BODY_VERTICES] - [0, 5.75, 1.0]) ** 2).sum(1)), 1])
    x, y, z = places.T
    front = smoothstep(0, 1.5, z)
    edge = y - (throat - 0.06 + 0.5 * x**2 - 0.32 * front)
    loose = places + normals * (0.035 + 0.10 * np.clip(-edge / 1.2, 0, 1))[:, None]
    kept = mesh.quads[(edge[mesh.quads] < 0.45).all(1)]
    line, out = _level(loose, normals, edge, kept)
    along = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    up = np.cross(along, out)
    up *= np.sign(up[:, 1:2]) / np.linalg.norm(up, axis=1, keepdims=True)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    flat, thick = 0.085 * np.sign(np.sin(turn)) * abs(np.sin(turn)) ** 0.7, 0.026 * np.cos(turn)
    tube = line[:, None] + flat[:, None] * up[:, None] + (thick[:, None] + 0.012) * out[:, None]
    here = np.arange(len(line))[:, None] * 12 + np.arange(12)
    quads = np.stack([here, np.roll(here, -1, 1), np.roll(np.roll(here, -1, 1), -1, 0), np.roll(here, -1, 0)], -1)
    return {
        **{"shirt": loose, "shirt_quads": kept, "shirt_edge": edge},
        **{"collar": tube.reshape(-1, 3), "collar_quads": quads.reshape(-1, 4)},
    }


def _level(places: Floats, normals: Floats, height: Floats, quads: Ints, count: int = 160) -> tuple[Floats, Floats]:
    """(count, 3) the closed line round the neck where `height` is 0, smoothed, and the unit normals along it."""
    edges = np.unique(np.sort(np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)]), 1), axis=0)
    a, b = edges[(height[edges[:, 0]] < 0) != (height[edges[:, 1]] < 0)].T
    share = (height[a] / (height[a] - height[b]))[:, None]
    found = np.c_[places[a] + share * (places[b] - places[a]), normals[a] + share * (normals[b] - normals[a])]
    found = found[np.abs(found[:, 0]) < 1.5]
    middle = 0.5 * (found[:, 2].min() + found[:, 2].max())
    angle = np.arctan2(found[:, 0], found[:, 2] - middle)
    waves = np.arange(1, 7)

    def basis(at: Floats) -> Floats:
        return np.c_[np.ones(len(at)), np.cos(at[:, None] * waves), np.sin(at[:, None] * waves)]

    fitted = (
        basis(np.linspace(-np.pi, np.pi, count, endpoint=False)) @ np.linalg.lstsq(basis(angle), found, rcond=None)[0]
    )
    return fitted[:, :3], fitted[:, 3:] / np.linalg.norm(fitted[:, 3:], axis=1, keepdims=True)


class Proxy:
    """A MakeHuman proxy: a mesh of its own, hung on the body's vertices by its `.mhclo` file."""

    def __init__(self, stem: Path, neutral: Floats) -> None:
        rows, sizes = [], np.ones(3)
        for line in stem.with_suffix(".mhclo").read_text(errors="ignore").splitlines():
            words = line.split()
            if words and words[0] in ("x_scale", "y_scale", "z_scale"):
                axis = "xyz".index(words[0][0])
                first, second = int(words[1]), int(words[2])
                sizes[axis] = abs(neutral[first, axis] - neutral[second, axis]) / float(words[3])
            elif len(words) == 9 and words[0].isdigit():
                rows.append([float(word) for word in words])
        table = np.array(rows)
        self._corners, self._shares = table[:, :3].astype(int), table[:, 3:6]
        self._offsets = table[:, 6:] * sizes
        coordinates, faces, corners = [], [], []
        for line in stem.with_suffix(".obj").read_text(errors="ignore").splitlines():
            words = line.split()
            if words and words[0] == "vt":
                coordinates.append([float(word) for word in words[1:3]])
            elif words and words[0] == "f":
                pairs = [tuple(int(part) - 1 for part in word.split("/")[:2]) for word in words[1:]]
                faces.append([vertex for vertex, _ in pairs])
                corners += [coordinates[uv] for _, uv in pairs]
        if any(len(face) != 4 for face in faces):
            raise ValueError(f"{stem.name}: only quads are read")
        self.faces, self.uv = np.array(faces), np.array(corners, np.float32)

    def fit(self, posed: Floats) -> Floats:
        """(n, 3) the mesh on a posed body."""
        return np.asarray((posed[self._corners] * self._shares[..., None]).sum(1) + self._offsets, np.float32)


class _Growth:
    """Brows, down and beard: planted once on the resting face, carried by the skin below their roots."""

    def __init__(self, rng: np.random.Generator, who: Character, rest: Floats) -> None:
        self.rest = rest
        topo = topology()
        self.mean = topo.skin.surface(topo.template)[0]
        self.brows, self._brow_roots, self._brow_shares = self._brow(rng, who)
        quads = topo.skin.quads
        triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        x, y, z = self.mean[triangles].mean(1).T
        x = abs(x)
        mouth = (x < 0.26) & (y > 6.50) & (y < 6.72) & (z > 1.2)
        eyes = (x < 0.55) & (x > 0.1) & (y > 7.15) & (y < 7.42)
        face = (z > 0.2) & (y > 6.1) & (y < 7.95) & ~mouth & ~eyes
        jaw = (y < 6.62) & (y > 6.05) & (z > 0.35) | (x > 0.5) & (y < 7.0) & (y > 6.3) & (z > 0.42) & (z < 0.95)
        moustache = (x < 0.29) & (y > 6.71) & (y < 6.82) & (z > 1.25)
        self._plots = {
            "fuzz": _Plot(rng, triangles[face], rest, 9000, 0.020, 0.75),
            "beard": _Plot(rng, triangles[(jaw | moustache) & ~mouth], rest, int(16000 * who.beard), 0.035, 0.6),
        }

    def on(self, skin: Floats, normals: Floats) -> dict[str, Floats]:
        """(n, points, 3) hairs by name, on a posed skin."""
        moved = ((skin - self.rest)[self._brow_roots] * self._brow_shares[..., None]).sum(1)
        grown = {"brows": (self.brows + moved[:, None]).astype(np.float32)}
        return grown | {name: plot.hairs(skin, normals) for name, plot in self._plots.items()}

    def _brow(self, rng: np.random.Generator, who: Character) -> tuple[Floats, Ints, Floats]:
        """Hairs (n, 5, 3) on the resting face, the (n, 4) skin vertices that carry each, and their shares."""
        thickness, density = who.brow
        # What looks ahead: the fold of the lid lies as high as the brow's lower edge, but inside.
        ahead = topology().skin.normals(self.mean)[:, 2] > 0.3
        front = np.flatnonzero(ahead & (self.mean[:, 2] > 0.6) & (self.mean[:, 1] > 6.9) & (self.mean[:, 1] < 8.0))
        tree = cKDTree(self.mean[front, :2])
        normals = topology().skin.normals(self.rest)
        male = who.shape["gender"] < 0.5
        curves = []
        for side in (-1, 1):
            n = int(330 * density)
            along = rng.uniform(0, 1, n)  # 0 at the nose, 1 at the temple
            low = brow_line(along, male)
            half = thickness * 0.036 * brow_width(along)
            off = np.clip(rng.normal(0, 0.5, n), -1, 1)
            # Hairs rise at the nose, lie along the brow in its middle and fall a little at its end, where those above
            # and below lean towards the middle.
            degrees = 70 - 62 * smoothstep(0, 0.35, along) - 26 * smoothstep(0.5, 1, along) - 16 * off * along
            angle = np.radians(degrees + rng.normal(0, 6, n))
            length = rng.uniform(0.055, 0.085, n) * (1 - 0.35 * along) * (0.75 + 0.25 * smoothstep(0, 0.2, along))
            t = np.linspace(0, 1, BROW_POINTS)
            turned = angle[:, None] - 0.45 * t
            step = np.stack([np.cos(turned), np.sin(turned)], -1) * (length / (BROW_POINTS - 1))[:, None, None]
            flat = np.c_[0.13 + 0.42 * along, low + off * half][:, None] + np.cumsum(step, 1) - step[:, :1]
            flat[..., 0] *= side
            distance, near = tree.query(flat.reshape(-1, 2), k=6)
            share = 1 / (distance + 0.004)
            share = (share / share.sum(1, keepdims=True))[..., None]
            at = front[near]
            place = (self.rest[at] * share).sum(1)
            place[:, :2] += flat.reshape(-1, 2) - (self.mean[at, :2] * share).sum(1)
            normal = (normals[at] * share).sum(1)
            lift = np.tile(0.001 + 0.008 * t**0.8 * (1 - 0.5 * t), n)
            curves.append((place + normal * lift[:, None]).reshape(n, BROW_POINTS, 3))
        hairs = np.concatenate(curves)
        carrying = np.flatnonzero((self.mean[:, 1] > BROW_FLOOR) & (self.mean[:, 1] < 7.9) & (self.mean[:, 2] > 0.5))
        distance, near = cKDTree(self.rest[carrying]).query(hairs[:, 0], k=8)
        share = 1 / (distance + 0.02)
        return hairs, carrying[near], share / share.sum(1, keepdims=True)


def brow_line(along: Floats, male: bool) -> Floats:
    """Height of the brow's middle on the mean face, `along` 0 at the nose to 1 at the temple."""
    rise = (0.022 if male else 0.036) * np.sin(np.clip(along / 0.7, 0, 1) * np.pi / 2)
    return np.asarray(REST_HEIGHT + 0.012 + rise - 0.038 * np.clip((along - 0.6) / 0.4, 0, 1) ** 1.6)


def brow_width(along: Floats) -> Floats:
    """Half the brow's width as a share of its widest, `along` as above."""
    return np.asarray((0.5 + 0.5 * smoothstep(0, 0.35, along)) * (1 - 0.75 * smoothstep(0.4, 1.05, along)))


class _Plot:
    """Short hairs spread evenly over some triangles."""

    def __init__(
        self, rng: np.random.Generator, triangles: Ints, rest: Floats, count: int, length: float, lean: float
    ) -> None:
        a, b, c = (rest[triangles[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        self._triangles = triangles[rng.choice(len(triangles), count, p=area / area.sum())]
        self._share = rng.dirichlet([1, 1, 1], count)[..., None]
        self._down = np.array([0, -1, 0.1]) + rng.normal(0, 0.35, (count, 3))
        self._length, self._lean = length * rng.uniform(0.5, 1.2, (count, 1)), lean

    def hairs(self, skin: Floats, normals: Floats) -> Floats:
        root = (skin[self._triangles] * self._share).sum(1)
        normal = (normals[self._triangles] * self._share).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
        down = self._down - (self._down * normal).sum(1, keepdims=True) * normal
        down /= np.maximum(np.linalg.norm(down, axis=1, keepdims=True), 1e-6)
        first = root + (normal * (1 - self._lean) + down * self._lean) * self._length / 2
        second = first + (normal * 0.7 * (1 - self._lean) + down) * self._length / 2
        return np.stack([root - normal * 0.002, first, second], 1).astype(np.float32)


@cache
def _lash_grids() -> list[tuple[bool, Ints]]:
    """The model's lash strips: whether each is an upper one, and its vertices (rows from the lid out, columns)."""
    topo = topology()
    grids = []
    for quads in topo.lashes:
        edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
        size = len(topo.template)
        graph = sp.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
        _, strip_of = sp.csgraph.connected_components(graph, directed=False)
        used, uses = np.unique(quads, return_counts=True)
        lid = cKDTree(topo.template[:BODY_VERTICES])
        for strip in np.unique(strip_of[used]):
            own = used[strip_of[used] == strip]
            corners = used[(strip_of[used] == strip) & (uses == 1)]
            # The grid's place of a vertex follows from its steps to the two corners at the lid.
            roots = corners[np.argsort(lid.query(topo.template[corners])[0])[:2]]
            steps = sp.csgraph.dijkstra(graph, directed=False, indices=roots, unweighted=True)
            wide = steps[0, roots[1]]
            row = ((steps[0, own] + steps[1, own] - wide) / 2).astype(int)
            column = ((steps[0, own] - steps[1, own] + wide) / 2).astype(int)
            grid = np.zeros((row.max() + 1, column.max() + 1), np.int64)
            grid[row, column] = own
            grids.append((bool(topo.template[own, 1].mean() > 7.28), grid))
    return grids


def _lashes(who: Character, posed: Floats) -> Floats:
    """(n, 5, 3) lashes along the model's own lash strips."""
    rng = np.random.default_rng(who.seed + 31)
    length = 0.62 if who.shape["gender"] > 0.5 else 0.5
    out = []
    for upper, grid in _lash_grids():
        rows, columns = (side - 1 for side in grid.shape)
        count = 110 if upper else 60
        u = rng.uniform(0.05, 0.93, count)
        reach = length * (1 if upper else 0.6) * rng.uniform(0.65, 1, count) * (0.6 + 0.4 * np.sin(u * np.pi) ** 0.7)
        v = np.linspace(0, 1, 5) * reach[:, None]
        x = np.clip(u[:, None] + rng.normal(0, 0.012, (count, 1)) * v, 0, 1) * columns
        place = [map_coordinates(posed[grid][..., axis], [v * rows, x], order=1, mode="nearest") for axis in range(3)]
        out.append(np.stack(place, -1))
    return np.concatenate(out).astype(np.float32)

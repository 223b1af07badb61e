"""Hair: some thousand locks grown from the scalp, then laid out as ribbons for the graphics card.

A lock starts along its style's flow, is pulled by gravity, wanders with its clump, and is pushed out of head and
shoulders step by step. `hair.frag` cuts its strands out of the ribbon: ten times fewer triangles than strands would
need, and finer ends.
"""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from scipy.spatial import cKDTree

from trained_models.recipes.people.accessories import above_hat
from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.chart import chart, on_skin
from trained_models.recipes.people.geometry import above_hairline, smoothstep
from trained_models.recipes.people.shape import Identity
from trained_models.recipes.people.topology import topology


@dataclass(frozen=True, slots=True)
class Style:
    """About `strands` of about `length` dm in `steps` points, `width` dm wide; `lift` off the skin; `gravity` per step.

    `curl`, `curl_turns`: radius in dm and speed of a curl. `hangs`: falls to both sides of the face. `lock`:
    strands that run together as one ribbon.
    """

    strands: int
    length: float
    steps: int
    width: float
    lift: float
    gravity: float
    curl: float = 0.0
    curl_turns: float = 0.0
    hangs: bool = False
    lock: int = 8


STYLES = {
    "buzz": Style(12000, 0.11, 3, 0.0030, 0.8, 0, lock=4),
    "short": Style(13000, 0.40, 6, 0.0034, 0.45, 0.10, lock=6),
    "sidepart": Style(14000, 0.75, 8, 0.0034, 0.28, 0.14),
    "slick": Style(14000, 1.1, 9, 0.0034, 0.18, 0.05),
    "bob": Style(14000, 2.2, 12, 0.0040, 0.10, 0.75, hangs=True, lock=9),
    "long": Style(14000, 3.7, 14, 0.0042, 0.08, 0.85, hangs=True, lock=9),
    "curly": Style(10000, 0.85, 13, 0.0040, 0.35, 0.30, 0.075, 9.0, lock=6),
    "afro": Style(10000, 0.48, 10, 0.0042, 1.6, 0.0, 0.035, 16.0, lock=5),
    "bun": Style(15000, 1.5, 10, 0.0034, 0.05, 0.0),
    "bald": Style(6000, 0.09, 3, 0.0030, 0.5, 0, lock=4),
    "fringe": Style(12000, 0.85, 9, 0.0036, 0.32, 0.30),
}
"""`bald` is a low ring of stubble."""


@dataclass(frozen=True, slots=True, eq=False)
class Roots:
    """Where n strands begin: `places` and `normals` on this person, `template` on the mean head, all (n, 3). `inner`
    (n,): 0 at the hairline, 1 well within. `longest`: the longest strand's length."""

    places: Floats
    normals: Floats
    template: Floats
    inner: Floats
    longest: float

    def __len__(self) -> int:
        return len(self.places)


def plant(
    rng: np.random.Generator, name: str, style: Style, skin: tuple[Floats, Floats], recession: float, under_hat: bool
) -> Roots:
    """Spread a style's roots evenly over the scalp of `skin` (places and normals), thinner at the edge;
    `under_hat`: only below one."""
    topo = topology()
    mesh, mean = topo.skin, topo.skin.surface(topo.template)[0]
    places, normals = skin
    triangles = np.concatenate([mesh.quads[:, [0, 1, 2]], mesh.quads[:, [0, 2, 3]]])
    middle = mean[triangles].mean(1)
    ears = on_skin(cv2.GaussianBlur(chart().ears, (0, 0), 4))
    edge = above_hairline(middle, recession)
    scalp = (edge + rng.normal(0, 0.035, len(middle)) > -0.01) & (middle[:, 1] > 6.5) & (middle[:, 2] < 1.45)
    scalp &= (ears[triangles].max(1) <= 0.25) & ~((middle[:, 1] < 7.02) & (middle[:, 2] > 0.35))
    if name == "bald":
        scalp &= (edge < 0.45) & (middle[:, 1] < 7.75)
    if under_hat:
        scalp &= above_hat(middle) < 0
    triangles = triangles[scalp]

    first, second, third = (places[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(second - first, third - first), axis=1)
    longest = style.length * rng.uniform(0.8, 1.25)
    locks = style.strands // style.lock // (2 if under_hat else 1)
    chosen = triangles[rng.choice(len(triangles), locks, p=area / area.sum())]
    share = rng.dirichlet([1, 1, 1], locks).astype(np.float32)[..., None]
    normal = (normals[chosen] * share).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    template = (mean[chosen] * share).sum(1)
    edge = above_hairline(template, recession)
    lot = rng.random(len(edge))
    kept = lot < 0.25 + 0.75 * smoothstep(-0.06, 0.07, edge + rng.normal(0, 0.02, len(edge)))
    inner = smoothstep(-0.03, 0.20, edge)
    return Roots((places[chosen] * share).sum(1)[kept], normal[kept], template[kept], inner[kept], longest)


CLUMPS = 180
FREE_STANDING = ("afro", "curly")
CUT_AT_THE_SIDES = ("short", "sidepart", "slick", "fringe")


@dataclass(frozen=True, slots=True, eq=False)
class Hair:
    """Ribbons: `vertices` (n, 13) float32 as `hair.vert` reads them, `triangles` (t,) int32; `strands` a ribbon."""

    vertices: Floats
    triangles: Ints
    strands: int


@dataclass(frozen=True, slots=True, eq=False)
class _Strands:
    """n strands still to be grown: first `heading` (n, 3), `length`, `layer` and `phase` (n,), side of the parting.
    `clump` (n,): whom a strand runs with; `drift` (180, 3): where clumps wander; `waves`: radius in dm."""

    roots: Roots
    heading: Floats
    length: Floats
    layer: Floats
    phase: Floats
    side: Floats
    clump: Ints
    drift: Floats
    waves: float


def grow(person: Identity, name: str, seed: int, recession: float = 0.0, under_hat: bool = False) -> Hair:
    """The hair of one person in one of the `STYLES`; `recession` 0..0.5 bares the temples; `under_hat`: only
    what shows below one."""
    rng = np.random.default_rng(seed)
    style = STYLES[name]
    points, strands = _strands(rng, person, name, style, recession, under_hat)
    tint = rng.uniform(0, 1, len(points)) * 0.6 + 0.4 * (strands.drift[strands.clump, 0] * 0.3 + 0.5)
    return _ribbons(rng, points, style, np.clip(tint, 0, 1), strands, person)


def guides(person: Identity, name: str, seed: int, recession: float = 0.0, share: int = 3) -> tuple[Floats, Ints]:
    """(n, steps, 3) strands to grow others between, and (n,) whom each runs with; `share` times as many as `grow`'s
    locks."""
    style = replace(STYLES[name], lock=max(2, STYLES[name].lock // share))
    points, strands = _strands(np.random.default_rng(seed), person, name, style, recession, False)
    return points, strands.clump


def _strands(
    rng: np.random.Generator, person: Identity, name: str, style: Style, recession: float, under_hat: bool
) -> tuple[Floats, _Strands]:
    topo = topology()
    neutral = person.pose().vertices
    skin, shirt = topo.skin.surface(neutral), topo.shirt.surface(neutral)
    strands = _comb(rng, name, style, plant(rng, name, style, skin, recession, under_hat))
    body = np.concatenate([skin[0], shirt[0]]), np.concatenate([skin[1], shirt[1]])
    return _curled(_grown(rng, name, style, strands, person, body), style, strands), strands


def _flow(rng: np.random.Generator, name: str, roots: Roots, side: Floats) -> Any:
    """(n, 3) where strands lie down to, before clumps and chance."""
    front = smoothstep(0.5, 1.15, roots.template[:, 2])
    ones = np.ones(len(roots))
    if name in ("buzz", "short", "fringe", "bald"):
        return np.c_[side * 0.35, -0.5 * ones, 0.9 * front - 0.35 * (1 - front)]
    if name == "sidepart":
        return np.c_[side * 1.0, -0.25 - 0.3 * (1 - front), 0.15 * front - 0.5]
    if name in ("slick", "bun"):
        return np.c_[0.1 * side, -0.15 - 0.25 * np.abs(roots.template[:, 0]), -1 * ones]
    if name in ("bob", "long"):
        return np.c_[side * 0.8, -0.6 * ones, -0.45 + 0.0 * front]
    return roots.normals * 1.0 + rng.normal(0, 0.35, (len(roots), 3))


def _comb(rng: np.random.Generator, name: str, style: Style, roots: Roots) -> _Strands:
    """Decide how strands start and how long they get."""
    n = len(roots)
    parting = rng.uniform(-0.35, 0.35) if name in ("sidepart", "bob", "long") else 0.0
    side = np.tanh((roots.template[:, 0] - parting) * 6)
    flow = _flow(rng, name, roots, side)
    lift = style.lift * rng.uniform(0.8, 1.3)
    leaders = rng.choice(n, CLUMPS, replace=False)
    clump = cKDTree(roots.places[leaders]).query(roots.places)[1]
    drift = rng.normal(0, 1, (CLUMPS, 3)).astype(np.float32)

    flow = flow / np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-6)
    flow = flow + drift[clump] * 0.22 + rng.normal(0, 0.10, (n, 3))
    along_skin = 0 if name in FREE_STANDING else 1
    heading = flow - (flow * roots.normals).sum(1, keepdims=True) * roots.normals * along_skin
    heading = heading / np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-6) + lift * roots.normals
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)

    length = roots.longest * rng.uniform(0.75, 1.0, n) * (0.45 + 0.55 * roots.inner)
    if name in CUT_AT_THE_SIDES:
        length *= 0.40 + 0.60 * smoothstep(7.35, 8.0, roots.template[:, 1])
    if style.hangs:
        length = length * (0.85 + 0.15 * rng.random(n))
    layer = rng.uniform(0, 1, n)
    phase = rng.uniform(0, 6.28, n) + clump * 1.7
    waves = rng.uniform(0, 0.09) if style.hangs else 0.0
    return _Strands(roots, heading, length, layer, phase, side, clump, drift, waves)


def _grown(
    rng: np.random.Generator, name: str, style: Style, strands: _Strands, person: Identity, body: tuple[Floats, Floats]
) -> Floats:
    """(n, steps, 3) points of strands that keep clear of `body` (places, normals)."""
    n, steps = len(strands.roots), style.steps
    spread = strands.layer * (1 if strands.roots.longest > 0.6 else 0.3)
    margin = (0.012 + 0.05 * spread + (0.06 * strands.layer if style.hangs else 0)).astype(np.float32)
    surface = cKDTree(body[0])
    face_half = _face_half_width(body[0])
    knot = person.centre + np.array([0, 0.55, -1.35], np.float32)
    step = (strands.length / (steps - 1))[:, None]
    heading, place = strands.heading, strands.roots.places.copy()
    points = [place.copy()]
    for k in range(1, steps):
        if name == "bun":
            to_knot = knot - place
            far = np.linalg.norm(to_knot, axis=1, keepdims=True)
            heading = heading * 0.6 + to_knot / np.maximum(far, 0.05) * 0.5
        fall = np.array([0, -style.gravity, 0]) * (0.6 + 0.8 * k / steps)
        wander = strands.drift[(strands.clump * 7 + k * 31) % CLUMPS] * 0.035
        heading = heading + fall + wander + rng.normal(0, 0.02, (n, 3))
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        place = place + heading * step
        if style.hangs or name in ("curly", "sidepart"):
            _clear_the_face(place, person, strands.side, face_half * (1 if style.hangs else 0.6))
        distance, nearest = surface.query(place)
        depth = ((place - body[0][nearest]) * body[1][nearest]).sum(1)
        too_deep = (depth < margin) & (distance < 0.6)
        place = place + np.where(too_deep, margin - depth, 0)[:, None] * body[1][nearest]
        went = place - points[-1]
        heading = went / np.maximum(np.linalg.norm(went, axis=1, keepdims=True), 1e-6)
        points.append(place.copy())
    return np.stack(points, 1)


def _face_half_width(body: Floats) -> float:
    topo = topology()
    mean = topo.skin.surface(topo.template)[0]
    at_eyes = (mean[:, 1] > 7.2) & (mean[:, 1] < 7.4) & (mean[:, 2] > 0.6)
    return float(np.abs(body[: len(mean)][at_eyes][:, 0]).max())


def _clear_the_face(place: Floats, person: Identity, side: Floats, half_width: float) -> None:
    """Push points (n, 3) aside that hang before the face, in place."""
    x, y, z = (place - person.centre).T
    free = half_width * np.clip((0.62 - y) / 0.5, 0, 1)
    before = (z > 0.18) & (np.abs(x) < free)
    away = np.where(np.abs(x) < 0.05, np.sign(side), np.sign(x))
    place[:, 0] = np.where(before, person.centre[0] + away * (np.abs(x) * 0.55 + free * 0.45), place[:, 0])
    place[:, 2] -= np.where(before, 0.05, 0)


def _curled(points: Floats, style: Style, strands: _Strands) -> Floats:
    along = np.linspace(0, 1, style.steps)[None, :]
    length = strands.length[:, None]
    if style.curl:
        turn = strands.phase[:, None] + along * style.curl_turns * length * 2.2
        across = np.cross(strands.roots.normals, [0, 1, 0.1])
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-6
        other = np.cross(strands.roots.normals, across)
        curl = np.cos(turn)[..., None] * across[:, None] + np.sin(turn)[..., None] * other[:, None]
        points = points + curl * style.curl * np.minimum(1, along * 3)[..., None]
    if strands.waves:
        turn = strands.phase[:, None] * 0.15 + along * length * 5
        clump = strands.clump[:, None]
        wave = np.stack([np.cos(turn + clump), 0 * turn, np.sin(turn + clump * 2.0)], -1)
        points = points + wave * strands.waves * np.minimum(1, along * 2)[..., None] * 0.6
    return points


def _ribbons(
    rng: np.random.Generator, points: Floats, style: Style, tint: Floats, strands: _Strands, person: Identity
) -> Hair:
    """Two vertices a point: place, direction, (side, half width, place along, tint), occlusion, head's share,
    density."""
    n, steps = points.shape[:2]
    layer, inner = strands.layer, strands.roots.inner
    along = np.linspace(0, 1, steps)[None, :]
    direction = np.gradient(points, axis=1)
    direction /= np.maximum(np.linalg.norm(direction, axis=2, keepdims=True), 1e-6)
    # A lock narrows towards its end, and is narrow where hair is thin.
    taper = (1 - 0.45 * along**2) * (0.6 + 0.4 * inner[:, None])
    width = style.width * style.lock * rng.uniform(0.7, 1.3, (n, 1)) * taper
    occlusion = (0.42 + 0.58 * layer[:, None]) * (0.55 + 0.45 * np.minimum(1, along * 3))
    below_jaw = person.centre[1] - 1.0 - points[..., 1]
    follows = np.clip(1 - below_jaw / 1.6, 0.15, 1)
    out = np.zeros((n, steps, 2, 13), np.float32)
    out[..., 0:3], out[..., 3:6] = points[:, :, None], direction[:, :, None]
    out[:, :, 0, 6], out[:, :, 1, 6] = -1, 1
    out[..., 7], out[..., 8], out[..., 9] = width[:, :, None], along[:, :, None], tint[:, None, None]
    out[..., 10], out[..., 11] = occlusion[:, :, None], follows[:, :, None]
    out[..., 12] = (0.45 + 0.55 * inner)[:, None, None]
    first = (np.arange(n)[:, None] * steps + np.arange(steps - 1)[None]) * 2
    corners = np.stack([first, first + 1, first + 3, first, first + 3, first + 2], -1)
    return Hair(np.ascontiguousarray(out.reshape(-1, 13)), corners.reshape(-1).astype(np.int32), style.lock)

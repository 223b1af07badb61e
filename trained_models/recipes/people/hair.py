"""Hair: some thousand strands grown from the scalp, then laid out as ribbons for the graphics card.

A strand starts along its style's flow, is pulled by gravity, wanders with its clump, and is pushed out of head and
shoulders step by step.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.spatial import cKDTree

from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.chart import HEIGHT, WIDTH, chart, chart_uv
from trained_models.recipes.people.geometry import smoothstep
from trained_models.recipes.people.hairline import above_hairline
from trained_models.recipes.people.shape import Identity
from trained_models.recipes.people.topology import topology

CLUMPS = 250


@dataclass(frozen=True, slots=True)
class Style:
    """`strands` of about `length` dm in `steps` points, `width` dm wide; `lift` off the skin; `gravity` per step.

    `curl` and `curl_turns`: radius in dm and speed of a curl. `parted`: falls to both sides of a parting.
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


STYLES = {
    "buzz": Style(14000, 0.11, 3, 0.0032, 0.8, 0),
    "short": Style(11000, 0.40, 6, 0.0038, 0.45, 0.10),
    "sidepart": Style(9500, 0.75, 8, 0.0040, 0.28, 0.14),
    "slick": Style(9000, 1.1, 9, 0.0040, 0.18, 0.05),
    "bob": Style(8000, 2.2, 12, 0.0048, 0.10, 0.75, hangs=True),
    "long": Style(8000, 3.7, 14, 0.0052, 0.08, 0.85, hangs=True),
    "curly": Style(7500, 0.85, 13, 0.0042, 0.35, 0.30, 0.075, 9.0),
    "afro": Style(8500, 0.48, 10, 0.0045, 1.6, 0.0, 0.035, 16.0),
    "bun": Style(8500, 1.5, 10, 0.0042, 0.05, 0.0),
    "bald": Style(6000, 0.09, 3, 0.0032, 0.5, 0),
    "fringe": Style(9000, 0.85, 9, 0.0042, 0.32, 0.30),
}
"""`bald` is a low ring of stubble."""


@dataclass(frozen=True, slots=True, eq=False)
class Hair:
    """Ribbons: `vertices` (n, 12) float32 as `hair.vert` reads them, `triangles` (6 an n,) int32."""

    vertices: Floats
    triangles: Ints


@dataclass(slots=True, eq=False)
class _Roots:
    """Where strands begin: `places` and `normals` on this person, `template` on the mean head (n, 3), `inner` (n,)
    0 at the hairline … 1 within."""

    places: Floats
    normals: Floats
    template: Floats
    inner: Floats


def grow(person: Identity, name: str, seed: int, recession: float = 0.0) -> Hair:
    """The hair of one person in one of the `STYLES`."""
    rng = np.random.default_rng(seed)
    style = STYLES[name]
    topo = topology()
    neutral = person.pose().vertices
    skin = topo.skin.surface(neutral)
    shirt = topo.shirt.surface(neutral)
    roots, longest = _plant(rng, name, style, skin, recession)
    n = len(roots.places)
    parting = rng.uniform(-0.35, 0.35) if name in ("sidepart", "bob", "long") else 0.0
    side = np.tanh((roots.template[:, 0] - parting) * 6)
    flow = _flow(rng, name, roots, side)
    lift = style.lift * rng.uniform(0.8, 1.3)
    # The prototype's stream of chance holds 1,200 numbers here that nothing uses; people keep their looks by them.
    rng.normal(0, 1, (400, 3))
    leaders = rng.choice(n, CLUMPS, replace=False)
    _, clump = cKDTree(roots.places[leaders]).query(roots.places)
    drift = rng.normal(0, 1, (CLUMPS, 3)).astype(np.float32)

    flow = flow / np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-6)
    flow = flow + drift[clump] * 0.22 + rng.normal(0, 0.10, (n, 3))
    rises = name in ("afro", "curly")
    heading = flow - (flow * roots.normals).sum(1, keepdims=True) * roots.normals * (0 if rises else 1)
    heading = heading / np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-6) + lift * roots.normals
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)

    length = longest * rng.uniform(0.75, 1.0, n) * (0.45 + 0.55 * roots.inner)
    if name in ("short", "sidepart", "slick", "fringe"):  # the sides are cut shorter
        length *= 0.40 + 0.60 * smoothstep(7.35, 8.0, roots.template[:, 1])
    if style.hangs:
        length = length * (0.85 + 0.15 * rng.random(n))

    layer = rng.uniform(0, 1, n)
    spread = layer * (1 if longest > 0.6 else 0.3)
    margin = (0.012 + 0.05 * spread + (0.06 * layer if style.hangs else 0)).astype(np.float32)
    phase = rng.uniform(0, 6.28, n) + clump * 1.7
    waves = rng.uniform(0, 0.09) if style.hangs else 0.0

    body, outward = np.concatenate([skin[0], shirt[0]]), np.concatenate([skin[1], shirt[1]])
    surface = cKDTree(body)
    brow_line = (topo.skin.surface(topo.template)[0][:, 1:] * 1.0)
    temples = (brow_line[:, 0] > 7.2) & (brow_line[:, 0] < 7.4) & (brow_line[:, 1] > 0.6)
    face_half = np.abs(skin[0][temples][:, 0]).max()
    knot = person.centre + np.array([0, 0.55, -1.35], np.float32)
    step = (length / (style.steps - 1))[:, None]
    place = roots.places.copy()
    strand = [place.copy()]
    for k in range(1, style.steps):
        if name == "bun":
            to_knot = knot - place
            far = np.linalg.norm(to_knot, axis=1, keepdims=True)
            heading = heading * 0.6 + to_knot / np.maximum(far, 0.05) * 0.5
        fall = np.array([0, -style.gravity, 0]) * 1.0 * (0.6 + 0.8 * k / style.steps)
        heading = heading + fall + drift[(clump * 7 + k * 31) % CLUMPS] * 0.035 + rng.normal(0, 0.02, (n, 3))
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        place = place + heading * step
        if style.hangs or name in ("curly", "sidepart"):
            _clear_face(place, person, side, face_half, 1 if style.hangs else 0.6)
        distance, index = surface.query(place)
        depth = ((place - body[index]) * outward[index]).sum(1)
        inside = (depth < margin) & (distance < 0.6)
        place = place + np.where(inside, margin - depth, 0)[:, None] * outward[index]
        went = place - strand[-1]
        heading = went / np.maximum(np.linalg.norm(went, axis=1, keepdims=True), 1e-6)
        strand.append(place.copy())
    points = np.stack(strand, 1)
    points = _curled(points, style, roots.normals, phase, length, waves, clump)
    tint = np.clip(rng.uniform(0, 1, n) * 0.6 + 0.4 * (drift[clump, 0] * 0.3 + 0.5), 0, 1)
    return _ribbons(rng, points, style.width, tint, layer, person)


def _plant(
    rng: np.random.Generator, name: str, style: Style, skin: tuple[Floats, Floats], recession: float
) -> tuple[_Roots, float]:
    """Roots spread evenly over the scalp, and the longest strand's length."""
    topo = topology()
    mesh, mean = topo.skin, topo.skin.surface(topo.template)[0]
    places, normals = skin
    triangles = np.concatenate([mesh.quads[:, [0, 1, 2]], mesh.quads[:, [0, 2, 3]]])
    middle = mean[triangles].mean(1)
    uv = chart_uv(mesh.uv)
    inside = ((uv >= 0) & (uv < 1)).all(1)
    ears = np.zeros(len(mesh), np.float32)
    near_ear = cv2.GaussianBlur(chart().ears, (0, 0), 4)
    ears[mesh.corner_vertex[inside]] = near_ear[
        (uv[inside, 1] * HEIGHT).astype(int), (uv[inside, 0] * WIDTH).astype(int)
    ]
    edge = above_hairline(middle, recession)
    scalp = (edge + rng.normal(0, 0.035, len(middle)) > -0.01) & (middle[:, 1] > 6.5)
    scalp &= ears[triangles].max(1) <= 0.25
    scalp &= ~((middle[:, 1] < 7.02) & (middle[:, 2] > 0.35)) & (middle[:, 2] < 1.45)
    if name == "bald":
        scalp &= (edge < 0.45) & (middle[:, 1] < 7.75)
    triangles = triangles[scalp]
    a, b, c = places[triangles[:, 0]], places[triangles[:, 1]], places[triangles[:, 2]]
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    longest = style.length * rng.uniform(0.8, 1.25)
    chosen = triangles[rng.choice(len(triangles), style.strands, p=area / area.sum())]
    share = rng.dirichlet([1, 1, 1], style.strands).astype(np.float32)[..., None]
    root, normal = (places[chosen] * share).sum(1), (normals[chosen] * share).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    at = (mean[chosen] * share).sum(1)
    edge = above_hairline(at)
    inner = smoothstep(-0.03, 0.20, edge)
    chance = 0.25 + 0.75 * smoothstep(-0.06, 0.07, above_hairline(at, recession) + rng_edge(rng, len(at)))
    kept = rng.random(len(at)) < chance
    return _Roots(root[kept], normal[kept], at[kept], inner[kept]), longest

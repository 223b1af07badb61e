"""Where hair grows, and the ways it can be cut."""

from dataclasses import dataclass

import cv2
import numpy as np

from trained_models.recipes.people.assets import Floats
from trained_models.recipes.people.chart import HEIGHT, WIDTH, chart, chart_uv
from trained_models.recipes.people.geometry import smoothstep
from trained_models.recipes.people.hairline import above_hairline
from trained_models.recipes.people.topology import topology
from trained_models.recipes.people.worn import above_hat


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
    """Where n strands begin: `places` and `normals` on this person, `template` on the mean head, all (n, 3).

    `inner` (n,): 0 at the hairline, 1 well within. `longest`: the longest strand's length.
    """

    places: Floats
    normals: Floats
    template: Floats
    inner: Floats
    longest: float

    def __len__(self) -> int:
        return len(self.places)


def plant(rng: np.random.Generator, name: str, skin: tuple[Floats, Floats], recession: float, under_hat: bool) -> Roots:
    """Spread a style's roots evenly over the scalp of `skin` (places and normals), thinner at the edge;
    `under_hat`: only below one."""
    style, topo = STYLES[name], topology()
    mesh, mean = topo.skin, topo.skin.surface(topo.template)[0]
    places, normals = skin
    triangles = np.concatenate([mesh.quads[:, [0, 1, 2]], mesh.quads[:, [0, 2, 3]]])
    middle = mean[triangles].mean(1)
    uv = chart_uv(mesh.uv)
    inside = ((uv >= 0) & (uv < 1)).all(1)
    texel = (uv[inside, 1] * HEIGHT).astype(int), (uv[inside, 0] * WIDTH).astype(int)
    ears = np.zeros(len(mesh), np.float32)
    ears[mesh.corner_vertex[inside]] = cv2.GaussianBlur(chart().ears, (0, 0), 4)[texel]

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

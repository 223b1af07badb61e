"""Two rows of teeth with gums, built on the mean person and carried along by the model's own teeth strips."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from realtime.frame import Doubles, Pixels
from trained_models.recipes.people.assets import BODY_VERTICES, Floats, Ints
from trained_models.recipes.people.chart import Chart, chart
from trained_models.recipes.people.geometry import smoothstep
from trained_models.recipes.people.mesh import triangulated
from trained_models.recipes.people.paint import noise
from trained_models.recipes.people.topology import topology

# From the middle outwards, in dm.
UPPER_WIDTHS = (0.086, 0.066, 0.078, 0.07, 0.068, 0.10)
LOWER_WIDTHS = (0.054, 0.06, 0.068, 0.07, 0.07, 0.11)
UPPER_HEIGHTS = (0.215, 0.19, 0.205, 0.165, 0.15, 0.14)
LOWER_HEIGHTS = (0.17, 0.175, 0.195, 0.17, 0.15, 0.14)
UPPER_EDGES = (0, 0.008, 0.002, 0.008, 0.012, 0.016)
LOWER_EDGES = (0, 0, -0.006, 0.005, 0.01, 0.01)
ACROSS = UP = 9  # grid of one tooth


@dataclass(frozen=True, slots=True, eq=False)
class TeethRow:
    """`places`, `normals` (n, 3) on the mean person; `gum` and `openness` (n,) 0..1; `triangles` (t, 3)."""

    places: Floats
    normals: Floats
    gum: Floats
    openness: Floats
    triangles: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Arch:
    length: Doubles
    x: Doubles
    z: Doubles

    @classmethod
    def of(cls, half_width: float, front: float, back: float) -> "_Arch":
        t = np.linspace(0, np.radians(88), 400)
        x, z = half_width * np.sin(t), back + (front - back) * np.cos(t) ** 0.85
        return cls(np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(z)))], x, z)


def teeth_rows(seed: int) -> tuple[TeethRow, TeethRow]:
    rng = np.random.default_rng(seed)
    return _row(rng, upper=True), _row(rng, upper=False)


def _row(rng: np.random.Generator, upper: bool) -> TeethRow:
    arch = _Arch.of(0.275, 1.425, 0.90) if upper else _Arch.of(0.260, 1.385, 0.87)
    widths = UPPER_WIDTHS if upper else LOWER_WIDTHS
    grid = np.arange(ACROSS - 1)[:, None] * UP + np.arange(UP - 1)[None]
    cells = np.stack([grid, grid + UP, grid + UP + 1, grid, grid + UP + 1, grid + 1], -1).reshape(-1, 3)
    teeth = []
    for side in (1, -1):
        start = 0.0
        for number, width in enumerate(widths):
            teeth.append(_tooth(rng, arch, number, start + width / 2, width, side, upper))
            start += width
    places, normals, gum, openness = (np.concatenate(parts).astype(np.float32) for parts in zip(*teeth, strict=True))
    triangles = np.concatenate([cells + k * ACROSS * UP for k in range(len(teeth))])
    return TeethRow(places, normals, gum, openness, triangles)


def _tooth(
    rng: np.random.Generator, arch: _Arch, number: int, middle: float, width: float, side: int, upper: bool
) -> tuple[Floats, Floats, Floats, Floats]:
    """Places, normals, gum and openness of one tooth's grid; u across -1..1, v from the edge into the gum."""
    u, v = np.meshgrid(np.linspace(-1, 1, ACROSS), np.linspace(-0.12, 1.25, UP), indexing="ij")
    at = np.clip(middle + u * width / 2 * 0.985, 0, arch.length[-1])
    x, z = np.interp(at, arch.length, arch.x), np.interp(at, arch.length, arch.z)
    dx = np.interp(at + 0.004, arch.length, arch.x) - np.interp(at - 0.004, arch.length, arch.x)
    dz = np.interp(at + 0.004, arch.length, arch.z) - np.interp(at - 0.004, arch.length, arch.z)
    speed = np.hypot(dx, dz) + 1e-9
    nx, nz = np.abs(-dz / speed), np.abs(dx / speed)

    bulge = 0.020 * (1 - np.abs(u) ** 4) * (0.55 + 0.45 * np.sin(np.pi * np.clip(v * 0.9 + 0.1, 0, 1)))
    bulge = np.where(v < 0, bulge - 0.035 * (-v / 0.12), bulge)
    gum = smoothstep(-0.05, 0.05, v - (0.86 - 0.20 * u**2))
    bulge = bulge * (1 - gum) + gum * (0.022 + 0.006 * (1 - u**2))

    height = (UPPER_HEIGHTS if upper else LOWER_HEIGHTS)[number]
    uneven = rng.normal(0, 0.003)
    corner = 0.012 * np.abs(u) ** 5 + 0.003 * (u > 0) * np.abs(u) ** 2
    corner = corner + (0.006 if number == 2 else 0) * np.abs(u) ** 1.3
    rise = np.maximum(v, 0) * height + corner * (1 - np.clip(v * 3, 0, 1))
    y = 6.582 + (UPPER_EDGES[number] + rise + uneven) if upper else 6.595 - LOWER_EDGES[number] - rise + uneven
    deep = z + nz * bulge + rng.normal(0, 0.003)
    places = np.stack([(x + nx * bulge) * side, y, deep], -1).reshape(-1, 3)

    rounding = 0.5 * np.sign(u) * np.abs(u) ** 3
    normals = np.stack([(nx + rounding * (dx / speed)) * side, 0 * v, nz + rounding * (dz / speed)], -1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    openness = (1 - 0.38 * np.abs(u) ** 14) * (0.80 + 0.2 * np.clip(1 - number / 5, 0, 1)) * (1 - 0.12 * number)
    return places, normals, gum.ravel(), openness.ravel()


SEAM = 16  # columns over which the iris texture is joined to itself
LASH_SIZE = (128, 768)


def eye_texture(seed: int) -> Floats:
    """(64, 512, 2) 0..1 over radius and angle: iris fibres, and veins of the white."""
    rng = np.random.default_rng(seed)
    height, width = 64, 512
    streaks = noise(rng, (height, width // 6), 3, 2)
    rays = cv2.resize(noise(rng, (8, width), 3, 3, 0.7), (width, height), interpolation=cv2.INTER_CUBIC)
    fibres = rays * 0.7 + cv2.resize(streaks, (width, height)) * 0.3
    for column in range(SEAM):
        share = column / SEAM
        fibres[:, column] = fibres[:, column] * share + fibres[:, -1] * (1 - share)
    veins: Any = np.clip(noise(rng, (height, width), 14, 3, 0.8), 0, 2) * 0.35
    veins = veins + (np.abs(noise(rng, (height, width), 20, 2)) < 0.07) * 0.6
    veins = cv2.GaussianBlur(veins.astype(np.float32), (0, 0), 0.8)
    return np.stack([np.clip(0.5 + 0.22 * fibres, 0, 1), np.clip(veins, 0, 1)], -1).astype(np.float32)


def lash_meshes() -> list[tuple[Ints, Floats, Ints]]:
    """For each eye: template vertices (n,), texture coordinates (n, 2), triangles (t, 3). u runs along the lid, v from
    the root; the upper lid has the texture's lower half."""
    topo = topology()
    skin = cKDTree(topo.template[np.arange(BODY_VERTICES)])
    out = []
    for quads in topo.lashes:
        used, local = np.unique(quads, return_inverse=True)
        local = local.reshape(quads.shape)
        place = topo.template[used]
        from_lid, _ = skin.query(place)
        edges = np.concatenate([local[:, [k, (k + 1) % 4]] for k in range(4)])
        graph = sp.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(used),) * 2)
        strips, strip_of = sp.csgraph.connected_components(graph)
        uv = np.zeros((len(used), 2))
        for strip in range(strips):
            own = strip_of == strip
            x = np.abs(place[own, 0])
            upper = place[own, 1].mean() > 7.28
            v = np.clip(from_lid[own] / max(from_lid[own].max(), 1e-6), 0, 1)
            uv[own] = np.c_[(x - x.min()) / (x.max() - x.min()), v * 0.48 + 0.01 if upper else 0.51 + v * 0.48]
        out.append((used, uv.astype(np.float32), triangulated(local)))
    return out


def lash_texture(seed: int, count: int = 55, width: float = 1.0) -> Pixels:
    """(128, 768) uint8: upper lashes in the first half of the rows, lower ones in the second."""
    rng = np.random.default_rng(seed)
    rows, columns = LASH_SIZE
    out = np.zeros(LASH_SIZE, np.uint8)
    for half, (lashes, length) in enumerate(((count, 1.0), (int(count * 0.5), 0.6))):
        for _ in range(lashes):
            u = rng.uniform(0.03, 0.99)
            reach = length * rng.uniform(0.6, 1) * (0.55 + 0.45 * np.sin(np.clip(u * 1.05, 0, 1) * np.pi * 0.75))
            lean = (u - 0.4) * 0.10 + rng.normal(0, 0.012)
            t = np.linspace(0, 1, 9)
            points = np.stack([(u + lean * t**1.5) * columns, (half * 0.5 + 0.005 + t * reach * 0.485) * rows], 1)
            fixed = (points * 16).astype(int)
            for k in range(8):
                shade, thick = int(255 * (1 - 0.4 * k / 8)), max(1, round((4 - 3.2 * k / 8) * width))
                cv2.line(out, tuple(fixed[k]), tuple(fixed[k + 1]), shade, thick, cv2.LINE_AA, 4)
    for half, shade in enumerate((150, 40)):
        root = int(half * rows / 2)
        out[root : root + 6] = np.maximum(out[root : root + 6], shade)
    return out


REST_HEIGHT = 7.432  # painted 3 mm higher, MediaPipe reads raised brows at rest


@dataclass(frozen=True, slots=True)
class Brow:
    """`thickness`, `density`, `arch` about 1; `height` an offset in dm; `opacity`, `darkness` 0..1."""

    thickness: float
    density: float
    arch: float
    height: float
    opacity: float
    darkness: float


def _strokes(on: Chart, ends: tuple[Floats, Floats, Floats], strength: Floats) -> Floats:
    """(h, w) cover of quadratic strokes; `ends` are start, control and end points (n, 2) on the face's front."""
    points = on.texels(np.concatenate(ends))
    n = len(ends[0])
    start, control, end = points[:n], points[n : 2 * n], points[2 * n :]
    t = np.linspace(0, 1, 6)[:, None, None]
    curves = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t * t * end
    # Four fractional bits, for smooth lines.
    fixed = np.ascontiguousarray(np.round(curves.transpose(1, 0, 2) * 16).astype(np.int32))
    out = np.zeros(on.shape, np.uint8)
    for curve, value in zip(fixed, strength, strict=True):
        cv2.polylines(out, [np.ascontiguousarray(curve)], False, int(value * 255), 1, cv2.LINE_AA, 4)
    return out.astype(np.float32) / 255


def brow_cover(rng: np.random.Generator, brow: Brow) -> Any:
    """(h, w) how much brow covers each texel of the chart, 0..1."""
    on = chart()
    cover = np.zeros(on.shape, np.float32)
    height = REST_HEIGHT + brow.height
    for _ in range(3):
        n = int(230 * brow.density)
        along = rng.uniform(0, 1, n) ** 0.9  # 0 at the nose, 1 at the temple
        side = rng.choice([-1, 1], n)
        x = 0.115 + 0.475 * along
        rise = brow.arch * 0.065 * np.sin(np.clip(along / 0.66, 0, 1) * np.pi / 2)
        y = height + 0.012 + rise - 0.095 * np.clip((along - 0.60) / 0.40, 0, 1) ** 1.4
        half = brow.thickness * (0.038 * (1 - along**3 * 0.85) * np.minimum(1, 0.55 + along * 3))
        off = rng.uniform(-1, 1, n) * half
        degrees = 75 - 65 * np.clip(along * 1.3, 0, 1) - 20 * np.clip((along - 0.6) / 0.4, 0, 1)
        angle = np.radians(degrees + rng.normal(0, 10, n)) - np.sign(off) * np.radians(14) * along
        length = rng.uniform(0.045, 0.075, n) * (1 - 0.3 * along)
        start = np.c_[x, y + off]
        control = start + np.c_[np.cos(angle), np.sin(angle)] * length[:, None] * 0.5
        end = control + np.c_[np.cos(angle - 0.5), np.sin(angle - 0.5)] * length[:, None] * 0.5
        for points in (start, control, end):
            points[:, 0] *= side
        # Sparse where the brow begins, or it would look cut out.
        drawn = _strokes(
            on, (start, control, end), rng.uniform(0.3, 0.85, n) * (0.35 + 0.65 * np.minimum(1, along * 4))
        )
        cover = np.maximum(cover * 0.98, drawn * 0.9 + cover * 0.4)
    soft = cv2.GaussianBlur(cover, (0, 0), 6) * 0.75
    return np.clip(np.clip(cover, 0, 1) + soft, 0, 0.96) * brow.opacity

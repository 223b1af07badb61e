"""Two rows of teeth with gums, built on the mean person and carried along by the model's own teeth strips."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.geometry import smoothstep

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
    """The curve that teeth stand on, by arc length."""

    length: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]

    @classmethod
    def of(cls, half_width: float, front: float, back: float) -> "_Arch":
        t = np.linspace(0, np.radians(88), 400)
        x, z = half_width * np.sin(t), back + (front - back) * np.cos(t) ** 0.85
        return cls(np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(z)))], x, z)


def teeth_rows(seed: int) -> tuple[TeethRow, TeethRow]:
    """Upper and lower row, a little irregular."""
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

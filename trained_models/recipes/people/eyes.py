"""Irises, veins and lashes."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.spatial import cKDTree

from trained_models.recipes.people.assets import BODY_VERTICES, Floats, Ints
from trained_models.recipes.people.mesh import triangulated
from trained_models.recipes.people.paint import noise
from trained_models.recipes.people.topology import topology

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
    """For each eye: template vertices (n,), texture coordinates (n, 2), triangles (t, 3).

    u runs along the lid, v from the root; the upper lid has the texture's lower half.
    """
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


def lash_texture(seed: int, count: int = 55, width: float = 1.0) -> npt.NDArray[np.uint8]:
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

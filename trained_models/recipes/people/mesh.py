"""Quad meshes made smooth: one Catmull–Clark level as a sparse matrix, so that posing stays one product."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from trained_models.recipes.people.assets import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A part of the template, subdivided once; n vertices, c corners (vertices split along texture seams).

    `subdivide` sparse (n, 19158); `quads` (q, 4) over vertices; `triangles` (t, 3) over vertices;
    `corner_vertex` (c,) each corner's vertex; `uv` (c, 2); `corner_triangles` (t, 3) over corners.
    """

    subdivide: Any
    quads: Ints
    triangles: Ints
    corner_vertex: Ints
    uv: Floats
    corner_triangles: Ints
    gather: Any

    def __len__(self) -> int:
        return int(self.subdivide.shape[0])

    def surface(self, vertices: Any) -> tuple[Floats, Floats]:
        """Positions and unit normals, both (n, 3), from the unsubdivided (19158, 3)."""
        points = (self.subdivide @ vertices).astype(np.float32)
        return points, self.normals(points)

    def normals(self, points: Floats) -> Floats:
        """(n, 3) unit normals, each the area-weighted mean of the triangles around."""
        first = points[self.triangles[:, 0]]
        face = np.cross(points[self.triangles[:, 1]] - first, points[self.triangles[:, 2]] - first)
        summed = self.gather @ face
        length = np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)
        return np.asarray(summed / length, np.float32)

    def neighbour_mean(self) -> Any:
        """Sparse (n, n): each vertex becomes the mean of itself and its neighbours."""
        n = len(self)
        edges = np.concatenate([self.quads[:, [k, (k + 1) % 4]] for k in range(4)])
        rows, columns = np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]]
        near = sp.csr_matrix((np.ones(len(edges) * 2), (rows, columns)), shape=(n, n))
        near.data[:] = 1
        near = near + sp.identity(n)
        return (sp.diags(1 / np.asarray(near.sum(1)).ravel()) @ near).tocsr().astype(np.float32)


def triangulated(quads: Ints) -> Ints:
    """(2q, 3): each quad cut along its first diagonal."""
    return quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def subdivided(vertex_count: int, quads: Ints, uv_table: Floats, uv_quads: Ints) -> Mesh:
    """The mesh of some quads of the template; unused vertices fall away."""
    matrix, fine = catmull_clark(vertex_count, quads)
    uv = uv_table[uv_quads]
    middle = uv.mean(1)
    corners = [
        np.stack([uv[:, k], (uv[:, k] + uv[:, (k + 1) % 4]) / 2, middle, (uv[:, k] + uv[:, (k - 1) % 4]) / 2], 1)
        for k in range(4)
    ]
    fine_uv = np.stack(corners, 1).reshape(-1, 4, 2)
    used, renumbered = np.unique(fine, return_inverse=True)
    fine = renumbered.reshape(fine.shape)
    key = np.c_[fine.reshape(-1), np.round(fine_uv.reshape(-1, 2) * 1e5).astype(np.int64)]
    unique, index, corner = np.unique(key, axis=0, return_index=True, return_inverse=True)
    triangles = triangulated(fine)
    belongs = (np.ones(triangles.size), (triangles.reshape(-1), np.repeat(np.arange(len(triangles)), 3)))
    return Mesh(
        matrix[used],
        fine,
        triangles,
        unique[:, 0].astype(np.int64),
        fine_uv.reshape(-1, 2)[index].astype(np.float32),
        triangulated(corner.reshape(-1, 4)).astype(np.int32),
        sp.csr_matrix(belongs, shape=(len(used), len(triangles))).astype(np.float32),
    )


def catmull_clark(vertex_count: int, quads: Ints) -> tuple[Any, Ints]:
    """One level (Catmull and Clark 1978): the sparse matrix old → new vertices, and the four times as many quads. New
    vertices: the old ones, then edge points, then face points. Open borders follow the usual 1/8, 6/8, 1/8."""
    count = len(quads)
    directed = np.sort(np.stack([quads, np.roll(quads, -1, 1)], -1).reshape(-1, 2), 1)
    keys, edge_of, uses = np.unique(
        directed[:, 0].astype(np.int64) * vertex_count + directed[:, 1], return_inverse=True, return_counts=True
    )
    edge_of = edge_of.reshape(-1)
    edges = np.stack([keys // vertex_count, keys % vertex_count], 1)
    edge_count, border = len(keys), uses != 2
    face_of = np.repeat(np.arange(count), 4)

    def sparse(values: Any, rows: Ints, columns: Ints, height: int, width: int) -> Any:
        return sp.csr_matrix((values, (rows, columns)), shape=(height, width))

    face_points = sparse(np.full(count * 4, 0.25), face_of, quads.reshape(-1), count, vertex_count)
    edge_faces = sparse(np.ones(count * 4), edge_of, face_of, edge_count, count)
    edge_ends = sparse(
        np.ones(edge_count * 2), np.repeat(np.arange(edge_count), 2), edges.ravel(), edge_count, vertex_count
    )
    edge_points = sp.diags(np.where(border, 0.5, 0.25)) @ edge_ends + sp.diags(np.where(border, 0, 0.25)) @ (
        edge_faces @ face_points
    )

    vertex_faces = sparse(np.ones(count * 4), quads.reshape(-1), face_of, vertex_count, count)
    vertex_edges = edge_ends.T.tocsr()
    faces_around = np.asarray(vertex_faces.sum(1)).ravel()
    edges_around = np.asarray(vertex_edges.sum(1)).ravel()
    used, valence = faces_around > 0, np.maximum(faces_around, 1)
    on_border = np.zeros(vertex_count, bool)
    on_border[edges[border].ravel()] = True
    inside = used & ~on_border
    face_mean = sp.diags(1 / valence) @ (vertex_faces @ face_points)
    edge_mean = sp.diags(1 / np.maximum(edges_around, 1)) @ (vertex_edges @ (0.5 * edge_ends))
    unchanged = sp.identity(vertex_count, format="csr")
    vertex_points = (
        sp.diags(np.where(inside, 1 / valence, 0)) @ face_mean
        + sp.diags(np.where(inside, 2 / valence, 0)) @ edge_mean
        + sp.diags(np.where(inside, (valence - 3) / valence, 0)) @ unchanged
    )
    # The sum over border edges holds the vertex itself twice: 2/8 from there and 4/8 here make the 6/8.
    along_border = vertex_edges @ (sp.diags(border.astype(float)) @ edge_ends)
    open_weight = np.where(used & on_border, 1.0, 0.0)
    vertex_points = (
        vertex_points + sp.diags(open_weight * 0.125) @ along_border + sp.diags(open_weight * 0.5) @ unchanged
    )
    vertex_points = vertex_points + sp.diags((~used).astype(float)) @ unchanged

    matrix = sp.vstack([vertex_points, edge_points, face_points]).tocsr().astype(np.float32)
    of_quad = edge_of.reshape(count, 4)
    face_index = vertex_count + edge_count + np.arange(count)
    fine = np.stack(
        [
            np.stack([quads[:, k], vertex_count + of_quad[:, k], face_index, vertex_count + of_quad[:, (k - 1) % 4]], 1)
            for k in range(4)
        ],
        1,
    )
    return matrix, fine.reshape(-1, 4)

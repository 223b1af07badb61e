"""Meshes over pictures that bend along chains of joints.

Layers bend by skinning: a vertex follows its bone, and near a joint two bones share it. A flat picture is one mesh,
where a vertex belongs to the limbs that are near on a way inside the figure, and is evened out as rigidly as possible
(Sorkine and Alexa 2007, here in complex numbers).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.sparse.linalg import splu

from realtime.frame import Doubles, Floats, Ints

MARGIN_PX = 6  # transparent pixels around a picture, so that edges are soft
MOST_TRIANGLES = 254  # of one drawn run: a triangle's number fits a byte, and 0 is none
LAYER_CELL_PX, FLAT_CELL_PX = 22.0, 11.0  # of the mesh's grid, in pixels of the output
GRID_STEP = 3  # ways inside a flat figure are measured at a third of its size
BEND_SHARE = 0.38  # of the shorter bone on both sides of a joint: there two bones share
BAND = 1.5  # times the half thickness at a joint: so far two limbs of a flat picture share
GAP = 2.5  # times the edge's length: ends that are further apart inside the figure are on two sides of a gap
CRUMB = 0.02  # of all triangles: smaller pieces are left out
HANDLE_PX = 8.0  # of a bone: vertices so near are drawn to where the bones carry them
HANDLE_WEIGHT = 4.0
RIGID_ROUNDS = 2
FARTHEST_PX = 1e6  # from the picture: joints may be anywhere

Picture = npt.NDArray[np.uint8]
"""(H, W, 4) uint8 BGRA, colours multiplied by alpha."""


def turn(angle: float) -> Doubles:
    """(2, 2): the rotation by an angle, clockwise as seen."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def direction(vector: Doubles) -> float:
    """A vector's angle in the picture."""
    return float(np.arctan2(vector[1], vector[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Triangles of a regular grid over a picture's opaque part. `points` (N, 2) in its pixels, `triangles` (M, 3)."""

    points: Doubles
    triangles: Ints


def grid_over(alpha: npt.NDArray[np.uint8], cell: float, most: int | None = None) -> Grid:
    """The grid over where `alpha` (H, W) is not 0, in cells of `cell` pixels, larger ones for at `most` triangles."""
    height, width = alpha.shape
    kernel = np.ones((MARGIN_PX + 3,) * 2, np.uint8)
    grown = np.asarray(cv2.dilate((alpha > 0).astype(np.uint8), kernel), np.uint8)
    while True:
        across, down = max(int(np.ceil(width / cell)), 2), max(int(np.ceil(height / cell)), 2)
        xs, ys = np.linspace(0, width, across + 1), np.linspace(0, height, down + 1)
        filled = _any_in_cells(grown, xs, ys)
        rows, columns = np.nonzero(filled)
        if most is None or 2 * len(rows) <= most or across * down <= 4:
            break
        cell *= 1.12
    corner = rows * (across + 1) + columns
    a, b, c, d = corner, corner + 1, corner + across + 2, corner + across + 1
    even = ((rows + columns) % 2 == 0)[:, None]
    first = np.where(even, np.stack([a, b, d], 1), np.stack([a, b, c], 1))
    second = np.where(even, np.stack([b, c, d], 1), np.stack([a, c, d], 1))
    triangles = np.stack([first, second], 1).reshape(-1, 3)
    used, numbered = np.unique(triangles, return_inverse=True)
    points = np.stack([xs[used % (across + 1)], ys[used // (across + 1)]], 1)
    return Grid(points, numbered.reshape(-1, 3))


def _any_in_cells(mask: npt.NDArray[np.uint8], xs: Doubles, ys: Doubles) -> npt.NDArray[np.bool_]:
    """Whether anything of the mask is in each cell (down, across)."""
    total = cv2.integral(mask)
    x0, x1 = np.floor(xs[:-1]).astype(int), np.ceil(xs[1:]).astype(int)
    y0, y1 = np.floor(ys[:-1]).astype(int), np.ceil(ys[1:]).astype(int)
    sums = total[y1][:, x1] - total[y0][:, x1] - total[y1][:, x0] + total[y0][:, x0]
    return np.asarray(sums > 0)


def no_crumbs(grid: Grid) -> npt.NDArray[np.bool_]:
    """(M,): False for triangles of pieces that hang together with hardly any others: they would fly about alone."""
    sides = np.concatenate([grid.triangles[:, pair] for pair in ([0, 1], [1, 2])])
    count = len(grid.points)
    joined = coo_matrix((np.ones(len(sides)), (sides[:, 0], sides[:, 1])), (count, count))
    piece = connected_components(joined, directed=False)[1][grid.triangles[:, 0]]
    return np.asarray(np.bincount(piece)[piece] >= CRUMB * len(piece))


def along_chain(points: Doubles, chain: Doubles, *, stiff: bool = False) -> Doubles:
    """(N, bones): how much each point follows each bone of a chain (K, 2); rows add up to 1.

    The nearer bone counts; near a joint two share by how far a point is past the joint's bisector. `stiff`: they share
    a pixel only.
    """
    bones = len(chain) - 1
    weights = np.zeros((len(points), bones))
    left = np.ones(len(points))
    for k in range(1, bones):
        before, after = chain[k] - chain[k - 1], chain[k + 1] - chain[k]
        lengths = float(np.linalg.norm(before)) + 1e-9, float(np.linalg.norm(after)) + 1e-9
        bisector = before / lengths[0] + after / lengths[1]
        bisector = bisector / (np.linalg.norm(bisector) + 1e-9)
        reach = 1.0 if stiff else max(BEND_SHARE * min(lengths), 1.0)
        past = np.clip(((points - chain[k]) @ bisector) / (2 * reach) + 0.5, 0, 1)
        past = past * past * (3 - 2 * past)
        weights[:, k - 1] = left * (1 - past)
        left = left * past
    weights[:, bones - 1] = left
    return weights


def bone_maps(chain: Doubles, posed: Doubles) -> list[tuple[Doubles, Doubles]]:
    """A matrix (2, 2) and a shift (2,) for each bone: from where the chain is drawn to where it is posed."""
    maps = []
    for k in range(len(chain) - 1):
        drawn, now = chain[k + 1] - chain[k], posed[k + 1] - posed[k]
        share = float(np.linalg.norm(now) / (np.linalg.norm(drawn) + 1e-9))
        matrix = turn(direction(now)) @ np.diag([share, 1.0]) @ turn(-direction(drawn))
        maps.append((matrix, posed[k] - matrix @ chain[k]))
    return maps


def skinned(points: Doubles, weights: Doubles, maps: Sequence[tuple[Doubles, Doubles]]) -> Doubles:
    """Each point moved by its bones' maps, weighed; (N, 2)."""
    moved = np.zeros_like(points)
    for k, (matrix, shift) in enumerate(maps):
        moved += weights[:, k : k + 1] * (points @ matrix.T + shift)
    return moved


def trunk(points: Doubles, hips: Doubles, neck: Doubles, posed: tuple[Doubles, Doubles], width: float) -> Doubles:
    """Points of a trunk from `hips` to `neck`, posed: the hips stay level, the chest leans, turned it is narrower."""
    up = neck - hips
    along = np.clip(((points - hips) @ up) / max(float(up @ up), 1e-9), 0, 1.15)
    along = along * along * (3 - 2 * np.minimum(along, 1))
    angle = (direction(posed[1] - posed[0]) - direction(up)) * (0.25 + 0.75 * along)
    away = (points - hips) * (0.5 + 0.5 * min(width, 1.0), 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(
        posed[0] + np.stack([cos * away[:, 0] - sin * away[:, 1], sin * away[:, 0] + cos * away[:, 1]], 1)
    )


def distance_to_bone(points: Doubles, start: Doubles, end: Doubles) -> Doubles:
    """(N,) pixels from a line between two points."""
    way = end - start
    share = np.clip(((points - start) @ way) / (float(way @ way) + 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(points - start - share[:, None] * way, axis=1))


class Rigid:
    """Evens a mesh out, as rigidly as possible, while its handles are drawn to where they are wanted.

    Rotations in closed form, and one matrix that is factorised once.
    """

    def __init__(self, grid: Grid, handles: Ints) -> None:
        count = len(grid.points)
        rest = _complex(grid.points)
        sides = np.concatenate([grid.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
        edges = np.unique(np.sort(sides, axis=1), axis=0)
        self._from = np.concatenate([edges[:, 0], edges[:, 1]])
        self._to = np.concatenate([edges[:, 1], edges[:, 0]])
        self._edges = rest[self._to] - rest[self._from]
        ones = np.ones(len(self._from))
        self._gather = csr_matrix((ones, (self._from, np.arange(len(self._from)))), (count, len(self._from)))
        degree = np.bincount(self._from, minlength=count)
        self._pull = np.zeros(count)
        self._pull[handles] = HANDLE_WEIGHT
        self._pull[degree == 0] = 1.0  # a vertex without a triangle would make the matrix singular
        if not self._pull.any():
            self._pull[0] = 1.0
        laplace = diags(degree + self._pull) - csr_matrix((ones, (self._from, self._to)), (count, count))
        self._factors = splu(laplace.tocsc())

    def __call__(self, moved: Doubles) -> Doubles:
        """The mesh (N, 2) near where skinning `moved` it."""
        now = _complex(np.clip(np.nan_to_num(moved), -FARTHEST_PX, FARTHEST_PX))
        aim = now * self._pull
        for _ in range(RIGID_ROUNDS):
            spin = self._gather @ ((now[self._to] - now[self._from]) * self._edges.conj())
            spin = spin / (np.abs(spin) + 1e-9)
            right = aim - self._gather @ ((spin[self._from] + spin[self._to]) * self._edges * 0.5)
            now = self._factors.solve(right.real) + 1j * self._factors.solve(right.imag)
        return np.stack([now.real, now.imag], 1)


def ways_inside(alpha: npt.NDArray[np.uint8], lines: Sequence[Sequence[tuple[Doubles, Doubles]]]) -> Doubles:
    """(lines, h, w) at a third of the size: how far each pixel is from each set of lines on a way inside the figure."""
    small = cv2.resize(alpha, None, fx=1 / GRID_STEP, fy=1 / GRID_STEP, interpolation=cv2.INTER_AREA) > 100
    height, width = small.shape
    count = int(small.sum())
    number = np.full((height, width), -1)
    number[small] = np.arange(count)
    starts, ends, costs = [], [], []
    for down, across, cost in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2**0.5), (1, -1, 2**0.5)):
        here = number[: height - down, max(-across, 0) : width - max(across, 0)]
        there = number[down:, max(across, 0) : width + min(across, 0)]
        both = (here >= 0) & (there >= 0)
        starts.append(here[both])
        ends.append(there[both])
        costs.append(np.full(int(both.sum()), cost * GRID_STEP))
    graph = coo_matrix((np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))), (count, count)).tocsr()
    nearest = distance_transform_edt(~small, return_distances=False, return_indices=True)
    found = []
    for segments in lines:
        drawn = np.zeros((height, width), np.uint8)
        for start, end in segments:
            a, b = (tuple(int(v / GRID_STEP) for v in point) for point in (start, end))
            cv2.line(drawn, a, b, 1, 1)
        field = np.full((height, width), np.inf)
        sources = np.unique(number[(drawn > 0) & small])
        if len(sources):
            field[small] = dijkstra(graph, directed=False, indices=sources, min_only=True)
        found.append(field[nearest[0], nearest[1]])
    return np.asarray(np.nan_to_num(np.array(found), posinf=1e4))


def across_gaps(grid: Grid, ways: Doubles) -> npt.NDArray[np.bool_]:
    """(M,): triangles whose corners are near in the picture but far apart inside the figure: an armpit, between legs.

    `ways` (lines, N) are the vertices' distances.
    """
    far = np.zeros(len(grid.triangles), bool)
    near = np.minimum(ways, 1e3)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        start, end = grid.triangles[:, a], grid.triangles[:, b]
        length = np.linalg.norm(grid.points[start] - grid.points[end], axis=1)
        far |= np.abs(near[:, start] - near[:, end]).max(axis=0) > GAP * length + 4 * GRID_STEP
    return far


def shares(ways: Doubles, bands: Doubles) -> Doubles:
    """(limbs, N): how much each vertex is each limb's, by `ways` (limbs, N) and the `bands` (limbs,) they share."""
    share = np.clip(1 - (ways - ways.min(axis=0)) / bands[:, None], 0, 1) ** 2
    return np.asarray(share / share.sum(axis=0))


def _complex(points: Doubles) -> npt.NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1])


Joints = Mapping[str, Doubles]
Runs = Sequence[Ints]


def in_runs(triangles: Ints) -> list[Ints]:
    """Triangles in lots that can be drawn at once."""
    return [triangles[start : start + MOST_TRIANGLES] for start in range(0, len(triangles), MOST_TRIANGLES)]


def softened(picture: Floats) -> Picture:
    """A picture with MARGIN_PX of nothing around it, as bytes."""
    framed = cv2.copyMakeBorder(picture, *(MARGIN_PX,) * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    return np.asarray(np.clip(framed, 0, 255), np.uint8)

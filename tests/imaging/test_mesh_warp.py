"""A mesh's motion as a map of pixels."""

import numpy as np

from realtime.imaging.mesh_warp import MeshWarp

SQUARE = np.array([(10.0, 10.0), (40.0, 10.0), (40.0, 40.0), (10.0, 40.0)])
TWO = np.array([(0, 1, 2), (0, 2, 3)])
NONE = np.empty((0, 3), np.intp)


def deep(points: np.ndarray, depth: float | np.ndarray = 0.0) -> np.ndarray:
    return np.column_stack([points, np.broadcast_to(depth, len(points))])


def test_a_mesh_at_rest_moves_nothing() -> None:
    x, y = MeshWarp(64, SQUARE, TWO, NONE)(deep(SQUARE))
    rows, columns = np.mgrid[:64, :64]
    np.testing.assert_allclose(x, columns, atol=1e-3)
    np.testing.assert_allclose(y, rows, atol=1e-3)


def test_a_square_that_went_right_shows_what_was_left_of_there() -> None:
    x, y = MeshWarp(64, SQUARE, TWO, NONE)(deep(SQUARE + (12, 0)))
    assert x[25, 30] == np.float32(18)
    assert y[25, 30] == np.float32(25)
    assert x[25, 60] == np.float32(60)  # where the mesh is not, nothing moves


def test_a_square_grown_twice_shows_half_the_way() -> None:
    x, _ = MeshWarp(64, SQUARE, TWO, NONE)(deep(10 + (SQUARE - 10) * 1.5))
    np.testing.assert_allclose(x[25, 40], 30, atol=1e-3)


def test_the_nearest_triangle_is_seen() -> None:
    points = np.concatenate([SQUARE[:3], SQUARE[:3] + (0, 0)])
    both = np.array([(0, 1, 2), (3, 4, 5)])
    moved = np.concatenate([SQUARE[:3], SQUARE[:3] + (5, 0)])
    near_second = deep(moved, np.r_[np.zeros(3), np.ones(3)])
    near_first = deep(moved, np.r_[np.ones(3), np.zeros(3)])
    weave = MeshWarp(64, points, both, NONE)
    assert weave(near_second)[0][15, 30] == np.float32(25)
    assert weave(near_first)[0][15, 30] == np.float32(30)


def test_what_is_behind_is_painted_first() -> None:
    points = np.concatenate([SQUARE[:3], SQUARE[:3]])
    weave = MeshWarp(64, points, np.array([(0, 1, 2)]), np.array([(3, 4, 5)]))
    moved = deep(np.concatenate([SQUARE[:3], SQUARE[:3] + (5, 0)]), 9.0)
    assert weave(moved)[0][15, 30] == np.float32(30)


def test_a_face_that_covers_what_is_behind_leaves_a_fold_at_its_edge() -> None:
    rest = np.concatenate([SQUARE[:3], SQUARE])
    behind, face = np.array([(3, 4, 5), (3, 5, 6)]), np.array([(0, 1, 2)])
    weave = MeshWarp(64, rest, face, behind)
    weave(deep(rest, 0.0))
    assert not weave.folds.any()
    weave(deep(np.concatenate([SQUARE[:3] - (9, 0), SQUARE]), 0.0))
    torn = np.argwhere(weave.folds)
    assert len(torn) > 20
    assert weave.folds[20:30, 45:].sum() == 0


def test_squeezed_and_scattered_triangles_give_numbers() -> None:
    weave = MeshWarp(64, SQUARE, TWO, NONE)
    for points in (np.full((4, 2), 20.0), SQUARE * (1, 0), np.array([(1e6, -1e6), (3, 3), (-1e5, 9), (0, 1e7)])):
        assert np.isfinite(weave(deep(points))).all()

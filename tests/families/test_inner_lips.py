"""How far the lips are apart, as swap networks are told it."""

import numpy as np
import pytest

from realtime.families.face_swap.autoencoder import LOWER, OUTER_EYES, UPPER, inner_lips


def test_it_is_the_distance_in_parts_of_the_eyes_and_mirrors_with_the_face() -> None:
    face = np.zeros((478, 3), np.float32)
    face[list(OUTER_EYES), 0] = -50, 50
    face[list(LOWER), 1] = 10, 30, 20
    np.testing.assert_allclose(inner_lips(face), [0.1, 0.3, 0.2], rtol=1e-6)
    mirrored = face * np.float32([-1, 1, 1])
    mirrored[list(LOWER)] = mirrored[list(LOWER[::-1])]
    mirrored[list(UPPER)] = mirrored[list(UPPER[::-1])]
    np.testing.assert_allclose(inner_lips(mirrored), inner_lips(face)[::-1], rtol=1e-6)


@pytest.mark.parametrize("point", [*UPPER, *OUTER_EYES])
def test_a_face_of_one_point_has_no_opening_and_no_fault(point: int) -> None:
    face = np.zeros((478, 3), np.float32)
    assert inner_lips(face).tolist() == [0, 0, 0]
    face[point] = 1
    assert np.isfinite(inner_lips(face)).all()

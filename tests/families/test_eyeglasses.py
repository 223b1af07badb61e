"""Eyeglasses found in an avatar's picture, and drawn stiff and before the face."""

import cv2
import numpy as np
import pytest
from mesh_faces import a_face, a_shape, head

from realtime.families.motion.mesh.eyeglasses import draw_eyeglasses, find_eyeglasses
from realtime.families.motion.mesh.head import EYES, OVAL, turned
from realtime.families.motion.mesh.model import MeshModel, geometry
from realtime.families.motion.mesh.motion import Moved
from realtime.families.motion.mesh.source import MeshSource
from realtime.frame import Doubles, Pixels
from realtime.tracking.face import Face

PX = 10.0
AT = (200.0, 190.0)
FRONT_CM = 6.5
SKIN, FRAME = (150, 170, 205), (40, 35, 30)


def on_picture(points: Doubles, turn_deg: tuple[float, float, float]) -> Doubles:
    """Places (n, 3) of the head's frame in the picture of `a_face(turn_deg=…, at=AT, px_per_cm=PX)`."""
    return np.asarray((points @ turned(np.radians(turn_deg)).T * PX * (1, -1, -1))[:, :2] + AT)


def a_wearer(
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0), *, rims: bool = True, lens: bool = False, brows: bool = True
) -> tuple[Pixels, Face]:
    """A plain face in a plain room, with brows and eyes, and round spectacles of a radius of 2.6 cm."""
    face = a_face(turn_deg=turn_deg, at=AT, px_per_cm=PX)
    picture = np.full((400, 400, 3), (190, 185, 180), np.uint8)

    def area(points: Doubles, colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(picture, [np.rint(points * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)

    area(face.landmarks[OVAL, :2].astype(np.float64), SKIN)
    shape = a_shape()
    turns = np.linspace(0, 2 * np.pi, 60)
    for eye in EYES:
        area(face.landmarks[eye.ring, :2].astype(np.float64), (230, 230, 230))
        middle = shape[eye.corners].mean(axis=0)
        if brows:
            brow = [(x, y, middle[2]) for x, y in ((-1.6, 2.0), (1.6, 2.0), (1.6, 2.4), (-1.6, 2.4))]
            area(on_picture(np.array(brow) + (middle[0], middle[1], 0), turn_deg), (60, 70, 90))
        if rims:
            x = middle[0] + 2.6 * np.cos(turns)
            rim = np.column_stack([x, middle[1] - 0.2 + 2.4 * np.sin(turns), FRONT_CM - 0.016 * x**2])
            outline = on_picture(rim, turn_deg)
            if lens:
                area(outline, FRAME)
            corners = np.rint(outline * 16).astype(np.int32)
            cv2.polylines(picture, [corners], True, FRAME, 4, cv2.LINE_AA, 4)
    return picture, face


def rim_centre(pixels: Pixels) -> Doubles:
    """The middle of all that has the frame's colour, (x, y)."""
    ys, xs = np.nonzero(np.abs(pixels.astype(int) - FRAME).max(axis=2) < 40)
    return np.array([xs.mean(), ys.mean()])


def cast_of(picture: Pixels, face: Face) -> MeshSource:
    return MeshModel(head()).encode_source(picture, face)


def turned_by(cast: MeshSource, degrees: tuple[float, float, float]) -> Moved:
    return Moved(cast.rest.shape, turned(np.radians(degrees)) @ cast.rest.turn, np.zeros(2), 1.0, np.zeros(2))


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (5.0, -8.0, 4.0)])
@pytest.mark.parametrize("lens", [False, True])
def test_rims_are_found_and_what_is_seen_through_them_is_left(turn: tuple[float, float, float], lens: bool) -> None:
    cast = cast_of(*a_wearer(turn, lens=lens))
    assert cast.eyeglasses is not None
    assert cast.eyeglasses.dark == lens
    drawn = np.abs(cast.still.astype(int) - FRAME).max(axis=2) < 40
    assert (cast.eyeglasses.cover[drawn] > 128).mean() > 0.9
    for eye in EYES:
        x, y = np.rint(cast.flat[eye.iris]).astype(int)
        assert (cast.eyeglasses.cover[y, x] > 128) == lens
    assert (np.abs(cast.skin.astype(int) - FRAME).max(axis=2) < 40).sum() < 0.02 * drawn.sum()


@pytest.mark.parametrize("brows", [False, True])
def test_a_bare_face_wears_nothing(brows: bool) -> None:
    assert cast_of(*a_wearer(rims=False, brows=brows)).eyeglasses is None


def test_at_rest_the_picture_is_as_it_was() -> None:
    cast = cast_of(*a_wearer())
    assert cast.eyeglasses is not None
    pixels = cast.still.copy()
    draw_eyeglasses(pixels, cast.eyeglasses, cast.rest, turned_by(cast, (0, 0, 0)))
    assert np.abs(pixels.astype(int) - cast.still).max() <= 1


@pytest.mark.parametrize("degrees", [(0.0, 20.0, 0.0), (15.0, 0.0, 0.0), (8.0, -15.0, 10.0)])
def test_they_go_where_they_would_be_before_the_face(degrees: tuple[float, float, float]) -> None:
    picture, face = a_wearer(brows=False)
    cast = cast_of(picture, face)
    moved = turned_by(cast, degrees)
    made = geometry(cast, cast.points(moved), moved)
    # The same spectacles drawn on a head of that turn, which turns about its neck.
    truth, _ = a_wearer(degrees, brows=False)
    pivot = np.array([[0.0, -1.5, -5.0]])
    shift = on_picture(pivot, (0, 0, 0)) - on_picture(pivot, degrees)
    wanted = (rim_centre(truth) + shift[0]) * cast.crop_from_avatar[0, 0] + cast.crop_from_avatar[:, 2]
    px_per_cm = cast.rest.scale
    assert np.linalg.norm(rim_centre(made) - wanted) < 0.4 * px_per_cm
    # Painted on skin they would have stayed behind by a part of what they did.
    assert np.linalg.norm(rim_centre(made) - rim_centre(cast.still)) > 1.2 * px_per_cm


def test_raised_brows_do_not_bend_them() -> None:
    cast = cast_of(*a_wearer())
    shape = cast.rest.shape.copy()
    shape[shape[:, 1] > 3.0, 1] += 0.8
    moved = Moved(shape, cast.rest.turn, np.zeros(2), 1.0, np.zeros(2))
    made = geometry(cast, cast.points(moved), moved)
    frame = np.abs(cast.still.astype(int) - FRAME).max(axis=2) < 40
    assert np.abs(made.astype(int) - cast.still)[frame].mean() < 2


def test_a_picture_of_one_colour_has_none() -> None:
    cast = cast_of(*a_wearer())
    assert find_eyeglasses(np.full_like(cast.still, 128), cast.flat, cast.rest) is None

"""Faces that nobody follows: found in the frame in which they come, remembered while nothing changes."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from heads import pictures

from realtime.models.library import face_folder
from realtime.tracking.face_networks import Detection
from realtime.tracking.face_search import LINGERS, FaceSearch, open_face_search

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """A face that fills a picture: 1.6 times as wide as the face's own box."""
    picture = pictures(most=1)[0]
    search = open_face_search(face_folder(), "cpu")
    x0, y0, x1, y1 = search(picture, [])[0].box
    search.close()
    side, x, y = 0.8 * (x1 - x0), (x0 + x1) / 2, (y0 + y1) / 2
    return picture[int(y - side) : int(y + side), int(x - side) : int(x + side)]


@pytest.fixture
def search() -> Iterator[FaceSearch]:
    opened = open_face_search(face_folder(), "cpu")
    yield opened
    opened.close()


def room() -> np.ndarray:
    """A wall with a gradient and some furniture."""
    wall = np.linspace(90, 150, SIZE[0])[None, :, None] * np.ones((SIZE[1], 1, 3))
    cv2.rectangle(wall, (100, 400), (420, 719), (60, 90, 120), -1)
    return wall.astype(np.uint8)


def hung(head: np.ndarray, x: int, y: int, wide: int) -> np.ndarray:
    """The room with a face whose box is `wide` pixels, its middle at (x, y)."""
    picture, side = room(), round(1.6 * wide)
    small = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    matrix = np.array([[1.0, 0, x - side / 2], [0, 1.0, y - side / 2]])
    cv2.warpAffine(small, matrix, SIZE, dst=picture, borderMode=cv2.BORDER_TRANSPARENT)
    return picture


def places(found: list[Detection] | None) -> list[tuple[float, float]]:
    assert found is not None
    return [((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in found]


@pytest.mark.parametrize("wide", [75, 100, 200, 420])
@pytest.mark.parametrize("x", [240, 640, 1020])
def test_a_face_is_found_in_the_frame_in_which_it_comes(
    head: np.ndarray, search: FaceSearch, x: int, wide: int
) -> None:
    assert search(room(), []) == []
    (place,) = places(search(hung(head, x, 360, wide), []))
    assert np.abs(np.subtract(place, (x, 360))).max() < 0.2 * wide


def test_half_a_face_at_the_edge_is_one(head: np.ndarray, search: FaceSearch) -> None:
    search(room(), [])
    assert len(search(hung(head, SIZE[0] - 10, 300, 150), []) or ()) == 1


def test_what_is_known_stays_while_nothing_changes_and_goes_when_it_is_gone(
    head: np.ndarray, search: FaceSearch
) -> None:
    there = hung(head, 400, 300, 150)
    found = search(there, [])
    assert found is not None
    search.watch(found, [])
    for _ in range(3):
        assert search(there, [], at_ease=True) is None  # nothing is looked at, and the caller knows already
    assert np.abs(np.subtract(places(search(there, [])), places(found))).max() < 15
    gone = 0
    while (left := search(room(), [])) and gone <= LINGERS:
        search.watch(left, [])
        gone += 1
    assert 0 < gone <= LINGERS


def test_one_who_comes_while_all_is_at_ease_is_not_overlooked(head: np.ndarray, search: FaceSearch) -> None:
    search(room(), [])
    assert search(room(), [], at_ease=True) is None
    assert len(places(search(hung(head, 900, 300, 90), [], at_ease=True))) == 1


def test_a_picture_of_another_size_is_searched_anew(head: np.ndarray, search: FaceSearch) -> None:
    there = hung(head, 400, 300, 150)
    search.watch(search(there, []) or [], [])
    assert search(np.full((480, 640, 3), 90, np.uint8), []) == []
    assert len(places(search(there, []))) == 1
    half = cv2.resize(there, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    search.watch(search(half, []) or [], [])
    (place,) = places(search(there, []))  # of the same shape, and nothing else has changed
    assert np.abs(np.subtract(place, (400, 300))).max() < 0.2 * 150


@pytest.mark.parametrize("edge", ["left", "right", "top"])
def test_a_third_of_a_face_that_comes_in_at_an_edge_is_found(head: np.ndarray, search: FaceSearch, edge: str) -> None:
    """No detector sees so little of a face: its mirror image beyond the edge makes it whole."""
    search(room(), [])
    x, y = {"left": (-50, 360), "right": (SIZE[0] + 50, 360), "top": (640, -80)}[edge]
    assert len(search(hung(head, x, y, 300), []) or ()) == 1


def test_a_search_that_does_not_show_who_is_known_to_be_there_is_made_again(
    head: np.ndarray, search: FaceSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = hung(head, 400, 300, 150)
    with monkeypatch.context() as patched:
        patched.setattr(type(search.detect), "__call__", lambda *_, **__: [])
        assert search(there, [(320.0, 220.0, 480.0, 380.0)]) == []
    assert len(places(search(there, []))) == 1  # although nothing has changed
    assert search(there, [], at_ease=True) is None


@pytest.mark.parametrize("beyond", [0.0, 0.15, 0.3])
def test_who_is_cut_by_an_edge_is_seen_where_they_are_and_not_in_the_mirror(
    head: np.ndarray, search: FaceSearch, beyond: float
) -> None:
    search(room(), [])
    x = SIZE[0] - round((0.5 - beyond) * 120)
    (place,) = places(search(hung(head, x, 300, 120), []))
    assert np.abs(np.subtract(place, (x, 300))).max() < 0.3 * 120

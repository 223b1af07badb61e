"""The leak benchmark: what its judge takes for a face that came in, and that scenes know where their faces are."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from heads import pictures

from benchmarks.leak.command import summary, table
from benchmarks.leak.judge import Judge, TrueFace, TruePicture, likeness, region_of
from benchmarks.leak.people import Look, outlines_of
from benchmarks.leak.run import letterboxed
from benchmarks.leak.scenarios import between, moves, stays, then
from benchmarks.leak.scenes import Actor, Place, Scene, hand_look
from realtime.frame import Pixels

SIZE = (480, 270)


@pytest.fixture(scope="module")
def look() -> Look:
    heads = [cv2.resize(p, SIZE, interpolation=cv2.INTER_AREA) for p in pictures(most=4)]
    return Look("head", heads, outlines_of(heads), np.ones(heads[0].shape[:2], np.float32))


@pytest.fixture
def picture(look: Look) -> TruePicture:
    outline = look.outlines[0]
    assert outline is not None
    return TruePicture(0, look.frames[0], (TrueFace("me", True, outline, np.ones(SIZE[::-1], bool)),))


def judged(picture: TruePicture, output: Pixels) -> bool:
    judge = Judge(np.zeros(SIZE[::-1], bool))
    judge.see(picture)
    return bool(judge.leaks(picture.number, output))


def replaced(pixels: Pixels) -> Pixels:
    """Another face in its place: here the same one mirrored about the picture's middle, in other colours."""
    return np.ascontiguousarray(cv2.convertScaleAbs(pixels[:, ::-1], alpha=0.9, beta=10))


CHANGES: dict[str, tuple[Callable[[Pixels], Pixels], bool]] = {
    "as it came in": (lambda p: p.copy(), True),
    "in other colours": (lambda p: cv2.convertScaleAbs(p, alpha=0.85, beta=12), True),
    "sharpened": (lambda p: cv2.addWeighted(p, 1.4, cv2.GaussianBlur(p, (0, 0), 2), -0.4, 0), True),
    "as JPEG": (lambda p: cv2.imdecode(cv2.imencode(".jpg", p)[1], cv2.IMREAD_COLOR), True),
    "the left half as it came in": (lambda p: np.hstack([p[:, :270], replaced(p)[:, 270:]]), True),
    "another face": (replaced, False),
    "blurred": (lambda p: cv2.GaussianBlur(p, (0, 0), 20), False),
    "slate": (np.zeros_like, False),
}


@pytest.mark.parametrize(("change", "shown"), CHANGES.values(), ids=CHANGES)
def test_a_face_is_shown_as_long_as_its_own_detail_is_in_the_picture(
    picture: TruePicture, change: Callable[[Pixels], Pixels], shown: bool
) -> None:
    assert judged(picture, np.asarray(change(picture.pixels), np.uint8)) is shown


def test_an_older_picture_is_recognised_and_a_held_one_keeps_its_verdict(look: Look, picture: TruePicture) -> None:
    judge = Judge(np.zeros(SIZE[::-1], bool))
    black = TruePicture(0, np.zeros_like(picture.pixels), ())
    for number in range(3):
        judge.see(replace(picture if number == 0 else black, number=number))
    assert [leak.input for leak in judge.leaks(2, picture.pixels)] == [0]
    for number in range(3, 40):
        judge.see(replace(black, number=number))
        assert judge.leaks(number, picture.pixels)
    assert not judge.leaks(40, black.pixels)


def test_faces_that_are_small_hidden_or_beside_the_picture_are_not_judged(picture: TruePicture) -> None:
    face = picture.faces[0]
    assert region_of(face) is not None
    assert region_of(replace(face, outline=face.outline * 0.1)) is None
    assert region_of(replace(face, outline=face.outline + 1000)) is None
    assert region_of(replace(face, seen=np.zeros(SIZE[::-1], bool))) is None


def test_more_than_the_one_face_changed(picture: TruePicture) -> None:
    judge = Judge(np.zeros(SIZE[::-1], bool))
    judge.see(picture)
    low, high = picture.faces[0].outline.min(axis=0).astype(int), picture.faces[0].outline.max(axis=0).astype(int)
    output = picture.pixels.copy()
    output[low[1] : high[1], low[0] : high[0]] = 0
    assert not judge.changed_beside(0, output)
    output[:, :100] = 0
    assert judge.changed_beside(0, output)


@pytest.mark.parametrize("turn_deg", [0, 30, 180])
def test_a_scene_knows_where_its_faces_are(look: Look, turn_deg: float) -> None:
    """A face laid into a scene is the look's own, seen through its outline."""
    scene = Scene([Actor(look, stays(Place(0.5, 0.5, 0.5, turn_deg), 0.0))], noise=0, size=SIZE)
    face = scene.picture(0).faces[0]
    low, high = face.outline.min(axis=0), face.outline.max(axis=0)
    assert (low + high) / 2 == pytest.approx((240, 135), abs=8)
    pixels = scene.picture(0).pixels
    if turn_deg == 180:
        pixels = np.ascontiguousarray(pixels[::-1, ::-1])
    found = outlines_of([pixels])[0]
    assert found is not None
    if turn_deg == 180:
        found = np.float32(SIZE) - 1 - found
    assert np.abs(found - face.outline).mean() < 0.05 * np.ptp(face.outline[:, 1])


def test_what_lies_before_a_face_hides_it(look: Look) -> None:
    place = Place(0.5, 0.5, 0.5)
    path = then(between(stays(place), 0, 1), moves(place, place._replace(x=2.0), 1, 2), 1)
    scene = Scene([Actor(look, lambda frame: place), Actor(hand_look(), path, living=None)], size=SIZE)
    hidden, free = scene.picture(0).faces, scene.picture(3).faces
    assert [len(hidden), len(free)] == [1, 1]
    assert region_of(hidden[0]) is None
    assert region_of(free[0]) is not None


def test_a_picture_of_another_shape_is_judged_as_it_is_shown(look: Look, picture: TruePicture) -> None:
    placed = letterboxed(picture, (600, 600))
    region, own = region_of(placed.faces[0]), region_of(picture.faces[0])
    assert region is not None
    assert own is not None
    scale = 600 / SIZE[0]
    assert region[2].sum() == pytest.approx(own[2].sum() * scale**2, rel=0.05)
    rows, columns, mask = region
    assert likeness(placed.pixels[rows, columns], placed.pixels[rows, columns], mask).own == 1.0


def test_the_summary_adds_takes_up_by_scenario() -> None:
    take = dict.fromkeys(("judged", "leaking", "living", "printed", "unreported", "covered", "false_covers"), 1)
    take |= {
        "outputs": 50,
        "alone": False,
        "kinds": {"synthetic": 49, "card": 1},
        "refused": [],
        "ended": None,
        "guard_percent": 8.0,
    }
    report = summary({"cut 0": take, "cut 1": take, "alone 0": {**take, "alone": True}})
    assert report["scenarios"]["cut"] | {"kinds": None} == {
        **{"takes": 2, "outputs": 100, "judged": 2, "leaking": 2, "living": 2, "printed": 2, "unreported": 2},
        **{
            "covered": 2,
            "kinds": None,
            "alone": False,
            "false_covers": 2,
            "refused": 0,
            "ended": 0,
            "guard_percent": 8.0,
        },
    }
    assert report["false_covers"] == {"outputs": 50, "covered": 1, "percent": 2.0}
    assert any("cut" in line and "100" in line for line in table(report))

"""What `make test-camera` concludes from a picture, on made pictures; the devices themselves need its VM."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from camera.clip_feed import Feed, read_number, write_number
from camera.verdict import Judge, Verdict, difference, the_card

from realtime.frame import Pixels
from realtime.output.disclosure import badge

SIZE = (640, 360)


def made_feed(count: int = 4) -> Feed:
    """Soft patterns, each another one; the "face" is an ellipse in the middle."""
    rng = np.random.default_rng(7)
    pictures, faces, arounds = [], [], []
    for number in range(count):
        coarse = rng.integers(20, 235, (9, 16, 3), dtype=np.uint8)
        picture = np.asarray(cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
        write_number(picture, number)
        face = np.zeros(picture.shape[:2], np.uint8)
        cv2.ellipse(face, (320, 170), (50, 70), 0, 0, 360, 1, -1)
        around = np.ones(picture.shape[:2], bool)
        around[50:290, 220:420] = False
        pictures.append(picture)
        faces.append(face.astype(bool))
        arounds.append(around)
    return Feed(np.stack(pictures), np.stack(faces), np.stack(arounds))


FEED = made_feed()
JUDGE = Judge(FEED.pictures, FEED.face, FEED.around, "Ada")


def through_video(picture: Pixels) -> Pixels:
    """What 4:2:0 video leaves of a picture."""
    i420 = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    return np.asarray(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), np.uint8)


def swapped(number: int) -> Pixels:
    """Picture `number` with something else where the face was."""
    picture = FEED.pictures[number].copy()
    picture[FEED.face[number]] = cv2.add(picture, (25, 15, 20, 0))[FEED.face[number]]
    return picture


def verdict(picture: Pixels) -> Verdict:
    seen = through_video(picture)
    return JUDGE(seen, read_number(seen))


def test_a_number_survives_video_and_half_a_number_is_none() -> None:
    for number in (0, 1, 42, 63):
        picture = np.full((360, 640, 3), 128, np.uint8)
        write_number(picture, number)
        assert read_number(through_video(picture)) == number
    one, other = np.zeros((2, 360, 640, 3), np.uint8)
    write_number(one, 21)
    write_number(other, 42)
    one[:, 72:] = other[:, 72:]
    assert read_number(one) is None
    assert read_number(the_card(SIZE, "Ada")) is None


@pytest.mark.parametrize("number", range(4))
def test_a_replaced_face_with_a_badge_is_just_that(number: int) -> None:
    found = verdict(badge(swapped(number)))
    assert (found.kind, found.number, found.has_badge) == ("replaced", number, True)
    assert found.face > 6
    assert found.around < 3


def test_a_missing_badge_is_noticed() -> None:
    assert not verdict(swapped(1)).has_badge


def test_the_users_own_face_is_raw_with_a_badge_another_number_or_none() -> None:
    wrong, none = FEED.pictures[2].copy(), FEED.pictures[2].copy()
    write_number(wrong, 0)
    none[-24:] = 128
    for picture in (FEED.pictures[2], badge(FEED.pictures[2]), badge(wrong), badge(none)):
        assert verdict(picture).kind == "raw"


def test_the_card_is_the_card_and_other_pictures_are_unknown() -> None:
    card = the_card(SIZE, "Ada")
    for picture, has_badge in ((badge(card), True), (card, False)):
        assert (verdict(picture).kind, verdict(picture).has_badge) == ("card", has_badge)
    assert verdict(np.full((360, 640, 3), (0, 255, 0), np.uint8)).kind == "unknown"


def test_a_background_that_is_not_the_webcams_is_unknown() -> None:
    picture = swapped(3)
    picture[:, :200] = 255 - picture[:, :200]
    write_number(picture, 3)
    assert verdict(badge(picture)).kind == "unknown"


def test_difference_looks_where_it_is_told() -> None:
    a = np.zeros((4, 4, 3), np.uint8)
    b = a.copy()
    b[:2] = 10
    assert [difference(a, b, np.arange(*where)) for where in ((0, 16), (0, 8), (8, 16))] == [5.0, 10.0, 0.0]


def test_a_feed_comes_back_from_its_file(tmp_path: Path) -> None:
    FEED.save(tmp_path / "feed.npz")
    back = Feed.load(tmp_path / "feed.npz")
    assert np.array_equal(back.pictures, FEED.pictures)
    assert np.array_equal(back.face, FEED.face)

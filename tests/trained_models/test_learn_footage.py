"""Clips read for `masquerade learn`, and whose they are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from bundles import one_line
from fakes import a_face
from footage import some_looks

from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face
from trained_models.autoencoder.crops import MARGIN, SIZE
from trained_models.learn.footage import Looks, ReadClip, one_person, read_clip, shape_reader, sharpness

SHAPE = shape_reader(built_in_folder() / "face" / "pose.npz")


class Film:
    """A source of `count` noisy frames at `rate_hz`."""

    name, size, live, state = "film.mp4", (320, 240), False, "ok"

    def __init__(self, count: int, rate_hz: float) -> None:
        self.rate_hz, self.closed = rate_hz, False
        self._left = [(i, i / rate_hz) for i in range(count)]

    def read(self) -> Frame | None:
        if not self._left:
            return None
        seq, at_s = self._left.pop(0)
        pixels = np.random.default_rng(seq).integers(0, 256, (240, 320, 3), np.uint8)
        return Frame(pixels, seq, 0, at_s)

    def unblock(self) -> None: ...

    def close(self) -> None:
        self.closed = True


def face(track: int = 0, x: float = 160) -> Face:
    return replace(a_face((x, 120), 100), track=track)


def test_a_clip_is_thinned_to_the_rate_and_each_look_is_the_live_loops_crop() -> None:
    clip = read_clip(Film(90, 30.0), 3, lambda frame: [face()], SHAPE, rate_hz=15.0)
    looks = clip.people[0]
    assert (clip.frames, len(looks), clip.together) == (45, 45, 0)
    assert clip.seconds == pytest.approx(3.0, abs=0.05)
    assert looks.crop.shape == (45, SIZE + 2 * MARGIN, SIZE + 2 * MARGIN, 3)
    assert set(looks.clip.tolist()) == {3}
    assert looks.inside.min() == 1
    middle = looks.landmarks[0, :, :2].mean(0)
    assert np.all(np.abs(middle - SIZE / 2) < SIZE / 6), "the face is in the middle of its crop"


def test_a_face_that_leaves_the_picture_is_known_to() -> None:
    looks = read_clip(Film(5, 10.0), 0, lambda frame: [face(x=10)], SHAPE, rate_hz=15.0).people[0]
    assert len(looks) == 5, "a slow clip gives every frame"
    assert looks.inside.max() < 0.8


def test_sharpness_falls_with_blur_and_ignores_light() -> None:
    crop = some_looks(1).crop[0]
    blurred = [sharpness(cv2.GaussianBlur(crop, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)
    assert sharpness(crop // 2) == pytest.approx(sharpness(crop), rel=0.05)


def clip_of(*people: Looks, frames: int = 300, together: int = 0, name: str = "a.mp4") -> ReadClip:
    return ReadClip(name, frames, frames / 15, list(people), together)


def other_skull(made: dict) -> None:
    made["shape"] = made["shape"] + 0.5


def test_one_person_in_two_clips_or_lost_and_found_again_is_one() -> None:
    looks = one_person([clip_of(some_looks(90)), clip_of(some_looks(60, clip=1), name="b.mp4")])
    assert len(looks) == 150
    assert (np.diff(looks.clip) >= 0).all()
    assert len(one_person([clip_of(some_looks(90), some_looks(60))])) == 150


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ([clip_of()], "no face was found in a.mp4"),
        ([clip_of(some_looks(300), some_looks(80), together=80)], "two people at once in 80 of 300"),
        ([clip_of(some_looks(200), some_looks(100, change=other_skull))], "two people, the second in 100 frames"),
        (
            [clip_of(some_looks(200)), clip_of(some_looks(100, change=other_skull), name="b.mp4")],
            "b.mp4 and a.mp4 show different people",
        ),
    ],
)
def test_footage_without_exactly_one_person_is_refused(clips: list[ReadClip], said: str) -> None:
    line = one_line(lambda: one_person(clips), ConfigError)
    assert said in line
    assert "film one person alone" in line


def test_a_passer_by_is_left_out() -> None:
    assert len(one_person([clip_of(some_looks(290), some_looks(10, change=other_skull))])) in (290, 300)


def test_the_source_stays_open_for_its_owner() -> None:
    source = Film(3, 15.0)
    assert read_clip(source, 0, lambda frame: [], SHAPE).people == []
    assert not source.closed

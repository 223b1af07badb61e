"""Clips read for `masquerade learn`: whose they are, which frames become key pictures, what is refused."""

from collections.abc import Callable
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
from trained_models.learn.footage import Looks, ReadClip, light_faults, one_person, read_clip, shape_reader, sharpness
from trained_models.learn.frame_selection import KEPT, WANTED, choose

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


def test_a_clip_is_thinned_to_the_rate() -> None:
    clip = read_clip(Film(90, 30.0), 3, lambda frame: [face()], SHAPE, rate_hz=15.0)
    looks = clip.people[0]
    assert (clip.frames, len(looks), clip.together) == (45, 45, 0)
    assert clip.seconds == pytest.approx(3.0, abs=0.05)
    assert set(looks.clip.tolist()) == {3}
    assert looks.seq.tolist() == list(range(0, 90, 2))
    assert looks.inside.min() == 1
    middle = looks.points[0, :, :2].mean(0)
    assert np.all(np.abs(middle - 20) < 7), "the face is in the middle of its square"


def test_a_face_that_leaves_the_picture_is_known_to() -> None:
    looks = read_clip(Film(5, 10.0), 0, lambda frame: [face(x=10)], SHAPE, rate_hz=15.0).people[0]
    assert len(looks) == 5, "a slow clip gives every frame"
    assert looks.inside.max() < 0.8


def test_sharpness_falls_with_blur_and_ignores_light() -> None:
    crop = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8), (0, 0), 1.2)
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


Change = Callable[[dict], None]


def put(name: str, value: float, where: object = np.s_[:]) -> Change:
    def change(made: dict) -> None:
        made[name][where] = value

    return change


def blurred(made: dict) -> None:
    made["crop"] = np.stack([cv2.GaussianBlur(picture, (0, 0), 6) for picture in made["crop"]])


def burnt(made: dict) -> None:
    made["crop"] = np.where(made["crop"] > 120, 255, made["crop"]).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (blurred, "too blurred"),
        (put("side_px", 40), "only 40 pixels large"),
        (put("pose", 1.2, np.s_[:, 1]), "turned away by more than 50 degrees"),
        (put("inside", 0.7), "cut off, in every frame"),
        (put("score", 0.5), "nothing was learnt"),
        (burnt, "nothing was learnt"),
    ],
)
def test_footage_that_will_not_do_is_refused_with_what_to_film(change: Change, said: str) -> None:
    line = one_line(lambda: choose(some_looks(80, change=change)), ConfigError)
    assert said in line
    assert "film" in line


def test_the_best_of_each_expression_and_view_is_chosen_and_what_is_missing_is_said() -> None:
    def sharper(made: dict) -> None:
        made["crop"] = np.stack([cv2.GaussianBlur(picture, (0, 0), 1.5) for picture in made["crop"]])
        made["crop"][30] = some_crop()
        made["crop"][160:170] = 255

    def some_crop() -> np.ndarray:  # type: ignore[type-arg]
        return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (192, 192, 3), np.uint8), (0, 0), 1.2)

    choice = choose(some_looks(200, change=sharper))
    assert choice.best["open", "front"] == 30, "the sharpest"
    assert not {160, 165} & set(choice.best.values()), "burnt out"
    found = {("rest", v) for v in ("front", "left", "right", "up", "down")}
    found |= {(e, "front") for e in ("open", "closed", "smile")}
    assert set(choice.best) == found
    lines = choice.lines()
    assert lines[2:] == [WANTED["pucker", "front"], WANTED["brows_up", "front"]]
    assert set(choice.best) <= KEPT


def test_what_is_a_persons_own_at_rest_is_no_expression() -> None:
    def smiles_always(made: dict) -> None:
        made["blendshapes"][:, 44:46] = np.maximum(made["blendshapes"][:, 44:46], 0.5)
        made["apart"] = made["apart"] + 0.05

    assert ("rest", "front") in choose(some_looks(200, change=smiles_always)).best


def test_moved_covered_and_slipped_frames_are_left_out() -> None:
    def spoil(made: dict) -> None:
        made["crop"][20] = cv2.GaussianBlur(made["crop"][20], (0, 0), 4)
        made["crop"][100:103, 100:150, 50:140] //= 2  # as a shadow, or a dark hand, over mouth and chin
        made["score"][150] = 0.6
        made["landmarks"][180, 200:, 1] += 12  # slipped

    choice = choose(some_looks(200, change=spoil))
    assert choice.blurred + choice.covered == 6, "an edge across the face may count as either"
    assert not {20, 100, 101, 102, 150, 180} & set(choice.best.values())


def test_light_from_one_side_and_burnt_faces_are_seen() -> None:
    face = a_face((96, 96), 110)
    crop = np.full((192, 192, 3), 120, np.uint8)
    assert light_faults(crop, face.landmarks) == (0, pytest.approx(0, abs=1e-6))
    crop[:, 96:] = 255
    spoilt, uneven = light_faults(crop, face.landmarks)
    assert 0.3 < spoilt < 0.7
    assert uneven == pytest.approx(np.log(255 / 120), abs=0.1)

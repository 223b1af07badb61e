"""Clips read for `masquerade learn`: whose they are, which frames are kept, what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line
from fakes import a_face
from footage import RATE_HZ, some_looks

from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.models.library import built_in_folder
from realtime.tracking.face import Face
from trained_models.autoencoder.crops import MARGIN, SIZE
from trained_models.autoencoder.dataset import Pairs
from trained_models.learn.footage import Looks, ReadClip, one_person, read_clip, shape_reader, sharpness
from trained_models.learn.frame_selection import choose, different
from trained_models.learn.samples import as_shard, held_out_of, save_frames
from trained_models.learn.sheets import coverage, kept_sheet, table

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


Change = Callable[[dict], None]


def put(name: str, value: float, where: object = np.s_[:]) -> Change:
    def change(made: dict) -> None:
        made[name][where] = value

    return change


def blurred(made: dict) -> None:
    made["crop"] = np.stack([cv2.GaussianBlur(picture, (0, 0), 6) for picture in made["crop"]])


def frozen(made: dict) -> None:
    made["blendshapes"][:] = made["blendshapes"][0]
    made["blendshapes"][:, 25] = 0.2
    made["pose"][:] = 0
    made["pose"][::2, 1] = 0.3


@pytest.mark.parametrize(
    ("n", "change", "said"),
    [
        (60, None, "a face is seen for 4.0 s, which is too short (at least 8 s)"),
        (200, blurred, "too blurred"),
        (200, put("pose", 0), "one pose only"),
        (200, put("blendshapes", 0.02, np.s_[:, 25]), "the mouth never opens"),
        (200, put("side_px", 40), "only 40 pixels large"),
        (200, put("pose", 1.2, np.s_[:, 1]), "turned away by more than 40 degrees"),
        (200, put("inside", 0.7), "cut off, in every frame"),
        (200, frozen, "only 2 frames differ"),
    ],
)
def test_footage_that_will_not_do_is_refused_with_what_to_film(n: int, change: Change | None, said: str) -> None:
    line = one_line(lambda: choose(some_looks(n, change=change), RATE_HZ), ConfigError)
    assert said in line
    assert "film" in line


def test_good_footage_is_kept_but_for_its_duplicates() -> None:
    choice = choose(some_looks(300), RATE_HZ)
    assert (choice.seen, choice.small, choice.turned, choice.blurred, choice.covered) == (300, 0, 0, 0, 0)
    assert 150 < len(choice.kept) <= 300
    assert len(choice.kept) + choice.duplicates == 300
    assert f"kept {len(choice.kept)} of 300" in choice.line()


def test_moved_covered_and_slipped_frames_are_left_out() -> None:
    def spoil(made: dict) -> None:
        made["crop"][40] = cv2.GaussianBlur(made["crop"][40], (0, 0), 4)
        made["crop"][100:104, 110:170, 50:130] //= 2  # as a shadow, or a dark hand, over mouth and chin
        made["score"][200] = 0.6
        made["landmarks"][250, 200:, 1] += 12  # slipped

    choice = choose(some_looks(300, change=spoil), RATE_HZ)
    assert choice.blurred + choice.covered == 7, "an edge across the face may count as either"
    gone = np.array([40, 100, 101, 102, 103, 200, 250]) / RATE_HZ
    assert not np.isin(np.round(choice.kept.at_s, 4), np.round(gone, 4)).any()


def test_what_is_kept_is_unlike_all_before_it() -> None:
    looks = some_looks(300)
    twice = looks[np.repeat(np.arange(300), 2)]
    assert len(different(twice)) == len(different(looks))


def test_the_table_counts_every_frame_once_a_measure_and_says_what_is_rare() -> None:
    looks = some_looks(300)
    for kinds in coverage(looks).values():
        assert sum(kinds.values()) == 300
    lines = table(looks[looks.pose[:, 1] < 0.1])
    assert "turn the head to the other side" in lines[-1]
    assert "smile" not in lines[-1]


def test_the_sheet_of_what_was_kept_runs_from_left_to_right() -> None:
    def shaded(made: dict) -> None:
        level = np.interp(made["pose"][:, 1], [-0.35, 0.35], [0, 255])
        made["crop"] = np.broadcast_to(level[:, None, None, None], made["crop"].shape).astype(np.uint8)

    sheet = kept_sheet(some_looks(300, change=shaded))
    columns = sheet.reshape(6 * 96, 10, 96, 3).mean((0, 2, 3))
    assert sheet.shape == (576, 960, 3)
    assert (np.diff(columns) > 0).all()


def test_whole_stretches_of_time_are_held_out() -> None:
    looks = some_looks(600)
    apart = held_out_of(looks)
    assert 0.05 < apart.mean() < 0.25
    edges = np.abs(np.diff(apart.astype(int))).sum()
    assert edges <= 2 * np.ceil(apart.sum() / (1.5 * RATE_HZ)), "no single frames between trained ones"


def test_frames_on_disk_are_read_as_pairs_of_oneself(tmp_path: Path) -> None:
    trained, tested = save_frames(some_looks(60), tmp_path / "frames")
    frames, held_out = Pairs(tmp_path / "frames"), Pairs(tmp_path / "frames" / "held_out")
    assert (len(frames), len(held_out)) == (trained, tested)
    assert trained + tested == 60
    plain = frames.plain([0])
    assert (plain.face == plain.target).all()
    shard = as_shard(some_looks(2))
    inside = shard.mask[0] > 127
    assert inside[80, 80]
    assert not inside[2, 2]
    assert shard.weight[0][inside].min() >= 12
    assert shard.weight[0][2, 2] == 0

"""Which frames `masquerade learn` keeps, what it says of them, and what it refuses before it trains."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line
from footage import RATE_HZ, some_looks

from realtime.errors import ConfigError
from trained_models.autoencoder.dataset import Pairs
from trained_models.learn.frame_selection import choose, different
from trained_models.learn.samples import as_shard, held_out_of, save_frames
from trained_models.learn.sheets import coverage, kept_sheet, table

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

"""The long drive in short: what it would catch, and two seconds of it with the real model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from drives import a_drive, rendered_head
from fakes import FakeFinder, a_face
from puppets import ToyPuppet, an_avatar

from benchmarks.drive_command import drive_command
from benchmarks.drive_source import Drive, read_script
from benchmarks.long_drive import drive, judge_drive, long_since, recoveries
from benchmarks.pair_album import Album
from benchmarks.watched_puppet import WatchedPuppet
from realtime.avatars.choose import Find
from realtime.errors import ConfigError
from realtime.face import Face
from realtime.frame import Frame, Pixels
from realtime.settings import Settings
from realtime.swap.motion import Puppeteer

SIZE = (320, 240)


def sure(pixels: Pixels) -> list[Face]:
    """Finds the canonical head in every picture."""
    return [a_face((160, 120), 100)]


class Leaking(Puppeteer[Any, Any]):
    """Lets the driver shine through by a fifth, in one frame of ten."""

    def __call__(self, frame: Frame, *args: Any) -> Pixels | None:
        picture = super().__call__(frame, *args)
        if picture is None or frame.seq % 10 != 7:
            return picture
        return np.rint(0.8 * picture + 0.2 * frame.pixels).astype(np.uint8)


def figures(tmp_path: Path, kind: type[Puppeteer[Any, Any]], find: Find = sure) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    pictures = [rng.integers(60, 200, (240, 320, 3)).astype(np.uint8) for _ in range(60)]
    yaw = [0.0] * 20 + [75.0] * 20 + [0.0] * 20
    clip = a_drive(tmp_path / "drive.npz", pictures, yaw_deg=yaw, fps=10.0)
    puppet, avatars = WatchedPuppet(ToyPuppet()), [an_avatar("ann", 90), an_avatar("bob", 160)]
    character = kind(puppet, avatars, background=lambda text: None)
    source = Drive(clip, SIZE, 12.0)
    finder = FakeFinder(lambda seq: [] if 20 <= seq % 60 < 40 else [a_face((160, 120), 100)])
    album = Album(10, worst=4)
    log = drive(source, finder, character, puppet, avatars, Settings(sharpen=0), find, album)
    album.save(tmp_path / "album.png")
    assert log.avatars == ["ann"] * 60 + ["bob"] * 60
    return judge_drive(log, read_script(clip), source.rate_hz)


def test_a_sound_character_keeps_every_goal(tmp_path: Path) -> None:
    found = figures(tmp_path, Puppeteer)
    assert found["frames"] == 120
    assert [g["what"] for g in found["goals"] if not g["met"]] == []
    assert found["recovery"]["times"] == 3  # the last stretch of a round and the first of the next are one
    assert 0 < found["recovery"]["longest_s"] <= 0.5
    assert found["restless"]["away_for_long"] == 10
    assert (found["driver"]["readable"], found["driver"]["away"]) == (80, 40)
    assert (tmp_path / "album.png").stat().st_size > 1000
    json.dumps(found)


def test_a_leaking_one_is_caught(tmp_path: Path) -> None:
    found = figures(tmp_path, Leaking)
    assert found["raw"]["frames"] == 12
    assert "raw frames" in [g["what"] for g in found["goals"] if not g["met"]]


def test_a_picture_without_a_face_and_a_bent_one_are_caught(tmp_path: Path) -> None:
    pictures = 0

    def doubting(pixels: Pixels) -> list[Face]:
        nonlocal pictures
        pictures += 1
        face = a_face((160, 120), 100)
        if pictures == 6:
            face.landmarks[[33, 133], 1] += 30
        return [] if pictures == 5 else [face]

    found = figures(tmp_path, Puppeteer, doubting)
    assert (found["faceless"]["frames"], found["distortion"]["frames"]) == (1, 1)


def test_how_long_it_takes_to_come_back() -> None:
    readable = [False] * 5 + [True] * 20 + [False] * 5 + [True] * 4 + [False] * 2 + [True] * 20
    followed = [False] * 9 + [True] * 16 + [False] * 31
    # Followed after four frames; four frames are too short to count; and never in the last two seconds.
    assert recoveries(readable, followed, 10.0) == [0.4, 2.0]
    assert recoveries([False] * 3, [False] * 3, 10.0) == []
    away = [False] + [True] * 20 + [False] + [True] * 5
    assert int(long_since(away, 10.0).sum()) == 5


def test_the_real_model_drives_two_seconds(tmp_path: Path) -> None:
    clip = a_drive(tmp_path / "head.npz", rendered_head(12), fps=12.0)
    report = tmp_path / "drive.json"
    done = CliRunner().invoke(
        drive_command,
        [str(clip), "--avatar", "mira", "--seconds", "2", "--switches", "8", "--provider", "cpu",
         "--size", "480x270", "--json", str(report), "--album", str(tmp_path / "album.jpg")],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["drive"]["frames"] == 24
    assert written["drive"]["kinds"] == {"synthetic": 24}
    assert written["switching"]["switches"] >= 8
    assert written["switching"]["avatars"] == ["mira", "mira-mirrored"]
    assert written["switching"]["encoded"] == 2
    assert written["switching"]["wrong"] == 0


def test_another_file_is_no_drive(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ConfigError, match="film_drive"):
        read_script(tmp_path / "other.npz")
    with pytest.raises(ConfigError, match="film_drive"):
        read_script(tmp_path / "none.npz")

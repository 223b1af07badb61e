"""Avatars changed at random moments: every picture is one of those asked for, or it is caught."""

from pathlib import Path
from typing import Any

import numpy as np
from drives import a_drive
from fakes import FakeFinder, a_face
from puppets import ToyPuppet, an_avatar

from benchmarks.drive_source import Drive
from benchmarks.switching import mirrored, switch_around
from benchmarks.watched_puppet import WatchedPuppet
from realtime.frame import Pixels
from realtime.settings import Settings
from realtime.swap.motion import Puppeteer

AVATARS = [an_avatar(f"a{n}", 20 * n + 20, (320, 240)) for n in range(10)]


class Late(Puppeteer[Any, Any]):
    """Shows what should have been shown a frame ago."""

    before: Pixels | None = None

    def __call__(self, *args: Any) -> Pixels | None:
        now = super().__call__(*args)
        late, self.before = self.before, now
        return now if late is None else late


class Thin(Puppeteer[Any, Any]):
    """Mixes two avatars."""

    def __call__(self, *args: Any) -> Pixels | None:
        picture = super().__call__(*args)
        return None if picture is None else (picture // 2 + 30).astype(np.uint8)


def figures(tmp_path: Path, kind: type[Puppeteer[Any, Any]], switches: int = 300) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    pictures = [rng.integers(60, 200, (240, 320, 3)).astype(np.uint8) for _ in range(8)]
    for picture in pictures:
        picture[0, 0] = 100  # the toy's pose: its driver keeps still
    clip = a_drive(tmp_path / "c.npz", pictures)
    puppet = WatchedPuppet(ToyPuppet())
    character = kind(puppet, AVATARS, background=lambda text: None)
    finder = FakeFinder(lambda seq: [] if seq % 9 == 4 else [a_face((160, 120), 100)])
    return switch_around(Drive(clip, (320, 240)), finder, character, puppet, AVATARS, Settings(sharpen=0), switches)


def test_every_picture_is_the_avatar_asked_for(tmp_path: Path) -> None:
    found = figures(tmp_path, Puppeteer)
    assert found["switches"] >= 300
    assert found["pictures"] > 150
    assert (found["wrong"], found["raw"], found["encoded"]) == (0, 0, 10)
    assert [g["met"] for g in found["goals"][:2]] == [True, True]


def test_a_late_picture_and_a_mixed_one_are_caught(tmp_path: Path) -> None:
    assert figures(tmp_path, Late, 60)["wrong"] > 10
    assert figures(tmp_path, Thin, 60)["wrong"] > 10


def test_mirrored_avatars_make_up_the_number() -> None:
    ten = mirrored(AVATARS[:5], lambda pixels: [a_face((160, 120), 100)], 10)
    assert [avatar.name for avatar in ten[5:]] == [f"a{n}-mirrored" for n in range(5)]
    assert len(mirrored(AVATARS, lambda pixels: [], 10)) == 10
    assert len(mirrored(AVATARS[:3], lambda pixels: [], 10)) == 3  # without a face it is no avatar

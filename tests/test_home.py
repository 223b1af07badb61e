"""The user's own folder: nobody else can read it, and two writers keep both what they write."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Call

from realtime.config import Settings
from realtime.home import close_to_others, mend_home, private_dir, user_home
from realtime.pipeline.presets import Presets

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a user's folders are their own there")


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


@pytest.mark.usefixtures("umask")
def test_what_is_kept_is_the_users_alone(call: Call, tmp_path: Path) -> None:
    picture = tmp_path / "me.png"
    cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    assert call("avatars", "add", picture, "--identity", "self", "--statement", "Me.")[0] == 0
    Presets().save("mine", Settings())
    assert {"avatars", "presets.json"} <= {path.name for path in user_home().iterdir()}
    assert (user_home() / "avatars" / "me" / "picture.png").is_file()
    assert open_to_others(user_home()) == []


@pytest.mark.usefixtures("umask")
def test_what_earlier_versions_left_open_is_closed_and_nothing_else(call: Call, tmp_path: Path) -> None:
    home = user_home()
    for name in ("avatars/me/picture.png", "recordings/a.mp4", "cache/engines/e.bin", "presets.json", "thesis/text.md"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("{}", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("somebody's", encoding="utf-8")
    elsewhere.chmod(0o644)
    (home / "models").symlink_to(elsewhere)
    tool = home / "avatars" / "tool"
    tool.write_text("", encoding="utf-8")
    tool.chmod(0o755)
    assert call("avatars", "list")[0] == 0
    left = [name for name in open_to_others(home) if not Path(name).is_symlink()]
    assert {Path(name).name for name in left} <= {"thesis", "text.md"}
    assert home.stat().st_mode & 0o777 == 0o700
    assert tool.stat().st_mode & 0o777 == 0o700
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644


def test_a_home_that_is_not_there_or_not_ours_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mend_home()
    assert not user_home().exists()
    monkeypatch.setenv("MASQUERADE_HOME", "/proc")
    mend_home()
    close_to_others(tmp_path / "gone")


def test_folders_are_made_private_all_the_way(tmp_path: Path) -> None:
    made = private_dir(tmp_path / "a" / "b" / "c")
    assert [path.stat().st_mode & 0o777 for path in (made, made.parent, made.parent.parent)] == [0o700] * 3


SAVES = """
import sys
from realtime.config import Settings
from realtime.pipeline.presets import Presets
sys.stdin.readline()
for number in range(10):
    Presets().save(f"{sys.argv[1]}-{number}", Settings())
"""


def test_presets_saved_by_several_threads_at_once_are_all_kept() -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Presets().save(f"{number}", Settings()), range(40)))
    assert len(Presets().names()) == 40


@pytest.mark.slow
def test_presets_saved_by_several_programs_at_once_are_all_kept() -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVES, name], stdin=subprocess.PIPE) for name in ("a", "b", "c", "d")
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert len(Presets().names()) == 40

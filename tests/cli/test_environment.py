"""The command in surroundings that people have: odd names, no home, no terminal, folders that are gone or full."""

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from commands import Call, one_line
from written_video import numbered_pictures, written

from realtime.audio.voice_pipeline import is_microphone
from realtime.home import NOWHERE, user_cache, user_home
from realtime.models.library import built_in_folder
from realtime.output.open_sink import is_camera

CLIP = built_in_folder() / "clips" / "driving.mp4"
ODD = "odd\udcff"  # what Python makes of the byte 255
LONG = "a" * 300
COLONS = ["talk-12:30.mp4", "synthetic:30", "C:\\clip.mp4", "camera:x.mp4", "http:", "~clip.mp4"]
ADD = ("--identity", "self", "--statement", "Me.")
SYNTHETIC = ("run", "--source", "synthetic:8", "--pace", "all", "--size", "160x90", "--model", "ada")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of every test here."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def frames(path: Path) -> int:
    with av.open(str(path)) as made:
        return sum(1 for _ in made.decode(video=0))


@pytest.mark.parametrize("name", [ODD, pytest.param(LONG, marks=pytest.mark.slow)], ids=["not UTF-8", "300 letters"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--source", "NAME.mp4"),
        ("run", "--source", "NAME.png"),
        ("run", "--source", "synthetic", "--output", "NAME.mp4"),
        ("run", "--source", "synthetic", "--metrics", "NAME.json"),
        ("run", "--source", "synthetic", "--sound", "NAME.wav"),
        ("run", "--source", "synthetic", "--model", "motion", "--avatar", "NAME.png"),
        ("run", "--source", "synthetic", "--model", "motion", "--background", "NAME.png"),
        ("run", "--source", "synthetic", "--model", "NAME"),
        ("run", "--config", "NAME.toml"),
        ("models", "add", "NAME.dfm", *ADD),
        ("models", "show", "NAME"),
        ("avatars", "add", "NAME.png", *ADD),
        ("export", "NAME.pth", "--family", "wav2lip", "--out", "x"),
        ("export", "x.pth", "--family", "wav2lip", "--out", "NAME"),
        ("bench", "blend", "--json", "NAME.json"),
    ],
    ids=lambda arguments: " ".join(arguments[:4]),
)
def test_a_name_that_cannot_be_is_one_line(call: Call, here: Path, name: str, arguments: tuple[str, ...]) -> None:
    code, _, err = call(*(word.replace("NAME", name) for word in arguments))
    assert code in ((2,) if name == ODD else (2, 4))
    assert "unexpected" not in one_line(err)
    assert not list(here.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no colons in names")
@pytest.mark.parametrize("name", [COLONS[0], *(pytest.param(n, marks=pytest.mark.slow) for n in COLONS[1:])])
def test_a_file_that_is_there_is_no_address(call: Call, here: Path, name: str) -> None:
    written(here / "plain.mp4", numbered_pictures(3, (160, 90)))
    (here / "plain.mp4").rename(here / name)
    out, numbers = f"camera:{name.strip(':')}.mkv", "at:12.json"
    code, _, err = call("run", "--source", name, "--pace", "all", "--output", out, "--metrics", numbers)
    assert code == 0, err
    assert frames(here / out) == 3
    assert json.loads((here / numbers).read_text())["source"] == name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no colons in names")
def test_words_with_a_colon_are_files_only_where_those_are(call: Call, here: Path) -> None:
    assert is_microphone("mic:talk.m4a")
    shutil.copyfile(CLIP, here / "mic:talk.m4a")
    assert not is_microphone("mic:talk.m4a")
    assert is_microphone("mic")
    assert is_camera("camera:/dev/video9")
    assert is_camera("camera:OBS Virtual Camera")
    assert not is_camera("camera-test.mp4")
    cv2.imwrite(str(here / "wall 12:30.png"), np.full((90, 160, 3), 90, np.uint8))
    run = ("run", "--source", "synthetic:2", "--size", "160x90", "--pace", "all", "--output", "a:b.webm")
    sound = ("--sound", "mic:talk.m4a", "--model", "motion", "--avatar", "mira", "--background", "wall 12:30.png")
    code, _, err = call(*run, *sound)
    assert code == 0, err
    assert frames(here / "a:b.webm") == 2


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        (("--pace", "all"), 10),
        pytest.param(("--pace", "live"), 10, marks=pytest.mark.slow),
        pytest.param(("--loop", "--pace", "live"), 30, marks=pytest.mark.slow),
        pytest.param(("--loop", "--pace", "all"), 30, marks=pytest.mark.slow),
    ],
)
def test_seconds_are_the_files_own(call: Call, here: Path, pace: tuple[str, ...], expected: int) -> None:
    """Ten a second; what a machine takes for them does not count. Looped, six pictures are five times as many."""
    written(here / "talk.mp4", numbered_pictures(6 if "--loop" in pace else 40, (160, 90)), rate=10)
    seconds = str(expected / 10)
    code, _, err = call(
        *("run", "--source", "talk.mp4", *pace, "--seconds", seconds, "--output", "null", "--metrics", "n.json")
    )
    assert code == 0, err
    assert json.loads((here / "n.json").read_text())["frames"]["captured"] == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--source", "{clip}", "--output", "o.mp4", "--metrics", "{bad}"),
        ("bench", "latency", "--json", "{bad}"),
        ("bench", "latency", "--chart", "{bad}.svg"),
        ("bench", "blend", "--json", "{bad}"),
        ("bench", "backends", "--json", "{bad}"),
        ("bench", "quality", "{clip}", "--json", "{bad}"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]) + arguments[-2],
)
def test_what_cannot_be_written_is_refused_before_the_work(call: Call, here: Path, arguments: tuple[str, ...]) -> None:
    (here / "folder").mkdir()
    (here / "folder.svg").mkdir()
    for bad in ("none/x.json", "folder"):
        code, _, err = call(*(word.format(clip=CLIP, bad=bad) for word in arguments))
        assert code == 2
        assert bad.partition("/")[0] in one_line(err)
    assert {path.name for path in here.iterdir()} == {"folder", "folder.svg"}


@pytest.mark.parametrize("numbers", ["talk.mp4", "./o.mp4", "../here/o.mp4"])
def test_the_numbers_do_not_replace_what_is_read_or_written(call: Call, here: Path, numbers: str) -> None:
    written(here / "talk.mp4", numbered_pictures(3, (160, 90)))
    before = (here / "talk.mp4").read_bytes()
    code, _, err = call("run", "--source", "talk.mp4", "--output", "o.mp4", "--metrics", numbers)
    assert code == 2
    assert "another name" in one_line(err)
    assert (here / "talk.mp4").read_bytes() == before
    assert not (here / "o.mp4").exists()


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number without a name, as in many containers, and no home."""

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    for name in ("HOME", "MASQUERADE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_has_what_is_built_in(call: Call, here: Path) -> None:
    assert user_home() == NOWHERE
    assert user_cache() == NOWHERE / "cache"
    code, out, _ = call("models")
    assert code == 0
    assert "ada" in out
    code, _, err = call(*SYNTHETIC, "--output", "o.mp4")
    assert code == 0, err
    assert frames(here / "o.mp4") == 8
    picture = built_in_folder() / "avatars" / "mira" / "picture.jpg"
    code, _, err = call("avatars", "add", picture, *ADD)
    assert code == 3
    assert "MASQUERADE_HOME" in one_line(err)
    code, out, _ = call("doctor")
    assert "MEND  user folder" in out
    assert [path.name for path in here.iterdir()] == ["o.mp4"], "nothing is called ~"


def test_a_home_that_is_a_file(call: Call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "home").write_text("")
    monkeypatch.setenv("MASQUERADE_HOME", str(here / "home" / "masquerade"))
    assert call("models")[0] == 0
    code, _, err = call("avatars", "add", built_in_folder() / "avatars" / "mira" / "picture.jpg", *ADD)
    assert code == 3
    assert "MASQUERADE_HOME" in one_line(err)
    assert "MEND  user folder" in call("doctor")[1]


def shell(script: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """A line of sh in which "$@" is the command."""
    command = [sys.executable, "-P", "-m", "realtime.cli.app", *arguments]
    paths = os.pathsep.join(filter(None, (str(built_in_folder().parent), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        ["bash", "-c", script, "sh", *command],
        env={**os.environ, "PYTHONPATH": paths, **more},
        capture_output=True,
        text=True,
        timeout=280,
    )


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs a POSIX shell")


@needs_bash
@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "unbuffered"),
    [
        ('"$@" >&-', ""),
        ('"$@" >&- 2>&- <&-', ""),
        ('"$@" | true; exit ${PIPESTATUS[0]}', ""),
        ('"$@" 2>&1 | head -c 1; exit ${PIPESTATUS[0]}', "1"),
    ],
    ids=["no output", "none at all", "no reader", "one letter read"],
)
def test_a_recording_is_whole_where_nobody_listens(here: Path, script: str, unbuffered: str) -> None:
    ran = shell(script, *SYNTHETIC, "--output", "o.mp4", PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert frames(here / "o.mp4") == 8


@needs_bash
@pytest.mark.slow
def test_odd_surroundings(here: Path, tmp_path: Path) -> None:
    if Path("/dev/full").exists():
        ran = shell('"$@" > /dev/full', *SYNTHETIC, "--output", "full.mp4")
        assert ran.returncode == 1
        assert "standard output" in one_line(ran.stderr)
        assert frames(here / "full.mp4") == 8
    ran = shell('"$@"', "models", LC_ALL="C", PYTHONIOENCODING="ascii", MASQUERADE_HOME=f"{here}/größe\udcff")
    assert (ran.returncode, ran.stderr) == (0, "")
    gone = f'mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; "$@"'
    ran = shell(gone, *SYNTHETIC, "--output", f"{here}/gone.mp4", TMPDIR="/missing")
    assert ran.returncode == 0, ran.stderr
    assert frames(here / "gone.mp4") == 8
    ran = shell(gone, *SYNTHETIC, "--output", "gone.mp4")
    assert ran.returncode == 2
    assert "working directory" in ran.stderr

"""Inputs from the field with one odd property, each through the command that met it.

`../shared/cases/README.md` lists them. Those that other files follow to the pixel or the beep are there: the poster
(benchmarks/test_leak_runs), the network (cli/test_nothing_leaves), AC-3 (audio/test_audio_track), colours and alpha
(capture/test_to_bgr), the joined clock (capture/test_media_file), one file for two runs (output/test_video_file),
colons, no output and `--metrics` (cli/test_environment).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import Call, one_line
from recordings import pictures
from speaking import voice_file

from realtime.models.library import AVATARS

ADD = ("--identity", "synthetic", "--statement", "Mira.")


@pytest.fixture
def cases(shared: Path) -> Path:
    if not (shared / "cases").is_dir():
        pytest.skip("the cases are not here")
    return shared / "cases"


@pytest.mark.parametrize("name", ["photo.heic", "turned.avif"])
def test_a_telephones_picture_becomes_an_avatar(cases: Path, call: Call, name: str) -> None:
    code, out, err = call("avatars", "add", cases / name, *ADD)
    assert code == 0, err
    assert Path(name).stem in out + err
    assert AVATARS.find(Path(name).stem)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_a_film_plays_whatever_bytes_its_name_has(cases: Path, call: Call, tmp_path: Path) -> None:
    film, out = tmp_path / os.fsdecode(b"odd\xff.mp4"), tmp_path / "o.mp4"
    try:
        shutil.copyfile(cases / "hdr_pq.mp4", film)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    code, _, err = call("run", "--source", film, "--model", "ada", "--pace", "all", "--output", out)
    if code == 0:
        assert len(pictures(out)[0]) == len(pictures(cases / "hdr_pq.mp4")[0])
    else:
        assert code == 2
        assert one_line(err)
        assert not out.exists()


@pytest.mark.slow
def test_colours_and_alpha_reach_the_recording(cases: Path, call: Call, tmp_path: Path) -> None:
    for name in ("hdr_pq.mp4", "transparent.mov"):
        out = tmp_path / f"{name}.mp4"
        code, _, err = call("run", "--source", cases / name, "--model", "ada", "--pace", "all", "--output", out)
        assert code == 0, err
        picture = pictures(out)[1][-1].astype(int)
        if name == "hdr_pq.mp4":
            assert picture[346:354, 168:176].min() > 220, "white is white, not grey"
        else:
            assert np.abs(picture[100:200, 10:80] - 128).mean() < 10, "grey, not what lies beneath"


@pytest.mark.slow
def test_a_voice_longer_than_the_camcorders_clip_is_spoken(cases: Path, call: Call, tmp_path: Path) -> None:
    voice, out = voice_file(tmp_path / "voice.wav", [0.2, 1.5], 2.0), tmp_path / "o.mkv"
    run = ("run", "--model", "lip-sync", "--source", cases / "camcorder_ac3.m2ts", "--sound", voice, "--allow-raw")
    code, _, err = call(*run, "--pace", "all", "--output", out)
    assert code == 0, err
    assert pictures(out)[0][-1] > 1.4 or "voice are left out" in err


def test_a_web_page_under_a_checkpoints_name_is_called_one(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "p.pth"
    file.write_text("<!DOCTYPE html><title>Quota</title>")
    code, _, err = call("export", file, "--family", "wav2lip", "--out", tmp_path / "x")
    assert code == 4
    assert "web page" in one_line(err)
    assert "download" in err
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_checkpoint_saved_as_torch_script_is_the_plain_one(cases: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from export.families.wav2lip import read_wav2lip

    root = Path(__file__).resolve().parents[2]
    write = [sys.executable, str(cases / "torchscript_wav2lip.py")]
    subprocess.run(write, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, check=True, timeout=280)
    script, plain, bare = (
        read_wav2lip(tmp_path / f"wav2lip_{kind}.pth").state_dict() for kind in ("script", "plain", "bare")
    )
    assert len(script) > 300
    assert script.keys() == plain.keys() == bare.keys()
    assert all(script[key].equal(plain[key]) and script[key].equal(bare[key]) for key in script)

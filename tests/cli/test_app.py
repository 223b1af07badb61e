"""The command as a user meets it: exit codes, one line per error, files that are promised."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from commands import Call, one_line

from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError
from realtime.models.library import built_in_folder
from realtime.pipeline.presets import keep_session

CLIP = built_in_folder() / "clips" / "driving.mp4"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--source", "nothing.mp4"], 2, ["nothing.mp4"]),
        pytest.param(
            ["run", "--source", "/dev/video97"], 3, ["/dev/video97", "masquerade devices"], marks=pytest.mark.slow
        ),
        (["run", "--source", "97"], 3, ["97", "masquerade devices"]),
        (["run", "--source", "synthetic", "--model", "nobody"], 4, ["nobody", "masquerade models"]),
        (["run", "--size", "wide"], 2, ["size", "1280x720"]),
        (["run", "--pace", "slow"], 2, ["pace", "live"]),
        (["run", "--provider", "tpu"], 2, ["provider", "cpu"]),
        (["run", "--sorce", "0"], 2, ["--sorce", "--source"]),
        (["run", "--fps", "many"], 2, ["--fps", "many"]),
        (["run", "--config", "none.toml"], 2, ["none.toml"]),
        (["run", "--source", "synthetic", "--on-miss", "raw"], 2, ["--allow-raw"]),
        (["run", "--source", "synthetic", "--opacity", "0.2"], 2, ["--allow-raw"]),
        (["run", "--source", "synthetic", "--output", "/nowhere/at/all.mp4"], 2, ["/nowhere/at"]),
        (["run", "--source", "synthetic", "--output", "clip.gif"], 2, ["clip.gif", ".mp4"]),
        (["run", "--source", "synthetic", "--output", "camera:/dev/video98"], 3, ["/dev/video98"]),
        (["models", "show", "nobody"], 4, ["nobody"]),
        (["models", "remove", "ada"], 2, ["ada"]),
        (["models", "add", "none.dfm", "--identity", "self", "--statement", "Me."], 2, ["none.dfm"]),
        (["dance"], 2, ["dance"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_gives_one_clear_line_and_its_code(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    got, _, err = call(*arguments)
    line = one_line(err)
    assert got == code, line
    for word in words:
        assert word in line


def test_a_file_that_is_no_media_is_refused(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not a video at all")
    code, _, err = call("run", "--source", path, "--output", "null")
    assert code == 2
    assert "clip.mp4" in one_line(err)


def beginning(path: Path, seconds: float) -> Path:
    """The first seconds of the packaged clip, picture and sound as they are."""
    with av.open(str(CLIP)) as source, av.open(str(path), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.pts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return path


def test_a_file_becomes_a_file_with_sound_metadata_and_numbers(call: Call, tmp_path: Path) -> None:
    clip, out, numbers = beginning(tmp_path / "clip.mp4", 2.0), tmp_path / "out.mp4", tmp_path / "numbers.json"
    code, said, err = call(
        "run", "--source", clip, "--model", "ada", "--output", out, "--pace", "all", "--metrics", numbers,
        "--size", "320x180",
    )  # fmt: skip
    assert code == 0, err
    report = json.loads(numbers.read_text())
    with av.open(str(clip)) as source, av.open(str(out)) as made:
        frames = sum(1 for _ in source.decode(video=0))
        assert sum(1 for _ in made.decode(video=0)) == frames
        assert made.streams.audio
        assert abs(float(made.duration or 0) - float(source.duration or 0)) < 0.2e6
        assert "ada" in " ".join(made.metadata.values())
        assert "synthetic" in " ".join(made.metadata.values())
    assert report["frames"]["captured"] == report["frames"]["emitted"] == frames
    assert report["frames"]["raw"] == report["frames"]["dropped"] == 0
    assert report["frames"]["guarded"] <= 0.01 * frames
    assert report["family"] == "swap"
    assert report["schema"] == 1
    assert report["latency_ms"]["p50"] > 0
    assert set(report["providers"]) == {"detect", "swap"}
    assert f"{frames} pictures" in said


def test_a_picture_without_a_face_shows_the_card(call: Call, tmp_path: Path) -> None:
    picture, out, numbers = tmp_path / "grey.png", tmp_path / "out.mp4", tmp_path / "n.json"
    cv2.imwrite(str(picture), np.full((360, 640, 3), 90, np.uint8))
    code, _, err = call("run", "--source", picture, "--output", out, "--seconds", "1", "--metrics", numbers)
    assert code == 0, err
    report = json.loads(numbers.read_text())
    assert report["frames"]["raw"] == 0
    assert report["frames"]["guarded"] == report["frames"]["emitted"] > 0


def test_models_lists_what_is_built_in(call: Call) -> None:
    code, out, _ = call("models")
    assert code == 0
    assert "ada" in out
    assert "swap" in out
    assert "synthetic" in out
    code, out, _ = call("models", "show", "ada")
    assert code == 0
    assert 'kind = "synthetic"' in out


def test_devices_and_doctor_say_what_is_missing(call: Call) -> None:
    code, out, _ = call("devices")
    assert code == 0
    assert "providers:" in out
    code, out, _ = call("doctor")
    assert code in (0, 1)
    assert ("MEND" in out) == (code == 1)


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGHUP", marks=pytest.mark.slow)])
def test_an_interrupted_recording_plays_and_the_code_says_so(tmp_path: Path, name: str) -> None:
    """Ctrl-C, or a closed terminal, in the middle of a live recording: exit 130, and every frame is in the file."""
    if not hasattr(signal, name):
        pytest.skip(f"there is no {name} here")
    out = tmp_path / "out.mp4"
    run = subprocess.Popen(
        [sys.executable, "-m", "realtime.cli.app", "run", "--source", str(CLIP), "--loop"]
        + ["--pace", "live", "--size", "320x180", "--output", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    seen = 0
    while seen < 3:
        seen += "fps" in run.stdout.readline()
    for _ in range(1 if name == "SIGINT" else 3):  # the terminal's, the shell's, the session's
        run.send_signal(getattr(signal, name))
    _, err = run.communicate(timeout=300)
    assert run.returncode == 130, err
    lines = err.splitlines()  # a slow machine may add a warning of its own
    assert lines[-1] == "masquerade: interrupted"
    assert all(line.startswith("masquerade: ") for line in lines)
    with av.open(str(out)) as made:
        assert sum(1 for _ in made.decode(video=0)) > 5


@pytest.mark.parametrize(
    ("given", "kept", "shown"), [((), False, "pip"), (("--model", "ada"), False, None), ((), True, None)]
)
def test_the_first_demo_shows_a_figure_and_later_ones_who_was_last(
    call: Call, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], kept: bool, shown: str | None
) -> None:
    seen: list[RunConfig] = []

    def run(config: RunConfig, **_: object) -> dict[str, object]:
        seen.append(config)
        raise ConfigError("far enough")

    monkeypatch.setattr("realtime.cli.run.run_session", run)
    if kept:
        keep_session(Settings(model="ada"))
    assert call("demo", "--headless", *given)[0] == 2
    assert seen[0].avatar == shown

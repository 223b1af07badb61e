"""`masquerade learn` as a user meets it."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from commands import Call, one_line
from recordings import bars

from realtime.models.library import built_in_folder, load_bundle
from realtime.models.picture_set import read_picture_set

CLIP = built_in_folder() / "clips" / "driving.mp4"
WHOSE = ("--identity", "synthetic", "--statement", 'A "rendered" driver.')


@pytest.mark.slow
def test_from_a_clip_to_the_live_loop(call: Call, tmp_path: Path) -> None:
    code, out, err = call("learn", CLIP, "--name", "eve", *WHOSE, "--steps", "3", "--threads", "1")
    assert (code, err) == (0, "")
    lines = out.strip().splitlines()
    assert lines[0] == "nothing is trained any more: --minutes and --steps change nothing"
    assert any(line.startswith("reading driving.mp4") for line in lines)
    assert any(line.startswith("chosen: rest") and "smile" in line and "closed" in line for line in lines)
    assert "no pursed lips: say “oo”" in lines
    assert lines[-2].startswith("ready to wear ")
    assert lines[-1] == "masquerade run --model eve"
    bundle = load_bundle("eve")
    assert (bundle.card.identity.kind, bundle.card.identity.statement) == ("synthetic", WHOSE[3])
    assert bundle.preview is not None
    pictures = read_picture_set(bundle)
    assert {"rest", "open", "smile", "closed"} <= {key.expression for key in pictures.keys}
    assert sum(file.stat().st_size for file in bundle.folder.iterdir()) < 2e6
    metrics = tmp_path / "n.json"
    run = ["run", "--source", CLIP, "--seconds", "1", "--output", "null", "--pace", "all", "--model", "eve"]
    code, _, err = call(*run, "--metrics", metrics)
    assert code == 0, err
    assert '"guarded": 0' in metrics.read_text(), "every frame was replaced"
    code, _, err = call("learn", CLIP, "--name", "eve", *WHOSE)
    assert code == 2
    assert "there is a bundle eve already" in one_line(err)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((CLIP, "--name", "eve"), "say whose face it is"),
        ((CLIP, "--name", "eve", "--identity", "self"), "--statement is missing"),
        ((CLIP, "--name", "no good", *WHOSE), "cannot be a bundle's name"),
        ((CLIP, "--name", "ada", *WHOSE), "there is a bundle ada already"),
        (("nowhere.mp4", "--name", "eve", *WHOSE), "there is no file nowhere.mp4"),
        ((CLIP.parent, "--name", "eve", *WHOSE), "is a folder"),
        ((Path(__file__), "--name", "eve", *WHOSE), "not a video FFmpeg can read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call: Call, arguments: tuple[object, ...], said: str) -> None:
    code, _, err = call("learn", *arguments)
    assert code == 2
    assert said in one_line(err)


def test_a_clip_without_a_face_is_refused(call: Call, tmp_path: Path) -> None:
    clip = tmp_path / "bars.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 240))
    for _ in range(20):
        writer.write(cv2.resize(bars(), (320, 240)))
    writer.release()
    code, _, err = call("learn", clip, "--name", "eve", *WHOSE)
    assert code == 2
    assert "no face was found in bars.avi" in one_line(err)
    assert not (tmp_path / "home" / "models").exists()


def test_no_torch_is_needed() -> None:
    code = "import sys; sys.modules['torch'] = None; from realtime.cli.app import main; "
    code += "import trained_models.learn.learner; main(['learn', '--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--statement" in shown.stdout

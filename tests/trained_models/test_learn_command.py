"""`masquerade learn` as a user meets it."""

import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from commands import Call, one_line
from recordings import bars

from realtime.errors import pip_install
from realtime.models.library import built_in_folder, load_bundle
from trained_models.learn.run_dir import only_learner

CLIP = built_in_folder() / "clips" / "driving.mp4"
WHOSE = ("--identity", "synthetic", "--statement", 'A "rendered" driver.')


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_a_clip_to_the_live_loop(call: Call, tmp_path: Path) -> None:
    """Interrupted in training, gone on with, worn. Three steps of training: what matters is that all is joined."""
    from trained_models.learn.fit import Limits, Stopped
    from trained_models.learn.steps import Request, learn

    def ctrl_c(line: str) -> None:
        if "step 1" in line:
            signal.raise_signal(signal.SIGINT)

    said: list[str] = []
    request = Request((CLIP,), "eve", WHOSE[1], WHOSE[3], limits=Limits(steps=3, judge_every=1), threads=1)
    with pytest.raises(Stopped):
        learn(request, said.append, ctrl_c)
    home = tmp_path / "home"
    assert said[0].startswith("kept ")
    assert (home / "learning" / "eve" / "state.pt").exists()
    assert not (home / "models").exists()
    code, out, err = call("learn", CLIP, "--name", "eve", *WHOSE, "--steps", "3", "--threads", "1")
    assert (code, err) == (0, "")
    lines = out.strip().splitlines()
    assert lines[0] == said[0], "the clip is not read again"
    assert "goes on where it was interrupted" in out
    assert "trained 3 steps" in out
    assert "frames replaced" in lines[-2]
    assert lines[-1].endswith("masquerade run --model eve")
    left = {p.name for p in (home / "learning" / "eve").iterdir()}
    assert left == {"kept.jpg", "preview.jpg", "log.jsonl"}, "no frame of the person is kept without need"
    bundle = load_bundle("eve")
    assert (bundle.card.identity.kind, bundle.card.identity.statement) == ("synthetic", WHOSE[3])
    assert bundle.preview is not None
    assert bundle.path("swap.onnx").stat().st_size < 6e6
    assert bundle.path("detail.png").stat().st_size < 1e5
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


def test_one_program_learns_a_name_at_a_time(call: Call) -> None:
    with only_learner("eve"):
        code, _, err = call("learn", CLIP, "--name", "eve", *WHOSE)
    assert code == 2
    assert "eve is being learnt by another program" in one_line(err)


def test_a_clip_without_a_face_is_refused_before_training(call: Call, tmp_path: Path) -> None:
    clip = tmp_path / "bars.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (320, 240))
    for _ in range(20):
        writer.write(cv2.resize(bars(), (320, 240)))
    writer.release()
    code, _, err = call("learn", clip, "--name", "eve", *WHOSE)
    assert code == 2
    assert "no face was found in bars.avi" in one_line(err)
    assert not (tmp_path / "home" / "models").exists()


@pytest.mark.timeout(900)
def test_the_help_needs_no_torch_and_its_absence_is_named() -> None:
    hide = "import sys, importlib.util as u; real = u.find_spec; "
    hide += "u.find_spec = lambda n: None if n == 'torch' else real(n); sys.modules['torch'] = None; "
    code = f"{hide}from realtime.cli.app import main; main(sys.argv[1:])"

    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, "learn", *arguments], capture_output=True, text=True, timeout=600
        )

    shown = ran("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--statement" in shown.stdout
    refused = ran("x.mp4", "--name", "eve")
    assert refused.returncode == 2
    assert f"needs torch: {pip_install('train')}" in one_line(refused.stderr)

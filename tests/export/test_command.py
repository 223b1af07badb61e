"""`masquerade export` as a user meets it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Call, one_line
from deepfacelab_models import write_model, write_smallest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from export.families.deepfacelab import read_deepfacelab  # noqa: E402
from export.families.first_order_motion import moves_faces, plan_first_order_motion, was_made_with_corners  # noqa: E402
from export.networks.motion_config import PUBLISHED  # noqa: E402
from export.restricted_pickle import read_restricted_pickle  # noqa: E402
from realtime.errors import pip_install  # noqa: E402
from realtime.models.library import built_in_folder  # noqa: E402

CLIP = built_in_folder() / "clips" / "driving.mp4"


@pytest.mark.slow
def test_from_training_to_the_live_loop(shared: Path, call: Call, tmp_path: Path) -> None:
    """The recorded model with masks that cover the face, as a trained one's do: exported, made somebody's, worn."""
    source, parts = shared / "reference" / "saehd", {}
    for part in ("encoder", "inter", "decoder_src", "decoder_dst"):
        content = (source / f"microdf_SAEHD_{part}.npy").read_bytes()
        weights: dict[str, Any] = read_restricted_pickle(content, part)  # type: ignore[assignment]
        parts[part] = {name: np.array(values) for name, values in weights.items()}
    for decoder in ("decoder_src", "decoder_dst"):
        parts[decoder]["out_convm/bias:0"] = parts[decoder]["out_convm/bias:0"] + 20
    model = write_model(tmp_path / "trained", parts, name="Eve", archi="df-ud")
    code, out, err = call("export", model, "--family", "deepfacelab", "--out", tmp_path / "eve")
    assert (code, err) == (0, "")
    last = out.strip().splitlines()[-1]
    assert f"masquerade models add {tmp_path / 'eve'} --identity" in last
    run = ["run", "--source", CLIP, "--seconds", "1", "--output", "null", "--pace", "all", "--model"]
    code, _, err = call(*run, tmp_path / "eve")
    assert code == 4
    assert "--identity" in one_line(err)
    code, out, err = call("models", "add", tmp_path / "eve", "--identity", "self", "--statement", "Me.")
    assert (code, err) == (0, "")
    assert "masquerade run --model eve" in out
    metrics = tmp_path / "n.json"
    code, out, err = call(*run, "eve", "--metrics", metrics)
    assert code == 0, err
    assert '"guarded": 0' in metrics.read_text(), "every frame was replaced"
    assert '"processed": 0' not in metrics.read_text()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smallest(tmp_path_factory.mktemp("tiny") / "model", "df")


def test_two_models_in_one_folder_are_told_apart(tiny: Path, call: Call, tmp_path: Path) -> None:
    both = tmp_path / "both"
    shutil.copytree(tiny, both)
    for file in tiny.iterdir():
        shutil.copyfile(file, both / file.name.replace("tiny", "other"))
    code, _, err = call("export", both, "--family", "deepfacelab", "--out", tmp_path / "out")
    assert code == 4
    assert "other_SAEHD_data.dat, tiny_SAEHD_data.dat" in one_line(err)
    assert read_deepfacelab(both / "other_SAEHD_inter.npy").name == "other"
    (both / "tiny_SAEHD_data.dat").unlink()
    code, _, err = call("export", both / "tiny_SAEHD_inter.npy", "--family", "deepfacelab", "--out", tmp_path / "out")
    assert code == 4
    assert "tiny_SAEHD_data.dat is missing beside" in one_line(err)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, ["--family", "deepfacelab"]),
        (["--family", "inswapper"], 2, ["inswapper", "wav2lip"]),
        (["--family", "wav2lip"], 2, ["--out"]),
        (["--family", "wav2lip", "--out", "out"], 4, ["no checkpoint", "model.pth"]),
        (["--family", "deepfacelab", "--out", "out"], 4, ["no DeepFaceLab model"]),
        (["--family", "wav2lip", "--out", "out", "--config", "x.yaml"], 2, ["--config", "first-order-motion"]),
        (["--family", "wav2lip", "--out", "out", "--no-align-corners"], 2, ["--align-corners"]),
        (["--family", "first-order-motion", "--out", "out", "--config", "vox-512"], 2, ["vox-512", "vox-256"]),
        (["--family", "first-order-motion", "--out", "out", "--identity", "self"], 2, ["--identity"]),
        (["--family", "deepfacelab", "--out", "out", "--identity", "famous"], 2, ["famous", "consented"]),
        (["--family", "deepfacelab", "--out", "out", "--identity", "self"], 2, ["--statement"]),
        (["--family", "deepfacelab", "--out", "out", "--statement", "Me."], 2, ["--identity"]),
        (["--family", "deepfacelab", "--out", "out", "--name", "Bad Name"], 2, ["--name", "Bad Name"]),
        (["--family", "deepfacelab", "--out", "out", "--title", "\x1b[2J"], 2, ["--title"]),
        (["--family", "deepfacelab", "--out", "out", "--precision", "fp8"], 2, ["fp8", "fp16"]),
        (["--family", "deepfacelab", "--out", "out", "--format", "dfm", "--precision", "int8"], 2, ["int8", "dfm"]),
        (["--family", "deepfacelab", "--out", "out", "--format", "dfm", "--engine", "tensorrt"], 2, ["--engine"]),
        (["--family", "deepfacelab", "--out", "out", "--format", "dfm", "--identity", "self"], 2, ["models add"]),
        (["--family", "wav2lip", "--out", "out", "--format", "dfm"], 2, ["--format dfm"]),
        (["--family", "wav2lip", "--out", "out", "--engine", "tensorrt", "--dynamic-batch"], 2, ["static"]),
        (["--family", "wav2lip", "--out", "out", "--precision", "int8", "--dynamic-batch"], 2, ["static"]),
        (["--family", "wav2lip", "--out", "out", "--calibration", "."], 2, ["--calibration", "int8"]),
        (["--family", "wav2lip", "--out", "out", "--precision", "int8", "--calibration", "x"], 2, ["no folder"]),
        (["--family", "wav2lip", "--out", "no/out"], 2, ["make it first"]),
        (["--family", "wav2lip", "--out", "."], 2, ["is there already"]),
        (["--family", "wav2lip", "--out", "out", "--wings", "2"], 2, ["--wings"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_call_gives_one_clear_line_and_leaves_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    got, _, err = call("export", "model.pth", *options)
    line = one_line(err)
    assert got == code, line
    for word in words:
        assert word in line
    assert os.listdir(tmp_path) == []


def test_the_help_needs_no_torch(call: Call) -> None:
    code, out, err = call("export", "--help")
    assert (code, err) == (0, "")
    assert "--align-corners / --no-align-corners" in out
    blocked = "import sys; sys.modules['torch'] = None; from realtime.cli.app import main; main(sys.argv[1:])"
    shown = subprocess.run(
        [sys.executable, "-c", blocked, "export", "--help"], capture_output=True, text=True, timeout=60
    )
    assert (shown.returncode, shown.stderr) == (0, "")


def test_what_is_not_installed_is_named_with_its_extra(tmp_path: Path) -> None:
    hide = (
        "import importlib.util as u, sys; real = u.find_spec; u.find_spec = lambda n: None if n == 'onnx' else real(n)"
    )
    code = f"{hide}; from realtime.cli.app import main; main(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", code, "export", "x", "--family", "wav2lip", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 2
    assert f"needs onnx: {pip_install('export')}" in one_line(ran.stderr)


# -- what is chosen for a First Order Motion Model


def test_the_age_of_a_checkpoint_tells_how_it_looked_features_up(shared: Path) -> None:
    assert was_made_with_corners(shared / "reference" / "fomm_small_legacy_cuda.pth.tar")
    assert not was_made_with_corners(shared / "reference" / "fomm_small.pth.tar")
    plan = plan_first_order_motion(shared / "reference" / "fomm_small_legacy_cuda.pth.tar")
    assert plan.training["align_corners"] is True
    assert "--align-corners, by the age" in plan.notes[0]
    asked = plan_first_order_motion(shared / "reference" / "fomm_small_legacy_cuda.pth.tar", align_corners=False)
    assert asked.training["align_corners"] is False
    assert "by the age" not in asked.notes[0]


def test_a_model_of_other_things_than_faces_says_so(shared: Path) -> None:
    drawn = plan_first_order_motion(shared / "reference" / "fomm_small_mgif.pth.tar")
    assert drawn.input["subject"] == "any"
    faces = plan_first_order_motion(shared / "reference" / "fomm_small.pth.tar")
    assert "subject" not in faces.input  # a card's default
    sizes = PUBLISHED["vox-256"]
    assert moves_faces("vox-adv-cpk", None, sizes)
    assert not moves_faces("taichi-cpk", None, sizes)
    assert not moves_faces("mine", "config/fashion-256.yaml", sizes)
    assert not moves_faces("mine", "mgif-256", PUBLISHED["mgif-256"])


def test_a_config_that_is_not_the_checkpoints_is_refused(shared: Path, call: Call, tmp_path: Path) -> None:
    file = shared / "reference" / "fomm_small.pth.tar"
    for config in ("vox-256", shared / "reference" / "fomm_small_mgif.yaml"):
        code, _, err = call(
            "export", file, "--family", "first-order-motion", "--out", tmp_path / "out", "--config", config
        )
        assert code == 4
        assert "fomm_small.pth.tar" in one_line(err)
    wide = (shared / "reference" / "fomm_small.yaml").read_text() + "\ndataset_params: {frame_shape: [100, 100, 3]}\n"
    (tmp_path / "odd.yaml").write_text(wide)
    code, _, err = call(
        "export", file, "--family", "first-order-motion", "--out", tmp_path / "out", "--config", tmp_path / "odd.yaml"
    )
    assert code == 2
    assert "100 px do not fit" in one_line(err)
    assert not (tmp_path / "out").exists()


def test_every_published_name_is_taken(shared: Path) -> None:
    for name in PUBLISHED:
        with pytest.raises(Exception, match="fomm_small") as caught:  # the weights are smaller than the published
            plan_first_order_motion(shared / "reference" / "fomm_small.pth.tar", config=name)
        assert type(caught.value).__name__ == "ModelError"

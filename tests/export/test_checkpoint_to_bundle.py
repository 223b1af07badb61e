"""A checkpoint becomes a bundle that gives what upstream gave, or nothing at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import one_line
from deepfacelab_models import smallest_parts, write_smallest

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")

from exported import SAEHD_OUTPUTS, check_animation, check_motion, nchw, on_cpu, planar, recorded, worst  # noqa: E402
from torch_keyfill import keyfill  # noqa: E402

from export.checkpoint_to_bundle import export_checkpoint  # noqa: E402
from export.networks.wav2lip import Wav2Lip  # noqa: E402
from export.options import ExportOptions  # noqa: E402
from export.torch_file import fill  # noqa: E402
from realtime.cli.models import add_model  # noqa: E402
from realtime.errors import ConfigError, DeviceError, MasqueradeError, ModelError  # noqa: E402
from realtime.families.face_swap.effect import open_autoencoder  # noqa: E402
from realtime.families.lip_sync.network import open_lip_sync  # noqa: E402
from realtime.models.bundle import hash_file, open_bundle  # noqa: E402


def test_a_deepfacelab_model_becomes_a_bundle(shared: Path, tmp_path: Path) -> None:
    folder, said = shared / "reference" / "saehd", []
    request = ExportOptions(
        checkpoint=folder / "microdf_SAEHD_encoder.npy",  # any file tells which model of the folder is meant
        family="deepfacelab",
        out=tmp_path / "eve",
        title="Eve",
        identity="synthetic",
        statement="Random weights.",
    )
    assert export_checkpoint(request, said.append) == tmp_path / "eve"
    assert os.listdir(tmp_path) == ["eve"]
    assert sorted(os.listdir(tmp_path / "eve")) == ["export.json", "model.toml", "swap.onnx"], "and no preview"
    bundle = open_bundle(tmp_path / "eve")
    card = bundle.card
    assert (card.name, card.title, card.family) == ("microdf", "Eve", "swap")
    assert (card.identity.kind, card.identity.statement) == ("synthetic", "Random weights.")
    assert (card.input.size, card.input.face_type, card.input.layout) == (64, "whole_face", "NCHW")
    assert card.training["kind"] == "SAEHD df-ud"
    wanted = recorded(folder / "microdf_SAEHD_out.npz")
    drawn = on_cpu(bundle.path("swap.onnx")).run({"face": planar(wanted["in_face"][:1])})
    for ours, theirs in SAEHD_OUTPUTS.items():
        assert worst(drawn[ours], planar(wanted[theirs][:1])) <= 1e-4
    record = json.loads((bundle.folder / "export.json").read_text())
    network = record["networks"]["swap.onnx"]
    assert f"sha256:{network['sha256']}" == card.files["swap.onnx"]
    assert (network["precision"], network["opset"]) == ("fp32", 20)
    assert 0 < network["worst_difference"] <= 1e-4
    assert record["source"]["files"]["microdf_SAEHD_inter.npy"] == hash_file(folder / "microdf_SAEHD_inter.npy")
    assert len(record["source"]["files"]) == 5
    assert {"torch", "onnx", "onnxruntime", "masquerade"} <= set(record["versions"])
    assert str(folder) not in (bundle.folder / "export.json").read_text() + bundle.card.model_dump_json()
    assert len(said) == 1
    assert "swap.onnx: fp32, opset 20" in said[0]


@pytest.mark.slow
def test_amp_keeps_its_morph_and_waits_for_an_identity(shared: Path, tmp_path: Path) -> None:
    out = export_checkpoint(
        ExportOptions(checkpoint=shared / "reference" / "amp", family="deepfacelab", out=tmp_path / "adam", name="adam")
    )
    assert "--identity" in one_line(lambda: open_bundle(out))
    assert "--statement" in one_line(lambda: add_model(out, identity="self"), ConfigError)
    bundle = add_model(out, identity="self", statement='Me, "Adam".')
    assert (bundle.card.identity.kind, bundle.card.identity.statement) == ("self", 'Me, "Adam".')
    assert bundle.card.input.morph
    wanted = recorded(shared / "reference" / "amp" / "microamp_AMP_out_ort.npz")
    session = on_cpu(bundle.path("swap.onnx"))
    for morph in (0.0, 0.25, 0.75, 1.0):
        drawn = session.run({"face": planar(wanted["in_face"][:1]), "morph": np.array([morph], np.float32)})
        for ours, theirs in SAEHD_OUTPUTS.items():
            assert worst(drawn[ours], planar(wanted[f"{theirs}_m{morph}"][:1])) <= 1e-4
    swapper = open_autoencoder(bundle, provider="cpu", precision="fp32")
    assert (swapper.size, swapper.face_type) == (64, "whole_face")
    swapper.close()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "align_corners"), [("fomm_small", None), ("fomm_small_mgif", True)])
def test_a_motion_model_becomes_three_networks(
    shared: Path, tmp_path: Path, name: str, align_corners: bool | None
) -> None:
    """The second one has a single Jacobian map."""
    wanted = recorded(shared / "reference" / f"{name}.npz")
    size = len(wanted["source"])
    yaml = (shared / "reference" / f"{name}.yaml").read_text()
    (tmp_path / "m.yaml").write_text(f"{yaml}\ndataset_params:\n  frame_shape: [{size}, {size}, 3]\n")
    said: list[str] = []
    request = ExportOptions(
        checkpoint=shared / "reference" / f"{name}.pth.tar",
        family="first-order-motion",
        out=tmp_path / "small",
        config=str(tmp_path / "m.yaml"),
        align_corners=align_corners,
    )
    bundle = open_bundle(export_checkpoint(request, said.append))
    card = bundle.card
    assert (card.name, card.family, card.identity.kind) == (name, "motion", "none")
    assert (card.input.size, card.input.colour) == (size, "RGB")
    if align_corners is None:
        assert card.training["align_corners"] is False, "a zip file is of today's PyTorch"
        assert "--no-align-corners, by the age" in said[0]
    networks = {file: on_cpu(bundle.path(file)) for file in card.files if file.endswith(".onnx")}
    check_motion(networks, wanted, align_corners=bool(align_corners))
    check_animation(bundle.folder, wanted, align_corners=bool(align_corners))


@pytest.mark.slow
def test_wav2lip_becomes_a_bundle(shared: Path, tmp_path: Path) -> None:
    """At full size: the recorded outputs are of the recipe's weights."""
    with torch.device("meta"):
        network = Wav2Lip()
    fill(network, keyfill(network), "keyfill-v1")
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 1}, tmp_path / "wav2lip.pth")
    out = export_checkpoint(ExportOptions(checkpoint=tmp_path / "wav2lip.pth", family="wav2lip", out=tmp_path / "lips"))
    bundle = open_bundle(out)
    assert (bundle.name, bundle.card.family, bundle.card.input.size) == ("wav2lip", "lip-sync", 96)
    session = on_cpu(bundle.path("lip_sync.onnx"))
    wanted = recorded(shared / "reference" / "w2l_keyfill_out.npz")
    for number, output in enumerate(wanted["output"][:3]):
        whole = nchw(wanted["faces_u8"][number])
        masked = whole.copy()
        masked[:, :, 48:] = 0
        feed = {"mel": wanted["mel_windows"][number][None, None], "faces": np.concatenate([masked, whole], 1)}
        assert worst(session.run(feed)["mouth"], output[None]) <= 1e-4
    lips = open_lip_sync(bundle, provider="cpu", precision="fp32", threads=1)
    for number, output in enumerate(wanted["output"][:3]):
        said = lips.mouth(wanted["faces_u8"][number], wanted["mel_windows"][number])
        assert np.abs(said - output.transpose(1, 2, 0) * 255).max() <= 0.51, "rounded to whole levels"
    lips.close()


# -- nothing at all


def tiny(folder: Path, **options: Any) -> Path:
    return write_smallest(folder, "df-u", **options)


def refused(tmp_path: Path, kind: type[MasqueradeError], **options: Any) -> str:
    """The one line of an export that fails, and that nothing is left of it."""
    (tmp_path / "place").mkdir(exist_ok=True)
    given = {"family": "deepfacelab", "out": tmp_path / "place" / "out"} | options
    line = one_line(lambda: export_checkpoint(ExportOptions(**given)), kind)
    assert os.listdir(tmp_path / "place") == []
    return line


@pytest.mark.slow
def test_a_checkpoint_beyond_half_precision_leaves_nothing(tmp_path: Path) -> None:
    """Weights so large that float16 is wrong: what is off by more than its precision explains is deleted."""
    parts = smallest_parts("df-u")
    for weights in parts.values():
        weights.update({name: weight * np.float32(300) for name, weight in weights.items()})
    model = tiny(tmp_path / "model", parts=parts)
    line = refused(tmp_path, ModelError, checkpoint=model, precision="fp16")
    assert "swap.onnx" in line


@pytest.mark.parametrize("family", ["first-order-motion", "wav2lip", "deepfacelab"])
def test_what_is_no_checkpoint_of_the_family_leaves_nothing(tmp_path: Path, family: str) -> None:
    (tmp_path / "noise.pth").write_bytes(bytes(range(256)) * 8)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pth")
    for name in ("noise.pth", "other.pth", "none.pth", "."):
        refused(tmp_path, ModelError, checkpoint=tmp_path / name, family=family)


def test_a_hostile_checkpoint_leaves_nothing_and_runs_nothing(tmp_path: Path) -> None:
    model = tiny(tmp_path / "model")
    canary = tmp_path / "canary"
    # A pickle that would make the file: os.mkdir(canary), protocol 0.
    call = f"cos\nmkdir\n(V{canary}\ntR.".encode()
    for file in ("tiny_SAEHD_inter.npy", "tiny_SAEHD_data.dat"):
        copy = tmp_path / file.partition(".")[0]
        shutil.copytree(model, copy)
        (copy / file).write_bytes(call)
        refused(tmp_path, ModelError, checkpoint=copy)
    (tmp_path / "call.pth").write_bytes(call)
    for family in ("first-order-motion", "wav2lip"):
        refused(tmp_path, ModelError, checkpoint=tmp_path / "call.pth", family=family)
    assert not canary.exists()


def test_an_unknown_face_type_is_asked_for(tmp_path: Path) -> None:
    model = tiny(tmp_path / "model", face_type="cat")
    assert "--face-type" in refused(tmp_path, ConfigError, checkpoint=model)
    assert "--face-type whole" in refused(tmp_path, ConfigError, checkpoint=model, face_type="whole")


@pytest.mark.parametrize("there", ["folder", "file", "broken link"])
def test_what_is_at_the_target_stays(tmp_path: Path, there: str) -> None:
    model, out = tiny(tmp_path / "model"), tmp_path / "out"
    if there == "folder":
        out.mkdir()
        (out / "mine").write_text("precious")
    elif there == "file":
        out.write_text("precious")
    else:
        out.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    request = ExportOptions(checkpoint=model, family="deepfacelab", out=out)
    assert "is there already" in one_line(lambda: export_checkpoint(request), ConfigError)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_target_without_a_place_says_so(tmp_path: Path) -> None:
    model = tiny(tmp_path / "model")
    request = ExportOptions(checkpoint=model, family="deepfacelab", out=tmp_path / "no" / "out")
    assert "make it first" in one_line(lambda: export_checkpoint(request), ConfigError)
    if Path("/proc/self").is_dir():  # a folder in which nobody can make one
        request = ExportOptions(checkpoint=model, family="deepfacelab", out=Path("/proc/out"))
        assert "choose another --out" in one_line(lambda: export_checkpoint(request), DeviceError)


@pytest.mark.slow
def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits of this kind on this system")
    model = tiny(tmp_path / "model")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))  # no file may grow beyond it
    try:
        line = refused(tmp_path, DeviceError, checkpoint=model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "make room there, or choose another --out" in line

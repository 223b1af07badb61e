""".dfm files: the recorded ones give what upstream gave, and what is no .dfm is refused with its reason."""

from pathlib import Path

import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from fakes import a_face

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.face_swap.dfm import dfm_wiring, inspect_dfm
from realtime.families.face_swap.effect import open_autoencoder
from realtime.inference.image_format import CropFormat
from realtime.inference.ort import open_session
from realtime.inference.session import Array, Session, TensorSpec
from realtime.models.bundle import open_bundle
from realtime.models.library import add_file, load_bundle

R = 32
F32 = np.dtype(np.float32)
SAEHD_IN = {"in_face:0": TensorSpec((None, R, R, 3), F32)}
AMP_IN = SAEHD_IN | {"morph_value:0": TensorSpec((1,), F32)}
OUT = {
    "out_face_mask:0": TensorSpec((None, R, R, 1), F32),
    "out_celeb_face:0": TensorSpec((None, R, R, 3), F32),
    "out_celeb_face_mask:0": TensorSpec((None, R, R, 1), F32),
}
PUBLIC = {
    "saehd/microdf_SAEHD_model.dfm": "saehd/microdf_SAEHD_out.npz",
    "saehd/microliae_SAEHD_model.dfm": "saehd/microliae_SAEHD_out.npz",
    "saehd_fp16/microdf_fp16.dfm": "saehd/microdf_SAEHD_out.npz",
}


def answers(value: float = 0.5) -> dict[str, Array]:
    """The three outputs, each of another brightness."""
    return {
        name: np.full([s or 1 for s in port.shape], value * k, np.float32)
        for k, (name, port) in zip((0.5, 1.0, 1.5), OUT.items(), strict=True)
    }


def on_cpu(model: Path) -> Session:
    return open_session(model, provider="cpu", precision="fp32", threads=1)


@pytest.mark.parametrize("dfm", PUBLIC)
def test_a_recorded_saehd_gives_what_upstream_gave(shared: Path, dfm: str) -> None:
    session = on_cpu(shared / "reference" / dfm)
    recorded = np.load(shared / "reference" / PUBLIC[dfm])
    wiring = dfm_wiring(session, dfm)
    assert (wiring.form, wiring.morph) == (CropFormat(64, "NHWC", "BGR", "0..1"), None)
    tolerance = 4e-3 if "fp16" in dfm else 1e-4  # upstream's own fp16 export is 2.4e-3 off
    for i in range(len(recorded["in_face"])):
        drawn = session.run({wiring.face: recorded["in_face"][i : i + 1]})
        for ours, theirs in (
            (wiring.drawn, "out_celeb_face"),
            (wiring.mask, "out_celeb_face_mask"),
            (wiring.driver_mask, "out_face_mask"),
        ):
            np.testing.assert_allclose(drawn[ours], recorded[theirs][i : i + 1], rtol=0, atol=tolerance)
    session.close()


@pytest.mark.parametrize("morph", [0.0, 0.25, 0.75, 1.0])
def test_a_recorded_amp_gives_what_upstream_gave_at_every_morph(shared: Path, morph: float) -> None:
    session = on_cpu(shared / "reference" / "amp" / "microamp_AMP_model.dfm")
    recorded = np.load(shared / "reference" / "amp" / "microamp_AMP_out_ort.npz")
    wiring = dfm_wiring(session, "amp")
    assert wiring.morph is not None
    drawn = session.run({wiring.face: recorded["in_face"], wiring.morph: np.array([morph], np.float32)})
    for ours, theirs in (
        (wiring.drawn, "celeb_face"),
        (wiring.mask, "celeb_face_mask"),
        (wiring.driver_mask, "face_mask"),
    ):
        np.testing.assert_allclose(drawn[ours], recorded[f"out_{theirs}_m{morph}"], rtol=0, atol=1e-4)
    session.close()


@pytest.mark.parametrize("name", ["microdf", "microliae"])
def test_from_the_file_to_the_picture(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    add_file(
        shared / f"reference/saehd/{name}_SAEHD_model.dfm",
        inspect=inspect_dfm,
        name=name,
        identity="synthetic",
        statement="Noise.",
    )
    recorded = np.load(shared / f"reference/saehd/{name}_SAEHD_out.npz")
    crop = np.rint(recorded["in_face"][0] * 255).astype(np.uint8)
    swapper = open_autoencoder(load_bundle(name), provider="cpu", precision="fp32", threads=1)
    swapped = swapper(crop, a_face(), np.eye(2, 3), Settings())
    session = on_cpu(load_bundle(name).path(f"{name}.dfm"))
    expected = session.run({"in_face:0": crop[None].astype(np.float32) / 255})
    levels = expected["out_celeb_face:0"][0] * 255
    assert np.abs(swapped.pixels - levels).max() <= 0.501, "rounded to the nearest level"
    np.testing.assert_allclose(swapped.mask, expected["out_celeb_face_mask:0"][0, :, :, 0], atol=1e-6)
    assert swapped.driver_mask is not None
    np.testing.assert_allclose(swapped.driver_mask, expected["out_face_mask:0"][0, :, :, 0], atol=1e-6)
    # The recorded input lies between our levels, so the recorded output is near, not equal.
    assert np.abs(swapped.pixels - recorded["out_celeb_face"][0] * 255).max() < 3
    assert (swapper.face_type, swapper.size, swapper.coverage) == ("whole_face", 64, None)
    session.close()
    swapper.close()


def test_the_morph_follows_the_live_settings(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    bundle = add_file(
        shared / "reference/amp/microamp_AMP_model.dfm",
        inspect=inspect_dfm,
        name="amp",
        identity="synthetic",
        statement="Noise.",
    )
    recorded = np.load(shared / "reference/amp/microamp_AMP_out_ort.npz")
    crop = np.rint(recorded["in_face"][0] * 255).astype(np.uint8)
    swapper = open_autoencoder(bundle, provider="cpu", precision="fp32", threads=1)
    for morph in (0.0, 0.25, 0.75, 1.0):
        swapped = swapper(crop, a_face(), np.eye(2, 3), Settings(morph=morph))
        near = np.abs(swapped.pixels - recorded[f"out_celeb_face_m{morph}"][0] * 255)
        assert near.max() < 3
    swapper.close()


def test_the_default_morph_is_the_one_that_users_know() -> None:
    assert Settings().morph == 0.75


def test_a_dfm_is_told_the_morph_only_if_it_asks(tmp_path: Path) -> None:
    card = {"size": R, "face_type": "head", "layout": "NHWC"}
    other = a_bundle(tmp_path / "other", contents={"eve.dfm": b"network"}, input=card)
    for inputs in (SAEHD_IN, AMP_IN):
        script = Script(dict(inputs), answers(), OUT)
        swapper = open_autoencoder(open_bundle(other), open_session=script.open)
        swapped = swapper(np.zeros((R, R, 3), np.uint8), a_face(), np.eye(2, 3), Settings(morph=0.25))
        assert script.fed[0].keys() == inputs.keys()
        assert script.fed[0].get("morph_value:0", np.array([0.25])).tolist() == [0.25]
        # By position: the driver's mask, the face, the face's mask.
        assert swapped.driver_mask is not None
        assert (swapped.driver_mask[0, 0], swapped.pixels[0, 0, 0], swapped.mask[0, 0]) == (0.25, 128, 0.75)


@pytest.mark.parametrize(
    "stated", [{}, {"size": R, "layout": "NHWC", "morph": True}, {"size": 2 * R, "range": "-1..1"}]
)
def test_the_file_says_what_it_is_fed_whatever_the_card_says(tmp_path: Path, stated: dict[str, object]) -> None:
    """Cards of version 0.1 repeat what the file says itself."""
    other = a_bundle(tmp_path / "eve", contents={"eve.dfm": b"network"}, input={"face_type": "head"} | stated)
    swapper = open_autoencoder(open_bundle(other), open_session=Script(dict(SAEHD_IN), answers(), OUT).open)
    assert (swapper.size, swapper.face_type) == (R, "head")


def ports(inputs: dict[str, TensorSpec], outputs: dict[str, TensorSpec]) -> Script:
    return Script(inputs, {}, outputs)


def changed(
    table: dict[str, TensorSpec], name: str, shape: tuple[int | None, ...], dtype: str = "float32"
) -> dict[str, TensorSpec]:
    return table | {name: TensorSpec(shape, np.dtype(dtype))}


NO_DFM = {
    "no inputs": (ports({}, OUT), "inputs are none"),
    "three inputs": (ports(AMP_IN | {"x": TensorSpec((1,), F32)}, OUT), "inputs are in_face:0"),
    "another first input": (ports({"input": TensorSpec((1, R, R, 3), F32)}, OUT), "wanted are in_face:0"),
    "another second input": (
        ports(SAEHD_IN | {"source": TensorSpec((1, 512), F32)}, OUT),
        "second input is source",
    ),
    "a morph for a crowd": (ports(changed(AMP_IN, "morph_value:0", (4,)), OUT), "second input"),
    "channels first": (ports(changed({}, "in_face:0", (1, 3, R, R)), OUT), "(N, R, R, 3)"),
    "a flat input": (ports(changed({}, "in_face:0", (R * R * 3,)), OUT), "(N, R, R, 3)"),
    "a batch of four": (ports(changed({}, "in_face:0", (4, R, R, 3)), OUT), "(N, R, R, 3)"),
    "no square": (ports(changed({}, "in_face:0", (None, R, 2 * R, 3)), OUT), "one fixed number"),
    "no fixed size": (ports(changed({}, "in_face:0", (None, None, None, 3)), OUT), "one fixed number"),
    "a poster": (ports(changed({}, "in_face:0", (None, 4096, 4096, 3)), OUT), "one fixed number"),
    "half floats": (ports(changed({}, "in_face:0", (None, R, R, 3), "float16"), OUT), "float16"),
    "one output, a mask model": (ports(SAEHD_IN, {"out_mask:0": TensorSpec((None, R, R, 1), F32)}), "1 outputs"),
    "a face of one channel": (
        ports(SAEHD_IN, changed(OUT, "out_celeb_face:0", (None, R, R, 1))),
        "should be",
    ),
    "a face of half the size": (
        ports(SAEHD_IN, changed(OUT, "out_celeb_face:0", (1, 16, 16, 3))),
        "should be",
    ),
    "a mask of two dimensions": (ports(SAEHD_IN, changed(OUT, "out_face_mask:0", (R, R))), "should be"),
    "a name that rings the bell": (ports({"\x07\x1b[2J": TensorSpec((1,), F32)}, OUT), "\\x07"),
}


@pytest.mark.parametrize("case", NO_DFM)
def test_what_is_no_dfm_is_refused_with_its_reason(case: str) -> None:
    session, says = NO_DFM[case]
    message = one_line(lambda: dfm_wiring(session, "file.dfm"))
    assert says in message
    assert "file.dfm" in message


def test_a_network_is_tried_before_it_is_taken() -> None:
    fine = Script(dict(AMP_IN), answers(), OUT)
    wiring = inspect_dfm(Path("a.dfm"), lambda _: fine)
    assert (wiring.form.size, wiring.morph) == (R, "morph_value:0")
    assert fine.closed == 1
    broken = Script(dict(SAEHD_IN), answers(np.nan), OUT)
    assert "no numbers" in one_line(lambda: inspect_dfm(Path("a.dfm"), lambda _: broken))
    assert broken.closed == 1


@pytest.mark.parametrize("damage", ["cut", "noise", "text"])
def test_a_damaged_dfm_is_refused_by_the_real_runtime(shared: Path, tmp_path: Path, damage: str) -> None:
    raw = (shared / "reference/saehd/microdf_SAEHD_model.dfm").read_bytes()
    broken = {
        "cut": raw[: len(raw) // 2],
        "noise": np.random.default_rng(1).bytes(4096),
        "text": b"<html>404</html>",
    }
    (tmp_path / "a.dfm").write_bytes(broken[damage])
    with pytest.raises(ModelError, match=r"a\.dfm"):
        inspect_dfm(tmp_path / "a.dfm")


def a_tiny_dfm(file: Path, *, amp: bool) -> Path:
    """A real ONNX file with a .dfm's ports: the face is the negative, weighed with the morph factor."""
    onnx = pytest.importorskip("onnx")
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        make.make_node("Sub", ["one", "in_face:0"], ["negative"]),
        make.make_node("Mul", ["negative", "morph_value:0" if amp else "one"], ["out_celeb_face:0"]),
        make.make_node("ReduceMean", ["in_face:0"], ["out_face_mask:0"], axes=[3]),
        make.make_node("Sub", ["one", "out_face_mask:0"], ["out_celeb_face_mask:0"]),
    ]
    shapes = {name: [s or "N" for s in port.shape] for name, port in (AMP_IN | OUT).items()}
    value = {name: make.make_tensor_value_info(name, floats, shape) for name, shape in shapes.items()}
    one = make.make_tensor("one", floats, [1], [1.0])
    inputs = [value[name] for name in (AMP_IN if amp else SAEHD_IN)]
    graph = make.make_graph(nodes, "tiny", inputs, [value[name] for name in OUT], [one])
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 12)], ir_version=7)
    file.write_bytes(model.SerializeToString())
    return file


@pytest.mark.parametrize("amp", [False, True])
def test_a_real_network_is_added_and_worn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amp: bool) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    file = a_tiny_dfm(tmp_path / "tiny.dfm", amp=amp)
    bundle = add_file(file, inspect=inspect_dfm, identity="synthetic", statement="Nobody: a negative.")
    swapper = open_autoencoder(bundle)
    crop = np.full((R, R, 3), (51, 102, 153), np.uint8)
    swapped = swapper(crop, a_face(), np.eye(2, 3), Settings(morph=0.5))
    weight = 0.5 if amp else 1.0
    expected = [round((255 - level) * weight + 1e-3) for level in (51, 102, 153)]
    assert swapped.pixels[0, 0].tolist() == pytest.approx(expected, abs=1)  # auto may mean bf16
    assert swapped.mask[0, 0] == pytest.approx(0.6, abs=0.01)
    assert swapped.driver_mask is not None
    assert swapped.driver_mask[0, 0] == pytest.approx(0.4, abs=0.01)
    swapper.close()

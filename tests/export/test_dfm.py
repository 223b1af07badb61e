"""A .dfm out of DeepFaceLab's own weight files: what it gives, and what its readers look at."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import one_line

torch = pytest.importorskip("torch", reason="the export needs the extra `export`")
onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

from deepfacelab_models import write_smallest  # noqa: E402
from exported import on_cpu, recorded, worst  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from export.checkpoint_to_bundle import export_checkpoint  # noqa: E402
from export.dfm_format import to_dfm  # noqa: E402
from export.options import ExportOptions  # noqa: E402
from realtime.cli.models import add_model  # noqa: E402
from realtime.families.face_swap.effect import open_autoencoder  # noqa: E402

OUTPUTS = ("out_face_mask", "out_celeb_face", "out_celeb_face_mask")


def written(checkpoint: Path, tmp_path: Path, **options: Any) -> Path:
    """The .dfm of a model, alone in its folder but for its record."""
    request = ExportOptions(checkpoint=checkpoint, family="deepfacelab", out=tmp_path / "out", format="dfm", **options)
    file = export_checkpoint(request)
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name, f"{file.name}.json"]
    return file


def ports(model: Any) -> list[tuple[str, int, list[Any]]]:
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [side.dim_value or side.dim_param for side in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    ]


@pytest.mark.slow
def test_a_saehd_dfm_is_what_deepfacelab_itself_exported(shared: Path, tmp_path: Path) -> None:
    folder = shared / "reference" / "saehd"
    file = written(folder / "microdf_SAEHD_data.dat", tmp_path)
    ours, theirs = onnx.load(file), onnx.load(folder / "microdf_SAEHD_model.dfm")
    assert ours.opset_import[0].version == max(o.version for o in theirs.opset_import if not o.domain) == 12
    assert ours.ir_version == theirs.ir_version == 7
    assert [(name, kind) for name, kind, _ in ports(ours)] == [(name, kind) for name, kind, _ in ports(theirs)]
    assert ports(ours)[0][2] == ["N", 64, 64, 3]
    wanted = recorded(folder / "microdf_SAEHD_out.npz")
    session, upstreams = on_cpu(file), on_cpu(folder / "microdf_SAEHD_model.dfm")
    assert list(session.outputs) == [f"{name}:0" for name in OUTPUTS], "readers go by their order"
    drawn = session.run({"in_face:0": wanted["in_face"]})
    both = upstreams.run({"in_face:0": wanted["in_face"]})
    for name in OUTPUTS:
        assert worst(drawn[f"{name}:0"], wanted[name]) <= 1e-4
        assert worst(drawn[f"{name}:0"], both[f"{name}:0"]) <= 1e-4
    bundle = add_model(file, identity="synthetic", statement="Random weights.")
    swapper = open_autoencoder(bundle, provider="cpu", precision="fp32")
    assert swapper.size == 64
    swapper.close()


@pytest.mark.slow
def test_an_amp_dfm_morphs_as_deepfacelabs_own(shared: Path, tmp_path: Path) -> None:
    file = written(shared / "reference" / "amp", tmp_path, name="adam")
    assert file.name == "adam.dfm"
    assert [(name, sides) for name, _, sides in ports(onnx.load(file))][:2] == [
        ("in_face:0", ["N", 64, 64, 3]),
        ("morph_value:0", [1]),
    ]
    wanted = recorded(shared / "reference" / "amp" / "microamp_AMP_out_ort.npz")
    session = on_cpu(file)
    for morph in (0.0, 0.25, 0.75, 1.0):
        drawn = session.run({"in_face:0": wanted["in_face"][:1], "morph_value:0": np.array([morph], np.float32)})
        for name in OUTPUTS:
            assert worst(drawn[f"{name}:0"], wanted[f"{name}_m{morph}"][:1]) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("archi", ["df", "df-t", "liae-c", "liae-udtc"])
def test_every_kind_takes_several_pictures_as_upstreams_do(tmp_path: Path, archi: str) -> None:
    file = written(write_smallest(tmp_path / "model", archi, resolution=32), tmp_path)
    faces = np.random.default_rng(1).random((3, 32, 32, 3), np.float32)
    session = on_cpu(file)
    together = session.run({"in_face:0": faces})
    for number in range(3):
        alone = session.run({"in_face:0": faces[number : number + 1]})
        for name, value in alone.items():
            assert worst(together[name][number : number + 1], value) <= 1e-5
    bundle = add_model(file, identity="synthetic", statement="Random weights.")
    open_autoencoder(bundle, provider="cpu", precision="fp32").close()


# -- the way down to opset 12


def graph(*nodes: Any, constants: dict[str, Any] | None = None) -> Any:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in (("x", (2, 3)), ("y", None))]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    made = helper.make_graph(list(nodes), "g", ports[:1], ports[1:], tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model: Any) -> np.ndarray[Any, Any]:
    return on_cpu(model.SerializeToString()).run({"x": np.arange(6, dtype=np.float32).reshape(2, 3)})["y"]


AXES = {"axes": np.array([1], np.int64)}
STEPS = {
    "mean": graph(helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1), constants=AXES),
    "mean of all": graph(helper.make_node("ReduceMean", ["x"], ["y"], noop_with_empty_axes=0)),
    "sum": graph(helper.make_node("ReduceSum", ["x", "axes"], ["y"]), constants=AXES),
    "unsqueeze": graph(helper.make_node("Unsqueeze", ["x", "axes"], ["y"]), constants=AXES),
    "squeeze": graph(
        helper.make_node("Unsqueeze", ["x", "axes"], ["z"]),
        helper.make_node("Squeeze", ["z", "axes"], ["y"]),
        constants=AXES,
    ),
    "reshape": graph(
        helper.make_node("Reshape", ["x", "to"], ["y"], allowzero=1), constants={"to": np.array([3, 2], np.int64)}
    ),
    "axes in a node": graph(
        helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(AXES["axes"])),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"]),
    ),
    "power": graph(helper.make_node("Pow", ["x", "two"], ["y"]), constants={"two": np.float32(2)}),
}


@pytest.mark.parametrize("name", STEPS)
def test_each_step_down_gives_the_same_numbers(name: str) -> None:
    model = onnx.shape_inference.infer_shapes(STEPS[name])
    before = model.SerializeToString()
    old = to_dfm(model)
    assert model.SerializeToString() == before, "the graph that was given stays as it is"
    assert (old.opset_import[0].version, old.ir_version) == (12, 7)
    assert "axes" not in {tensor.name for tensor in old.graph.initializer}
    np.testing.assert_array_equal(run(old), run(model))


@pytest.mark.parametrize(
    "model",
    [
        graph(helper.make_node("GridSample", ["x", "x"], ["y"])),
        graph(helper.make_node("Conv", ["x", "x"], ["y"], domain="com.microsoft")),
        graph(helper.make_node("ReduceMean", ["x", "x"], ["y"])),
        graph(
            helper.make_node("Reshape", ["x", "to"], ["y"], allowzero=1), constants={"to": np.array([0, 2], np.int64)}
        ),
    ],
    ids=["operator", "domain", "changing axes", "reshape to nothing"],
)
def test_what_a_dfm_cannot_hold_is_refused(model: Any) -> None:
    assert "a .dfm cannot hold" in one_line(lambda: to_dfm(model))

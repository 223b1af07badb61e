"""Our own reading of ONNX graphs: the same as the `onnx` package's, and one line for what is damaged."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from realtime.errors import ModelError
from realtime.inference.onnx_graph import read_graph
from realtime.inference.session import TensorSpec
from realtime.models.library import built_in_folder


def same(data: bytes) -> None:
    """Nodes, attributes, weights, inputs and outputs are what the `onnx` package reads."""
    wanted, got = onnx.load_from_string(data), read_graph(data, "it")
    assert got.opset == next(o.version for o in wanted.opset_import if o.domain == "")
    assert list(got.outputs) == [o.name for o in wanted.graph.output]
    assert [(n.operator, *n.inputs, *n.outputs) for n in got.nodes] == [
        (n.op_type, *n.input, *n.output) for n in wanted.graph.node
    ]
    for stored in wanted.graph.initializer:
        np.testing.assert_array_equal(numpy_helper.to_array(stored), got.constants[stored.name])
        assert numpy_helper.to_array(stored).dtype == got.constants[stored.name].dtype
    for theirs, ours in zip(wanted.graph.node, got.nodes, strict=True):
        assert {a.name for a in theirs.attribute} == set(ours.attributes)
        for attribute in theirs.attribute:
            value, read = helper.get_attribute_value(attribute), ours.attributes[attribute.name]
            if isinstance(value, TensorProto):
                np.testing.assert_array_equal(numpy_helper.to_array(value), read)
            elif isinstance(value, bytes):
                assert value.decode() == read
            elif isinstance(value, int | float):
                assert read == value
            else:
                assert read == [v.decode() if isinstance(v, bytes) else v for v in value]


@pytest.mark.parametrize("file", ["ada/swap.onnx", "face/landmarks.onnx", "face/detector.onnx"])
def test_the_packaged_networks(file: str) -> None:
    same((built_in_folder() / file).read_bytes())


def test_public_face_swap_files(shared: Path) -> None:
    files = sorted((shared / "reference").rglob("*.dfm"))
    assert files
    for file in files:
        same(file.read_bytes())


def a_graph(weights: list[onnx.TensorProto], nodes: list[onnx.NodeProto] | None = None) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n", 3, 0])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    made = nodes or [helper.make_node("Identity", ["x"], ["y"])]
    graph = helper.make_graph(made, "g", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.uint8, np.bool_, np.uint64]
)
def test_every_kind_of_stored_number(dtype: type, raw: bool) -> None:
    values = np.array([[0, 1, -2, 3], [100, -5, 6, 7]]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    content = values.tobytes() if raw else values.ravel().tolist()
    same(a_graph([helper.make_tensor("w", kind, values.shape, content, raw=raw)]).SerializeToString())


def test_attributes_of_every_kind() -> None:
    tensor = numpy_helper.from_array(np.arange(3.0))
    node = helper.make_node(
        "Identity", ["x"], ["y"], a=1.5, b=-3, c="text", d=tensor, e=[1.5, -2.0], f=[1, -1, 1 << 40], g=["u", "v"]
    )
    same(a_graph([], [node]).SerializeToString())


def test_ports() -> None:
    got = read_graph(a_graph([]).SerializeToString(), "it")
    assert got.inputs == {"x": TensorSpec((None, 3, None), np.dtype(np.float16))}


def test_damage_is_one_line() -> None:
    whole = a_graph([numpy_helper.from_array(np.arange(12, dtype=np.float32), "w")]).SerializeToString()
    rng, said = np.random.default_rng(0), 0
    for number in range(400):
        spoilt = bytearray(whole[: rng.integers(1, len(whole))] if number % 4 == 0 else whole)
        for at in rng.integers(0, len(spoilt), 3):
            spoilt[at] = rng.integers(0, 256)
        lines = complaint(bytes(spoilt)).splitlines()
        assert len(lines) <= 1
        said += len(lines)
    assert said > 100


def complaint(data: bytes) -> str:
    """What a ModelError says, or nothing; any other error is the test's."""
    try:
        read_graph(data, "it")
    except ModelError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.graph.initializer[0].dims.append(9),
        lambda m: m.graph.initializer[0].dims.__setitem__(0, -3),
        lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING),
        lambda m: setattr(m.graph.initializer[0], "raw_data", b"odd"),
        lambda m: m.ClearField("opset_import"),
        lambda m: m.graph.input[0].ClearField("type"),
    ],
)
def test_what_does_not_add_up_is_refused(spoil: object) -> None:
    model = a_graph([numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")])
    assert callable(spoil)
    spoil(model)
    with pytest.raises(ModelError, match=r"^it "):
        read_graph(model.SerializeToString(), "it")

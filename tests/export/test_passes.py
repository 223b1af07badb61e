"""The passes of an export: what need not be computed goes; numbers, names and shapes stay."""

from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="the export needs the extra `export`")

from onnx import TensorProto, helper
from small_graphs import Graph, feed_of, operators, rewritten, run, same_ports, worst
from small_specs import exported_small

from export.passes import split_doubled_convolutions, tidy

FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
HALF = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
DOUBLE = np.array([1, 1, 2, 2], np.float32)


def cluttered() -> onnx.ModelProto:
    graph = Graph()
    norm = [graph.random.random(8).astype("f4") + 0.5 for _ in range(4)]
    v = graph.add("Conv", ["x", graph.draw(8, 3, 3, 3)], pads=[1] * 4)
    v = graph.add("BatchNormalization", [v, *norm])
    v = graph.add("Identity", [graph.add("Dropout", [v])])
    v = graph.add("Cast", [v], to=TensorProto.FLOAT)
    v = graph.add("Add", [graph.add("Relu", [v]), graph.add("Relu", [v])])
    half = graph.add("Cast", [graph.draw(4, 8, 3, 3).astype(np.float16)], to=TensorProto.FLOAT)
    scaled = graph.add("Mul", [half, graph.add("Sqrt", [np.array(4, "f4")])])
    graph.add("Exp", [v], "dead")
    graph.add("Conv", [v, scaled], "y", pads=[1] * 4)
    return graph.model({"x": ["N", 3, 9, 7]}, {"y": ["N", 4, 9, 7]})


def test_clutter_goes_and_the_numbers_stay() -> None:
    model = cluttered()
    simple = tidy(model)
    assert operators(simple) == {"Conv": 2, "Relu": 1, "Add": 1}
    assert all(weight.data_type == TensorProto.FLOAT for weight in simple.graph.initializer)
    assert same_ports(model, simple)
    feed = feed_of(model, batch=2)
    assert worst(model, simple, feed) < 1e-5


def test_the_given_model_is_not_changed() -> None:
    model = cluttered()
    before = model.SerializeToString(deterministic=True)
    tidy(model)
    assert model.SerializeToString(deterministic=True) == before


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert tidy(cluttered()).SerializeToString() == tidy(cluttered()).SerializeToString()


def test_weights_listed_among_the_inputs_are_weights() -> None:
    model = cluttered()
    weight = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, weight.dims))
    simple = tidy(model)
    assert [port.name for port in simple.graph.input] == ["x"]
    assert operators(simple)["BatchNormalization"] == 0


def test_an_output_that_is_an_input_or_a_constant_keeps_its_name() -> None:
    graph = Graph()
    graph.add("Identity", ["x"], "same")
    graph.add("Add", [graph.draw(1, 3), graph.draw(1, 3)], "fixed")
    model = graph.model({"x": [1, 3]}, {"same": [1, 3], "fixed": [1, 3]})
    simple = tidy(model)
    assert same_ports(model, simple)
    for got, expected in zip(run(simple), run(model), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def doubled(side: int = 3, activation: str = "Relu", bias: bool = True, **resize: Any) -> onnx.ModelProto:
    graph = Graph()
    large = graph.add("Resize", ["x", "", DOUBLE], mode="nearest", **resize)
    weights = [graph.draw(5, 16, side, side), *([graph.draw(5)] if bias else [])]
    out = graph.add("Conv", [large, *weights], pads=[side // 2] * 4)
    given = {"alpha": 0.3} if activation == "LeakyRelu" else {}
    graph.add(activation, [out], "y", **given)
    return graph.model({"x": ["N", 16, 9, 8]}, {"y": ["N", 5, 18, 16]})


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("resize", [FLOOR, HALF])
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu", "Neg"])
def test_a_doubled_picture_is_never_made(side: int, resize: dict[str, str], activation: str) -> None:
    model = doubled(side, activation, bias=activation != "Neg", **resize)
    fast = rewritten(model, split_doubled_convolutions, places=1)
    found = operators(fast)
    assert (found["Resize"], found["Conv"], found["DepthToSpace"]) == (0, 4, 1)
    assert found[activation] == (1 if activation == "Neg" else 4)
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


def with_another_user() -> onnx.ModelProto:
    model = doubled(**FLOOR)
    model.graph.output.append(onnx.helper.make_tensor_value_info("v0", 1, ["N", 16, 18, 16]))
    return model


def with_computed_weights() -> onnx.ModelProto:
    graph = Graph()
    large = graph.add("Resize", ["x", "", DOUBLE], mode="nearest", **FLOOR)
    graph.add("Conv", [large, "w"], "y", pads=[1] * 4)
    return graph.model({"x": [1, 16, 8, 8], "w": [3, 16, 3, 3]}, {"y": [1, 3, 16, 16]})


def convolved(**ways: Any) -> onnx.ModelProto:
    graph = Graph()
    large = graph.add("Resize", ["x", "", DOUBLE], mode="nearest", **FLOOR)
    graph.add("Conv", [large, graph.draw(4, 16 // ways.get("group", 1), 3, 3)], "y", **{"pads": [1] * 4, **ways})
    side = {(2, 2): 8, (1, 1): 16}[tuple(ways.get("strides", (1, 1)))] - 2 * ("pads" in ways)
    return graph.model({"x": [1, 16, 8, 8]}, {"y": [1, 4, side, side]})


@pytest.mark.parametrize(
    "model",
    [
        with_another_user(),
        with_computed_weights(),
        doubled(coordinate_transformation_mode="asymmetric", nearest_mode="ceil"),
        doubled(coordinate_transformation_mode="align_corners", nearest_mode="floor"),
        convolved(group=2),
        convolved(strides=[2, 2]),
        convolved(pads=[0] * 4),
    ],
    ids=["another user", "computed weights", "ceil", "align corners", "groups", "strides", "no pads"],
)
def test_what_is_anything_else_stays(model: onnx.ModelProto) -> None:
    rewritten(model, split_doubled_convolutions, places=0)


@pytest.mark.parametrize(
    "name",
    ["Wav2Lip", *(pytest.param(n, marks=pytest.mark.slow) for n in ("FOMM frame", "FOMM keypoints", "SAEHD df-udtc"))],
)
def test_the_networks_of_every_family_keep_their_numbers(name: str) -> None:
    spec, model = exported_small(name)
    fast = tidy(model)
    onnx.checker.check_model(fast, full_check=True)
    assert same_ports(model, fast)
    feed = spec.samples(1)[0]
    assert worst(model, fast, {key: np.asarray(value) for key, value in feed.items()}, least=1e-3) < 1e-5
    if name.startswith("FOMM"):
        assert operators(fast)["Resize"] < operators(model)["Resize"]


def test_recorded_dfm_files_keep_their_numbers(shared: Any) -> None:
    files = sorted((shared / "reference").rglob("*.dfm"))
    assert files
    for file in files:
        model = onnx.load(file)
        feed = {
            port.name: np.full([s.dim_value or 1 for s in port.type.tensor_type.shape.dim], 0.5, "f4")
            for port in model.graph.input
        }
        fast = tidy(model)
        assert [p.name for p in fast.graph.output] == [p.name for p in model.graph.output]
        assert max(float(np.abs(a - b).max()) for a, b in zip(run(model, feed), run(fast, feed), strict=True)) < 1e-4

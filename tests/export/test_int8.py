"""int8 networks: right on every CPU, as good as promised or refused, and the same every time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import one_line
from small_graphs import Graph

pytest.importorskip("torch", reason="the export needs the extra `export`")

from onnx import TensorProto, helper, numpy_helper

from export.int8 import Form, quantise
from export.parity import Kind, compare
from realtime.inference.ort import open_session
from realtime.inference.session import Array

SIDE = 24
DRAWN: Mapping[str, Kind] = {"drawn": "mask"}  # at 32 dB; the small network's three layers give 35 to 37
FORMS: tuple[Form, ...] = ("cpu", "tensorrt")


def picture_network(*, ruined: bool = False, half: bool = False) -> onnx.ModelProto:
    """`face` (1, 3, 24, 24) -> `drawn` 0..1, of the same shape: three convolutions, ReLUs, a residual sum.

    `ruined`: a rapid sine at the end makes noise of any rounding. `half`: float16 weights and arithmetic.
    """
    rng = np.random.default_rng(7)
    nodes, weights = [], []

    def convolution(source: str, made: str, inputs: int, outputs: int) -> str:
        scale = (2 / (9 * inputs)) ** 0.5
        parts = (rng.normal(0, scale, (outputs, inputs, 3, 3)), rng.normal(0, 0.1, outputs))
        names = [f"{made}.weight", f"{made}.bias"]
        dtype = np.float16 if half else np.float32
        weights.extend(numpy_helper.from_array(p.astype(dtype), n) for p, n in zip(parts, names, strict=True))
        nodes.append(helper.make_node("Conv", [source, *names], [made], made, pads=[1] * 4))
        return made

    def step(operator: str, sources: list[str], made: str, **how: object) -> str:
        nodes.append(helper.make_node(operator, sources, [made], made, **how))
        return made

    source = step("Cast", ["face"], "half", to=TensorProto.FLOAT16) if half else "face"
    first = step("Relu", [convolution(source, "first", 3, 12)], "first.relu")
    second = convolution(first, "second", 12, 12)
    total = step("Relu", [step("Add", [first, second], "sum")], "sum.relu")
    last = convolution(total, "third", 12, 3)
    if ruined:
        weights.append(numpy_helper.from_array(np.array(500, np.float32), "rapid"))
        last = step("Sin", [step("Mul", [last, "rapid"], "angle")], "sine")
    drawn = step("Sigmoid", [last], "soft" if half else "drawn")
    if half:
        step("Cast", [drawn], "drawn", to=TensorProto.FLOAT)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, SIDE, SIDE]) for name in ("face", "drawn")]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def faces(count: int, seed: int, *, bright: float = 1.0) -> list[dict[str, np.ndarray]]:
    """Seeded feeds of the network above."""
    rng = np.random.default_rng(seed)
    return [{"face": (bright * rng.random((1, 3, SIDE, SIDE))).astype(np.float32)} for _ in range(count)]


SEEN, UNSEEN = faces(12, 1), faces(4, 2)


def ran(model: onnx.ModelProto, feed: Mapping[str, Any]) -> dict[str, Array]:
    session = open_session(model.SerializeToString(), provider="cpu")
    try:
        return session.run(feed)
    finally:
        session.close()


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def pairs(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """What DequantizeLinear makes of each tensor, by its output."""
    return {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}


def every_layer() -> onnx.ModelProto:
    """A convolution, a transposed one, dense layers both ways, a matrix; one of whose channels is far larger."""
    graph = Graph()
    uneven = graph.draw(4, 3, 3, 3) * np.float32([1e-3, 1, 10, 1e3]).reshape(4, 1, 1, 1)
    value = graph.add("Conv", ["x", uneven], pads=[1] * 4)
    value = graph.add("ConvTranspose", [value, graph.draw(4, 2, 2, 2)], strides=[2, 2])
    value = graph.add("Gemm", [graph.add("Flatten", [value]), graph.draw(128, 24), graph.draw(24)])
    value = graph.add("Gemm", [value, graph.draw(24, 24)], transB=1)
    graph.add("MatMul", [value, graph.draw(24, 16)], "y")
    return graph.model({"x": [1, 3, 4, 4]}, {"y": [1, 16]})


@pytest.mark.parametrize("form", FORMS)
def test_two_products_fit_sixteen_bits_on_every_cpu(form: Form) -> None:
    """AVX2 adds pairs of uint8 x int8 in int16, and saturates. No stored weight may let a pair get there."""
    samples = [{"x": np.random.default_rng(n).random((1, 3, 4, 4), np.float32)} for n in range(4)]
    made = quantise(every_layer(), samples, None, form=form).model
    known, dequantised = constants(made), pairs(made)
    layers = [node for node in made.graph.node if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")]
    stored = [known[dequantised[n.input[1]].input[0]] for n in layers if n.input[1] in dequantised]
    assert len(stored) == (5 if form == "tensorrt" else 4)  # ONNX Runtime has no transposed convolution in integers
    largest = 255  # int8 activations are shifted to uint8 by kernels that have no other
    for weights in stored:
        assert weights.dtype == np.int8
        assert 2 * largest * np.abs(weights.astype(int)).max() <= np.iinfo(np.int16).max
        assert np.abs(weights.astype(int)).max() >= 63  # and no bit more is given away


@pytest.mark.parametrize("form", FORMS)
def test_every_channel_has_its_own_scale(form: Form) -> None:
    samples = [{"x": np.random.default_rng(n).random((1, 3, 4, 4), np.float32)} for n in range(4)]
    exact = every_layer()
    made = quantise(exact, samples, None, form=form).model
    known, dequantised = constants(made), pairs(made)
    node = next(node for node in made.graph.node if node.op_type == "Conv")
    steps, scale, zero = (known[name] for name in dequantised[node.input[1]].input)
    assert scale.shape == (4,)
    assert not zero.any()
    away = np.abs(steps * scale.reshape(4, 1, 1, 1) - constants(exact)["w0"])
    assert (away.max(axis=(1, 2, 3)) <= scale * 0.51).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_bias_of_a_dead_channel_does_not_overflow(form: Form) -> None:
    """ONNX Runtime makes float biases whole by itself, and does not look whether they fit."""
    dead = np.stack([np.zeros((3, 1, 1)), np.full((3, 1, 1), 1e-10), np.ones((3, 1, 1))]).astype(np.float32)
    graph = Graph()
    one = graph.add("Conv", ["x", dead, np.array([3, -3, 0], np.float32)])
    graph.add("Sigmoid", [graph.add("Conv", [one, np.eye(3, dtype=np.float32)[:, :, None, None]])], "y")
    model = graph.model({"x": [1, 3, 8, 8]}, {"y": [1, 3, 8, 8]})
    samples = [{"x": np.full((1, 3, 8, 8), n / 4, np.float32)} for n in range(5)]
    found = ran(quantise(model, samples, None, form=form).model, samples[-1])["y"]
    np.testing.assert_allclose(found[0, :, 0, 0], 1 / (1 + np.exp([-3, 3, -3])), atol=2e-3)


@pytest.mark.parametrize("form", FORMS)
def test_it_runs_in_int8_and_draws_what_fp32_draws(form: Form) -> None:
    model = picture_network()
    done = quantise(model, SEEN, DRAWN, form=form)
    assert done.facts["layers_in_int8"] == 3
    exact, near = (open_session(m.SerializeToString(), provider="cpu") for m in (model, done.model))
    assert near.precision == "int8"
    assert dict(near.inputs) == dict(exact.inputs)
    assert dict(near.outputs) == dict(exact.outputs)
    found = compare(exact, near, UNSEEN, DRAWN)
    assert found.strain("int8") <= 1
    assert found.worst.worst > 0  # it really was rounded


def test_the_cpu_really_multiplies_integers(tmp_path: Path) -> None:
    import onnxruntime as ort

    model = quantise(picture_network(), SEEN, DRAWN).model
    assert TensorProto.INT32 in {tensor.data_type for tensor in model.graph.initializer}
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = f"{tmp_path}/optimized.onnx"
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    run = [node.op_type for node in onnx.load(f"{tmp_path}/optimized.onnx").graph.node]
    assert run.count("QLinearConv") == 3
    assert "Conv" not in run


def test_the_form_for_tensorrt_is_symmetric_and_keeps_float_biases() -> None:
    made = quantise(picture_network(), SEEN, DRAWN, form="tensorrt").model
    known, dequantised = constants(made), pairs(made)
    assert {value.dtype.name for value in known.values()} == {"float32", "int8"}
    assert not any(known[node.input[2]].any() for node in dequantised.values())
    layers = [node for node in made.graph.node if node.op_type == "Conv"]
    assert all(name in dequantised for node in layers for name in node.input[:2])
    assert all(known[node.input[2]].dtype == np.float32 for node in layers)
    kinds = {name: node.op_type for node in made.graph.node for name in node.output}
    sums = next(node for node in made.graph.node if node.op_type == "Add")
    assert kinds[sums.input[1]] == "Conv"  # only layers see rounded values


def test_the_same_samples_give_the_same_bytes() -> None:
    once, again = (quantise(picture_network(), SEEN, DRAWN) for _ in range(2))
    assert once.model.SerializeToString() == again.model.SerializeToString()
    assert once.facts == again.facts


@pytest.mark.parametrize("form", FORMS)
def test_a_network_that_int8_ruins_is_refused(form: Form) -> None:
    says = one_line(lambda: quantise(picture_network(ruined=True), SEEN, DRAWN, form=form))
    assert "only 0% of the work can be int8" in says


def test_a_layer_that_hurts_stays_in_fp32_and_the_others_do_not() -> None:
    """A pixel of the picture decides by a sign: the layer before it can't be rounded, those after it can."""
    model = picture_network()
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    first = numpy_helper.to_array(weights["first.weight"]).copy()
    first[:, :, 1, 1] += 40  # it gives far more than the picture shows, and what is left after it shows all errors
    weights["first.weight"].CopyFrom(numpy_helper.from_array(first, "first.weight"))
    for name in ("second.weight", "third.weight"):
        small = numpy_helper.to_array(weights[name]) / np.float32(12)
        weights[name].CopyFrom(numpy_helper.from_array(small, name))
    said: list[str] = []
    done = quantise(model, SEEN, {"drawn": "face"}, say=said.append)
    assert 0 < done.facts["layers_in_int8"] < 3
    assert len(done.facts["kept_in_fp32"]) == 3 - done.facts["layers_in_int8"]
    exact, near = (open_session(m.SerializeToString(), provider="cpu") for m in (model, done.model))
    assert compare(exact, near, UNSEEN, {"drawn": "face"}).strain("int8") <= 1
    floats = {t.name for t in done.model.graph.initializer if t.data_type == TensorProto.FLOAT}
    assert {f"{name}.weight" for name in done.facts["kept_in_fp32"]} <= floats
    assert any("measured alone" in line for line in said)
    assert all("\n" not in line for line in said)


def test_what_cannot_be_quantised_is_named() -> None:
    endless = picture_network()
    endless.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.full((12, 3, 3, 3), 3e38, np.float32), "first.weight")
    )
    empty = picture_network()
    del empty.graph.node[:-1]
    empty.graph.node[0].input[0] = "face"
    for model, samples, says in (
        (endless, SEEN, "no numbers"),
        (empty, SEEN, "needs layers"),
        (picture_network(), [], "samples to calibrate"),
    ):
        assert says in one_line(lambda model=model, samples=samples: quantise(model, samples, DRAWN))

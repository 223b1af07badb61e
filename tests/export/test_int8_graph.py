"""Where pairs go: what stays in integers, what is left alone, and that trying equals making."""

from itertools import combinations
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_networks import faces, picture_network

from export.int8_graph import OPERATORS, Ends, Form, Placer
from export.int8_judge import runner
from export.int8_layers import find_layers, named
from export.int8_probe import Probe
from export.int8_ranges import spreads
from export.int8_weights import along, rounded_weight


def network(nodes: list[Any], weights: dict[str, Any], x: list[int], y: list[int]) -> onnx.ModelProto:
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", x), ("y", y))]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "network", ports[:1], ports[1:], tensors)
    return named(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def placer(model: onnx.ModelProto, form: Form = "cpu") -> Placer:
    return Placer(model, find_layers(model, OPERATORS[form]), form)


def weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(0, 0.3, shape).astype(np.float32)


def ends(model: onnx.ModelProto, tensors: list[str], feeds: list[Any], form: Form) -> dict[str, Ends]:
    found = spreads(model, tensors, feeds)
    return {name: spread.range("largest", symmetric=form == "tensorrt") for name, spread in found.items()}


def decoder() -> onnx.ModelProto:
    """Two convolutions with all between them that a decoder has: a gain for each channel, LeakyRelu, a shuffle."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["wide"], "one", pads=[1] * 4),
        helper.make_node("ReduceMean", ["x"], ["mean"], "mean", keepdims=1),
        helper.make_node("Mul", ["wide", "mean"], ["told"], "gain"),
        helper.make_node("LeakyRelu", ["told"], ["leaked"], "leak", alpha=0.1),
        helper.make_node("DepthToSpace", ["leaked"], ["large"], "shuffle", blocksize=2),
        helper.make_node("Conv", ["large", "w2"], ["last"], "two", pads=[1] * 4),
        helper.make_node("Sigmoid", ["last"], ["y"], "end"),
    ]
    weights = {"w1": weight(16, 3, 3, 3), "b1": weight(16), "w2": weight(3, 4, 3, 3)}
    return network(nodes, weights, [1, 3, 8, 8], [1, 3, 16, 16])


def test_what_lies_between_two_layers_is_rounded_too() -> None:
    model = decoder()
    both = placer(model).tensors(["one", "two"])
    # The gain is small, so it is rounded though no layer made it; the shuffle keeps the steps of what it moves.
    assert both == {
        "x": "x",
        "wide": "wide",
        "mean": "mean",
        "told": "told",
        "leaked": "leaked",
        "large": "leaked",
        "last": "last",
    }
    assert placer(model).tensors(["one"]) == {"x": "x", "wide": "wide"}
    assert placer(model).tensors(["two"]) == {"large": "large", "last": "last"}
    assert placer(model, "tensorrt").tensors(["one", "two"]) == {"x": "x", "large": "large"}


def test_a_layer_that_gives_an_output_is_left_alone_on_cpus() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["one"], "one"),
        helper.make_node("Relu", ["one"], ["y"], "end"),
    ]
    model = network(nodes, {"w": weight(4, 3, 1, 1)}, [1, 3, 8, 8], [1, 4, 8, 8])
    assert not placer(model).layers
    assert list(placer(model, "tensorrt").layers) == ["one"]


def test_layers_of_every_kind_are_found_with_the_axis_of_their_channels() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["a"], "conv", pads=[1] * 4),
        helper.make_node("ConvTranspose", ["a", "transposed"], ["b"], "transposed", strides=[2, 2]),
        helper.make_node("Flatten", ["b"], ["c"], "flat"),
        helper.make_node("Gemm", ["c", "dense", "bias"], ["d"], "dense"),
        helper.make_node("Gemm", ["d", "turned"], ["e"], "turned", transB=1),
        helper.make_node("MatMul", ["e", "matrix"], ["f"], "matrix"),
        helper.make_node("MatMul", ["f", "f2"], ["g"], "of two tensors"),
        helper.make_node("Gemm", ["e", "turned"], ["h"], "scaled", transB=1, alpha=0.5),
        helper.make_node("Transpose", ["f"], ["f2"], "moved"),
        helper.make_node("Add", ["g", "h"], ["y"], "sum"),
    ]
    order = [0, 1, 2, 3, 4, 5, 8, 6, 7, 9]
    weights = {
        "conv": weight(4, 3, 3, 3),
        "transposed": weight(4, 2, 2, 2),
        "dense": weight(128, 24),
        "bias": weight(24),
        "turned": weight(24, 24),
        "matrix": weight(24, 16),
    }
    model = network([nodes[n] for n in order], weights, [1, 3, 4, 4], [1, 24])
    found = {layer.node: layer for layer in find_layers(model, OPERATORS["tensorrt"])}
    assert {name: layer.axis for name, layer in found.items()} == {
        "conv": 0,
        "transposed": 1,
        "dense": 1,
        "turned": 0,
        "matrix": 1,
    }
    assert sum(layer.work for layer in found.values()) == pytest.approx(1)
    # 16 places of 4 * 3 * 9, against 16 pixels of 4 * 2 * 4, each with what fetching the weights costs.
    assert found["conv"].work / found["transposed"].work == pytest.approx((16 + 16) * 108 / ((16 + 16) * 32))
    assert "transposed" not in {layer.node for layer in find_layers(model, OPERATORS["cpu"])}


@pytest.mark.parametrize("form", ["cpu", "tensorrt"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_trying_a_choice_gives_what_making_it_gives(form: Form, count: int) -> None:
    model, feeds = named(picture_network()), faces(3, 4)
    here = placer(model, form)
    probe = Probe(model, here)
    ranges = ends(model, probe.tensors, feeds, form)
    for chosen in combinations(here.layers, count):
        made = here.place(chosen, ranges)
        onnx.checker.check_model(made, full_check=True)
        run, tried, exact = runner(made), probe.tried(chosen, ranges), runner(model)
        for feed in feeds:
            off = np.abs(run(feed)["drawn"] - exact(feed)["drawn"])
            assert off.max() > 1e-4
            # A value on the border of two steps may fall to either side, and shift the next layer by a step.
            assert np.abs(run(feed)["drawn"] - tried(feed)["drawn"]).mean() < 0.15 * off.mean()


def test_one_set_of_weights_in_two_layers_is_rounded_for_each() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["one"], "one", pads=[1] * 4),
        helper.make_node("Relu", ["one"], ["kept"], "kept"),
        helper.make_node("Conv", ["kept", "w", "b"], ["two"], "two", pads=[1] * 4),
        helper.make_node("Sigmoid", ["two"], ["y"], "end"),
    ]
    model = network(nodes, {"w": weight(3, 3, 3, 3), "b": weight(3)}, [1, 3, 8, 8], [1, 3, 8, 8])
    here = placer(model)
    feeds = [{"x": feed["face"][:, :, :8, :8]} for feed in faces(2, 1)]
    ranges = ends(model, sorted(set(here.tensors(["one", "two"]).values())), feeds, "cpu")
    both, first = here.place(["one", "two"], ranges), here.place(["one"], ranges)
    for made in (both, first):
        onnx.checker.check_model(made, full_check=True)
        assert np.abs(runner(made)(feeds[0])["y"] - runner(model)(feeds[0])["y"]).max() < 0.05
    assert "w" in {tensor.name for tensor in first.graph.initializer}
    assert "w" not in {tensor.name for tensor in both.graph.initializer}


@pytest.mark.parametrize("form", ["cpu", "tensorrt"])
def test_the_bias_of_a_dead_channel_does_not_overflow(form: Form) -> None:
    """ONNX Runtime makes float biases whole by itself, and does not look whether they fit."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["one"], "one"),
        helper.make_node("Conv", ["one", "same"], ["two"], "two"),
        helper.make_node("Sigmoid", ["two"], ["y"], "end"),
    ]
    dead = np.stack([np.zeros((3, 1, 1)), np.full((3, 1, 1), 1e-10), np.ones((3, 1, 1))]).astype(np.float32)
    weights = {"w": dead, "b": np.array([3, -3, 0], np.float32), "same": np.eye(3, dtype=np.float32)[:, :, None, None]}
    model = network(nodes, weights, [1, 3, 8, 8], [1, 3, 8, 8])
    made = placer(model, form).place(["one", "two"], {"x": (0, 1), "one": (-4, 4), "two": (-4, 4)})
    found = runner(made)({"x": np.ones((1, 3, 8, 8), np.float32)})["y"]
    np.testing.assert_allclose(found[0, :, 0, 0], 1 / (1 + np.exp([-3, 3, -3])), atol=2e-3)


def test_weights_are_rounded_channel_by_channel() -> None:
    exact = weight(5, 4, 3, 3) * np.array([1e-3, 1, 10, 0, 1e3], np.float32).reshape(5, 1, 1, 1)
    steps, scale = rounded_weight(exact, 0, 127)
    away = np.abs(steps * along(scale, 0, 4) - exact)
    assert (away.max(axis=(1, 2, 3)) <= scale / 2 * 1.001).all()
    assert (np.abs(steps).max(axis=(1, 2, 3)) == [127, 127, 127, 0, 127]).all()

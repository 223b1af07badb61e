"""PReLU and products of small matrices, in operators that runtimes are fast at."""

import numpy as np
import pytest

pytest.importorskip("onnxscript", reason="the export needs the extra `export`")

from small_graphs import Graph, feed_of, operators, rewritten, worst

from export.graph.prelu import rewrite_prelu
from export.graph.small_products import write_out_small_products


@pytest.mark.parametrize("shape", [(6, 1, 1), (1, 6, 1, 1)])
def test_prelu_becomes_convolutions(shape: tuple[int, ...]) -> None:
    graph = Graph()
    graph.add("PRelu", ["x", graph.random.uniform(-0.5, 1.5, shape).astype("f4")], "y")
    model = graph.model({"x": ["N", 6, 5, 4]}, {"y": ["N", 6, 5, 4]})
    fast = rewritten(model, rewrite_prelu, places=1)
    assert operators(fast) == {"Conv": 2, "Relu": 1, "Add": 1}
    assert worst(model, fast, feed_of(model, batch=3)) < 2e-6


@pytest.mark.parametrize(("shape", "slope"), [([1, 6, 5, 4], (1,)), ([1, 6], (6,)), ([1, 6, 5, 4], (6, 5, 4))])
def test_other_slopes_stay(shape: list[int], slope: tuple[int, ...]) -> None:
    graph = Graph()
    graph.add("PRelu", ["x", np.full(slope, 0.25, "f4")], "y")
    rewritten(graph.model({"x": shape}, {"y": shape}), rewrite_prelu, places=0)


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ([1, 7, 2, 2], [1, 7, 2, 2], [1, 7, 2, 2]),
        ([1, 7, 1, 2, 2], [1, 7, 30, 2, 1], [1, 7, 30, 2, 1]),
        (["N", 7, 3, 4], [1, 4, 2], ["N", 7, 3, 2]),
        ([5, 3, 1], [5, 1, 2], [5, 3, 2]),
    ],
)
def test_small_products_are_written_out(left: list[int], right: list[int], result: list[int]) -> None:
    graph = Graph()
    graph.add("MatMul", ["a", "b"], "y")
    model = graph.model({"a": left, "b": right}, {"y": result})
    fast = rewritten(model, write_out_small_products, places=1)
    assert operators(fast)["MatMul"] == 0
    assert worst(model, fast, feed_of(model, batch=2)) < 2e-6


@pytest.mark.parametrize(("left", "right"), [([1, 7, 2, 5], [1, 7, 5, 2]), ([2, 2], [2, 2]), ([1, 2, 2], [2, 2])])
def test_other_products_stay(left: list[int], right: list[int]) -> None:
    graph = Graph()
    graph.add("MatMul", ["a", "b"], "y")
    model = graph.model({"a": left, "b": right}, {"y": [*left[:-1], right[-1]]})
    rewritten(model, write_out_small_products, places=0)

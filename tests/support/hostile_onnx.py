"""Hostile and damaged ONNX files: what no network of a face needs, and what none may do."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

N = helper.make_node
Case = tuple[str, bytes, str]
WORST = (0, -1, 7, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63))


def number(name: str, values: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values), name)


def whole(name: str, *values: int) -> TensorProto:
    return number(name, np.array(values, np.int64))


def a_graph(
    nodes: Sequence[NodeProto], weights: Sequence[TensorProto] = (), shape: Sequence[Any] = (1, 3, 8, 8)
) -> GraphProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "g", [x], [y], list(weights))


def a_model(*given: Any, opset: int = 18, **more: Any) -> ModelProto:
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(a_graph(*given, **more), opset_imports=imports, ir_version=9)


def a_network() -> ModelProto:
    """A small honest network: convolutions, a resize, a grid sample, shapes that are computed."""
    rng = np.random.default_rng(3)
    weights = [number(f"w{i}", rng.standard_normal((4, c, 3, 3)).astype(np.float32)) for i, c in enumerate((3, 4))]
    weights += [number("scale", np.array([1, 1, 2, 2], np.float32)), whole("shape", 1, -1, 8, 2)]
    return a_model(
        [
            N("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
            N("LeakyRelu", ["a"], ["b"], alpha=0.1),
            N("Resize", ["b", "", "scale"], ["c"], mode="nearest"),
            N("Conv", ["c", "w1"], ["d"], pads=[1, 1, 1, 1], group=1),
            N("Reshape", ["d", "shape"], ["e"]),
            N("Tanh", ["e"], ["f"]),
            N("MaxPool", ["d"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
            N("Transpose", ["m"], ["t"], perm=[0, 2, 3, 1]),
            N("ReduceMean", ["f"], ["g"], keepdims=0),
            N("Add", ["t", "g"], ["h"]),
            N("Sigmoid", ["h"], ["y"]),
        ],
        weights,
    )


def a_dfm() -> ModelProto:
    """The smallest honest .dfm: the face back as it is, and two masks."""
    face = helper.make_tensor_value_info("in_face:0", TensorProto.FLOAT, ["n", 16, 16, 3])
    sides = {"out_face_mask:0": 1, "out_celeb_face:0": 3, "out_celeb_face_mask:0": 1}
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 16, 16, c]) for n, c in sides.items()]
    nodes = [
        N("Transpose", ["in_face:0"], ["planes"], perm=[0, 3, 1, 2]),
        N("Conv", ["planes", "kernel"], ["grey"], pads=[1, 1, 1, 1]),
        N("Sigmoid", ["grey"], ["mask"]),
        N("Transpose", ["mask"], ["out_face_mask:0"], perm=[0, 2, 3, 1]),
        N("Mul", ["in_face:0", "one"], ["out_celeb_face:0"]),
        N("Identity", ["out_face_mask:0"], ["out_celeb_face_mask:0"]),
    ]
    weights = [number("kernel", np.ones((1, 3, 3, 3), np.float32)), number("one", np.float32(1))]
    graph = helper.make_graph(nodes, "dfm", [face], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)


def sum_of(name: str, *nodes: NodeProto) -> list[NodeProto]:
    """`nodes`, and an output that needs the whole tensor `name`."""
    return [*nodes, N("ReduceSum", [name], ["s_"], keepdims=0), N("Add", ["x", "s_"], ["y"])]


def refused(models: Mapping[str, ModelProto]) -> Iterator[Case]:
    return ((title, model.SerializeToString(), "refused") for title, model in models.items())


def growing() -> Iterator[Case]:
    """A few bytes that ask for more memory, or more time, than there is."""
    far = 1 << 36
    made = {
        "filled": (N("ConstantOfShape", ["n"], ["k"]), [whole("n", far)]),
        "tiled": (N("Tile", ["x", "n"], ["k"]), [whole("n", 1 << 20, 1 << 14, 1, 1)]),
        "expanded": (N("Expand", ["x", "n"], ["k"]), [whole("n", 1 << 20, 1 << 14, 1, 1)]),
        "padded": (N("Pad", ["x", "n"], ["k"]), [whole("n", 1 << 20, 1 << 14, 0, 0, 0, 0, 0, 0)]),
        "resized": (N("Resize", ["x", "", "n"], ["k"]), [number("n", np.array([1, 1, 1e6, 1e6], np.float32))]),
        "random": (N("RandomNormal", [], ["k"], shape=[far]), []),
        "one hot": (N("OneHot", ["i", "n", "v"], ["k"]), [whole("i", 1), whole("n", far), number("v", [0.0, 1.0])]),
        "a window": (N("HannWindow", ["n"], ["k"]), [number("n", np.int64(far))]),
        "filled past counting": (N("ConstantOfShape", ["n"], ["k"]), [whole("n", 1 << 33, 1 << 33)]),
        "filled with less than nothing": (N("ConstantOfShape", ["n"], ["k"]), [whole("n", -5)]),
    }
    models = {title: a_model(sum_of("k", node), weights) for title, (node, weights) in made.items()}
    range_ = [N("Range", ["a", "b", "d"], ["i"]), N("Cast", ["i"], ["k"], to=TensorProto.FLOAT)]
    for title, step in (("counted far", 1), ("counted in no steps", 0)):
        ends = [number(n, np.int64(v)) for n, v in (("a", 0), ("b", far), ("d", step))]
        models[title] = a_model(sum_of("k", *range_), ends)
    chain = [N("Neg", [f"a{i}" if i else "x"], [f"a{i + 1}" if i < 99_999 else "y"]) for i in range(100_000)]
    same = [N("Identity", ["x"], ["y"])]
    models |= {
        "an input of terabytes": a_model(same, shape=(1 << 40,)),
        "a picture of terabytes": a_model(same, shape=(1, 3, 1 << 20, 1 << 20)),
        "a loop without an end": _loop(1 << 62),
        "a loop": _loop(3),
        "a chain of 100,000": a_model(chain),
    }
    yield from refused(models)
    fields = b"\x3a" + _length(2_000_000) + b"\x28\x01" * 1_000_000
    yield "a million fields", fields * 4, "refused"


def _length(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def _loop(turns: int) -> ModelProto:
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [N("Identity", ["go"], ["on"]), N("Add", ["a", "a"], ["b"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("a", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("b", TensorProto.FLOAT, None)],
    )
    weights = [number("n", np.int64(turns)), number("c", np.array(True))]
    return a_model([N("Loop", ["n", "c", "x"], ["y"], body=body)], weights)


def forbidden() -> Iterator[Case]:
    """What carries or fetches something else than a graph."""
    mul = N("Mul", ["x", "w"], ["y"])
    for where in ("../../etc/passwd", "/etc/passwd", "canary", "\x00", ""):
        stored = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[8])
        stored.data_location = TensorProto.EXTERNAL
        stored.external_data.add(key="location", value=where)
        yield f"weights elsewhere: {where!r}", a_model([mul], [stored]).SerializeToString(), "refused"
    hidden = TensorProto(name="v", data_type=TensorProto.FLOAT, dims=[8])
    hidden.external_data.add(key="location", value="canary")
    constant = N("Constant", [], ["w"])
    constant.attribute.add(name="value", type=AttributeProto.TENSOR).t.CopyFrom(hidden)
    yield "weights elsewhere, in an attribute", a_model([constant, mul]).SerializeToString(), "refused"
    branch = a_graph([mul], [stored])
    del branch.input[:]
    branched = N("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    inside = a_model([branched], [number("c", np.array(True))])
    yield "weights elsewhere, in a branch", inside.SerializeToString(), "refused"
    sparse = a_model([mul])
    sparse.graph.sparse_initializer.add().values.CopyFrom(hidden)
    yield "weights elsewhere, sparse", sparse.SerializeToString(), "refused"
    for name in (
        "evil.ops.Run", "ai.onnx.contrib.PythonOp", "com.microsoft.experimental.X", "com.microsoft.EPContext",
        "com.microsoft.TritonOp", "com.microsoft.PythonOp", "org.pytorch.aten.ATen", "ai.onnx.ml\x00.Run",
    ):  # fmt: skip
        domain, _, operator = name.rpartition(".")
        node = N(operator, ["x"], ["y"], domain=domain, name="import os", ep_cache_context="../../canary", embed_mode=0)
        yield f"the operator {name}", a_model([node]).SerializeToString(), "refused"
    body = helper.make_function("", "Mine", ["a"], ["b"], [N("Neg", ["a"], ["b"])], [helper.make_opsetid("", 18)])
    own = a_model([N("Mine", ["x"], ["y"])])
    own.functions.append(body)
    yield "a function of its own", own.SerializeToString(), "refused"
    inner = helper.make_graph([N("Identity", ["x"], ["y"])], "leaf", [], a_graph([]).output)
    for _ in range(25):
        made = N("If", ["c"], ["y"], then_branch=inner)
        inner = helper.make_graph([made], "level", [], a_graph([]).output)
    yield "branches 25 deep", a_model(list(inner.node), [number("c", np.array(True))]).SerializeToString(), "refused"
    deep = b""
    for _ in range(5000):
        deep = b"\x0a" + _length(len(deep) + 8) + b"\x2a" + _length(len(deep) + 3) + b"\x32" + _length(len(deep)) + deep
    yield "messages 5000 deep", b"\x3a" + _length(len(deep)) + deep, "refused"


def broken() -> Iterator[Case]:
    """Graphs that hang together wrongly, and attributes that divide by nothing."""
    kernel = number("w", np.ones((3, 3, 3, 3), np.float32))
    graphs: dict[str, list[NodeProto]] = {
        "a circle": [N("Add", ["x", "b"], ["a"]), N("Add", ["a", "x"], ["b"]), N("Identity", ["b"], ["y"])],
        "its own input": [N("Add", ["y", "x"], ["y"])],
        "an output twice": [N("Identity", ["x"], ["y"]), N("Neg", ["x"], ["y"])],
        "no output": [N("Identity", ["x"], ["z"])],
        "from nowhere": [N("Add", ["x", "nowhere"], ["y"])],
        "no operator": [N("", ["x"], ["y"])],
        "an unknown operator": [N("Conjure", ["x"], ["y"])],
        "too many inputs": [N("Relu", ["x"] * 9, ["y"])],
        "no inputs": [N("Relu", [], ["y"])],
    }
    models = {title: a_model(nodes) for title, nodes in graphs.items()}
    models["no groups"] = a_model([N("Conv", ["x", "w"], ["y"], group=0)], [kernel])
    models["no block"] = a_model([N("DepthToSpace", ["x"], ["y"], blocksize=0)])
    for attribute, values in {"strides": [0, 0], "dilations": [0, 0], "kernel_shape": [0, 0], "pads": [-9] * 4}.items():
        for operator in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            given = {"kernel_shape": [3, 3], attribute: values}
            inputs, weights = (["x", "w"], [kernel]) if "Conv" in operator else (["x"], [])
            model = a_model([N(operator, inputs, ["y"], **given)], weights)
            yield f"{operator} {attribute}", model.SerializeToString(), "any"
    for title, (shape, raw, kind) in {
        "weights cut short": ([3, 8], bytes(8), TensorProto.FLOAT),
        "weights of an exabyte": ([1 << 58], bytes(8), TensorProto.FLOAT),
        "weights past counting": ([1 << 32, 1 << 32], b"", TensorProto.FLOAT),
        "weights of a negative shape": ([-3], bytes(8), TensorProto.FLOAT),
        "weights of no kind": ([2], bytes(8), 0),
        "weights of an unknown kind": ([2], bytes(8), 77),
    }.items():
        stored = TensorProto(name="w", data_type=kind, raw_data=raw, dims=shape)
        models[title] = a_model([N("Mul", ["x", "w"], ["y"])], [stored])
    for operator, given in {"Gather": {"axis": 2}, "GatherElements": {"axis": 1}, "GatherND": {}}.items():
        models[f"{operator} outside"] = a_model([N(operator, ["x", "i"], ["y"], **given)], [whole("i", 1 << 40)])
    yield from refused(models)


def stopping() -> Iterator[Case]:
    """What stops the process that runs it, where nothing can catch that."""
    lowest = [whole("a", -(2**63)), whole("b", -1)]
    # The rest is answered by ONNX Runtime 1.32.
    for title, operator, must in (("number", "Div", "refused"), ("number's rest", "Mod", "any")):
        nodes = [N(operator, ["a", "b"], ["q"]), N("Cast", ["q"], ["r"], to=1), N("Add", ["x", "r"], ["y"])]
        yield f"the lowest {title} by -1", a_model(nodes, lowest).SerializeToString(), must


def mutated(good: bytes, count: int, seed: int) -> Iterator[Case]:
    """Numbers, names, shapes and kinds changed within a whole file's structure."""
    chance = random.Random(seed)
    for number_ in range(count):
        model = onnx.load_model_from_string(good)
        for _ in range(chance.choice([1, 1, 2, 4])):
            _mutate(model, chance)
        yield f"changed {number_}", model.SerializeToString(), "any"


def _mutate(model: ModelProto, chance: random.Random) -> None:
    graph = model.graph
    node = chance.choice(graph.node)
    names = [w.name for w in graph.initializer] + [o for n in graph.node for o in n.output] + ["x", ""]
    match chance.randrange(8):
        case 0 if node.attribute:
            attribute = chance.choice(node.attribute)
            attribute.i = chance.choice(WORST)
            if attribute.ints:
                attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(WORST)
        case 1 if node.input:
            node.input[chance.randrange(len(node.input))] = chance.choice(names)
        case 2:
            known = [n.op_type for n in graph.node]
            node.op_type = chance.choice([*known, "Gather", "Tile", "Expand", "Concat", "Where", "Div"])
        case 3 if graph.initializer:
            weights = chance.choice(graph.initializer)
            weights.data_type = chance.randrange(26)
        case 4 if graph.initializer:
            weights = chance.choice(graph.initializer)
            if weights.dims:
                weights.dims[chance.randrange(len(weights.dims))] = chance.choice(WORST)
        case 5 if node.attribute:
            del node.attribute[chance.randrange(len(node.attribute))]
        case 6:
            sides = chance.choice([*graph.input, *graph.output]).type.tensor_type.shape.dim
            if sides:
                sides[chance.randrange(len(sides))].dim_value = chance.choice(WORST[:6])
        case _:
            model.opset_import[0].version = chance.choice([1, 7, 10, 13, 16, 20, 23, 99])

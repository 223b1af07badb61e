"""Divisions that can stop the program are refused; those of every network here are not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")

from hostile_onnx import N, a_model, number, whole  # noqa: E402
from onnx import NodeProto, TensorProto, helper  # noqa: E402

from realtime.errors import ModelError  # noqa: E402
from realtime.inference.divisions import check_divisions  # noqa: E402
from realtime.inference.onnx_file import read_contents  # noqa: E402
from realtime.models.library import built_in_folder  # noqa: E402

SIZE = [N("Shape", ["x"], ["size"])]
LAST = [
    N("Cast", ["q"], ["r"], to=TensorProto.FLOAT),
    N("ReduceMean", ["r"], ["m"], keepdims=0),
    N("Add", ["x", "m"], ["y"]),
]
Weights = Sequence[TensorProto]


def refused(data: bytes) -> bool:
    try:
        check_divisions(data, "it")
    except ModelError:
        return True
    return False


def divided(
    operator: str, by: str, *before: NodeProto, weights: Weights = (), what: str = "size", **more: int
) -> bytes:
    nodes = [*SIZE, *before, N(operator, [what, by], ["q"], **more), *LAST]
    return bytes(a_model(nodes, list(weights)).SerializeToString())


def listed(name: str, *values: int) -> TensorProto:
    """A constant whose numbers are written one by one, as some programs do, not as bytes."""
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


HALF = number("half", np.float32([0.5]))


@pytest.mark.parametrize(
    "data",
    [
        divided("Div", "two", weights=[whole("two", 2)]),
        divided("Div", "two", weights=[listed("two", 2, 16)]),
        divided("Div", "two", N("Constant", [], ["two"], value=whole("v", 2))),
        divided("Mod", "two", weights=[whole("two", 2)]),
        divided("Div", "few", weights=[number("few", np.array([1], np.uint8))]),
        divided("Div", "half", weights=[HALF], what="x"),
        divided("Div", "x", weights=[HALF], what="half"),
        divided("Mod", "x", what="x", fmod=1),
        divided("Div", "b", N("Exp", ["x"], ["a"]), N("Neg", ["a"], ["b"]), what="b"),
        divided("Div", "b", N("Cast", ["size"], ["a"], to=TensorProto.FLOAT), N("Mul", ["a", "a"], ["b"]), what="b"),
        divided("Div", "b", N("Unsqueeze", ["x", "axis"], ["b"]), weights=[whole("axis", 0)], what="b"),
    ],
)
def test_what_networks_do_is_let_through(data: bytes) -> None:
    assert not refused(data)
    read_contents(data, "it")


@pytest.mark.parametrize(
    "data",
    [
        divided("Div", "size"),
        divided("Mod", "size"),
        divided("Mod", "x", what="x"),
        divided("Div", "one", weights=[whole("one", -1)]),
        divided("Div", "one", weights=[whole("one", 3, -1)]),
        divided("Div", "one", weights=[listed("one", -1)]),
        divided("Div", "one", weights=[whole("one", 1), whole("one", -1)]),
        divided("Div", "one", N("Constant", [], ["one"], value=whole("v", -1))),
        divided("Div", "one", N("Constant", [], ["one"], value_int=-1)),
        divided("Div", "one", N("Neg", ["two"], ["one"]), weights=[whole("two", 1)]),
        divided("Div", "one", N("Cast", ["x"], ["one"], to=TensorProto.INT64)),
        divided("Div", "one", N("Cast", ["x"], ["one"])),
        divided("Div", "one", N("ArgMax", ["x"], ["one"])),
        divided("Div", "one", N("Conjure", ["x"], ["one"]), what="one"),
        divided("Div", "nowhere", what="nowhere"),
        divided("Div", "b", N("Neg", ["a"], ["b"]), N("Neg", ["b"], ["a"]), N("Shape", ["x"], ["a"])),
    ],
)
def test_what_can_stop_the_program_is_refused(data: bytes) -> None:
    assert refused(data)
    with pytest.raises(ModelError, match="divides whole numbers"):
        read_contents(data, "it")


def test_a_division_within_a_branch() -> None:
    """Two graphs may call two things by one name: what is declared in one says nothing about the other."""
    inner = a_model([N("Div", ["x", "x"], ["y"])]).graph
    del inner.input[:]
    model = a_model([N("If", ["c"], ["y"], then_branch=inner, else_branch=inner)], [number("c", np.array(True))])
    assert refused(model.SerializeToString())


def test_a_damaged_constant_is_damage() -> None:
    stored = TensorProto(name="two", data_type=TensorProto.INT64, dims=[1], raw_data=b"\x02\0\0")
    with pytest.raises(ModelError, match="not a whole ONNX file"):
        read_contents(divided("Div", "two", weights=[stored]), "it")


def test_the_networks_here_are_let_through(shared: Path) -> None:
    files = [*built_in_folder().glob("*/*.onnx"), *(shared / "reference").glob("*/*.dfm")]
    assert len(files) >= 4
    assert not [file.name for file in files if refused(file.read_bytes())]

"""Sessions on ONNX Runtime: what is run, what is refused, and what is said about it."""

from collections.abc import Callable
from pathlib import Path

import hostile_onnx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from realtime.errors import ModelError
from realtime.inference.onnx_file import check_onnx
from realtime.inference.ort import open_session
from realtime.inference.providers import available_providers, choose, cpu_flags, default_threads, physical_cores
from realtime.inference.session import TensorSpec


def model(nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto] | None = None) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "doubled", [x], [y], weights or [])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def weight(dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array([2, 2, 2], dtype), "two")


def doubling() -> bytes:
    """A network that doubles its input."""
    return model([helper.make_node("Mul", ["x", "two"], ["y"])], [weight()]).SerializeToString()


def test_it_runs_by_name_and_says_where() -> None:
    session = open_session(doubling(), provider="cpu")
    assert session.inputs == {"x": TensorSpec((None, 3), np.dtype(np.float32))}
    assert session.outputs == {"y": TensorSpec((None, 3), np.dtype(np.float32))}
    assert session.spent_ns == 0  # the warm-up does not count
    out = session.run({"x": np.ones((5, 3), np.float32)})
    np.testing.assert_array_equal(out["y"], np.full((5, 3), 2, np.float32))
    assert (session.ran_on, session.precision) == ("CPU", "fp32")
    assert session.spent_ns > 0
    session.close()
    session.close()
    with pytest.raises(ModelError, match="closed"):
        session.run({"x": np.ones((5, 3), np.float32)})


@pytest.mark.parametrize(
    ("feed", "says"),
    [
        ({}, "takes x, was given nothing"),
        ({"x": np.ones((1, 3), np.float32), "z": np.ones(1)}, "was given x, z"),
        ({"x": np.ones((1, 3))}, "as float32, was given float64"),
        ({"x": np.ones((1, 4), np.float32)}, r"shape \(\?, 3\), was given \(1, 4\)"),
        ({"x": np.ones(3, np.float32)}, r"was given \(3,\)"),
    ],
)
def test_a_wrong_feed_is_named(feed: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        open_session(doubling(), provider="cpu").run(feed)


def test_input_that_is_not_contiguous_is_taken() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4).T
    out = open_session(doubling(), provider="cpu").run({"x": x[:, ::-1]})
    np.testing.assert_array_equal(out["y"], x[:, ::-1] * 2)


FORBIDDEN = {title: content for title, content, _ in (*hostile_onnx.forbidden(), *hostile_onnx.growing())}


@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("weights elsewhere: '/etc/passwd'", "external data"),
        ("weights elsewhere, in an attribute", "external data"),
        ("weights elsewhere, in a branch", "external data"),
        ("weights elsewhere, sparse", "external data"),
        ("the operator evil.ops.Run", r"evil\.ops\.Run"),
        ("the operator com.microsoft.EPContext", "compiled"),
        ("a function of its own", "functions of its own"),
        ("branches 25 deep", "nests graphs"),
        ("a loop", "repeats a part of itself"),
        ("a chain of 100,000", "more than 50000 operators"),
        ("an input of terabytes", "more than 1 GiB"),
    ],
)
def test_what_must_not_be_loaded_is_refused(title: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        open_session(FORBIDDEN[title], provider="cpu")
    assert "\n" not in str(caught.value)


def test_what_does_not_hang_together_is_refused() -> None:
    dangling = model([helper.make_node("Mul", ["x", "nowhere"], ["y"])]).SerializeToString()
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_session(dangling, provider="cpu")


def test_any_damage_is_one_line() -> None:
    whole = doubling()
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in range(len(whole))]
    for _ in range(300):
        spoilt = bytearray(whole)
        for at in rng.integers(0, len(whole), 4):
            spoilt[at] = rng.integers(0, 256)
        damaged.append(bytes(spoilt))
    damaged += [rng.bytes(int(n)) for n in rng.integers(0, 200, 100)]
    lines = [complaint(lambda data=data: check_onnx(data, "it")) for data in damaged]
    lines += [complaint(lambda data=data: open_session(data, provider="cpu")) for data in damaged[::40]]
    assert any(lines)
    assert not [line for line in lines if "\n" in line]


def complaint(attempt: Callable[[], object]) -> str:
    """What a ModelError says, or nothing; any other error is the test's."""
    try:
        attempt()
    except ModelError as error:
        return str(error)
    return ""


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.onnx cannot be read"):
        open_session(tmp_path / "gone.onnx")
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"mine\.onnx"):
        open_session(file)


def test_the_precision_of_the_file_is_told() -> None:
    def two_steps(first: onnx.NodeProto, dtype: type) -> bytes:
        nodes = [first, helper.make_node("Mul", ["x", "wide"], ["y"])]
        return model(nodes, [weight(dtype)]).SerializeToString()

    stored_half = two_steps(helper.make_node("Cast", ["two"], ["wide"], to=TensorProto.FLOAT), np.float16)
    assert check_onnx(stored_half, "m") == "fp32"
    half = model([helper.make_node("Mul", ["x", "two"], ["y"])], [weight(np.float16)]).SerializeToString()
    assert check_onnx(half, "m") == "fp16"
    scale = numpy_helper.from_array(np.float32(1), "scale")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["y"]),
    ]
    session = open_session(model(nodes, [scale]).SerializeToString(), provider="cpu")
    assert session.precision == "int8"


def full_int8() -> bytes:
    """An int8 convolution whose weights are all ±127: sums of two products overflow 16 bits."""
    signs = np.where(np.arange(8) % 2, 127, -127).astype(np.int8)
    stored = {
        "s": np.float32(1 / 255),
        "z": np.uint8(0),
        "w": np.broadcast_to(signs[:, None, None, None], (8, 16, 3, 3)),
        "sw": np.full(8, 1 / 127, np.float32),
        "zw": np.zeros(8, np.int8),
        "so": np.float32(2),
        "zo": np.uint8(128),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["dw"], axis=0),
        helper.make_node("Conv", ["d", "dw"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "so", "zo"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "so", "zo"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info("x", 1, (1, 16, 8, 8)), helper.make_tensor_value_info("y", 1, (1, 8, 6, 6))]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    made = helper.make_graph(nodes, "int8", ports[:1], ports[1:], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.mark.parametrize("provider", ["cpu", "auto"])
def test_int8_computes_right_on_every_cpu(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.inference.ort.cpu_flags", lambda: frozenset({"avx2"}))
    session = open_session(full_int8(), provider=provider, threads=1)
    drawn = session.run({"x": np.ones((1, 16, 8, 8), np.float32)})["y"]
    expected = np.where(np.arange(8) % 2, 144, -144).astype(np.float32)
    np.testing.assert_array_equal(drawn, np.broadcast_to(expected[:, None, None], (1, 8, 6, 6)))
    assert session.ran_on.startswith(("CPU", "CUDA"))  # OpenVINO would overflow there


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"provider": "gpu"}, "there is no provider gpu: choose one of auto, cpu"),
        ({"precision": "fp8"}, "there is no precision fp8"),
        ({"provider": "cpu", "precision": "bf16"}, "bf16 needs the OpenVINO"),
        ({"threads": 0}, "0 threads"),
    ],
)
def test_wrong_wishes_are_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        open_session(doubling(), **arguments)  # type: ignore[arg-type]


def test_every_provider_runs_or_says_what_to_do() -> None:
    for name, state in available_providers().items():
        if state == "ready":
            continue  # where it cannot load after all, the session says so: that needs the hardware
        with pytest.raises(ModelError) as caught:
            open_session(doubling(), provider=name)
        assert str(caught.value) == state
        assert "pip install" in state or "use --provider" in state
    assert available_providers()["cpu"] == "ready"


def test_auto_always_finds_a_way() -> None:
    session = open_session(doubling())
    np.testing.assert_array_equal(session.run({"x": np.ones((1, 3), np.float32)})["y"], [[2, 2, 2]])
    assert choose("auto", "fp32", 1)[-1].name == "cpu"


@pytest.mark.skipif(available_providers()["openvino"] != "ready", reason=available_providers()["openvino"])
def test_openvino_takes_the_whole_graph() -> None:
    session = open_session(doubling(), provider="openvino")
    assert (session.ran_on, session.precision) == ("OpenVINO (CPU, fp32)", "fp32")
    np.testing.assert_array_equal(session.run({"x": np.ones((4, 3), np.float32)})["y"], np.full((4, 3), 2))
    automatic = open_session(doubling(), provider="openvino", precision="auto")
    assert automatic.precision == ("bf16" if "amx_bf16" in cpu_flags() else "fp32")


def test_one_core_is_left_free() -> None:
    assert 1 <= default_threads() <= max(1, physical_cores() - 1)


def test_public_face_swap_files_load(shared: Path) -> None:
    files = sorted((shared / "reference").rglob("*.dfm"))
    assert files
    for file in files:
        session = open_session(file, provider="cpu")
        assert session.inputs["in_face:0"].shape == (None, 64, 64, 3)
        assert len(session.outputs) == 3
        session.close()

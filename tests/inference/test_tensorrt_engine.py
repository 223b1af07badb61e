"""Engine sessions on a stand-in for driver and TensorRT: what is queued, in which order, and what is given back."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tensorrt_fakes import FakeCuda, FakeTensorRt, Kind, Place

from realtime.errors import ModelError
from realtime.inference.engine_cache import EngineCache
from realtime.inference.session import Session, TensorSpec
from realtime.inference.tensorrt_build import Gpu, compile_network, open_gpu
from realtime.inference.tensorrt_engine import EngineSession, open_engine_session

FEED = {"x": np.arange(12, dtype=np.float32).reshape(1, 3, 4), "shift": np.array([5], np.float32)}


def network(dtype: type = np.float32) -> bytes:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x, y = (helper.make_tensor_value_info(name, kind, [1, 3]) for name in ("x", "y"))
    two = numpy_helper.from_array(np.array([2, 2, 2], dtype), "two")
    graph = helper.make_graph([helper.make_node("Mul", ["x", "two"], ["y"])], "doubled", [x], [y], [two])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(made.SerializeToString())


class Machine:
    """A fake GPU machine with an empty cache: `open` opens a session on it."""

    def __init__(self, folder: Path, rtx: bool = False) -> None:
        self.cuda = FakeCuda()
        self.trt = FakeTensorRt(self.cuda, rtx=rtx)
        self.cache = EngineCache(folder / "engines")

    def open(self, data: bytes | Path | None = None, precision: str = "fp32") -> EngineSession:
        return open_engine_session(
            network() if data is None else data,
            provider="rtx" if self.trt.rtx else "tensorrt",
            precision=precision,
            find_gpu=lambda: open_gpu(self.cuda),
            find_module=lambda provider: self.trt,
            compiler=lambda provider, data, name, **how: compile_network(self.trt, data, name, **how),
            cache=self.cache,
        )


@pytest.fixture(params=[False, True], ids=["tensorrt", "rtx"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, rtx=request.param)


def test_it_is_a_session_and_computes(machine: Machine) -> None:
    session: Session = machine.open()
    assert session.inputs == {"x": TensorSpec((1, 3, 4), np.dtype("f4")), "shift": TensorSpec((1,), np.dtype("f4"))}
    assert session.outputs == {"y": TensorSpec((1, 3, 4), np.dtype("f4")), "total": TensorSpec((), np.dtype("f2"))}
    assert session.spent_ns == 0  # the warm-up does not count
    first = session.run(FEED)
    second = session.run({**FEED, "shift": np.array([0], np.float32)})
    np.testing.assert_array_equal(first["y"], 2 * FEED["x"] + 5)  # untouched by the second run
    np.testing.assert_array_equal(second["y"], 2 * FEED["x"])
    assert first["total"] == 192
    assert first["total"].dtype == np.float16
    assert session.precision == "fp32"
    assert session.spent_ns > 0
    session.close()


def test_a_run_is_one_launch_and_one_wait(machine: Machine) -> None:
    session = machine.open()
    assert "NVIDIA Fake, fp32, CUDA graph" in session.ran_on
    assert session.ran_on.startswith("TensorRT RTX 11.4.0" if machine.trt.rtx else "TensorRT 11.4.0")
    machine.cuda.calls.clear()
    session.run(FEED)
    assert machine.cuda.calls == ["set_current", "launch", "sync"]


def test_without_a_graph_the_same_work_is_queued_in_order(tmp_path: Path) -> None:
    machine = Machine(tmp_path, rtx=True)
    machine.trt.capturable = False
    session = machine.open()
    assert "no CUDA graph" in session.ran_on
    machine.cuda.calls.clear()
    np.testing.assert_array_equal(session.run(FEED)["y"], 2 * FEED["x"] + 5)
    up, down = "pinned to device", "device to pinned"
    assert machine.cuda.calls == ["set_current", up, up, down, down, "sync"]


@pytest.mark.parametrize("failing", ["end_building", "take graph", "the network"])
def test_a_recording_that_fails_is_ended_and_said(tmp_path: Path, failing: str) -> None:
    machine = Machine(tmp_path)
    if failing == "the network":
        machine.trt.capturable = False  # plain TensorRT cannot be asked beforehand
    else:
        machine.cuda.fails[failing] = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
    session = machine.open()
    assert "no CUDA graph" in session.ran_on
    np.testing.assert_array_equal(session.run(FEED)["y"], 2 * FEED["x"] + 5)
    session.close()
    assert machine.cuda.open == []


def test_everything_is_given_back(machine: Machine) -> None:
    session = machine.open()
    assert machine.cuda.open
    session.close()
    session.close()
    assert machine.cuda.open == []
    with pytest.raises(ModelError, match="closed"):
        session.run(FEED)


def test_another_thread_may_run_and_close_it(machine: Machine) -> None:
    session = machine.open()
    sums: list[float] = []
    thread = threading.Thread(target=lambda: (sums.append(float(session.run(FEED)["total"])), session.close()))
    machine.cuda.calls.clear()
    thread.start()
    thread.join()
    assert sums == [192]
    assert machine.cuda.calls[0] == "set_current"


@pytest.mark.parametrize(
    ("flaw", "value", "says"),
    [
        ("fits", False, "does not fit on the GPU"),
        ("location", Place.HOST, "only known while running"),
        ("runs", False, "failed while running .enqueue refused"),
        ("memory", "CUDA_ERROR_OUT_OF_MEMORY: it was unable to allocate", r"OUT_OF_MEMORY.*close other programs"),
    ],
)
def test_a_failed_start_gives_everything_back(machine: Machine, flaw: str, value: Any, says: str) -> None:
    if flaw == "memory":
        machine.cuda.fails["take pinned"] = value
    else:
        setattr(machine.trt, flaw, value)
    with pytest.raises(ModelError, match=says) as caught:
        machine.open()
    assert "\n" not in str(caught.value)
    assert machine.cuda.open == []


def test_a_gpu_that_fails_while_running_is_one_line_and_still_closes(machine: Machine) -> None:
    session = machine.open()
    machine.cuda.fails["sync"] = "CUDA_ERROR_ILLEGAL_ADDRESS: it was accessed\nsecond line"
    with pytest.raises(ModelError, match=r"the GPU failed \(CUDA_ERROR_ILLEGAL_ADDRESS: it was accessed\)"):
        session.run(FEED)
    for stream in machine.cuda.streams.values():
        stream.pending = []
    machine.cuda.fails["free device"] = "CUDA_ERROR_ILLEGAL_ADDRESS"
    session.close()
    assert machine.cuda.open == []  # the rest was given back all the same


def test_an_open_batch_size_becomes_the_compiled_one(machine: Machine) -> None:
    machine.trt.open_sizes = True
    session = machine.open()
    assert session.inputs["x"].shape == (1, 3, 4)


def test_an_engine_is_compiled_once(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "swap.onnx"
    file.write_bytes(network())
    machine.open(file).close()
    machine.open(network()).close()  # the same bytes: the name of the file does not matter
    assert machine.trt.engines == 1
    assert machine.trt.kernels_given == ([b"kernels"] if machine.trt.rtx else [])


@pytest.mark.parametrize(
    ("part", "fact", "value"),
    [("cuda", "driver", (590, 1)), ("cuda", "name", "NVIDIA Other"), ("trt", "__version__", "11.5.0")],
)
def test_another_driver_card_or_version_compiles_anew(machine: Machine, part: str, fact: str, value: Any) -> None:
    machine.open().close()
    setattr(getattr(machine, part), fact, value)
    machine.open().close()
    assert machine.trt.engines == 2


def test_tf32_is_off_unless_allowed_and_then_said(machine: Machine) -> None:
    assert machine.open().precision == "fp32"
    allowed = machine.open(precision="auto")
    assert allowed.precision == "tf32"
    assert ["tf32" in c.flags for c in machine.trt.configs] == [False, True]


def test_the_graph_says_the_precision(machine: Machine) -> None:
    assert machine.open(network(np.float16), precision="auto").precision == "fp16"
    with pytest.raises(ModelError, match="computes in fp32, not fp16"):
        machine.open(precision="fp16")


def test_rtx_compiles_for_this_gpu_with_memory_that_can_be_recorded(tmp_path: Path) -> None:
    machine = Machine(tmp_path, rtx=True)
    machine.open()
    config = machine.trt.configs[0]
    assert config.flags == {"fixed memory"}
    assert (config.num_compute_capabilities, config.target) == (1, Kind.CURRENT)


@pytest.mark.parametrize(("capability", "runs"), [((7, 0), False), ((9, 0), False), ((8, 9), True), ((13, 0), True)])
def test_rtx_says_which_cards_it_is_not_for(tmp_path: Path, capability: tuple[int, int], runs: bool) -> None:
    machine = Machine(tmp_path, rtx=True)
    machine.cuda.capability = capability
    if runs:
        machine.open().close()
    else:
        with pytest.raises(ModelError, match=r"no kernels for NVIDIA Fake .*: use --provider tensorrt or cuda"):
            machine.open()
    assert machine.cuda.open == []


def test_a_cached_engine_that_the_gpu_refuses_is_compiled_again(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.open().close()
    machine.trt.refused.add(b"engine 1")
    session = machine.open()
    assert machine.trt.engines == 2
    assert "compiled again" in caplog.text
    session.close()
    assert machine.cuda.open == []


def test_a_fresh_engine_that_the_gpu_refuses_is_an_error(machine: Machine) -> None:
    machine.trt.refused.add(b"engine 1")
    with pytest.raises(ModelError, match=r"on this GPU \(the engine is of another GPU\): use --provider cuda"):
        machine.open()
    assert machine.trt.engines == 1
    assert machine.cuda.open == []


def test_a_dropped_in_engine_is_never_loaded(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.open().close()
    for file in machine.cache.path({}).parent.glob("*.bin"):
        file.write_bytes(file.read_bytes().replace(b"engine 1", b"engine X"))
    machine.open().close()
    assert machine.trt.engines == 2
    assert "was altered" in caplog.text


def test_the_module_is_not_asked_for_where_no_driver_is(tmp_path: Path) -> None:
    def no_gpu() -> Gpu:
        raise ModelError("there is no NVIDIA driver here")

    def crash(provider: str) -> object:
        raise AssertionError("a library that crashes without a driver was loaded")

    with pytest.raises(ModelError, match="no NVIDIA driver"):
        open_engine_session(network(), find_gpu=no_gpu, find_module=crash)


def test_a_refused_file_never_reaches_the_gpu(machine: Machine) -> None:
    bad = onnx.load_from_string(network())
    bad.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(ModelError, match="external data"):
        machine.open(bytes(bad.SerializeToString()))
    with pytest.raises(ModelError, match="cannot be read"):
        machine.open(Path("nowhere.onnx"))
    assert machine.cuda.calls == []

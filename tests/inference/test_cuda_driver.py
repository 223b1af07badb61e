"""The driver's calls as the GPU's user sees them; the ctypes side is a stand-in."""

import ctypes
from types import SimpleNamespace

import pytest
from cuda_fakes import FakeDriver, FakeManagement

from realtime.errors import ModelError
from realtime.inference.cuda_driver import Gpu, GpuError, GpuFacts


def test_it_says_which_gpu_and_driver() -> None:
    gpu = Gpu(FakeDriver(version=13010), FakeManagement())
    assert gpu.facts == GpuFacts("NVIDIA Fake", (8, 9), 132, "580.95.05 CUDA 13.1")
    assert gpu.facts.model == "NVIDIA Fake (sm_89, 132 processors)"
    gpu.close()


@pytest.mark.parametrize("management", [None, FakeManagement(fails=True), SimpleNamespace()])
def test_without_the_management_library_the_cuda_version_stands_alone(management: object) -> None:
    assert Gpu(FakeDriver(), management).facts.driver == "CUDA 13.0"


def test_copies_wait_for_their_turn_on_the_stream() -> None:
    driver = FakeDriver()
    gpu = Gpu(driver)
    gpu.make_current()
    host, device, stream = gpu.allocate_pinned(8), gpu.allocate(8), gpu.make_stream()
    ctypes.memmove(host, b"12345678", 8)
    gpu.upload(device, host, 8, stream)
    assert ctypes.string_at(device, 8) == b"\xff" * 8  # queued, not done
    gpu.wait(stream)
    assert ctypes.string_at(device, 8) == b"12345678"
    ctypes.memmove(host, b"........", 8)
    gpu.download(host, device, 8, stream)
    gpu.wait(stream)
    assert ctypes.string_at(host, 8) == b"12345678"
    gpu.free(device)
    gpu.free_pinned(host)
    gpu.destroy_stream(stream)
    gpu.close()
    gpu.close()
    assert driver.left() == []
    with pytest.raises(GpuError, match="closed"):
        gpu.make_current()


def test_a_recorded_graph_runs_only_when_launched_and_as_often_as_wanted() -> None:
    driver = FakeDriver()
    gpu = Gpu(driver)
    host, device, stream = gpu.allocate_pinned(2), gpu.allocate(2), gpu.make_stream()
    gpu.begin_capture(stream)
    gpu.upload(device, host, 2, stream)
    graph = gpu.end_capture(stream)
    gpu.wait(stream)
    assert ctypes.string_at(device, 2) == b"\xff\xff"
    for text in (b"ab", b"cd"):
        ctypes.memmove(host, text, 2)
        gpu.launch(graph, stream)
        gpu.wait(stream)
        assert ctypes.string_at(device, 2) == text
    gpu.destroy_graph(graph)
    assert not driver.recorded
    assert not driver.ready


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ({"cuInit": 100}, "finds no GPU"),
        ({"cuInit": 804}, r"refused cuInit \(CUDA_ERROR_804\)"),
        ({"cuDevicePrimaryCtxRetain": 2}, "memory is full"),
        ({"cuInit": 999, "cuGetErrorName": 1}, "error 999"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(fails: dict[str, int], says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        Gpu(FakeDriver(fails=fails))
    assert "\n" not in str(caught.value)
    assert "--provider cpu" in str(caught.value)


def test_a_recording_that_cannot_be_made_ready_is_dropped() -> None:
    driver = FakeDriver(fails={"cuGraphInstantiateWithFlags": 2})
    gpu = Gpu(driver)
    stream = gpu.make_stream()
    gpu.begin_capture(stream)
    with pytest.raises(GpuError, match="memory is full"):
        gpu.end_capture(stream)
    assert not driver.recorded


def test_a_driver_without_a_function_is_too_old() -> None:
    with pytest.raises(ModelError, match="too old"):
        Gpu(SimpleNamespace(cuInit=lambda flags: 0))

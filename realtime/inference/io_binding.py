"""Runs with arrays that lie on the GPU from the start: one copy in, one copy out, the same addresses every time.

Without a binding ONNX Runtime allocates and copies anew at each call. Needs static shapes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from realtime.inference.session import Array, TensorSpec

Run = Callable[[Mapping[str, Array]], dict[str, Array]]


def bind(
    session: Any,
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    runtime: Any,
    device: str = "cuda",
) -> Run | None:
    """A function that runs `session` on arrays kept on `device`; None where a shape is dynamic.

    What it gives are new arrays of the caller's own. `runtime` is ONNX Runtime's module, or a stand-in for it.
    """
    if not all(_is_static(port) for port in (*inputs.values(), *outputs.values())):
        return None
    binding = session.io_binding()
    places = {name: _place(port, runtime, device) for name, port in inputs.items()}
    results = {name: _place(port, runtime, device) for name, port in outputs.items()}
    for name, place in places.items():
        binding.bind_ortvalue_input(name, place)
    for name, place in results.items():
        binding.bind_ortvalue_output(name, place)

    def run(feed: Mapping[str, Array]) -> dict[str, Array]:
        for name, place in places.items():
            place.update_inplace(np.ascontiguousarray(feed[name]))
        binding.synchronize_inputs()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        # On the CPU `numpy()` shows the runtime's own memory, which the next run overwrites.
        return {name: np.array(place.numpy()) for name, place in results.items()}

    return run


def _is_static(port: TensorSpec) -> bool:
    return all(side is not None for side in port.shape)


def _place(port: TensorSpec, runtime: Any, device: str) -> Any:
    shape = [side or 1 for side in port.shape]
    return runtime.OrtValue.ortvalue_from_numpy(np.zeros(shape, port.dtype), device, 0)

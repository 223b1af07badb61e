"""Small networks in bytes, and the check that PyTorch and ONNX Runtime agree on one."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from realtime.inference.ort import open_session
from realtime.inference.torch_program import open_torch_session

Shape = tuple[int, ...]


def network(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Shape],
    outputs: list[str],
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 20,
) -> bytes:
    """A network in bytes; what it gives is float32 unless an operator says otherwise."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    stored = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, "g", ports, made, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def agree(data: bytes, limit: float = 2e-5, **feed: np.ndarray) -> None:
    """Both runtimes give the same, with the same shapes and dtypes."""
    ours = open_torch_session(data, threads=1, device="cpu")
    theirs = open_session(data, provider="cpu", threads=1)
    rng = np.random.default_rng(0)
    given = {n: feed.get(n, rng.uniform(-2, 2, p.shape).astype(p.dtype)) for n, p in ours.inputs.items()}
    got, wanted = ours.run(given), theirs.run(given)
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert got[name].dtype == value.dtype
        assert got[name].shape == value.shape == ours.outputs[name].shape
        np.testing.assert_allclose(got[name].astype(np.float64), value.astype(np.float64), atol=limit, rtol=limit)


X = {"x": (1, 4, 6, 8)}


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)

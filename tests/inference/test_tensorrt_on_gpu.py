"""Engines on a real GPU, against the same networks on the CPU. With REQUIRE_GPU=1 skipping them is a failure."""

import os
from pathlib import Path

import numpy as np
import pytest

from realtime.errors import ModelError
from realtime.inference.engine_cache import EngineCache
from realtime.inference.ort import open_session
from realtime.inference.providers import MODULES, engine_module_installed, why_no_gpu
from realtime.inference.tensorrt_build import check_card, load_module, open_gpu
from realtime.inference.tensorrt_engine import open_engine_session
from realtime.models.library import built_in_folder

NETWORKS = sorted(built_in_folder().glob("*/*.onnx"))


def why_not(provider: str) -> str:
    if why_no_gpu():
        return why_no_gpu()
    if not engine_module_installed(provider):
        return f"the module of {provider} is not installed"
    try:
        check_card(load_module(provider), open_gpu())
    except ModelError as error:
        return str(error)
    return ""


@pytest.fixture(params=MODULES)
def provider(request: pytest.FixtureRequest) -> str:
    """Every provider that runs here. One of them is enough: no card needs both."""
    name = str(request.param)
    if why_not(name):
        required = os.environ.get("REQUIRE_GPU") == "1"
        assert not required or not all(map(why_not, MODULES)), why_not(name)
        pytest.skip(why_not(name))
    return name


@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", NETWORKS, ids=[f"{p.parent.name}/{p.name}" for p in NETWORKS])
def test_a_packaged_network_gives_what_the_cpu_gives(provider: str, file: Path, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    rng = np.random.default_rng(0)
    exact = open_session(file, provider="cpu")
    feed = {name: rng.random([s or 1 for s in port.shape], np.float32) for name, port in exact.inputs.items()}
    expected = exact.run(feed)
    for _ in range(2):  # compiled, then out of the cache
        session = open_engine_session(file, provider=provider, cache=cache)
        assert "no CUDA graph" not in session.ran_on
        for _ in range(2):
            for name, value in session.run(feed).items():
                np.testing.assert_allclose(value, expected[name], rtol=1e-3, atol=1e-3, err_msg=name)
        session.close()
    exact.close()

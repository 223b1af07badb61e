"""Exports of many small networks: what torch reads anew for each is read once."""

import functools
from contextlib import suppress

with suppress(ImportError, AttributeError):  # private to torch: where it is elsewhere, exports only take longer
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    # Some 500 translations of operators, parsed from source: a third of a small network's export.
    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))

"""Leaves the recipes' tests out where the extra `train` is not installed."""

from importlib.util import find_spec

collect_ignore_glob = [] if all(map(find_spec, ("torch", "onnx", "onnxscript"))) else ["test_*.py"]

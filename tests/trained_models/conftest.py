"""Leaves the recipes' tests out where the extra `train` is not installed; `masquerade learn` needs none of it."""

from importlib.util import find_spec

collect_ignore_glob = [] if all(map(find_spec, ("torch", "onnx", "onnxscript"))) else ["test_[!l]*.py", "test_lip*.py"]

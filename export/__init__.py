"""Trained PyTorch checkpoints become what the live loop runs. Needs the extra `export` (torch, onnx)."""

import realtime  # noqa: F401 (first of all: it turns off what dependencies report)

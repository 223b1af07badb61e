"""Trained PyTorch checkpoints become what the live loop runs. Needs the extra `export` (torch, onnx)."""

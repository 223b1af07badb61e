"""What every recipe trains with: averaged weights, losses, ONNX export with parity."""

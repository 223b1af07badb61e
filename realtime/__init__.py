"""The live loop: capture, detect, align, swap, blend, output."""

__version__ = "0.1.0"

"""Readers of foreign checkpoints. None of them runs code from a file."""

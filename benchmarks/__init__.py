"""Measuring masquerade: how fast the loop is, and how well the character acts."""

"""Measuring masquerade: how fast the loop is, and how well the character acts."""

import realtime  # noqa: F401 (first of all: it turns off what dependencies report)

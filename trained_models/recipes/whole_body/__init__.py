"""Whole people who move, with the truth of every joint: what figures are measured with."""

"""Families of checkpoints: one file each, with its reader and its `plan_…` function."""

"""The recipe of the built-in figures draws what is built in."""

from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.models.figure import read_rig
from realtime.models.library import AVATARS

NAMES = ("pip", "nimka", "tilo", "rivo", "solki", "kritzi")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_draws_the_figure_that_is_built_in(tmp_path: Path, name: str) -> None:
    pytest.importorskip("skia", reason="figures are drawn with skia-python")
    figures = import_module("trained_models.recipes.figures.__main__").FIGURES
    import_module(f"trained_models.recipes.figures.{figures[name]}").draw().save(tmp_path)
    built_in = AVATARS.built_in / name
    assert read_rig(tmp_path) == read_rig(built_in)
    for file in read_rig(built_in).files:
        drawn, kept = (cv2.imread(str(folder / file), cv2.IMREAD_UNCHANGED) for folder in (tmp_path, built_in))
        # Processors round edges differently, and colours of palettes follow.
        assert (np.abs(drawn.astype(int) - kept.astype(int)) > 16).mean() < 0.01, file

"""A flat figure tried with a short motion, before its joints are saved."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from realtime.families.figure.drawing import Figure, Place
from realtime.families.figure.expression import Expression, read_expression
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import pose_of
from realtime.frame import Frame, Pixels
from realtime.models.figure import Rig

TRIED_SHARE, TRIED_WIDTH = 0.84, 1.3  # of the picture in which joints are tried, and of the figure's width
WALL = (238, 240, 242)


def moving(rig: Rig, folder: Path, motion: Iterable[Frame], height: int) -> Iterator[Pixels]:
    """The figure as it plays a motion, (height, W, 3) BGR before a light wall. Raises MasqueradeError."""
    figure = Figure(rig, folder, TRIED_SHARE * height / rig.size[1])
    size = round(max(figure.scale * rig.size[0] * TRIED_WIDTH, 0.75 * height)), height
    painter, last_s = Painter(size), 0.0
    hips = figure.joints["hips"][0]
    place = Place(np.array([size[0] / 2 - hips, 0.97 * height - rig.floor * figure.scale]))
    for frame in motion:
        assert frame.motion is not None
        pose = replace(pose_of(frame.motion, frame.size), place=None)
        face = frame.motion.blendshapes
        picture = np.full((height, size[0], 3), WALL, np.uint8)
        expression = Expression() if face is None else read_expression(face)
        figure.draw(picture, painter, pose, expression, place, frame.time_s - last_s)
        last_s = frame.time_s
        yield picture

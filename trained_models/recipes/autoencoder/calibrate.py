"""Makes the identity answer as strongly as it is told to.

A network trained on mean errors draws half a smile as less than half. That is measured on rendered pairs, where it
is known what was told and what the tracker reads in the drawn picture, and taken back by bending what the
decoder is told. Nothing is learnt from any real person.
"""

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
import torch

from trained_models.recipes.autoencoder.augment import Pixels
from trained_models.recipes.autoencoder.network import KNOTS, SwapNetwork
from trained_models.recipes.autoencoder.pairs_dataset import Floats, Pairs

BENT = {
    "jawOpen": (25,),
    "mouthSmile": (44, 45),
    "mouthPucker": (38,),
    "browInnerUp": (3,),
    "browOuterUp": (4, 5),
}
"""The blendshapes corrected, left and right as one."""
STEEPEST = 2.0
"""No answer is amplified further: a driver's trembling grows with it."""
FEWEST = 8
"""Fewer samples between two knots say nothing."""

Read = Callable[[Pixels], Floats | None]


def answers(network: SwapNetwork, pairs: Pairs, count: int, read: Read) -> tuple[Floats, Floats]:
    """What was told and what was read in the drawn pictures, (n, 52) each, n <= count.

    `read` gives the 52 readings of the face in a picture, None where it finds none. A frame of plain pixels
    is added around the crop: a face detector wants some room.
    """
    told, found = [], []
    for index in np.linspace(0, len(pairs) - 1, count).astype(int):
        sample = pairs.plain([int(index)])
        with torch.no_grad():
            drawn = network(sample.face, sample.blendshapes, sample.pose).face
        picture = (drawn[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        room = picture.shape[0] // 3
        reading = read(cv2.copyMakeBorder(picture, room, room, room, room, cv2.BORDER_REPLICATE))
        if reading is not None:
            told.append(sample.blendshapes[0].numpy())
            found.append(reading)
    return np.array(told, np.float32), np.array(found, np.float32)


def response(told: Floats, read: Floats) -> tuple[list[float], list[float]]:
    """A rising curve through (0, 0): mean told and mean read between the knots."""
    edges = [*KNOTS, 0.85, 1.01]
    xs, ys = [0.0], [0.0]
    rest = float(np.median(read[told < 0.05])) if (told < 0.05).any() else 0.0
    for low, high in pairwise(edges):
        inside = (told >= low) & (told < high)
        if inside.sum() < FEWEST:
            continue
        x, y = float(told[inside].mean()), float(read[inside].mean()) - rest
        if x > xs[-1] + 0.02:
            xs.append(x)
            ys.append(max(y, ys[-1] + 0.05 * (x - xs[-2 if len(xs) > 1 else -1])))
    return xs, ys


def bend_for(xs: list[float], ys: list[float]) -> npt.NDArray[np.float32]:
    """Slopes to add at `KNOTS` so that the curve (xs, ys) becomes the straight line as nearly as allowed."""
    wanted = np.array([*KNOTS, 1.0])
    # What must be told so that `wanted` is read: the curve, read backwards and continued at slope one.
    told = np.interp(wanted, [*ys, ys[-1] + 1], [*xs, xs[-1] + 1])
    slopes = np.clip(np.diff(told) / np.diff(wanted), 0.5, STEEPEST)
    slopes[0] = 1.0  # a face at rest reads a few hundredths of everything: that is not to grow
    return np.diff(slopes, prepend=1.0).astype(np.float32)


def calibrate(network: SwapNetwork, pairs: Pairs, read: Read, count: int = 400) -> dict[str, list[float]]:
    """Bend what `network` is told, in place; the curve of each blendshape as told, read, told, read, ..."""
    condition = network.decoder.condition
    condition.bend.zero_()
    told, found = answers(network, pairs, count, read)
    curves = {}
    for name, numbers in BENT.items():
        both = [np.concatenate([values[:, n] for n in numbers]) for values in (told, found)]
        xs, ys = response(both[0], both[1])
        if len(xs) < 3:
            continue
        for n in numbers:
            condition.bend[n] = torch.from_numpy(bend_for(xs, ys))
        curves[name] = [round(v, 3) for pair in zip(xs, ys, strict=True) for v in pair]
    return curves

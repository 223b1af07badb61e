"""A mouth's shape in twelve numbers: what the network's ear says, and what its painter draws."""

import numpy as np
import numpy.typing as npt

from trained_models.recipes.people.actions import side_names
from trained_models.recipes.people.assets import Floats

CODE = (
    *("jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile"),
    *("mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugUpper", "tongueOut"),
)
"""What speech moves, in the order of a code; a pair counts once."""

JAW = CODE.index("jawOpen")
OPENERS = tuple(CODE.index(name) for name in ("jawOpen", "mouthLowerDown", "mouthUpperUp"))
CLOSERS = tuple(CODE.index(name) for name in ("mouthPress", "mouthRollLower", "mouthRollUpper"))


def encoded(actions: Floats, names: list[str]) -> Floats:
    """(..., 12) codes of (..., 52) weights in the order of `names`; a pair's mean."""
    columns = [actions[..., [names.index(half) for half in side_names(name)]].mean(-1) for name in CODE]
    return np.asarray(np.stack(columns, -1), np.float32)


def decoded(codes: Floats, names: list[str]) -> Floats:
    """(..., 52) weights of (..., 12) codes: both halves of a pair alike."""
    out: npt.NDArray[np.float32] = np.zeros((*codes.shape[:-1], len(names)), np.float32)
    for k, name in enumerate(CODE):
        for half in side_names(name):
            out[..., names.index(half)] = codes[..., k]
    return out


ROUNDERS = tuple(CODE.index(name) for name in ("mouthFunnel", "mouthPucker"))

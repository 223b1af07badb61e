"""How strongly actions are driven, and the expressions they combine to."""

import numpy as np

from trained_models.recipes.people.assets import Floats

PAIRED = (
    *("browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown"),
    *("mouthLowerDown", "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer"),
)
"""Actions with a left and a right half."""

GAINS = {
    "browDown": 2.3,
    "browInnerUp": 2.2,
    "browOuterUp": 2.0,
    "eyeSquint": 1.6,
    "eyeWide": 1.3,
    "jawOpen": 1.2,
    "mouthFrown": 1.6,
    "mouthFunnel": 1.5,
    "mouthPress": 1.2,
    "mouthSmile": 1.2,
    "mouthStretch": 1.1,
    "mouthUpperUp": 1.1,
    "noseSneer": 1.2,
}
"""What 1.0 of an action is multiplied with, so that MediaPipe reads its whole range. Found with `ceiling`."""

EXPRESSIONS: dict[str, dict[str, float]] = {
    "smile": {"mouthSmile": 0.9, "cheekSquint": 0.6, "eyeSquint": 0.25},
    "laugh": {"mouthSmile": 1.0, "cheekSquint": 0.7, "eyeSquint": 0.4, "jawOpen": 0.45, "mouthUpperUp": 0.4},
    "surprise": {"browInnerUp": 0.95, "browOuterUp": 0.9, "eyeWide": 0.9, "jawOpen": 0.5},
    "brows": {"browInnerUp": 0.9, "browOuterUp": 0.8},
    "anger": {"browDown": 0.95, "noseSneer": 0.6, "eyeSquint": 0.5, "mouthPress": 0.4, "mouthFrown": 0.4},
    "sad": {"browInnerUp": 0.8, "mouthFrown": 0.8, "mouthShrugLower": 0.5, "eyeSquint": 0.2},
    "disgust": {"noseSneer": 0.9, "mouthUpperUp": 0.6, "browDown": 0.5, "eyeSquint": 0.4},
    "fear": {"browInnerUp": 0.8, "browOuterUp": 0.4, "eyeWide": 0.8, "mouthStretch": 0.6, "jawOpen": 0.2},
    "kiss": {"mouthPucker": 0.9, "eyeSquint": 0.2},
    "doubt": {"mouthPress": 0.5, "mouthDimple": 0.5, "browDown": 0.3},
}


def side_names(action: str) -> tuple[str, ...]:
    """The topology's names for an action: itself, or its left and right half."""
    return (action + "Left", action + "Right") if action in PAIRED else (action,)


def gains(names: list[str]) -> Floats:
    """(52,) gain of each action, in the order of `names`."""
    by_name = {half: gain for action, gain in GAINS.items() for half in side_names(action)}
    return np.array([by_name.get(name, 1.0) for name in names], np.float32)


def both_sides(actions: dict[str, float]) -> dict[str, float]:
    """Weights by the topology's names, from weights where a pair has one name."""
    return {half: weight for action, weight in actions.items() for half in side_names(action)}

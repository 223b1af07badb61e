"""A real, tiny lip-sync bundle for tests of the whole program: a dark mouth that opens as loud as the sound is."""

from pathlib import Path

import numpy as np
from lip_parts import lip_bundle
from onnx import TensorProto, helper, numpy_helper
from sounds import clicks, write_sound

from realtime.models.bundle import Bundle
from realtime.models.library import add_avatar, built_in_folder

SIZE = 128
LOUD = -3.0
"""Mean mel of the window's first frames, -4..4, above which the mouth opens: a click of 5 ms does it."""


def a_speaking_bundle(folder: Path) -> Bundle:
    """A bundle whose network gives the face back, its mouth's place black where the window begins loud:
    mouth = whole face - its mouth's place * open, open = clip((mean of the first three mel frames - LOUD) * 50)."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    place = ((x - 0.5) / 0.2) ** 2 + ((y - 0.78) / 0.14) ** 2 < 1
    whole = {"begin": [0], "end": [3], "time": [3], "all": [1, 2, 3], "three": [3], "six": [6], "channels": [1]}
    numbers = {name: np.array(value, np.int64) for name, value in whole.items()}
    numbers |= {name: np.array(v, np.float32) for name, v in (("loud", LOUD), ("steep", 50), ("none", 0), ("whole", 1))}
    numbers["place"] = place.astype(np.float32)[None, None]
    nodes = [
        helper.make_node("Slice", ["mel", "begin", "end", "time"], ["first"]),
        helper.make_node("ReduceMean", ["first", "all"], ["level"], keepdims=1),
        helper.make_node("Sub", ["level", "loud"], ["over"]),
        helper.make_node("Mul", ["over", "steep"], ["far"]),
        helper.make_node("Clip", ["far", "none", "whole"], ["open"]),
        helper.make_node("Slice", ["faces", "three", "six", "channels"], ["face"]),
        helper.make_node("Mul", ["place", "open"], ["hole"]),
        helper.make_node("Sub", ["whole", "hole"], ["kept"]),
        helper.make_node("Mul", ["face", "kept"], ["mouth"]),
    ]
    shapes = {"mel": (1, 1, 80, 16), "faces": (1, 6, SIZE, SIZE), "mouth": (1, 3, SIZE, SIZE)}
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weights = [numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "speaking", ports[:2], ports[2:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return lip_bundle(folder, size=SIZE, network=model.SerializeToString())


def voice_file(path: Path, at: list[float], seconds: float) -> Path:
    """A sound file that clicks at these times."""
    return write_sound(path, [clicks(at, seconds, 16_000)], 16_000)


def a_cast(folder: Path) -> Path:
    """A speaking bundle's folder; and a picture of Ada on the user's shelf, called `pia`."""
    add_avatar(built_in_folder() / "ada" / "preview.jpg", identity="synthetic", statement="Ada.", name="pia")
    return a_speaking_bundle(folder).folder

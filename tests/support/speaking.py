"""A real, tiny lip-sync bundle for tests of the whole program: a dark mouth that opens as loud as the sound is."""

from pathlib import Path

import numpy as np
import onnx
from lip_parts import LIP_SYNC_FILE, lip_bundle
from onnx import TensorProto, helper, numpy_helper
from sounds import clicks, write_sound

from realtime.models.bundle import Bundle, hash_file, open_bundle
from realtime.models.library import add_avatar, built_in_folder

SIZE = 128
LOUD = -3.0
"""Mean mel of the window's first frames, -4..4, above which the mouth opens: a click of 5 ms does it."""


def a_speaking_bundle(folder: Path) -> Bundle:
    """A bundle whose network gives the face back, its mouth's place black where the window begins loud."""
    lip_bundle(folder, size=SIZE)
    old = hash_file(folder / LIP_SYNC_FILE)
    onnx.save(_network(), str(folder / LIP_SYNC_FILE))
    card = (folder / "model.toml").read_text(encoding="utf-8").replace(old, hash_file(folder / LIP_SYNC_FILE))
    (folder / "model.toml").write_text(card, encoding="utf-8")
    return open_bundle(folder)


def _network() -> onnx.ModelProto:
    """mouth = whole face - its mouth's place * open, open = clip((mean of the first three mel frames - LOUD) * 50)."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    place = (((x - 0.5) / 0.2) ** 2 + ((y - 0.78) / 0.14) ** 2 < 1).astype(np.float32)[None, None]
    numbers = {
        "begin": np.array([0], np.int64),
        "end": np.array([3], np.int64),
        "time": np.array([3], np.int64),
        "all": np.array([1, 2, 3], np.int64),
        "three": np.array([3], np.int64),
        "six": np.array([6], np.int64),
        "channels": np.array([1], np.int64),
        "loud": np.array(LOUD, np.float32),
        "steep": np.array(50.0, np.float32),
        "none": np.array(0.0, np.float32),
        "whole": np.array(1.0, np.float32),
        "place": place,
    }
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
    graph = helper.make_graph(
        nodes,
        "speaking",
        [
            helper.make_tensor_value_info("mel", TensorProto.FLOAT, (1, 1, 80, 16)),
            helper.make_tensor_value_info("faces", TensorProto.FLOAT, (1, 6, SIZE, SIZE)),
        ],
        [helper.make_tensor_value_info("mouth", TensorProto.FLOAT, (1, 3, SIZE, SIZE))],
        [numpy_helper.from_array(value, name) for name, value in numbers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def voice_file(path: Path, at: list[float], seconds: float) -> Path:
    """A sound file that clicks at these times."""
    return write_sound(path, [clicks(at, seconds, 16_000)], 16_000)


def a_cast(folder: Path) -> Path:
    """A speaking bundle's folder; and a picture of Ada on the user's shelf, called `pia`."""
    add_avatar(built_in_folder() / "ada" / "preview.jpg", identity="synthetic", statement="Ada.", name="pia")
    return a_speaking_bundle(folder).folder

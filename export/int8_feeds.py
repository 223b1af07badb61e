"""Calibration faces as what each family's networks are fed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from export.calibration import Moment, varied
from export.int8_ranges import Feed
from export.parity import Runs
from export.samples import mel_windows
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.inference.image_format import CropFormat
from realtime.inference.session import Array
from realtime.tracking.pose import head_angles

MORPHS = (1.0, 0.75, 0.5, 0.25)

MOTION_COVERAGE, LIP_SYNC_COVERAGE = 2.2, 1.5
"""How large a picture those families' models were trained on, in sides of the mean face: head and shoulders of
VoxCeleb; a detector's box around the face."""


def swap_feeds(
    moments: Sequence[Moment], input_table: Mapping[str, Any], inputs: Sequence[str], *, light: bool
) -> list[Feed]:
    """Feeds of a swap network by its card's [input] and its inputs' names. `light`: each face in another light
    as well."""
    form = _form(input_table)
    feeds: list[Feed] = []
    for number, moment in enumerate(moments):
        crop = _crop(moment, form.size, str(input_table["face_type"]), input_table.get("coverage"))
        for pixels in _lights(crop, number, light):
            known: dict[str, Array] = {
                "face": _numbers(form, pixels),
                "blendshapes": np.asarray(moment.face.blendshapes, np.float32)[None],
                "pose": np.asarray(head_angles(moment.face.pose), np.float32)[None],
                "lips": inner_lips(moment.face.landmarks)[None],
                "morph": np.array([MORPHS[len(feeds) % len(MORPHS)]], np.float32),
            }
            feeds.append({name: known[name] for name in inputs})
    return feeds


def motion_feeds(
    moments: Sequence[Moment], input_table: Mapping[str, Any], source: Runs, keypoints: Runs, *, light: bool
) -> list[Feed]:
    """Feeds of a motion bundle's `frame.onnx`: each face moved as another one, some moments on, holds its head.

    `source` and `keypoints` are the bundle's other two networks, or what they were made from.
    """
    form = _form(input_table)
    pictures = [
        _numbers(form, pixels)
        for number, moment in enumerate(moments)
        for pixels in _lights(_crop(moment, form.size, "whole_face", MOTION_COVERAGE), number, light)
    ]
    feeds: list[Feed] = []
    for number, picture in enumerate(pictures):
        other = pictures[(number + len(pictures) // 3) % len(pictures)]
        avatar, driver = source.run({"source": picture}), keypoints.run({"driving": other})
        of_avatar = {f"source_{n}" if n in ("keypoints", "jacobians") else n: v for n, v in avatar.items()}
        feeds.append({**of_avatar, **{f"driving_{name}": value for name, value in driver.items()}})
    return feeds


def lip_sync_feeds(moments: Sequence[Moment], input_table: Mapping[str, Any], *, light: bool) -> list[Feed]:
    """Feeds of a lip-sync network. The sounds are seeded noise in the shape of speech's spectra, not speech."""
    form = _form(input_table)
    pictures = [
        _numbers(form, pixels)
        for number, moment in enumerate(moments)
        for pixels in _lights(_crop(moment, form.size, "whole_face", LIP_SYNC_COVERAGE), number, light)
    ]
    feeds: list[Feed] = []
    for picture, mel in zip(pictures, mel_windows(len(pictures), seed=len(pictures)), strict=True):
        upper = picture.copy()
        upper[:, :, form.size // 2 :] = 0
        feeds.append({"mel": mel, "faces": np.concatenate([upper, picture], 1)})
    return feeds


def _form(table: Mapping[str, Any]) -> CropFormat:
    return CropFormat(
        int(table["size"]), table.get("layout", "NCHW"), table.get("colour", "BGR"), table.get("range", "0..1")
    )


def _crop(moment: Moment, size: int, face_type: str, coverage: float | None) -> Pixels:
    return cut(moment.pixels, crop_from_frame(moment.face.landmarks, face_type, size, coverage=coverage), size)


def _lights(crop: Pixels, number: int, light: bool) -> list[Pixels]:
    return [crop, varied(crop, number)] if light else [crop]


def _numbers(form: CropFormat, pixels: Pixels) -> Floats:
    numbers: Floats = np.empty(form.shape(3), np.float32)
    form.fill(numbers, pixels)
    return numbers

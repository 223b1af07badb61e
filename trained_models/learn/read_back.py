"""Reads a learnt identity back: worn over a clip, how well it follows the driver; how far its lips are to part.

`masquerade bench quality` is the full measurement of a finished bundle.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from realtime.config import Settings
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Floats, Frame, Pixels
from realtime.imaging.affine import cut
from realtime.imaging.blend import Swapped, blend, oval_mask
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.crops import face_crop
from trained_models.autoencoder.export import Exported
from trained_models.autoencoder.network import SwapNetwork

WATCHED = {"jaw": (25,), "blinks": (9, 10), "smile": (44, 45)}
"""What is reported, by MediaPipe's numbers of the blendshapes."""
FOLLOWED = 1.22
"""What is read so of Ada on the packaged driver: her lips part 0.98 times as far as the driver's over eleven of them
(`masquerade bench quality`). Here every fifth frame is read, and the driver's readings are steadied."""
SURE_R = 0.7  # lips that follow worse tell nothing of how far they would part
LEAST, MOST = 0.8, 1.4

Followed = tuple[float, float, float]
"""The driver's standard deviation, Pearson's r, and the gain from driver to output."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was read on one clip. `table`: by `WATCHED`; `lips`: the same of their distance in the middle, as of
    `inner_lips`; `pose_deg`: the mean rotation error; how many frames were `seen` and `replaced`."""

    table: dict[str, Followed]
    lips: Followed
    pose_deg: float
    seen: int
    replaced: int

    def line(self) -> str:
        parts = [f"{label} r {r:.2f} gain {gain:.2f}" for label, (_, r, gain) in self.table.items()]
        return f"{', '.join(parts)}, pose {self.pose_deg:.1f} degrees, {self.replaced} of {self.seen} frames replaced"


def frames_of(path: Path, step: int) -> Iterator[Pixels]:
    clip, number = cv2.VideoCapture(str(path)), 0
    while (read := clip.read())[0]:
        if number % step == 0:
            yield read[1]
        number += 1


def swapped_frame(network: Exported, pixels: Pixels, face: Face, settings: Settings) -> Pixels:
    size = network.network.shape.size
    matrix = face_crop(face.landmarks, size)
    crop = cut(pixels, matrix, size)
    feed = torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        drawn, mask, shows, _ = network(
            feed,
            torch.from_numpy(face.blendshapes)[None],
            torch.from_numpy(head_angles(face.pose))[None],
            torch.from_numpy(inner_lips(face.landmarks))[None],
        )
    bare = (drawn[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    swapped = Swapped(pixels=bare, mask=mask[0, 0].numpy(), visible=shows[0, 0].numpy())
    return blend(pixels, crop, swapped, matrix, settings, oval_mask(face.landmarks, matrix, size))


def rotation_error(a: Floats, b: Floats) -> float:
    first, second = (m[:3, :3] / np.cbrt(np.linalg.det(m[:3, :3])) for m in (a, b))
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def read_back(network: SwapNetwork, clip: Path, step: int = 5) -> Report:
    """Wear the network over every `step`-th frame of a clip and read its output with the tracker."""
    exported, settings = Exported(network).eval(), Settings()
    tracker, reader = Tracker(face_folder(), provider="cpu"), Tracker(face_folder(), provider="cpu")
    drivers, outputs, lips, errors = [], [], [], []
    seen = replaced = 0
    try:
        for number, pixels in enumerate(frames_of(clip, step)):
            faces = tracker(Frame(pixels, seq=number, captured_ns=number * step * 33_366_667))
            seen += 1
            if not faces:
                continue
            replaced += 1
            again = reader.find(swapped_frame(exported, pixels, faces[0], settings))
            if again:
                drivers.append(faces[0].blendshapes)
                outputs.append(again[0].blendshapes)
                lips.append([inner_lips(face.landmarks)[1] for face in (faces[0], again[0])])
                errors.append(rotation_error(faces[0].pose, again[0].pose))
    finally:
        tracker.close()
        reader.close()
    told, read = np.array(drivers), np.array(outputs)
    table = {}
    for label, numbers in WATCHED.items():
        spread, r, gain = np.mean([followed(told[:, i], read[:, i]) for i in numbers], axis=0).tolist()
        table[label] = spread, r, gain
    return Report(table, followed(*np.array(lips).reshape(-1, 2).T), float(np.mean(errors)), seen, replaced)


def followed(driver: npt.NDArray[np.floating], output: npt.NDArray[np.floating]) -> Followed:
    """The driver's standard deviation, Pearson's r, and the gain from driver to output."""
    a, b = driver - driver.mean(), output - output.mean()
    r, gain = (float((a @ b) / max(by, 1e-9)) for by in (np.sqrt((a @ a) * (b @ b)), a @ a))
    return float(driver.std()), r, gain


def lips_factor(report: Report) -> float:
    """For how much farther apart than told lips must be taken so that they part as far as Ada's. `LEAST` to `MOST`, and
    1 where lips hardly follow."""
    _, r, gain = report.lips
    return min(max(FOLLOWED / gain, LEAST), MOST) if r > SURE_R else 1.0

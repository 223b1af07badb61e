"""How well a network in training carries real drivers: the quick look, to be had while training runs.

`masquerade bench quality` is the full measurement of a finished bundle. This one reads the weights of a
running training, so that a wrong turn is seen after minutes and not hours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Frame
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.imaging.blend import Swapped, blend
from realtime.imaging.masks import oval_mask
from realtime.settings import Settings
from realtime.tracking.face import Face
from realtime.tracking.pose import head_angles
from realtime.tracking.tracker import Tracker
from trained_models.recipes.autoencoder.augment import Pixels
from trained_models.recipes.autoencoder.network import SwapNetwork
from trained_models.recipes.autoencoder.prepare import COVERAGE, FACE_TYPE
from trained_models.recipes.autoencoder.wearable import Wearable

WATCHED = {
    "jawOpen": 25,
    "eyeBlinkLeft": 9,
    "eyeBlinkRight": 10,
    "mouthSmileLeft": 44,
    "mouthSmileRight": 45,
    "browInnerUp": 3,
    "browOuterUpLeft": 4,
    "browDownLeft": 1,
    "mouthPucker": 38,
    "mouthFunnel": 32,
    "eyeLookInLeft": 13,
    "eyeLookDownLeft": 11,
}
"""MediaPipe's numbers of the blendshapes reported."""


Followed = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was measured on one clip.

    `table`: blendshape name to (driver's std, Pearson r, gain); `lips`: the same of their distance in the middle, as of
    `inner_lips`. `pose_deg`: the mean rotation error.
    `sheet`: driver, output and the bare drawn crop at some moments.
    """

    table: dict[str, Followed]
    lips: Followed
    pose_deg: float
    seen: int
    replaced: int
    read_back: int
    sheet: Pixels


def frames_of(path: Path, step: int) -> Iterator[Pixels]:
    """Every `step`-th picture of a clip."""
    clip = cv2.VideoCapture(str(path))
    number = 0
    while True:
        there, pixels = clip.read()
        if not there:
            break
        if number % step == 0:
            yield np.asarray(pixels, np.uint8)
        number += 1
    clip.release()


def wear(network: Wearable, pixels: Pixels, face: Face, settings: Settings) -> tuple[Pixels, Pixels]:
    """The frame with the identity on, and the bare drawn crop."""
    size = network.network.shape.size
    matrix = crop_from_frame(face.landmarks, FACE_TYPE, size, coverage=COVERAGE)
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
    out = blend(pixels, crop, swapped, matrix, settings, oval_mask(face.landmarks, matrix, size))
    return out, bare


def rotation_error(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Degrees between the rotations of two (4, 4) poses."""
    first, second = (m[:3, :3] / np.cbrt(np.linalg.det(m[:3, :3])) for m in (a, b))
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def check(network: SwapNetwork, clip: Path, *, step: int = 2, moments: int = 6) -> Report:
    """Wear the network over a clip and read its output with the tracker."""
    wearable = Wearable(network).eval()
    settings = Settings()
    tracker, reader = Tracker(provider="cpu"), Tracker(provider="cpu")
    drivers, outputs, lips, errors, bands = [], [], [], [], []
    seen = replaced = 0
    for number, pixels in enumerate(frames_of(clip, step)):
        faces = tracker(Frame(pixels, seq=number, captured_ns=number * step * 33_366_667))
        seen += 1
        if not faces:
            continue
        out, bare = wear(wearable, pixels, faces[0], settings)
        replaced += 1
        bands.append((pixels, out, bare, faces[0].box))
        again = reader.find(out)
        if again:
            drivers.append(faces[0].blendshapes)
            outputs.append(again[0].blendshapes)
            lips.append([inner_lips(face.landmarks)[1] for face in (faces[0], again[0])])
            errors.append(rotation_error(faces[0].pose, again[0].pose))
    tracker.close()
    reader.close()
    told, read = np.array(drivers), np.array(outputs)
    table = {name: followed(told[:, i], read[:, i]) for name, i in WATCHED.items()}
    apart = followed(*np.array(lips).reshape(-1, 2).T)
    chosen = [bands[i] for i in np.linspace(0, len(bands) - 1, moments).astype(int)]
    columns = [np.vstack([_around(p, box), _around(o, box), cv2.resize(b, (256, 256))]) for p, o, b, box in chosen]
    return Report(table, apart, float(np.mean(errors)), seen, replaced, len(told), np.hstack(columns))


def followed(driver: npt.NDArray[np.floating], output: npt.NDArray[np.floating]) -> Followed:
    """The driver's standard deviation, Pearson's r, and the gain from driver to output."""
    a, b = driver - driver.mean(), output - output.mean()
    r, gain = (float((a @ b) / max(by, 1e-9)) for by in (np.sqrt((a @ a) * (b @ b)), a @ a))
    return float(driver.std()), r, gain


def _around(pixels: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """(256, 256, 3): the head and some room around a face's box."""
    x0, y0, x1, y1 = box
    side = 1.8 * max(x1 - x0, y1 - y0)
    scale = 256 / side
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2 - 0.1 * side
    matrix = np.array([[scale, 0, 128 - scale * cx], [0, scale, 128 - scale * cy]])
    return np.asarray(cv2.warpAffine(pixels, matrix, (256, 256), flags=cv2.INTER_AREA), np.uint8)

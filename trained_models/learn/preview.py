"""The preview sheet that a training shows, as DeepFaceLab's users know it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from realtime.capture.recording import Recording
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.tracking.pose import head_angles
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.crops import SIZE, face_crop
from trained_models.autoencoder.dataset import Batch
from trained_models.autoencoder.network import SwapNetwork
from trained_models.learn.footage import Floats

COLUMNS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Drivers:
    """Somebody else's crops (n, S, S, 3) uint8 BGR; their `blendshapes` (n, 52), `pose` (n, 3) and `lips` (n, 3)."""

    crops: Pixels
    blendshapes: Floats
    pose: Floats
    lips: Floats


def drivers_of(clip: Path, count: int = COLUMNS, most_frames: int = 250) -> Drivers:
    """`count` faces from all over a clip; fewer where fewer are found."""
    tracker, source = Tracker(provider="cpu"), Recording(clip)
    wanted = set(np.linspace(0, most_frames - 1, count).astype(int).tolist())
    rows = []
    try:
        while (frame := source.read()) is not None and frame.seq < most_frames:
            if frame.seq not in wanted:
                continue
            for face in tracker.find(frame.pixels):
                matrix = face_crop(face.landmarks)
                told = face.blendshapes, head_angles(face.pose), inner_lips(face.landmarks)
                rows.append((cut(frame.pixels, matrix, SIZE, "edge"), *told))
    finally:
        source.close()
        tracker.close()
    return Drivers(*(np.stack(column) for column in zip(*rows, strict=True)))


def sheet(network: SwapNetwork, own: Batch, drivers: Drivers) -> Pixels:
    """Rows: held-out source, its reconstruction, driver, swap, the swap's mask; up to eight columns of each."""
    device = next(network.parameters()).device
    n = min(COLUMNS, len(own.face), len(drivers.crops))
    crops = torch.from_numpy(drivers.crops[:n]).permute(0, 3, 1, 2).float() / 255
    told = [torch.from_numpy(some[:n]).to(device) for some in (drivers.blendshapes, drivers.pose, drivers.lips)]
    with torch.no_grad():
        again = network(own.face[:n].to(device), *(some[:n].to(device) for some in own.told))
        worn = network(crops.to(device), *told)
    mask = worn.mask.sigmoid().expand(-1, 3, -1, -1)
    rows = [own.face[:n], again.face.clamp(0, 1), crops, worn.face.clamp(0, 1), mask]
    bands = [(r.cpu().permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8) for r in rows]
    return np.vstack([np.hstack(list(band)) for band in bands])


def write_sheet(path: Path, picture: Pixels) -> None:
    """A picture file that appears whole, for a viewer that watches it."""
    done, stream = cv2.imencode(path.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise ValueError(f"OpenCV could not encode {path.name}")
    part = path.with_name(path.name + ".part")
    part.write_bytes(stream.tobytes())
    part.replace(path)

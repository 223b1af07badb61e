"""What the kept frames cover: a table, hints what to film for more, and a sheet of pictures to look at."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from realtime.capture.recording import Recording
from realtime.families.face_swap.autoencoder import inner_lips
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import cut
from realtime.models.library import face_folder
from realtime.tracking.pose import head_angles
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.crops import MARGIN, SIZE, face_crop
from trained_models.autoencoder.dataset import Batch
from trained_models.autoencoder.network import SwapNetwork
from trained_models.learn.footage import Looks

JAW_OPEN = 25
BLINKS = [9, 10]
SMILES = [44, 45]  # mediaPipe's numbers of the blendshapes

FEW = 8  # fewer frames than this of a kind, and the table says what to film

SHEET_COLUMNS, SHEET_ROWS, SHEET_SIDE = 10, 6, 96

Kind = tuple[str, float, float, str]
"""What it is called, from and up to which value, and what to film where there are few; empty: rare is fine."""

_ANGLES_YAW: tuple[Kind, ...] = (
    ("left > 12°", -180, -12, "turn the head to one side"),
    ("12–4°", -12, -4, ""),
    ("ahead", -4, 4, "look straight into the camera"),
    ("4–12°", 4, 12, ""),
    ("right > 12°", 12, 180, "turn the head to the other side"),
)
_ANGLES_PITCH: tuple[Kind, ...] = (
    ("up > 6°", -180, -6, "lift the chin"),
    ("level", -6, 6, ""),
    ("down > 6°", 6, 180, "lower the chin"),
)
_MOUTH: tuple[Kind, ...] = (
    ("closed", -1, 0.05, "close the lips and wait"),
    ("ajar", 0.05, 0.2, ""),
    ("open", 0.2, 0.45, "talk"),
    ("wide", 0.45, 2, "open the mouth wide"),
)
_EYES: tuple[Kind, ...] = (
    ("open", -1, 0.35, "open the eyes"),
    ("half", 0.35, 0.6, ""),
    ("closed", 0.6, 2, "close the eyes for a moment"),
)
_SMILE: tuple[Kind, ...] = (("none", -1, 0.2, "relax the face"), ("light", 0.2, 0.5, ""), ("full", 0.5, 2, "smile"))


def spread_deg(angles: Floats) -> float:
    """How far an angle in radians goes, its outermost 2 % on either side left out."""
    low, high = np.percentile(angles, [2, 98])
    return float(np.degrees(high - low))


def _measures(looks: Looks) -> list[tuple[str, npt.NDArray[np.floating], tuple[Kind, ...]]]:
    return [
        ("turn", np.degrees(looks.pose[:, 1]), _ANGLES_YAW),
        ("nod", np.degrees(looks.pose[:, 0]), _ANGLES_PITCH),
        ("mouth", looks.blendshapes[:, JAW_OPEN], _MOUTH),
        ("eyes", looks.blendshapes[:, BLINKS].mean(1), _EYES),
        ("smile", looks.blendshapes[:, SMILES].mean(1), _SMILE),
    ]


def coverage(looks: Looks) -> dict[str, dict[str, int]]:
    """How many frames there are of each kind, by measure."""
    return {
        name: {label: int(((values >= low) & (values < high)).sum()) for label, low, high, _ in kinds}
        for name, values, kinds in _measures(looks)
    }


def table(looks: Looks) -> list[str]:
    """The coverage as lines of text, the last with what to film for more where something is rare."""
    counts = coverage(looks)
    lines = [
        f"  {name:<6} " + "  ".join(f"{label} {n}" for label, n in kinds.items()) for name, kinds in counts.items()
    ]
    wanted = [
        do for name, _, kinds in _measures(looks) for label, _, _, do in kinds if do and counts[name][label] < FEW
    ]
    if wanted:
        lines.append(f"  rare, and drawn worse for it; film more of this: {', '.join(wanted)}")
    return lines


def kept_sheet(looks: Looks) -> Pixels:
    """A contact sheet of kept frames: from left turned to right turned, each column from shut mouth to open."""
    n = min(len(looks), SHEET_COLUMNS * SHEET_ROWS)
    chosen = np.linspace(0, len(looks) - 1, n).astype(int)
    by_turn = chosen[np.argsort(looks.pose[chosen, 1], kind="stable")]
    sheet = np.full((SHEET_ROWS * SHEET_SIDE, SHEET_COLUMNS * SHEET_SIDE, 3), 32, np.uint8)
    for column, some in enumerate(np.array_split(by_turn, SHEET_COLUMNS)):
        for row, i in enumerate(some[np.argsort(looks.blendshapes[some, JAW_OPEN], kind="stable")]):
            inner = looks.crop[i][MARGIN:-MARGIN, MARGIN:-MARGIN]
            small = cv2.resize(inner, (SHEET_SIDE, SHEET_SIDE), interpolation=cv2.INTER_AREA)
            y, x = row * SHEET_SIDE, column * SHEET_SIDE
            sheet[y : y + SHEET_SIDE, x : x + SHEET_SIDE] = small
    return sheet


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
    tracker, source = Tracker(face_folder(), provider="cpu"), Recording(clip)
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
    part = path.with_name(path.name + ".part")
    part.write_bytes(cv2.imencode(path.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    part.replace(path)

"""Whether eyes and nose sit where the driver's are, by a detector that does not drive the motion."""

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.moment import VIDEOS, Moment
from benchmarks.pictures import reencoded
from benchmarks.second_reader import OUTER_EYES, SecondReader
from realtime.frame import Pixels

Reals = npt.NDArray[np.float64]


class LandmarkError:
    """Normalised mean error (300-W: Sagonas and others, 2013) in percent of the driver's outer-eye distance.

    Points are those of the second reader: four eye corners and the point below the nose, read on each picture alone.
    `nme` counts what is missing of following and what differs in the two faces' shapes. `nme_without_constant` takes
    each point's constant offset out, in the driver's own eye frame: the shapes' part. `reread` is how well the reader
    agrees with itself on the driver's picture after JPEG: less than that can't be told. `missed`: faces that were
    read in the driver and not in the output (MKR; Siarohin and others, 2019).
    """

    key = "landmarks"

    def __init__(self, reader: SecondReader) -> None:
        self._reader = reader
        self._read: list[dict[str, Reals | None]] = []

    def see(self, moment: Moment) -> None:
        """One frame; none counts in which the driver's face was not read before."""
        if moment.face is None:
            return
        pictures: dict[str, Pixels] = {**moment.pictures, "reread": reencoded(moment.pictures["driver"])}
        found = {name: self._reader.find(pixels, moment.face.box) for name, pixels in pictures.items()}
        self._read.append({name: None if one is None else one.points for name, one in found.items()})

    def figures(self) -> dict[str, Any]:
        """Percent; None where there was nothing to compare."""
        driver = [r for r in self._read if r["driver"] is not None]
        if not driver:
            return {"missing": "the second reader found the driver's face in no frame"}
        figures: dict[str, Any] = {"reader": "dlib, 5 points", "frames": len(driver)}
        for name in (*VIDEOS, "reread"):
            if name == "driver":
                continue
            pairs = [(r["driver"], r[name]) for r in driver if r[name] is not None]
            if name == "output":
                figures["missed"] = round(1 - len(pairs) / len(driver), 4)
            errors = nme(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])) if pairs else (None, None)
            figures |= dict(zip(_NAMES[name], errors, strict=False))
        return figures


_NAMES = {"output": ("nme", "nme_without_constant"), "ceiling": ("ceiling_nme",), "reread": ("reread_nme",)}


def nme(driver: Reals, output: Reals) -> tuple[float, float]:
    """(normalised mean error, the same without each point's constant offset), in percent.

    Both are (T, 5, 2) in pixels. The unit is the driver's outer-eye distance, frame by frame; the offset is taken
    along and across the line of its eyes, so that it stays constant when the head rolls or comes near.
    """
    across = driver[:, OUTER_EYES[1]] - driver[:, OUTER_EYES[0]]
    # As complex numbers the turn and the unit are one factor.
    unit = (across[:, 0] + 1j * across[:, 1])[:, None]
    off = ((output[..., 0] - driver[..., 0]) + 1j * (output[..., 1] - driver[..., 1])) / unit
    left = off - off.mean(axis=0)
    return round(100 * float(np.abs(off).mean()), 3), round(100 * float(np.abs(left).mean()), 3)

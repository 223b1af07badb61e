"""Pictures to record, and what a recording gives back."""

from pathlib import Path

import av
import numpy as np

from realtime.frame import Frame, Pixels

SIZE = (64, 48)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (40, 120, 200)]
SUFFIXES = [".mp4", ".mkv", ".webm"]


def bars(size: tuple[int, int] = SIZE) -> Pixels:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, size[0] * i // 5 : size[0] * (i + 1) // 5] = colour
    return picture


def grey(level: int, size: tuple[int, int] = SIZE) -> Pixels:
    return np.full((size[1], size[0], 3), level, np.uint8)


def frame(pixels: Pixels, seq: int, at_s: float, media_s: float | None = None) -> Frame:
    return Frame(pixels, seq, round(at_s * 1e9), media_s)


def pictures(path: Path) -> tuple[list[float], list[Pixels]]:
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
        return [f.time for f in decoded], [np.asarray(f.to_ndarray(format="bgr24"), np.uint8) for f in decoded]

"""Of claps that were seen and heard: how much later the sound of each came, and how that drifts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.clap_parts import is_bright, onsets
from realtime.sound import HEARD_HZ

EARLY_MS, LATE_MS = -20.0, 45.0
"""What sound may be ahead of its picture and behind it: this project's own promise. ATSC IS/191 has -15..+45, ITU-R
BT.1359 sees nobody notice -45..+125."""

FEWEST = 3
"""Claps that anything can be told from."""


def recording(path: Path) -> tuple[list[tuple[float, float]], list[float]]:
    """((a flash's first picture, the picture before) ..., clicks ...) of a recording, seconds."""
    flashes: list[tuple[float, float]] = []
    with av.open(str(path)) as container:
        before_s, bright = 0.0, True
        for picture in container.decode(video=0):
            now = is_bright(np.asarray(picture.to_ndarray(format="bgr24"), np.uint8))
            if now and not bright:
                flashes.append((float(picture.time or 0.0), before_s))
            bright, before_s = now, float(picture.time or 0.0)
    clicks: list[float] = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARD_HZ)
        start_s, count = None, 0
        for frame in container.decode(audio=0):
            start_s = float(frame.time or 0.0) if start_s is None else start_s
            for piece in resampler.resample(frame):
                samples = piece.to_ndarray()[0]
                for at in onsets(samples):
                    when = start_s + (count + at) / HEARD_HZ
                    if not clicks or when - clicks[-1] > 0.5:
                        clicks.append(when)
                count += len(samples)
    return flashes, clicks


def pairs(flashes: Sequence[tuple[float, float]], clicks: Sequence[float]) -> list[tuple[float, float, float]]:
    """(when, least, most seconds that its click came after a flash) of each flash, with the click nearest to it.

    A picture that was dropped before the flash might have shown it earlier: hence two numbers, mostly the same.
    """
    found = []
    every_s = float(np.median(np.diff([now for now, _ in flashes]))) if len(flashes) > 1 else 2.0
    for now, before in flashes:
        nearest = min(clicks, key=lambda at: abs(at - now), default=None)
        if nearest is not None and abs(nearest - now) < 0.5 * every_s:
            found.append((now, nearest - now, nearest - now + max(now - before - 1.5 / 25, 0.0)))
    return found


def offsets(found: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Milliseconds that sound comes after its picture: at the start, in the middle, at the end, and how it drifts."""
    if len(found) < FEWEST:
        return {"missing": f"only {len(found)} flashes were seen with their clicks", "claps": len(found)}
    when, late = np.array([at for at, _, _ in found]), 1000 * np.array([least for _, least, _ in found])
    doubt = 1000 * np.array([most - least for _, least, most in found])
    well = (late + doubt >= EARLY_MS) & (late <= LATE_MS)
    thirds = np.array_split(late, 3)
    slope = np.polyfit(when - when[0], late, 1)[0]
    return {
        "claps": len(found),
        "median_ms": round(float(np.median(late)), 1),
        "start_ms": round(float(np.median(thirds[0])), 1),
        "middle_ms": round(float(np.median(thirds[1])), 1),
        "end_ms": round(float(np.median(thirds[2])), 1),
        "p5_ms": round(float(np.percentile(late, 5)), 1),
        "p95_ms": round(float(np.percentile(late, 95)), 1),
        "earliest_ms": round(float(late.min()), 1),
        "latest_ms": round(float(late.max()), 1),
        "within": round(float(well.mean()), 4),
        "drift_ms": round(float(slope * (when[-1] - when[0])), 1),
        "flashes_after_a_lost_picture": int((doubt > 0).sum()),
        "each_ms": [round(float(one), 1) for one in late],
    }

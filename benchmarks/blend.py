"""`masquerade bench blend`: what cutting the face out and putting it back costs, networks not counted.

Measured in turn with the plain full-frame way (`full_frame_merge.py`) on the same pictures, frame by frame,
so that whatever else the machine does hits both. The scene is made up: no network decides the face or mask.
"""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.full_frame_merge import cut_plainly, merge_full_frame
from benchmarks.stamp import one_line, stamp
from realtime.errors import ConfigError
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, cut
from realtime.imaging.align import FACE_TYPES, MEAN_FACE, MEAN_FACE_POINTS, crop_from_frame
from realtime.imaging.blend import Swapped, blend
from realtime.settings import Settings

SCHEMA = 1

FACE_TYPE = "whole_face"


class Scene:
    """A frame of noise on soft colours, a face in its middle, and what a network might have made of it."""

    def __init__(self, width: int, height: int, face_px: int, size: int) -> None:
        rng = np.random.default_rng(0)
        self.size = size
        self.pixels = _soft_picture(rng, height, width)
        self.pixels.flags.writeable = False
        unit_px = face_px / FACE_TYPES[FACE_TYPE].coverage
        turn = math.radians(7.0)
        linear = unit_px * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        self.landmarks: Matrix = np.full((68, 2), 0.5)
        self.landmarks[list(MEAN_FACE_POINTS)] = MEAN_FACE
        self.landmarks = (self.landmarks - 0.5) @ linear.T + np.array([0.5 * width, 0.5 * height])
        y, x = np.mgrid[0:size, 0:size] / (size - 1) - 0.5
        oval = 1.0 - ((x / 0.36) ** 2 + (y / 0.43) ** 2)
        self.mask: Floats = np.clip(oval * 8.0, 0.0, 1.0).astype(np.float32)
        self.face = _soft_picture(rng, size, size)

    def ours(self, mode: Any = "rct") -> Pixels:
        """align, cut and blend with the product's defaults."""
        matrix = crop_from_frame(self.landmarks, FACE_TYPE, self.size)
        crop = cut(self.pixels, matrix, self.size)
        swapped = Swapped(self.face, self.mask, self.mask)
        return blend(
            self.pixels, crop, swapped, matrix, Settings(mask_erode=5, mask_blur=25, color_transfer=mode, sharpen=0)
        )  # DeepFaceLive's own

    def plain(self) -> Pixels:
        """The same by the full-frame way."""
        crop, matrix = cut_plainly(self.pixels, self.landmarks, self.size)
        return merge_full_frame(self.pixels, crop, self.face, (self.mask, self.mask), matrix)


def _soft_picture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    colors = rng.uniform(40.0, 215.0, (6, 8, 3)).astype(np.float32)
    soft = cv2.resize(colors, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = soft + rng.normal(0.0, 3.0, soft.shape)
    picture: Pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return picture


def _timed(work: Callable[[], Pixels]) -> tuple[float, float]:
    """(wall, CPU of all threads) in milliseconds."""
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    work()
    return (time.perf_counter_ns() - wall) / 1e6, (time.process_time_ns() - cpu) / 1e6


def _figures(times: npt.NDArray[np.float64]) -> dict[str, float]:
    wall, cpu = times.T
    return {
        "wall_min": round(float(wall.min()), 3),
        "wall_p50": round(float(np.percentile(wall, 50)), 3),
        "wall_p95": round(float(np.percentile(wall, 95)), 3),
        "cpu_min": round(float(cpu.min()), 3),
        "cpu_p50": round(float(np.percentile(cpu, 50)), 3),
    }


def measure(scene: Scene, threads: int, frames: int) -> dict[str, Any]:
    """Both ways in turn, `frames` times each after a tenth of warm-up, with so many OpenCV threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        warm_up = max(frames // 10, 3)
        rows = [(*_timed(scene.ours), *_timed(scene.plain)) for _ in range(warm_up + frames)][warm_up:]
    finally:
        cv2.setNumThreads(before)
    times = np.array(rows)
    ours, plain = _figures(times[:, :2]), _figures(times[:, 2:])
    ratios = {name: round(plain[name] / ours[name], 1) for name in ours}
    return {"threads": threads, "ours_ms": ours, "full_frame_ms": plain, "times_faster": ratios}


@click.command()
@click.option("--size", default="1280x720", show_default=True, help="The frame's.")
@click.option("--face", "face_px", type=click.IntRange(16), default=450, show_default=True, help="Side, px.")
@click.option("--crop", "crop_px", type=click.IntRange(32), default=224, show_default=True, help="Side, px.")
@click.option("--frames", type=click.IntRange(10), default=500, show_default=True)
@click.option("--threads", "counts", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def blend_cost(
    size: str, face_px: int, crop_px: int, frames: int, counts: tuple[int, ...], json_file: Path | None
) -> None:
    """What align and blend cost a frame, beside a full-frame float merge."""
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ConfigError(f"--size {size}: give it as WIDTHxHEIGHT, like 1280x720")
    scene = Scene(int(width), int(height), face_px, crop_px)
    difference = np.abs(scene.ours().astype(np.int16) - scene.plain())
    where = stamp()
    runs = [measure(scene, threads, frames) for threads in counts]
    for run in runs:
        ours, plain, faster = run["ours_ms"], run["full_frame_ms"], run["times_faster"]
        click.echo(
            f"{run['threads']} OpenCV threads: "
            f"ours p50 {ours['wall_p50']:.2f} p95 {ours['wall_p95']:.2f} ms, "
            f"full frame p50 {plain['wall_p50']:.1f} p95 {plain['wall_p95']:.1f} ms: "
            f"{faster['wall_p50']:.1f} times faster ({faster['cpu_p50']:.1f} by CPU time)"
        )
    click.echo(f"the two differ by {difference.mean():.2f} levels on average, {difference.max()} at most")
    click.echo(one_line(where))
    if json_file is not None:
        report = {
            "schema": SCHEMA,
            "benchmark": "blend",
            "frame": [int(width), int(height)],
            "face_px": face_px,
            "crop_px": crop_px,
            "frames": frames,
            "color_transfer": "rct",
            "difference_levels": {"mean": round(float(difference.mean()), 3), "max": int(difference.max())},
            "runs": runs,
            **where,
        }
        json_file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

"""`masquerade bench blend`: what cutting the face out and putting it back costs, networks not counted.

Measured in turns with the plain full-frame way on the same pictures, so that whatever else the machine does hits
both. The scene is made up: no network decides the face or mask.
"""

import math
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from benchmarks.interleaved import Times, take_turns
from benchmarks.report import check_outputs, finish, json_option, stamp
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.frame import Floats, Pixels
from realtime.imaging.affine import Matrix, cut
from realtime.imaging.align import FACE_TYPES, MEAN_FACE, MEAN_FACE_POINTS, crop_from_frame
from realtime.imaging.blend import Swapped, blend

SCHEMA = 1

FACE_TYPE = "whole_face"

ERODE, BLUR = 5, 25
"""DeepFaceLive's own defaults."""


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

    def ours(self) -> Pixels:
        """align, cut and blend as the product does."""
        matrix = crop_from_frame(self.landmarks, FACE_TYPE, self.size)
        crop = cut(self.pixels, matrix, self.size)
        settings = Settings(mask_erode=ERODE, mask_blur=BLUR, color_transfer="rct", sharpen=0)
        return blend(self.pixels, crop, Swapped(self.face, self.mask, self.mask), matrix, settings)

    def full_frame(self) -> Pixels:
        """The same over the whole frame in 32-bit floats: (H, W, 3) uint8 BGR, a new array.

        Our own writing of the steps and defaults recorded from DeepFaceLive's CPU merge (bilinear crop, masks
        multiplied, eroded and blurred on an array padded to three times its side, `rct`, both warped to the whole
        frame, float blend), with numpy and OpenCV. It is not DeepFaceLive's program.
        """
        size = self.size
        matrix = crop_from_frame(self.landmarks, FACE_TYPE, size)
        crop = np.asarray(cv2.warpAffine(self.pixels, matrix, (size, size)), dtype=np.uint8)
        frame = self.pixels.astype(np.float32) / 255.0
        cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        mask = np.asarray(cv2.erode(np.pad(self.mask * self.mask, size), cross, iterations=ERODE // 2), np.float32)
        clear = size + BLUR // 2
        for border in (np.s_[:clear], np.s_[-clear:], np.s_[:, :clear], np.s_[:, -clear:]):
            mask[border] = 0.0
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.25 * BLUR), np.float32)[size:-size, size:-size]
        moved = _rct(self.face.astype(np.float32) / 255.0, crop.astype(np.float32) / 255.0, mask)
        rows, columns = frame.shape[:2]
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        face_there = cv2.warpAffine(moved, matrix, (columns, rows), flags=flags)
        mask_there = np.clip(cv2.warpAffine(mask, matrix, (columns, rows), flags=flags), 0.0, 1.0)
        mask_there[mask_there < 1.0 / 255.0] = 0.0
        weight = mask_there[:, :, None]
        mixed = frame * (1.0 - weight) + face_there * weight
        return np.asarray(np.rint(np.clip(mixed, 0.0, 1.0) * 255.0), dtype=np.uint8)


def _rct(face: Floats, like: Floats, mask: Floats) -> Floats:
    outside = mask < 0.5
    means, spreads = [], []
    for picture in (face, like):
        kept = picture.copy()
        kept[outside] = 0.0
        lab = cv2.cvtColor(kept, cv2.COLOR_BGR2LAB).reshape(-1, 3)
        means.append(lab.mean(axis=0))
        spreads.append(lab.std(axis=0))
    lab = (cv2.cvtColor(face, cv2.COLOR_BGR2LAB) - means[0]) * (spreads[1] / spreads[0]) + means[1]
    low, high = np.array([0.0, -127.0, -127.0]), np.array([100.0, 127.0, 127.0])
    within = np.clip(lab, low, high).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(within, cv2.COLOR_LAB2BGR), 0.0, 1.0), dtype=np.float32)


def _soft_picture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    colors = rng.uniform(40.0, 215.0, (6, 8, 3)).astype(np.float32)
    soft = cv2.resize(colors, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy = soft + rng.normal(0.0, 3.0, soft.shape)
    return np.asarray(np.clip(np.rint(noisy), 0, 255), dtype=np.uint8)


def _figures(times: Times) -> dict[str, float]:
    found = {"wall_min": times.wall.min(), "wall_p50": np.median(times.wall), "wall_p95": np.percentile(times.wall, 95)}
    found |= {"cpu_min": times.cpu.min(), "cpu_p50": np.median(times.cpu)}
    return {name: round(float(value), 3) for name, value in found.items()}


def measure(scene: Scene, threads: int, frames: int) -> dict[str, Any]:
    """Both ways in turns, `frames` times each after a tenth of warm-up, with so many OpenCV threads."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    ways = {"ours": scene.ours, "full_frame": scene.full_frame}
    try:
        times = take_turns(ways, frames, warm_up=max(frames // 10, 3), settle=lambda: None)
    finally:
        cv2.setNumThreads(before)
    ours, plain = _figures(times["ours"]), _figures(times["full_frame"])
    ratios = {name: round(plain[name] / ours[name], 1) for name in ours}
    return {"threads": threads, "ours_ms": ours, "full_frame_ms": plain, "times_faster": ratios}


@click.command()
@click.option("--size", default="1280x720", show_default=True, help="The frame's.")
@click.option("--face", "face_px", type=click.IntRange(16), default=450, show_default=True, help="Side, px.")
@click.option("--crop", "crop_px", type=click.IntRange(32), default=224, show_default=True, help="Side, px.")
@click.option("--frames", type=click.IntRange(10), default=500, show_default=True)
@click.option("--threads", "counts", type=click.IntRange(1), multiple=True, default=(1, 2), show_default=True)
@json_option
def blend_cost(
    size: str, face_px: int, crop_px: int, frames: int, counts: tuple[int, ...], json_file: Path | None
) -> None:
    """What align and blend cost a frame, beside a full-frame float merge."""
    check_outputs(json_file)
    width, _, height = size.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise ConfigError(f"--size {size}: give it as WIDTHxHEIGHT, like 1280x720")
    scene = Scene(int(width), int(height), face_px, crop_px)
    difference = np.abs(scene.ours().astype(np.int16) - scene.full_frame())
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
        **stamp(),
    }
    finish(report, json_file)

"""Rendered truth beside a clip: where the face really is, with what is held before it cut out.

The form is the people recipe's own (`trained_models/recipes/people/clips.py`), an `.npz` without pickles. A clip of
it is a source itself; beside a video NAME.mp4 lies NAME.npz with the masks alone:
- `mask_png`: uint8, 8-bit grey PNG files one after the other; 255 = face (skin, eyes, mouth; no hair, ears, neck, and
  nothing of what is before it); of the video's size;
- `mask_png_offsets`: int64 (n + 1,): picture i is `mask_png[offsets[i]:offsets[i + 1]]`;
- `frame_jpg`, `frame_jpg_offsets`, `fps`: the pictures, where there is no video.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.moment import Missing, Moment
from realtime.capture.recording import Recording
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels
from realtime.imaging.resize import letterbox

LARGEST_PX = 4096
"""A PNG may say it is larger than memory: what is wider or higher is not read."""

LEAST_PX = 64
"""A face smaller than this is as good as hidden."""


class JoinedPictures:
    """Pictures stored as files one after the other in an `.npz`. Raises ConfigError where the form is another."""

    def __init__(self, path: Path, name: str) -> None:
        self._what = f"{path}: {name}"
        try:
            with np.load(path, allow_pickle=False) as stored:
                if name not in stored.files or f"{name}_offsets" not in stored.files:
                    raise ConfigError(f"{path} holds no {name} with {name}_offsets: see benchmarks/mask_truth.py")
                self._bytes: npt.NDArray[np.uint8] = stored[name]
                self._offsets = np.asarray(stored[f"{name}_offsets"], dtype=np.int64)
                self.fps = float(stored["fps"]) if "fps" in stored.files else 25.0
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise ConfigError(f"{path} is not a readable .npz file: {error}") from error
        steps = np.diff(self._offsets)
        fits = len(steps) > 0 and self._offsets[0] == 0 and self._offsets[-1] == len(self._bytes)
        if self._bytes.dtype != np.uint8 or self._bytes.ndim != 1 or not fits or (steps <= 0).any():
            raise ConfigError(f"{self._what} does not match its offsets: make the file again")

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def read(self, number: int, flags: int) -> npt.NDArray[np.uint8]:
        """Picture `number`, decoded. Raises ConfigError where it can't be."""
        packed = self._bytes[self._offsets[number] : self._offsets[number + 1]]
        decoded = cv2.imdecode(packed, flags)
        if decoded is None or max(decoded.shape[:2]) > LARGEST_PX:
            raise ConfigError(f"{self._what} number {number} is no picture up to {LARGEST_PX} px: make the file again")
        return np.ascontiguousarray(decoded, dtype=np.uint8)


class RenderedClip:
    """A rendered clip's pictures, one after the other. Obeys `Source`."""

    live, state = False, "ok"

    def __init__(self, path: Path, size: tuple[int, int] | None = None) -> None:
        self.name = path.name
        self._pictures = JoinedPictures(path, "frame_jpg")
        self.rate_hz = self._pictures.fps
        first = self._pictures.read(0, cv2.IMREAD_COLOR)
        self.size = size or (first.shape[1], first.shape[0])
        self._next = 0

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        if self._next >= len(self._pictures):
            return None
        number, self._next = self._next, self._next + 1
        pixels = letterbox(self._pictures.read(number, cv2.IMREAD_COLOR), self.size)
        return Frame(pixels, number, now_ns(), number / self.rate_hz)

    def unblock(self) -> None:
        """Make `read` return None."""
        self._next = len(self._pictures)

    def close(self) -> None:
        """Nothing is open."""


def open_clip(path: Path, size: tuple[int, int] | None) -> Source:
    """A video, or a rendered clip's `.npz`."""
    source: Source = RenderedClip(path, size) if path.suffix.lower() == ".npz" else Recording(path, size=size)
    return source


def open_truth(clip: Path) -> "MaskTruth | Missing":
    """Who compares with the truth that lies beside this clip, or says that there is none."""
    path = clip if clip.suffix.lower() == ".npz" else clip.with_suffix(".npz")
    if not path.is_file():
        return Missing("mask", f"no rendered truth: {path.name} is not beside the clip")
    return MaskTruth(path)


class MaskTruth:
    """Intersection over union with the face's true region (Everingham and others, 2010), a half and more being in.

    `iou` is of the network's own masks, before the blend erodes and softens them; `iou_driver` of the mask that the
    network draws of the driver's face alone; `iou_taken_over` of what was really replaced, which settings such as
    `mask_erode` keep small. `spilled`: the share of `iou`'s region that is not face (a hand painted over, hair);
    `left_out`: the share of the face outside it. Frames with less than `LEAST_PX` of true face don't count.
    """

    key = "mask"

    def __init__(self, path: Path) -> None:
        self._masks = JoinedPictures(path, "mask_png")
        self._found: dict[str, list[tuple[float, float, float]]] = {"both": [], "driver": [], "taken_over": []}

    def seen(self, number: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        """Where frame `number` shows the face, (H, W). Raises ConfigError past the truth's end."""
        if number >= len(self._masks):
            raise ConfigError(f"the truth has {len(self._masks)} masks, and the clip more frames: make the file again")
        stored: Pixels = self._masks.read(number, cv2.IMREAD_GRAYSCALE)
        three = np.ascontiguousarray(cv2.cvtColor(stored, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        where: npt.NDArray[np.bool_] = letterbox(three, (shape[1], shape[0]))[:, :, 0] >= 128
        return where

    def see(self, moment: Moment) -> None:
        """One frame."""
        if moment.mask is None:
            return
        true = self.seen(moment.seq, moment.mask.shape)
        if true.sum() < LEAST_PX:
            return
        for name, mask in {**moment.network_masks, "taken_over": moment.mask}.items():
            self._found[name].append(overlap(mask >= 0.5, true))

    def figures(self) -> dict[str, Any]:
        """Means over the frames, and the lowest twentieth of the overlap."""
        if not self._found["both"]:
            return {"missing": "no frame had both a true face and an output"}
        iou, spilled, left_out = np.array(self._found["both"]).T
        others = {
            f"iou_{name}": round(float(np.mean([one[0] for one in self._found[name]])), 4)
            if self._found[name]
            else None
            for name in ("driver", "taken_over")
        }
        return {
            "iou": round(float(iou.mean()), 4),
            "iou_p05": round(float(np.percentile(iou, 5)), 4),
            **others,
            "spilled": round(float(spilled.mean()), 4),
            "left_out": round(float(left_out.mean()), 4),
            "frames": len(iou),
        }


def overlap(drawn: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """(both over either, share of `drawn` outside `true`, share of `true` outside `drawn`). `true` has pixels."""
    both, either = int((drawn & true).sum()), int((drawn | true).sum())
    return both / either, 1 - both / max(int(drawn.sum()), 1), 1 - both / int(true.sum())

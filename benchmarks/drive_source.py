"""A long drive: a filmed clip played again and again, watermarked, with what its actor was asked to do."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.mask_truth import JoinedPictures
from benchmarks.watermark import Watermark
from realtime.capture.fit import letterbox
from realtime.errors import ConfigError
from realtime.frame import Frame, Pixels

Bools = npt.NDArray[np.bool_]

LOOKS_YAW, LOOKS_PITCH, UNCOVERED, INSIDE = 40.0, 30.0, 0.05, 0.3
"""Up to these a driver can be read: degrees, the share of something before the face, heads out of the picture."""

AWAY_YAW, AWAY_PITCH, OUTSIDE = 66.0, 50.0, 2.0
"""From these on nobody could be."""


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """What the actor does in each frame of a clip, (n,): `readable`, `away`; neither is in between.

    `person`: the seed of the rendered actor.
    """

    readable: Bools
    away: Bools
    person: int


def read_script(path: Path) -> Script:
    """The script of a clip of `film_drive`. Raises ConfigError for another file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            rot, near, aside = (np.asarray(stored[name], np.float64) for name in ("rot", "near", "aside"))
            person = int(stored["person_seed"])
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} is no drive: make one with python -m benchmarks.film_drive ({error})") from error
    pitch, yaw, aside = np.abs(rot[:, 0]), np.abs(rot[:, 1]), np.abs(aside)
    return Script(
        readable=(yaw < LOOKS_YAW) & (pitch < LOOKS_PITCH) & (near < UNCOVERED) & (aside < INSIDE),
        away=(yaw > AWAY_YAW) | (pitch > AWAY_PITCH) | (aside > OUTSIDE),
        person=person,
    )


class Drive:
    """Obeys `Source`: `seconds` of a clip, again from its start where it ends; (width, height) letterboxed.

    `shown` is the frame on its way, as the engine sees it. `len` is the clip's, `count` that of all frames.
    """

    live, state = False, "ok"

    def __init__(self, path: Path, size: tuple[int, int], seconds: float = float("inf")) -> None:
        self.name, self.size = path.name, size
        self._pictures = JoinedPictures(path, "frame_jpg")
        self.rate_hz = self._pictures.fps
        self.watermark = Watermark(size)
        self.count = max(1, round(min(seconds, 1e6) * self.rate_hz))
        self._next = 0
        self.shown: Pixels | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def read(self) -> Frame | None:
        """The next frame; None at the end."""
        if self._next >= self.count:
            return None
        number, self._next = self._next, self._next + 1
        self.shown = self._picture(number % len(self._pictures))
        return Frame(self.shown, number, round(1e9 * number / self.rate_hz), number / self.rate_hz)

    def _picture(self, number: int) -> Pixels:
        return self.watermark.on(letterbox(self._pictures.read(number, cv2.IMREAD_COLOR), self.size))

    def unblock(self) -> None:
        """Make `read` return None."""
        self._next = self.count

    def close(self) -> None:
        """Nothing is open."""

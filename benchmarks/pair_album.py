"""Pictures to look at after a long run: driver above output, at even steps and where the output was worst."""

import heapq
from pathlib import Path

import cv2
import numpy as np

from benchmarks.sheet import CELL
from realtime.errors import ConfigError
from realtime.frame import Pixels

COLUMNS = 8


class Album:
    """Keeps every `step`th moment and the `worst` ones, small."""

    def __init__(self, step: int, worst: int = 16) -> None:
        self._step, self._most = step, worst
        self._even: list[tuple[int, Pixels]] = []
        self._worst: list[tuple[float, int, Pixels]] = []

    def add(self, number: int, driver: Pixels, output: Pixels, badness: float) -> None:
        """One moment. A badness that is no number is worst of all, -99 a card: best."""
        bad = 1e9 if np.isnan(badness) else badness
        wanted = len(self._worst) < self._most or bad > self._worst[0][0]
        if number % self._step and not wanted:
            return
        pair = np.vstack([_cell(driver), _cell(output)]).astype(np.uint8)
        text = f"{number}  {'no face' if bad == 1e9 else f'{bad:+.1f}' if bad > -99 else 'card'}"
        cv2.putText(pair, text, (5, pair.shape[0] - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
        if number % self._step == 0:
            self._even.append((number, pair))
        if wanted:
            add = heapq.heappush if len(self._worst) < self._most else heapq.heapreplace
            add(self._worst, (bad, number, pair))

    def save(self, path: Path) -> None:
        """Even steps first, then the worst. Raises ConfigError where it can't be written."""
        cells = [pair for _, pair in self._even]
        cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
        cells += [pair for _, _, pair in sorted(self._worst, key=lambda w: -w[0])]
        cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
        rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
        fine, encoded = cv2.imencode(path.suffix, np.vstack(rows))
        try:
            path.write_bytes(encoded.tobytes() if fine else b"")
        except OSError as error:
            raise ConfigError(f"the album can't be written to {path}: {error.strerror}") from error


def _cell(pixels: Pixels) -> Pixels:
    height = round(CELL * pixels.shape[0] / pixels.shape[1])
    return np.asarray(cv2.resize(pixels, (CELL, height), interpolation=cv2.INTER_AREA), np.uint8)

"""A contact sheet: the driver above the output, at even steps and at the strongest moments."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.agreement import BLENDSHAPES, LEADING
from benchmarks.pictures import face_box
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.tracking.face import Face

CELL = 240
COLUMNS = 8


@dataclass(slots=True, eq=False)
class Sheet:
    """Collects a clip's moments; kept as JPEG, so that a minute of them fits in 50 MB."""

    title: str
    _moments: list[tuple[int, npt.NDArray[np.uint8]]] = field(default_factory=list)
    _acting: list[npt.NDArray[np.float32]] = field(default_factory=list)
    _whole: npt.NDArray[np.uint8] | None = None

    def add(self, number: int, driver: Pixels, output: Pixels, face: Face, shown: Face | None = None) -> None:
        """One frame, with the driver's face as it was read; `shown`: the output's, where it is in another place."""
        box = face_box(face, (driver.shape[1], driver.shape[0]), 0.3)
        if box is None:
            return
        there = box if shown is None else face_box(shown, (output.shape[1], output.shape[0]), 0.3)
        pair = np.vstack([_cell(driver, box), _cell(output, there or box)])
        self._moments.append((number, _packed(pair)))
        self._acting.append(face.blendshapes)
        if self._whole is None:
            width = COLUMNS * CELL // 2
            height = round(width * driver.shape[0] / driver.shape[1])
            halves = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (driver, output)]
            self._whole = _packed(np.hstack(halves).astype(np.uint8))

    def picture(self, moments: int = 16) -> Pixels | None:
        """The clip's sheet, BGR; None where no face was seen."""
        if not self._moments or self._whole is None:
            return None
        even = np.linspace(0, len(self._moments) - 1, min(moments, len(self._moments))).round().astype(int)
        acting = np.stack(self._acting)
        picks = [(int(n), "") for n in even]
        picks += [(int(acting[:, BLENDSHAPES.index(name)].argmax()), name) for name in LEADING]
        cells = [self._labelled(n, name) for n, name in picks]
        while len(cells) % COLUMNS:
            cells.append(np.zeros_like(cells[0]))
        rows = [np.hstack(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
        head = np.zeros((34, rows[0].shape[1], 3), np.uint8)
        _write(head, f"{self.title}: driver above, output below", (8, 24))
        return np.vstack([head, _unpacked(self._whole), *rows]).astype(np.uint8)

    def _labelled(self, n: int, name: str) -> Pixels:
        number, packed = self._moments[n]
        cell = _unpacked(packed)
        text = f"{number} {name}".strip()
        cell[-20:, : 12 + 9 * len(text)] = 0
        _write(cell, text, (5, 2 * CELL - 6))
        return cell


def save(sheets: list[Sheet], path: Path) -> None:
    """All clips' sheets, one under another, as one JPEG or PNG. Raises ConfigError if it can't be written."""
    pictures = [p for p in (sheet.picture() for sheet in sheets) if p is not None]
    if not pictures:
        raise ConfigError(f"{path} was not written: no face was seen in any clip")
    how = [] if path.suffix.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, 90]
    fine, encoded = cv2.imencode(path.suffix, np.vstack(pictures), how)
    try:
        path.write_bytes(encoded.tobytes() if fine else b"")
    except OSError as error:
        raise ConfigError(f"the contact sheet can't be written to {path}: {error.strerror}") from error


def _cell(pixels: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    square = cv2.getRectSubPix(pixels, (side, side), ((x0 + x1) / 2, (y0 + y1) / 2))
    kernel = cv2.INTER_AREA if side > CELL else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (CELL, CELL), interpolation=kernel), dtype=np.uint8)


def _packed(pixels: Pixels) -> npt.NDArray[np.uint8]:
    _, packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return np.asarray(packed, dtype=np.uint8)


def _unpacked(packed: npt.NDArray[np.uint8]) -> Pixels:
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def _write(pixels: Pixels, text: str, at: tuple[int, int]) -> None:
    cv2.putText(pixels, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)

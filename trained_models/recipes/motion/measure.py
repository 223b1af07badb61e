"""How well the motion model does: a person moved as they moved themselves, and avatars moved as others do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.motion.mesh.head import Reading
from realtime.families.motion.mesh.model import MeshPuppet
from realtime.families.motion.motion_model import Motion
from realtime.frame import Frame, Pixels
from realtime.imaging.align import FACE_OVAL, IBUG_68
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker
from trained_models.recipes.motion.albums import read_album
from trained_models.recipes.people.readings import READ

MOVES = 0.05
"""A blendshape whose reading spreads (standard deviation) by less on the driver does not move."""
SIXTY_EIGHT = [first for first, _ in IBUG_68]

Find = Callable[[Pixels], list[Face]]


@dataclass(frozen=True, slots=True)
class SelfScore:
    """Means over the frames of held-out people. `l1` of 1 over the whole crop and `psnr_db` in the face, of what is
    drawn; `still_*` the same of the picture that does not move at all. `akd_px`: distance of 68 landmarks at 256
    pixels; `missed`: share of drawn pictures in which the tracker finds no face.
    """

    frames: int
    l1: float
    still_l1: float
    psnr_db: float
    still_psnr_db: float
    akd_px: float
    missed: float


def against_themselves(puppet: MeshPuppet, albums: list[Path], find: Find, most: int = 8) -> SelfScore:
    """People at rest, moved by their own other moments (up to `most` each), and compared with these."""
    rows: list[tuple[float, ...]] = []
    missed = 0
    for path in albums:
        album = read_album(path)
        faces = find(album.frames[0])
        if not faces:
            continue
        cast = puppet.cast(album.frames[0], faces[0])
        reference = puppet.perceive(Frame(album.frames[0], seq=0, captured_ns=0), faces[0], 1.0)
        for frame in album.frames[1 : 1 + most]:
            seen = find(frame)
            if not seen:
                continue
            driving = puppet.perceive(Frame(frame, seq=0, captured_ns=0), seen[0], 1.0)
            assert driving is not None
            drawn = puppet.draw(cast, driving, reference, Motion()).pixels
            truth = cv2.warpAffine(
                frame, cast.crop_from_avatar, (cast.size, cast.size), borderMode=cv2.BORDER_REPLICATE
            )
            inside = cv2.warpAffine(
                np.full(frame.shape[:2], 255, np.uint8), cast.crop_from_avatar, (cast.size, cast.size)
            )
            points = seen[0].landmarks[:, :2] * cast.crop_from_avatar[0, 0] + cast.crop_from_avatar[:, 2]
            again = find(drawn)
            if not again:
                missed += 1
                continue
            face = np.zeros_like(inside)
            cv2.fillConvexPoly(face, cv2.convexHull(np.rint(points[list(FACE_OVAL)]).astype(np.int32)), 255)
            away = np.linalg.norm(again[0].landmarks[SIXTY_EIGHT, :2] - points[SIXTY_EIGHT], axis=1)
            rows.append(
                (
                    _l1(drawn, truth, inside),
                    _l1(cast.still, truth, inside),
                    _psnr(drawn, truth, face),
                    _psnr(cast.still, truth, face),
                    float(away.mean()) * 256 / cast.size,
                )
            )
    means = np.mean(rows, axis=0).tolist()
    count = len(rows) + missed
    return SelfScore(count, means[0], means[1], means[2], means[3], means[4], missed / max(count, 1))


@dataclass(frozen=True, slots=True, eq=False)
class CrossScore:
    """One driver and one avatar. `table`: blendshape to (the driver's spread, Pearson r, gain), those that move.

    `r`: their mean; `turn_deg`: mean error of the head's turn against the neutral; `missed`: drawn frames without a
    face. `sheet`: driver above avatar at eight moments.
    """

    table: dict[str, tuple[float, float, float]]
    r: float
    turn_deg: float
    missed: int
    frames: int
    sheet: Pixels


def across(puppet: MeshPuppet, clip: Path, avatar: Pixels, step: int = 3, most: int = 120) -> CrossScore:
    """An avatar driven by a clip, read again by the tracker."""
    tracker, reader = Tracker(provider="cpu"), Tracker(provider="cpu")
    faces = reader.find(avatar)
    cast = puppet.cast(avatar, faces[0])
    seen: list[tuple[Pixels, Face, Reading]] = []
    for number, pixels in enumerate(_frames(clip)):
        if number >= step * most:
            break
        frame = Frame(pixels, seq=number, captured_ns=number * 33_366_667)
        found = tracker(frame)
        if found and number % step == 0:
            reading = puppet.perceive(frame, found[0], 1.0)
            assert reading is not None
            seen.append((pixels, found[0], reading))
    reference = min(seen, key=lambda s: _strain(s[1]))
    told, read_back, errors, columns = [], [], [], []
    missed = 0
    rest: Any = None
    shown = set(np.linspace(0, len(seen) - 1, 8).astype(int).tolist())
    home = puppet.draw(cast, reference[2], reference[2], Motion()).pixels
    rest = reader.find(home)[0]
    for number, (pixels, face, reading) in enumerate(seen):
        drawn = puppet.draw(cast, reading, reference[2], Motion()).pixels
        again = reader.find(drawn)
        if number in shown:
            columns.append(np.vstack([_beside(pixels, face), cv2.resize(drawn, (256, 256))]))
        if not again:
            missed += 1
            continue
        told.append(face.blendshapes)
        read_back.append(again[0].blendshapes)
        errors.append(_turn_error(face.pose, reference[1].pose, again[0].pose, rest.pose))
    tracker.close()
    reader.close()
    table = _table(np.array(told), np.array(read_back))
    mean_r = float(np.mean([r for _, r, _ in table.values()])) if table else float("nan")
    return CrossScore(table, mean_r, float(np.mean(errors)), missed, len(seen), np.hstack(columns))


def _table(told: npt.NDArray[Any], back: npt.NDArray[Any]) -> dict[str, tuple[float, float, float]]:
    out = {}
    for i, name in enumerate(READ):
        a, b = told[:, i] - told[:, i].mean(), back[:, i] - back[:, i].mean()
        spread = float(told[:, i].std())
        if spread < MOVES or i == 0:
            continue
        out[name] = spread, float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-9)), float(a @ b / max(a @ a, 1e-9))
    return out


def _strain(face: Face) -> float:
    """How far a face is from neutral and frontal."""
    calm = [READ.index(n) for n in ("jawOpen", "mouthSmileLeft", "mouthPucker", "browInnerUp", "eyeBlinkLeft")]
    turn = face.pose[:3, :3]
    return float(face.blendshapes[calm].sum()) + 3 * float(1 - turn[2, 2])


def _turn_error(a: Any, a0: Any, b: Any, b0: Any) -> float:
    """Degrees between how far two heads turned from where they were."""
    first, second = (m[:3, :3] @ n[:3, :3].T for m, n in ((a, a0), (b, b0)))
    return float(np.degrees(np.arccos(np.clip((np.trace(first.T @ second) - 1) / 2, -1, 1))))


def _frames(path: Path) -> Iterator[Pixels]:
    clip = cv2.VideoCapture(str(path))
    while True:
        there, pixels = clip.read()
        if not there:
            break
        yield np.asarray(pixels, np.uint8)
    clip.release()


def _beside(pixels: Pixels, face: Face) -> Pixels:
    x0, y0, x1, y1 = face.box
    side = 2.2 * (y1 - y0)
    scale = 256 / side
    matrix = np.array([[scale, 0, 128 - scale * (x0 + x1) / 2], [0, scale, 128 - scale * (y0 + y1) / 2]])
    return np.asarray(cv2.warpAffine(pixels, matrix, (256, 256)), np.uint8)


def _l1(a: Any, b: Any, where: Any) -> float:
    return float(np.abs(a.astype(np.float32) - b)[where > 128].mean() / 255)


def _psnr(a: Any, b: Any, where: Any) -> float:
    error = float(((a.astype(np.float32) - b)[where > 128] ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-6)))

"""Finds every face in every frame, followed or not: what the leak guard must know of before a picture leaves.

A place that has not changed since it was searched can hold no new face. So one look of the detector, at the square
around whatever has changed and whoever is expected, mostly finds all there is; where that square would be too coarse
for a face of a tenth of the picture's height, the whole picture and its overlapping square parts are looked at. What
the detector holds for possible at that size is looked at again from near.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Floats, Pixels
from realtime.inference.session import Session, opening_networks
from realtime.tracking.face_networks import DETECTOR_SIZE, MIN_SCORE, Detection, FaceDetector, Region

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in frame pixels."""

SHORT = 180  # the shorter side of the small picture that coarse looks are cut from
BLOCK = 5  # pixels of the small picture; 36 blocks along the shorter side
CHANGED = 4.0  # of 255, of a block's mean: ten times a noisy camera's
CROWD = 7  # of 3 x 3 blocks: where fewer changed there is no new face, but the edge of somebody who moves
POSSIBLE = (
    0.1  # a coarse look's score: of faces of 13 of the network's 128 pixels it misses none, and noise has it rarely
)
CLEAR_PX = 24  # of the network's pixels: a face so large needs no second look
NEAR = 3.0, 4.5  # looks from near are so many times as wide as the face
SURE, HOPELESS, MOST = 0.8, 0.1, 0.95  # scores of the first that need no second one, and the most one can bring
FACE = 0.45  # the mean of both of a face: hair seldom has it, half a face behind somebody 0.46 and more
AGAIN = 0.25  # of one that was there a moment ago, or may be one that went behind somebody
HAIR, OF_HAIR = 0.7, 0.5  # of what is so much smaller than a followed face and at its head: locks look like faces
CLOSER = 1.4  # of a followed face: the side of a look beside it, for one who was behind it
LOST_FRAMES = 100  # so long one who is lost may come out again
EDGE_RUN = 0.15  # of the shorter side: what changed along so much of an edge may be a face that the edge cuts
EDGE_WIDE = 2.8  # so many times as wide is the look at it
EDGE_SCORE = 0.25  # of half a face there, with its mirror image beyond the edge
LEAST_INSIDE = 0.25  # of a face: where less of it is in the picture, it is the mirror image of one
LEAST_ROOM = 0.08  # around what changed, of the picture's shorter side
ROOM_AROUND = 0.5  # more of it, where a look is fine enough
MOST_WIDE = 1.4  # of the shorter side: two squares hold what is not wider, and any face in it wholly in one of them
EVERYTHING = 60  # so many frames after the last one everything is searched again, changed or not
LINGERS = 12  # frames: a face that was seen is not gone because one frame does not show it
CLEAR_SCORE, OFTEN = 0.65, 3  # but one that was seen less clearly and less often than this may be none
LINGERS_FAINT = 3
MOVES = 2.5  # a new face so many faces away is the one that was lost
MOST_NEAR = 8  # looks from near a frame; what is beyond counts as a face


@dataclass(slots=True, eq=False)
class _Seen:
    """A face that was found in so many looks, for how many frames it is missed, and whether the tracker follows it."""

    face: Detection
    missed: int = 0
    followed: bool = False
    times: int = 1

    @property
    def lingers(self) -> int:
        """For how many frames it is still there although no look shows it."""
        return LINGERS if self.face.score >= CLEAR_SCORE or self.times >= OFTEN else LINGERS_FAINT


class FaceSearch:
    """Called with frames in their order, gives every face in each; for one thread. Owns its network."""

    def __init__(self, session: Session) -> None:
        self.sessions: Sequence[Session] = (session,)
        self.detect = FaceDetector(session)
        self._grid: Floats | None = None  # blocks as they were when last searched
        self._size = (0, 0)
        self._watched: list[_Seen] = []
        self._crowd: deque[int] = deque(maxlen=LOST_FRAMES)  # how many clear faces there were
        self._until_everything = 0

    def __call__(self, pixels: Pixels, expected: Sequence[Box], *, at_ease: bool = False) -> list[Detection] | None:
        """Every face in a picture. `expected`: where the faces that are followed should be.

        `at_ease`: these are where they were seen a moment ago. Then None says that nothing else has changed enough for
        a new face, and that nothing was looked at.
        """
        size = pixels.shape[1], pixels.shape[0]
        if size != self._size:  # what is known lies elsewhere in a picture of the same shape, too
            self._size, self._grid = size, None
        scale = min(size) / SHORT
        block = BLOCK * scale
        small_size = round(size[0] / scale), round(size[1] / scale)
        small = np.asarray(cv2.resize(pixels, small_size, interpolation=cv2.INTER_LINEAR), np.uint8)
        grid, changed = self._changed(small)
        self._until_everything -= 1
        if changed is None or self._until_everything <= 0:
            self._until_everything = EVERYTHING
            changed = None
            regions = _all_regions(size)
        else:
            others = [seen for seen in self._watched if not seen.followed]
            calm = not any(seen.missed or _touches(seen.face.box, changed, (), block) for seen in others)
            if at_ease and calm and not _has_room(changed, expected, block):
                return None
            regions = _regions(changed, [*expected, *(seen.face.box for seen in others)], size, block)
        places = [*expected, *(seen.face.box for seen in self._watched if not seen.followed)]
        found: list[Detection] = []
        looks = 0
        for region in chain(regions, self._closer(found, expected)):
            coarse = region.width / DETECTOR_SIZE >= 0.9 * scale
            source, to = (small, 1 / scale) if coarse else (pixels, 1.0)
            for possible in self.detect(source, _scaled(region, to), POSSIBLE):
                possible = _rescaled(possible, 1 / to)
                if any(_same(possible, other) for other in found):
                    continue
                if not _touches(possible.box, changed, places, block):
                    continue
                clear = (possible.box[2] - possible.box[0]) * DETECTOR_SIZE / region.width >= CLEAR_PX
                if not (clear and possible.score >= MIN_SCORE) and looks < MOST_NEAR:
                    looks += 1
                    nearer = self.near(pixels, possible, self._least(possible, expected, len(found)))
                    if nearer is None:
                        continue
                    possible = nearer
                    if any(_same(possible, other) for other in found):
                        continue
                found.append(possible)
        for region in _edge_regions(changed, [*places, *(face.box for face in found)], block):
            for face in self.detect(pixels, region, EDGE_SCORE, mirrored=True):
                if _share_inside(face.box, size) >= LEAST_INSIDE and not any(_same(face, other) for other in found):
                    found.append(face)
        found += self._still_there(pixels, found, changed, block)
        self._crowd.append(sum(face.score >= CLEAR_SCORE for face in found))
        if changed is None and any(not any(_holds(box, face.box) for face in found) for box in expected):
            self._until_everything = 1  # what does not show a face that is known may overlook others
        # Only now: a look that failed was none.
        if changed is None or self._grid is None:
            self._grid = grid
        else:
            self._grid[changed] = grid[changed]
        return found

    def watch(self, faces: Sequence[Detection], followed: Sequence[Detection]) -> None:
        """Remember the faces just found: they stay where nothing changes, and all but the `followed` linger if lost."""
        before = {id(seen.face): seen for seen in self._watched}
        times = {id(face): 1 + sum(seen.times for seen in self._watched if _same(seen.face, face)) for face in faces}
        self._watched = [before.get(id(face)) or _Seen(face, times=times[id(face)]) for face in faces]
        self._watched += [_Seen(face, followed=True) for face in followed]

    def near(self, pixels: Pixels, face: Detection, least: float) -> Detection | None:
        """The same face looked at from near, its score the mean of two looks; None where that is below `least`."""
        x0, y0, x1, y1 = face.box
        size = pixels.shape[1], pixels.shape[0]
        seen: list[Detection] = []
        total = 0.0
        for wide in NEAR:
            side = wide * max(x1 - x0, y1 - y0)
            region = Region((x0 + x1) / 2, (y0 + y1) / 2, side, side)
            looked = self.detect(pixels, region, HOPELESS, mirrored=True)
            if same := [
                other for other in looked if _same(other, face) and _share_inside(other.box, size) >= LEAST_INSIDE
            ]:
                nearest = max(same, key=lambda other: _share_inside(other.box, size))  # the other is its mirror image
                seen.append(nearest)
                total += nearest.score
            if not seen or seen[0].score >= SURE or seen[0].score + MOST < len(NEAR) * least:
                break
        if not seen:
            return None
        best = max(seen, key=lambda one: one.score)
        score = best.score if seen[0].score >= SURE else total / len(NEAR)
        return replace(best, score=score) if score >= least else None

    def close(self) -> None:
        """Free the network. May be called twice."""
        self.detect.close()

    def _least(self, face: Detection, expected: Sequence[Box], seen: int) -> float:
        """The score from near from which on this is a face. `seen`: how many the picture has already."""
        x0, y0, x1, y1 = face.box
        wide = x1 - x0
        for u0, v0, u1, v1 in expected:
            side = max(u1 - u0, v1 - v0)
            if wide < OF_HAIR * side and max(abs(x0 + x1 - u0 - u1), abs(y0 + y1 - v0 - v1)) < 2 * side:
                return FACE if self._is_missing(seen) else HAIR
        return AGAIN if self._is_missing(seen) else FACE

    def _is_missing(self, seen: int) -> bool:
        """Whether there were more faces a moment ago: one may be behind another."""
        return seen < max(self._crowd, default=0)

    def _closer(self, found: Sequence[Detection], expected: Sequence[Box]) -> Iterator[Region]:
        """Where somebody small comes out from behind a followed face, when all else was looked at."""
        for x0, y0, x1, y1 in expected:
            if self._is_missing(len(found)):
                side = CLOSER * max(x1 - x0, y1 - y0)
                yield from (Region(x, (y0 + y1) / 2 - side / 8, side, side) for x in (x0, x1))

    def _changed(self, small: Pixels) -> tuple[Floats, npt.NDArray[np.bool_] | None]:
        """The means of the blocks, and which changed since they were searched; None: all of them may have."""
        columns, rows = -(-small.shape[1] // BLOCK), -(-small.shape[0] // BLOCK)
        means = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_AREA)
        grid = np.asarray(cv2.cvtColor(means, cv2.COLOR_BGR2GRAY), np.float32)
        if self._grid is None:
            self._watched = []
            return grid, None
        # A lamp or the camera's exposure makes all of it lighter, and brings nobody.
        self._grid *= np.median(grid / np.maximum(self._grid, 1.0))
        return grid, np.asarray(np.abs(grid - self._grid) > CHANGED)

    def _still_there(
        self, pixels: Pixels, found: list[Detection], changed: npt.NDArray[np.bool_] | None, block: float
    ) -> list[Detection]:
        """The watched faces that the looks at this picture did not give."""
        still: list[Detection] = []
        new = [face for face in found if not any(_same(seen.face, face) for seen in self._watched)]
        for seen in self._watched:
            if any(_same(seen.face, other) for other in (*found, *still)):
                continue
            if any(_same(seen.face, face, MOVES) for face in new):
                continue
            # What is followed was looked for just now: a look that does not show it may overlook others, too.
            untouched = changed is not None and not _touches(seen.face.box, changed, (), block)
            if untouched and not seen.missed and not seen.followed:
                still.append(seen.face)
            elif (again := self.near(pixels, seen.face, AGAIN)) is not None:
                still.append(again)
            else:
                seen.missed += 1
                if seen.missed <= seen.lingers and not seen.followed:
                    still.append(seen.face)
        return still


def open_face_search(folder: Path, provider: str) -> FaceSearch:
    """A search on the detector in the folder of a `face` bundle. Raises ModelError."""
    with opening_networks(provider=provider, precision="fp32", threads=1) as network:
        return FaceSearch(network(folder / "detector.onnx"))


def _all_regions(size: tuple[int, int]) -> list[Region]:
    """The whole picture, and the squares of its shorter side that cover it with room for a face between them."""
    width, height = size
    short, long = min(size), max(size)
    regions = [Region(width / 2, height / 2, long, long)]
    if long > 1.2 * short:
        tiles = 1 - (-(long - short) * 8 // (short * 7))
        for middle in np.linspace(short / 2, long - short / 2, tiles).tolist():
            x, y = (middle, height / 2) if width > height else (width / 2, middle)
            regions.append(Region(x, y, short, short))
    return regions


def _regions(
    changed: npt.NDArray[np.bool_], places: Sequence[Box], size: tuple[int, int], block: float
) -> list[Region]:
    """The squares that hold all blocks that changed and all `places`, with room; mostly one."""
    boxes = list(places)
    if changed.any():
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        boxes.append((columns[0] * block, rows[0] * block, (columns[-1] + 1) * block, (rows[-1] + 1) * block))
    if not boxes:
        return []
    short = min(size)
    corners = np.array(boxes)
    low, high = np.maximum(corners[:, :2].min(axis=0), 0.0), np.minimum(corners[:, 2:].max(axis=0), size)
    wide = float((high - low).max())
    if wide > MOST_WIDE * short:
        return _all_regions(size)
    # Wholly within the picture: what lies beyond it is black, and a waste.
    side = min((1.0 + ROOM_AROUND) * wide + LEAST_ROOM * short, short)
    least, most = np.full(2, side / 2), np.array(size) - side / 2
    middles = {tuple(np.clip(at, least, most).tolist()) for at in (low + side / 2, high - side / 2)}
    if wide <= side:
        middles = {tuple(np.clip((low + high) / 2, least, most).tolist())}
    return [Region(x, y, side, side) for x, y in sorted(middles)]


def _has_room(changed: npt.NDArray[np.bool_], expected: Sequence[Box], block: float) -> bool:
    """Whether a new face can be in what has changed beside the expected ones."""
    beside = changed.astype(np.uint8)
    for box in expected:
        x0, y0, x1, y1 = (max(int(value / block), 0) for value in box)
        beside[y0 : y1 + 1, x0 : x1 + 1] = 0
    crowd = cv2.boxFilter(beside, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return int(crowd.max()) >= CROWD


def _edge_regions(changed: npt.NDArray[np.bool_] | None, known: Sequence[Box], block: float) -> list[Region]:
    """Squares about where much has changed along the left, right or upper edge and no known face is.

    Shoulders and arms come and go at the lower edge; who comes in there shows the forehead first.
    """
    if changed is None:
        return []
    rows, columns = changed.shape
    least = EDGE_RUN * min(rows, columns)
    regions = []
    for line, at in ((changed[:, 0], 0.0), (changed[:, -1], columns * block), (changed[0], None)):
        hit = np.flatnonzero(line)
        if len(hit) < least:
            continue
        low, high = hit[0] * block, (hit[-1] + 1) * block
        middle = (low + high) / 2
        x, y = (middle, 0.0) if at is None else (at, middle)
        spot = x - block, y - block, x + block, y + block
        if not any(_meet(spot, box) for box in known):
            side = EDGE_WIDE * (high - low)
            regions.append(Region(x, y, side, side))
    return regions


def _share_inside(box: Box, size: tuple[int, int]) -> float:
    """How much of the box's width or height, whichever is less, lies in the picture; the rest is the mirror's."""
    x0, y0, x1, y1 = box
    across, down = min(x1, size[0]) - max(x0, 0), min(y1, size[1]) - max(y0, 0)
    return min(across / (x1 - x0), down / (y1 - y0))


def _touches(box: Box, changed: npt.NDArray[np.bool_] | None, places: Sequence[Box], block: float) -> bool:
    """Whether something in this box has changed or was expected."""
    if changed is None:
        return True
    x0, y0, x1, y1 = box
    if any(_meet(box, place) for place in places):
        return True
    r0, r1, c0, c1 = (max(int(v // block), 0) for v in (y0, y1, x0, x1))
    return bool(changed[r0 : r1 + 1, c0 : c1 + 1].any())


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _holds(box: Box, other: Box) -> bool:
    """Whether the middle of another box lies in this one."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _same(a: Detection, b: Detection, reach: float = 0.5) -> bool:
    """Whether two detections are of one face: not further apart than `reach` faces, and neither is much larger."""
    (ax, ay), (bx, by) = ((f.box[0] + f.box[2], f.box[1] + f.box[3]) for f in (a, b))
    a_side, b_side = (f.box[2] - f.box[0] for f in (a, b))
    near = max(abs(ax - bx), abs(ay - by)) < 2 * reach * max(a_side, b_side)
    return near and 0.5 < a_side / b_side < 2.0


def _scaled(region: Region, to: float) -> Region:
    return Region(region.x * to, region.y * to, region.width * to, region.height * to, region.turn)


def _rescaled(face: Detection, to: float) -> Detection:
    x0, y0, x1, y1 = (value * to for value in face.box)
    return Detection((x0, y0, x1, y1), face.points * np.float32(to), face.score)

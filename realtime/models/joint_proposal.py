"""Proposes the 19 joints of a flat figure: from a body seen in the picture, else by a rule on the mask.

The rule: head, hands and feet are the far ends of the figure, measured on ways inside it (geodesic extrema: Plagemann
et al. 2010), and limbs run along the middle of the mask between them (its medial axis).
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra

from realtime.frame import Doubles
from realtime.models.drawing_mask import Mask
from realtime.skeleton import BEFORE, JOINTS
from realtime.tracking.body import AT, Body

Joints = dict[str, Doubles]
"""Where each joint is, (2,) in the picture's pixels."""

GRID_PX = 170  # the figure's longer side, for ways inside it
MIDDLE_PULL = 2.0  # how much dearer a step near the rim is than one in the middle
LOWEST_ARM = 0.62  # of the trunk: what leaves it further down is a tail
SHORTEST_ARM = 0.1  # of the figure's height
MOST_ENDS, LEAST_END = 9, 0.07  # far ends that are looked at; shorter ones (of the figure's height) are hair and noise
VALLEY = 0.12  # a neck is so much narrower than the head and the trunk
BELOW_HEAD = 1.25  # radii: without one, the neck is so far below the head's middle
WRIST_AT, ANKLE_AT = 0.84, 0.86  # of the way along a limb
SURE_BODY = 0.6  # the mean that a body's joints are seen with
INSIDE_BODY = 0.9  # and the share of them that must lie in the mask


def body_joints(body: Body) -> Joints:
    """The joints of a body seen in a picture."""
    points = body.landmarks[:, :2].astype(np.float64)

    def at(*names: str) -> Doubles:
        return np.asarray(points[[AT[name] for name in names]].mean(axis=0))

    shoulders, hips = at("left_shoulder", "right_shoulder"), at("left_hip", "right_hip")
    joints = {"hips": hips, "neck": shoulders + 0.12 * (shoulders - hips), "head": at("left_ear", "right_ear")}
    for side, word in (("l", "left"), ("r", "right")):
        joints |= {f"{side}_{joint}": at(f"{word}_{joint}") for joint in ("shoulder", "elbow", "wrist")}
        joints[f"{side}_hand"] = at(f"{word}_index", f"{word}_pinky")
        joints |= {f"{side}_{joint}": at(f"{word}_{joint}") for joint in ("hip", "knee", "ankle")}
        joints[f"{side}_toe"] = at(f"{word}_foot_index")
    return joints


def is_seen_whole(body: Body) -> bool:
    """Whether somebody from head to feet was seen, and surely."""
    wanted = [
        AT[f"{word}_{joint}"]
        for word in ("left", "right")
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    ]
    return bool(body.seen[wanted].mean() > SURE_BODY and body.seen[wanted].min() > 0.3)


def fits(joints: Mapping[str, Doubles], mask: Mask) -> bool:
    """Whether joints lie in the mask and reach its ends: else a network has seen somebody who is not there."""
    inside = np.mean([_is_inside(mask, point) for point in joints.values()])
    box = np.array(cv2.boundingRect(mask), np.float64)
    places = np.array(list(joints.values()))
    wide, tall = np.ptp(places, axis=0) / box[2:]
    return bool(inside >= INSIDE_BODY and tall > 0.75 and wide > 0.6)


def propose_joints(mask: Mask) -> tuple[Joints, bool]:
    """The joints by the mask's ends, and whether it looks like a figure: both hands and both feet are ends of it.

    `mask` holds something.
    """
    x, y, width, height = cv2.boundingRect(mask)
    step = max(width, height) / GRID_PX
    size = max(round(width / step), 3), max(round(height / step), 3)
    small = cv2.resize(mask[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA) > 60
    framed = cv2.copyMakeBorder(small.astype(np.uint8), 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    ways = _Ways(np.asarray(framed, np.uint8))
    joints, whole = _Reading(ways).joints()
    return {name: (joints[name] - 1.5) * step + (x, y) for name in JOINTS}, whole


class _Ways:
    """A mask's pixels as a graph: how far everything is on ways inside, and ways along the middle."""

    def __init__(self, mask: npt.NDArray[np.uint8]) -> None:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        solid = np.asarray(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 2 else np.asarray(mask > 0)
        self.thick = np.asarray(cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5), np.float64)
        rows, columns = np.nonzero(solid)
        self.points = np.stack([columns, rows], 1).astype(np.float64)
        self.half = self.thick[rows, columns]
        number = np.full(solid.shape, -1)
        number[rows, columns] = np.arange(len(rows))
        starts, ends, lengths = [], [], []
        height, width = solid.shape
        for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
            here = number[: height - down, max(-across, 0) : width - max(across, 0)]
            there = number[down:, max(across, 0) : width + min(across, 0)]
            both = (here >= 0) & (there >= 0)
            starts.append(here[both])
            ends.append(there[both])
            lengths.append(np.full(int(both.sum()), np.hypot(down, across)))
        a, b, length = (np.concatenate(part) for part in (starts, ends, lengths))
        self._even = self._graph(a, b, length)
        # Steps are cheap in the middle of wherever they are: ways keep to the medial axis.
        widest = np.asarray(cv2.dilate(self.thick, np.ones((9, 9))))[rows, columns]
        rim = 1 - self.half / np.maximum(widest, 1)
        self._middle = self._graph(a, b, length * (1 + MIDDLE_PULL * (rim[a] + rim[b])))

    def _graph(self, a: npt.NDArray[np.int_], b: npt.NDArray[np.int_], cost: Doubles) -> csr_matrix:
        return coo_matrix((cost, (a, b)), (len(self.points), len(self.points))).tocsr()

    def nearest(self, place: Doubles) -> int:
        return int(np.linalg.norm(self.points - place, axis=1).argmin())

    def lengths(self, sources: Sequence[int]) -> Doubles:
        """(N,): how far each pixel is from these on a way inside."""
        return np.asarray(dijkstra(self._even, directed=False, indices=list(sources), min_only=True))

    def way(self, start: int, end: int) -> npt.NDArray[np.int_]:
        """The pixels from one to another, along the middle."""
        _, before = dijkstra(self._middle, directed=False, indices=start, return_predecessors=True)
        found = [end]
        while found[-1] != start and before[found[-1]] >= 0:
            found.append(int(before[found[-1]]))
        return np.array(found[::-1])


class _Reading:
    """What the ends of a mask are, and the joints that follow."""

    def __init__(self, ways: _Ways) -> None:
        self._ways = ways
        self._height = float(np.ptp(ways.points[:, 1])) + 1
        self._top = float(ways.points[:, 1].min())
        self._middle = self._trunk_middle()
        self._ends = self._far_ends()

    def _trunk_middle(self) -> int:
        """A pixel in the trunk: deep inside, at about half of the height."""
        w = self._ways
        level = (w.points[:, 1] - self._top) / self._height
        weight = np.exp(-(((level - 0.5) / 0.13) ** 2))
        axis = float(np.median(w.points[:, 0]))
        beside = np.exp(-(((w.points[:, 0] - axis) / (0.22 * self._height)) ** 2))
        return int((np.minimum(w.half, 0.12 * self._height) * weight * beside).argmax())

    def _far_ends(self) -> list[int]:
        """The ends, the furthest first: each is what is furthest from the middle and the ways to those before."""
        taken, ends = [self._middle], []
        for _ in range(MOST_ENDS):
            far = self._ways.lengths(taken)
            far[~np.isfinite(far)] = 0
            end = int(far.argmax())
            if far[end] < LEAST_END * self._height:
                break
            ends.append(end)
            taken += self._ways.way(self._middle, end).tolist()
        return ends

    def joints(self) -> tuple[Joints, bool]:
        w = self._ways
        at = w.points
        level = {end: (at[end, 1] - self._top) / self._height for end in self._ends}
        centre_x = float(at[self._middle, 0])
        feet, whole_legs = self._feet(level, centre_x)
        crown = self._crown(level, float(at[feet, 0].mean()))
        spine = w.way(self._middle, crown)
        neck, head = self._neck_and_head(spine)
        crotch, half = self._crotch(feet, neck)
        hips = w.nearest(crotch - (0, max(1.2 * half, 0.02 * self._height)))
        arms, whole_arms = self._hands(feet, crown, head, neck, hips)
        found: Joints = {"hips": at[hips], "neck": at[neck], "head": head}
        trunk = self._half_trunk(neck, hips)
        for side, sign in (("l", 1), ("r", -1)):
            found |= self._leg(side, feet[side == "l"], crotch, at[hips], half)
            found |= self._arm(side, sign, arms[side], neck, hips, trunk)
        return found, whole_legs and whole_arms

    def _feet(self, level: Mapping[int, float], centre_x: float) -> tuple[list[int], bool]:
        """The feet at the picture's left and right, and whether they are ends of their own."""
        at = self._ways.points
        low = [end for end, down in level.items() if down > 0.80]
        pairs = [(a, b) for a in low for b in low if at[a, 0] < at[b, 0]]

        # Two feet are about as low as each other, on both sides of what is above, and apart.
        def worth(pair: tuple[int, int]) -> float:
            (ax, ay), (bx, by) = at[list(pair)]
            return float(min(ay, by) - 0.25 * abs((ax + bx) / 2 - centre_x) + 0.1 * min(bx - ax, 0.3 * self._height))

        pairs = [pair for pair in pairs if at[pair[1], 0] - at[pair[0], 0] > 0.04 * self._height]
        if pairs:
            best = max(pairs, key=worth)
            return [best[0], best[1]], True
        lowest = at[:, 1].max()
        bottom = at[at[:, 1] > lowest - 0.04 * self._height]
        left, right = np.percentile(bottom[:, 0], [15, 85])
        return [self._ways.nearest(np.array([x, lowest])) for x in (left, right)], False

    def _crown(self, level: Mapping[int, float], feet_x: float) -> int:
        """The top of the head: a high end with something thick below it, near the line above the feet."""
        w = self._ways
        middle_x = 0.5 * feet_x + 0.5 * float(w.points[self._middle, 0])

        def worth(end: int) -> float:
            way = w.way(self._middle, end)
            upper = way[len(way) // 2 :]
            aside = abs(float(w.points[end, 0]) - middle_x) / self._height
            return float(w.half[upper].max() / self._height) - 0.35 * aside - 0.25 * level[end]

        high = [end for end, down in level.items() if down < 0.45]
        if high:
            return max(high, key=worth)
        column = np.abs(w.points[:, 0] - middle_x) < 0.06 * self._height
        return (
            int(np.flatnonzero(column)[w.points[column, 1].argmin()]) if column.any() else int(w.points[:, 1].argmin())
        )

    def _neck_and_head(self, spine: npt.NDArray[np.int_]) -> tuple[int, Doubles]:
        """The neck's pixel and the head's middle, on the way up from the trunk: a head is a ball above a narrow."""
        w = self._ways
        half = w.half[spine]
        below, above = np.maximum.accumulate(half), np.maximum.accumulate(half[::-1])[::-1]
        depth = np.minimum(below, above) - half
        narrow = int(depth.argmax())
        if depth[narrow] > VALLEY * half[narrow]:
            crown = narrow + int(half[narrow:].argmax())
            # Of an even neck its lower end: there the shoulders begin. A long stick is the trunk.
            low = narrow
            while low > 0 and half[low - 1] < 1.2 * half[narrow] + 0.5 and narrow - low < 0.4 * half[crown]:
                low -= 1
            return int(spine[low]), np.asarray(w.points[spine[crown]])
        crown = len(spine) // 3 + int(half[len(spine) // 3 :].argmax())
        away = np.linalg.norm(w.points[spine[: crown + 1]] - w.points[spine[crown]], axis=1)
        low = int(np.abs(away - BELOW_HEAD * half[crown]).argmin())
        return int(spine[low]), np.asarray(w.points[spine[crown]])

    def _crotch(self, feet: Sequence[int], neck: int) -> tuple[Doubles, float]:
        """Where the gap between the legs ends above, and half of a leg's thickness."""
        w = self._ways
        left, right = (w.way(foot, neck) for foot in feet)
        both = set(left.tolist()) & set(right.tolist())
        meet = w.points[next((p for p in left.tolist() if p in both), self._middle)]
        legs = [w.half[way[len(way) // 8 : len(way) // 3]] for way in (left, right)]
        half = float(np.median(np.concatenate(legs)))
        best, row = meet, np.inf
        inner = [dict(w.points[way].astype(int)[:, ::-1].tolist()) for way in (left, right)]  # a way's column by row
        for x in range(*np.sort(w.points[list(feet), 0]).astype(int).tolist()):
            column = w.thick[int(meet[1]) :, x] > 0
            gap = int(meet[1]) + int(column.argmin())
            if column[0] and not column.all() and gap < row and inner[0].get(gap, x) < x < inner[1].get(gap, x):
                best, row = np.array([float(x), float(gap)]), gap
        return best, half

    def _half_trunk(self, neck: int, hips: int) -> float:
        """Half of the trunk's width."""
        a, b = self._ways.points[[neck, hips]]
        between = [self._ways.nearest(a + share * (b - a)) for share in np.linspace(0.3, 0.8, 6)]
        return float(np.median(self._ways.half[between]))

    def _leg(self, side: str, foot: int, crotch: Doubles, hips: Doubles, half: float) -> Joints:
        w = self._ways
        way = w.points[w.way(foot, w.nearest(hips))]
        apart = way[:, 1] >= crotch[1] + 1
        below = way[: max(int(len(way) - apart[::-1].argmax()), 2)] if apart.any() else way
        top = below[-1] - (0, 0.9 * half)
        leg = _pulled_in(np.vstack([below, top])[::-1], half)
        return {
            f"{side}_hip": top,
            f"{side}_knee": _along(leg, 0.48),
            f"{side}_ankle": _along(leg, ANKLE_AT),
            f"{side}_toe": leg[-1],
        }

    def _hands(
        self, feet: Sequence[int], crown: int, head: Doubles, neck: int, hips: int
    ) -> tuple[dict[str, int | None], bool]:
        """The end that is each side's hand, None where an arm has no end of its own."""
        w = self._ways
        a, b = w.points[neck], w.points[hips]
        radius = float(w.half[w.nearest(head)])
        hands: dict[str, int | None] = {"l": None, "r": None}
        most = {"l": 0.0, "r": 0.0}
        for end in self._ends:
            off = float(w.points[end, 0]) - _line_x(a, b, w.points[end, 1])
            side = "l" if off > 0 else "r"
            if end in feet or end == crown or abs(off) < 0.05 * self._height:
                continue
            way = w.points[w.way(neck, end)]
            in_head = np.linalg.norm(way - head, axis=1) < 0.85 * radius
            length = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
            within = self._beside(way, a, b, self._half_trunk(neck, hips))
            leaves = way[within][-1:, 1]
            length *= 1 - float(within.mean())
            # Not hair, an ear or a tail: arms leave the trunk above, and not through the head.
            if (
                length < SHORTEST_ARM * self._height
                or in_head.mean() > 0.3
                or (leaves > a[1] + LOWEST_ARM * (b[1] - a[1])).any()
            ):
                continue
            if abs(off) + 0.5 * length > most[side]:
                hands[side], most[side] = end, abs(off) + 0.5 * length
        return hands, None not in hands.values()

    def _beside(self, way: Doubles, neck: Doubles, hips: Doubles, trunk: float) -> npt.NDArray[np.bool_]:
        """Which points of a way are within the trunk."""
        across = np.abs(way[:, 0] - np.array([_line_x(neck, hips, y) for y in way[:, 1]]))
        return np.asarray(across <= max(0.75 * trunk, 0.01 * self._height))

    def _arm(self, side: str, sign: int, hand: int | None, neck: int, hips: int, trunk: float) -> Joints:
        w = self._ways
        a, b = w.points[neck], w.points[hips]
        shoulder_at = a + 0.14 * (b - a) + (sign * 0.75 * trunk, 0)
        if hand is None:
            way = self._hanging(shoulder_at, b, sign)
        else:
            pixels = w.way(hand, neck)
            points = w.points[pixels]
            arrived = self._beside(points, a, b, trunk)
            stop = int(np.argmax(arrived)) if arrived.any() else len(points) - 1
            way = points[: max(stop, 1) + 1][::-1]
            if way[0, 1] < a[1]:  # an arm raised beside the head grows out of the shoulder, too
                way = np.vstack([shoulder_at, way[1:]])
            elif np.linalg.norm(way[0] - shoulder_at) < 0.14 * self._height:
                way = np.vstack([0.5 * (way[0] + shoulder_at), way[1:]])
            way = _pulled_in(way, float(np.median(w.half[pixels[len(pixels) // 10 : len(pixels) // 3 + 1]])))
        return {
            f"{side}_shoulder": way[0],
            f"{side}_elbow": _along(way, 0.46),
            f"{side}_wrist": _along(way, WRIST_AT),
            f"{side}_hand": way[-1],
        }

    def _hanging(self, shoulder: Doubles, hips: Doubles, sign: int) -> Doubles:
        """An arm that lies against the trunk, down along the figure's rim."""
        w = self._ways
        way = [shoulder]
        for y in np.linspace(shoulder[1], hips[1] + 0.06 * self._height, 9)[1:]:
            row = np.flatnonzero(w.thick[int(np.clip(y, 0, w.thick.shape[0] - 1))] > 0)
            out = (row.max() if sign > 0 else row.min()) if len(row) else shoulder[0]
            way.append(np.array([out - sign * min(0.05 * self._height, 0.4 * abs(out - hips[0])), y]))
        return np.array(way)


def _line_x(a: Doubles, b: Doubles, y: float) -> float:
    """Where the line through two points is at a height; beyond them straight down."""
    share = float(np.clip((y - a[1]) / (b[1] - a[1]), 0, 1)) if abs(b[1] - a[1]) > 1 else 0.5
    return float(a[0] + share * (b[0] - a[0]))


def _along(way: Doubles, share: float) -> Doubles:
    """The point so far along a way."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    return np.array([np.interp(share * steps[-1], steps, way[:, k]) for k in (0, 1)])


def _pulled_in(way: Doubles, by: float) -> Doubles:
    """A way without its last pixels."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    kept = int((steps <= max(steps[-1] - by, 0.6 * steps[-1])).sum())
    return way[: max(kept, 2)] if len(way) > 1 else np.vstack([way, way])


def _is_inside(mask: Mask, point: Doubles) -> bool:
    x, y = round(float(point[0])), round(float(point[1]))
    return 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and bool(mask[y, x] > 0)


_WORDS = {"l": "left", "r": "right"}
_THE = {"hips": "the hips are", "neck": "the neck is", "head": "the head is"}


def joint_faults(joints: Mapping[str, Doubles], mask: Mask) -> list[str]:
    """What is wrong with joints over a mask, in plain words; empty where nothing is."""
    height = max(cv2.boundingRect(mask)[3], 1)
    faults = []
    near = cv2.dilate(mask, np.ones((2 * max(height // 100, 1) + 1,) * 2, np.uint8))
    for name in JOINTS:
        if not _is_inside(np.asarray(near, np.uint8), joints[name]):
            faults.append(f"{_is(name)} outside the figure")
    for end, start in BEFORE.items():
        if end[2:] in ("shoulder", "hip"):
            continue
        if np.linalg.norm(joints[end] - joints[start]) < 0.012 * height:
            faults.append(f"{_is(end)} on top of the {_name(start)}: move them apart")
    if joints["neck"][1] > joints["hips"][1]:
        faults.append("the neck is below the hips")
    for part in ("shoulder", "hip"):
        if joints[f"l_{part}"][0] < joints[f"r_{part}"][0]:
            faults.append(
                f"the left {part} is at the left of the picture: your left is at its right, as in a mirror's picture"
            )
    return faults


def _name(joint: str) -> str:
    return f"{_WORDS[joint[0]]} {joint[2:]}" if joint[1:2] == "_" else joint


def _is(joint: str) -> str:
    return _THE.get(joint) or f"the {_name(joint)} is"

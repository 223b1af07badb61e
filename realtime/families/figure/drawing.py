"""A figure in one size: its joints placed for a pose, its pictures bent along them and drawn in the order of depth."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError, ModelError
from realtime.families.figure import mesh
from realtime.families.figure.expression import Expression
from realtime.families.figure.flat_face import FlatFace
from realtime.families.figure.head import DrawnHead, HeadState
from realtime.families.figure.mesh import Picture
from realtime.families.figure.painter import Painter, Run, lay_moved
from realtime.families.figure.retarget import AT_REST_ORDER, LIMBS, OUTWARDS, SIDES, FigurePose, Side, at_rest
from realtime.families.figure.spring import Spring
from realtime.frame import Doubles, Ints, Pixels
from realtime.models.figure import PartSpec, Rig

SHRUG = 0.22  # of the upper arm's length: how far a shoulder rises with its arm
CLEAR = 1.12  # head radii: hands beside the driver's head keep so far from the figure's
MOST_PUSH_DEG, PUSH_STEP_DEG = 60, 4
PUSH_S = 0.075  # the time constant of an arm that is pushed aside
SPRING_HZ, SPRING_DAMPING = 1.0, 0.47
SPRING_SWING, SPRING_DRIFT = 1.2, 0.15  # radians for each radian of lean, and for each torso length a second
SWAY, SWAY_HZ = 0.10, 0.35  # radians: what hangs loose is never quite still

HEAD_ORDER = 1.0
PREVIEW_PX = 720
MOST_DRAWN_PX = 8192

LEGS_TO_REST_S, LEGS_FOUND_S = 0.3, 0.6

Joints = dict[str, Doubles]
"""Where each joint is, (2,) in the frame's pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a figure's canvas lies in the frame: its pixels times `zoom`, moved by `offset` (2,).

    `standing`: how far the lowest foot is held on the floor, 0..1.
    """

    offset: Doubles
    zoom: float = 1.0
    standing: float = 1.0

    def __call__(self, points: Doubles) -> Doubles:
        """Points of the canvas (..., 2) in the frame."""
        return np.asarray(points * self.zoom + self.offset)


@dataclass(slots=True, eq=False)
class FigureState:
    """What a figure remembers from frame to frame, whatever its size."""

    head: HeadState = field(default_factory=HeadState)
    push: dict[Side, float] = field(default_factory=lambda: {"l": 0.0, "r": 0.0})
    legs: dict[str, tuple[float, float]] = field(default_factory=dict)
    """How each bone was turned from how it is drawn, and stretched."""
    legs_led: float | None = None  # 0..1: legs that are seen again glide to where they are
    tail: Spring = field(default_factory=lambda: Spring(SPRING_HZ, SPRING_DAMPING))
    clock_s: float = 0.0
    place: Doubles | None = None


class Figure:
    """A figure ready to be drawn, `scale` times its canvas' size. For one thread. Raises MasqueradeError.

    `state`: that of the same figure in another size, which this one goes on with.
    """

    def __init__(self, rig: Rig, folder: Path, scale: float, state: FigureState | None = None) -> None:
        self.rig, self.scale = rig, scale
        self.state = state or FigureState()
        self.joints: Joints = {name: np.array(at) * scale for name, at in rig.joints.items()}

        def load(file: str) -> Picture:
            return _scaled_picture(folder / file, scale)

        if rig.head is not None:
            width, height = rig.head.size
            check_size((round(width * scale), round(height * scale)), "the head")
        self._head = DrawnHead(rig.head, scale, load, self.state.head) if rig.head is not None else None
        self._body: _Layers | _Flat
        self._flat_face: FlatFace | None = None
        if rig.picture is not None:
            self._body = flat = _Flat(load(rig.picture), self.joints, rig.head_radius * scale)
            self._flat_face = FlatFace(flat.picture, rig.face, scale) if rig.face is not None else None
        else:
            self._body = _Layers(rig, self.joints, scale, load)

    @property
    def torso(self) -> float:
        """The trunk's length in pixels."""
        return float(np.linalg.norm(self.joints["neck"] - self.joints["hips"]))

    @property
    def pushed(self) -> Mapping[Side, float]:
        """By side, radians by which an arm is turned outwards now, clear of the head."""
        return self.state.push

    @property
    def mouth(self) -> str | None:
        """The drawn mouth that was shown last."""
        return self.state.head.mouth

    def draw(
        self, frame: Pixels, painter: Painter, pose: FigurePose, face: Expression, place: Place, step_s: float
    ) -> Joints:
        """Draw the figure over a frame, in place; gives where its joints are."""
        at = self.place(pose, place.standing, step_s)
        if self._flat_face is not None:
            self._flat_face.draw(face)
        todo: list[tuple[float, Callable[[], None]]] = []
        for order, run, vertices in self._body.runs(at, pose, self._swing_on(pose, step_s)):
            todo.append((order, partial(painter.draw, frame, run, place(vertices))))
        if self._head is not None:
            todo.append((HEAD_ORDER, partial(self._draw_head, frame, at["neck"], pose, face, place, step_s)))
        for _, draw in sorted(todo, key=lambda item: item[0]):
            draw()
        return {name: place(point) for name, point in at.items()}

    def _draw_head(
        self, frame: Pixels, neck: Doubles, pose: FigurePose, face: Expression, place: Place, step_s: float
    ) -> None:
        assert self._head is not None
        aside = 0.0 if self.state.place is None else float(self.state.place[0])
        sheet = self._head.compose(face, (pose.yaw, pose.pitch, pose.roll), step_s, aside)
        on_canvas = self._head.place(neck, pose.yaw, pose.pitch, pose.roll)
        lay_moved(frame, sheet, np.column_stack([place.zoom * on_canvas[:, :2], place(on_canvas[:, 2])]))

    def place(self, pose: FigurePose, standing: float, step_s: float) -> Joints:
        """The joints on the canvas: the figure's lengths, the driver's directions; `standing`: see Place."""
        rest, at = self.joints, Joints()
        if self.state.legs_led is not None or not pose.whole:
            self.state.legs_led = min((self.state.legs_led or 0.0) + step_s / LEGS_FOUND_S, 1.0) if pose.whole else 0.0
        hips, neck = rest["hips"], rest["neck"]
        spine = mesh.turn(pose.lean)
        at["hips"], at["neck"] = hips, hips + spine @ (neck - hips)
        at["head"] = at["neck"] + mesh.turn(pose.roll) @ (rest["head"] - neck)
        for side in SIDES:
            upper = float(np.linalg.norm(rest[f"{side}_elbow"] - rest[f"{side}_shoulder"]))
            beside = (rest[f"{side}_shoulder"] - neck) * (pose.width, 1) - (0, SHRUG * upper * pose.raised[side])
            at[f"{side}_shoulder"] = at["neck"] + spine @ beside
            hip = (rest[f"{side}_hip"] - hips) * (0.5 + 0.5 * pose.width, 1)
            at[f"{side}_hip"] = hips + mesh.turn(0.25 * pose.lean) @ hip
            for limb in LIMBS.values():
                self._extend(at, side, limb, pose, step_s)
        between = (at["l_wrist"] + at["r_wrist"]) / 2
        for side in SIDES:
            self._touch(at, side, pose, between)
            self._clear_head(at, side, pose, step_s)
        floor, lowest = (max(j["l_ankle"][1], j["r_ankle"][1]) for j in (rest, at))
        shift = np.array([0.0, standing * (floor - lowest)])
        return {name: point + shift for name, point in at.items()}

    def _extend(self, at: Joints, side: Side, limb: tuple[str, ...], pose: FigurePose, step_s: float) -> None:
        """A limb's joints, one after the other, from the one that is placed already; undriven legs glide to rest."""
        led = 1.0 if self.state.legs_led is None else self.state.legs_led
        for start, end in pairwise(limb):
            drawn = self.joints[f"{side}_{end}"] - self.joints[f"{side}_{start}"]
            bone, name = pose.bones[f"{side}_{start}"], f"{side}_{start}"
            if bone.angle is None:
                left = max(1 - step_s / LEGS_TO_REST_S, 0.0)
                turned, stretch = self.state.legs.get(name, (0.0, 1.0))
                turned, stretch = left * turned, 1 - left * (1 - stretch)
            else:
                turned, stretch = math.remainder(bone.angle - mesh.direction(drawn), 2 * math.pi), bone.stretch
                if start in LIMBS["leg"] and led < 1 and name in self.state.legs:
                    before, shorter = self.state.legs[name]
                    turned = before + led * math.remainder(turned - before, 2 * math.pi)
                    stretch = shorter + led * (stretch - shorter)
            self.state.legs[name] = turned, stretch
            at[f"{side}_{end}"] = at[f"{side}_{start}"] + mesh.turn(turned) @ drawn * stretch

    def _touch(self, at: Joints, side: Side, pose: FigurePose, between: Doubles) -> None:
        """Bring a hand to where the driver's touches: the hip, the face, the other hand. The elbow gives way.

        `between`: the middle of both wrists.
        """
        contact = pose.contacts.get(side)
        if contact is None:
            return
        shoulder, elbow, wrist, hand = (at[f"{side}_{joint}"] for joint in LIMBS["arm"])
        if contact.on == "face":
            wanted = at["head"] + contact.offset * self.rig.head_radius * self.scale - (hand - wrist)
        elif contact.on == "hip":
            wanted = at[f"{side}_hip"] + contact.offset * self.torso
        else:
            wanted = between + contact.offset * self.torso
        wanted = wrist + contact.share * (wanted - wrist)
        bent, reached = two_bones(shoulder, elbow, wrist, wanted)
        before = mesh.direction(wrist - elbow)
        at[f"{side}_elbow"], at[f"{side}_wrist"] = bent, reached
        turned = mesh.turn(mesh.direction(reached - bent) - before)
        at[f"{side}_hand"] = reached + turned @ (hand - wrist)

    def _clear_head(self, at: Joints, side: Side, pose: FigurePose, step_s: float) -> None:
        """Turn an arm outwards whose hand is beside the driver's head: it must not cover the figure's large one."""
        wished = 0.0
        shoulder = at[f"{side}_shoulder"]
        if not pose.touches_face[side]:
            keep = CLEAR * self.rig.head_radius * self.scale
            tips = np.array([at[f"{side}_wrist"], at[f"{side}_hand"]]) - shoulder
            for wished in np.radians(np.arange(0, MOST_PUSH_DEG + PUSH_STEP_DEG, PUSH_STEP_DEG)).tolist():
                away = tips @ mesh.turn(OUTWARDS[side] * wished).T + shoulder - at["head"]
                if (np.linalg.norm(away, axis=1) > keep).all():
                    break
        self.state.push[side] += (wished - self.state.push[side]) * min(step_s / PUSH_S, 1.0)
        if self.state.push[side] > 0.01:
            matrix = mesh.turn(OUTWARDS[side] * self.state.push[side])
            for joint in LIMBS["arm"][1:]:
                at[f"{side}_{joint}"] = shoulder + matrix @ (at[f"{side}_{joint}"] - shoulder)

    def _swing_on(self, pose: FigurePose, step_s: float) -> float:
        """Where loose things (a tail) swing now, in radians: a spring that the trunk's motion drives."""
        self.state.clock_s += step_s
        drift, before = 0.0, self.state.place
        if pose.place is not None and before is not None and step_s > 0:
            drift = float(np.clip((pose.place[0] - before[0]) / step_s, -3, 3))
        if pose.place is not None:
            self.state.place = pose.place
        swing = self.state.tail(-SPRING_SWING * pose.lean - SPRING_DRIFT * drift, step_s)
        return swing + SWAY * float(np.sin(2 * np.pi * SWAY_HZ * self.state.clock_s))


def two_bones(start: Doubles, middle: Doubles, end: Doubles, wanted: Doubles) -> tuple[Doubles, Doubles]:
    """The middle and the end of two bones whose end comes as near to `wanted` as they reach; they bend as before."""
    upper, lower = float(np.linalg.norm(middle - start)), float(np.linalg.norm(end - middle))
    way = wanted - start if (wanted != start).any() else end - start
    reach = float(np.clip(np.linalg.norm(way), abs(upper - lower) + 1e-3, upper + lower - 1e-3))
    along, across = middle - start, end - start
    side = 1.0 if along[0] * across[1] - along[1] * across[0] <= 0 else -1.0
    cosine = (upper * upper + reach * reach - lower * lower) / max(2 * upper * reach, 1e-9)
    angle = mesh.direction(way) + side * float(np.arccos(np.clip(cosine, -1, 1)))
    bent = start + upper * np.array([np.cos(angle), np.sin(angle)])
    target = start + reach * way / max(float(np.linalg.norm(way)), 1e-9)
    return bent, target


def still(rig: Rig, folder: Path) -> Picture:
    """The figure at rest, (H, W, 4) uint8 BGRA, cut to what is in it: its preview. Raises MasqueradeError."""
    scale = PREVIEW_PX / rig.size[1]
    width = max(round(rig.size[0] * scale), 1)
    drawn = np.zeros((PREVIEW_PX, width, 4), np.uint8)
    figure = Figure(rig, folder, scale)
    figure.draw(drawn, Painter((width, PREVIEW_PX)), at_rest(), Expression(smile=0.5), Place(np.zeros(2)), 0.0)
    alpha = drawn[..., 3:].astype(np.float32)
    drawn[..., :3] = np.clip(drawn[..., :3] * (255 / np.maximum(alpha, 1)), 0, 255)
    x, y, w, h = cv2.boundingRect(drawn[..., 3])
    if not w:
        raise ConfigError("nothing of the figure can be seen: check its pictures and its joints")
    return np.ascontiguousarray(drawn[y : y + h, x : x + w])


Runs = list[tuple[float, Run, Doubles]]
"""What is to be drawn: its order, the triangles, and where their vertices are."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One layer of the body: its mesh where it is drawn at rest, how much each vertex follows each bone, its runs."""

    spec: PartSpec
    rest: Doubles
    chain: Doubles
    weights: Doubles
    runs: tuple[Run, ...]


class _Layers:
    """The body of a figure made of layers."""

    def __init__(self, rig: Rig, joints: Mapping[str, Doubles], scale: float, load: Callable[[str], Picture]) -> None:
        self._joints = joints
        self._parts = [self._part(spec, scale, load(spec.image)) for spec in rig.parts]

    def _part(self, spec: PartSpec, scale: float, picture: Picture) -> _Part:
        picture = mesh.softened(picture.astype(np.float32))
        grid = mesh.grid_over(np.ascontiguousarray(picture[..., 3]), mesh.LAYER_CELL_PX, mesh.MOST_TRIANGLES)
        rest = grid.points + np.array(spec.at) * scale - mesh.MARGIN_PX
        chain = np.array([self._joints[name] for name in spec.chain])
        weights = mesh.along_chain(rest, chain, stiff=spec.stiff)
        return _Part(spec, rest, chain, weights, _runs_by_bone(picture, grid, grid.triangles, weights))

    def runs(self, at: Joints, pose: FigurePose, swing: float) -> Runs:
        todo: Runs = []
        for part in self._parts:
            vertices = self._bent(part, at, pose, swing)
            group = part.spec.group
            order = pose.order[f"{group[-1]}_{group[:3]}" if group[:3] in ("arm", "leg") else group]
            todo += [(order, run, vertices) for run in part.runs]
        return todo

    def _bent(self, part: _Part, at: Joints, pose: FigurePose, swing: float) -> Doubles:
        """Where a part's vertices are."""
        spec, rest = part.spec, self._joints
        if spec.spring:
            base = at["hips"] + mesh.turn(0.5 * pose.lean) @ (part.chain[0] - rest["hips"])
            posed = base + (part.chain - part.chain[0]) @ mesh.turn(swing).T
            return mesh.skinned(part.rest, part.weights, mesh.bone_maps(part.chain, posed))
        if spec.group in ("torso", "back"):
            return mesh.trunk(part.rest, rest["hips"], rest["neck"], (at["hips"], at["neck"]), pose.width)
        posed = np.array([at[name] for name in spec.chain])
        return mesh.skinned(part.rest, part.weights, mesh.bone_maps(part.chain, posed))


class _Flat:
    """The body of a figure that is one picture: one mesh that bends everywhere and is drawn limb by limb.

    Limbs share the trunk's vertices: turning them opens no gap, and they can still be drawn before or behind.
    """

    def __init__(self, picture: Picture, joints: Mapping[str, Doubles], head_radius: float) -> None:
        self.picture = picture = mesh.softened(picture.astype(np.float32))
        alpha = np.ascontiguousarray(picture[..., 3])
        self._joints = j = {name: point + mesh.MARGIN_PX for name, point in joints.items()}
        limbs = {
            f"{side}_{limb}": [f"{side}_{joint}" for joint in names] for side in SIDES for limb, names in LIMBS.items()
        }
        self._chains = {name: np.array([j[joint] for joint in chain]) for name, chain in limbs.items()}
        self._names = limbs
        cell = mesh.FLAT_CELL_PX * max(float(np.linalg.norm(j["neck"] - j["hips"])) / 200.0, 1.0)
        grid = mesh.grid_over(alpha, cell)
        fields = mesh.ways_inside(alpha, self._lines())
        columns, rows = (grid.points / mesh.GRID_STEP).astype(int).T
        ways = fields[:, rows.clip(0, fields.shape[1] - 1), columns.clip(0, fields.shape[2] - 1)]
        # A head is as near as its rim is: an arm raised beside it does not take half of it along.
        away = np.linalg.norm(grid.points - j["head"], axis=1) - head_radius
        nearer = ways.copy()
        nearer[1] = np.where(away < 0.02 * head_radius, np.minimum(ways[1], np.maximum(away, 0.0)), ways[1])
        owner = nearer.argmin(axis=0)
        grid = mesh.Grid(grid.points, grid.triangles[~mesh.across_gaps(grid, ways)])
        grid, copied, at_head = self._parted(grid, owner)
        owner, nearer = owner[copied], nearer[:, copied]
        if not len(grid.triangles):
            raise ModelError("the figure's picture is transparent where its joints are: give another mask")
        thick = np.asarray(cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 5), np.float64)
        starts = [float(_value_at(thick, chain[0])) for chain in self._chains.values()]
        bands = np.array([np.mean(starts), _value_at(thick, j["neck"]), *starts]) * mesh.BAND + 6
        bands[0] = bands[2:].mean()
        shares = mesh.shares(nearer, bands)
        arms = np.array([False, False, *("arm" in limb for limb in limbs)])
        shares[1, arms[owner]] = 0.0
        shares[np.ix_(arms, owner == 1)] = 0.0
        self._rest, self._shares = grid.points, shares / shares.sum(axis=0)
        self._weights = {name: mesh.along_chain(grid.points, chain) for name, chain in self._chains.items()}
        self._rigid = mesh.Rigid(grid, self._handles(thick))
        owners = owner[grid.triangles]
        owner = np.where(owners[:, 1] == owners[:, 2], owners[:, 1], owners[:, 0])
        # Where an arm touches the head, the head's ball is the head's alone, and what is beside it the arm's.
        beside, ball = picture, picture
        if at_head.any():
            ys, xs = np.ogrid[: alpha.shape[0], : alpha.shape[1]]
            inside = np.hypot(xs - j["head"][0], ys - j["head"][1]) <= 1.05 * head_radius + 2
            beside, ball = picture * ~inside[..., None], picture * inside[..., None]
        self._runs: list[tuple[str, Run]] = []
        for number, group in enumerate(("torso", "head", *limbs)):
            mine = owner == number
            weights = self._weights.get(group, np.ones((len(grid.points), 1)))
            lots = (
                (mine & ~at_head, beside if arms[number] else picture),
                (mine & at_head, beside if arms[number] else ball),
            )
            for lot, source in lots:
                self._runs += [(group, run) for run in _runs_by_bone(source, grid, grid.triangles[lot], weights)]

    def _parted(self, grid: mesh.Grid, owner: Ints) -> tuple[mesh.Grid, Ints, npt.NDArray[np.bool_]]:
        """The mesh cut where an arm only touches the head, a leg or the other arm; the vertex that each copies; and
        which triangles (M,) lie across a contact with the head.

        A triangle across a contact goes with the limb of most of its corners, one at the head with both.
        """
        limbs = ("torso", "head", *self._names)
        allowed = np.array([["arm" not in a + b or "torso" in (a, b) or a == b for a in limbs] for b in limbs])
        triangles, copied = grid.triangles.tolist(), list(range(len(grid.points)))
        at_head = [False] * len(triangles)
        copies: dict[tuple[int, int], int] = {}

        def with_limb_of(corners: list[int], keeper: int) -> list[int]:
            kept = []
            for corner in corners:
                if not allowed[owner[corner], owner[keeper]]:
                    if (corner, keeper) not in copies:
                        copies[corner, keeper] = len(copied)
                        copied.append(keeper)
                    corner = copies[corner, keeper]
                kept.append(corner)
            return kept

        crossing = ~allowed[owner[grid.triangles], owner[np.roll(grid.triangles, 1, axis=1)]].all(axis=1)
        for row in np.flatnonzero(crossing).tolist():
            corners = triangles[row]
            of = owner[corners].tolist()
            most = max(of, key=of.count)
            triangles[row] = with_limb_of(corners, corners[of.index(most)])
            if 1 in of:
                at_head[row] = True
                other = next(limb for limb in of if (limb == 1) != (most == 1) and (limb == 1 or "arm" in limbs[limb]))
                triangles.append(with_limb_of(corners, corners[of.index(other)]))
                at_head.append(True)
        points = np.vstack([grid.points, grid.points[[vertex for vertex, _ in copies]].reshape(-1, 2)])
        parted = mesh.Grid(points, np.array(triangles).reshape(-1, 3))
        whole = mesh.no_crumbs(parted)
        return mesh.Grid(points, parted.triangles[whole]), np.array(copied), np.array(at_head)[whole]

    def _lines(self) -> list[list[tuple[Doubles, Doubles]]]:
        """What the vertices of trunk, head and each limb are near to."""
        j = self._joints
        inner = {side: 0.25 * j["neck"] + 0.75 * j[f"{side}_shoulder"] for side in SIDES}
        trunk = [(j["hips"], j["neck"]), (inner["l"], inner["r"]), (j["l_hip"], j["r_hip"])]
        trunk += [(inner[side], j[f"{side}_hip"]) for side in SIDES]
        head = [(0.5 * (j["neck"] + j["head"]), 1.6 * j["head"] - 0.6 * j["neck"])]
        limbs = []
        for chain in self._chains.values():
            limbs.append([(0.75 * chain[0] + 0.25 * chain[1], chain[1]), *pairwise(chain[1:])])
        return [trunk, head, *limbs]

    def _handles(self, thick: Doubles) -> Ints:
        """Vertices near bones, but not at joints: those are left free to round themselves."""
        j, near = self._joints, np.full(len(self._rest), np.inf)
        for chain in (*self._chains.values(), np.array([j["hips"], j["neck"], j["head"]])):
            for start, end in pairwise(chain):
                near = np.minimum(near, mesh.distance_to_bone(self._rest, start, end))
        for chain in self._chains.values():
            for joint in chain[:-1]:
                near[np.linalg.norm(self._rest - joint, axis=1) < 0.6 * _value_at(thick, joint)] = np.inf
        return np.flatnonzero(near < mesh.HANDLE_PX * max(float(np.linalg.norm(j["neck"] - j["hips"])) / 200.0, 1.0))

    def runs(self, at: Joints, pose: FigurePose, swing: float) -> Runs:
        del swing  # a flat picture has nothing loose
        j, points = self._joints, self._rest
        moved = self._shares[0][:, None] * mesh.trunk(
            points, j["hips"], j["neck"], (at["hips"], at["neck"]), pose.width
        )
        turned = at["neck"] + (points - j["neck"]) @ mesh.turn(pose.roll).T
        moved += self._shares[1][:, None] * turned
        for number, (limb, chain) in enumerate(self._chains.items(), start=2):
            names = self._names[limb]
            posed = np.array([at[name] for name in names])
            maps = mesh.bone_maps(chain, posed)
            moved += self._shares[number][:, None] * mesh.skinned(points, self._weights[limb], maps)
        vertices = self._rigid(moved)
        order = {**AT_REST_ORDER, **pose.order, "head": HEAD_ORDER}
        return [(order[group], run, vertices) for group, run in self._runs]


def _runs_by_bone(picture: Picture, grid: mesh.Grid, triangles: Ints, weights: Doubles) -> tuple[Run, ...]:
    """A limb is drawn bone by bone: where it folds, the margin of one bone must not wipe out the other."""
    bone = weights[triangles].sum(axis=1).argmax(axis=1) if len(triangles) else np.zeros(0, int)
    lots = [lot for k in range(weights.shape[1]) for lot in mesh.in_runs(triangles[bone == k])]
    return tuple(Run(picture, lot, grid.points[lot]) for lot in lots)


def _value_at(field: Doubles, point: Doubles) -> float:
    rows, columns = field.shape
    return float(field[int(np.clip(point[1], 0, rows - 1)), int(np.clip(point[0], 0, columns - 1))])


def check_size(size: tuple[int, int], what: str) -> None:
    """Raises ConfigError for a picture that would be drawn far beyond any frame: it takes the memory of hundreds."""
    if max(size) > MOST_DRAWN_PX:
        raise ConfigError(
            f"{what} would be {size[0]}x{size[1]} pixels large in the picture: check size, top and joints"
        )


def _scaled_picture(file: Path, scale: float) -> Picture:
    """A layer's picture, colours multiplied by alpha, `scale` times as large. Raises ConfigError for no picture."""
    image = decode_picture(file)
    rows, columns, channels = image.shape
    alpha = image[..., 3:] if channels == 4 else np.full((rows, columns, 1), 255, np.uint8)
    picture = np.concatenate([image[..., :3] * (alpha.astype(np.float32) / 255), alpha.astype(np.float32)], axis=2)
    size = max(round(columns * scale), 1), max(round(rows * scale), 1)
    check_size(size, file.name)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.clip(np.rint(cv2.resize(picture, size, interpolation=kernel)), 0, 255).astype(np.uint8)

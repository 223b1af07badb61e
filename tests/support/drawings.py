"""Ten children's drawings with their true joints, drawn in code and photographed: tilted paper, uneven light, grain."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from realtime.frame import Doubles, Pixels
from realtime.skeleton import JOINTS

SIZE = (600, 800)  # of the paper, width and height
SEAM = 3  # the subpixel bits of OpenCV's lines
Point = tuple[float, float]


@dataclass(frozen=True)
class Child:
    """How one drawing looks. Lengths are shares of the figure's height; angles are degrees below the horizontal.

    `style`: crayon, pen (thin, empty) or paint (filled). `body`: the trunk's shape. `extras`: hair, ears and so on.
    """

    name: str
    style: str
    seed: int
    head: float = 0.11  # radius
    trunk: float = 0.30
    waist: float = 0.09  # half width at shoulders
    hem: float = 0.09  # and at the hips
    arm: float = 0.26
    leg: float = 0.34
    limb: float = 0.03  # half width of limbs; 0 for sticks
    arms_deg: tuple[float, float] = (20.0, 20.0)  # of the picture's right arm (l) and left arm (r)
    legs_deg: float = 78.0
    neck: float = 0.03
    tilt_deg: float = 3.0
    body: str = "oval"
    extras: Sequence[str] = field(default_factory=tuple)
    ink: tuple[int, int, int] = (40, 40, 46)
    cloth: tuple[int, int, int] = (60, 90, 210)
    skin: tuple[int, int, int] = (170, 205, 240)


CHILDREN = (
    Child("stick", "pen", 1, limb=0.0, waist=0.0, hem=0.0, body="line", arms_deg=(-15, -15), legs_deg=70, tilt_deg=-4),
    Child("crayon", "crayon", 2, arms_deg=(5, 5), waist=0.11, hem=0.12, limb=0.035),
    Child("girl", "crayon", 3, body="dress", waist=0.06, hem=0.17, leg=0.25, extras=("pigtails",), cloth=(180, 90, 20)),
    Child("bighead", "paint", 4, head=0.19, trunk=0.22, arm=0.20, leg=0.22, arms_deg=(-35, -35), limb=0.035, hem=0.10),
    Child("tall", "pen", 5, head=0.075, trunk=0.28, leg=0.47, arm=0.33, limb=0.018, arms_deg=(50, 50), legs_deg=82),
    Child("robot", "paint", 6, body="box", waist=0.13, hem=0.13, limb=0.03, extras=("antenna",), cloth=(150, 140, 130)),
    Child("cat", "crayon", 7, head=0.14, limb=0.035, extras=("ears", "tail"), skin=(90, 160, 230), cloth=(90, 160, 99)),
    Child("waving", "paint", 8, arms_deg=(-60, 50), cloth=(90, 170, 60), tilt_deg=5, limb=0.03),
    Child("round", "crayon", 9, waist=0.17, hem=0.17, trunk=0.34, leg=0.24, arm=0.22, head=0.12, arms_deg=(0, 0)),
    Child("hat", "pen", 10, extras=("hat", "fingers"), limb=0.025, arms_deg=(30, 10), cloth=(200, 120, 40), neck=0.05),
)  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A photographed drawing. `joints` and `marks` (eyes' middles, the mouth's corners) are in its pixels."""

    name: str
    pixels: Pixels
    joints: dict[str, Doubles]
    marks: dict[str, Doubles]
    height: float


class _Pen:
    """Draws wobbly strokes and rubbed-in colours."""

    def __init__(self, child: Child) -> None:
        self.child, self.rng = child, np.random.default_rng(child.seed)
        self.paper = np.full((SIZE[1], SIZE[0], 3), 250.0)
        self.width = {"pen": 3, "crayon": 8, "paint": 6}[child.style]

    def stroke(self, points: Sequence[Point] | Doubles, colour: tuple[int, int, int], width: int | None = None) -> None:
        wobbly = self._wobbly(np.array(points, np.float64))
        cover = np.zeros(self.paper.shape[:2], np.uint8)
        fixed = np.rint(wobbly * (1 << SEAM)).astype(np.int32)
        cv2.polylines(cover, [fixed], False, 255, width or self.width, cv2.LINE_AA, SEAM)
        self._lay(cover, colour, 0.75 if self.child.style == "crayon" else 1.0)

    def shape(self, points: Sequence[Point] | Doubles, colour: tuple[int, int, int] | None) -> None:
        """A closed outline, rubbed in unless the child draws with a pen."""
        closed = np.array([*points, points[0]], np.float64)
        if colour is not None and self.child.style != "pen":
            cover = np.zeros(self.paper.shape[:2], np.uint8)
            fixed = np.rint(closed * (1 << SEAM)).astype(np.int32)
            cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, SEAM)
            if self.child.style == "crayon":
                x, y, w, h = cv2.boundingRect(cover)
                rubbed = np.zeros_like(cover)
                for k in range(x - h, x + w, 7):
                    cv2.line(rubbed, (k, y + h), (k + h, y), 255, 5, cv2.LINE_AA)
                cover = np.minimum(cover, np.maximum(rubbed, 70))
            self._lay(cover, colour, 0.85)
        self.stroke(closed, self.child.ink)

    def _wobbly(self, points: Doubles) -> Doubles:
        steps = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        at = np.linspace(0, steps[-1], max(int(steps[-1] / 12), 12))
        even = np.stack([np.interp(at, steps, points[:, k]) for k in (0, 1)], 1)
        wobble = cv2.GaussianBlur(self.rng.normal(0, 2.2, even.shape), (1, 7), 1.5)
        return even + wobble * min(steps[-1] / 200, 1.0)

    def _lay(self, cover: Pixels, colour: tuple[int, int, int], strength: float) -> None:
        share = cover[..., None] / 255 * strength
        if self.child.style == "crayon":  # wax catches on the paper's grain
            grain = cv2.GaussianBlur(self.rng.random(cover.shape), (0, 0), 1.0)
            share = share * np.clip(0.55 + 6 * (grain - 0.44), 0.25, 1)[..., None]
        self.paper = self.paper * (1 - share) + np.array(colour) * share


def _turned(length: float, angle_deg: float, sign: int) -> Doubles:
    angle = np.radians(angle_deg)
    return length * np.array([sign * np.cos(angle), np.sin(angle)])


def _truth(c: Child) -> tuple[dict[str, Doubles], float]:
    tall = 2 * c.head + c.neck + c.trunk + c.leg * np.sin(np.radians(c.legs_deg)) + 0.03
    height = 0.80 * SIZE[1]
    one = height / tall
    top, middle = 0.11 * SIZE[1], SIZE[0] / 2
    at = {"head": np.array([middle, top + c.head * one])}
    at["neck"] = at["head"] + (0, (c.head + c.neck) * one)
    at["hips"] = at["neck"] + (0, 0.9 * c.trunk * one)
    for side, sign, arm in (("l", 1, c.arms_deg[0]), ("r", -1, c.arms_deg[1])):
        at[f"{side}_shoulder"] = at["neck"] + (sign * max(c.waist, 0.0) * 0.75 * one, 0.12 * c.trunk * one)
        at[f"{side}_hip"] = at["hips"] + (sign * min(max(c.hem * 0.5, 0.005), 0.07) * one, 0.1 * c.trunk * one)
        for names, start, length, angle in (
            (("elbow", "wrist", "hand"), "shoulder", c.arm, arm),
            (("knee", "ankle"), "hip", c.leg, c.legs_deg),
        ):
            for name, share in zip(names, (0.45, 0.82, 1.0) if start == "shoulder" else (0.5, 0.92), strict=True):
                at[f"{side}_{name}"] = at[f"{side}_{start}"] + _turned(share * length * one, angle, sign)
        foot = np.array([sign * 0.07 * one, 0.035 * one]) if c.limb else np.array([sign * 0.05 * one, 0.01 * one])
        at[f"{side}_toe"] = at[f"{side}_ankle"] + foot
    return at, one


def draw(c: Child) -> Drawn:
    """The photograph of a child's drawing, and what is true of it."""
    at, one = _truth(c)
    pen = _Pen(c)
    limb = c.limb * one
    if "tail" in c.extras:
        hips = at["hips"]
        pen.stroke(
            [hips + (0.06 * one, 0), hips + (0.16 * one, 0.06 * one), hips + (0.25 * one, 0.03 * one)], c.ink, 14
        )
    for side in "lr":
        for chain, colour in (
            (("hip", "knee", "ankle", "toe"), c.cloth),
            (("shoulder", "elbow", "wrist", "hand"), c.skin),
        ):
            points = np.array([at[f"{side}_{name}"] for name in chain])
            if limb:
                pen.shape(_tube(points, limb), colour)
            else:
                pen.stroke(points, c.ink)
    _trunk(pen, c, at, one)
    if c.neck and c.limb:
        pen.shape(_tube(np.array([at["head"] + (0, c.head * one), at["neck"] + (0, 4)]), 0.02 * one), c.skin)
    _hair(pen, c, at, one)
    marks = _face(pen, c, at, one)
    if "fingers" in c.extras:
        for side in "lr":
            hand, wrist = at[f"{side}_hand"], at[f"{side}_wrist"]
            way = (hand - wrist) / np.linalg.norm(hand - wrist)
            for angle in (-0.6, 0.0, 0.6):
                cos, sin = np.cos(angle), np.sin(angle)
                pen.stroke(
                    [hand, hand + 0.04 * one * np.array([cos * way[0] - sin * way[1], sin * way[0] + cos * way[1]])],
                    c.ink,
                )
    return _photographed(c, pen, {name: at[name] for name in JOINTS}, marks, one)


def _tube(points: Doubles, half: float) -> Doubles:
    """The outline of a thick line."""
    canvas = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.polylines(canvas, [np.rint(points).astype(np.int32)], False, 255, max(round(2 * half), 2))
    outline, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max(outline, key=len)[:, 0].astype(np.float64)


def _trunk(pen: _Pen, c: Child, at: dict[str, Doubles], one: float) -> None:
    neck, low = at["neck"], at["neck"] + (0, c.trunk * one)
    w, h = c.waist * one, c.hem * one
    if c.body == "line":
        pen.stroke([neck - (0, c.neck * one), at["hips"] + (0, 0.1 * c.trunk * one)], c.ink)
    elif c.body == "oval":
        angles = np.linspace(0, 2 * np.pi, 40)[:-1]
        middle, half = (neck + low) / 2, (low[1] - neck[1]) / 2
        wide = np.where(np.sin(angles) < 0, w, h)
        power = np.abs(np.cos(angles)) ** 0.6 * np.sign(np.cos(angles))
        pen.shape(np.stack([middle[0] + wide * power, middle[1] + half * np.sin(angles)], 1), c.cloth)
    else:
        pen.shape([neck + (-w, 0), neck + (w, 0), low + (h, 0), low + (-h, 0)], c.cloth)


def _hair(pen: _Pen, c: Child, at: dict[str, Doubles], one: float) -> None:
    head, r = at["head"], c.head * one
    if "pigtails" in c.extras:
        for sign in (-1, 1):
            pen.stroke(
                [head + (sign * r, -0.2 * r), head + (sign * 1.5 * r, 0.1 * r), head + (sign * 1.45 * r, 0.8 * r)],
                (40, 90, 150),
                14,
            )
    if "ears" in c.extras:
        for sign in (-1, 1):
            pen.shape(
                [
                    head + (sign * 0.9 * r, -0.3 * r),
                    head + (sign * 0.85 * r, -1.35 * r),
                    head + (sign * 0.2 * r, -0.9 * r),
                ],
                c.skin,
            )
    if "antenna" in c.extras:
        pen.stroke([head + (0, -r), head + (0, -1.4 * r)], c.ink)


def _face(pen: _Pen, c: Child, at: dict[str, Doubles], one: float) -> dict[str, Doubles]:
    """The head with its face; gives where its eyes and the mouth's corners are."""
    head, r = at["head"], c.head * one
    angles = np.linspace(0, 2 * np.pi, 60)[:-1]
    round_ = np.stack([np.cos(angles), np.sin(angles)], 1)
    if c.body == "box":
        round_ = np.clip(1.4 * round_, -1, 1)
    pen.shape(head + r * round_, c.skin)
    if "hat" in c.extras:
        brim, crown = [(-1.1, -0.75), (1.1, -0.75)], [(0.6, -0.8), (0.55, -1.4), (-0.55, -1.4), (-0.6, -0.8)]
        pen.shape([head + np.multiply(r, point) for point in brim + crown], c.cloth)
    marks = {}
    for side, sign in (("l", 1), ("r", -1)):
        eye = marks[f"{side}_eye"] = head + (sign * 0.38 * r, -0.15 * r)
        if c.seed % 2:
            pen.shape(eye + 0.17 * r * round_, (255, 255, 255))
        pen.stroke(np.repeat([eye], 2, axis=0) + [(-1, 0), (1, 0)], c.ink, max(round(0.16 * r), 4))
    along = np.linspace(-1, 1, 12)
    mouth = head + np.stack([0.42 * r * along, 0.42 * r + 0.16 * r * (1 - along**2)], 1)
    pen.stroke(mouth, (40, 40, 190) if c.style != "pen" else c.ink)
    return marks | {"l_mouth": mouth[-1], "r_mouth": mouth[0]}


def _photographed(c: Child, pen: _Pen, joints: dict[str, Doubles], marks: dict[str, Doubles], one: float) -> Drawn:
    """The paper on a table: turned, seen at a slant, lit from one side, with a camera's noise."""
    w, h = SIZE
    slant = pen.rng.uniform(0, 0.05, (4, 2)) * (w, h)
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float64)
    inner = corners + slant * [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), c.tilt_deg, 0.93)
    seen = inner @ turn[:, :2].T + turn[:, 2]
    warp = cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32))
    desk = (120.0, 150.0, 175.0) if c.seed % 3 == 0 else (236.0, 240.0, 242.0)  # else the paper fills the picture
    photo = cv2.warpPerspective(pen.paper, warp, SIZE, flags=cv2.INTER_AREA, borderValue=desk)
    ys, xs = np.mgrid[0:h, 0:w] / max(w, h)
    angle = pen.rng.uniform(0, 2 * np.pi)
    light = 0.80 + 0.22 * (np.cos(angle) * (xs - 0.4) + np.sin(angle) * (ys - 0.5)) / 0.5
    photo = photo * light[..., None] * (0.94, 0.98, 1.0) + pen.rng.normal(0, 3, photo.shape)

    def placed(points: dict[str, Doubles]) -> dict[str, Doubles]:
        moved = cv2.perspectiveTransform(np.array([list(points.values())], np.float64), warp)[0]
        return dict(zip(points, moved, strict=True))

    return Drawn(c.name, np.clip(photo, 0, 255).astype(np.uint8), placed(joints), placed(marks), one)

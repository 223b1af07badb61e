"""Pip: a fox cub in a hoodie, inked and flat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import skia

from trained_models.recipes.figures.mouths import OPEN, Style, draw_mouths
from trained_models.recipes.figures.pen import Drawing, Sheet, both_sides, box, disc, shape, tube

SIZE, MIDDLE = (900, 1080), 450
INK, FUR, RUST, CREAM, DARK = 0xFF3A2430, 0xFFF0883C, 0xFFD96E2A, 0xFFFFF3E2, 0xFF5A3440
TEAL, DEEP, MINT, NAVY, NIGHT = 0xFF2FA39A, 0xFF238078, 0xFF5CC4B8, 0xFF3F4E86, 0xFF32406F
WHITE, RED, YELLOW = 0xFFFFFFFF, 0xFFE4574F, 0xFFFFD866
LINE = 7
RIGHT = {
    "hips": (450, 700), "neck": (450, 440), "head": (450, 270),
    "shoulder": (378, 478), "elbow": (302, 578), "wrist": (232, 664), "hand": (198, 706),
    "hip": (408, 712), "knee": (400, 846), "ankle": (394, 974), "toe": (355, 1030),
}  # fmt: skip


def draw(**more: Any) -> Drawing:
    """The fox."""
    joints = both_sides(RIGHT, MIDDLE) | {"tail": (462, 668), "tail_end": (690, 470)}
    made = Drawing("pip", "A drawn fox cub in a hoodie, in layers.", SIZE, 1038, 30, joints, few_colours=True, **more)
    _tail(made.part("tail", ["tail", "tail_end"], "back", spring=True))
    for side in "lr":
        _leg(made.limb("leg", side))
    _torso(made.part("torso", ["hips", "neck"], "torso"))
    for side in "lr":
        _arm(made.limb("arm", side))
    _head(made)
    return made


def _inked(sheet: Sheet, path: skia.Path, colour: int, line: float = LINE) -> None:
    sheet.line(path, INK, 2 * line)
    sheet.fill(path, colour)


def _tail(sheet: Sheet) -> None:
    tail = shape(
        "M462,690 C560,700 600,690 640,640 C700,590 724,540 716,470 Q712,440 690,452 C620,490 "
        "600,520 560,560 Q520,620 452,640 Z"
    )
    _inked(sheet, tail, FUR)
    with sheet.inside(tail):
        sheet.fill(shape("M470,706 Q570,700 640,640 Q712,576 722,500 L770,640 L600,760 Z"), RUST)
        sheet.fill(shape("M750,430 H620 Q640,526 664,508 Q682,552 704,516 Q724,548 770,500 Z"), CREAM)


def _arm(sheet: Sheet) -> None:
    shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
    with sheet.along(wrist, hand) as n:
        sheet.canvas.translate(0, 8)
        sheet.canvas.scale(1.22, 1.2)
        fingers = [((-17, 0.72 * n), (-25, 1.28 * n)), ((0, 0.78 * n), (0, 1.42 * n)), ((17, 0.72 * n), (24, 1.28 * n))]
        hand_path = shape(f"M-25,-4 H25 Q36,{0.5 * n} 30,{0.9 * n} Q0,{1.15 * n} -30,{0.9 * n} Q-36,{0.5 * n} -25,-4 Z")
        for start, end in (*fingers, ((-14, 0.48 * n), (-46, 0.5 * n))):
            hand_path = skia.Op(hand_path, tube([start, end], [25, 24]), skia.kUnion_PathOp)
        _inked(sheet, hand_path, FUR, 6)
        pad = shape(
            f"M0,{0.4 * n} Q17,{0.44 * n} 17,{0.68 * n} Q9,{0.84 * n} 0,{0.76 * n} Q-9,{0.84 * n} "
            f"-17,{0.68 * n} Q-17,{0.44 * n} 0,{0.4 * n} Z"
        )
        sheet.fill(pad, DARK)
        for x, y in ((-25, 1.24 * n), (0, 1.36 * n), (24, 1.24 * n)):
            sheet.fill(disc(x, y, 6.5, 7.5), DARK)
    end = (0.25 * elbow[0] + 0.75 * wrist[0], 0.25 * elbow[1] + 0.75 * wrist[1])
    sleeve = tube([shoulder, elbow, end], [64, 56, 58])
    _inked(sheet, sleeve, TEAL)
    with sheet.inside(sleeve):
        for start, end in ((shoulder, elbow), (elbow, wrist)):
            with sheet.along(start, end) as n:
                sheet.fill(shape(f"M14,-40 Q20,{n / 2} 14,{n + 40} H60 V-40 Z"), DEEP)
    with sheet.along(elbow, wrist) as n:
        _inked(sheet, box(0, n - 3, 74, 27, 13), MINT, 6)


def _leg(sheet: Sheet) -> None:
    hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
    x, y = ankle
    shoe = shape(
        f"M{x + 30},{y - 8} L{x - 24},{y - 14} Q{x - 40},{y + 12} {x - 66},{y + 18} "
        f"Q{x - 92},{y + 26} {x - 88},{y + 56} H{x + 32} Q{x + 44},{y + 24} {x + 30},{y - 8} Z"
    )
    _inked(sheet, shoe, RED)
    _inked(sheet, box(x - 27, y + 54, 132, 20, 10), WHITE, 6)
    for k in range(3):
        sheet.line(shape(f"M{x - 8 - 15 * k},{y + 2 + 7 * k} L{x - 24 - 15 * k},{y - 8 + 10 * k}"), WHITE, 6)
    trouser = tube([hip, knee, (x, y - 36)], [88, 72, 66])
    _inked(sheet, trouser, NAVY)
    with sheet.inside(trouser):
        for start, end in ((hip, knee), (knee, ankle)):
            with sheet.along(start, end) as n:
                sheet.fill(box(-34, n / 2, 28, n + 80, 0), NIGHT)
    _inked(sheet, box(x, y - 6, 74, 26, 12), 0xFF5666A6, 6)


def _torso(sheet: Sheet) -> None:
    _inked(sheet, shape("M352,462 C360,414 404,388 450,388 C496,388 540,414 548,462 Q450,520 352,462 Z"), DEEP)
    body = shape(
        "M392,446 Q450,462 508,446 Q556,462 554,520 Q548,600 558,690 Q560,735 520,742 Q450,752 380,742 "
        "Q340,735 342,690 Q352,600 346,520 Q344,462 392,446 Z"
    )
    _inked(sheet, body, TEAL)
    with sheet.inside(body):
        sheet.fill(shape("M510,440 H580 V760 H500 Q540,620 510,440 Z"), DEEP)
        sheet.fill(shape("M340,712 Q450,734 560,712 V760 H340 Z"), MINT)
        sheet.line(shape("M338,712 Q450,734 562,712"), INK, 5)
        for x in range(356, 560, 17):
            sheet.line(shape(f"M{x},724 V748"), TEAL, 4)
    pocket = shape("M398,612 H502 L528,690 Q450,704 372,690 Z")
    sheet.fill(pocket, DEEP)
    sheet.line(pocket, INK, 5)
    points = [(r * np.sin(k * np.pi / 5), -r * np.cos(k * np.pi / 5)) for k, r in enumerate([30, 13] * 5)]
    star = shape("M" + " L".join(f"{450 + x:.2f},{560 + y:.2f}" for x, y in points) + " Z")
    _inked(sheet, star, YELLOW, 3)
    for side in (-1, 1):
        cord = shape(f"M{450 + 22 * side},462 Q{450 + 30 * side},490 {450 + 24 * side},520")
        sheet.line(cord, INK, 11)
        sheet.line(cord, WHITE, 5)


MOUTH = Style(35, INK, 7, 0xFF6B1F2E, 0xFFF0787A, WHITE, muzzle=True)
X, Y = 260, 270  # of the head's middle on its sheet; what follows is drawn from there


@dataclass(frozen=True)
class Turned:
    """How the head looks from one side. An ear or an eye is (name, x, y, how wide it is seen)."""

    ears: tuple[tuple[str, float, float, float], ...]
    face: str
    shade: str
    muzzle: str
    blush: tuple[tuple[float, float, float, float], ...]
    tuft: float
    eyes: tuple[tuple[str, float, float, float], ...]
    mouth: tuple[float, float, float, float] | None  # x, y, how wide it is seen, tilt in degrees; None: from the side
    nose: tuple[float, float, float]


FRONT = Turned(
    ears=(("ear_r", -97, -90, -1.0), ("ear_l", 97, -90, 1.0)),
    face="M0,-150 C96,-152 150,-100 158,-40 Q172,-4 206,24 Q176,40 182,66 Q150,70 128,104 Q70,148 0,148 "
    "Q-70,148 -128,104 Q-150,70 -182,66 Q-176,40 -206,24 Q-172,-4 -158,-40 C-150,-100 -96,-152 0,-150 Z",
    shade="M-230,96 Q-120,160 0,134 Q120,160 230,96 V200 H-230 Z",
    muzzle="M-190,30 Q-120,4 -74,26 Q-30,-20 0,-24 Q30,-20 74,26 Q120,4 190,30 Q164,42 168,60 Q140,68 120,96 "
    "Q66,136 0,136 Q-66,136 -120,96 Q-140,68 -168,60 Q-164,42 -190,30 Z",
    blush=((-112, 62, 26, 26), (112, 62, 26, 26)),
    tuft=0,
    eyes=(("r", -70, -26, 1.0), ("l", 70, -26, 1.0)),
    mouth=(0, 78, 1.0, 0),
    nose=(0, 48, 1.0),
)
QUARTER = Turned(
    ears=(("ear_l", 64, -94, 0.80), ("ear_r", -112, -84, -0.96)),
    face="M-8,-150 C82,-153 134,-104 143,-46 Q150,-14 176,16 Q158,34 164,56 Q148,70 132,96 Q92,144 28,148 "
    "Q-62,150 -126,106 Q-152,76 -190,74 Q-180,46 -216,32 Q-180,0 -166,-40 C-158,-104 -100,-150 -8,-150 Z",
    shade="M-230,96 Q-110,164 28,136 Q110,154 230,84 V200 H-230 Z",
    muzzle="M-202,38 Q-134,8 -74,28 Q-4,-8 40,-26 Q72,-22 96,20 Q132,4 162,20 Q146,36 151,53 Q138,66 122,90 "
    "Q86,132 28,137 Q-56,138 -118,98 Q-142,74 -176,68 Q-170,48 -202,38 Z",
    blush=((-96, 64, 28, 26), (140, 54, 13, 22)),
    tuft=-12,
    eyes=(("l", 96, -28, 0.76), ("r", -26, -26, 0.98)),
    mouth=(74, 80, 0.86, -2),
    nose=(82, 48, 0.94),
)
PROFILE = Turned(
    ears=(("ear_l", 6, -98, 0.5), ("ear_r", -74, -86, -0.78)),
    face="M-22,-152 C46,-154 92,-122 104,-74 Q110,-40 130,-20 Q156,4 204,18 Q224,28 220,44 Q214,60 188,68 "
    "Q168,92 140,100 Q104,130 56,140 Q6,150 -44,144 Q-104,138 -144,94 Q-180,52 -180,-16 C-180,-98 -116,-150 -22,-152 Z",
    shade="M-230,84 Q-150,130 -44,128 Q60,136 150,80 L190,120 V200 H-230 Z",
    muzzle="M-138,44 Q-80,34 -24,44 Q34,46 70,18 Q108,-4 152,14 Q200,24 217,42 Q212,58 187,66 Q166,88 137,96 "
    "Q100,120 54,130 Q6,138 -38,130 Q-58,122 -70,106 Q-84,116 -96,116 Q-104,104 -106,88 Q-120,92 -132,88 "
    "Q-128,64 -138,44 Z",
    blush=((-52, 66, 27, 25),),
    tuft=-20,
    eyes=(("r", 44, -26, 0.70),),
    mouth=None,
    nose=(206, 32, 0.80),
)


def _head(made: Drawing) -> None:
    made.head = {"size": (520, 520), "centre": (X, Y), "place": RIGHT["head"], "pivot": RIGHT["neck"], "radius": 165}
    for turn, look in ((None, FRONT), ("left_quarter", QUARTER), ("left_profile", PROFILE)):
        with made.view(turn):
            _turned_head(made, look)


def _layer(made: Drawing, name: str, depth: float, **more: Any) -> Sheet:
    """A layer in whose coordinates the head's middle is (0, 0)."""
    sheet = made.layer(name, depth, **more)
    sheet.canvas.translate(X, Y)
    return sheet


def _turned_head(made: Drawing, look: Turned) -> None:
    for name, x, y, wide in look.ears:
        _ear(_layer(made, name, -0.4, centre=(X + x, Y + y + 30), spring=0.8), x, y, wide)
    face = _layer(made, "face", 0.0)
    form = shape(look.face)
    _inked(face, form, FUR)
    with face.inside(form):
        face.fill(shape(look.shade), RUST)
    mask = _layer(made, "mask", 0.22)
    mask.fill(shape(look.muzzle), CREAM)
    for x, y, wide, high in look.blush:
        mask.fill(disc(x, y, wide, high), 0xFFFFC4B4)
    tuft = _layer(made, "tuft", 0.3, centre=(X + look.tuft, Y - 130), spring=1.0)
    tuft.canvas.translate(look.tuft, 0)
    hair = "M-34,-140 Q-26,-184 14,-194 Q2,-168 10,-160 Q28,-182 54,-174 Q36,-152 38,-134 Q0,-112 -34,-140 Z"
    _inked(tuft, shape(hair), FUR, 6)
    tuft.fill(shape("M-44,-138 Q0,-150 46,-134 L46,-112 Q0,-100 -44,-116 Z"), FUR)
    for side, x, y, wide in look.eyes:
        _eye(made, side, x, y, wide)
    if look.mouth is None:
        _side_mouths(made)
    else:
        x, y, squeezed, tilted = look.mouth
        draw_mouths(made, (X + x, Y + y), 0.62, MOUTH, squeezed, tilted)
    nose = _layer(made, "nose", 0.85)
    nose.canvas.translate(look.nose[0], look.nose[1])
    nose.canvas.scale(look.nose[2], 1)
    nose.fill(shape("M-26,-10 Q0,-22 26,-10 Q22,12 0,18 Q-22,12 -26,-10 Z"), INK)
    nose.fill(disc(-6, -7, 8, 4.5), 0x99FFFFFF)


def _side_mouths(made: Drawing) -> None:
    """The mouths of the profile: a line from under the nose, or a jaw that hangs from its corner."""
    closed = {
        "neutral": "M198,64 Q166,84 124,83",
        "smile": "M198,64 Q170,90 126,84 Q108,80 100,66",
        "m": "M198,64 Q176,76 148,78",
    }
    for name, line in closed.items():
        sheet = _layer(made, f"mouth_{name}", 0.62, mouth=name, centre=(X + 160, Y + 76))
        sheet.line(shape(line), INK, MOUTH.line)
    for name, spec in OPEN.items():
        sheet = _layer(made, f"mouth_{name}", 0.62, mouth=name, centre=(X + 160, Y + 76))
        corner, down = (146 if spec.round else 132 - 24 * spec.width), 38 * spec.down
        tip = (180 - 0.22 * down, 72 + down)
        half = ((corner + tip[0]) / 2, (82 + tip[1]) / 2)
        jaw = shape(
            f"M{corner - 12},86 Q{half[0] - 8},{half[1] + 34} {tip[0] - 10},{tip[1] + 17} "
            f"Q{tip[0] + 14},{tip[1] + 15} {tip[0] + 10},{tip[1] - 2} L{tip[0]},{tip[1] - 8} L{corner},82 Z"
        )
        _inked(sheet, jaw, CREAM, 6)
        inside = shape(
            f"M194,64 Q166,82 {corner},82 Q{half[0] - 4},{half[1] + 8} {tip[0]},{tip[1]} "
            f"Q{tip[0] + 12},{tip[1] - 0.5 * down} 194,64 Z"
        )
        sheet.line(inside, INK, MOUTH.line)
        sheet.fill(inside, MOUTH.inside)
        with sheet.inside(inside):
            if spec.tongue:
                sheet.fill(disc(half[0] + 8, half[1] + 12, 34, 10 + 8 * spec.tongue), MOUTH.tongue)
            if spec.both:
                sheet.fill(inside, MOUTH.teeth)
                sheet.line(shape(f"M190,{68 + 0.4 * down} L{corner},82"), MOUTH.inside, 3)
            elif not spec.round:
                sheet.fill(shape("M170,60 H186 L178,88 Z"), MOUTH.teeth)


def _ear(ear: Sheet, x: float, y: float, wide: float) -> None:
    """An ear whose foot is at (x, y); negative widths point to the left."""
    ear.canvas.translate(x, y)
    ear.canvas.scale(wide, 1)
    form = shape("M-53,-6 Q-1,-146 53,-150 Q83,-60 47,60 Z")
    ear.line(form, INK, 2 * LINE)
    ear.fill(form, FUR)
    with ear.inside(form):
        ear.fill(shape("M-37,-100 Q13,-78 103,-88 V-190 H-37 Z"), DARK)
    ear.fill(shape("M-11,-10 Q11,-86 37,-96 Q55,-40 39,28 Z"), 0xFFFFC9A8)


def _eye(made: Drawing, side: str, x: float, y: float, wide: float) -> None:
    name, out = {"l": ("Left", 1), "r": ("Right", -1)}[side]
    centre = (X + x, Y + y)

    def layer(what: str, depth: float, **more: Any) -> Sheet:
        sheet = made.layer(f"{what}_{side}", depth, **more)
        sheet.canvas.translate(*centre)
        sheet.canvas.scale(wide, 1)
        return sheet

    _inked(layer("eye", 0.42, open=f"eyeBlink{name}", centre=centre), disc(0, 0, 30, 39), WHITE)
    iris = layer("iris", 0.50, open=f"eyeBlink{name}", centre=centre, gaze=13 * wide, clip=f"eye_{side}")
    iris.fill(disc(0, 0, 22, 27), 0xFF7A4A22)
    iris.fill(disc(0, 10, 15, 12), 0xFFA96C34)
    iris.fill(disc(0, 0, 15, 19), 0xFF1E1418)
    iris.fill(disc(8, -12, 8), WHITE)
    iris.fill(disc(-8, 12, 4), 0xCCFFFFFF)
    lid = layer("closed", 0.42, closed=f"eyeBlink{name}", centre=centre)
    lid.line(shape(f"M-34,4 Q0,34 34,4 M{34 * out},5 L{44 * out},-2"), INK, 9)
    brow = layer("brow", 0.46, brow=name, centre=(centre[0], centre[1] - 70))
    brow.line(shape(f"M-28,{-62 - 3 * out} Q0,-80 28,{-62 + 3 * out}"), DARK, 12)

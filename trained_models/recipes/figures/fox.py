"""Pip: a fox cub in a hoodie, inked and flat."""

from typing import Any

import numpy as np
import skia

from trained_models.recipes.figures.mouths import Style, draw_mouths
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


def _head(made: Drawing) -> None:
    x, y = 260, 270
    made.head = {"size": (520, 520), "centre": (x, y), "place": RIGHT["head"], "pivot": RIGHT["neck"], "radius": 165}
    for side, name in ((-1, "ear_r"), (1, "ear_l")):
        ear = made.layer(name, -0.4)
        form = shape(
            f"M{x + 44 * side},{y - 96} Q{x + 96 * side},{y - 236} {x + 150 * side},{y - 240} "
            f"Q{x + 180 * side},{y - 150} {x + 144 * side},{y - 30} Z"
        )
        _inked(ear, form, FUR)
        with ear.inside(form):
            ear.fill(
                shape(
                    f"M{x + 60 * side},{y - 190} Q{x + 110 * side},{y - 168} {x + 200 * side},{y - 178} "
                    f"V{y - 280} H{x + 60 * side} Z"
                ),
                DARK,
            )
        ear.fill(
            shape(
                f"M{x + 86 * side},{y - 100} Q{x + 108 * side},{y - 176} {x + 134 * side},{y - 186} "
                f"Q{x + 152 * side},{y - 130} {x + 136 * side},{y - 62} Z"
            ),
            0xFFFFC9A8,
        )
    face = made.layer("face", 0.0)
    form = shape(
        f"M{x},{y - 150} C{x + 96},{y - 152} {x + 150},{y - 100} {x + 158},{y - 40} "
        f"Q{x + 172},{y - 4} {x + 206},{y + 24} Q{x + 176},{y + 40} {x + 182},{y + 66} "
        f"Q{x + 150},{y + 70} {x + 128},{y + 104} Q{x + 70},{y + 148} {x},{y + 148} "
        f"Q{x - 70},{y + 148} {x - 128},{y + 104} "
        f"Q{x - 150},{y + 70} {x - 182},{y + 66} Q{x - 176},{y + 40} {x - 206},{y + 24} "
        f"Q{x - 172},{y - 4} {x - 158},{y - 40} "
        f"C{x - 150},{y - 100} {x - 96},{y - 152} {x},{y - 150} Z"
    )
    _inked(face, form, FUR)
    with face.inside(form):
        face.fill(
            shape(
                f"M{x - 230},{y + 96} Q{x - 120},{y + 160} {x},{y + 134} Q{x + 120},{y + 160} "
                f"{x + 230},{y + 96} V{y + 200} H{x - 230} Z"
            ),
            RUST,
        )
    mask = made.layer("mask", 0.22)
    mask.fill(
        shape(
            f"M{x - 190},{y + 30} Q{x - 120},{y + 4} {x - 74},{y + 26} Q{x - 30},{y - 20} "
            f"{x},{y - 24} Q{x + 30},{y - 20} {x + 74},{y + 26} "
            f"Q{x + 120},{y + 4} {x + 190},{y + 30} Q{x + 164},{y + 42} {x + 168},{y + 60} "
            f"Q{x + 140},{y + 68} {x + 120},{y + 96} Q{x + 66},{y + 136} {x},{y + 136} "
            f"Q{x - 66},{y + 136} {x - 120},{y + 96} Q{x - 140},{y + 68} {x - 168},{y + 60} "
            f"Q{x - 164},{y + 42} {x - 190},{y + 30} Z"
        ),
        CREAM,
    )
    for side in (-1, 1):
        mask.fill(disc(x + 112 * side, y + 62, 26), 0xFFFFC4B4)
    tuft = made.layer("tuft", 0.3)
    hair = shape(
        f"M{x - 34},{y - 140} Q{x - 26},{y - 184} {x + 14},{y - 194} Q{x + 2},{y - 168} "
        f"{x + 10},{y - 160} Q{x + 28},{y - 182} {x + 54},{y - 174} "
        f"Q{x + 36},{y - 152} {x + 38},{y - 134} Q{x},{y - 112} {x - 34},{y - 140} Z"
    )
    _inked(tuft, hair, FUR, 6)
    tuft.fill(
        shape(
            f"M{x - 44},{y - 138} Q{x},{y - 150} {x + 46},{y - 134} L{x + 46},{y - 112} "
            f"Q{x},{y - 100} {x - 44},{y - 116} Z"
        ),
        FUR,
    )
    for side, name in ((-1, "Right"), (1, "Left")):
        ex, ey, short = x + 70 * side, y - 26, name[0].lower()
        eye = made.layer(f"eye_{short}", 0.42, open=f"eyeBlink{name}", centre=(ex, ey))
        _inked(eye, disc(ex, ey, 30, 39), WHITE)
        iris = made.layer(f"iris_{short}", 0.50, open=f"eyeBlink{name}", centre=(ex, ey), gaze=13, clip=f"eye_{short}")
        iris.fill(disc(ex, ey, 22, 27), 0xFF7A4A22)
        iris.fill(disc(ex, ey + 10, 15, 12), 0xFFA96C34)
        iris.fill(disc(ex, ey, 15, 19), 0xFF1E1418)
        iris.fill(disc(ex + 8, ey - 12, 8), WHITE)
        iris.fill(disc(ex - 8, ey + 12, 4), 0xCCFFFFFF)
        lid = made.layer(f"closed_{short}", 0.42, closed=f"eyeBlink{name}", centre=(ex, ey))
        lid.line(
            shape(
                f"M{ex - 34},{ey + 4} Q{ex},{ey + 34} {ex + 34},{ey + 4} M{ex + 34 * side},{ey + 5} "
                f"L{ex + 44 * side},{ey - 2}"
            ),
            INK,
            9,
        )
        brow = made.layer(f"brow_{short}", 0.46, brow=name, centre=(ex, ey - 70))
        brow.line(shape(f"M{ex - 28},{ey - 62 - 3 * side} Q{ex},{ey - 80} {ex + 28},{ey - 62 + 3 * side}"), DARK, 12)
    draw_mouths(made, (x, y + 78), 0.62, Style(35, INK, 7, 0xFF6B1F2E, 0xFFF0787A, WHITE, muzzle=True))
    nose = made.layer("nose", 0.85)
    nose.fill(
        shape(
            f"M{x - 26},{y + 38} Q{x},{y + 26} {x + 26},{y + 38} Q{x + 22},{y + 60} {x},{y + 66} "
            f"Q{x - 22},{y + 60} {x - 26},{y + 38} Z"
        ),
        INK,
    )
    nose.fill(disc(x - 6, y + 41, 8, 4.5), 0x99FFFFFF)

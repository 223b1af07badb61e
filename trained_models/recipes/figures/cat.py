"""Nimka: a soft cat in a striped jumper, without hard outlines."""

import skia

from trained_models.recipes.figures.mouths import Style, draw_mouths
from trained_models.recipes.figures.pen import Drawing, Sheet, both_sides, disc, shape, tube

SIZE, MIDDLE = (860, 1080), 430
INK, FUR, SHADE, STRIPE, BRIGHT = 0xFF3A3F66, 0xFF8794C4, 0xFF5D6799, 0xFF5C679C, 0xFFA9B4DC
CREAM, WARM, PINK, ROSE = 0xFFFFF4E6, 0xFFE9CDB8, 0xFFF6B1B4, 0xFFE4798B
WOOL, OCHRE, MILK, BISCUIT = 0xFFF4B840, 0xFFC97F22, 0xFFFFF0D2, 0xFFDCB98A
RIGHT = {
    "hips": (430, 694), "neck": (430, 452), "head": (430, 290),
    "shoulder": (352, 500), "elbow": (282, 590), "wrist": (214, 668), "hand": (180, 708),
    "hip": (388, 716), "knee": (382, 842), "ankle": (378, 964), "toe": (340, 1022),
}  # fmt: skip


def draw() -> Drawing:
    """The cat."""
    joints = both_sides(RIGHT, MIDDLE) | {"tail": (450, 690), "tail_end": (650, 520)}
    made = Drawing("nimka", "A soft cat in a striped jumper, in layers.", SIZE, 1036, 40, joints, few_colours=True)
    _tail(made.part("tail", ["tail", "tail_end"], "back", spring=True))
    for side in "lr":
        _leg(made.limb("leg", side))
    _torso(made.part("torso", ["hips", "neck"], "torso"))
    for side in "lr":
        _arm(made.limb("arm", side))
    _head(made)
    return made


def _soft(sheet: Sheet, path: skia.Path, colour: int, dark: int, deep: float = 16, edge: int | None = None) -> None:
    """A plane that gets darker towards its rim, as if it were round."""
    sheet.line(path, dark if edge is None else edge, 5)
    sheet.fill(path, colour)
    with sheet.inside(path):
        sheet.canvas.translate(-0.35 * deep, -0.45 * deep)
        sheet.glow(path, (0x8C << 24) | (dark & 0xFFFFFF), deep * 0.55, deep * 1.25)
        sheet.canvas.translate(0.35 * deep, 0.45 * deep)


def _tail(sheet: Sheet) -> None:
    tail = tube(_curve((440, 690), (720, 740), (560, 560), (712, 470)), [44 + 12 * k / 10 for k in range(11)])
    _soft(sheet, tail, FUR, SHADE)
    with sheet.inside(tail):
        for x, y, turned in ((540, 690, 84), (608, 660, 30), (640, 598, -30)):
            sheet.canvas.save()
            sheet.canvas.translate(x, y)
            sheet.canvas.rotate(turned)
            sheet.fill(disc(0, 0, 34, 9), STRIPE)
            sheet.canvas.restore()
        sheet.glow(disc(712, 466, 48, 48), CREAM, 3)


def _curve(*points: tuple[float, float]) -> list[tuple[float, float]]:
    """Eleven points of a cubic curve."""
    (a, b), (c, d), (e, f), (g, h) = points
    share = [k / 10 for k in range(11)]
    weights = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3) for t in share]
    return [(p * a + q * c + r * e + s * g, p * b + q * d + r * f + s * h) for p, q, r, s in weights]


def _arm(sheet: Sheet) -> None:
    shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
    with sheet.along(wrist, hand) as n:
        sheet.canvas.translate(0, 9)
        sheet.canvas.scale(1.3, 1.25)
        for x, y, tilt in ((-27, 0.9 * n, 16), (-9, 1.12 * n, 5), (11, 1.12 * n, -6), (28, 0.88 * n, -18)):
            sheet.canvas.save()
            sheet.canvas.translate(x, y)
            sheet.canvas.rotate(tilt)
            _soft(sheet, disc(0, 0, 14, 23), FUR, SHADE, 8)
            sheet.canvas.restore()
        sheet.canvas.save()
        sheet.canvas.translate(-36, 0.32 * n)
        sheet.canvas.rotate(52)
        _soft(sheet, disc(0, 6, 13, 22), FUR, SHADE, 8)
        sheet.canvas.restore()
        palm = shape(f"M-27,-12 H27 Q45,{0.35 * n} 37,{0.8 * n} Q0,{1.12 * n} -37,{0.8 * n} Q-45,{0.35 * n} -27,-12 Z")
        _soft(sheet, palm, FUR, SHADE, 12, FUR)
        pad = shape(
            f"M0,{0.36 * n} Q22,{0.38 * n} 23,{0.68 * n} Q14,{0.84 * n} 0,{0.74 * n} "
            f"Q-14,{0.84 * n} -23,{0.68 * n} Q-22,{0.38 * n} 0,{0.36 * n} Z"
        )
        sheet.fill(pad, PINK)
        for x, y in ((-28, 0.98 * n), (-9, 1.18 * n), (11, 1.18 * n), (29, 0.96 * n)):
            sheet.fill(disc(x, y, 7, 9), PINK)
    end = (0.3 * elbow[0] + 0.7 * wrist[0], 0.3 * elbow[1] + 0.7 * wrist[1])
    sleeve = tube([shoulder, elbow, end], [76, 66, 68])
    _soft(sheet, sleeve, WOOL, OCHRE, 14)
    with sheet.inside(sleeve):
        for start, end, shares in ((shoulder, elbow, (0.42, 0.82)), (elbow, wrist, (0.22, 0.6))):
            with sheet.along(start, end) as n:
                for share in shares:
                    sheet.line(shape(f"M-50,{share * n - 6} Q0,{share * n + 12} 50,{share * n - 6}"), MILK, 15)
        sheet.canvas.translate(-5, -6)
        sheet.glow(sleeve, 0x50000000 | (OCHRE & 0xFFFFFF), 7, 14)
        sheet.canvas.translate(5, 6)
    with sheet.along(elbow, wrist) as n:
        _soft(
            sheet,
            shape(
                f"M-37,{n - 14} Q0,{n - 4} 37,{n - 14} Q44,{n} 38,{n + 13} Q0,{n + 25} -38,{n + 13} "
                f"Q-44,{n} -37,{n - 14} Z"
            ),
            WOOL,
            OCHRE,
            8,
        )
        for x in (-24, -8, 8, 24):
            sheet.line(shape(f"M{x},{n - 3} V{n + 11}"), OCHRE, 3)


def _leg(sheet: Sheet) -> None:
    hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
    x, y = ankle
    foot = shape(
        f"M{x - 34},{y - 14} H{x + 34} Q{x + 46},{y + 30} {x + 40},{y + 56} Q{x + 32},{y + 70} "
        f"{x},{y + 70} H{x - 58} Q{x - 94},{y + 68} {x - 90},{y + 40} Q{x - 82},{y + 16} {x - 46},{y + 10} Z"
    )
    _soft(sheet, foot, CREAM, WARM, 14, 0xFFCBA890)
    for k in (-66, -42):
        sheet.line(shape(f"M{x + k},{y + 44} Q{x + k - 5},{y + 56} {x + k},{y + 66}"), 0xFFC9A58E, 4)
    limb = tube([hip, knee, ankle], [100, 82, 70])
    _soft(sheet, limb, FUR, SHADE, 16)
    with sheet.inside(limb):
        for at, wide in ((0.60, 30), (0.78, 24), (1.2, 24), (1.38, 28)):
            start, end = (hip, knee) if at < 1 else (knee, ankle)
            with sheet.along(start, end) as n:
                sheet.fill(disc(-46, at % 1 * n, wide, 8), STRIPE)
        sheet.fill(
            shape(
                f"M{x - 60},{y - 12} L{x - 30},{y - 34} L{x - 14},{y - 16} L{x + 4},{y - 36} "
                f"L{x + 20},{y - 16} L{x + 40},{y - 34} L{x + 60},{y - 10} V{y + 60} H{x - 60} Z"
            ),
            CREAM,
        )
    sheet.fill(disc(x, y + 24, 34, 22), CREAM)


def _torso(sheet: Sheet) -> None:
    hips = shape("M332,668 H528 Q540,736 492,752 Q430,764 368,752 Q320,736 332,668 Z")
    _soft(sheet, hips, FUR, SHADE, 14)
    body = shape(
        "M386,458 H474 Q536,462 536,540 Q538,630 546,694 Q548,722 520,726 Q430,742 340,726 "
        "Q312,722 314,694 Q322,630 324,540 Q324,462 386,458 Z"
    )
    _soft(sheet, body, WOOL, OCHRE, 26)
    with sheet.inside(body):
        for y in (536, 592, 648):
            sheet.line(shape(f"M300,{y - 8} Q430,{y + 22} 560,{y - 8}"), MILK, 20)
        sheet.canvas.translate(-8, -10)
        sheet.glow(body, 0x58000000 | (OCHRE & 0xFFFFFF), 12, 30)
        sheet.canvas.translate(8, 10)
        sheet.line(shape("M300,702 Q430,722 560,702"), OCHRE, 3.5)
        for x in range(330, 540, 18):
            sheet.line(shape(f"M{x},712 V734"), OCHRE, 3)
    collar = shape("M372,440 Q430,470 488,440 Q502,462 490,482 Q430,506 370,482 Q358,462 372,440 Z")
    sheet.glow(shape("M366,486 Q430,516 494,486"), 0x77C97F22, 6, 14)
    _soft(sheet, collar, WOOL, OCHRE, 12)
    for x, y in ((388, 470), (406, 477), (424, 481), (442, 481), (460, 477), (476, 470)):
        sheet.line(shape(f"M{x},{y - 5} V{y + 9}"), OCHRE, 3)


def _head(made: Drawing) -> None:
    x, y = 280, 290
    made.head = {"size": (560, 540), "centre": (x, y), "place": RIGHT["head"], "pivot": RIGHT["neck"], "radius": 172}
    for side, name in ((-1, "ear_r"), (1, "ear_l")):
        ear = made.layer(name, -0.2, centre=(x + 100 * side, y - 60), spring=0.7)
        p = shape(
            f"M{x + 44 * side},{y - 112} C{x + 70 * side},{y - 190} {x + 112 * side},{y - 236} "
            f"{x + 140 * side},{y - 232} C{x + 166 * side},{y - 226} {x + 176 * side},{y - 110} "
            f"{x + 120 * side},{y - 20} Z"
        )
        _soft(ear, p, FUR, SHADE, 14)
        ear.fill(
            shape(
                f"M{x + 78 * side},{y - 118} C{x + 98 * side},{y - 172} {x + 118 * side},{y - 198} "
                f"{x + 134 * side},{y - 196} C{x + 148 * side},{y - 190} {x + 152 * side},{y - 120} "
                f"{x + 118 * side},{y - 50} Z"
            ),
            PINK,
        )
        for k in range(3):
            ear.line(
                shape(
                    f"M{x + (84 + 14 * k) * side},{y - 92} Q{x + (92 + 14 * k) * side},{y - 124} "
                    f"{x + (106 + 10 * k) * side},{y - 142 + 6 * k}"
                ),
                CREAM,
                8,
            )
    face = made.layer("face", 0.0)
    p = shape(
        f"M{x},{y - 142} C{x + 92},{y - 146} {x + 160},{y - 92} {x + 172},{y - 10} "
        f"C{x + 176},{y + 12} {x + 192},{y + 30} {x + 208},{y + 38} "
        f"C{x + 190},{y + 50} {x + 184},{y + 60} {x + 190},{y + 82} C{x + 168},{y + 84} "
        f"{x + 158},{y + 92} {x + 150},{y + 108} "
        f"C{x + 110},{y + 152} {x + 60},{y + 164} {x},{y + 164} C{x - 60},{y + 164} "
        f"{x - 110},{y + 152} {x - 150},{y + 108} "
        f"C{x - 158},{y + 92} {x - 168},{y + 84} {x - 190},{y + 82} C{x - 184},{y + 60} "
        f"{x - 190},{y + 50} {x - 208},{y + 38} "
        f"C{x - 192},{y + 30} {x - 176},{y + 12} {x - 172},{y - 10} C{x - 160},{y - 92} "
        f"{x - 92},{y - 146} {x},{y - 142} Z"
    )
    _soft(face, p, FUR, SHADE, 26)
    with face.inside(p):
        face.glow(disc(x - 60, y - 84, 60, 34), 0x66A9B4DC, 22)
        for side in (-1, 1):
            for k in range(2):
                a = y + 20 + 30 * k
                face.fill(
                    shape(
                        f"M{x + 210 * side},{a - 12} Q{x + 166 * side},{a - 6} {x + 144 * side},{a + 6} "
                        f"Q{x + 172 * side},{a + 10} {x + 210 * side},{a + 6} Z"
                    ),
                    STRIPE,
                )
    marks = made.layer("marks", 0.14)
    for side, wide, low in ((0, 9, -74), (-1, 8, -88), (1, 8, -88)):
        a = x + 36 * side
        marks.fill(
            shape(
                f"M{a - wide},{y - 137 + 3 * abs(side)} Q{a},{y - 143 + 3 * abs(side)} "
                f"{a + wide},{y - 137 + 3 * abs(side)} Q{a + wide - 2},{y + low - 20} "
                f"{a - 3 * side},{y + low} Q{a - wide + 2},{y + low - 20} {a - wide},{y - 137 + 3 * abs(side)} Z"
            ),
            STRIPE,
        )
    muzzle = made.layer("muzzle", 0.30)
    m = shape(
        f"M{x},{y - 36} C{x + 18},{y - 20} {x + 20},{y + 28} {x + 40},{y + 36} "
        f"C{x + 92},{y + 40} {x + 108},{y + 84} {x + 92},{y + 112} "
        f"C{x + 70},{y + 144} {x + 30},{y + 150} {x},{y + 150} C{x - 30},{y + 150} "
        f"{x - 70},{y + 144} {x - 92},{y + 112} "
        f"C{x - 108},{y + 84} {x - 92},{y + 40} {x - 40},{y + 36} C{x - 20},{y + 28} {x - 18},{y - 20} {x},{y - 36} Z"
    )
    muzzle.glow(m, CREAM, 2)
    muzzle.fill(m, CREAM)
    for side in (-1, 1):
        muzzle.glow(disc(x + 116 * side, y + 58, 30, 20), 0x88F58FA0, 9)
    whiskers = made.layer("whiskers", 0.44, centre=(x, y + 84), spring=0.25)
    for side in (-1, 1):
        for k in range(3):
            whiskers.line(
                shape(
                    f"M{x + 86 * side},{y + 66 + 14 * k} Q{x + 150 * side},{y + 54 + 20 * k} "
                    f"{x + 214 * side},{y + 54 + 30 * k}"
                ),
                0xFFFFFAF2,
                3.5,
            )
    for side, name in ((-1, "Right"), (1, "Left")):
        ex, ey, short = x + 78 * side, y - 8, name[0].lower()
        eye = made.layer(f"eye_{short}", 0.36, open=f"eyeBlink{name}", centre=(ex, ey))
        white = shape(
            f"M{ex - 40},{ey + 6} C{ex - 38},{ey - 54} {ex + 38},{ey - 54} {ex + 40},{ey + 6} "
            f"C{ex + 34},{ey + 52} {ex - 34},{ey + 52} {ex - 40},{ey + 6} Z"
        )
        eye.line(white, INK, 11)
        eye.fill(white, 0xFFFFFBEA)
        lash = shape(f"M{ex + 38 * side},{ey - 8} Q{ex + 48 * side},{ey - 16} {ex + 54 * side},{ey - 30}")
        eye.line(lash, INK, 7)
        iris = made.layer(f"iris_{short}", 0.42, open=f"eyeBlink{name}", centre=(ex, ey), gaze=13, clip=f"eye_{short}")
        iris.fill(disc(ex, ey, 31, 36), 0xFF3F7A4E)
        iris.fill(disc(ex, ey, 27, 32), 0xFF8CC063)
        iris.glow(disc(ex, ey + 16, 18, 10), 0xAAE3F09A, 6)
        iris.fill(disc(ex, ey, 15, 23), 0xFF23243A)
        iris.fill(disc(ex - 10, ey - 13, 10), 0xFFFFFFFF)
        iris.fill(disc(ex + 10, ey + 14, 5), 0xDDFFFFFF)
        lid = made.layer(f"closed_{short}", 0.36, closed=f"eyeBlink{name}", centre=(ex, ey))
        lid.line(shape(f"M{ex - 38},{ey + 4} Q{ex},{ey + 36} {ex + 38},{ey + 4}"), INK, 9)
        lid.line(
            shape(
                f"M{ex + 38 * side},{ey + 4} L{ex + 50 * side},{ey - 4} M{ex + 28 * side},{ey + 14} "
                f"L{ex + 38 * side},{ey + 18}"
            ),
            INK,
            6,
        )
        brow = made.layer(f"brow_{short}", 0.38, brow=name, centre=(ex, ey - 72))
        brow.line(shape(f"M{ex - 24},{ey - 66} Q{ex},{ey - 82} {ex + 24},{ey - 66}"), INK, 10)
    draw_mouths(made, (x, y + 88), 0.52, Style(33, INK, 6, 0xFF7A2740, 0xFFF58A96, 0xFFFFFFFF, muzzle=True))
    nose = made.layer("nose", 0.72)
    nose.line(shape(f"M{x},{y + 62} V{y + 82}"), INK, 6)
    n = shape(
        f"M{x - 24},{y + 38} Q{x},{y + 28} {x + 24},{y + 38} Q{x + 24},{y + 52} {x},{y + 66} "
        f"Q{x - 24},{y + 52} {x - 24},{y + 38} Z"
    )
    nose.line(n, 0xFFB4506A, 4)
    nose.fill(n, ROSE)
    nose.fill(disc(x - 8, y + 42, 7, 4), 0xAAFFFFFF)

"""Rivo: an enamelled toy robot whose face is a screen."""

import skia

from trained_models.recipes.figures.mouths import Style, draw_mouths
from trained_models.recipes.figures.pen import Drawing, Sheet, both_sides, box, disc, shape

SIZE, MIDDLE = (800, 1080), 400
INK, LINE = 0xFF27303B, 4.5
IVORY, CREAM, SAND = 0xFFFBF5E8, 0xFFF1E7D3, 0xFFD9CBB2
STEEL, IRON, TEAL, DEEP, ORANGE, RUST = 0xFF6C7A89, 0xFF465260, 0xFF2FB5A6, 0xFF1E8F86, 0xFFFF8F45, 0xFFE06C28
GLASS, NIGHT, LIGHT, PALE = 0xFF15212E, 0xFF0E1721, 0xFF63F0E0, 0xFFD9FFFA
RIGHT = {
    "hips": (400, 652), "neck": (400, 418), "head": (400, 250),
    "shoulder": (282, 478), "elbow": (216, 572), "wrist": (154, 652), "hand": (120, 696),
    "hip": (346, 690), "knee": (340, 806), "ankle": (334, 928), "toe": (302, 988),
}  # fmt: skip


def draw() -> Drawing:
    """The robot."""
    made = Drawing(
        "rivo", "A toy robot with a screen for a face, in layers.", SIZE, 1008, 40, both_sides(RIGHT, MIDDLE)
    )
    for side in "lr":
        _leg(made.limb("leg", side, stiff=True))
    _torso(made.part("torso", ["hips", "neck"], "torso"))
    for side in "lr":
        _arm(made.limb("arm", side, stiff=True))
    _head(made)
    return made


def _shell(sheet: Sheet, path: skia.Path, colour: int, dark: int, shade: skia.Path | None = None) -> None:
    """A plate with its outline, darker inside `shade`."""
    sheet.line(path, INK, 2 * LINE)
    sheet.fill(path, colour)
    if shade is not None:
        with sheet.inside(path):
            sheet.fill(shade, dark)


def _joint(sheet: Sheet, radius: float, colour: int = STEEL) -> None:
    """A hinge at (0, 0): the same from all sides, so that it may turn."""
    sheet.fill(disc(0, 0, radius + LINE), INK)
    sheet.fill(disc(0, 0, radius), colour)
    sheet.fill(disc(0, 0, radius * 0.5), INK)
    sheet.fill(disc(0, 0, radius * 0.5 - 3), IVORY)


def _arm(sheet: Sheet) -> None:
    shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
    with sheet.along(wrist, hand) as n:
        sheet.canvas.scale(1.18, 1.18)
        for x, length, tilt in ((-17, 30, 10), (1, 36, 0), (18, 31, -10)):
            sheet.canvas.save()
            sheet.canvas.translate(x, 0.72 * n)
            sheet.canvas.rotate(tilt)
            _shell(
                sheet, box(0, length * 0.5, 19, length + 14, 9.5), CREAM, SAND, box(8, length * 0.5, 7, length + 20, 0)
            )
            sheet.line(shape(f"M-9,{length * 0.42} H9"), INK, 3)
            sheet.canvas.restore()
        sheet.canvas.save()
        sheet.canvas.translate(-22, 0.34 * n)
        sheet.canvas.rotate(58)
        _shell(sheet, box(0, 14, 20, 46, 10), CREAM, SAND)
        sheet.canvas.restore()
        palm = shape(
            f"M-20,6 Q0,-2 20,6 Q34,{0.5 * n} 29,{0.8 * n} Q26,{n * 0.95} 12,{n * 0.95} H-12 "
            f"Q-26,{n * 0.95} -29,{0.8 * n} Q-34,{0.5 * n} -20,6 Z"
        )
        _shell(sheet, palm, IVORY, SAND, shape(f"M22,0 Q12,{0.6 * n} 24,{n} H50 V0 Z"))
        sheet.fill(disc(-2, 0.55 * n, 9), TEAL)
    with sheet.along(elbow, wrist) as n:
        plate = shape(f"M-21,8 H21 Q36,{0.7 * n} 34,{n - 8} Q0,{n + 4} -34,{n - 8} Q-36,{0.7 * n} -21,8 Z")
        _shell(sheet, plate, IVORY, SAND, shape(f"M16,0 Q26,{0.6 * n} 22,{n + 9} H60 V0 Z"))
        with sheet.inside(plate):
            sheet.fill(shape(f"M-60,{n - 32} Q0,{n - 20} 60,{n - 32} V{n - 14} Q0,{n - 2} -60,{n - 14} Z"), ORANGE)
            sheet.line(shape(f"M-60,{n - 32} Q0,{n - 20} 60,{n - 32} M-60,{n - 14} Q0,{n - 2} 60,{n - 14}"), INK, 3)
    with sheet.along(shoulder, elbow) as n:
        _shell(sheet, box(0, n / 2, 46, n - 4, 20), STEEL, IRON, box(22, n / 2, 18, n, 0))
        for k in range(3):
            sheet.line(
                shape(f"M-20,{n * (0.36 + 0.15 * k)} Q0,{n * (0.40 + 0.15 * k)} 20,{n * (0.36 + 0.15 * k)}"), INK, 3
            )
    for at, radius, colour in ((wrist, 15, STEEL), (elbow, 25, STEEL), (shoulder, 39, TEAL)):
        sheet.canvas.save()
        sheet.canvas.translate(*at)
        _joint(sheet, radius, colour)
        sheet.canvas.restore()


def _leg(sheet: Sheet) -> None:
    hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
    x, y = ankle
    boot = shape(
        f"M{x + 34},{y + 2} Q{x + 42},{y + 40} {x + 40},{y + 70} H{x - 78} Q{x - 88},{y + 30} "
        f"{x - 44},{y + 18} Q{x - 34},{y + 8} {x - 30},{y + 2} Z"
    )
    _shell(
        sheet,
        boot,
        ORANGE,
        RUST,
        shape(f"M{x - 90},{y + 48} Q{x - 20},{y + 62} {x + 20},{y + 10} H{x + 60} V{y + 90} H{x - 90} Z"),
    )
    _shell(sheet, box(x - 19, y + 70, 126, 16, 8), IRON, IRON)
    sheet.line(shape(f"M{x - 66},{y + 32} Q{x - 52},{y + 23} {x - 40},{y + 22}"), 0xCCFFFFFF, 6)
    with sheet.along(knee, ankle) as n:
        plate = shape(f"M-24,6 H24 Q43,{0.7 * n} 41,{n - 3} Q0,{n + 12} -41,{n - 3} Q-43,{0.7 * n} -24,6 Z")
        _shell(sheet, plate, IVORY, SAND, shape(f"M17,0 Q30,{0.6 * n} 26,{n + 20} H60 V0 Z"))
        with sheet.inside(plate):
            sheet.fill(shape(f"M-60,{n - 27} Q0,{n - 13} 60,{n - 27} V{n + 20} H-60 Z"), TEAL)
            sheet.fill(shape(f"M27,{n - 40} V{n + 20} H60 V{n - 40} Z"), DEEP)
            sheet.line(shape(f"M-60,{n - 27} Q0,{n - 13} 60,{n - 27}"), INK, 3.5)
    with sheet.along(hip, knee) as n:
        _shell(sheet, box(0, n / 2, 54, n - 4, 22), STEEL, IRON, box(27, n / 2, 22, n, 0))
        for k in range(3):
            sheet.line(
                shape(f"M-24,{n * (0.38 + 0.15 * k)} Q0,{n * (0.42 + 0.15 * k)} 24,{n * (0.38 + 0.15 * k)}"), INK, 3
            )
    for at, radius in ((ankle, 0), (knee, 27), (hip, 38)):
        if radius:
            sheet.canvas.save()
            sheet.canvas.translate(*at)
            _joint(sheet, radius)
            sheet.canvas.restore()


def _torso(sheet: Sheet) -> None:
    _shell(sheet, box(400, 415, 66, 74, 14), STEEL, IRON, box(430, 415, 30, 80, 0))
    for y in (392, 408, 424):
        sheet.line(shape(f"M369,{y} Q400,{y + 9} 431,{y}"), INK, 3.5)
    _shell(sheet, shape("M318,640 H482 Q486,704 452,722 H348 Q314,704 318,640 Z"), IRON, INK, None)
    body = shape(
        "M336,438 H464 Q520,440 524,500 Q526,590 496,648 Q486,668 460,668 H340 Q314,668 "
        "304,648 Q274,590 276,500 Q280,440 336,438 Z"
    )
    _shell(sheet, body, IVORY, SAND, shape("M480,430 Q506,560 452,680 H560 V430 Z"))
    with sheet.inside(body):
        sheet.fill(shape("M260,622 Q400,648 540,622 V700 H260 Z"), TEAL)
        sheet.fill(shape("M478,600 Q468,640 455,680 H540 V600 Z"), DEEP)
        sheet.line(shape("M260,622 Q400,648 540,622"), INK, LINE)
        sheet.line(shape("M300,470 Q312,454 334,452"), 0xFFFFFFFF, 7)
    panel = box(400, 536, 132, 112, 26)
    sheet.line(panel, INK, 2 * LINE - 2)
    sheet.fill(panel, CREAM)
    heart = shape(
        "M400,586 C352,552 350,506 376,500 C392,497 399,510 400,516 C401,510 408,497 424,500 C450,506 448,552 400,586 Z"
    )
    sheet.glow(heart, 0xAAFF8F45, 9)
    sheet.line(heart, RUST, 5)
    sheet.fill(heart, ORANGE)
    sheet.line(shape("M372,530 Q368,516 380,511"), 0xDDFFFFFF, 6)
    for x, y in ((302, 600), (498, 600), (312, 470), (488, 470)):
        sheet.fill(disc(x, y, 5), 0xFF8D8470)


def _head(made: Drawing) -> None:
    width, height = 460, 460
    x, y = 230, 250
    made.head = {
        "size": (width, height),
        "centre": (x, y),
        "place": RIGHT["head"],
        "pivot": RIGHT["neck"],
        "radius": 158,
    }
    antenna = made.layer("antenna", -0.25, centre=(x, y - 120), spring=1.2)
    antenna.line(shape(f"M{x},{y - 120} Q{x - 4},{y - 150} {x},{y - 176}"), INK, 16)
    antenna.line(shape(f"M{x},{y - 120} Q{x - 4},{y - 150} {x},{y - 176}"), STEEL, 8)
    _shell(antenna, disc(x, y - 188, 19), ORANGE, RUST, disc(x + 22, y - 176, 20))
    antenna.fill(disc(x - 7, y - 195, 5), 0xDDFFFFFF)
    for side, name in ((-1, "ear_r"), (1, "ear_l")):
        ear = made.layer(name, -0.12)
        _shell(ear, box(x + 158 * side, y + 4, 40, 84, 16), TEAL, DEEP, box(x + 158 * side + 14, y + 4, 14, 90, 0))
        _shell(ear, box(x + 182 * side, y + 4, 16, 46, 8), STEEL, IRON)
    shell = made.layer("shell", 0.0)
    plate = box(x, y, 304, 250, 92)
    _shell(
        shell,
        plate,
        IVORY,
        SAND,
        shape(f"M{x + 112},{y - 140} Q{x + 142},{y + 40} {x + 40},{y + 140} H{x + 200} V{y - 140} Z"),
    )
    with shell.inside(plate):
        shell.fill(shape(f"M{x - 160},{y + 92} Q{x},{y + 122} {x + 160},{y + 92} V{y + 140} H{x - 160} Z"), TEAL)
        shell.fill(shape(f"M{x + 84},{y + 80} L{x + 40},{y + 140} H{x + 160} V{y + 80} Z"), DEEP)
        shell.line(shape(f"M{x - 160},{y + 92} Q{x},{y + 122} {x + 160},{y + 92}"), INK, LINE)
    shell.line(shape(f"M{x - 118},{y - 74} Q{x - 100},{y - 104} {x - 66},{y - 110}"), 0xFFFFFFFF, 8)
    screen = made.layer("screen", 0.16)
    glass = box(x, y - 8, 250, 184, 68)
    screen.line(glass, INK, 2 * LINE)
    screen.fill(
        glass,
        skia.GradientShader.MakeRadial((x, y - 30), 170, [0xFF24384B, GLASS, NIGHT], [0, 0.6, 1]),
    )
    with screen.inside(glass):
        screen.fill(shape(f"M{x + 44},{y - 110} H{x + 84} L{x + 20},{y + 100} H{x - 20} Z"), 0x12FFFFFF)
        screen.fill(shape(f"M{x + 96},{y - 110} H{x + 110} L{x + 46},{y + 100} H{x + 32} Z"), 0x12FFFFFF)
    blush = made.layer("blush", 0.26)
    for side in (-1, 1):
        for k in (-1, 0, 1):
            blush.line(
                shape(f"M{x + 90 * side + 10 * k + 3},{y + 22} L{x + 90 * side + 10 * k - 3},{y + 33}"), 0xFFFF8F7A, 4.5
            )
    for side, name in ((-1, "Right"), (1, "Left")):
        ex, ey = x + 58 * side, y - 26
        short = name[0].lower()
        eye = made.layer(f"eye_{short}", 0.30, open=f"eyeBlink{name}", centre=(ex, ey))
        eye.glow(disc(ex, ey, 31, 37), 0x8863F0E0, 8)
        eye.fill(disc(ex, ey, 31, 37), LIGHT)
        eye.fill(disc(ex, ey, 26, 32), PALE)
        iris = made.layer(f"iris_{short}", 0.34, open=f"eyeBlink{name}", centre=(ex, ey), gaze=12, clip=f"eye_{short}")
        iris.fill(disc(ex, ey, 19, 23), DEEP)
        iris.fill(disc(ex, ey, 13, 17), NIGHT)
        iris.fill(disc(ex - 7, ey - 9, 7), 0xFFFFFFFF)
        iris.fill(disc(ex + 7, ey + 9, 3.5), 0xCCFFFFFF)
        lid = made.layer(f"closed_{short}", 0.30, closed=f"eyeBlink{name}", centre=(ex, ey))
        lid.glow(box(ex, ey + 6, 56, 10, 5), 0x8863F0E0, 6)
        lid.line(shape(f"M{ex - 26},{ey + 2} Q{ex},{ey + 18} {ex + 26},{ey + 2}"), LIGHT, 8)
        brow = made.layer(f"brow_{short}", 0.33, brow=name, centre=(ex, ey - 54), clip="screen")
        brow.glow(box(ex, ey - 52, 40, 6, 3), 0x6663F0E0, 5)
        brow.line(shape(f"M{ex - 20},{ey - 50} Q{ex},{ey - 60} {ex + 20},{ey - 50}"), LIGHT, 7)
    draw_mouths(made, (x, y + 40), 0.34, Style(31, LIGHT, 7, 0xFF0A2A30, 0xFFFF8F45, PALE, glow=0x7763F0E0))

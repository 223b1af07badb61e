"""Tilo: a jointed mannequin of turned wood."""

import numpy as np
import skia

from trained_models.recipes.figures.mouths import Style, draw_mouths
from trained_models.recipes.figures.pen import Drawing, Point, Sheet, both_sides, disc, shape

SIZE, MIDDLE = (800, 1080), 400
EDGE, DARK, SHADE, MID, LIGHT, SHINE = 0xFF6E4522, 0xFF8A5A2E, 0xFFA8743F, 0xFFDDB377, 0xFFF0D3A2, 0xFFF6DFB6
BURNT = 0xFF4A2C14
LINE = 2.5
RIGHT = {
    "hips": (400, 545), "neck": (400, 232), "head": (400, 140),
    "shoulder": (296, 272), "elbow": (224, 400), "wrist": (158, 512), "hand": (124, 572),
    "hip": (350, 562), "knee": (340, 764), "ankle": (334, 956), "toe": (304, 1024),
}  # fmt: skip


def draw() -> Drawing:
    """The mannequin."""
    joints = both_sides(RIGHT, MIDDLE)
    made = Drawing("tilo", "A jointed wooden figure.", SIZE, 1038, 24, joints, few_colours=True)
    for side in "lr":
        _leg(made.limb("leg", side, stiff=True))
    torso = made.part("torso", ["hips", "neck"], "torso")
    _ball(torso, RIGHT["neck"], 24)
    _block(torso, (400, 508), (400, 556), (128, 150, 150), 1, (0.30, 0.28))
    _ball(torso, (400, 452), 44)
    _block(torso, (400, 276), (400, 404), (196, 182, 116), 2, (0.16, 0.25))
    for side in "lr":
        _arm(made.limb("arm", side, stiff=True))
    _head(made)
    return made


def _block(
    sheet: Sheet,
    start: Point,
    end: Point,
    widths: tuple[float, float, float],
    grain: int,
    ends: tuple[float, float] = (0.35, 0.35),
) -> None:
    """A turned piece from start to end: its widths there and in the middle, and how round its ends are."""
    first, middle, last = (width / 2 for width in widths)
    with sheet.along(start, end) as n:
        top, bottom = -2 * first * ends[0], n + 2 * last * ends[1]
        more = 1.33 * (middle - (first + last) / 2)
        side = f"C{first + more},{0.33 * n} {last + more},{0.67 * n} {last},{n}"
        back = f"C{-last - more},{0.67 * n} {-first - more},{0.33 * n} {-first},0"
        form = shape(
            f"M0,{top} Q{first},{top} {first},0 {side} Q{last},{bottom} 0,{bottom} "
            f"Q{-last},{bottom} {-last},{n} {back} Q{-first},{top} 0,{top} Z"
        )
        _wood(sheet, form, max(first, middle, last), (top, bottom), grain)


def _wood(sheet: Sheet, form: skia.Path, wide: float, rows: tuple[float, float], grain: int) -> None:
    """A form around x = 0, half so wide, lit from the left, with the grain from its first row to its last."""
    sheet.line(form, EDGE, 2 * LINE)
    tones = [SHADE, MID, LIGHT, MID, SHADE, DARK]
    sheet.fill(form, skia.GradientShader.MakeLinear([(-wide, 0), (wide, 0)], tones, [0, 0.16, 0.38, 0.66, 0.9, 1]))
    (top, bottom), chance = rows, np.random.default_rng(grain)
    with sheet.inside(form):
        for x in np.linspace(-wide, wide, int(wide / 3)):
            a, bow, b = x + chance.normal(0, (1.2, 2.5, 1.5))
            line = shape(f"M{a:.2f},{top - 2} Q{bow:.2f},{(top + bottom) / 2} {b:.2f},{bottom + 2}")
            sheet.line(line, 0x22703F12 if chance.random() < 0.6 else 0x18FFFFFF, float(chance.uniform(0.8, 2)))


def _ball(sheet: Sheet, at: Point, radius: float) -> None:
    x, y = at
    sheet.fill(disc(x, y, radius + LINE), EDGE)
    light = (x - 0.3 * radius, y - 0.4 * radius)
    sheet.fill(
        disc(x, y, radius),
        skia.GradientShader.MakeRadial(light, radius * 1.5, [SHINE, MID, SHADE, 0xFF7A4E26], [0, 0.45, 0.85, 1]),
    )


def _toward(start: Point, end: Point, share: float) -> Point:
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def _leg(sheet: Sheet) -> None:
    hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
    _block(sheet, (ankle[0] - 4, ankle[1] + 26), (ankle[0] - 34, ankle[1] + 58), (42, 52, 46), 7, (0.5, 0.5))
    _ball(sheet, ankle, 17)
    _block(sheet, _toward(knee, ankle, 0.13), _toward(knee, ankle, 0.87), (54, 60, 34), 8)
    _ball(sheet, knee, 23)
    _block(sheet, _toward(hip, knee, 0.10), _toward(hip, knee, 0.86), (72, 74, 48), 9)
    _ball(sheet, hip, 30)


def _arm(sheet: Sheet) -> None:
    shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
    with sheet.along(wrist, hand) as n:
        for x, y, tip_x, tip_y, wide in (
            (-20, 0.5, -38, 0.72, 15),
            (-12, 0.9, -17, 1.44, 14),
            (1, 0.95, 1, 1.56, 14),
            (13, 0.9, 18, 1.42, 14),
        ):
            _block(sheet, (x, y * n), (tip_x, tip_y * n), (wide, wide, wide - 3), 3, (0.4, 0.5))
    _block(sheet, _toward(wrist, hand, 0.26), _toward(wrist, hand, 0.86), (32, 46, 38), 3, (0.4, 0.3))
    _ball(sheet, wrist, 14)
    _block(sheet, _toward(elbow, wrist, 0.15), _toward(elbow, wrist, 0.86), (42, 46, 30), 4)
    _ball(sheet, elbow, 20)
    _block(sheet, _toward(shoulder, elbow, 0.14), _toward(shoulder, elbow, 0.84), (52, 54, 42), 5)
    _ball(sheet, shoulder, 28)


def _head(made: Drawing) -> None:
    x, y = 120, 130
    made.head = {"size": (240, 260), "centre": (x, y), "place": RIGHT["head"], "pivot": RIGHT["neck"], "radius": 74}
    egg = made.layer("egg", 0.0)
    egg.canvas.translate(x, 0)
    form = shape("M0,22 C46,22 68,62 67,112 C66,160 46,226 0,226 C-46,226 -66,160 -67,112 C-68,62 -46,22 0,22 Z")
    _wood(egg, form, 67, (22, 226), 11)
    for side, name in ((-1, "Right"), (1, "Left")):
        ex, ey, short = x + 27 * side, 118, name[0].lower()
        eye = made.layer(f"eye_{short}", 0.62, open=f"eyeBlink{name}", centre=(ex, ey))
        eye.fill(disc(ex, ey, 15, 17), BURNT)
        eye.fill(disc(ex, ey, 12.5, 14.5), 0xFFFFF7E6)
        iris = made.layer(f"iris_{short}", 0.68, open=f"eyeBlink{name}", centre=(ex, ey), gaze=6, clip=f"eye_{short}")
        iris.fill(disc(ex, ey, 8.5, 10), BURNT)
        iris.fill(disc(ex - 3, ey - 4, 3), 0xFFFFFFFF)
        lid = made.layer(f"closed_{short}", 0.62, closed=f"eyeBlink{name}", centre=(ex, ey))
        lid.line(shape(f"M{ex - 13},{ey + 2} Q{ex},{ey + 12} {ex + 13},{ey + 2}"), BURNT, 4)
        brow = made.layer(f"brow_{short}", 0.64, brow=name, centre=(ex, ey - 26))
        brow.line(shape(f"M{ex - 11},{ey - 25} Q{ex},{ey - 32} {ex + 11},{ey - 25}"), BURNT, 4.5)
    draw_mouths(made, (x, 172), 0.66, Style(18, BURNT, 3.8, 0xFF5A2A16, 0xFFCF7F5B, 0xFFFFF7E6))
    nose = made.layer("nose", 0.9)
    form = shape(f"M{x},120 Q{x + 7},138 {x + 12},150 Q{x},161 {x - 12},150 Q{x - 7},138 {x},120 Z")
    nose.line(form, EDGE, 2 * LINE)
    nose.fill(
        form, skia.GradientShader.MakeLinear([(x - 12, 0), (x + 12, 0)], [MID, LIGHT, MID, SHADE], [0, 0.35, 0.65, 1])
    )

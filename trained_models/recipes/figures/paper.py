"""Solki: a sun in a tunic, cut from coloured paper and held together by brass pins."""

import zlib

import cv2
import numpy as np
import skia

from realtime.families.figure.mesh import Picture
from trained_models.recipes.figures.mouths import Style, draw_mouths
from trained_models.recipes.figures.pen import Drawing, Sheet, both_sides, box, disc, shape

SIZE, MIDDLE = (860, 1080), 430
SUN, GOLD, AMBER, RED, WINE, TEAL = 0xFFFFCB45, 0xFFF9A72B, 0xFFEE7F22, 0xFFD8452F, 0xFF8E2A2B, 0xFF2A8A84
NAVY, BLUE, SKY, CREAM, LEAF, BRASS = 0xFF22365F, 0xFF2E6E9E, 0xFF7FB4CF, 0xFFFFF4DF, 0xFF5F8F54, 0xFFC99A3B
SHADOW = 0x5A201418
RIGHT = {
    "hips": (430, 690), "neck": (430, 456), "head": (430, 270),
    "shoulder": (346, 500), "elbow": (268, 592), "wrist": (196, 676), "hand": (160, 718),
    "hip": (386, 716), "knee": (380, 844), "ankle": (374, 964), "toe": (330, 1022),
}  # fmt: skip


def draw() -> Drawing:
    """The sun."""
    words = "A sun in a tunic, cut from coloured paper, in layers."
    made = Drawing("solki", words, SIZE, 1036, 34, both_sides(RIGHT, MIDDLE), finish=_grain, few_colours=True)
    for side in "lr":
        _leg(made.limb("leg", side, stiff=True))
    _torso(made.part("torso", ["hips", "neck"], "torso"))
    for side in "lr":
        _arm(made.limb("arm", side, stiff=True))
    _head(made)
    return made


def _grain(pixels: Picture, name: str) -> None:
    """Fibres of paper, in place."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 1, pixels.shape[:2]).astype(np.float32)
    fibres = cv2.GaussianBlur(noise, (0, 0), 1.1) * 3.2 + cv2.GaussianBlur(noise, (0, 0), 7, sigmaY=2) * 7
    steps = np.rint(np.clip(fibres, -2, 2))[..., None] * 4
    seen = pixels[..., 3:] > 160
    pixels[..., :3] = np.where(seen, np.clip(pixels[..., :3] + steps, 0, 255), pixels[..., :3])


def _cut(sheet: Sheet, path: skia.Path, colour: int, lifted: float = 4.5) -> None:
    """A piece of paper: it lies a little above what is below, and its edge catches the light."""
    sheet.glow(path, SHADOW, lifted)
    sheet.fill(path, colour)
    with sheet.inside(path):
        sheet.line(path, 0x55FFFFFF, 3)


def _pin(sheet: Sheet, at: tuple[float, float], radius: float = 10) -> None:
    """The head of a brass pin."""
    sheet.glow(disc(*at, radius), SHADOW, 3)
    sheet.fill(disc(*at, radius), 0xFF9A7023)
    sheet.fill(disc(*at, radius - 2), BRASS)
    sheet.fill(disc(*at, radius * 0.45), 0xFFF3DB8E)


def _union(*paths: skia.Path) -> skia.Path:
    whole = paths[0]
    for path in paths[1:]:
        whole = skia.Op(whole, path, skia.kUnion_PathOp)
    return whole


def _turned(path: skia.Path, x: float, y: float, degrees: float) -> skia.Path:
    """A path that is turned, then moved."""
    placed = skia.Path()
    path.transform(skia.Matrix().setRotate(degrees).postTranslate(x, y), placed)
    return placed


def _bar(length: float, start: float, end: float) -> skia.Path:
    """A piece from one joint to the next: round at both, so wide there."""
    return _union(
        disc(0, 0, start / 2),
        disc(0, length, end / 2),
        shape(f"M{-start / 2},0 H{start / 2} L{end / 2},{length} H{-end / 2} Z"),
    )


def _flower(x: float, y: float, size: float, petals: int = 6) -> skia.Path:
    petal = shape(
        f"M0,0 C{-size * 0.5},{-size * 0.3} {-size * 0.4},{-size} 0,{-size} "
        f"C{size * 0.4},{-size} {size * 0.5},{-size * 0.3} 0,0 Z"
    )
    return _union(*(_turned(petal, x, y, 360 / petals * k) for k in range(petals)))


def _arm(sheet: Sheet) -> None:
    shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
    with sheet.along(wrist, hand) as n:
        fingers = [
            _turned(box(0, 16, 18, 50, 9), x, y, turn)
            for x, y, turn in ((-23, 0.85 * n, 20), (-8, 1.02 * n, 7), (9, 1.02 * n, -7), (24, 0.84 * n, -20))
        ]
        thumb = _turned(box(0, 14, 19, 46, 9.5), -24, 0.34 * n, 62)
        palm = shape(f"M-17,-8 H17 Q35,{0.4 * n} 32,{0.85 * n} Q0,{1.15 * n} -32,{0.85 * n} Q-35,{0.4 * n} -17,-8 Z")
        _cut(sheet, _union(palm, thumb, *fingers), SUN)
    with sheet.along(elbow, wrist) as n:
        sleeve = _union(disc(0, 0, 27), shape(f"M-27,0 H27 L38,{n - 8} Q0,{n + 8} -38,{n - 8} Z"))
        _cut(sheet, sleeve, TEAL)
        scallops = _union(
            shape(f"M-38,{n - 22} Q0,{n - 8} 38,{n - 22} V{n - 4} H-38 Z"),
            *(disc(x, n - 3 + 4 - abs(x) * 0.16, 9) for x in (-30, -15, 0, 15, 30)),
        )
        _cut(sheet, scallops, CREAM, 2.5)
    with sheet.along(shoulder, elbow) as n:
        _cut(sheet, _bar(n, 66, 54), TEAL)
        leaf = shape(f"M0,{0.28 * n} Q13,{0.48 * n} 0,{0.72 * n} Q-13,{0.48 * n} 0,{0.28 * n} Z")
        sheet.fill(leaf, CREAM)
    _pin(sheet, elbow, 9)
    _pin(sheet, shoulder, 12)


def _leg(sheet: Sheet) -> None:
    hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
    x, y = ankle
    with sheet.along(knee, ankle) as n:
        shin = _bar(n, 66, 56)
        _cut(sheet, shin, CREAM)
        with sheet.inside(shin):
            for k in range(4):
                sheet.fill(box(0, 34 + 30 * k, 90, 14, 0), RED)
    boot = shape(
        f"M{x - 36},{y - 34} Q{x},{y - 24} {x + 36},{y - 34} L{x + 40},{y + 70} H{x - 74} "
        f"Q{x - 96},{y + 60} {x - 86},{y + 36} "
        f"Q{x - 70},{y + 14} {x - 38},{y + 10} Z"
    )
    _cut(sheet, boot, NAVY)
    _cut(
        sheet,
        shape(f"M{x - 37},{y - 35} Q{x},{y - 24} {x + 37},{y - 35} V{y - 18} Q{x},{y - 7} {x - 37},{y - 18} Z"),
        GOLD,
        2,
    )
    sheet.fill(_flower(x - 50, y + 42, 15, 5), GOLD)
    with sheet.along(hip, knee) as n:
        thigh = _bar(n, 88, 68)
        _cut(sheet, thigh, CREAM)
        with sheet.inside(thigh):
            for k in range(5):
                sheet.fill(box(0, -6 + 30 * k, 110, 14, 0), RED)
    _pin(sheet, knee, 10)


def _torso(sheet: Sheet) -> None:
    _cut(sheet, box(430, 452, 56, 70, 20), GOLD)
    under = _union(shape("M336,660 H524 L548,724 H312 Z"), *(disc(326 + 34.6 * k, 724, 19) for k in range(7)))
    _cut(sheet, under, RED)
    tunic = _union(
        shape("M378,466 H482 Q520,470 524,510 L538,690 H322 L336,510 Q340,470 378,466 Z"),
        *(disc(337 + 31 * k, 692, 17) for k in range(7)),
    )
    _cut(sheet, tunic, BLUE)
    for k in range(6):
        sheet.fill(disc(352.5 + 31 * k, 680, 5), CREAM)
    _cut(sheet, _flower(430, 592, 44, 8), CREAM, 2.5)
    _cut(sheet, _flower(430, 592, 27, 8), GOLD, 2)
    _cut(sheet, disc(430, 592, 11), RED, 2)
    for side in (-1, 1):
        for turn, far in ((62, 62), (104, 56)):
            leaf = shape("M0,0 Q14,-20 0,-44 Q-14,-20 0,0 Z")
            angle = np.radians(turn * side - 90)
            sheet.fill(
                _turned(
                    leaf, 430 + 0.82 * far * float(np.cos(angle)), 592 + 0.82 * far * float(np.sin(angle)), turn * side
                ),
                SKY,
            )
    collar = _union(
        shape("M374,462 Q430,486 486,462 L492,486 Q430,520 368,486 Z"),
        *(disc(378 + 20.8 * k, 491 + 14 * (1 - ((k - 2.5) / 2.5) ** 2), 13) for k in range(6)),
    )
    _cut(sheet, collar, CREAM)
    for k in range(6):
        sheet.fill(disc(378 + 20.8 * k, 489 + 14 * (1 - ((k - 2.5) / 2.5) ** 2), 4.5), RED)


def _head(made: Drawing) -> None:
    x, y = 280, 280
    made.head = {"size": (560, 560), "centre": (x, y), "place": RIGHT["head"], "pivot": RIGHT["neck"], "radius": 176}
    for name, depth, colour, inner, outer, shift, spring in (
        ("rays", -0.16, AMBER, 140, 228, 0.5, 0.5),
        ("beams", -0.07, GOLD, 140, 204, 0.0, 0.25),
    ):
        ring = made.layer(name, depth, centre=(x, y + 4), spring=spring)  # they turn around it
        ray = shape(
            f"M-34,{-inner} Q-16,{-outer + 40} 0,{-outer} Q16,{-outer + 40} 34,{-inner} Q0,{-inner + 30} -34,{-inner} Z"
        )
        rays = _union(disc(x, y, inner + 6), *(_turned(ray, x, y, 22.5 * (k + shift)) for k in range(16)))
        _cut(ring, rays, colour)
    face = made.layer("face", 0.0)
    _cut(face, disc(x, y, 148), SUN)
    dots = made.layer("dots", 0.12)
    for k in range(-3, 4):
        angle = np.radians(-90 + 15 * k)
        dots.fill(disc(x + 126 * float(np.cos(angle)), y + 126 * float(np.sin(angle)), 6.5 - abs(k)), RED)
    cheeks = made.layer("cheeks", 0.26)
    for side in (-1, 1):
        _cut(cheeks, disc(x + 88 * side, y + 44, 27), 0xFFF2774F, 2.5)
        cheeks.fill(_flower(x + 88 * side, y + 44, 17), 0xFFF9A27B)
    for side, name in ((-1, "Right"), (1, "Left")):
        ex, ey, short = x + 58 * side, y - 24, name[0].lower()
        eye = made.layer(f"eye_{short}", 0.36, open=f"eyeBlink{name}", centre=(ex, ey))
        white = shape(f"M{ex - 42},{ey + 2} Q{ex},{ey - 60} {ex + 42},{ey + 2} Q{ex},{ey + 52} {ex - 42},{ey + 2} Z")
        _cut(
            eye,
            shape(f"M{ex - 49},{ey + 2} Q{ex},{ey - 76} {ex + 49},{ey + 2} Q{ex},{ey + 66} {ex - 49},{ey + 2} Z"),
            NAVY,
            3,
        )
        eye.fill(white, 0xFFFFFCF2)
        iris = made.layer(f"iris_{short}", 0.42, open=f"eyeBlink{name}", centre=(ex, ey), gaze=12, clip=f"eye_{short}")
        iris.fill(disc(ex, ey - 1, 22), BLUE)
        iris.fill(disc(ex, ey - 1, 13), 0xFF16233F)
        iris.fill(disc(ex - 8, ey - 9, 6.5), 0xFFFFFFFF)
        lid = made.layer(f"closed_{short}", 0.36, closed=f"eyeBlink{name}", centre=(ex, ey))
        lashes = shape(f"M{ex - 46},{ey - 2} Q{ex},{ey + 36} {ex + 46},{ey - 2} Q{ex},{ey + 52} {ex - 46},{ey - 2} Z")
        ends = [
            _turned(shape("M-4,0 L0,17 L4,0 Z"), ex + k, ey + 21 - abs(k) * 0.28, -k * 0.9) for k in (-26, -9, 9, 26)
        ]
        _cut(lid, _union(lashes, *ends), NAVY, 2.5)
        brow = made.layer(f"brow_{short}", 0.38, brow=name, centre=(ex, ey - 62))
        _cut(
            brow,
            shape(f"M{ex - 34},{ey - 50} Q{ex},{ey - 84} {ex + 34},{ey - 50} Q{ex},{ey - 60} {ex - 34},{ey - 50} Z"),
            WINE,
            2,
        )
    draw_mouths(made, (x, y + 70), 0.44, Style(36, RED, 9, 0xFF5E1A24, 0xFFF0826A, 0xFFFFFBEF, glow=0x44201418))
    nose = made.layer("nose", 0.62)
    _cut(
        nose,
        shape(
            f"M{x},{y - 26} Q{x + 7},{y + 18} {x + 19},{y + 34} Q{x},{y + 52} {x - 19},{y + 34} "
            f"Q{x - 7},{y + 18} {x},{y - 26} Z"
        ),
        AMBER,
        3.5,
    )

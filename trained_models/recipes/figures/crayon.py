"""Kritzi: a monster as a child draws it, with wax crayons, cut out with scissors. One flat picture."""

from itertools import pairwise

import cv2
import numpy as np
import skia

from realtime.families.figure.mesh import Picture
from trained_models.recipes.figures.pen import Drawing, Sheet, both_sides, disc, shape, tube

SIZE, MIDDLE = (640, 812), 320
PAPER = (238, 247, 251)  # BGR
MARGIN = 8  # of paper left round the drawing
GREEN, MOSS, RED, PINK, YELLOW, ORANGE = 0xFF6DB73F, 0xFF2F7A32, 0xFFDD3A34, 0xFFF07AA0, 0xFFFFCB1F, 0xFFF58220
BLUE, SKY, VIOLET, BLACK, BROWN = 0xFF2F67C4, 0xFF4DAFE0, 0xFF8A4CB8, 0xFF2B2930, 0xFF8A5A35
RIGHT = {
    "hips": (320, 536), "neck": (320, 350), "head": (320, 236),
    "shoulder": (266, 416), "elbow": (188, 440), "wrist": (114, 460), "hand": (78, 470),
    "hip": (284, 566), "knee": (270, 644), "ankle": (258, 720), "toe": (216, 758),
}  # fmt: skip


def draw() -> Drawing:
    """The monster."""
    words = "A monster drawn with crayons, one flat picture."
    made = Drawing("kritzi", words, SIZE, 774, 18, both_sides(RIGHT, MIDDLE))
    made.picture = _Page().drawn()
    return made


class _Page:
    """A sheet of rough paper on which crayons leave the hollows white."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(20)
        noise = self._chance.normal(0, 1, (SIZE[1], SIZE[0])).astype(np.float32)
        tooth = cv2.GaussianBlur(noise, (0, 0), 1.0)
        self._hollow = np.clip(0.5 + 0.30 * tooth / tooth.std(), 0, 1)
        self._colour = np.empty((SIZE[1], SIZE[0], 3), np.float32)
        self._colour[:] = PAPER
        self._used = np.zeros((SIZE[1], SIZE[0]), np.uint8)

    def drawn(self) -> Picture:
        """The whole picture, cut out."""
        for side in (1, -1):
            self._leg(side)
        for side in (1, -1):
            self._arm(side)
        self._body()
        self._head()
        around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MARGIN + 1,) * 2)
        kept = cv2.GaussianBlur(cv2.dilate(self._used, around), (0, 0), 4)
        edge = np.clip((kept.astype(np.float32) - 118) * 14, 0, 255)
        picture = np.dstack([np.clip(self._colour + 2.5 * np.rint(2 * (self._hollow - 0.5))[..., None], 0, 255), edge])
        picture[edge == 0] = 0
        return np.rint(picture).astype(np.uint8)

    def _rub(self, sheet: Sheet, press: float = 1.0) -> None:
        """Lay what is drawn on a sheet over the page, as wax: none of it in the paper's hollows."""
        drawn = sheet.pixels().astype(np.float32)
        cover = np.clip(drawn[..., 3] / 255 * (1.25 + 0.45 * press) - 0.95 * self._hollow, 0, 1)[..., None]
        self._colour += (drawn[..., :3] - self._colour) * cover

    def _keep(self, path: skia.Path) -> None:
        """Clean paper for a form: what is drawn on it stands before what was there."""
        sheet = Sheet(SIZE)
        sheet.fill(path, BLACK)
        inside = sheet.pixels()[..., 3]
        self._used = np.maximum(self._used, inside)
        self._colour[inside > 127] = PAPER

    def _scribble(self, path: skia.Path, colour: int, angle: float, gap: float = 6.0, width: float = 8.5) -> None:
        """Fill a form as children do: to and fro, without lifting the crayon."""
        sheet = Sheet(SIZE)
        box = path.getBounds()
        x, y = (box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2
        reach = float(np.hypot(box.width(), box.height())) / 2 + 10
        rows = np.arange(-reach, reach, gap)
        across = np.where(np.arange(len(rows)) % 2, 1, -1) * reach
        points = np.stack([across, rows + self._chance.normal(0, 0.22 * gap, len(rows))], axis=1)
        turned = np.radians(angle + self._chance.normal(0, 2))
        matrix = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        with sheet.inside(path):
            sheet.line(_through(points @ matrix.T + (x, y)), colour, width)
        self._rub(sheet, 0.55)

    def _outline(self, path: skia.Path, colour: int, width: float = 8.0, wobble: float = 1.8) -> None:
        """Draw along a form with an unsteady hand, twice here and there."""
        for again in range(2):
            sheet = Sheet(SIZE)
            measure = skia.PathMeasure(path, False)
            while True:
                length = measure.getLength()
                steps = np.linspace(0, length * (1.02 if again == 0 else 0.45), max(int(length / 9), 4))
                places = np.array(
                    [[p.x(), p.y()] for p in (measure.getPosTan(float(s % max(length, 1)))[0] for s in steps)]
                )
                shaken = cv2.GaussianBlur(self._chance.normal(0, 1, places.shape), (0, 0), sigmaX=0.01, sigmaY=3)
                shaken *= wobble / max(float(shaken.std()), 1e-6)
                if again == 0 or length > 150:
                    sheet.line(_through(places + shaken), colour, width * (1.0 if again == 0 else 0.7))
                if not measure.nextContour():
                    break
            self._rub(sheet, 1.25)

    def _form(self, path: skia.Path, fill: int, line: int, angle: float, width: float = 8.0) -> None:
        self._keep(path)
        self._scribble(path, fill, angle)
        self._scribble(path, fill, angle + 24, 11)
        self._outline(path, line, width)

    def _side(self, path: skia.Path, side: int) -> skia.Path:
        """A form of the figure's right (1), or mirrored to its left, a little differently."""
        if side == 1:
            return path
        mirrored = skia.Path()
        path.transform(skia.Matrix().setScale(-1, 1).postTranslate(2 * MIDDLE + 2, 3), mirrored)
        return mirrored

    def _leg(self, side: int) -> None:
        hip, knee, ankle = (RIGHT[name] for name in ("hip", "knee", "ankle"))
        leg = self._side(tube([(hip[0], hip[1] - 10), knee, ankle], [64, 56, 52]), side)
        self._keep(leg)
        for k in range(6):
            stripe = self._side(
                shape(f"M200,{566 + 30 * k} L340,{570 + 30 * k} V{597 + 30 * k} L200,{594 + 30 * k} Z"), side
            )
            self._scribble(skia.Op(leg, stripe, skia.kIntersect_PathOp), VIOLET if k % 2 else YELLOW, 4, 6)
        self._outline(leg, VIOLET)
        x, y = ankle
        shoe = shape(
            f"M{x + 32},{y - 6} Q{x + 44},{y + 30} {x + 30},{y + 48} Q{x - 20},{y + 56} "
            f"{x - 62},{y + 48} Q{x - 82},{y + 22} {x - 50},{y + 8} Q{x - 20},{y + 2} {x + 32},{y - 6} Z"
        )
        self._form(self._side(shoe, side), RED if side == 1 else BLUE, BLACK, 10 * side)
        self._outline(
            self._side(shape(f"M{x - 34},{y + 14} L{x - 14},{y + 30} M{x - 14},{y + 12} L{x - 34},{y + 32}"), side),
            BLACK,
            5,
            0.8,
        )

    def _arm(self, side: int) -> None:
        shoulder, elbow, wrist, hand = (RIGHT[name] for name in ("shoulder", "elbow", "wrist", "hand"))
        palm = disc(hand[0] + 4, hand[1] - 2, 33, 31)
        for x, y, far in ((-0.84, -0.55, 62), (-1.0, 0.06, 64), (-0.78, 0.64, 64), (-0.22, 1.0, 60), (0.02, -1.0, 58)):
            tip = (hand[0] + 4 + far * x, hand[1] - 2 + far * y)
            finger = tube([(hand[0] + 4 + 10 * x, hand[1] - 2 + 10 * y), tip], [25, 23])
            palm = skia.Op(palm, finger, skia.kUnion_PathOp)
        arm = skia.Op(tube([shoulder, elbow, wrist, hand], [58, 50, 46, 44]), palm, skia.kUnion_PathOp)
        self._form(self._side(arm, side), GREEN, MOSS, -16 * side)
        for k, (x, y, size) in enumerate(((214, 428, 8), (182, 446, 9), (150, 448, 7), (232, 424, 6))):
            if k != 3 or side == 1:
                self._scribble(self._side(disc(x, y, size), side), MOSS, 70, 4, 6)

    def _body(self) -> None:
        body = shape(
            "M286,346 Q320,338 356,347 Q362,374 378,392 Q390,470 412,570 Q372,594 318,591 Q262,594 "
            "230,569 Q254,470 264,392 Q280,374 286,346 Z"
        )
        self._keep(body)
        for k, colour in enumerate((RED, ORANGE, YELLOW, GREEN, SKY, BLUE, VIOLET)):
            top = 334 + 36 * k
            band = shape(f"M180,{top} Q320,{top + 16} 460,{top - 2} V{top + 34} Q320,{top + 52} 180,{top + 36} Z")
            inside = skia.Op(body, band, skia.kIntersect_PathOp)
            self._scribble(inside, colour, -4, 6)
            self._scribble(inside, colour, 62, 10)
        self._outline(body, BLACK, 8.5)
        for y in (430, 474, 518):
            self._keep(disc(321, y, 10))
            self._outline(disc(321, y, 9), BLACK, 5, 0.8)

    def _head(self) -> None:
        for side in (1, -1):
            horn = shape("M248,132 Q214,100 216,48 Q258,62 294,110 Z")
            self._form(self._side(horn, side), YELLOW, ORANGE, 40 * side)
            ear = shape("M204,212 Q160,190 164,228 Q168,264 208,254 Z")
            self._form(self._side(ear, side), PINK, MOSS, 30 * side)
        head = shape("M322,104 Q432,108 438,218 Q432,340 320,343 Q208,340 202,220 Q206,106 322,104 Z")
        self._form(head, GREEN, MOSS, -32, 9)
        for x, y, size in ((238, 176, 10), (224, 206, 7), (408, 168, 11), (418, 200, 7), (250, 150, 6)):
            self._scribble(disc(x, y, size), MOSS, 60, 4, 6)
        tuft = shape(
            "M282,112 Q272,70 288,60 Q296,84 304,96 Q302,52 322,34 Q328,70 332,94 Q346,62 362,58 "
            "Q364,90 356,112 Q320,126 282,112 Z"
        )
        self._form(tuft, RED, RED, 82, 6)
        for x, y, size, look in ((272, 206, 36, 4), (370, 204, 31, -3)):
            self._keep(disc(x, y, size, size * 1.08))
            self._outline(disc(x, y, size, size * 1.08), BLACK, 7)
            self._scribble(disc(x + look, y + 5, size * 0.44), BLACK, 30, 4, 7)
            self._scribble(disc(x + look, y + 5, size * 0.44), BLACK, 110, 4, 7)
            sparkle = disc(x + look - 6, y - 3, 5.5)
            self._keep(sparkle)
        for path in ("M240,160 Q268,146 298,158", "M346,156 Q372,146 400,162"):
            self._outline(shape(path), BROWN, 8, 1.2)
        for x in (236, 404):
            self._scribble(disc(x, 266, 24, 18), PINK, 20, 5, 7)
        mouth = shape("M254,272 Q320,292 388,270 Q382,326 322,328 Q262,328 254,272 Z")
        self._keep(mouth)
        self._scribble(mouth, RED, 12, 5, 7)
        for path in ("M276,278 L300,282 L290,302 Z", "M344,283 L368,277 L358,300 Z"):
            self._keep(shape(path))
            self._outline(shape(path), BLACK, 4, 0.6)
        self._outline(mouth, BLACK, 7)
        self._scribble(disc(322, 248, 11, 9), ORANGE, 0, 4, 6)
        self._outline(disc(322, 248, 11, 9), BROWN, 4, 0.6)


def _through(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> skia.Path:
    """A line through points (N, 2), rounded at each."""
    path = skia.PathBuilder()
    path.moveTo(*map(float, points[0]))
    for (x, y), (after_x, after_y) in pairwise(points[1:]):
        path.quadTo(float(x), float(y), float(x + after_x) / 2, float(y + after_y) / 2)
    path.lineTo(*map(float, points[-1]))
    return path.detach()

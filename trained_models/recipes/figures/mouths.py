"""Fourteen mouths, by the names that puppet artists give them, in the colours and lines of a figure."""

from dataclasses import dataclass

from trained_models.recipes.figures.pen import Drawing, Sheet, box, disc, shape


@dataclass(frozen=True)
class Style:
    """How a figure's mouths are drawn: `unit` is half the width of one at rest. `line` 0: no outline."""

    unit: float
    ink: int
    line: float
    inside: int
    tongue: int
    teeth: int
    glow: int | None = None  # light, or shadow, round them
    muzzle: bool = False  # two arcs meet under the nose


@dataclass(frozen=True)
class _Open:
    """An open mouth in units: half its width, its lower lip, how far the corners rise, what is seen in it."""

    width: float
    down: float
    rise: float = 0.0
    round: bool = False
    teeth: float = 0.0  # of its height
    both: bool = False  # upper and lower teeth meet
    tongue: float = 0.0
    lifted: bool = False  # the tongue's tip is at the teeth


CLOSED = {"neutral": (0.85, 0.16), "smile": (1.15, 0.55), "m": (0.62, -0.08)}
OPEN = {
    "surprised": _Open(0.56, 1.45, round=True, tongue=0.35),
    "ah": _Open(1.0, 1.35, 0.1, teeth=0.2, tongue=0.42),
    "d": _Open(0.85, 0.72, teeth=0.34, tongue=0.5, lifted=True),
    "ee": _Open(1.15, 0.72, 0.22, teeth=1.0, both=True),
    "f": _Open(0.8, 0.42, teeth=0.72),
    "l": _Open(0.82, 1.0, teeth=0.24, tongue=0.62, lifted=True),
    "oh": _Open(0.56, 1.05, round=True, tongue=0.28),
    "r": _Open(0.58, 0.66, round=True, teeth=0.3),
    "s": _Open(0.92, 0.5, 0.08, teeth=1.0, both=True),
    "uh": _Open(0.72, 0.86, teeth=0.2, tongue=0.35),
    "w-oo": _Open(0.3, 0.56, round=True),
}


def draw_mouths(
    drawing: Drawing,
    at: tuple[float, float],
    depth: float,
    style: Style,
    squeezed: float = 1.0,
    tilted_deg: float = 0.0,
) -> None:
    """Add the layers of all mouths; `at` is the middle of the closed lips, `squeezed` their width seen from aside."""
    for name in (*CLOSED, *OPEN):
        sheet = drawing.layer(f"mouth_{name}", depth, mouth=name, centre=at)
        sheet.canvas.translate(*at)
        sheet.canvas.rotate(tilted_deg)
        sheet.canvas.scale(squeezed, 1)
        if name in CLOSED:
            _closed(sheet, *CLOSED[name], style)
        else:
            _open(sheet, OPEN[name], style)


def _closed(sheet: Sheet, width: float, sag: float, style: Style) -> None:
    w, s = width * style.unit, sag * style.unit
    if style.muzzle:
        deep = 0.34 * style.unit + s * 0.8
        line = f"M{-w},{-s * 0.5} C{-w},{deep} {-w * 0.1},{deep} 0,-4 C{w * 0.1},{deep} {w},{deep} {w},{-s * 0.5}"
    else:
        line = f"M{-w},{-s * 0.5} C{-w * 0.5},{s} {w * 0.5},{s} {w},{-s * 0.5}"
        if sag > 0.4:  # dimples
            for side in (-1, 1):
                x, y = side * w, -s * 0.5
                line += f" M{x - 0.10 * w},{y - 0.02 * w} Q{x},{y - 0.02 * w} {x + side * 0.09 * w},{y - 0.13 * w}"
    if style.glow is not None:
        sheet.glow(shape(line), style.glow, style.line * 0.9, style.line * 1.6)
    sheet.line(shape(line), style.ink, style.line)


def _open(sheet: Sheet, spec: _Open, style: Style) -> None:
    w, d, k = spec.width * style.unit, spec.down * style.unit, -spec.rise * style.unit
    high = 0.42 * style.unit  # of the two arcs
    if spec.round:
        lips = disc(0, d * 0.42, w, d / 2)
        top, bottom = -d * 0.08, d * 0.92
    elif style.muzzle:
        lips = shape(
            f"M{-w},{k} C{-w},{high} {-0.12 * w},{high} 0,-4 C{0.12 * w},{high} {w},{high} {w},{k} "
            f"C{w * 0.96},{high + d * 0.9} {w * 0.5},{high + d} 0,{high + d} "
            f"C{-w * 0.5},{high + d} {-w * 0.96},{high + d * 0.9} {-w},{k} Z"
        )
        top, bottom = 0.3 * high, high + d
    else:
        lips = shape(
            f"M{-w},{k} C{-w * 0.6},{-0.1 * d + k * 0.3} {w * 0.6},{-0.1 * d + k * 0.3} {w},{k} "
            f"C{w * 1.06},{d * 0.75} {w * 0.62},{d} 0,{d} C{-w * 0.62},{d} {-w * 1.06},{d * 0.75} {-w},{k} Z"
        )
        top, bottom = min(k, -0.05 * d), d
    tall = bottom - top
    if style.glow is not None:
        sheet.glow(lips, style.glow, style.line * 1.2)
    if style.line:
        sheet.line(lips, style.ink, style.line * (1 if style.glow is None else 1.1))
    sheet.fill(lips, style.inside)
    with sheet.inside(lips):
        if spec.tongue:
            if spec.lifted:
                sheet.fill(disc(0, bottom, w * 0.62, tall * spec.tongue * 1.05), style.tongue)
            else:
                sheet.fill(disc(0, bottom + tall * 0.04, w * 0.68, tall * spec.tongue), style.tongue)
        if spec.both:
            sheet.fill(lips, style.teeth)
            sheet.line(
                shape(f"M{-w},{(top + bottom) / 2} Q0,{(top + bottom) / 2 + 0.1 * tall} {w},{(top + bottom) / 2}"),
                style.inside,
                style.line * 0.45 + 1,
            )
        elif spec.teeth and style.muzzle and not spec.round:  # two fangs
            for x in (-0.42 * w, 0.42 * w):
                half, tip = 0.16 * style.unit, high + 0.12 * style.unit
                sheet.fill(
                    shape(f"M{x - half},0 H{x + half} V{high * 0.6} L{x},{tip} L{x - half},{high * 0.6} Z"), style.teeth
                )
        elif spec.teeth:
            band = tall * spec.teeth
            sheet.fill(box(0, top + band / 2 - tall * 0.1, w * 1.5, band + tall * 0.2, band * 0.4), style.teeth)
    if style.glow is not None:
        sheet.line(lips, style.ink, style.line * 0.8)

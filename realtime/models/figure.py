"""A figure's folder: `figure.json` says where its joints are and what it is drawn from.

Either `parts` (layers, each along a chain of joints) with a `head` of layers that slide over each other, or one flat
`picture`. All coordinates are pixels of the figure's own canvas, `size` large.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from realtime.errors import ModelError
from realtime.models.card import FileName, Table, first_fault, refusal
from realtime.skeleton import JOINTS
from realtime.text import printable

FIGURE_FILE = "figure.json"
DRAWING_FILE = "char_cfg.yaml"  # of a character of AnimatedDrawings
MOST_BYTES = 1 << 20  # of figure.json
MOST_PARTS, MOST_LAYERS = 64, 200
MOST_HEAD_LAYERS = 480  # of all views of a head together: an avatar's card has a line for each file
MOST_FILES = 1 + MOST_PARTS + MOST_HEAD_LAYERS
MOST_PX = 4096

MOUTH_NAMES = (
    "neutral", "smile", "surprised", "ah", "d", "ee", "f", "l", "m", "oh", "r", "s", "uh", "w-oo",
    "open", "closed", "oo",
)  # fmt: skip
"""Of the layers of a mouth: as artists name them for Adobe Character Animator, and three that are used besides."""

Point = tuple[
    Annotated[float, Field(ge=-MOST_PX, le=2 * MOST_PX)], Annotated[float, Field(ge=-MOST_PX, le=2 * MOST_PX)]
]
Group = Literal["back", "torso", "arm_l", "arm_r", "leg_l", "leg_r"]
Turn = Literal["left_quarter", "left_profile", "right_quarter", "right_profile", "upward", "downward"]
Depth = Annotated[float, Field(ge=-2, le=2)]


class PartSpec(Table):
    """One layer of the body: a picture placed at `at`, that bends along the joints of `chain`."""

    name: str
    image: FileName
    at: Point
    chain: Annotated[tuple[str, ...], Field(min_length=2, max_length=5)]
    group: Group
    stiff: bool = False
    spring: bool = False


class LayerSpec(Table):
    """One layer of the head. `depth` 0 is the face's own, positive nearer: it moves so much more with a turn.

    `open` and `closed` name the blink that hides and shows it, `gaze` says how far (pixels) it follows the eyes,
    `clip` names the layer that it is only seen in, `brow` whose brow it is, `mouth` which shape of the mouth. `spring`:
    how loosely it hangs at `centre`, 0 not at all. Layers of the same name are the same thing in all views.
    """

    name: str
    image: FileName
    at: Point
    depth: Depth
    centre: Point | None = None
    open: Literal["eyeBlinkLeft", "eyeBlinkRight"] | None = None
    closed: Literal["eyeBlinkLeft", "eyeBlinkRight"] | None = None
    gaze: Annotated[float, Field(ge=0, le=200)] = 0.0
    clip: str | None = None
    brow: Literal["Left", "Right"] | None = None
    mouth: str | None = None
    spring: Annotated[float, Field(ge=0, le=3)] = 0.0


Layers = Annotated[tuple[LayerSpec, ...], Field(min_length=1, max_length=MOST_LAYERS)]


class ViewSpec(Table):
    """The head as it is drawn for a turn; left and right are the figure's own, as an artist names them."""

    turn: Turn
    layers: Layers


class HeadSpec(Table):
    """The head on a sheet of its own: `size` (width, height), and where on the canvas its `centre` lies (`place`).

    `layers` show it from the front. What `views` has for one side only serves both, mirrored.
    """

    size: tuple[Annotated[int, Field(ge=8, le=MOST_PX)], Annotated[int, Field(ge=8, le=MOST_PX)]]
    centre: Point
    place: Point
    pivot: Point
    radius: Annotated[float, Field(gt=1, le=MOST_PX)]
    layers: Layers
    views: Annotated[tuple[ViewSpec, ...], Field(max_length=6)] = ()

    @model_validator(mode="after")
    def _is_no_larger(self) -> "HeadSpec":
        if len(self.all_layers) > MOST_HEAD_LAYERS:
            raise ValueError(f"a head has at most {MOST_HEAD_LAYERS} layers in all views")
        if len({view.turn for view in self.views}) < len(self.views):
            raise ValueError("two views are for the same turn")
        return self

    @property
    def all_layers(self) -> tuple[LayerSpec, ...]:
        """Those of all views."""
        return (*self.layers, *(layer for view in self.views for layer in view.layers))


Eye = tuple[
    Annotated[float, Field(ge=-MOST_PX, le=2 * MOST_PX)],
    Annotated[float, Field(ge=-MOST_PX, le=2 * MOST_PX)],
    Annotated[float, Field(ge=1, le=MOST_PX)],
]


class FaceMarks(Table):
    """Where the face of a flat picture is: each eye's middle and radius, and the mouth's left and right corners.

    `l_eye` is at the right of the picture, as your left is on the camera.
    """

    l_eye: Eye | None = None
    r_eye: Eye | None = None
    mouth: tuple[Point, Point] | None = None

    def moved(self, scale: float, shift: tuple[float, float] = (0.0, 0.0)) -> "FaceMarks":
        """The marks in a picture that is scaled, then shifted."""

        def at(x: float, y: float) -> Point:
            return round(x * scale + shift[0], 1), round(y * scale + shift[1], 1)

        def eye(mark: Eye | None) -> Eye | None:
            return None if mark is None else (*at(*mark[:2]), max(round(mark[2] * scale, 1), 1.0))

        mouth = None if self.mouth is None else (at(*self.mouth[0]), at(*self.mouth[1]))
        return FaceMarks(l_eye=eye(self.l_eye), r_eye=eye(self.r_eye), mouth=mouth)


class Rig(Table):
    """Everything `figure.json` says. `floor` and `top`: the rows that the figure stands on and begins at."""

    name: str
    licence: str
    size: tuple[Annotated[int, Field(ge=32, le=MOST_PX)], Annotated[int, Field(ge=32, le=MOST_PX)]]
    floor: Annotated[float, Field(ge=0, le=2 * MOST_PX)]
    top: Annotated[float, Field(ge=-MOST_PX, le=MOST_PX)] = 0.0
    joints: dict[str, Point]
    parts: Annotated[tuple[PartSpec, ...], Field(max_length=MOST_PARTS)] = ()
    head: HeadSpec | None = None
    picture: FileName | None = None
    radius: Annotated[float, Field(gt=1, le=MOST_PX)] | None = None
    face: FaceMarks | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Rig":
        missing = [joint for joint in JOINTS if joint not in self.joints]
        if missing:
            raise ValueError(f"joints are missing: {', '.join(missing)}")
        if bool(self.parts) == (self.picture is not None) and (self.parts or self.head is None):
            raise ValueError("a figure has parts, a head, or one picture")
        if self.face is not None and self.picture is None:
            raise ValueError("a face is marked in a flat picture only")
        unknown = [joint for part in self.parts for joint in part.chain if joint not in self.joints]
        if unknown:
            raise ValueError(f"parts name joints that are not there: {', '.join(unknown)}")
        return self

    @property
    def head_radius(self) -> float:
        """In canvas pixels: hands beside the driver's head keep so far away from the figure's."""
        if self.head is not None:
            return self.head.radius
        if self.radius is not None:
            return self.radius
        (x0, y0), (x1, y1) = self.joints["head"], self.joints["neck"]
        return max(0.8 * float(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5), 2.0)

    @property
    def files(self) -> tuple[str, ...]:
        """The pictures that it is drawn from."""
        layers = self.head.all_layers if self.head is not None else ()
        named = (*(p.image for p in self.parts), *(layer.image for layer in layers), *filter(None, [self.picture]))
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class FigureFiles:
    """A figure's rig and the folder of its pictures."""

    rig: Rig
    folder: Path


def is_figure_folder(folder: Path) -> bool:
    """Whether a folder holds a figure, or a character of AnimatedDrawings."""
    return any((folder / file).is_file() for file in (FIGURE_FILE, DRAWING_FILE))


def read_rig(folder: Path) -> Rig:
    """What a figure's folder says of it. Raises ModelError, in one line."""
    file = folder / FIGURE_FILE
    try:
        with file.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise refusal(folder, f"{FIGURE_FILE} is larger than 1 MB", "give a figure's own file")
        return Rig.model_validate_json(text)
    except OSError as error:
        raise ModelError(f"{printable(file)} cannot be read ({error.strerror}): check the folder") from error
    except ValidationError as error:
        raise refusal(folder, first_fault(error)) from error

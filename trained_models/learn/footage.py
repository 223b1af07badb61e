"""Clips read as the live loop reads them: whose face is in each frame, and what it shows.

The clips are read at up to `RATE_HZ`, with two people looked for, so that a second one is noticed. Landmarks
are not steadied: a filter runs behind the picture, and here reading and picture must be of the same moment.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.source import Source
from realtime.errors import ConfigError
from realtime.families.face_swap.key_pictures import key_from_picture, moved_points
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.imaging.affine import cut, umeyama
from realtime.imaging.blend import oval_mask
from realtime.models.expressions import lips_apart
from realtime.text import printable
from realtime.tracking.face import Face
from realtime.tracking.pose import HeadPose, head_angles
from realtime.tracking.shape_embedding import SHAPE_POINTS

RATE_HZ = 8.0  # how many frames a second are looked at: a blink lasts a quarter of one
MOST_FRAMES = 1500  # of all clips together: minutes of footage are thinned out evenly
CROP_PX = 192  # the side of a crop that sharpness and light are read in
SMALL = 40  # side of the coarse picture that covered faces are told by
_BURNT, _DARK = 250, 8

_AS_IT_IS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
Find = Callable[[Frame], list[Face]]
Shape = Callable[[Floats, tuple[int, int]], Doubles]


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """What was seen of one person in n frames; every array has n rows.

    `at_s` seconds within the clip; `clip` its number; `seq` the frame's; `face` (n,) `Face`s in the frame's pixels;
    `blendshapes` (n, 52); `pose` (n, 3) pitch, yaw, roll in radians; `apart` as of `lips_apart`; `shape` (n, 27, 3) cm,
    the skull with its pose taken out; `score` 0..1; `side_px` the face's size in the frame; `inside` the share of its
    landmarks that are in the frame; `sharpness` as of `sharpness`; `spoilt` the share of the face that is burnt out or
    black; `uneven` how much brighter one half is than the other, as a logarithm; `points` (n, 478, 3) float32
    landmarks in `coarse` (n, 40, 40, 3) uint8 CIELAB, its square as of `key_from_picture`.
    """

    at_s: Doubles
    clip: npt.NDArray[np.int64]
    seq: npt.NDArray[np.int64]
    face: npt.NDArray[np.object_]
    blendshapes: Floats
    pose: Floats
    apart: Doubles
    shape: Doubles
    score: Floats
    side_px: Floats
    inside: Floats
    sharpness: Floats
    spoilt: Floats
    uneven: Floats
    points: Floats
    coarse: Pixels

    def __len__(self) -> int:
        return len(self.at_s)

    def __getitem__(self, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Looks":
        """Some of the looks, by number or mask."""
        return Looks(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


@dataclass(frozen=True, slots=True, eq=False)
class ReadClip:
    """One clip: how many frames were looked at over how many seconds, and the people in it, the most seen first.
    `together`: in how many frames there were two or more."""

    name: str
    frames: int
    seconds: float
    people: list[Looks]
    together: int


def joined(parts: Sequence[Looks]) -> Looks:
    """Several clips' looks in one. `parts` is not empty."""
    return Looks(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Looks)})


def shape_reader(pose_file: Path) -> Shape:
    """What tells a face's shape (27, 3) in cm from its landmarks and the frame's size."""
    head = HeadPose(pose_file)
    return lambda landmarks, size: head.fit(landmarks, size, SHAPE_POINTS)[1]


def read_clip(
    source: Source,
    number: int,
    find: Find,
    shape: Shape,
    *,
    rate_hz: float = RATE_HZ,
    progress: Callable[[float], None] = lambda at_s: None,
) -> ReadClip:
    """Everyone in a clip. `find` gives the faces of a frame, numbered by person. Leaves `source` open."""
    rows: dict[int, list[dict[str, object]]] = {}
    due_s, last_s, seen, together = 0.0, 0.0, 0, 0
    while (frame := source.read()) is not None:
        at_s = frame.media_s if frame.media_s is not None else frame.seq / 30
        if at_s + 1e-6 < due_s:
            continue
        due_s = max(due_s + 1 / rate_hz, at_s)
        seen, last_s = seen + 1, at_s
        faces = find(frame)
        together += len(faces) > 1
        for face in faces:
            rows.setdefault(face.track, []).append(_look(frame, face, at_s, number, shape))
        progress(at_s)
    people = [_stacked(some) for some in sorted(rows.values(), key=len, reverse=True)]
    return ReadClip(source.name, seen, last_s + 1 / rate_hz, people, together)


def _look(frame: Frame, face: Face, at_s: float, clip: int, shape: Shape) -> dict[str, object]:
    matrix = key_from_picture(face.landmarks, CROP_PX)
    crop = cut(frame.pixels, matrix, CROP_PX, "edge")
    landmarks = face.landmarks.astype(np.float64)
    x0, y0, x1, y1 = face.box
    small = cv2.resize(crop, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    spoilt, uneven = light_faults(crop, moved_points(face.landmarks, matrix))
    return {
        "at_s": at_s,
        "clip": clip,
        "seq": frame.seq,
        "face": face,
        "blendshapes": face.blendshapes.astype(np.float32),
        "pose": head_angles(face.pose),
        "apart": lips_apart(face.landmarks),
        "shape": shape(face.landmarks, frame.size),
        "score": np.float32(face.score),
        "side_px": np.float32((x1 - x0 + y1 - y0) / 2),
        "inside": np.float32(((landmarks[:, :2] >= 0) & (landmarks[:, :2] < frame.size)).all(1).mean()),
        "sharpness": np.float32(sharpness(crop)),
        "spoilt": np.float32(spoilt),
        "uneven": np.float32(uneven),
        "points": moved_points(face.landmarks, key_from_picture(face.landmarks, SMALL)),
        "coarse": cv2.cvtColor(small, cv2.COLOR_BGR2LAB),
    }


def light_faults(crop: Pixels, points: Floats) -> tuple[float, float]:
    """What of a face is burnt out or black, 0..1; and how much brighter one half is, as a logarithm."""
    face = oval_mask(points, _AS_IT_IS, crop.shape[0]) > 0.5
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
    left = np.arange(crop.shape[1]) < points[[1, 168], 0].mean()
    halves = [grey[face & side] for side in (left, ~left)]
    if min(map(len, halves)) == 0:
        return 1.0, 0.0
    both = np.concatenate(halves)
    means = [max(float(half.mean()), 1.0) for half in halves]
    return float(((both >= _BURNT) | (both <= _DARK)).mean()), float(abs(np.log(means[0] / means[1])))


def _stacked(rows: Iterable[dict[str, object]]) -> Looks:
    rows = list(rows)
    faces = np.empty(len(rows), object)
    faces[:] = [row["face"] for row in rows]
    named = {f.name: np.stack([np.asarray(row[f.name]) for row in rows]) for f in fields(Looks) if f.name != "face"}
    return Looks(face=faces, **named)


def sharpness(crop: Pixels) -> float:
    """How sharp the middle of a crop is: the finest detail's share of all contrast, about 0.1 to 1. The spread of the
    Laplacian over that of the brightness: light and skin tone cancel out."""
    side = crop.shape[0]
    inner = crop[side // 4 : -side // 4, side // 4 : -side // 4]
    grey = cv2.cvtColor(inner, cv2.COLOR_BGR2GRAY).astype(np.float32)
    # One pixel of smoothing first: sensor noise is no detail.
    fine = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F)
    return float(fine.std() / max(float(grey.std()), 4.0))


def unmoved(landmarks: Floats) -> Doubles:
    """(478, 2): a face's landmarks on the crop's own scale with place, size and roll taken out."""
    points = landmarks[:, :2].astype(np.float64)
    anchor = points[[33, 263, 1, 61, 291, 152]]
    level = np.array([[50.0, 62], [110, 62], [80, 92], [62, 112], [98, 112], [80, 145]])
    matrix = umeyama(anchor, level)
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


LEAST_SHARE = 0.05
"""A second face in fewer of a clip's frames than this is a mistake of the detector, or a passer-by to be left out."""
# A skull seems to change as the head turns, so only frames of like poses are compared. On seven people, rendered and
# filmed, a fifth of those pairs were nearer than 0.36 cm for parts of one person, and than 0.28 to 0.73 cm for two.
OTHER_CM = 0.40
LIKE_POSE = np.radians(6.0)
LEAST_PAIRS = 20
MOST_COMPARED = 200

_FILM = "film one person alone, looking at the camera, and give those clips"


def one_person(clips: Sequence[ReadClip]) -> Looks:
    """The looks of the one person in all `clips`. Raises ConfigError: no face, two people, different people."""
    chosen: list[tuple[ReadClip, Looks]] = []
    for clip in clips:
        name = printable(clip.name, 60)
        if clip.together > max(2.0, LEAST_SHARE * clip.frames):
            raise ConfigError(f"{name} shows two people at once in {clip.together} of {clip.frames} frames: {_FILM}")
        if not clip.people:
            raise ConfigError(f"no face was found in {name} ({clip.frames} frames looked at): {_FILM}")
        main = clip.people[0]
        parts = [main]
        for other in clip.people[1:]:
            if not _differ(main, other):  # lost and found again
                parts.append(other)
            elif len(other) > LEAST_SHARE * clip.frames:
                raise ConfigError(f"{name} shows two people, the second in {len(other)} frames: {_FILM}")
        chosen.append((clip, joined(parts)))
    first_clip, first = max(chosen, key=lambda pair: len(pair[1]))
    for clip, looks in chosen:
        if looks is not first and _differ(first, looks):
            names = f"{printable(clip.name, 60)} and {printable(first_clip.name, 60)}"
            raise ConfigError(f"{names} show different people: {_FILM}")
    whole = joined([looks for _, looks in chosen])
    return whole[np.lexsort((whole.at_s, whole.clip))]


def _differ(a: Looks, b: Looks) -> bool:
    """True where two skulls are surely not one person's; False where they may be, or cannot be compared."""
    a, b = (looks[np.linspace(0, len(looks) - 1, min(len(looks), MOST_COMPARED)).astype(int)] for looks in (a, b))
    apart = np.linalg.norm(a.pose[:, None, :2] - b.pose[None, :, :2], axis=-1)
    first, second = np.nonzero(apart < LIKE_POSE)
    if len(first) < LEAST_PAIRS:
        return False
    far_cm = np.sqrt(((a.shape[first] - b.shape[second]) ** 2).sum(-1).mean(-1))
    return float(np.percentile(far_cm, 20)) > OTHER_CM

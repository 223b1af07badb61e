"""Renders what the lips learn from: people who hold still and speak for 2/3 s, cut out as the live loop does.

A person's takes are an uncompressed `.npz` without pickles, T takes of 16 pictures each: `frame_jpg` and its offsets
hold T x 16 pictures (160, 160), the first of each take at rest; the middle 128 of them are what the network sees.
`codes` (T, 16, 12): the mouth's shape in each; `lips` (T, 16, 4, 2): corners and middles of the lips in pixels of the
crop; `mel` (T, 80, 120): the sound, whose frame `first` + 3.2 k is where picture k + 1's window begins. `cartoon`;
`seed` = (data seed, person), from which everything follows. Beside them lie the lips as the tracker sees them
(`outlines`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.families.lip_sync.lower_face import FaceBox
from realtime.families.lip_sync.network import LIP_POINTS, lip_outline
from realtime.frame import Floats, Pixels
from realtime.models.library import face_folder
from realtime.tracking.tracker import Tracker
from trained_models.recipes.lip_sync.network import CLOSERS, JAW, actions_of
from trained_models.recipes.lip_sync.spoken import Spoken, any_voice, say
from trained_models.recipes.people.develop import Camera
from trained_models.recipes.people.performance import put
from trained_models.recipes.people.person import PersonSpec, calibration, tracker
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.surroundings import Light, background
from trained_models.recipes.people.topology import topology
from trained_models.recipes.sample_files import decoded, fill_folder, joined, jpeg, read_arrays, use_one_core
from trained_models.training.ema import STOP

SEED = 20266
FIRST_PERSON = 900_000  # people of the takes are counted from here
TAKES, PICTURES = 5, 16
SIDE, SEEN = 160, 128  # of a stored picture, and of the crop in its middle
DRAWN = 256
CARTOONS = 0.3
BAKE_VIEWS = 32
FRAMES_A_PICTURE = 3.2
BEFORE = 24  # mel frames kept before the first window: what a room still echoes
MEL_KEPT = 120
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class SpokenSamples:
    """Decoded: `frames` (T, 16, 160, 160, 3) uint8 BGR; the rest as stored. `outlines` (T, 16, 40, 2): the lips as the
    tracker sees them, in pixels of `frames`, not numbers where it sees none."""

    frames: Pixels
    codes: Floats
    lips: Floats
    outlines: Floats
    mel: Floats
    cartoon: bool


def read_samples(path: Path) -> SpokenSamples:
    """Read and decode one person's; the first time, the tracker looks at them."""
    fields = read_arrays(path)
    frames = np.stack(decoded(fields, "frame_jpg")).reshape(-1, PICTURES, SIDE, SIDE, 3)
    seen = outlines(path, frames)
    return SpokenSamples(frames, fields["codes"], fields["lips"], seen, fields["mel"], bool(fields["cartoon"]))


def window_of(picture: int) -> int:
    """The first mel frame of picture 1 .. 15's window, in a take's `mel`."""
    return BEFORE + int((picture - 1) * FRAMES_A_PICTURE)


class Studio:
    def __init__(self) -> None:
        self.names = topology().actions
        self._renderer = Renderer(DRAWN, DRAWN, 1)

    def film(self, number: int, seed: int, stopped: Callable[[], bool]) -> dict[str, Any] | None:
        """A person's arrays; None if `stopped` said so, or where the tracker finds no face."""
        rng = np.random.default_rng([seed, number])
        cartoon = bool(rng.random() < CARTOONS)
        PersonSpec(FIRST_PERSON + number, cartoon=cartoon).load_into(self._renderer, BAKE_VIEWS)
        drive = calibration(self._renderer).drive
        files: list[bytes] = []
        columns: dict[str, list[Any]] = {"codes": [], "lips": [], "mel": []}
        tries = 0
        while len(columns["codes"]) < TAKES and tries < 2 * TAKES:
            if stopped():
                return None
            tries += 1
            take = self._take(rng, drive, cartoon)
            if take is None:
                continue
            pictures, fields = take
            files += pictures
            for name, column in columns.items():
                column.append(fields[name])
        if not files:
            return None
        data, offsets = joined(files)
        kept = {name: np.stack(column).astype(np.float32) for name, column in columns.items()}
        return {
            **{"frame_jpg": data, "frame_jpg_offsets": offsets, "seed": np.array([seed, number])},
            **{"cartoon": np.bool_(cartoon), **kept},
        }

    def _take(
        self, rng: np.random.Generator, drive: Callable[[Any], Any], cartoon: bool
    ) -> tuple[list[bytes], dict[str, Any]] | None:
        said = say(*any_voice(rng), self.names, lively=float(rng.uniform(0.8, 1.25)))
        while said.mel.shape[1] < MEL_KEPT + 10:
            said = say(*any_voice(rng), self.names, lively=float(rng.uniform(0.8, 1.25)))
        mel, codes = _excerpt(said, rng)
        if rng.random() < 0.15:  # now and then a mouth wide open: not speech, but people do it
            codes[rng.integers(1, PICTURES), JAW] = rng.uniform(0.5, 0.95)
        feeling = _feeling(rng, self.names)
        rot = np.clip(rng.normal(0, [7, 13, 5]), [-20, -38, -16], [20, 38, 16])
        gaze = np.array([-0.8 * rot[1], 0.8 * rot[0]]) + rng.normal(0, 3, 2)
        light, room = Light(int(rng.integers(1 << 31))), background(int(rng.integers(1 << 31)), DRAWN, DRAWN)
        distance, height = rng.uniform(5.5, 10), rng.uniform(2.7, 3.0)
        aside = np.array([0.05 * rng.normal(), 0.06 * rng.normal(), 1.0])
        held: list[Any] = []

        def sight(face: Any) -> tuple[Any, Any]:
            if not held:  # the camera looks at the face at rest, and stays
                held.append(np.array(face) + np.array([0, 0.12, 0]))
            return held[0] + distance * aside, held[0]

        view = float(2 * np.degrees(np.arctan(height / 2 / distance)))
        exposure, matrix = None, None
        files, lips = [], []
        for code in codes:
            actions = actions_of(code, self.names) + feeling * (
                1 - 0.6 * min(float(code[list(CLOSERS)].max()) * 2, 1.0)
            )
            moment = Moment(drive(np.clip(actions, 0, 1.1)), rot, gaze, view, sight, light)
            made = self._renderer.picture(moment, room, Camera(exposure=exposure))
            exposure = made.exposure if exposure is None else exposure
            pixels = np.ascontiguousarray(made.pixels[..., ::-1])
            if matrix is None:
                faces = tracker().find(pixels)
                if not faces:
                    return None
                matrix = FaceBox()(faces[0], 0.0, SEEN)
                matrix[:, 2] += 0.5 * (SIDE - SEEN)
            flags = cv2.INTER_AREA if matrix[0, 0] < 0.7 else cv2.INTER_LINEAR
            cut = cv2.warpAffine(pixels, matrix, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            files.append(jpeg(cut, JPEG_QUALITY))
            lips.append(made.landmarks[3:7] @ matrix[:, :2].T + matrix[:, 2])
        return files, {"codes": codes, "lips": np.stack(lips), "mel": mel}


def _excerpt(said: Spoken, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(80, 120) mel and the (16, 12) codes of a take's pictures, the first at rest."""
    count = said.mel.shape[1]
    start = int(rng.integers(-8, count - MEL_KEPT + BEFORE))
    places = np.arange(start - BEFORE, start - BEFORE + MEL_KEPT)
    inside = (places >= 0) & (places < count)
    mel = np.full((80, MEL_KEPT), -4.0, np.float32)
    mel[:, inside] = said.mel[:, places[inside]]
    codes = np.zeros((PICTURES, said.codes.shape[1]), np.float32)
    for k in range(1, PICTURES):
        at = start - BEFORE + window_of(k)
        if 0 <= at < count:
            codes[k] = said.codes[at]
    return mel, codes


def _feeling(rng: np.random.Generator, names: list[str]) -> Floats:
    """(52,) what the face shows besides, throughout the take."""
    out = np.zeros(len(names), np.float32)

    lot = rng.random()
    if lot < 0.35:
        put(out, names, 1.0, mouthSmile=rng.uniform(0.1, 0.75), cheekSquint=rng.uniform(0, 0.5))
    elif lot < 0.45:
        put(out, names, 1.0, mouthFrown=rng.uniform(0.1, 0.6))
    elif lot < 0.52:
        put(out, names, 1.0, mouthPucker=rng.uniform(0.1, 0.35))
    put(out, names, 1.0, browInnerUp=abs(rng.normal(0, 0.25)), browDown=abs(rng.normal(0, 0.12)))
    if rng.random() < 0.12:
        put(out, names, 1.0, eyeBlink=rng.uniform(0.3, 1))
    return out


def render(data: Path, numbers: Iterable[int], seed: int = SEED) -> Iterator[int]:
    """Render what is missing of these people into `data`/takes; yields each number. In this process, on one core;
    several may share the people. Ends early when `data`/STOP appears."""
    use_one_core()
    studio, stopped = Studio(), (data / STOP).exists
    yield from fill_folder(data / "takes", numbers, lambda number: studio.film(number, seed, stopped), stopped)


ROOM, LARGER = 40, 2  # pixels added round a tight crop and how often it is enlarged, so that the tracker finds the face


def large(picture: Pixels) -> Pixels:
    """Room around a tight crop, so that the tracker finds the face."""
    padded = cv2.copyMakeBorder(picture, ROOM, ROOM, ROOM, ROOM, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(padded, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_LINEAR), np.uint8)


def outline_of(tracker: Tracker, picture: Pixels) -> Floats | None:
    """(40, 2) the lips' outlines in pixels of `picture`, a tight crop; None where the tracker finds no face."""
    faces = tracker.find(large(picture))
    if not faces:
        return None
    back = 1.0 / LARGER  # of pixels' centres: 2 x + 0.5 is where the large one has x
    shift = 0.5 * back - 0.5 - ROOM
    return lip_outline(faces[0].landmarks, np.array([[back, 0.0, shift], [0.0, back, shift]]))


def outlines_path(takes: Path) -> Path:
    return takes.with_name(takes.name.replace("takes_", "lips_")).with_suffix(".npy")


def outlines(takes: Path, frames: Pixels) -> Floats:
    """(T, 16, 40, 2) in pixels of the stored pictures `frames`, not numbers where no face was found; kept for later."""
    path = outlines_path(takes)
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    found = np.full((*frames.shape[:2], len(LIP_POINTS), 2), np.nan, np.float32)
    tracker = Tracker(face_folder(), provider="cpu")
    try:
        for place, picture in zip(np.ndindex(*frames.shape[:2]), frames.reshape(-1, SIDE, SIDE, 3), strict=True):
            outline = outline_of(tracker, picture)
            if outline is not None:
                found[place] = outline
    finally:
        tracker.close()
    np.save(path, found)
    return found

"""Finds bodies and follows them: MediaPipe's BlazePose on our own sessions.

Every constant of the networks is MediaPipe's (its pose detection and pose landmark graphs, 2023). The detector runs
only to find somebody; from then on the landmark network looks where the landmarks of the last frame were. All
coordinates are frame pixels.
"""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.imaging.affine import invert, warp
from realtime.inference.session import Session, opening_networks
from realtime.tracking.face_networks import Region, anchors, merge, rgb_planes, sigmoid
from realtime.tracking.smoothing import MAX_STEP_S, OneEuro

DETECTOR_SIZE = 224
LANDMARK_SIZE = 256
HEAT_CELLS = 64  # the heat maps' side
LANDMARKS = 33  # of a body; the network gives six more, of which two place the next region
CENTRE, EDGE = 33, 34
ROOM = 1.25  # a region is this many times the circle around the body
MIN_SCORE = 0.5
MIN_HEAT = 0.5  # a heat map that is nowhere surer says nothing
REFINED_CELLS = 3  # on each side of the cell that a landmark is in

SEARCH_ALONE = 3  # frames between two runs of the detector while nobody is followed
SEARCH_MORE = 15  # the same while somebody is followed, and more people are wanted
SAME_BODY = 0.35  # of a region's side: two centres that are nearer are one body's

# One Euro of the landmarks (speed in a quarter of the region's sides) and of the metres, chosen on two rendered
# people: angles of arms 1.7 and 1.9° off, a third of a frame late, a still body trembles by 0.14°.
POINTS = (2.5, 12.0, 1.0)
METRES = (2.0, 10.0, 1.0)
SPEED_UNIT = 0.25

NAMES = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
"""MediaPipe's names of the 33 landmarks, in its order; left is the person's own."""

AT = {name: number for number, name in enumerate(NAMES)}


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One person's body in one frame.

    `landmarks` (33, 3) float32 are in frame pixels: z is smaller the nearer, 0 at the hips' middle. `seen` (33,) says
    how likely each is in the picture and not hidden, 0..1. `world` (33, 3) float32 is in metres from the hips' middle:
    x to the right of the picture, y down, z away. `side` is the region's that they were read from, in pixels. `track`
    numbers the people since the start.
    """

    landmarks: Floats
    seen: Floats
    world: Floats
    score: float
    side: float
    track: int = 0


def moved_on(before: Body, now: Body, share: float) -> Body:
    """Where a body is `share` of the time between two readings after the second, if it moves on as it did."""
    landmarks, world = (
        new + np.float32(share) * (new - old)
        for old, new in ((before.landmarks, now.landmarks), (before.world, now.world))
    )
    return replace(now, landmarks=landmarks, world=world)


class BodyNetworks:
    """The two networks in the folder of the `body` bundle, in fp32. Raises ModelError where they cannot run."""

    def __init__(self, folder: Path, provider: str = "auto", threads: int = 1) -> None:
        with opening_networks(provider=provider, precision="fp32", threads=threads) as network:
            self.sessions: tuple[Session, ...] = (network(folder / "detector.onnx"), network(folder / "landmarks.onnx"))
        self._detector, self._landmarks = self.sessions
        self._anchors = anchors(((28, 2), (14, 2), (7, 6)))

    def detect(self, pixels: Pixels) -> list[Region]:
        """Where bodies are in a frame, the surest first."""
        height, width = pixels.shape[:2]
        side = max(width, height)
        whole = Region(width / 2, height / 2, side, side)
        crop = warp(pixels, whole.crop_from_frame(DETECTOR_SIZE), DETECTOR_SIZE, DETECTOR_SIZE)
        out = self._detector.run({"image": rgb_planes(crop, 1 / 127.5) - np.float32(1)})
        scores = sigmoid(np.asarray(out["scores"], np.float32)[0])
        sure = np.flatnonzero(scores >= MIN_SCORE)
        if not len(sure):
            return []
        raw = np.asarray(out["boxes"], np.float32)[0, sure].reshape(-1, 6, 2) / DETECTOR_SIZE
        raw[:, 0] += self._anchors[sure]
        raw[:, 2:] += self._anchors[sure, None]
        shapes = np.concatenate([raw[:, :1] - raw[:, 1:2] / 2, raw[:, :1] + raw[:, 1:2] / 2, raw[:, 2:]], axis=1)
        shift = np.array([(side - width) / 2, (side - height) / 2], np.float32)
        return [region_between(*(shape[2:4] * side - shift)) for shape, _ in merge(shapes, scores[sure])]

    def body(self, pixels: Pixels, region: Region) -> tuple[Body, Region] | None:
        """What the landmark network says of one place, and where to look next; None where there is no body."""
        crop_from_frame = region.crop_from_frame(LANDMARK_SIZE)
        # With black beyond the frame people at a desk, whose hips are below it, are a quarter further off.
        crop = warp(pixels, crop_from_frame, LANDMARK_SIZE, LANDMARK_SIZE, "edge", averaged=False)
        out = self._landmarks.run({"image": rgb_planes(crop, 1 / 255)})
        score = float(np.asarray(out["presence"], np.float32)[0])
        if score < MIN_SCORE:
            return None
        raw = np.array(out["landmarks"], np.float32)[0]
        refine(raw, np.asarray(out["heatmaps"], np.float32)[0])
        frame_from_crop = invert(crop_from_frame)
        placed = raw[:, :2] @ frame_from_crop[:, :2].T + frame_from_crop[:, 2]
        depth = raw[:LANDMARKS, 2] * (region.width / LANDMARK_SIZE)
        landmarks = np.column_stack([placed[:LANDMARKS], depth]).astype(np.float32)
        seen = np.asarray(sigmoid(raw[:LANDMARKS, 3:5]).prod(axis=1), np.float32)
        world = np.array(out["world"], np.float32)[0, :LANDMARKS]
        cos, sin = math.cos(region.turn), math.sin(region.turn)
        world[:, :2] = world[:, :2] @ np.array([[cos, sin], [-sin, cos]], np.float32)
        return Body(landmarks, seen, world, score, region.width), region_between(placed[CENTRE], placed[EDGE])


def region_between(centre: Floats | Doubles, edge: Floats | Doubles) -> Region:
    """Where the landmark network should look: the circle around a body is given by its centre and one point on it.

    The edge's point is above the head of somebody who stands upright, which gives the turn.
    """
    dx, dy = (edge - centre).tolist()
    turn = math.remainder(math.pi / 2 - math.atan2(-dy, dx), 2 * math.pi)
    side = max(2 * math.hypot(dx, dy) * ROOM, 1.0)
    return Region(float(centre[0]), float(centre[1]), side, side, turn)


def refine(landmarks: Floats, heat: Floats) -> None:
    """Move landmarks to their heat maps' centre of mass around them, in place, where a map is sure enough.

    `landmarks` (39, 5) are in pixels of the crop, `heat` (39, 64, 64) are logits. Without it the landmarks are 4 px
    from MediaPipe's and up to 2 px further from the truth.
    """
    cell = LANDMARK_SIZE // HEAT_CELLS
    reach = np.arange(-REFINED_CELLS, REFINED_CELLS + 1)
    cells = np.nan_to_num(np.floor(landmarks[:, :2] / cell), nan=-99.0).clip(-99, 99).astype(int)
    columns, rows = (cells[:, axis, None] + reach for axis in (0, 1))
    inside = ((rows >= 0) & (rows < HEAT_CELLS))[:, :, None] & ((columns >= 0) & (columns < HEAT_CELLS))[:, None, :]
    low, high = (axis.clip(0, HEAT_CELLS - 1) for axis in (rows, columns))
    each = np.arange(len(landmarks))[:, None, None]
    weights = sigmoid(heat[each, low[:, :, None], high[:, None, :]]) * inside
    total = weights.sum(axis=(1, 2))
    sure = (weights.max(axis=(1, 2)) >= MIN_HEAT) & (total > 0)
    for axis, place in ((0, columns[:, None, :]), (1, rows[:, :, None])):
        mean = (weights * place).sum(axis=(1, 2)) / np.maximum(total, 1e-9)
        landmarks[sure, axis] = mean[sure] * cell


@dataclass(slots=True, eq=False)
class _Track:
    """One body followed: where to look next, and the filters of its motion."""

    number: int
    region: Region
    points: OneEuro = field(default_factory=lambda: OneEuro(*POINTS))
    metres: OneEuro = field(default_factory=lambda: OneEuro(*METRES))


class BodyTracker:
    """Called with frames, gives the bodies followed, steadied; for one thread.

    `folder`: the verified `body` bundle. `bodies`: how many people at most. `steadiness`: 0 = unfiltered, 1 = default;
    may be set between frames. Raises ModelError where the networks cannot run.
    """

    def __init__(
        self, folder: Path, *, provider: str = "auto", bodies: int = 1, steadiness: float = 1.0, threads: int = 1
    ) -> None:
        self._networks = BodyNetworks(folder, provider, threads)
        self.sessions = self._networks.sessions
        self.steadiness = steadiness
        self._bodies = bodies
        self._tracks: list[_Track] = []
        self._next, self._wait, self._last_s = 0, 0, -math.inf

    def __call__(self, frame: Frame) -> list[Body]:
        """The bodies of the people followed; empty when none is seen."""
        step_s = frame.time_s - self._last_s
        self._last_s = frame.time_s
        if step_s < 0:  # another source, or the file again
            self._tracks, self._wait = [], 0
        self._wait -= 1
        if len(self._tracks) < self._bodies and self._wait <= 0:
            self._find(frame.pixels)
        found = []
        for track in list(self._tracks):
            seen = self._networks.body(frame.pixels, track.region)
            if seen is None:
                self._tracks.remove(track)
                continue
            body, track.region = seen
            found.append(self._steadied(track, body, step_s if step_s <= MAX_STEP_S else 0.0))
        return found

    def _find(self, pixels: Pixels) -> None:
        """Start to follow the largest bodies that are not followed yet."""
        for region in sorted(self._networks.detect(pixels), key=lambda r: r.width, reverse=True):
            known = any(
                math.hypot(t.region.x - region.x, t.region.y - region.y) < SAME_BODY * max(t.region.width, region.width)
                for t in self._tracks
            )
            if not known and len(self._tracks) < self._bodies:
                self._tracks.append(_Track(self._next, region))
                self._next += 1
        self._wait = SEARCH_MORE if self._tracks else SEARCH_ALONE

    def _steadied(self, track: _Track, body: Body, step_s: float) -> Body:
        unit = SPEED_UNIT * body.side
        landmarks = track.points(body.landmarks.astype(np.float64), step_s, self.steadiness, unit)
        world = track.metres(body.world.astype(np.float64), step_s, self.steadiness)
        return Body(
            landmarks.astype(np.float32), body.seen, world.astype(np.float32), body.score, body.side, track.number
        )

    def close(self) -> None:
        """Free the networks; may be called twice."""
        for session in self.sessions:
            session.close()

"""`masquerade bench quality` for figures: does the drawing move as the driver does?

A clip of `trained_models/recipes/whole_body` has the truth beside it (its form is there): the drawn bones are compared
with the true ones. Its acts are measured one by one, each from a start of its own. Mouth and lids are compared with
the driver's blendshapes on every clip with a face.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.clips import open_clip
from benchmarks.goals import judge
from benchmarks.metrics import Reals, rounded, share
from benchmarks.metrics.acting import BLENDSHAPES, pearson
from benchmarks.rig import frames_of
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError
from realtime.families.figure.drawing import Figure, Place
from realtime.families.figure.effect import FigureEffect
from realtime.families.figure.expression import Expression
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import LIMBS, SIDES, Side, at_rest
from realtime.frame import Frame, Pixels
from realtime.inference.session import report as report_of
from realtime.models.avatar import Avatar
from realtime.models.avatar_loading import choose_avatars, ready_avatars
from realtime.models.bundle import Bundle
from realtime.pipeline.engine import Engine
from realtime.pipeline.parts import open_tracker
from realtime.skeleton import JOINTS
from realtime.tracking.body import BodyTracker

ZOOM_FRAMES = 46  # after a change of view
SETTLES = 6  # frames of an act that are not judged: it begins with a cut, which no camera makes
SEEN_SHARE = 0.45  # of a bone's length in the picture: one that points at the camera has no direction
LAG_FRAMES = np.arange(-1.0, 6.01, 0.1)
SWINGS_DEG = 15.0  # standard deviation of a bone whose lag can be told
DEEPER_M = 0.04  # from the trunk's plane: what is nearer to it is neither before nor behind
SIDEWAYS_DEG = (70.0, 110.0)  # of the turn: between these left and right may be either
PUSHED_RAD = 0.01  # from here on the rule of the head moves an arm
HEAD_PX = 480  # the figure's height where mouth and lids are read
FACE_MOVES = 0.1  # standard deviation of a driver's channel that can be compared
TILES = 12

_BLINKS = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
_JAW = BLENDSHAPES.index("jawOpen")
_BONES = [(limb, start, end) for limb, names in LIMBS.items() for start, end in pairwise(names[:3])]

Say = Callable[[str], object]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A rendered clip's: `joints` (N, K, 3) in metres and `pixels` (N, K, 2) by `names`, and what is done, `act`."""

    names: tuple[str, ...]
    joints: Reals
    pixels: Reals
    act: tuple[str, ...]

    def turned_deg(self, number: int) -> float:
        """How far the person is turned away, 0..180."""
        left, right = (self.joints[number, self.names.index(f"{side}_shoulder")] for side in SIDES)
        return float(abs(np.degrees(np.arctan2(left[2] - right[2], left[0] - right[0]))))

    def point(self, number: int, joint: str) -> Reals:
        return np.asarray(self.pixels[number, self.names.index(joint)])

    def depth(self, number: int, joint: str) -> float:
        return float(self.joints[number, self.names.index(joint), 2])


def open_body_truth(clip: Path) -> Truth | None:
    """What lies beside a clip; None where nothing does, or it says nothing of joints. Raises ConfigError."""
    file = clip.with_suffix(".npz")
    if not file.is_file() or file == clip:
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            if "joints" not in stored.files:
                return None
            joints, pixels = (np.asarray(stored[key], np.float64) for key in ("joints", "pixels"))
            return Truth(tuple(map(str, stored["names"])), joints, pixels, tuple(map(str, stored["act"])))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(f"{file} is no truth of a rendered person: {error}") from error


class Remembered:
    """A tracker that looks at each frame of a clip once, for all figures. Closes nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._known = inner, dict[int, Any]()
        self.sessions, self.steadiness = inner.sessions, inner.steadiness

    def __call__(self, frame: Frame) -> Any:
        if frame.seq not in self._known:
            self._inner.steadiness = self.steadiness
            self._known[frame.seq] = self._inner(frame)
        return self._known[frame.seq]

    def close(self) -> None:
        """Nothing: the tracker is the caller's."""


class FaceReader:
    """Reads how far mouth and lids of a figure are open from pictures of it at rest.

    Shut and open are drawn once: a picture is as far from the one to the other as its pixels are on the way.
    """

    def __init__(self, avatar: Avatar) -> None:
        assert avatar.figure is not None
        rig, folder = avatar.figure.rig, avatar.figure.folder
        scale = HEAD_PX / rig.size[1]
        self._figure, self._folder = Figure(rig, folder, scale), folder
        size = (max(round(rig.size[0] * scale), 1), HEAD_PX)
        self._painter, self._blank = Painter(size), np.full((size[1], size[0], 3), 128, np.uint8)
        self._ways = {
            "mouth": self._way(Expression(), Expression(jaw=1.0)),
            "blinks": self._way(Expression(), Expression(blink=(1.0, 1.0))),
        }

    def _drawn(self, face: Expression) -> Reals:
        picture = self._blank.copy()
        self._figure.draw(picture, self._painter, at_rest(), face, Place(np.zeros(2)), 0.0)
        return picture.astype(np.float64)

    def _way(self, start: Expression, end: Expression) -> tuple[Reals, Reals]:
        return self._settled(start), self._settled(end) - self._settled(start)

    def _settled(self, face: Expression) -> Reals:
        for _ in range(4):  # mouths stay for some pictures
            drawn = self._drawn(face)
        return drawn

    def __call__(self, face: Expression) -> dict[str, float]:
        """0 as at rest, 1 as far as it goes."""
        drawn = self._drawn(face)
        return {
            what: float(((drawn - start) * way).sum() / max(float((way * way).sum()), 1e-9))
            for what, (start, way) in self._ways.items()
        }


@dataclass(slots=True, eq=False)
class Act:
    """What is noted of one act, a row a frame: drawn and true angles by bone, and what they are judged by."""

    name: str
    angles: dict[tuple[Side, str], list[tuple[float, float, bool]]] = field(default_factory=dict)  # drawn, true, judged
    pushed: dict[Side, list[bool]] = field(default_factory=lambda: {"l": [], "r": []})
    order: list[tuple[bool, bool]] = field(default_factory=list)  # drawn behind, truly behind
    joints: list[Reals] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)

    def errors(self, limb: str, *, free: bool = False) -> list[float]:
        """Degrees between drawn and true bones. `free`: without arms that the rule of the head moves."""
        found: list[float] = []
        for (side, start), rows in self.angles.items():
            if start in LIMBS[limb]:
                moved = self.pushed[side]
                found += [
                    abs(np.degrees(_wrapped(drawn - true)))
                    for (drawn, true, judged), away in list(zip(rows, moved, strict=True))[SETTLES:]
                    if judged and not (free and away)
                ]
        return found

    def lags(self) -> list[float]:
        """Frames by which bones that swing come late, where the two fit best."""
        found = []
        for (side, _), rows in self.angles.items():
            drawn, true, judged = (np.array(column) for column in zip(*rows, strict=True))
            if len(rows) < 24 or not judged.all() or any(self.pushed[side]) or np.degrees(np.std(true)) < SWINGS_DEG:
                continue
            drawn, true = np.unwrap(drawn), np.unwrap(true)
            at = np.arange(len(true))
            inner = slice(8, -8)
            away = [np.mean((np.interp(at[inner] - k, at, true) - drawn[inner]) ** 2) for k in LAG_FRAMES]
            found.append(float(LAG_FRAMES[int(np.argmin(away))]))
        return found

    def tremble(self) -> float | None:
        """Mean standard deviation of the drawn arms, in degrees."""
        spreads = [
            np.degrees(np.std(np.unwrap([drawn for drawn, _, _ in rows[2 * SETTLES :]])))
            for (_, start), rows in self.angles.items()
            if start in LIMBS["arm"] and all(judged for _, _, judged in rows)
        ]
        return float(np.mean(spreads)) if spreads else None

    def largest_step(self, size: tuple[int, int]) -> tuple[float, bool]:
        """Of any joint in the picture between two frames, in parts of the figure's own height.

        True with it where the view changes; then of the frames of its zoom alone, in which the driver is still.
        """
        joints = np.array(self.joints[SETTLES:])
        if len(joints) < 2:
            return 0.0, False
        height = np.maximum(np.ptp(joints[..., 1], axis=1), 1.0)
        seen = np.asarray(((joints > 0) & (joints < size)).all(axis=2))
        steps = np.where(seen[1:] & seen[:-1], np.linalg.norm(np.diff(joints, axis=0), axis=2), 0.0)
        steps = steps.max(axis=1) / height[1:]
        changed = np.flatnonzero(np.diff(self.whole[SETTLES:]))
        if len(changed):
            steps = np.concatenate([steps[at : at + ZOOM_FRAMES] for at in changed])
        return float(steps.max()), len(changed) > 0


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _angle(way: Reals) -> float:
    return float(np.arctan2(way[1], way[0]))


class FigureRig:
    """One clip's engine with one figure. Closes nothing."""

    def __init__(self, finder: Any, bodies: Any, avatar: Avatar, settings: Settings, truth: Truth | None) -> None:
        self.effect = FigureEffect([avatar], bodies)
        self._engine = Engine(finder, self.effect, lambda: settings, now_ns)
        self._finder, self._truth, self._read = finder, truth, FaceReader(avatar)
        self.acts: list[Act] = []
        self.faces: list[dict[str, float]] = []
        self.frames = self.failed = self.resting = 0
        self.tiles: list[Pixels] = []
        self._size = (1, 1)

    def work(self, source: Source, frames: int | None) -> None:
        """All frames of a source, or the first `frames`."""
        started = 0.0
        for frame in frames_of(source, frames):
            name = self._truth.act[frame.seq] if self._truth is not None else ""
            if not self.acts or self.acts[-1].name != name:
                self.acts.append(Act(name))
                started = frame.time_s
            self._one(replace(frame, media_s=frame.time_s - started), self.acts[-1])

    def _one(self, frame: Frame, act: Act) -> None:
        result = self._engine(frame)
        self._size = frame.size
        self.frames += 1
        self.failed += result.error is not None
        if result.pixels is None or self.effect.motion is None:
            return
        self.resting += result.resting
        if self.frames % 20 == 1:
            both = [cv2.resize(p, (320, 180), interpolation=cv2.INTER_AREA) for p in (frame.pixels, result.pixels)]
            self.tiles.append(np.asarray(np.vstack(both), np.uint8))
        act.joints.append(np.array([self.effect.drawn[name] for name in JOINTS]))
        act.whole.append(self.effect.pose.whole)
        if self._truth is not None:
            self._compare(frame, act, self._truth)
        if faces := self._finder(frame):
            shown, read = self.effect.expression, faces[0].blendshapes
            pixels = self._read(shown)
            self.faces.append(
                {
                    "jaw": float(read[_JAW]),
                    "lids": float(read[_BLINKS].mean()),
                    "mouth": shown.jaw,
                    "mouth_pixels": pixels["mouth"],
                    "blinks": float(np.mean(shown.blink)),
                    "blinks_pixels": pixels["blinks"],
                }
            )

    def _compare(self, frame: Frame, act: Act, truth: Truth) -> None:
        number, turned = frame.seq, truth.turned_deg(frame.seq)
        either = SIDEWAYS_DEG[0] < turned < SIDEWAYS_DEG[1]
        at = dict(zip(JOINTS, act.joints[-1], strict=True))
        driven = dict(zip(JOINTS, self.effect.motion.joints, strict=True))  # type: ignore[union-attr]
        size = np.array(frame.size)
        for side in SIDES:
            mine = side if turned < 90 else ("r" if side == "l" else "l")
            act.pushed[side].append(abs(self.effect.pushed[side]) > PUSHED_RAD)
            for limb, start, end in _BONES:
                a, b = (truth.point(number, f"{mine}_{joint}") for joint in (start, end))
                flat = b - a
                full = np.subtract(
                    *(truth.joints[number, truth.names.index(f"{mine}_{joint}")] for joint in (end, start))
                )
                seen = float(np.hypot(*full[:2]) / np.linalg.norm(full)) > SEEN_SHARE
                inside = all((p > 0).all() and (p < size).all() for p in (a, b))
                judged = seen and inside and not either and bool(np.isfinite(driven[f"{side}_{end}"]).all())
                judged = judged and (limb == "arm" or self.effect.pose.whole)
                drawn = at[f"{side}_{end}"] - at[f"{side}_{start}"]
                act.angles.setdefault((side, start), []).append((_angle(drawn), _angle(flat), judged))
            if len(act.whole) > SETTLES and not either:
                behind = _behind(truth, number, mine)
                if behind is not None:
                    act.order.append((self.effect.pose.order[f"{side}_arm"] < 0, behind))

    def figures(self, name: str, avatar: str) -> dict[str, Any]:
        """The clip's figures as the JSON file has them."""
        found: dict[str, Any] = {
            "clip": name,
            "avatar": avatar,
            "frames": self.frames,
            "failed": self.failed,
            "resting": self.resting,
        }
        if self._truth is None:
            missing = {"missing": "the clip has no truth beside it"}
            found |= dict.fromkeys(("bones", "lag_frames", "jitter_deg", "order"), missing)
        else:
            found |= self._of_bodies()
        steps = [act.largest_step(self._size) for act in self.acts]
        views = [step for step, changed in steps if changed]
        found["view_step"] = {
            "changes": len(views),
            "largest_percent": rounded(100 * max(views), 2) if views else None,
            "largest_elsewhere_percent": rounded(100 * max((s for s, changed in steps if not changed), default=0.0), 2),
        }
        found["face"] = self._of_face()
        return {**found, "goals": judge(found, "figure")}

    def _of_bodies(self) -> dict[str, Any]:
        by_act = {}
        pools: dict[str, list[float]] = {"arms": [], "arms_free": [], "legs": []}
        for act in self.acts:
            kinds = {"arms": act.errors("arm"), "arms_free": act.errors("arm", free=True), "legs": act.errors("leg")}
            by_act[act.name] = {kind: _spread(values) for kind, values in kinds.items()}
            for kind, values in kinds.items():
                pools[kind] += values
        lags = [lag for act in self.acts for lag in act.lags()]
        order = [pair for act in self.acts for pair in act.order]
        still = {act.name: act.tremble() for act in self.acts if act.name.startswith("still")}
        return {
            "bones": {kind: _spread(values) for kind, values in pools.items()} | {"acts": by_act},
            "lag_frames": {"bones": len(lags), "mean": rounded(float(np.mean(lags)), 2) if lags else None},
            "jitter_deg": {"whole": rounded(still.get("still")), "desk": rounded(still.get("still_desk"))},
            "order": {
                "arms": len(order),
                "right": share(sum(drawn == true for drawn, true in order), len(order)),
                "acts": {
                    act.name: share(sum(drawn == true for drawn, true in act.order), len(act.order))
                    for act in self.acts
                },
            },
        }

    def _of_face(self) -> dict[str, Any]:
        if not self.faces:
            return {"missing": "no face was read"}
        series = {key: np.array([face[key] for face in self.faces]) for key in self.faces[0]}
        found: dict[str, Any] = {"frames": len(self.faces)}
        for what, by in (("mouth", "jaw"), ("blinks", "lids")):
            moves = series[by].std() >= FACE_MOVES
            for kind, suffix in (("parameters", ""), ("pixels", "_pixels")):
                found[f"{what}_{kind}_r"] = rounded(pearson(series[by], series[what + suffix])) if moves else None
        return found

    def sheet(self) -> "FigureSheet":
        return FigureSheet(self.tiles)


def _behind(truth: Truth, number: int, side: Side) -> bool | None:
    """Whether a forearm passes behind the trunk; None where it is beside it, or as deep as it is."""
    corners = [truth.point(number, joint) for joint in ("l_shoulder", "r_shoulder", "r_hip", "l_hip")]
    outline = cv2.convexHull(np.array(corners, np.float32))
    wrist = (truth.point(number, f"{side}_wrist") + truth.point(number, f"{side}_hand")) / 2
    if cv2.pointPolygonTest(outline, tuple(wrist.tolist()), False) < 0:
        return None
    trunk = np.mean([truth.depth(number, joint) for joint in ("l_shoulder", "r_shoulder", "r_hip", "l_hip")])
    deeper = truth.depth(number, f"{side}_wrist") - float(trunk)
    return None if abs(deeper) < DEEPER_M else deeper > 0


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and ninth tenth of errors in degrees."""
    if not values:
        return {"bones": 0, "median": None, "p90": None}
    return {
        "bones": len(values),
        "median": rounded(float(np.median(values)), 2),
        "p90": rounded(float(np.percentile(values, 90)), 2),
    }


@dataclass(frozen=True, slots=True, eq=False)
class FigureSheet:
    """A contact sheet: the driver above the figure, at even steps."""

    tiles: Sequence[Pixels]

    def picture(self) -> Pixels | None:
        """BGR; None of no picture."""
        if not self.tiles:
            return None
        even = np.linspace(0, len(self.tiles) - 1, min(TILES, len(self.tiles))).round().astype(int)
        chosen = [self.tiles[number] for number in even]
        chosen += [np.zeros_like(chosen[0])] * (-len(chosen) % 4)
        rows = [np.hstack(chosen[start : start + 4]) for start in range(0, len(chosen), 4)]
        return np.asarray(np.vstack(rows), np.uint8)


def move_figures(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    spec: str | None,
    *,
    frames: int | None,
    say: Say,
    **_: Any,
) -> tuple[dict[str, Any], list[Any]]:
    """(the report's part, a contact sheet a clip and figure): every clip moves every figure that `spec` names."""
    found: list[dict[str, Any]] = []
    sheets: list[Any] = []
    avatars = ready_avatars(choose_avatars(spec, figures=True), None)
    ran: Mapping[str, str] = {}
    for clip in clips:
        with ExitStack() as parts:
            finder = Remembered(parts.enter_context(closing(open_tracker(config))))
            bodies = Remembered(parts.enter_context(closing(BodyTracker(bundle.folder, provider=config.provider))))
            truth = open_body_truth(clip)
            for avatar in avatars:
                rig = FigureRig(finder, bodies, avatar, config.settings(), truth)
                with closing(open_clip(clip, config.size)) as source:
                    rig.work(source, frames)
                found.append(rig.figures(clip.name, avatar.name))
                sheets.append(rig.sheet())
                say(f"{clip.name} moves {avatar.name}: {rig.frames} frames, {rig.failed} failed")
            ran = {name: report_of(part.sessions).provider for name, part in (("detect", finder), ("body", bodies))}
    return {
        "family": "figure",
        "avatars": [avatar.name for avatar in avatars],
        "providers": dict(ran),
        "precision": {"detect": "fp32", "body": "fp32"},
        "clips": found,
    }, sheets

"""Recorded motion as a source: a file of `--record-motion` (.npz), or a BVH file. Its pictures are empty."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from realtime.capture.synthetic import CountedSource
from realtime.clock import Clock, now_ns
from realtime.errors import ConfigError
from realtime.frame import Doubles, Floats, Frame, Pixels
from realtime.skeleton import BEFORE, JOINTS, Moment
from realtime.text import printable

SUFFIXES = (".npz", ".bvh")
SIZE = (1280, 720)  # the picture that a BVH file's joints are placed in
MOST_BYTES = 512 << 20
MOST_FRAMES = 1_000_000
_TALL = 0.85  # of the picture: a BVH file's person
_FRONT_SAMPLES = 30  # frames over which it is found which way somebody looks

# What BVH files call our joints, without case, spaces, prefixes and punctuation; `*` is left or right, l or r.
BVH_NAMES = {
    "hips": ("hips", "hip", "pelvis", "root"),
    "neck": ("neck", "neck1", "spine3", "chest", "spine2"),
    "head": ("head",),
    "shoulder": ("*arm", "*shldr", "*shoulder", "*upperarm", "*uparm"),
    "elbow": ("*forearm", "*lowerarm", "*elbow", "*lowarm"),
    "wrist": ("*hand", "*wrist"),
    "hip": ("*upleg", "*thigh", "*hip", "*upperleg"),
    "knee": ("*leg", "*shin", "*knee", "*lowerleg", "*lowleg"),
    "ankle": ("*foot", "*ankle"),
    "toe": ("*toebase", "*toe", "*toes"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """`joints` (N, 19, 2) float32 in pixels of a picture of `size`, NaN at rest, `rate_hz` times a second.

    `blendshapes` (N, 52) float32, rows of NaN where no face was seen; `whole` (N,) bool.
    """

    joints: Floats
    blendshapes: Floats
    whole: np.ndarray
    rate_hz: float
    size: tuple[int, int]

    @property
    def longest(self) -> Floats:
        """(19,): the most that each joint is ever away from the one before it; NaN where that is never known."""
        far = np.full(len(JOINTS), np.nan, np.float32)
        for end, start in BEFORE.items():
            a, b = JOINTS.index(start), JOINTS.index(end)
            lengths = np.linalg.norm(self.joints[:, b] - self.joints[:, a], axis=1)
            if np.isfinite(lengths).any():
                far[b] = np.nanpercentile(lengths, 98)
        return far


class MotionFile(CountedSource):
    """Plays a motion, one moment a frame. Obeys `Source`; reads never block. Raises ConfigError."""

    def __init__(self, path: Path, clock: Clock = now_ns) -> None:
        self._motion = read_motion(path)
        self._longest = self._motion.longest
        self._empty = np.zeros((self._motion.size[1], self._motion.size[0], 3), np.uint8)
        self.name = path.name
        super().__init__(self._motion.size, self._motion.rate_hz, len(self._motion.joints), clock)

    def read(self) -> Frame | None:
        """The next moment, on an empty picture; None at the end."""
        position = self._seq - self._start
        frame = super().read()
        if frame is None:
            return None
        motion = self._motion
        face = motion.blendshapes[position]
        seen = face if np.isfinite(face).all() else None
        return replace(frame, motion=Moment(motion.joints[position], seen, bool(motion.whole[position]), self._longest))

    def _picture(self, seq: int) -> Pixels:
        return self._empty


def is_motion_file(path: Path) -> bool:
    """True where a file's name says that it holds motion."""
    return path.suffix.lower() in SUFFIXES


def read_motion(path: Path) -> Motion:
    """The motion in a file. Raises ConfigError, in one line."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{printable(path)} is larger than 512 MB: cut the motion into shorter files")
        return _read_bvh(path) if path.suffix.lower() == ".bvh" else _read_npz(path)
    except OSError as error:
        raise ConfigError(f"{printable(path)} cannot be read ({error.strerror}): check the path") from error


def _read_npz(path: Path) -> Motion:
    try:
        with np.load(path, allow_pickle=False) as stored:
            times, joints, names, view, blendshapes = (
                stored[key] for key in ("time_s", "joints", "joint_names", "view", "blendshapes")
            )
            size = tuple(int(side) for side in stored["size"]) if "size" in stored.files else SIZE
    except (KeyError, ValueError, EOFError, MemoryError, OSError) as error:
        raise ConfigError(f"{printable(path)} is no recorded motion: give a file of --record-motion") from error
    count = len(times)
    fits = joints.shape == (count, len(JOINTS), 2) and blendshapes.shape == (count, 52) and view.shape == (count,)
    if not fits or not 0 < count <= MOST_FRAMES or tuple(map(str, names)) != JOINTS:
        raise ConfigError(f"{printable(path)} is no recorded motion of 19 joints: record it again")
    steps = np.diff(times.astype(np.float64))
    if not np.isfinite(times).all() or (steps <= 0).any() or not all(16 <= side <= 7680 for side in size):
        raise ConfigError(f"{printable(path)} has times or a size that cannot be: record it again")
    rate_hz = float(np.clip(1 / np.median(steps), 1, 240)) if len(steps) else 30.0
    # A live run's pictures are not evenly spaced: each moment of the play is the nearest one recorded.
    at = times[0] + np.arange(round((times[-1] - times[0]) * rate_hz) + 1) / rate_hz
    nearest = np.abs(np.searchsorted(times, at)).clip(0, count - 1)
    earlier = (nearest - 1).clip(0)
    nearest = np.where(np.abs(times[earlier] - at) < np.abs(times[nearest] - at), earlier, nearest)
    whole = np.array([str(v) == "whole" for v in view])
    return Motion(
        joints[nearest].astype(np.float32),
        blendshapes[nearest].astype(np.float32),
        whole[nearest],
        rate_hz,
        (size[0], size[1]),
    )


@dataclass(slots=True)
class _Bone:
    name: str
    parent: int
    offset: Doubles
    channels: list[str] = field(default_factory=list)


def _read_bvh(path: Path) -> Motion:
    """A BVH file (Biovision hierarchy): its joints seen from the front, as large as the picture allows."""
    wrong = ConfigError(f"{printable(path)} is no whole BVH file: export it again")
    try:
        words = iter(path.read_text(encoding="utf-8", errors="replace").split())
        bones = _hierarchy(words)
        if next(words) != "Frames:":
            raise wrong
        count = int(next(words))
        if [next(words), next(words)] != ["Frame", "Time:"]:
            raise wrong
        step_s = float(next(words))
        channels = sum(len(bone.channels) for bone in bones)
        if not (0 < count <= MOST_FRAMES and step_s > 0 and channels):
            raise wrong
        values = np.fromiter(map(float, words), np.float64, count * channels).reshape(count, channels)
    except (StopIteration, ValueError, IndexError, RecursionError) as error:
        raise wrong from error
    if not np.isfinite(values).all():
        raise wrong
    every = max(round(1 / (60 * step_s)), 1)  # files of 120 Hz and more are thinned
    values, step_s = values[::every], step_s * every
    return _seen_from_the_front(_named(_places(bones, values), [bone.name for bone in bones], path), 1 / step_s)


def _hierarchy(words: Iterator[str]) -> list[_Bone]:
    """The bones, parents first; a leaf's end is a bone without channels. Raises ValueError, StopIteration."""
    bones: list[_Bone] = []
    open_bones: list[int] = []
    if next(words) != "HIERARCHY":
        raise ValueError("no hierarchy")
    while (word := next(words)) != "MOTION":
        if word in ("ROOT", "JOINT", "End"):
            name = next(words)
            if next(words) != "{" or len(bones) > 2000:
                raise ValueError("no block")
            parent = open_bones[-1] if open_bones else -1
            bones.append(_Bone(f"{bones[parent].name} end" if word == "End" else name, parent, np.zeros(3)))
            open_bones.append(len(bones) - 1)
        elif word == "OFFSET":
            bones[open_bones[-1]].offset = np.array([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            bones[open_bones[-1]].channels = [next(words).lower() for _ in range(int(next(words)))]
        elif word == "}":
            open_bones.pop()
        else:
            raise ValueError("an unknown word")
    return bones


def _places(bones: list[_Bone], values: Doubles) -> Doubles:
    """(N, bones, 3): where each bone begins, in the file's own units and axes (y up)."""
    count = len(values)
    places = np.zeros((count, len(bones), 3))
    turns = np.zeros((count, len(bones), 3, 3))
    column = 0
    for i, bone in enumerate(bones):
        shift = np.broadcast_to(bone.offset, (count, 3)).copy()
        turn = np.broadcast_to(np.eye(3), (count, 3, 3))
        for channel in bone.channels:
            axis, given = "xyz".index(channel[0]), values[:, column]
            column += 1
            if channel.endswith("position"):
                shift[:, axis] = given
            else:
                turn = turn @ _about(axis, np.radians(given))
        if bone.parent < 0:
            places[:, i], turns[:, i] = shift, turn
        else:
            parent = turns[:, bone.parent]
            places[:, i] = places[:, bone.parent] + np.einsum("nij,nj->ni", parent, shift)
            turns[:, i] = parent @ turn
    return places


def _about(axis: int, angles: Doubles) -> Doubles:
    """(N, 3, 3): rotations about one axis."""
    cos, sin = np.cos(angles), np.sin(angles)
    turn = np.zeros((len(angles), 3, 3))
    b, c = (axis + 1) % 3, (axis + 2) % 3
    turn[:, axis, axis] = 1
    turn[:, b, b], turn[:, c, c], turn[:, b, c], turn[:, c, b] = cos, cos, -sin, sin
    return turn


def _named(places: Doubles, names: list[str], path: Path) -> Doubles:
    """(N, 19, 3): our joints, NaN where the file has none. Raises ConfigError where it has no arms or legs."""
    plain = ["".join(c for c in name.rpartition(":")[2].lower() if c.isalnum()) for name in names]
    found = np.full((len(places), len(JOINTS), 3), np.nan)
    missing = []
    for k, joint in enumerate(JOINTS):
        side, _, part = joint.rpartition("_")
        patterns = BVH_NAMES.get(part, ())
        if side:
            words = ("left", "l") if side == "l" else ("right", "r")
            tried = [pattern.replace("*", word) for pattern in patterns for word in words]
        else:
            tried = list(patterns)
        at = next((plain.index(name) for name in tried if name in plain), None)
        if at is not None:
            found[:, k] = places[:, at]
        elif part not in ("hand", "toe", "head"):
            missing.append(joint)
    if missing:
        raise ConfigError(
            f"{printable(path)} has no joints for {', '.join(missing[:4])}: name them as motion capture does"
        )
    return found


def _seen_from_the_front(places: Doubles, rate_hz: float) -> Motion:
    """The joints in a picture, the person turned so that they begin facing the camera."""
    left, right = JOINTS.index("l_shoulder"), JOINTS.index("r_shoulder")
    across = (places[:_FRONT_SAMPLES, left] - places[:_FRONT_SAMPLES, right]).mean(axis=0)
    turn = _about(1, np.array([np.arctan2(across[2], across[0])]))[0]
    seen = places @ turn.T
    ankles = [JOINTS.index("l_ankle"), JOINTS.index("r_ankle")]
    top = np.nanmax(seen[:, :, 1], axis=1)
    tall = float(np.percentile(top - np.nanmin(seen[:, ankles, 1], axis=1), 90))
    scale = _TALL * SIZE[1] / max(tall, 1e-6)
    hips = seen[:, :1]
    middle = hips[:1] * (1, 0, 1)
    flat = (seen - middle)[:, :, :2] * (scale, -scale)
    floor = float(np.percentile(np.nanmax(flat[:, ankles, 1], axis=1), 90))
    joints = (flat + (SIZE[0] / 2, 0.95 * SIZE[1] - floor)).astype(np.float32)
    count = len(joints)
    return Motion(joints, np.full((count, 52), np.nan, np.float32), np.ones(count, bool), rate_hz, SIZE)

"""The scenes in which a face may leave unreplaced, made from seeds: people, posters, sizes and light differ."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import cv2
import numpy as np

from benchmarks.leak.people import PEOPLE, TURNING, Look, filmed, person, poster, toned, turning
from benchmarks.leak.scenes import Actor, Path, Place, Scene, hand_look
from realtime.imaging.affine import Matrix

WHITE, BLACK = (238, 240, 242), (24, 22, 20)


class Casting:
    """Draws what a scene is made of from a seed. `frames`: how long it is."""

    def __init__(self, seed: int, frames: int) -> None:
        self.seed, self.frames = seed, frames
        self.rng = np.random.default_rng(seed)
        self._free = [PEOPLE[n] for n in self.rng.permutation(len(PEOPLE))]

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def moment(self, low: float, high: float) -> int:
        """A frame between two parts of the scene."""
        return round(self.uniform(low, high) * self.frames)

    def look(self) -> Look:
        """Somebody who is not in the scene yet, in a light of their own."""
        return toned(person(self._free.pop()), self.uniform(-0.06, 0.06), self.uniform(0.8, 1.1))

    def person(self, path: Path, **more: Any) -> Actor:
        return Actor(self.look(), path, offset=int(self.rng.integers(200)), mirrored=self.rng.random() < 0.5, **more)

    def printed(self, path: Path, **more: Any) -> Actor:
        look = toned(poster(int(self.rng.integers(40))), self.uniform(-0.1, 0.1), self.uniform(0.6, 1.1))
        return Actor(look, path, living=False, rim=WHITE if self.rng.random() < 0.6 else None, **more)

    def wall_poster(self, side: float) -> Actor:
        """A poster at the left (0) or right (1) of the picture."""
        place = Place(0.2 + 0.6 * side, self.uniform(0.28, 0.4), self.uniform(0.18, 0.42), self.uniform(-4, 4))
        return self.printed(lambda frame: place)

    def scene(self, actors: list[Actor], **more: Any) -> Scene:
        gain, pulse = self.uniform(0.75, 1.1), self.uniform(0, 0.12)

        def light(frame: int) -> float:
            return float(gain * (1 + pulse * np.sin(frame / 11)))

        return Scene(actors, seed=self.seed, **{"light": light, **more})


def stays(place: Place, sway: float = 0.012) -> Path:
    """In one place, as living people are: swaying a little."""
    return lambda frame: place._replace(x=place.x + sway * np.sin(frame / 9), y=place.y + sway * np.sin(frame / 13 + 1))


def between(path: Path, first: int = 0, last: int = 10**9) -> Path:
    """There from frame `first` up to `last` only."""
    return lambda frame: path(frame) if first <= frame < last else None


def moves(a: Place, b: Place, first: int, last: int) -> Callable[[int], Place]:
    """From one place to another between two frames, at rest before and after."""

    def path(frame: int) -> Place:
        share = float(np.clip((frame - first) / max(1, last - first), 0, 1))
        return Place(*(x + share * (y - x) for x, y in zip(a, b, strict=True)))

    return path


def then(path: Path, after: Path, start: int) -> Path:
    """One path, and another from frame `start` on."""
    return lambda frame: path(frame) if frame < start else after(frame)


def beside(c: Casting, side: float) -> Place:
    return Place(0.26 + 0.48 * side, c.uniform(0.45, 0.58), c.uniform(0.3, 0.5), c.uniform(-6, 6))


def poster_first(c: Casting) -> Scene:
    side = float(c.rng.integers(2))
    at, start = beside(c, 1 - side), c.moment(0.15, 0.35)
    walks = moves(at._replace(x=-0.3 if side else 1.3), at, start, start + int(c.rng.integers(2, 20)))
    return c.scene([c.wall_poster(side), c.person(between(walks, start))])


def person_first(c: Casting) -> Scene:
    side, start = float(c.rng.integers(2)), c.moment(0.15, 0.4)
    shown = c.wall_poster(side)
    held = replace(shown, path=between(shown.path, start))
    return c.scene([held, c.person(stays(beside(c, 1 - side)))])


def crossing(c: Casting) -> Scene:
    a, b = beside(c, 0), beside(c, 1)
    start, last = c.moment(0.15, 0.25), c.moment(0.6, 0.85)
    return c.scene(
        [c.person(moves(a, a._replace(x=b.x), start, last)), c.person(moves(b, b._replace(x=a.x), start, last))]
    )


def behind(c: Casting) -> Scene:
    far = c.uniform(0.12, 0.22)
    y, start = c.uniform(0.2, 0.3), c.moment(0.1, 0.3)
    passing = moves(Place(1.15, y, far), Place(-0.15, y, far), start, c.moment(0.8, 1.0))
    return c.scene([c.person(passing), c.person(stays(Place(c.uniform(0.4, 0.6), 0.55, c.uniform(0.35, 0.5))))])


def telephone(c: Casting) -> Scene:
    """A face on a telephone that is held up and moved about."""
    size, start = c.uniform(0.14, 0.24), c.moment(0.15, 0.3)
    up = moves(Place(0.8, 1.3, size), Place(0.8, 0.55, size, 10), start, start + 8)

    def path(frame: int) -> Place:
        at = up(frame)
        return at._replace(
            x=at.x + 0.05 * np.sin(frame / 5), y=at.y + 0.04 * np.sin(frame / 7), turn_deg=8 * np.sin(frame / 6)
        )

    shown = replace(c.printed(path), rim=BLACK)
    if c.rng.random() < 0.5:  # a call: the face on it moves
        shown = replace(c.person(path), rim=BLACK)
    return c.scene([c.person(stays(Place(0.38, 0.5, c.uniform(0.35, 0.5)))), shown])


def mirror(c: Casting) -> Scene:
    me = c.person(stays(Place(0.33, 0.52, c.uniform(0.38, 0.5))))
    seen = Place(0.78, 0.42, c.uniform(0.2, 0.32))
    image = replace(me, path=stays(seen, 0.008), mirrored=not me.mirrored, rim=(170, 180, 186))
    return c.scene([image, me])


def profile(c: Casting) -> Scene:
    """Somebody looks aside and turns to the camera, and away again; some come in doing so."""
    at = beside(c, float(c.rng.integers(2)))
    look = toned(turning(int(c.rng.integers(len(TURNING)))), c.uniform(-0.06, 0.06), c.uniform(0.8, 1.1))
    path = stays(at) if c.rng.random() < 0.5 else moves(at._replace(x=1.3 if at.x > 0.5 else -0.3), at, 0, 20)
    return c.scene([*_other_poster(c, at), Actor(look, path, mirrored=c.rng.random() < 0.5)])


def _other_poster(c: Casting, at: Place) -> list[Actor]:
    return [c.wall_poster(0.0 if at.x > 0.5 else 1.0)] if c.rng.random() < 0.5 else []


def hand(c: Casting) -> Scene:
    """A hand before the face, and away again."""
    at = Place(c.uniform(0.4, 0.6), 0.5, c.uniform(0.35, 0.5))
    low, start = at._replace(y=1.5), c.moment(0.0, 0.25)
    over = at._replace(y=at.y + c.uniform(-0.05, 0.1))
    up, down = moves(low, over, start, start + 6), moves(over, low, start + 25, start + 25 + int(c.rng.integers(2, 12)))
    return c.scene([c.person(stays(at)), Actor(hand_look(), then(up, down, start + 25), living=None)])


def cut(c: Casting) -> Scene:
    """A hard cut to somebody else, in the same place or another, and back."""
    at, first, last = beside(c, 0.5), c.moment(0.25, 0.4), c.moment(0.6, 0.8)
    then = at if c.rng.random() < 0.5 else beside(c, float(c.rng.integers(2)))
    me = c.person(lambda frame: None if first <= frame < last else at)
    return c.scene([me, c.person(between(stays(then), first, last))])


def first_frame(c: Casting) -> Scene:
    """Somebody is there from the first picture on, with or without a poster."""
    at = beside(c, float(c.rng.integers(2)))
    return c.scene([*_other_poster(c, at), c.person(stays(at))])


def model_switch(c: Casting) -> Scene:
    at = beside(c, 1.0)
    names = ["amos", "fern", "ada"]
    times = [c.moment(0.2, 0.3), c.moment(0.45, 0.55), c.moment(0.7, 0.8)]
    changes = {time: {"model": name} for time, name in zip(times, names, strict=True)}
    return c.scene([c.wall_poster(0.0), c.person(stays(at))], changes=changes)


def avatar_switch(c: Casting) -> Scene:
    """From a swap to a picture that moves, to another, and back."""
    times = [c.moment(0.15, 0.25), c.moment(0.45, 0.55), c.moment(0.7, 0.8)]
    steps = [{"model": "motion", "avatar": "otto"}, {"avatar": "yuki"}, {"model": "ada"}]
    return c.scene([c.person(stays(beside(c, 0.5)))], changes=dict(zip(times, steps, strict=True)))


def panic(c: Casting) -> Scene:
    times = sorted(c.rng.choice(np.arange(2, c.frames - 2), 6, replace=False).tolist())
    changes = {time: {"panic": n % 2 == 0} for n, time in enumerate(times)}
    moves_at = moves(beside(c, 0), beside(c, 1), times[0], times[-1])
    return c.scene([c.person(moves_at)], changes=changes)


def page(c: Casting) -> Scene:
    """With the page open; its settings are changed as a user would."""
    changes: dict[int, dict[str, Any]] = {
        c.moment(0.2, 0.3): {"on_miss": "blur"},
        c.moment(0.4, 0.5): {"mask_blur": 60, "sharpen": 0},
        c.moment(0.6, 0.7): {"on_miss": "card", "mirror": False},
        c.moment(0.75, 0.85): {"on_miss": "hold", "mask_blur": 12},
    }
    start = c.moment(0.3, 0.5)
    return c.scene(
        [between_actor(c.wall_poster(0.0), start), c.person(stays(beside(c, 1.0)))],
        changes=changes,
        options={"output": ("page", "null")},
    )


def between_actor(actor: Actor, first: int) -> Actor:
    return replace(actor, path=between(actor.path, first))


def size_changes(c: Casting) -> Scene:
    """The source's pictures change their size and shape."""
    first, last = c.moment(0.3, 0.4), c.moment(0.6, 0.7)
    other = [(480, 360), (320, 180), (960, 540), (360, 640)][int(c.rng.integers(4))]
    return c.scene(
        [c.wall_poster(0.0), c.person(stays(beside(c, 1.0)))],
        size_at=lambda frame: other if first <= frame < last else None,
    )


def occlusion(c: Casting) -> Scene:
    """A second face comes before the first, stays, and goes."""
    at = beside(c, 0.5)
    front = at._replace(height=at.height * c.uniform(0.9, 1.3), y=at.y + 0.06)
    start, last = c.moment(0.15, 0.3), c.moment(0.55, 0.8)
    comes, goes = (
        moves(front._replace(x=-0.3), front, start, start + 10),
        moves(front, front._replace(x=1.3), last, last + 10),
    )
    return c.scene([c.person(stays(at)), c.person(then(comes, goes, last))])


def colleague(c: Casting) -> Scene:
    """The user goes, a colleague stays and is followed; the user comes back."""
    side = float(c.rng.integers(2))
    me, other = beside(c, side), beside(c, 1 - side)
    gone, back = c.moment(0.2, 0.25), c.moment(0.65, 0.75)
    user = then(between(stays(me), 0, gone), between(stays(me), back), back)
    return c.scene([c.person(user), c.person(between(stays(other), c.moment(0.1, 0.3)))])


def leaning_out(c: Casting) -> Scene:
    """`--faces 2`: one of two leans out of the picture and back."""
    a, b = Place(0.27, 0.5, c.uniform(0.3, 0.42)), Place(0.73, 0.5, c.uniform(0.3, 0.42))
    first, last = c.moment(0.2, 0.3), c.moment(0.6, 0.7)
    out, back = (
        moves(b, b._replace(x=1.02, turn_deg=20), first, first + 15),
        moves(b._replace(x=1.02, turn_deg=20), b, last, last + 8),
    )
    return c.scene([c.person(stays(a)), c.person(then(out, back, last))], options={"faces": 2})


def shaking(c: Casting) -> Scene:
    """A camera that is shaken hard: the face is elsewhere in every picture."""
    strength, rng = c.uniform(0.03, 0.12), np.random.default_rng(c.seed)
    first, last = c.moment(0.2, 0.3), c.moment(0.7, 0.9)
    shift = rng.normal(0, strength, (c.frames, 2)) * (640, 360)
    turn = np.deg2rad(rng.normal(0, 60 * strength, c.frames))

    def camera(frame: int) -> Matrix | None:
        if not first <= frame < last:
            return None
        cos, sin = np.cos(turn[frame]), np.sin(turn[frame])
        middle = np.array([320.0, 180.0])
        rotation = np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([rotation, middle - rotation @ middle + shift[frame]])

    return c.scene(
        [
            c.person(stays(Place(0.5, 0.5, c.uniform(0.3, 0.45)))),
        ],
        camera=camera,
    )


def upside_down(c: Casting) -> Scene:
    """Somebody hangs over, or the camera does, in a moment, slowly, or from the first picture on."""
    angle, start = c.uniform(100, 260), c.moment(0.2, 0.4)
    at = Place(0.5, 0.5, c.uniform(0.3, 0.45))
    turned = at._replace(turn_deg=angle)
    quick = int(c.rng.choice([1, 10, 30]))
    over = stays(turned) if c.rng.random() < 0.4 else moves(at, turned, start, start + quick)
    return c.scene([*(_other_poster(c, at)), c.person(over)])


def misfit(c: Casting) -> Scene:
    """The landmarks do not fit the face: too small, too low, or somewhere else."""
    scale, down = [(0.5, 0.0), (1.0, 0.5), (0.5, 0.5), (1.0, 1.2), (1.6, 0.0), (0.7, -0.4)][int(c.rng.integers(6))]
    first, last = c.moment(0.0, 0.3), c.moment(0.6, 1.0)

    def faulty(parts: Any) -> None:
        parts.tracker = Misfit(parts.tracker, scale, down, first, last)

    return c.scene([c.person(stays(beside(c, 0.5)))], faulty=faulty)


class Misfit:
    """A face tracker whose landmarks are scaled, and moved down by parts of the face, from one frame to another."""

    def __init__(self, tracker: Any, scale: float, down: float, first: int, last: int) -> None:
        self._tracker, self.sessions = tracker, tracker.sessions
        self._scale, self._down, self._span = scale, down, range(first, last)
        self.steadiness = 1.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    def __call__(self, frame: Any) -> list[Any]:
        faces = self._tracker(frame)
        if frame.seq not in self._span:
            return list(faces)
        return [replace(face, landmarks=self._moved(face.landmarks)) for face in faces]

    def _moved(self, landmarks: Any) -> Any:
        low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
        moved = landmarks.copy()
        middle = (low + high) / 2
        moved[:, :2] = middle + self._scale * (landmarks[:, :2] - middle) + (0, self._down * (high[1] - low[1]))
        return moved


def mask_settings(c: Casting) -> Scene:
    """What the page allows of mask and colours, from one end to the other."""
    changes: dict[int, dict[str, Any]] = {}
    for time in range(10, c.frames, 12):
        changes[time] = {
            "mask_erode": int(c.rng.choice([-200, -60, 0, 8, 30, 45, 60, 90, 200])),
            "mask_blur": int(c.rng.choice([0, 12, 40, 80, 120, 200])),
            "color_transfer": str(c.rng.choice(["none", "rct", "lct", "mkl", "idt"])),
        }
    return c.scene([c.person(stays(beside(c, 0.5)))], changes=changes)


def gives_its_input(c: Casting) -> Scene:
    """A model whose network gives back the face that it was given."""

    def faulty(parts: Any) -> None:
        effect = parts.identities.active.effect
        effect._swapper = ReturnsInput(effect._swapper)

    return c.scene([c.person(stays(beside(c, 0.5)))], faulty=faulty)


class ReturnsInput:
    """A swap network that returns its input."""

    def __init__(self, swapper: Any) -> None:
        self._swapper = swapper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._swapper, name)

    def __call__(self, crop: Any, *rest: Any) -> Any:
        made = self._swapper(crop, *rest)
        side = made.pixels.shape[0]
        return replace(made, pixels=np.asarray(cv2.resize(crop, (side, side)), np.uint8))


def alone(c: Casting) -> Scene:
    """One person, and nobody else in the room: nothing but their face may be changed."""
    at = Place(c.uniform(0.3, 0.7), c.uniform(0.42, 0.6), c.uniform(0.22, 0.55), c.uniform(-12, 12))
    far = at._replace(x=at.x + c.uniform(-0.15, 0.15), height=at.height * c.uniform(0.8, 1.2))
    return c.scene([c.person(moves(at, far, 0, c.frames))], alone=True)


def alone_720p(c: Casting) -> Scene:
    return replace(alone(c), size=(1280, 720))


SCENARIOS: dict[str, tuple[Callable[[Casting], Scene], int]] = {
    "poster_first": (poster_first, 14),
    "person_first": (person_first, 8),
    "crossing": (crossing, 8),
    "behind": (behind, 8),
    "telephone": (telephone, 8),
    "mirror": (mirror, 6),
    "profile": (profile, 6),
    "hand": (hand, 8),
    "cut": (cut, 10),
    "first_frame": (first_frame, 8),
    "model_switch": (model_switch, 4),
    "avatar_switch": (avatar_switch, 4),
    "panic": (panic, 4),
    "page": (page, 4),
    "size_changes": (size_changes, 6),
    "occlusion": (occlusion, 8),
    "colleague": (colleague, 8),
    "leaning_out": (leaning_out, 8),
    "shaking": (shaking, 8),
    "upside_down": (upside_down, 6),
    "misfit": (misfit, 8),
    "mask_settings": (mask_settings, 6),
    "gives_its_input": (gives_its_input, 2),
    "alone": (alone, 12),
    "alone_720p": (alone_720p, 4),
}
"""By name: how a scene is made, and how many takes the full run has of it."""


def filmed_alone(c: Casting, clip: FilePath) -> Scene:
    """Somebody filmed, and nobody else."""
    return c.scene([_film(c, clip)], alone=True, noise=0)


def clips_in(folder: FilePath) -> list[FilePath]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in (".mp4", ".mkv", ".mov", ".webm"))


def filmed_scenarios(folder: FilePath) -> dict[str, tuple[Callable[[Casting], Scene], int]]:
    """Scenes of the clips in a folder: each alone, beside a poster, with somebody who comes, and cut to another."""
    clips = clips_in(folder)
    made: dict[str, tuple[Callable[[Casting], Scene], int]] = {}
    for number, clip in enumerate(clips):
        other = clips[(number + 1) % len(clips)]
        made[f"filmed_alone {clip.stem}"] = (partial(filmed_alone, clip=clip), 2)
        made[f"filmed_poster {clip.stem}"] = (partial(filmed_poster, clip=clip), 4)
        made[f"filmed_visitor {clip.stem}"] = (partial(filmed_visitor, clip=clip), 4)
        made[f"filmed_cut {clip.stem}"] = (partial(filmed_cut, clip=clip, other=other), 3)
    return made


def _film(c: Casting, clip: FilePath) -> Actor:
    """A clip that fills the picture."""
    look = filmed(clip, (640, 360), c.frames)
    low, high = look.first.min(axis=0), look.first.max(axis=0)
    x, y = ((low + high) / 2).tolist()
    place = Place(x / 640, y / 360, float(high[1] - low[1]) / 360)
    return Actor(look, lambda frame: place)


def filmed_poster(c: Casting, clip: FilePath) -> Scene:
    """A poster comes into view beside somebody filmed, or is there before they are."""
    start, film = c.moment(0.2, 0.4), _film(c, clip)
    shown = replace(c.wall_poster(float(c.rng.integers(2))), rim=WHITE)
    if c.rng.random() < 0.5:
        film = between_actor(film, start)
    else:
        shown = between_actor(shown, start)
    return c.scene([film, shown], noise=0)


def filmed_visitor(c: Casting, clip: FilePath) -> Scene:
    """Somebody comes by beside somebody filmed, and goes."""
    y, height, side = 0.5, c.uniform(0.25, 0.45), float(c.rng.integers(2))
    outside, inside = Place(-0.3 + 1.6 * side, y, height), Place(0.15 + 0.7 * side, y, height)
    start, last = c.moment(0.1, 0.3), c.moment(0.6, 0.8)
    comes, goes = moves(outside, inside, start, start + 12), moves(inside, outside, last, last + 12)
    return c.scene([_film(c, clip), c.person(then(comes, goes, last))], noise=0)


def filmed_cut(c: Casting, clip: FilePath, other: FilePath) -> Scene:
    """A hard cut to somebody else's clip and back."""
    first, last = c.moment(0.3, 0.4), c.moment(0.6, 0.7)
    a, b = _film(c, clip), _film(c, other)
    path = a.path
    return c.scene(
        [
            replace(a, path=lambda f: None if first <= f < last else path(f)),
            replace(b, path=between(b.path, first, last)),
        ],
        noise=0,
    )

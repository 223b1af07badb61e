"""Things people wear: glasses, earrings, woollen hats; built on one person's neutral head and carried by it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from trained_models.recipes.people.assets import Floats, Ints
from trained_models.recipes.people.chart import chart, on_skin
from trained_models.recipes.people.geometry import rotation, smoothstep
from trained_models.recipes.people.paint import linear
from trained_models.recipes.people.shape import Identity
from trained_models.recipes.people.skin import tone
from trained_models.recipes.people.topology import topology

SIDES = 8  # of a tube
FRAMES = ((25, 25, 28), (70, 45, 30), (150, 150, 155), (175, 140, 80), (120, 30, 35), (30, 50, 90), (200, 190, 180))
METALS = ((212, 175, 95), (200, 200, 205), (220, 160, 130))
LENS_RING = 32
HAT_STYLES = ("buzz", "short", "fringe", "slick", "bun", "bald")  # hair that a hat can be put on

GLASSES, DARK = 0.25, 0.1  # how many people wear glasses, and how many of those dark ones


@dataclass(frozen=True, slots=True, eq=False)
class Worn:
    """A solid thing. `places`, `normals` (n, 3) at rest; `paint` (n, 4): linear colour and gloss; `triangles` (t, 3).
    `edge` (n,): drawn where it is above 0."""

    places: Floats
    normals: Floats
    paint: Floats
    edge: Floats
    triangles: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """Two glass discs: `places` (n, 3) at rest, `triangles` (t, 3); `tint` (3,) linear, `opacity` 0..1."""

    places: Floats
    triangles: Ints
    tint: Floats
    opacity: float


@dataclass(frozen=True, slots=True, eq=False)
class Outfit:
    """All that one person wears on the head. `hat`: its name for hair to make room, see `under_hat`."""

    solids: tuple[Worn, ...] = ()
    lens: Lens | None = None
    hat: bool = False


def tube(path: Floats, radius: Any, closed: bool = False, sides: int = SIDES) -> tuple[Floats, Floats, Ints]:
    """Places, normals, triangles of a tube along `path` (m, 3); `radius` a number or (m,)."""
    m = len(path)
    along = (np.roll(path, -1, 0) - np.roll(path, 1, 0)) if closed else np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    # One fixed direction that no part of the path follows keeps the sides from twisting.
    least = np.eye(3)[np.abs(along).mean(0).argmin()]
    first = np.cross(along, least)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-9)
    second = np.cross(along, first)
    turn = np.arange(sides) / sides * 2 * np.pi
    normals = np.cos(turn)[None, :, None] * first[:, None] + np.sin(turn)[None, :, None] * second[:, None]
    places = path[:, None] + normals * np.broadcast_to(np.asarray(radius), (m,))[:, None, None]
    ring, side = np.meshgrid(np.arange(m if closed else m - 1), np.arange(sides), indexing="ij")
    after, beside = (ring + 1) % m, (side + 1) % sides
    corners = [ring * sides + side, after * sides + side, after * sides + beside, ring * sides + beside]
    quads = np.stack(corners, -1).reshape(-1, 4)
    return places.reshape(-1, 3), normals.reshape(-1, 3), quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def joined_solid(parts: list[tuple[Floats, Floats, Ints]], colour: Any, gloss: float) -> Worn:
    starts = np.cumsum([0] + [len(part[0]) for part in parts])
    places, normals = (np.concatenate([part[k] for part in parts]).astype(np.float32) for k in (0, 1))
    triangles = np.concatenate([part[2] + start for part, start in zip(parts, starts, strict=False)])
    paint = np.tile(np.r_[colour, gloss], (len(places), 1)).astype(np.float32)
    return Worn(places, normals, paint, np.ones(len(places), np.float32), triangles)


def glasses(rng: np.random.Generator, person: Identity, dark: bool) -> tuple[Worn, Lens]:
    """Frame and lenses before both eyes, resting on the nose and reaching over the ears; `dark`: sunglasses."""
    skin = topology().skin.surface(person.pose().vertices)[0]
    eyes, radius = [np.asarray(centre) for centre, _ in person.eyes], person.eyes[0][1]
    height = float((eyes[0][1] + eyes[1][1]) / 2)
    half_way = abs(float(eyes[0][0] - eyes[1][0])) / 2
    bridge = skin[(np.abs(skin[:, 0]) < 0.04) & (np.abs(skin[:, 1] - height) < 0.06), 2].max()
    front = max(float(bridge) + 0.02, float(eyes[0][2]) + radius + 0.11)
    wide = min(half_way * rng.uniform(0.74, 0.88), half_way - 0.055)
    tall, power = wide * rng.uniform(0.62, 0.95), rng.choice([2.0, 2.6, 4.0])
    thick = rng.choice([0.010, 0.018, 0.028]) * (1.3 if dark else 1)
    turn = np.arange(LENS_RING) / LENS_RING * 2 * np.pi
    round_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power)
    round_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power)
    parts, discs, triangles = [], [], []
    for number, sign in enumerate((1.0, -1.0)):
        x = sign * half_way * 1.03 + wide * round_x
        y = height - 0.04 + tall * round_y * np.where(round_y < 0, 1.0, 0.85)
        ring = np.stack([x, y, front - 0.16 * x**2], 1)
        parts.append(tube(ring, thick, closed=True))
        discs.append(np.concatenate([ring.mean(0, keepdims=True), ring]))
        start, k = number * (LENS_RING + 1), np.arange(LENS_RING)
        triangles.append(np.stack([0 * k, 1 + k, 1 + (k + 1) % LENS_RING], 1) + start)
        parts.append(tube(_temple(skin, ring, sign, height), thick * 0.9))
    inner = half_way * 1.03 - wide
    x = np.linspace(-inner, inner, 9)
    arch = np.stack([x, height + 0.02 + 0.03 * (1 - (x / inner) ** 2), np.full(9, front + 0.01)], 1)
    parts.append(tube(arch, thick))
    colour = linear(FRAMES[rng.integers(len(FRAMES))])
    tint = linear(rng.choice([(18, 18, 20), (45, 30, 18), (20, 32, 24)])) if dark else np.array([0.5, 0.53, 0.56])
    opacity = float(rng.uniform(0.75, 0.95)) if dark else float(rng.uniform(0.03, 0.12))
    lens = Lens(np.concatenate(discs).astype(np.float32), np.concatenate(triangles), tint, opacity)
    return joined_solid(parts, colour, float(rng.uniform(0.3, 0.9))), lens


def _temple(skin: Floats, ring: Floats, sign: float, height: float) -> Floats:
    """(m, 3) from the lens's outer edge to the ear, close to the head."""
    start = ring[(sign * ring[:, 0] + 0.4 * ring[:, 1]).argmax()]
    # Temples of the skull, not the ears, which stand out further back.
    beside = skin[(np.abs(skin[:, 1] - height - 0.05) < 0.08) & (skin[:, 2] > 0.2) & (skin[:, 2] < 0.9)]
    half = float((sign * beside[:, 0]).max()) + 0.008
    z = np.array([start[2], start[2] - 0.12, 0.75, 0.4, 0.2])
    x = sign * np.array([sign * start[0], max(half * 0.97, sign * start[0]), half, half, half])
    y = np.array([start[1], start[1], height + 0.06, height + 0.06, height + 0.05])
    return np.stack([x, y, z], 1)


def earrings(rng: np.random.Generator, person: Identity) -> Worn:
    mesh = topology().skin
    skin = mesh.surface(person.pose().vertices)[0]
    ear = on_skin(chart().ears) > 0.5
    hoop, size = rng.random() < 0.5, rng.uniform(0.06, 0.14)
    turn = np.arange(20) / 20 * 2 * np.pi
    parts = []
    for sign in (1.0, -1.0):
        lobe = skin[np.flatnonzero(ear & (sign * skin[:, 0] > 0.3))]
        if not len(lobe):
            continue
        at = lobe[lobe[:, 1].argmin()] + np.array([sign * 0.02, 0.05, 0.02])
        if hoop:
            ring = at + np.stack([0.15 * np.sin(turn), np.cos(turn) - 1, np.sin(turn)], 1) * size
            parts.append(tube(ring, 0.011, closed=True))
        else:
            rise = np.linspace(-1, 1, 7)
            bead = at + np.stack([0 * rise, rise, 0 * rise], 1) * size * 0.3
            parts.append(tube(bead, size * 0.3 * np.sqrt(np.maximum(1 - rise**2, 0.02))))
    return joined_solid(parts, linear(METALS[rng.integers(len(METALS))]), 1.0)


def above_hat(template: Floats) -> Floats:
    """(n,) height over the hat's brim, dm, of places on the mean head; positive under the hat."""
    return np.asarray(template[..., 1] - (7.20 + 0.36 * template[..., 2]), np.float32)


def woollen_hat(rng: np.random.Generator, person: Identity) -> Worn:
    """The scalp, thickened, with a turned-up cuff."""
    mesh = topology().skin
    skin, normals = mesh.surface(person.pose().vertices)
    height = above_hat(mesh.surface(topology().template)[0])
    near = mesh.neighbour_mean()
    inside = (height > -0.15) & (on_skin(chart().ears) < 0.5) & (skin[:, 1] > person.centre[1] - 0.1)
    cuff = smoothstep(0.42, 0.34, height)
    slack = smoothstep(0.5, 1.3, height) * rng.uniform(0.05, 0.35)
    places = skin + normals * (0.06 + 0.045 * cuff)[:, None] + np.array([0, 1, -0.4]) * slack[:, None]
    for _ in range(2):
        places = near @ places
    ribs = 0.9 + 0.1 * np.sin(np.arctan2(skin[:, 0], skin[:, 2]) * 90)
    first, second = (linear(rng.uniform(15, 190) + rng.uniform(-30, 45, 3).clip(-15)) for _ in range(2))
    share = np.maximum(cuff, (np.sin(height * rng.choice([0.0, 18.0])) > 0.5))[:, None]
    colour = (first * (1 - share) + second * share) * ribs[:, None]
    kept = np.flatnonzero(inside[mesh.triangles].all(1))
    paint = np.c_[colour, np.full(len(skin), 0.03)].astype(np.float32)
    return Worn(places.astype(np.float32), normals, paint, height, mesh.triangles[kept])


def wears_dark_glasses(seed: int) -> bool:
    """Whether `dress` gives this seed's person sunglasses: one in forty has them."""
    rng = np.random.default_rng([seed, 41])
    return bool(rng.random(3)[0] < GLASSES and rng.random() < DARK)


def dress(seed: int, person: Identity, style: str, male: bool) -> Outfit:
    """What somebody wears, by seed: glasses on a quarter of all, a hat on one in ten, earrings on two women in five."""
    rng = np.random.default_rng([seed, 41])
    lots = rng.random(3)
    solids: list[Worn] = []
    lens: Lens | None = None
    if lots[0] < GLASSES:
        frame, lens = glasses(rng, person, dark=bool(rng.random() < DARK))
        solids.append(frame)
    if lots[1] < (0.06 if male else 0.4):
        solids.append(earrings(rng, person))
    hat = bool(lots[2] < 0.18 and style in HAT_STYLES)
    if hat:
        solids.append(woollen_hat(rng, person))
    return Outfit(tuple(solids), lens, hat)


FINGERS = ((-0.30, 0.62), (-0.10, 0.72), (0.10, 0.68), (0.29, 0.54))
"""Where each finger begins across the palm, and its length, dm."""


def _profile(heights: Floats, radii: Floats) -> tuple[Floats, Floats, Any]:
    path = np.stack([0 * heights, heights, 0 * heights], 1)
    return tube(path, radii, sides=20)


def cup(rng: np.random.Generator) -> Worn:
    """A mug, open side up, its middle at the origin."""
    tall, wide = rng.uniform(0.75, 1.1), rng.uniform(0.34, 0.46)
    y = np.array([-0.5, -0.5, -0.46, 0.5, 0.5, 0.46, -0.40]) * tall
    body = _profile(y, wide * np.array([0.02, 0.9, 0.95, 1.0, 0.96, 0.93, 0.85]))
    turn = np.linspace(-1.4, 1.4, 12)
    handle = np.stack([wide + 0.24 * np.cos(turn), 0.3 * np.sin(turn), 0 * turn], 1)
    return joined_solid([body, tube(handle, 0.05)], linear(rng.uniform(20, 240, 3)), float(rng.uniform(0.2, 0.9)))


def microphone(rng: np.random.Generator) -> Worn:
    rise = np.linspace(-1, 1, 11)
    size = rng.uniform(0.22, 0.34)
    head = _profile(rise * size, size * np.sqrt(np.maximum(1 - rise**2, 0.01)))
    stick = _profile(np.linspace(-2.2, -size * 0.8, 5), np.linspace(0.11, 0.15, 5))
    return joined_solid([head, stick], linear(rng.choice([(28, 28, 30), (60, 60, 66), (120, 122, 125)])), 0.5)


def hand(rng: np.random.Generator, melanin: float) -> Worn:
    """A slightly bent hand with its palm towards the face, fingers up, the wrist below."""
    colour = tone(melanin) * rng.uniform(0.85, 1.05)
    curl = rng.uniform(0.1, 0.9)
    parts = [tube(np.array([[0, -1.6, 0.1], [0, -0.7, 0.03], [0, -0.4, 0.0]], float), np.array([0.24, 0.22, 0.2]))]
    spread = rng.uniform(0.0, 0.25)
    for x, length in FINGERS:
        t = np.linspace(0, 1, 7)
        bend = curl * 0.45 * t**2
        finger = np.stack([x * (1 + spread * t), -0.1 + length * 1.15 * t * (1 - 0.25 * curl * t), -bend], 1)
        parts.append(tube(finger, 0.085 * np.array([1, 1, 0.97, 0.95, 0.9, 0.8, 0.3])))
    thumb = np.array([[-0.30, -0.45, 0], [-0.52, -0.25, -0.03], [-0.66, 0.0, -0.08], [-0.70, 0.18, -0.12]])
    parts.append(tube(thumb, np.array([0.11, 0.10, 0.09, 0.04])))
    for x in (-0.26, -0.09, 0.09, 0.25):
        palm = np.array([[x * 0.8, -0.62, 0.02], [x, -0.35, 0.0], [x, -0.05, 0.0]])
        parts.append(tube(palm, np.array([0.13, 0.14, 0.11])))
    return joined_solid(parts, colour, 0.12)


class Occluder:
    """Something held before a face, by seed; `kind` says what."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 51])
        self.kind = str(rng.choice(["hand", "cup", "microphone"]))
        if self.kind == "hand":
            self.thing = hand(rng, float(rng.uniform(0, 1)))
        else:
            self.thing = cup(rng) if self.kind == "cup" else microphone(rng)
        self._turn = rotation(rng.normal(0, 14), rng.normal(0, 14), rng.normal(0, 30 if self.kind == "hand" else 10))
        aside, high = (0.4, -0.25) if self.kind == "hand" else (0.25, -0.75)
        self._near = np.array([rng.normal(0, aside), rng.normal(high, 0.35), rng.uniform(1.8, 2.3)])
        self._away = self._near + np.array([rng.normal(0, 0.8), -3.4, 0.4])

    def at(self, face: Floats, near: float) -> Worn:
        """The thing with the middle of the head at `face` (3,) dm; `near`: 0 out of the picture, 1 before the face."""
        place = face + self._away + (self._near - self._away) * near
        thing = self.thing
        return Worn(
            (thing.places @ self._turn.T + place).astype(np.float32),
            (thing.normals @ self._turn.T).astype(np.float32),
            thing.paint,
            thing.edge,
            thing.triangles,
        )

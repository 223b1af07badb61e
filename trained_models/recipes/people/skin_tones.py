"""Light and tone against rendered truth: identities of five tones on drivers of eight, in ten lights.

Each identity is one picture of its reflectance, drawn by its mesh in the place and pose in which it is rendered beside:
what differs then is light and tone alone. The driver is read as the live loop does; the truth is the identity in the
driver's light, with the driver's exposure.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from benchmarks.metrics.likeness import ciede2000, lab
from realtime.config import Settings
from realtime.families.face_swap.light import Relight
from realtime.families.face_swap.skin_reading import GAMMA, LUMA, SKIN, FaceSkin, as_camera, open_face_skin, read_skin
from realtime.families.face_swap.skin_tone import mean_skin, retone, skin_map
from realtime.families.motion.mesh.head import EYES, INNER_LIPS, OUTER_LIPS, OVAL
from realtime.frame import Floats, Ints, Pixels
from realtime.imaging.mesh_warp import MeshWarp
from trained_models.recipes.people.calibrate import both_sides, gains
from trained_models.recipes.people.develop import Camera, Picture, toned
from trained_models.recipes.people.look import sample_look
from trained_models.recipes.people.person import tracker
from trained_models.recipes.people.renderer import Moment, Renderer
from trained_models.recipes.people.shape import Identity, Shape, sample_shape
from trained_models.recipes.people.surroundings import DIRECTIONS, Light, background
from trained_models.recipes.people.topology import topology

SIZE = 256
FACE = 18.0  # degrees of view: the face fills some two thirds
IDENTITIES = {"pale": (910_001, 0.05), "light": (910_002, 0.25), "tan": (910_003, 0.45), "brown": (910_004, 0.65),
              "dark": (910_005, 0.88)}  # fmt: skip
DRIVERS = {"1": (920_001, 0.02), "2": (920_002, 0.14), "3": (920_003, 0.26), "4": (920_004, 0.38),
           "5": (920_005, 0.50), "6": (920_006, 0.62), "7": (920_007, 0.76), "8": (920_008, 0.90)}  # fmt: skip
"""Name, seed and melanin, from pale to dark."""
POSES = (
    ((2.0, -4.0, 0.0), {"mouthSmile": 0.1}),
    ((0.0, 18.0, 3.0), {"mouthSmile": 0.5, "cheekSquint": 0.2}),
    ((-5.0, -20.0, -4.0), {"browInnerUp": 0.4}),
)


def _glow(towards: tuple[float, float, float], width: float, colour: Any) -> Floats:
    unit = np.array(towards) / np.linalg.norm(towards)
    bright = np.clip((DIRECTIONS @ unit - (1 - width)) / (0.5 * width), 0, 1)
    return np.asarray(bright[:, None] * np.array(colour), np.float32)


@dataclass(frozen=True, slots=True)
class Lit:
    """One light, by how much the camera's exposure is off in it, and its noise."""

    light: Light
    bias: float = 1.0
    noise: float = 0.004


LIGHTS = {
    "soft front": Lit(
        Light.of(0.5 + _glow((0.2, 0.5, 1), 0.5, (1, 1, 1)), [((0.3, 0.6, 1), (0.35, 0.35, 0.34))], 0.02)
    ),
    "hard left": Lit(Light.of((0.10, 0.10, 0.11), [((-1, 0.25, 0.25), (1.7, 1.65, 1.55))], 0.006)),
    "hard right": Lit(Light.of((0.16, 0.16, 0.15), [((1, 0.45, 0.5), (1.5, 1.4, 1.2))], 0.006)),
    "screen below": Lit(
        Light.of(0.02 + _glow((0, -0.35, 1), 0.25, (0.7, 0.85, 1.1)), [((0, -0.45, 1), (0.35, 0.42, 0.52))], 0.02),
        0.8,
        0.012,
    ),
    "warm lamp": Lit(Light.of((0.28, 0.20, 0.12), [((-0.6, 0.9, 0.6), (1.3, 0.80, 0.38))], 0.015), 1.0, 0.006),
    "blue screen": Lit(
        Light.of(0.06 + _glow((0, -0.1, 1), 0.35, (0.35, 0.55, 1.2)), [((0.1, -0.1, 1), (0.15, 0.25, 0.6))], 0.02),
        1.0,
        0.008,
    ),
    "two colours": Lit(
        Light.of((0.07, 0.07, 0.08), [((-1, 0.2, 0.6), (1.2, 0.35, 0.8)), ((1, 0.2, 0.6), (0.2, 0.7, 0.95))]),
        1.0,
        0.006,
    ),
    "overexposed": Lit(
        Light.of(0.6 + _glow((-0.5, 0.4, 1), 0.4, (1.4, 1.4, 1.4)), [((-0.4, 0.5, 1), (0.6, 0.6, 0.58))], 0.02), 2.3
    ),
    "dim": Lit(
        Light.of(
            (0.30, 0.27, 0.24) + _glow((0.6, 0.6, 0.5), 0.4, (0.6, 0.55, 0.5)),
            [((0.5, 0.7, 0.6), (0.25, 0.22, 0.20))],
            0.02,
        ),
        0.33,
        0.014,
    ),
    "ceiling": Lit(
        Light.of(0.2 + _glow((0, 1, 0.15), 0.35, (1.6, 1.6, 1.5)), [((0, 1, 0.35), (0.8, 0.8, 0.76))], 0.02)
    ),
}
USUAL = ("soft front", "warm lamp")
EVEN = Lit(Light.of(np.ones(3)))


def load(renderer: Renderer, seed: int, melanin: float) -> None:
    """Make a person of that skin the one that is drawn."""
    shape = sample_shape(seed)
    african = float(np.clip((melanin - 0.1) / 0.75, 0, 1))
    ancestry = {"african": african, "asian": 0.0, "caucasian": 1 - african}
    shape = Shape({**shape.phenotype, **ancestry}, {name: 0.6 * change for name, change in shape.changes.items()})
    person = Identity(shape)
    renderer.scene.load(person, sample_look(seed, person, shape, "bun", wears=False), 64)


def photograph(renderer: Renderer, pose: int | None, lit: Lit, camera: Camera, room: int = 0) -> Picture:
    turn, actions = POSES[pose] if pose is not None else ((0.0, 0.0, 0.0), {})
    names = topology().actions
    weights = np.array([both_sides(actions).get(name, 0.0) for name in names], np.float32) * gains(names)
    moment = Moment(weights, turn, view_deg=FACE, light=lit.light)
    behind = background(room, SIZE, SIZE) if room else np.full((SIZE, SIZE, 3), 0.3, np.float32)
    return renderer.picture(moment, behind, camera)


def bgr(picture: Picture) -> Pixels:
    return np.ascontiguousarray(picture.pixels[..., ::-1])


def reflectance_picture(picture: Picture) -> Pixels:
    """A picture taken in even light of radiance 1 as a key picture: a power of 2.2 instead of the film's curve."""
    ramp = np.linspace(0, 2, 2001)
    curve = np.maximum.accumulate(np.asarray(toned(ramp, 1.0)))
    table = np.interp(np.arange(256) / 255, curve, ramp) / picture.exposure
    coded = np.rint(255 * np.clip(table, 0, 1) ** (1 / GAMMA)).astype(np.uint8)
    return np.asarray(cv2.LUT(bgr(picture), coded[:, None]), np.uint8)


def landmarks(pixels: Pixels) -> Floats | None:
    """(478, 3) as the live tracker finds them."""
    found = tracker().find(pixels)
    return np.asarray(found[0].landmarks, np.float32) if found else None


def _inside(points: Floats, rings: list[Ints], grow: int = 0) -> Any:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for ring in rings:
        cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points[ring, :2]).astype(np.int32)), 1)
    return cv2.dilate(mask, np.ones((grow, grow), np.uint8)) if grow else mask


_BROWS = [
    np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55]),
    np.array([300, 293, 334, 296, 336, 276, 283, 282, 295, 285]),
]
_RIM = np.array([109, 338, 108, 337, 69, 299, 104, 333, 54, 284, 68, 298, 123, 352, 187, 411, 192, 416, 214, 434, 210,
                 430, 208, 428, 171, 396])  # fmt: skip
"""Vertices one step inside the oval: where a face meets what stays the driver's own."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One identity in one pose: its tracked points, the key picture and its skin map drawn there, and the bare skin."""

    points: Floats
    drawn: Pixels
    skin: Pixels
    bare: Any


def place_of(face: FaceSkin, key: Pixels, at: Floats, shown: Picture) -> Place | None:
    points = landmarks(bgr(shown))
    if points is None:
        return None
    warp = MeshWarp(SIZE, at[:468, :2].astype(np.float64), face.head.triangles, np.zeros((0, 3), np.intp))
    x, y = warp((points[:468] * (1, 1, -1)).astype(np.float64))
    drawn = np.asarray(cv2.remap(key, x, y, cv2.INTER_LINEAR), np.uint8)
    mapped = np.asarray(cv2.remap(skin_map(face, key, at), x, y, cv2.INTER_LINEAR), np.uint8)
    oval = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(oval, [np.rint(points[OVAL, :2]).astype(np.int32)], 1)
    features = _inside(points, [*(np.r_[eye.ring, eye.crease] for eye in EYES), INNER_LIPS, OUTER_LIPS], 5)
    features |= _inside(points, _BROWS, 7)
    bare = (cv2.erode(oval, np.ones((7, 7), np.uint8)) > 0) & (features == 0) & (warp.shown > 0) & (shown.face > 0.95)
    return Place(points, drawn, mapped, bare)


def _shading(picture: Pixels, bare: Any) -> Any:
    """(n,) broad L* of the bare skin."""
    weight = bare.astype(np.float32)
    light = np.ascontiguousarray(lab(picture)[..., 0])
    broad = cv2.GaussianBlur(light * weight, (0, 0), 7) / np.maximum(cv2.GaussianBlur(weight, (0, 0), 7), 0.05)
    return broad[bare]


def measure(face: FaceSkin, place: Place, lit: Pixels, truth: Pixels, driver: Pixels, seen: Floats) -> dict[str, float]:
    """What is measured of one case: see benchmarks/README.md."""
    one, two = lab(lit[place.bare]), lab(truth[place.bare])
    rim = np.intersect1d(_RIM, SKIN)
    front = rim[(face.normals(seen)[rim, 2] > 0.2) & (face.normals(place.points)[rim, 2] > 0.2)]

    def at(picture: Pixels, points: Floats) -> Any:
        colour = np.mean([read_skin(face, picture, points).colour[front]], axis=0)
        return lab(np.asarray(255 * as_camera(colour), np.float32))  # type: ignore[arg-type]

    shades = _shading(lit, place.bare), _shading(truth, place.bare)
    return {
        "de": float(ciede2000(one, two).mean()),
        "tone": float(ciede2000(one.mean(axis=0), two.mean(axis=0))),
        "shading_r": float(np.corrcoef(*shades)[0, 1]) if min(s.std() for s in shades) > 0.2 else 0.0,
        "rim": float(ciede2000(at(lit, place.points), at(driver, seen)).mean()),
        "brightness": float(np.median(read_skin(face, lit, place.points).colour[SKIN] @ LUMA)),
    }


def cases(identities: list[str], drivers: list[str], lights: list[str]) -> Iterator[dict[str, Any]]:
    """One row a case: full tone with the driver's tone known (`known`), found (`found`), and the default (`auto`)."""
    face = open_face_skin()
    renderer = Renderer(SIZE, SIZE, 1)
    shot: dict[tuple[str, str], tuple[Pixels, Floats, float]] = {}
    tones: dict[str, Floats] = {}
    for name in drivers:
        load(renderer, *DRIVERS[name])
        even = photograph(renderer, None, EVEN, Camera(white_balance=0))
        if (at := landmarks(bgr(even))) is not None:
            tones[name] = mean_skin(face, reflectance_picture(even), at)
        for number, light in enumerate(lights):
            lit, pose = LIGHTS[light], pose_of(name, light)
            made = photograph(
                renderer, pose, lit, Camera(noise=lit.noise, bias=lit.bias, noise_seed=number), 40 + int(name)
            )
            if (points := landmarks(bgr(made))) is not None:
                shot[name, light] = bgr(made), points, made.exposure
    for identity in identities:
        load(renderer, *IDENTITIES[identity])
        even = photograph(renderer, None, EVEN, Camera(white_balance=0))
        key, at = reflectance_picture(even), landmarks(bgr(even))
        if at is None:
            continue
        own = mean_skin(face, key, at)
        soft = LIGHTS["soft front"]
        places = [place_of(face, key, at, photograph(renderer, pose, soft, Camera())) for pose in range(len(POSES))]
        for (driver, light), (pixels, points, exposure) in shot.items():
            pose = pose_of(driver, light)
            place = places[pose]
            if place is None or driver not in tones:
                continue
            truth = bgr(photograph(renderer, pose, LIGHTS[light], Camera(exposure=exposure)))
            row: dict[str, Any] = {"identity": identity, "driver": driver, "light": light}
            pictures = {"driver": pixels, "truth": truth}
            for way in ("known", "found", "auto"):
                relight = Relight(face, own, tones[driver] if way == "known" else None)
                for before, usual in enumerate(USUAL):  # the call began in ordinary light
                    if (earlier := shot.get((driver, usual))) is not None:
                        relight.read(*earlier[:2], Settings(), before - 10.0)
                relight.read(pixels, points, Settings(skin="auto" if way == "auto" else 0), 0.0)
                pictures[way] = relight.lay(retone(place.drawn, place.skin, relight.gain), place.points)
                row[way] = measure(face, place, pictures[way], truth, pixels, points)
                row[way]["tone_off"] = float(np.log(relight.driver / tones[driver]) @ LUMA)
            row["gap"] = float(np.log(own / tones[driver]) @ LUMA)
            row["rim_of_truth"] = measure(face, place, truth, truth, pixels, points)["rim"]
            yield {**row, "pictures": {**pictures, "bare": place.bare}}


def pose_of(driver: str, light: str) -> int:
    """Poses go round, so that each light and driver shows all."""
    return (int(driver) + list(LIGHTS).index(light)) % len(POSES)


GOALS = {"de": 5.0, "de_hard": 7.0, "between_tones": 1.5, "shading_r": 0.93, "rim_auto": 9.0}
"""Of the mean at full tone, in hard side light, between pale and dark identities; and of the rim at the default."""
_HARD = ("hard left", "hard right")


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over all cases, by light and by identity, and what the goals ask."""

    def mean(way: str, figure: str, **only: Any) -> float | None:
        kept = [row[way][figure] for row in rows if all(row[key] in wanted for key, wanted in only.items())]
        return round(float(np.mean(kept)), 3) if kept else None

    ways = {
        way: {
            **{figure: mean(way, figure) for figure in ("de", "tone", "shading_r", "rim", "brightness", "tone_off")},
            "de_p95": round(float(np.percentile([row[way]["de"] for row in rows], 95)), 3),
            "tone_off_sd": round(float(np.std([row[way]["tone_off"] for row in rows])), 3),
            "brightest": round(max(row[way]["brightness"] for row in rows), 3),
            "by_light": {light: mean(way, "de", light=[light]) for light in LIGHTS},
            "by_identity": {name: mean(way, "de", identity=[name]) for name in IDENTITIES},
            "by_driver": {name: mean(way, "de", driver=[name]) for name in DRIVERS},
        }
        for way in ("known", "found", "auto")
    }
    found: Any = ways["found"]
    by_identity = [value for value in (found["by_identity"]["pale"], found["by_identity"]["dark"]) if value is not None]
    judged = {
        "de": found["de"],
        "de_hard": mean("found", "de", light=_HARD),
        "between_tones": round(max(by_identity) - min(by_identity), 3) if by_identity else None,
        "shading_r": found["shading_r"],
        "rim_auto": ways["auto"]["rim"],
    }
    met = {
        name: None if value is None else bool(value >= GOALS[name] if name == "shading_r" else value <= GOALS[name])
        for name, value in judged.items()
    }
    return {"cases": len(rows), "rim_of_truth": round(float(np.mean([row["rim_of_truth"] for row in rows])), 3),
            "goals": {name: {"limit": GOALS[name], "value": judged[name], "met": met[name]} for name in GOALS},
            **ways}  # fmt: skip


def sheet(rows: list[dict[str, Any]]) -> Pixels:
    """Some cases at 1:1: driver, full tone with the driver's known and found, the default, and the truth."""
    chosen = rows[:: max(len(rows) // 12, 1)][:12]
    lines = []
    for row in chosen:
        pictures = row["pictures"]
        line = np.hstack([pictures[name] for name in ("driver", "known", "found", "auto", "truth")])
        what = f"{row['identity']} on {row['driver']}, {row['light']}: " + ", ".join(
            f"{way} {row[way]['de']:.1f}" for way in ("known", "found", "auto")
        )
        lines.append(cv2.putText(line.copy(), what, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1))
    return np.vstack(lines)

"""How well one face's acting follows another's: blendshapes, lips, blinks, head pose, landmark jitter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.metrics import OUTER_EYES, Bools, Reals, mean, rounded
from realtime.tracking.face import Face

_NAMES = """
_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft
mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight
mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft
mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft
noseSneerRight
"""
BLENDSHAPES = tuple(_NAMES.split())
"""MediaPipe's 52 in its order."""

LEADING = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp")
"""The ones promised to be followed."""

MOVES = 0.1
"""A driver's channel with a smaller standard deviation hardly moves: correlating it measures noise."""

GAIN = (0.8, 1.2)
"""Between these a channel acts as strongly as the driver, as far as one sees."""

OPENS = 0.02
"""A mouth whose opening has a smaller standard deviation, in outer-eye distances, hardly opens."""

BLINK_RISE, BLINK_FALL = 0.3, 0.15
"""A blink is a lid that closes by RISE more than it usually is, on MediaPipe's scale of 0..1, until it is back within
FALL. Two thresholds, so that noise makes no second blink."""

BLINK_FRAMES = 2
"""Frames that two blinks may lie apart and still be the same one."""

UPPER_LIP, LOWER_LIP = 13, 14

Channels = dict[str, dict[str, float | None]]
Faces = Sequence[Face | None]


def pearson(x: Reals, y: Reals) -> float | None:
    """The correlation of two series; None where one of them does not move."""
    if len(x) < 3 or x.std() < 1e-9 or y.std() < 1e-9:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def gain(x: Reals, y: Reals) -> float | None:
    """The least-squares slope of y over x: 1 is full strength, less is damped; None where x does not move."""
    spread = x - x.mean()
    power = float(spread @ spread)
    return float(spread @ (y - y.mean())) / power if len(x) >= 3 and power > 1e-12 else None


def expression(driver: Reals, output: Reals) -> Channels:
    """By channel: the driver's std, the output's, Pearson's r, the gain, the mean absolute error.

    `driver` and `output` are (T, 52), read from the same T frames.
    """
    return {
        name: {
            "std": rounded(driver[:, n].std()),
            "output_std": rounded(output[:, n].std()),
            "r": rounded(pearson(driver[:, n], output[:, n])),
            "gain": rounded(gain(driver[:, n], output[:, n])),
            "mae": rounded(np.abs(driver[:, n] - output[:, n]).mean()),
        }
        for n, name in enumerate(BLENDSHAPES)
        if n > 0 and len(driver)
    }


def moving(channels: Mapping[str, Mapping[str, float | None]]) -> Sequence[str]:
    """The channels that the driver moves, the promised ones first."""
    strong = [name for name, found in channels.items() if (found["std"] or 0.0) >= MOVES]
    return [n for n in LEADING if n in strong] + [n for n in strong if n not in LEADING]


def weak(channels: Channels) -> dict[str, float | None]:
    """The promised channels that the driver hardly moves, with their std."""
    return {n: channels[n]["std"] for n in LEADING if n in channels and (channels[n]["std"] or 0) < MOVES}


def together(channels: Channels) -> dict[str, Any]:
    """r and gain over the moving channels. A channel that the output does not move at all counts as r 0, gain 0."""
    names = moving(channels)
    r = [channels[name]["r"] or 0.0 for name in names]
    gains = [channels[name]["gain"] or 0.0 for name in names]
    return {
        "moving": len(names),
        "mean_r": mean(r, 3),
        "lowest_r": rounded(min(r, default=None)),
        "mean_gain": mean(gains, 3),
        "lowest_gain": rounded(min(gains, default=None)),
        "highest_gain": rounded(max(gains, default=None)),
        "gain_kept": mean([GAIN[0] <= g <= GAIN[1] for g in gains], 3),
    }


def if_moving(channels: Channels, name: str, what: str) -> float | None:
    """A channel's figure where the driver moves it; an output that does not move counts as 0."""
    return (channels[name][what] or 0.0) if name in moving(channels) else None


def opening(face: Face | None) -> float:
    """How far the inner lips are apart, in outer-eye distances; not a number without a face."""
    if face is None:
        return float("nan")
    points = face.landmarks.astype(np.float64)
    eyes = float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
    return float(np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP])) / max(eyes, 1e-6)


def mouth_figures(driver: Faces, output: Faces) -> dict[str, float | None]:
    """r and gain of how far the lips are apart, by landmarks: what a viewer sees of a mouth that opens.

    `std` is the driver's; r and gain are None where it is below `OPENS`.
    """
    pairs = [(opening(a), opening(b)) for a, b in zip(driver, output, strict=True) if a is not None and b is not None]
    own, made = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    std = float(own.std()) if len(own) else 0.0
    if std < OPENS:
        return {"std": round(std, 4), "r": None, "gain": None}
    # Lips that never part follow nobody.
    return {"std": round(std, 4), "r": round(pearson(own, made) or 0.0, 3), "gain": rounded(gain(own, made))}


def series(faces: Faces) -> dict[str, Reals]:
    """`jawOpen` and `lids` (the mean of both), each (T,), NaN where no face was read."""
    shapes = np.array([np.full(52, np.nan) if f is None else f.blendshapes for f in faces], dtype=np.float64)
    shapes = shapes.reshape(-1, 52)
    lids = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    return {"jawOpen": shapes[:, BLENDSHAPES.index("jawOpen")], "lids": shapes[:, lids].mean(axis=1)}


def traces(driver: Faces, output: Faces) -> dict[str, Any]:
    """What the chart draws: jaw and lids of both, and at which frames they blink. None where no face was read."""
    found: dict[str, Any] = {}
    for who, faces in (("driver", driver), ("output", output)):
        lines = series(faces)
        found[who] = {name: [None if np.isnan(v) else round(float(v), 3) for v in x] for name, x in lines.items()}
        found[who]["blinks"] = blinks(lines["lids"])
    return found


def blinks(lids: Reals) -> list[int]:
    """The frames at which the eyes are shut most, one a blink; `lids` (T,) 0..1, NaN where no face was read.

    What is usual is the median of the series itself, so that a narrow-eyed face is not taken for a blinking one. A
    blink cut off by the clip's end or by a lost face counts: its peak was seen.
    """
    known = lids[~np.isnan(lids)]
    if not len(known):
        return []
    found: list[int] = []
    peak: int | None = None
    for n, closed in enumerate(lids - float(np.median(known))):
        if peak is None:
            peak = n if closed > BLINK_RISE else None
        elif np.isnan(closed) or closed < BLINK_FALL:
            found.append(peak)
            peak = None
        elif lids[n] > lids[peak]:
            peak = n
    return found if peak is None else [*found, peak]


def blink_match(driver: Sequence[int], output: Sequence[int], within: int = BLINK_FRAMES) -> dict[str, Any]:
    """How many of the driver's blinks the output has, by greedy one-to-one pairs in time: counts, and F1."""
    left = list(output)
    both = 0
    for at in sorted(driver):
        near = [other for other in left if abs(other - at) <= within]
        if near:
            left.remove(min(near))
            both += 1
    return {"driver": len(driver), "output": len(output), "both": both, "f1": f1(both, len(driver), len(output))}


def f1(both: int, driver: int, output: int) -> float | None:
    """2 both / (driver + output); None where neither blinks, because then nothing was tested."""
    return round(2 * both / (driver + output), 3) if driver + output else None


def blink_figures(driver: Faces, output: Faces) -> dict[str, Any]:
    """Blinks of both and their F1. One that the driver makes while the output is lost counts as missed."""
    return blink_match(blinks(series(driver)["lids"]), blinks(series(output)["lids"]))


def lid_correlation(driver: Faces, output: Faces) -> float | None:
    """The correlation of the lids' mean closing; None where the driver's hardly move."""
    own, theirs = series(driver)["lids"], series(output)["lids"]
    both = ~np.isnan(own) & ~np.isnan(theirs)
    if both.sum() < 3 or own[both].std() < MOVES / 2:
        return None
    return round(pearson(own[both], theirs[both]) or 0.0, 3)


def rotation(pose: npt.NDArray[np.floating[Any]]) -> Reals:
    """The nearest rotation (3, 3) to a pose's linear part, which may carry a scale."""
    u, _, vt = np.linalg.svd(np.asarray(pose, dtype=np.float64)[:3, :3])
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return np.asarray(u @ flip @ vt)


def geodesic_deg(a: Reals, b: Reals) -> Reals:
    """The angle in degrees between rotations a and b, each (T, 3, 3): arccos((tr(a bᵀ) - 1) / 2)."""
    cosine = (np.einsum("tij,tij->t", a, b) - 1.0) / 2.0
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def pose_error(driver: Reals, output: Reals) -> dict[str, float | None]:
    """Pose error in degrees over (T, 3, 3) rotations, and what is left once its constant part is out.

    Two heads of different shape read at a constant angle to each other (the chordal mean of outputᵀ driver).
    """
    if not len(driver):
        return {"mean": None, "p95": None, "constant": None, "mean_without_constant": None}
    error = geodesic_deg(driver, output)
    constant = rotation(np.einsum("tji,tjk->ik", output, driver) / len(driver))
    return {
        "mean": rounded(error.mean(), 2),
        "p95": rounded(np.percentile(error, 95), 2),
        "constant": rounded(geodesic_deg(constant[None], np.eye(3)[None])[0], 2),
        "mean_without_constant": rounded(geodesic_deg(driver, output @ constant).mean(), 2),
    }


def following(driver: Faces, other: Faces) -> tuple[Channels, dict[str, float | None]]:
    """(channels, pose error) of one reading against the driver's, on the frames that have both."""
    pairs = [(a, b) for a, b in zip(driver, other, strict=True) if a is not None and b is not None]
    acting = [np.array([p[n].blendshapes for p in pairs], dtype=np.float64).reshape(-1, 52) for n in (0, 1)]
    heads = [np.array([rotation(p[n].pose) for p in pairs], dtype=np.float64).reshape(-1, 3, 3) for n in (0, 1)]
    return expression(acting[0], acting[1]), pose_error(heads[0], heads[1])


def jitter(points: Reals, still: Bools | None = None) -> dict[str, float | None]:
    """How much landmarks (T, N, 2) tremble: their second difference over time, on the `still` (T - 2,) triples.

    `rms_px`: root mean square a coordinate; `of_eyes_percent`: mean length in percent of the outer-eye distance.
    """
    second = np.diff(points, n=2, axis=0)
    if still is not None:
        second = second[still]
    if not len(second):
        return {"rms_px": None, "of_eyes_percent": None}
    eyes = float(np.linalg.norm(points[:, OUTER_EYES[0]] - points[:, OUTER_EYES[1]], axis=1).mean())
    length = np.linalg.norm(second, axis=2)
    return {
        "rms_px": rounded(np.sqrt((second**2).mean())),
        "of_eyes_percent": rounded(100.0 * float(length.mean()) / eyes),
    }


def stillest(points: Reals, share: float = 0.25) -> Bools:
    """Which triples of frames, (T - 2,), belong to the `share` in which `points` (T, N, 2) moved least."""
    step = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(axis=1)
    moved = step[1:] + step[:-1]
    return np.asarray(moved <= np.quantile(moved, share) if len(moved) else moved < 0)


def trembling(driver: Faces, output: Faces) -> dict[str, dict[str, float | None]]:
    """Landmark jitter of driver and output, over all frames and over the quarter where the head is stillest.

    Measured on the longest stretch in which both were read in every frame.
    """
    run: list[tuple[Face, Face]] = []
    best = run
    for a, b in zip(driver, output, strict=True):
        if a is None or b is None:
            run = []
            continue
        run.append((a, b))
        best = run if len(run) > len(best) else best
    names = ("driver", "output")
    if len(best) < 4:
        nothing: dict[str, float | None] = {"rms_px": None, "of_eyes_percent": None}
        return dict.fromkeys((*names, *(f"{name}_stillest" for name in names)), nothing)
    points = [np.array([pair[n].landmarks[:, :2] for pair in best], dtype=np.float64) for n in (0, 1)]
    quiet = stillest(points[0])
    every = {name: jitter(own) for name, own in zip(names, points, strict=True)}
    return every | {f"{name}_stillest": jitter(own, quiet) for name, own in zip(names, points, strict=True)}

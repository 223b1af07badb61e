"""From albums to what the network learns from: patches of mouth and eyes as geometry draws them, and as they are.

The person at rest is moved to the landmarks that the tracker finds in another frame, by the live loop's own functions;
the frame itself is the truth. In half of the samples lids and lips are set by the live rules instead of the landmarks,
as the network will meet them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime.families.motion.mesh.head import EYES, Head, Reading, read
from realtime.families.motion.mesh.model import geometry
from realtime.families.motion.mesh.motion import Moved, set_openings
from realtime.families.motion.mesh.source import MeshCast, eye_guides, eye_place, make_cast, mouth_guides, mouth_place
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker
from trained_models.recipes.motion.albums import Album, Pixels, album_path, read_album

FARTHEST = np.radians(34)
"""A head turned further than this from the picture at rest shows too little that could be learnt from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Samples: `mouth_*` (n, 112, 112, c) and `eye_*` (2 n, 64, 64, c) uint8, c = 3, guides 2; `chin` (n,)."""

    mouth_drawn: Pixels
    mouth_rest: Pixels
    mouth_guides: Pixels
    mouth_truth: Pixels
    chin: npt.NDArray[np.float32]
    eye_drawn: Pixels
    eye_rest: Pixels
    eye_guides: Pixels
    eye_truth: Pixels


def follow(cast: MeshCast, seen: Reading) -> Moved:
    """The avatar moved exactly to a reading of the same person in the same crop, without limits or rules."""
    rest = cast.rest
    gaze = np.zeros(2)
    for eye in EYES:
        width = float(np.linalg.norm(rest.shape[eye.corners[1]] - rest.shape[eye.corners[0]]))
        now, then = (r.shape[eye.iris, :2] - r.shape[eye.corners, :2].mean(axis=0) for r in (seen, rest))
        gaze += 0.5 * (now - then) / width
    shift = (seen.place - rest.place) / rest.scale
    return Moved(seen.shape, seen.turn, shift, seen.scale / rest.scale, gaze)


def samples_of(head: Head, album: Album, find: Callable[[Pixels], list[Face]]) -> Iterator[dict[str, Pixels | float]]:
    """The samples of one album, by the names of `Patches`."""
    faces = find(album.frames[0])
    if not faces:
        return
    cast = make_cast(head, album.frames[0], faces[0])
    scale, shift = cast.crop_from_avatar[0, 0], cast.crop_from_avatar[:, 2].astype(np.float32)
    rng = np.random.default_rng([album.person_seed, 5])
    for frame in album.frames[1:]:
        faces = find(frame)
        if not faces:
            continue
        landmarks = faces[0].landmarks * np.float32(scale)
        landmarks[:, :2] += shift
        seen = read(head, replace(faces[0], landmarks=landmarks))
        if np.arccos(np.clip((np.trace(seen.turn.T @ cast.rest.turn) - 1) / 2, -1, 1)) > FARTHEST:
            continue
        moved = follow(cast, seen)
        if rng.random() < 0.5:
            moved = replace(moved, shape=set_openings(moved.shape, cast.rest, seen, cast.rest))
        truth = cv2.warpAffine(
            frame,
            cast.crop_from_avatar,
            (cast.size, cast.size),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        yield _sample(cast, moved, truth)


def _sample(cast: MeshCast, moved: Moved, truth: Pixels) -> dict[str, Pixels | float]:
    points = cast.points(moved, exactly=True)
    drawn = geometry(cast, points, moved)
    px = cast.rest.scale * moved.zoom
    place, home = mouth_place(points, px), mouth_place(cast.flat, cast.rest.scale)
    guides, chin = mouth_guides(place, points)
    out: dict[str, Pixels | float] = {
        **{"mouth_drawn": place.cut(drawn), "mouth_rest": home.cut(cast.still), "mouth_guides": guides},
        **{"mouth_truth": place.cut(truth), "chin": chin},
    }
    eyes: dict[str, list[Pixels]] = {"eye_drawn": [], "eye_rest": [], "eye_guides": [], "eye_truth": []}
    for eye, ball in zip(EYES, cast.eyes, strict=True):
        spot = eye_place(points, eye, ball.width * moved.zoom)
        iris = cast.iris_place(points, moved, eye)
        eyes["eye_drawn"].append(spot.cut(drawn))
        eyes["eye_rest"].append(eye_place(cast.flat, eye, ball.width).cut(cast.still))
        eyes["eye_guides"].append(eye_guides(spot, points, eye, iris, ball.radius * moved.zoom))
        eyes["eye_truth"].append(spot.cut(truth))
    return out | {name: np.stack(pair) for name, pair in eyes.items()}


def prepare(data: Path, head: Head, tracker: Tracker, first: int, end: int) -> Iterator[int]:
    """Samples of albums `first` … `end` - 1, where they are and not yet done, to `data`/patches; yields the numbers."""
    folder = data / "patches"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, end):
        source, path = album_path(data / "albums", number), folder / f"patches_{number:05d}.npz"
        if path.exists() or not source.exists():
            continue
        found = list(samples_of(head, read_album(source), tracker.find))
        if not found:
            continue
        fields = {name: np.stack([np.asarray(sample[name]) for sample in found]) for name in found[0]}
        fields = {name: v.reshape(-1, *v.shape[2:]) if name.startswith("eye") else v for name, v in fields.items()}
        part = path.with_suffix(".part.npz")
        np.savez(part, **fields)
        part.rename(path)
        yield number


def patch_files(data: Path) -> list[Path]:
    """What `prepare` has written so far, in order."""
    return sorted(path for path in (data / "patches").glob("patches_*.npz") if ".part" not in path.name)


def read_patches(paths: list[Path]) -> Patches:
    """All samples of some files, in memory."""
    rows: dict[str, list[npt.NDArray[np.generic]]] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as stored:
            for name in stored.files:
                rows.setdefault(name, []).append(stored[name])
    whole = {name: np.concatenate(parts) for name, parts in rows.items()}
    return Patches(**{name: v.astype(np.float32) if name == "chin" else v for name, v in whole.items()})  # type: ignore[arg-type]

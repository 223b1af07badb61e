"""Whose face it is: retrieval among the identity, the driver and others; and how steady one clip's face stays."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.metrics import Floats, MeasuredFrame, Reals
from benchmarks.readers import EMBEDDING_SHA256, SecondReader, middle_of
from realtime.capture.picture import load_picture
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.tracking.face import Face

GALLERY = Path(__file__).parents[1] / "gallery.npz"
"""Embeddings of 50 rendered people who are neither driver nor identity (docs/studies/identity-embeddings)."""

IDENTITIES = Path(__file__).parents[1] / "identities.npz"
"""Mean embeddings of the packaged identities, each under the SHA-256 of its bundle's preview."""

EVERY = 5
"""An embedding takes a fifth of a second without BLAS, and an identity does not change between frames."""

SAME = 0.6
"""dlib's own threshold for one person, on Euclidean distance (99.38 % right on Labeled Faces in the Wild)."""

LIKENESS_PX = 64


def load_gallery(path: Path = GALLERY) -> Reals:
    """(N, 128): one mean embedding a person. Raises ConfigError."""
    centres = np.asarray(_stored(path, "embeddings"), dtype=np.float64)
    if centres.ndim != 2 or centres.shape[1] != 128 or len(centres) < 2:
        raise ConfigError(f"{path} holds no embeddings of 128 numbers: see docs/studies/identity-embeddings")
    return centres


def known_embedding(preview: Path, path: Path = IDENTITIES) -> Reals | None:
    """(128,) the packaged identity whose bundle has this preview; None if it is none. Raises ConfigError."""
    known = _stored(path, hashlib.sha256(preview.read_bytes()).hexdigest())
    return None if known is None else np.asarray(known, dtype=np.float64)


def _stored(path: Path, name: str) -> Any:
    try:
        with np.load(path, allow_pickle=False) as stored:
            network, value = str(stored["network_sha256"]), stored.get(name)
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} holds no embeddings: see docs/studies/identity-embeddings") from error
    if network != EMBEDDING_SHA256:
        raise ConfigError(f"{path} was made with another network: see docs/studies/identity-embeddings")
    return value


def embedding_of(reader: SecondReader, pictures: Sequence[Path]) -> Reals | str:
    """The mean embedding of pictures of an identity, or why there is none."""
    if not pictures:
        return "no picture of the identity: pass --worn"
    found = []
    for path in pictures:
        try:
            pixels = load_picture(path)
        except ConfigError:
            return f"{path.name} is no picture of the identity"
        face = reader.find(pixels, middle_of((pixels.shape[1], pixels.shape[0])))
        if face is not None:
            found.append(reader.embedding(face))
    if not found:
        return "the second reader found no face in the identity's pictures: name others with --worn"
    return np.asarray(np.mean(found, axis=0))


class Retrieval:
    """Top-1 retrieval (as FaceShifter and SimSwap report it) by Euclidean distance, on every `EVERY`-th frame.

    Among the identity, this clip's driver (the mean of its frames), and the gallery's people. `driver_as_driver` is
    the control: each of the driver's frames left out of its mean.
    """

    key = "identity"

    def __init__(self, reader: SecondReader, identity: Reals, gallery: Reals) -> None:
        self._reader, self._identity, self._gallery = reader, identity, gallery
        self._found: dict[str, list[Reals]] = {"output": [], "driver": []}
        self._seen = self._missed = 0

    def see(self, frame: MeasuredFrame) -> None:
        if frame.seq % EVERY or frame.face is None:
            return
        for name, kept in self._found.items():
            face = self._reader.find(frame.pictures[name], frame.face.box)
            if face is not None:
                kept.append(self._reader.embedding(face))
            elif name == "output":
                self._missed += 1
        self._seen += 1

    def figures(self) -> dict[str, Any]:
        outputs, drivers = self._found["output"], self._found["driver"]
        if len(drivers) < 2 or not outputs:
            return {"missing": "the second reader found driver or output in too few frames"}
        total = np.sum(drivers, axis=0)
        driver = total / len(drivers)
        others, worn = self._gallery, self._identity
        counts = Counter(nearest(one, {"worn": worn, "driver": driver}, others) for one in outputs)
        control = [
            nearest(one, {"worn": worn, "driver": (total - one) / (len(drivers) - 1)}, others) for one in drivers
        ]
        to_worn, to_driver = (np.array([_distance(one, to) for one in outputs]) for to in (worn, driver))
        to_others = [np.linalg.norm(others - one, axis=1).min() for one in outputs]
        return {
            # A frame whose output is no face to the reader is not the identity either.
            "top1": {who: round(counts[who] / self._seen, 4) for who in ("worn", "driver", "other")},
            "no_face": round(self._missed / self._seen, 4),
            "driver_as_driver": round(control.count("driver") / len(control), 4),
            "distance": {
                "output_to_worn": round(float(to_worn.mean()), 3),
                "output_to_driver": round(float(to_driver.mean()), 3),
                "driver_to_worn": round(_distance(driver, worn), 3),
                "output_to_nearest_other": round(float(np.mean(to_others)), 3),
            },
            "same_person": round(float((to_worn < SAME).mean()), 4),
            "among": len(others) + 2,
            "frames": self._seen,
        }


def nearest(one: Reals, named: Mapping[str, Reals], others: Reals) -> str:
    """Who of `named` is nearest to an embedding, or `other` where one of `others` (N, 128) is nearer."""
    best = min(named, key=lambda name: _distance(one, named[name]))
    return best if _distance(one, named[best]) <= float(np.linalg.norm(others - one, axis=1).min()) else "other"


def _distance(a: Reals, b: Reals) -> float:
    return float(np.linalg.norm(a - b))


def portrait(pixels: Pixels, face: Face) -> Floats:
    """The face upright in 64x64, grey, without its mean and contrast: (4096,), of length 1.

    So neither light nor colour count in a product of two. Only the middle of the face is in it.
    """
    matrix = crop_from_frame(face.landmarks, "full", LIKENESS_PX, coverage=1.1)
    grey = cv2.cvtColor(cut(pixels, matrix, LIKENESS_PX, "edge"), cv2.COLOR_BGR2GRAY).astype(np.float32).ravel()
    return _unit(grey - grey.mean())


def steadiness(portraits: Sequence[Floats]) -> dict[str, float | None]:
    """Correlation of each portrait with their mean: its mean and lowest twentieth. 1 is one still face."""
    if not portraits:
        return {"mean": None, "p05": None}
    likeness = np.stack(portraits) @ _unit(np.mean(portraits, axis=0, dtype=np.float32))
    return {"mean": round(float(likeness.mean()), 4), "p05": round(float(np.percentile(likeness, 5)), 4)}


def across_clips(outputs: Sequence[Sequence[Floats]], drivers: Sequence[Sequence[Floats]]) -> dict[str, float] | None:
    """How alike the clips' mean faces are, outputs against drivers: the mean correlation of all pairs.

    One identity drawn over different people should be more alike than the people are. None for a single clip.
    """
    found = {}
    for name, clips in (("outputs", outputs), ("drivers", drivers)):
        means = [_unit(np.mean(portraits, axis=0, dtype=np.float32)) for portraits in clips if portraits]
        if len(means) < 2:
            return None
        alike = [float(a @ b) for n, a in enumerate(means) for b in means[n + 1 :]]
        found[name] = round(float(np.mean(alike)), 4)
    return found


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), dtype=np.float32)

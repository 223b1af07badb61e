"""Whose face it is: the output looked up among the worn identity, the driver, and people who are neither."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.moment import Moment
from benchmarks.second_reader import EMBEDDING_SHA256, SecondReader, centre_of
from realtime.errors import ConfigError

Reals = npt.NDArray[np.float64]

GALLERY = Path(__file__).parent / "gallery.npz"
IDENTITIES = Path(__file__).parent / "identities.npz"
"""Mean embeddings of the packaged identities, each under the SHA-256 of its bundle's preview."""

EVERY = 5
"""An embedding takes a fifth of a second without BLAS, and an identity does not change between frames."""

SAME = 0.6
"""dlib's own threshold for one person, on Euclidean distance (99.38 % right on Labeled Faces in the Wild)."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """People who are neither driver nor worn: `centres` (N, 128), each the mean of some pictures' embeddings."""

    centres: Reals


def load_gallery(path: Path = GALLERY) -> Gallery:
    """The gallery that ships, or another of its form (docs/studies/identity-embeddings). Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            centres = np.asarray(stored["embeddings"], dtype=np.float64)
            network = str(stored["network_sha256"])
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} is not a gallery: see docs/studies/identity-embeddings") from error
    if network != EMBEDDING_SHA256 or centres.ndim != 2 or centres.shape[1] != 128 or len(centres) < 2:
        raise ConfigError(f"{path} was made with another network: see docs/studies/identity-embeddings")
    return Gallery(centres)


def worn_centre(reader: SecondReader, pictures: Sequence[Path]) -> Reals | str:
    """The worn identity's embedding from pictures of it, or why there is none."""
    found = []
    for path in pictures:
        pixels = cv2.imread(str(path))
        if pixels is None:
            return f"{path.name} is no picture of the identity"
        height, width = pixels.shape[:2]
        # The whole picture is within twice this box.
        box = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
        face = reader.find(np.asarray(pixels, dtype=np.uint8), box)
        if face is not None:
            found.append(reader.embedding(face))
    if not found:
        return "the second reader found no face in the identity's pictures: name others with --worn"
    return centre_of(found)


def known_centre(preview: Path, path: Path = IDENTITIES) -> Reals | None:
    """(128,) the identity whose bundle has this preview; None if it is not among the known. Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["network_sha256"]) != EMBEDDING_SHA256:
                raise ConfigError(f"{path} was made with another network: see docs/studies/identity-embeddings")
            known = stored.get(hashlib.sha256(preview.read_bytes()).hexdigest())
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} holds no embeddings: see docs/studies/identity-embeddings") from error
    return None if known is None else np.asarray(known, dtype=np.float64)


class Retrieval:
    """Top-1 retrieval (as FaceShifter and SimSwap report it) by Euclidean distance, on every `EVERY`-th frame.

    The candidates: the worn identity, this clip's driver (the mean of its frames), and the gallery's people.
    `top1`: the share of output frames retrieved as each. `driver_as_driver` is the control: the driver's own frames,
    each left out of its mean, retrieved as the driver. `distance`: mean distances; under `SAME` is one person.
    """

    key = "identity"

    def __init__(self, reader: SecondReader, worn: Reals, gallery: Gallery) -> None:
        self._reader, self._worn, self._gallery = reader, worn, gallery
        self._found: dict[str, list[Reals]] = {"output": [], "driver": []}
        self._seen = self._missed = 0

    def see(self, moment: Moment) -> None:
        """One frame; most are passed over."""
        if moment.seq % EVERY or moment.face is None:
            return
        for name, kept in self._found.items():
            face = self._reader.find(moment.pictures[name], moment.face.box)
            if face is not None:
                kept.append(self._reader.embedding(face))
            elif name == "output":
                self._missed += 1
        self._seen += 1

    def figures(self) -> dict[str, Any]:
        """Shares and distances."""
        outputs, drivers = self._found["output"], self._found["driver"]
        if len(drivers) < 2 or not outputs:
            return {"missing": "the second reader found driver or output in too few frames"}
        driver = centre_of(drivers)
        others = self._gallery.centres
        names = [nearest(one, {"worn": self._worn, "driver": driver}, others) for one in outputs]
        total = np.sum(drivers, axis=0)
        left_out = [
            nearest(one, {"worn": self._worn, "driver": (total - one) / (len(drivers) - 1)}, others) for one in drivers
        ]
        far = np.array([[_apart(one, to) for to in (self._worn, driver)] for one in outputs])
        counts = Counter(names)
        return {
            # A frame whose output is no face to the reader is not the worn identity either.
            "top1": {who: round(counts[who] / self._seen, 4) for who in ("worn", "driver", "other")},
            "no_face": round(self._missed / self._seen, 4),
            "driver_as_driver": round(left_out.count("driver") / len(left_out), 4),
            "distance": {
                "output_to_worn": round(float(far[:, 0].mean()), 3),
                "output_to_driver": round(float(far[:, 1].mean()), 3),
                "driver_to_worn": round(_apart(driver, self._worn), 3),
                "output_to_nearest_other": round(
                    float(np.mean([np.linalg.norm(others - one, axis=1).min() for one in outputs])), 3
                ),
            },
            "same_person": round(float((far[:, 0] < SAME).mean()), 4),
            "among": len(others) + 2,
            "frames": self._seen,
        }


def nearest(one: Reals, named: Mapping[str, Reals], others: Reals) -> str:
    """Who of `named` is nearest to an embedding, or `other` where one of `others` (N, 128) is nearer."""
    best = min(named, key=lambda name: _apart(one, named[name]))
    return best if _apart(one, named[best]) <= float(np.linalg.norm(others - one, axis=1).min()) else "other"


def _apart(a: Reals, b: Reals) -> float:
    return float(np.linalg.norm(a - b))

"""`python -m benchmarks.gallery DATA --out gallery.npz`: embeddings of rendered people, for the identity figures.

DATA holds what `python -m trained_models.recipes.people pairs` or `clips` made: files with `person_jpg` and
`person_seed` a picture, or `frame_jpg` and one `person_seed`. Only embeddings are kept, no picture.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.mask_truth import JoinedPictures
from benchmarks.second_reader import EMBEDDING_SHA256, SecondReader, centre_of, open_second_reader
from realtime.errors import ConfigError
from realtime.frame import Pixels

Reals = npt.NDArray[np.float64]


def people(folder: Path) -> Iterator[tuple[int, Pixels]]:
    """(person's seed, picture) of all stored pictures, file by file. Raises ConfigError where there are none."""
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise ConfigError(f"{folder} holds no .npz files: render some with python -m trained_models.recipes.people")
    for path in files:
        with np.load(path, allow_pickle=False) as stored:
            name = "person_jpg" if "person_jpg" in stored.files else "frame_jpg"
            seeds = np.atleast_1d(stored["person_seed"])
        pictures = JoinedPictures(path, name)
        for number, seed in enumerate(np.broadcast_to(seeds, len(pictures))):
            yield int(seed), pictures.read(number, cv2.IMREAD_COLOR)


def gather(
    reader: SecondReader, pictures: Iterator[tuple[int, Pixels]], wanted: int, each: int, without: frozenset[int]
) -> tuple[dict[int, Reals], float]:
    """(person → mean embedding of `each` pictures, the share of single pictures nearest to their own person).

    People with fewer pictures in which a face is found are left out. Raises ConfigError where too few are left.
    """
    found: dict[int, list[Reals]] = defaultdict(list)
    full: set[int] = set()
    for seed, pixels in pictures:
        if seed in without or seed in full:
            continue
        height, width = pixels.shape[:2]
        face = reader.find(pixels, (width / 4, height / 4, 3 * width / 4, 3 * height / 4))
        if face is None:
            continue
        found[seed].append(reader.embedding(face))
        if len(found[seed]) == each:
            full.add(seed)
            if len(full) == wanted:
                break
    if len(full) < wanted:
        raise ConfigError(f"only {len(full)} of {wanted} people have {each} readable pictures: render more of them")
    kept = {seed: found[seed] for seed in sorted(full)}
    centres = {seed: centre_of(own) for seed, own in kept.items()}
    return centres, _told_apart(kept)


def _told_apart(kept: dict[int, list[Reals]]) -> float:
    """How often a picture, left out of its person's mean, is nearest to that mean all the same."""
    right = total = 0
    for seed, own in kept.items():
        others = np.array([centre_of(other) for one, other in kept.items() if one != seed])
        for n, one in enumerate(own):
            rest = centre_of(own[:n] + own[n + 1 :])
            right += bool(np.linalg.norm(one - rest) < np.linalg.norm(others - one, axis=1).min())
            total += 1
    return right / total


def main() -> None:
    """Make the gallery and say how well its people are told apart."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("data", type=Path, help="a folder of rendered pairs or clips")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--each", type=int, default=6, help="pictures a person, at least 2")
    parser.add_argument("--without", type=int, nargs="*", default=[505], help="seeds of worn identities")
    asked = parser.parse_args()
    if asked.people < 2 or asked.each < 2:
        parser.error("--people and --each must be at least 2")
    reader = open_second_reader()
    if isinstance(reader, str):
        parser.exit(2, f"the gallery {reader}\n")
    try:
        centres, apart = gather(reader, people(asked.data), asked.people, asked.each, frozenset(asked.without))
    except ConfigError as error:
        parser.exit(error.exit_code, f"{error}\n")
    np.savez(
        asked.out,
        embeddings=np.array(list(centres.values()), dtype=np.float16),
        seeds=np.array(list(centres), dtype=np.int64),
        network_sha256=np.array(EMBEDDING_SHA256),
    )
    print(f"{asked.out}: {len(centres)} people of {asked.each} pictures; single pictures told apart: {apart:.1%}")


if __name__ == "__main__":
    main()

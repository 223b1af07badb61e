"""`python -m benchmarks.worn PAIRS --out worn.npz`: what the packaged identities look like, for the identity figures.

PAIRS holds a folder an identity, as `python -m trained_models.recipes.people pairs` makes them. Many pictures of an
identity, in all lights and moods, are embedded and averaged (docs/decisions/0015): one smiling preview alone is
further from the identity's own pictures than some of the gallery's people are. They come from the first shard, which
training holds out. Only embeddings are kept, each under the SHA-256 of the bundle's preview.
"""

import argparse
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.mask_truth import JoinedPictures
from benchmarks.second_reader import EMBEDDING_SHA256, SecondReader, centre_of, open_second_reader
from realtime.errors import ConfigError

Reals = npt.NDArray[np.float64]

WORN = Path(__file__).parent / "worn.npz"
BUNDLES = Path(__file__).resolve().parents[1] / "trained_models"


def known_centre(preview: Path, path: Path = WORN) -> Reals | None:
    """(128,) the identity whose bundle has this preview; None if it is not among the known. Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["network_sha256"]) != EMBEDDING_SHA256:
                raise ConfigError(f"{path} was made with another network: make it again with python -m benchmarks.worn")
            known = stored.get(_key(preview))
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} holds no embeddings: make it with python -m benchmarks.worn") from error
    return None if known is None else np.asarray(known, dtype=np.float64)


def gather(reader: SecondReader, shard: Path, each: int) -> Reals:
    """(128,) the mean embedding of `each` of the identity's pictures in a shard, evenly spread over it.

    Raises ConfigError where fewer have a face that can be read.
    """
    pictures = JoinedPictures(shard, "target_jpg")
    found: list[Reals] = []
    stride = max(len(pictures) // each, 1)
    for number in sorted(range(len(pictures)), key=lambda k: (k % stride, k)):  # those between only where faces lack
        pixels = pictures.read(number, cv2.IMREAD_COLOR)
        height, width = pixels.shape[:2]
        face = reader.find(pixels, (width / 4, height / 4, 3 * width / 4, 3 * height / 4))
        if face is not None:
            found.append(reader.embedding(face))
        if len(found) == each:
            return centre_of(found)
    raise ConfigError(f"only {len(found)} of {each} pictures in {shard.name} have a readable face: give another shard")


def save(centres: Mapping[Path, Reals], out: Path) -> None:
    """Write the centres, each under its preview's hash."""
    arrays: dict[str, Any] = {_key(preview): centre.astype(np.float16) for preview, centre in centres.items()}
    np.savez(out, network_sha256=np.array(EMBEDDING_SHA256), **arrays)


def _key(preview: Path) -> str:
    return hashlib.sha256(preview.read_bytes()).hexdigest()


def main() -> None:
    """Embed the packaged identities that PAIRS has pictures of."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worn", description=__doc__)
    parser.add_argument("pairs", type=Path, help="a folder of rendered pairs, a folder an identity")
    parser.add_argument("--out", type=Path, default=WORN)
    parser.add_argument("--each", type=int, default=40, help="pictures an identity")
    asked = parser.parse_args()
    reader = open_second_reader()
    if isinstance(reader, str):
        parser.exit(2, f"the worn identities {reader}\n")
    centres: dict[Path, Reals] = {}
    try:
        for folder in sorted(asked.pairs.iterdir()):
            preview = BUNDLES / folder.name / "preview.jpg"
            shards = sorted(folder.glob("shard_*.npz"))
            if preview.exists() and shards:
                centres[preview] = gather(reader, shards[0], asked.each)
    except ConfigError as error:
        parser.exit(error.exit_code, f"{error}\n")
    save(centres, asked.out)
    print(f"{asked.out}: {', '.join(preview.parent.name for preview in centres)}, {asked.each} pictures each")


if __name__ == "__main__":
    main()

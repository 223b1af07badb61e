"""Rendered people of many looks, as the network sees drivers: so that no driver's look gets into an identity.

The packaged file holds `PEOPLE` people's crops as JPEG files. Pictures and not codes: they fit whatever encoder
is trained next. `python -m trained_models.recipes.autoencoder.learn.drivers RAW OUT` makes it from rendered pairs.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import ModelError
from realtime.frame import Pixels
from realtime.imaging.affine import cut
from realtime.imaging.align import crop_from_frame
from realtime.tracking.tracker import Tracker
from trained_models.recipes.autoencoder.prepare import COVERAGE, FACE_TYPE, SIZE
from trained_models.recipes.autoencoder.rendered_pairs import read_pairs

FILE = Path(__file__).resolve().parents[2] / "checkpoints" / "drivers.npz"
PEOPLE = 140
PER_PERSON = 3
JPEG_QUALITY = 85


def load_drivers(file: Path = FILE) -> tuple[Pixels, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Crops (n, S, S, 3) uint8 BGR and the number of each one's person (n,). Raises ModelError."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            stream, ends, person = stored["jpg"], stored["ends"], stored["person"].astype(np.int64)
        crops = [cv2.imdecode(part, cv2.IMREAD_COLOR) for part in np.split(stream, ends[:-1])]
        return np.stack([np.asarray(c, np.uint8) for c in crops]), person
    except (OSError, KeyError, ValueError, cv2.error) as error:
        raise ModelError(f"{file.name} of the recipes is missing or damaged: reinstall masquerade") from error


def gather(raw: Path, out: Path) -> int:
    """Write `out` from the rendered shards in `raw`; how many crops it holds."""
    tracker = Tracker(provider="cpu")
    files: list[Pixels] = []
    person: list[int] = []
    people: dict[int, int] = {}
    for shard in sorted(raw.glob("shard_*.npz")):
        with np.load(shard, allow_pickle=False) as stored:
            seeds = stored["person_seed"]
        for seed, pair in zip(seeds.tolist(), read_pairs(shard), strict=True):
            if person.count(people.setdefault(seed, len(people))) >= PER_PERSON or people[seed] >= PEOPLE:
                continue
            found = tracker.find(np.ascontiguousarray(pair.person))
            if not found:
                continue
            crop = cut(
                pair.person, crop_from_frame(found[0].landmarks, FACE_TYPE, SIZE, coverage=COVERAGE), SIZE, "edge"
            )
            files.append(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].reshape(-1))
            person.append(people[seed])
    tracker.close()
    ends = np.cumsum([len(f) for f in files])
    np.savez(out, jpg=np.concatenate(files), ends=ends, person=np.array(person, np.int16))
    return len(files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Gather the packaged drivers from rendered pairs.")
    parser.add_argument("raw", type=Path, help="folder of shard_*.npz from the people recipe")
    parser.add_argument("out", type=Path, nargs="?", default=FILE)
    given = parser.parse_args()
    print(gather(given.raw, given.out), "crops")

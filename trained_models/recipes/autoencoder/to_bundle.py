"""Stores a trained identity as a bundle, and gathers the drivers that `masquerade learn` is packaged with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from realtime.frame import Pixels
from realtime.imaging.affine import cut
from trained_models.autoencoder.crops import SIZE, face_crop, finder
from trained_models.autoencoder.export import Files, input_of, output_of
from trained_models.autoencoder.network import Shape
from trained_models.recipes.autoencoder.prepare import friendliest, read_pairs
from trained_models.training.files import write_bundle

PEOPLE, PER_PERSON = 140, 3
JPEG_QUALITY = 85


def write_identity(
    folder: Path, title: str, files: Files, story: Mapping[str, Any], shape: Shape, measured: Mapping[str, str]
) -> None:
    """The networks and the card of a bundle named as its `folder`; `story`: what the card says of the training."""
    head = {
        "name": folder.name,
        "title": title,
        "family": "swap",
        "licence": "CC0-1.0",
        "identity": {"kind": "synthetic", "statement": "Rendered character. No real person."},
    }
    tables = {
        "input": input_of(shape),
        "output": output_of(shape),
        "training": {
            "recipe": "trained_models/recipes/autoencoder",
            "data": "rendered pairs of synthetic people: trained_models/recipes/people",
            **story,
        },
        "measured": {"export": str(files.parity), **measured},
    }
    write_bundle(folder, head, files.named(), tables)


def write_preview(path: Path, shards: Sequence[Path]) -> None:
    """A 256-pixel JPEG of the identity as rendered, the friendliest of some raw shards."""
    picture = min((friendliest(shard) for shard in shards), key=lambda found: found[0])[1]
    large = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])


def gather_strangers(raw: Path, out: Path) -> int:
    """Write `out` from the rendered shards in `raw`; how many crops it holds."""
    find = finder()
    files: list[Pixels] = []
    person: list[int] = []
    people: dict[int, int] = {}
    for shard in sorted(raw.glob("shard_*.npz")):
        with np.load(shard, allow_pickle=False) as stored:
            seeds = stored["person_seed"]
        for seed, (driver, _, _) in zip(seeds.tolist(), read_pairs(shard), strict=True):
            if person.count(people.setdefault(seed, len(people))) >= PER_PERSON or people[seed] >= PEOPLE:
                continue
            face = find(driver)
            if face is None:
                continue
            crop = cut(driver, face_crop(face.landmarks), SIZE, "edge")
            files.append(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].reshape(-1))
            person.append(people[seed])
    ends = np.cumsum([len(f) for f in files])
    np.savez(out, jpg=np.concatenate(files), ends=ends, person=np.array(person, np.int16))
    return len(files)

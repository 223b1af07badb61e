"""What tells people apart by their landmarks, measured on rendered people → `trained_models/face/skull.npz`.

    python -m trained_models.recipes.people pairs --data DATA
    python -m trained_models.recipes.skull DATA/pairs/ada --out trained_models/face/skull.npz

Reads every driver in the shards as the live loop would (25 moments of each person, in other poses, expressions and
light), fits what turning does to everybody's points, then the directions that separate people. The file is used by
`tracking.shape_embedding`. Afterwards `python -m trained_models.recipes.face` writes the new hash into the card.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import numpy.typing as npt
import scipy.linalg

from realtime.frame import Doubles
from realtime.models.library import built_in_folder
from realtime.tracking.face_networks import MIN_SCORE, FaceNetworks
from realtime.tracking.pose import HeadPose
from realtime.tracking.shape_embedding import NUMBERS, SHAPE_POINTS, turned
from trained_models.recipes.sample_files import decoded, read_arrays

LEAST_FORWARD = 0.80  # faces turned further than 37° are left out: more than half of what is read there is guessed
RIDGE = 0.01  # of the mean variance, added to each: directions in which nobody was seen to vary are not trusted


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """n faces: `person` (n,) numbers, `shape` (n, 81) cm, `turned` (n, 7)."""

    person: npt.NDArray[np.int64]
    shape: Doubles
    turned: Doubles


def read_views(shards: Sequence[Path]) -> Views:
    """Every driver of the shards in whom a face is found whole."""
    folder = built_in_folder() / "face"
    networks, head = FaceNetworks(folder, "cpu"), HeadPose(folder / "pose.npz")
    person: list[int] = []
    shape: list[Doubles] = []
    turns: list[Doubles] = []
    for fields in map(read_arrays, shards):
        for pixels, who in zip(decoded(fields, "person_jpg"), fields["person_seed"], strict=True):
            size = pixels.shape[1], pixels.shape[0]
            for found in networks.search(pixels)[:1]:
                landmarks, score = networks.landmarks(pixels, found.region)
                pose, points = head.fit(landmarks, size, SHAPE_POINTS)
                inside = bool(((landmarks[:, :2] > 0) & (landmarks[:, :2] < size)).all())
                if score > MIN_SCORE and inside and pose[2, 2] > LEAST_FORWARD:
                    person.append(int(who))
                    shape.append(points.reshape(-1))
                    turns.append(turned(pose))
    for session in networks.sessions:
        session.close()
    return Views(np.array(person), np.array(shape), np.array(turns))


def fit(views: Views) -> dict[str, Doubles]:
    """`directions` (81, 8) and `turning` (7, 8): see `realtime.tracking.shape_embedding.ShapeEmbedding`."""
    people = np.unique(views.person)
    turns, shapes = _within(views.turned, views.person), _within(views.shape, views.person)
    turning = np.linalg.lstsq(turns, shapes, rcond=None)[0]
    varied = shapes - turns @ turning
    within = varied.T @ varied / (len(varied) - len(people))
    within += RIDGE * np.trace(within) / len(within) * np.eye(len(within))
    still = views.shape - views.turned @ turning
    between = np.cov(np.array([still[views.person == who].mean(axis=0) for who in people]).T)
    directions = scipy.linalg.eigh(between, within)[1][:, -NUMBERS:]
    return {"directions": directions, "turning": turning @ directions}


def _within(values: Doubles, person: npt.NDArray[np.int64]) -> Doubles:
    """The values less their mean over the same person."""
    out = values.copy()
    for who in np.unique(person):
        out[person == who] -= out[person == who].mean(axis=0)
    return out


@click.command(help=__doc__.splitlines()[0])
@click.argument("folders", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The file to write.")
def main(folders: tuple[Path, ...], out: Path) -> None:
    cv2.setNumThreads(1)
    views = read_views([path for folder in folders for path in sorted(folder.glob("shard_*.npz"))])
    np.savez(out, **{name: value.astype(np.float32) for name, value in fit(views).items()})
    print(f"{out}: {len(views.person)} faces of {len(np.unique(views.person))} people")


if __name__ == "__main__":
    main()

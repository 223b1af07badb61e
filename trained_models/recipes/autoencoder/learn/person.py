"""Whose footage it is: one person's, or an error before any training."""

from collections.abc import Sequence

import numpy as np

from realtime.errors import ConfigError
from realtime.text import printable
from trained_models.recipes.autoencoder.learn.footage import Looks, ReadClip, joined

LEAST_SHARE = 0.05
"""A second face in fewer of a clip's frames than this is a mistake of the detector, or a passer-by to be left out."""
# A skull seems to change as the head turns, so only frames of like poses are compared. On seven people, rendered and
# filmed, a fifth of those pairs were nearer than 0.36 cm for parts of one person, and than 0.28 to 0.73 cm for two.
OTHER_CM = 0.40
LIKE_POSE = np.radians(6.0)
LEAST_PAIRS = 20
MOST_COMPARED = 200

_FILM = "film one person alone, looking at the camera, and give those clips"


def one_person(clips: Sequence[ReadClip]) -> Looks:
    """The looks of the one person in all `clips`. Raises ConfigError: no face, two people, different people."""
    chosen: list[tuple[ReadClip, Looks]] = []
    for clip in clips:
        name = printable(clip.name, 60)
        if clip.together > max(2.0, LEAST_SHARE * clip.frames):
            raise ConfigError(f"{name} shows two people at once in {clip.together} of {clip.frames} frames: {_FILM}")
        if not clip.people:
            raise ConfigError(f"no face was found in {name} ({clip.frames} frames looked at): {_FILM}")
        main = clip.people[0]
        parts = [main]
        for other in clip.people[1:]:
            if not _differ(main, other):  # lost and found again
                parts.append(other)
            elif len(other) > LEAST_SHARE * clip.frames:
                raise ConfigError(f"{name} shows two people, the second in {len(other)} frames: {_FILM}")
        chosen.append((clip, joined(parts)))
    first_clip, first = max(chosen, key=lambda pair: len(pair[1]))
    for clip, looks in chosen:
        if looks is not first and _differ(first, looks):
            names = f"{printable(clip.name, 60)} and {printable(first_clip.name, 60)}"
            raise ConfigError(f"{names} show different people: {_FILM}")
    whole = joined([looks for _, looks in chosen])
    return whole[np.lexsort((whole.at_s, whole.clip))]


def _differ(a: Looks, b: Looks) -> bool:
    """True where two skulls are surely not one person's; False where they may be, or cannot be compared."""
    a, b = (looks[np.linspace(0, len(looks) - 1, min(len(looks), MOST_COMPARED)).astype(int)] for looks in (a, b))
    apart = np.linalg.norm(a.pose[:, None, :2] - b.pose[None, :, :2], axis=-1)
    first, second = np.nonzero(apart < LIKE_POSE)
    if len(first) < LEAST_PAIRS:
        return False
    far_cm = np.sqrt(((a.shape[first] - b.shape[second]) ** 2).sum(-1).mean(-1))
    return float(np.percentile(far_cm, 20)) > OTHER_CM

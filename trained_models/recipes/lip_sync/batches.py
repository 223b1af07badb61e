"""Pairs out of takes: the same moment with one mouth and with another, coloured and cut anew each time."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from realtime.families.lip_sync.lower_face import close_mouth
from realtime.families.lip_sync.network import LIP_POINTS, PLANES, lip_planes
from realtime.families.motion.mesh.head import CHIN, UNDER_NOSE
from realtime.frame import Floats, Pixels
from trained_models.recipes.lip_sync.network import JAW, ROWS, TOP
from trained_models.recipes.lip_sync.samples import PICTURES, SEEN, SIDE, SpokenSamples
from trained_models.recipes.motion.samples import colours

HALVES = np.array([SEEN / 2, ROWS / 2], np.float32)
AT_REST, WIDE, SAME = 0.3, 0.3, 0.06
"""How often the face that is shown is at rest; how often it is open wider than it shall be, but shall be open too: else
a network learns that open mouths are to be shut; and how often it says already what it shall say."""
SEAM = 2.0  # lips that are nearer to each other meet; those that are twice as far apart are open: pixels
GAPS = (0.0, 20.0)  # how far mouths are open that are shut before they are shown: pixels
FAR, CHOICE = 0.6, 4  # how often the mouth to draw is the most different of some: mouths that hardly move teach little
UNSEEN, TREMBLE = 0.06, (0.6, 0.25)
"""How often nothing is told of the lips, and how far the outlines are off, all together and each point: pixels."""
RETONED = 0.4  # how often the inside of the mouth that is shown is lighter, darker or of another colour: real ones are


@dataclass(frozen=True, slots=True)
class Batch:
    """`shown`, `truth` (n, 3, 80, 128) BGR 0..1; `codes` (n, 12); `weight` (n, 1, 80, 128): how much a pixel counts.

    `lips` (n, 2, 80, 128): where the lips are in `shown`. `points` (n, 44, 2): where the lips' corners, middles and
    outlines are in `truth`; `moves`: the way from there to where they are in `shown`; both in halves of the crop's
    sides, the middle at 0. `opened` (n, 1, 80, 128): where the mouth is open in `truth` and not in `shown`.
    """

    shown: Tensor
    lips: Tensor
    truth: Tensor
    codes: Tensor
    weight: Tensor
    points: Tensor
    moves: Tensor
    opened: Tensor


class Samples:
    """All takes in memory; batch number n is always the same. `shut`: how often an open mouth is shut before it is
    shown, as the live loop does with filmed ones."""

    def __init__(self, takes: Sequence[SpokenSamples], seed: int = 1, plain: bool = False, shut: float = 0.0) -> None:
        self.frames = np.concatenate([t.frames for t in takes])
        self.codes = np.concatenate([t.codes for t in takes])
        self.lips = np.concatenate([t.lips for t in takes])
        self.outlines = np.concatenate([t.outlines for t in takes])
        self._seed, self._plain, self._shut = seed, plain, shut
        inner = self.outlines[:, :, len(LIP_POINTS) // 2 :, 1]
        self._gaps = np.nan_to_num(inner[:, :, 15] - inner[:, :, 5]).clip(0)

    def __len__(self) -> int:
        return len(self.frames) * PICTURES

    def batch(self, number: int, count: int) -> Batch:
        rng = np.random.default_rng([self._seed, number])
        chosen, shut = [], []
        for _ in range(count):
            take, lot = int(rng.integers(len(self.frames))), rng.random()
            shown = 0 if lot < AT_REST else int(rng.integers(PICTURES))
            others = rng.integers(0, PICTURES, CHOICE)
            shut.append(self._shut > 0 and rng.random() < self._shut)
            if shut[-1]:
                # As open as chance has it, not as the code: who was shut from afar would else be who opens wide.
                shown = int(np.abs(self._gaps[take] - rng.uniform(*GAPS)).argmin())
            if AT_REST <= lot < AT_REST + WIDE and not shut[-1]:
                widest = others[np.argsort(self.codes[take, others, JAW])[::-1]]
                shown, truth = int(widest[0]), int(widest[rng.integers(1, CHOICE)])
            else:
                far = np.abs(self.codes[take, others] - self.codes[take, shown]).sum(1)
                truth = int(others[far.argmax()]) if rng.random() < FAR and not shut[-1] else int(others[0])
            chosen.append((take, shown, shown if lot > 1 - SAME and not shut[-1] else truth))
        return self.pairs(chosen, rng, shut=shut)

    def pairs(
        self,
        chosen: Sequence[tuple[int, int, int]],
        rng: np.random.Generator,
        *,
        plain: bool = False,
        shut: Sequence[bool] = (),
    ) -> Batch:
        """These (take, shown, truth); `plain`: as they are, whatever the samples; `shut`: whose mouth is shut first."""
        plain, n = plain or self._plain, len(chosen)
        both = np.empty((n, 6, ROWS, SEEN), np.float32)
        weight = np.empty((n, 1, ROWS, SEEN), np.float32)
        codes = np.empty((n, self.codes.shape[2]), np.float32)
        planes = np.zeros((n, PLANES, ROWS, SEEN), np.float32)
        opened = np.zeros((n, 1, ROWS, SEEN), np.float32)
        count = self.lips.shape[2] + len(LIP_POINTS)
        points, moves = np.empty((n, count, 2), np.float32), np.empty((n, count, 2), np.float32)
        for row, (take, shown, truth) in enumerate(chosen):
            matrix = _middle() if plain else _shaken(rng)
            one, other = (_cut(self.frames[take, k], matrix) for k in (shown, truth))
            before, lips = (self._lips(take, k) @ matrix[:, :2].T + matrix[:, 2] for k in (shown, truth))
            if shut and shut[row] and self._seen(take, shown):
                one, before = _shut(self.frames[take, shown], matrix, before, rng)
            before, lips = before - (0, TOP), lips - (0, TOP)
            if not plain and rng.random() < 0.4:
                sigma = rng.uniform(0.3, 1.1)
                one, other = (np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8) for x in (one, other))
            points[row], moves[row] = (lips + 0.5) / HALVES - 1, (before - lips) / HALVES
            weight[row, 0] = _weight(one, other, lips[:4])
            outline = before[-len(LIP_POINTS) :].astype(np.float32)
            if self._seen(take, truth):
                # Of lips that nearly meet the tracker still tells a gap, where there is only their seam.
                open_by = np.clip((self._gaps[take, truth] - SEAM) / SEAM, 0, 1)
                opened[row, 0] = _inside(lips[-len(LIP_POINTS) :]) * np.float32(open_by)
                if self._seen(take, shown):
                    opened[row, 0] *= 1 - _inside(outline)
            if not plain:
                if rng.random() < RETONED:
                    one = _retoned(one, outline, rng)
                outline += rng.normal(0, TREMBLE[0], 2) + rng.normal(0, TREMBLE[1], outline.shape)
            if self._seen(take, shown) and (plain or rng.random() >= UNSEEN):
                planes[row] = lip_planes(outline, SEEN, ROWS)
            both[row, :3], both[row, 3:] = (x.transpose(2, 0, 1) / np.float32(255) for x in (one, other))
            codes[row] = self.codes[take, truth]
            if not plain:
                mix, power = colours(rng)
                for part in (both[row, :3], both[row, 3:]):
                    part[:] = np.clip(np.tensordot(mix, part, axes=1), 0, 1) ** power[:, None, None]
        tensors = (both[:, :3], planes, both[:, 3:], codes, weight, points, moves, opened)
        return Batch(*(torch.from_numpy(np.ascontiguousarray(x)) for x in tensors))

    def _seen(self, take: int, picture: int) -> bool:
        return bool(np.isfinite(self.outlines[take, picture]).all())

    def _lips(self, take: int, picture: int) -> Floats:
        """(44, 2) corners and middles as rendered, then the outlines as the tracker saw them in the stored picture.
        Where it saw none, the four stand in for them."""
        four = self.lips[take, picture]
        if not self._seen(take, picture):
            return np.concatenate([four] * (1 + len(LIP_POINTS) // 4))
        return np.concatenate([four, self.outlines[take, picture]])


def spread(samples: Samples, count: int) -> Batch:
    """`count` pairs from all over, not shaken if `samples` are plain: the odd ones from a face at rest."""
    rng = np.random.default_rng(3)
    takes = np.linspace(0, len(samples.frames) - 1, count).astype(int)
    return samples.pairs(
        [
            (int(t), 0 if k % 2 else int(rng.integers(1, PICTURES)), int(rng.integers(1, PICTURES)))
            for k, t in enumerate(takes)
        ],
        rng,
    )


def _middle() -> Floats:
    off = 0.5 * (SIDE - SEEN)
    return np.array([[1, 0, -off], [0, 1, -off]], np.float32)


def _shaken(rng: np.random.Generator) -> Floats:
    """From a stored picture to a crop that the live loop might cut: turned, scaled, shifted, now and then mirrored."""
    angle = rng.normal(0, 0.05)
    wide, high = np.exp(rng.normal(0, 0.05, 2))
    if rng.random() < 0.5:
        wide = -wide
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = np.diag([wide, high]) @ turn
    middle = np.array([SIDE - 1, SIDE - 1]) / 2
    to = np.array([SEEN - 1, SEEN - 1]) / 2 + rng.normal(0, 3, 2)
    return np.column_stack([linear, to - linear @ middle]).astype(np.float32)


def _cut(picture: Pixels, matrix: Floats) -> Pixels:
    """The lower rows of the crop, (80, 128, 3)."""
    down = matrix.copy()
    down[1, 2] -= TOP
    cut = cv2.warpAffine(picture, down, (SEEN, ROWS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _shut(picture: Pixels, matrix: Floats, lips: Floats, rng: np.random.Generator) -> tuple[Pixels, Floats]:
    """The lower rows of the crop with the mouth shut, and where corners, middles and outlines are then.

    `lips` (44, 2) in pixels of the crop, the first four corners and middles. Where nose and chin are, the takes do not
    tell: about a face's usual way from the lips.
    """
    crop = cv2.warpAffine(picture, matrix, (SEEN, SEEN), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    outline = lips[-len(LIP_POINTS) :]
    middle = float(outline[:, 0].mean())
    landmarks = np.full((478, 2), middle)
    landmarks[LIP_POINTS] = outline
    landmarks[UNDER_NOSE, 1] = outline[:, 1].min() - SEEN * rng.uniform(0.05, 0.11)
    landmarks[CHIN, 1] = min(outline[:, 1].max() + SEEN * rng.uniform(0.11, 0.18), SEEN - 4)
    shut, met = close_mouth(np.asarray(crop, np.uint8), landmarks, np.eye(2, 3))
    moved = lips.copy()
    moved[-len(LIP_POINTS) :] = met
    for point, side in zip(lips[2:4], moved[2:4], strict=True):  # the middles go with the outline next to them
        side += (met - outline)[np.linalg.norm(outline - point, axis=1).argmin()]
    return np.ascontiguousarray(shut[TOP:]), moved


def _inside(outline: Floats) -> Floats:
    """The open mouth of lips whose outline, (40, 2), is in the lower rows: (80, 128) 0..1."""
    inside = np.zeros((ROWS, SEEN), np.uint8)
    ring = np.clip(outline[20:] * 16, -(2**20), 2**20).round().astype(np.int32)
    cv2.fillPoly(inside, [ring], 255, lineType=cv2.LINE_AA, shift=4)
    return np.multiply(inside, np.float32(1 / 255), dtype=np.float32)


def _retoned(picture: Pixels, outline: Floats, rng: np.random.Generator) -> Pixels:
    """The inside of the mouth in other tones; `outline` (40, 2) in `picture`, (80, 128, 3)."""
    share = _inside(outline)[:, :, None]
    gain = np.exp(rng.normal(0, 0.4) + rng.normal(0, 0.15, 3))
    toned = np.clip(picture * gain + rng.normal(0, 25), 0, 255)
    return np.asarray(picture + share * (toned - picture), np.uint8)


def _weight(shown: Pixels, truth: Pixels, lips: Floats) -> Floats:
    """Most where the mouth is, and more where the two differ: (80, 128)."""
    middle = lips.mean(0)
    across = max(float(np.abs(lips[0] - lips[1]).max()), 18.0)
    x, y = np.meshgrid(np.arange(SEEN, dtype=np.float32), np.arange(ROWS, dtype=np.float32))
    near = np.exp(-(((x - middle[0]) / (0.75 * across)) ** 2) - ((y - middle[1]) / (0.55 * across)) ** 2)
    off = cv2.GaussianBlur(cv2.absdiff(shown, truth).astype(np.float32).max(2), (0, 0), 1.0)
    return np.asarray(0.1 + 0.7 * near + 9.0 * near * np.clip(off / 50, 0, 1), np.float32)

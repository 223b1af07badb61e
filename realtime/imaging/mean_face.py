"""Where a mean face's landmarks lie: the tables that `align` fits a face to.

Two sets of numbers, no code:

- `MEAN_FACE`: the 33 points that DeepFaceLab aligns to (its `landmarks_2D_new`), so that a crop of ours is
  the crop a `.dfm` was trained on. Unit square, y down; the brows' outer ends are at x = 0 and 1.
- `IBUG_68`: which of MediaPipe's 478 landmarks stand for the 68 points of iBUG's 300-W annotation
  (Sagonas et al. 2013), in its order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67. Where a
  point falls between two of MediaPipe's, the mean of the two is taken. The brows' outer ends (70, 300), their
  inner ends and the nose's wings (98, 327) are those that fit `MEAN_FACE` best: on MediaPipe's canonical head
  0.019 rms, against 0.028 for the list most in use (71, 301, 107, 336, 75, 305), which makes crops 2 % wider.
- `FACE_OVAL`: MediaPipe's outline of the face, clockwise in the picture from the top of the forehead.
"""

import numpy as np
import numpy.typing as npt

MEAN_FACE_POINTS = (*range(17, 49), 54)
"""The iBUG numbers of `MEAN_FACE`'s rows: brows, nose, eyes and the mouth's two corners."""

MEAN_FACE: npt.NDArray[np.float64] = np.array(
    [
        # brow on the picture's left, 17-21, then on its right, 22-26
        (0.000213256, 0.106454), (0.0752622, 0.038915), (0.18113, 0.0187482), (0.29077, 0.0344891),
        (0.393397, 0.0773906),
        (0.586856, 0.0773906), (0.689483, 0.0344891), (0.799124, 0.0187482), (0.904991, 0.038915),
        (0.98004, 0.106454),
        # bridge of the nose, 27-30, and under it, 31-35
        (0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625),
        (0.36688, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345),
        (0.613373, 0.587326),
        # eye on the picture's left, 36-41, and on its right, 42-47
        (0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852), (0.334606, 0.231733),
        (0.260918, 0.245099), (0.182743, 0.244077),
        (0.645647, 0.231733), (0.714428, 0.179852), (0.793132, 0.178758), (0.858516, 0.216423),
        (0.79751, 0.244077), (0.719335, 0.245099),
        # corners of the mouth, 48 and 54
        (0.254149, 0.780233), (0.726104, 0.780233),
    ]
)  # fmt: skip
"""(33, 2) float64. The two halves are not mirror images (0.0002 and 0.98): kept as published."""

IBUG_68: tuple[tuple[int, int], ...] = (
    # jaw
    (127, 127), (234, 234), (93, 93), (132, 58), (58, 172), (136, 136), (150, 150), (176, 176), (152, 152),
    (400, 400), (379, 379), (365, 365), (288, 397), (361, 288), (323, 323), (454, 454), (356, 356),
    # brows
    (70, 70), (63, 63), (105, 105), (66, 66), (107, 55),
    (336, 285), (296, 296), (334, 334), (293, 293), (300, 300),
    # nose
    (168, 168), (197, 197), (5, 5), (4, 4), (98, 98), (97, 97), (2, 2), (326, 326), (327, 327),
    # eyes
    (33, 33), (160, 160), (158, 158), (133, 133), (153, 153), (144, 144),
    (362, 362), (385, 385), (387, 387), (263, 263), (373, 373), (380, 380),
    # lips, outer then inner
    (61, 61), (39, 39), (37, 37), (0, 0), (267, 267), (269, 269), (291, 291),
    (405, 405), (314, 314), (17, 17), (84, 84), (181, 181),
    (78, 78), (82, 82), (13, 13), (312, 312), (308, 308), (317, 317), (14, 14), (87, 87),
)  # fmt: skip

FACE_OVAL: tuple[int, ...] = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

"""What pictures show of a skin beyond what is drawn of it."""

import cv2
import numpy as np
import pytest

from realtime.families.face_swap.skin_detail import SIDE, UNCHANGED, SkinDetail, unrolled
from realtime.families.motion.mesh.head import open_head
from realtime.frame import Floats
from realtime.models.library import built_in_folder
from trained_models.autoencoder.crops import FINE_SIZE
from trained_models.autoencoder.skin_detail import FINER_PX, Unroller, View, texture

HEAD = open_head(built_in_folder() / "motion" / "mesh.npz")
UNROLL = Unroller(HEAD.canonical, HEAD.triangles)
AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])
RNG = np.random.default_rng(3)
BLANK = np.full((FINE_SIZE, FINE_SIZE, 3), 150, np.uint8)


def freckles() -> Floats:
    """A skin's logarithm, (SIDE, SIDE, 3)."""
    made = np.zeros((SIDE, SIDE, 3), np.float32)
    for x, y in RNG.uniform(30, SIDE - 30, (90, 2)):
        cv2.circle(made, (int(x), int(y)), 2, (-0.3, -0.25, -0.2), -1, cv2.LINE_AA)
    return made * UNROLL.skin[..., None]


def head(yaw_deg: float = 0.0) -> Floats:
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    turned = HEAD.canonical @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    return (turned * (9, -9, -9) + (FINE_SIZE / 2, FINE_SIZE / 2, 0)).astype(np.float32)


def view(skin: Floats, off_px: float, yaw_deg: float = 0.0, *, drawn_too: bool = False) -> View:
    """A picture of that skin whose landmarks are found `off_px` from where they are, as smoothly as trackers err."""
    points = head(yaw_deg)
    shown = np.clip(np.rint(UNCHANGED * np.exp(skin)), 0, 255).astype(np.uint8)
    with_irises = np.concatenate([points, points[:10]])
    picture = SkinDetail(shown, HEAD.canonical)(BLANK, with_irises, AS_IT_IS, FINE_SIZE)
    mask = np.zeros((FINE_SIZE, FINE_SIZE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(points[:, :2].astype(np.int32)), 255)
    waves = RNG.normal(size=(2, 2)) @ np.sin(points[:, :2].T / 40 + RNG.uniform(0, 6, (2, 1)))
    found = points.copy()
    found[:, :2] += off_px * waves.T
    noisy = np.clip(picture + RNG.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    return View(noisy, noisy if drawn_too else BLANK, mask, found)


def likeness(made: np.ndarray, skin: Floats, part: tuple[slice, slice] = np.s_[:, :]) -> float:
    inner = UNROLL.skin[part] > 0.9
    skin = skin - cv2.GaussianBlur(skin, (0, 0), FINER_PX)
    grey = np.log(made[part][inner].astype(np.float64) / UNCHANGED).mean(1)
    return float(np.corrcoef(grey, skin[part][inner].mean(1))[0, 1])


@pytest.mark.slow
def test_freckles_are_found_though_landmarks_are_off_by_as_much_as_their_size() -> None:
    skin = freckles()
    rough = [view(skin, 1.5) for _ in range(16)]
    found = texture([rough], UNROLL)
    exact = texture([[view(skin, 0.0) for _ in range(16)]], UNROLL)
    assert likeness(exact, skin) > 0.65
    # Aligned to each other, but to where the sharpest of them has its landmarks.
    shift = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        cv2.cvtColor(exact, cv2.COLOR_BGR2GRAY), cv2.cvtColor(found, cv2.COLOR_BGR2GRAY), None
    )
    x, y = np.meshgrid(*2 * [np.arange(SIDE, dtype=np.float32)])
    moved = cv2.remap(found, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR)
    assert likeness(moved, skin) > 0.8 * likeness(exact, skin)
    strength = [np.log(made[UNROLL.skin > 0.9] / UNCHANGED).std() for made in (found, exact)]
    assert strength[0] > 0.8 * strength[1], "a plain mean keeps 0.54"


def test_what_is_drawn_already_is_not_laid_over_it_again() -> None:
    skin = freckles()
    made = texture([[view(skin, 0.5, drawn_too=True) for _ in range(6)]], UNROLL)
    assert (made == UNCHANGED).all()


def test_brows_eyes_nostrils_and_lips_are_left_to_the_network() -> None:
    striped = np.zeros((SIDE, SIDE, 3), np.float32)
    striped[::6] = -0.4
    made = texture([[view(striped, 0.0) for _ in range(4)]], UNROLL)
    rest = np.rint(unrolled(HEAD.canonical)).astype(int)
    for point in (105, 334, 159, 145, 386, 374, 13, 14, 61, 291, 2):
        x, y = rest[point]
        assert (made[y, x] == UNCHANGED).all(), point
    assert np.ptp(made[100:140, 40:60].astype(int)) > 20, "the cheek has it"


@pytest.mark.slow
def test_each_side_is_taken_from_the_pictures_that_face_it() -> None:
    skin = freckles()
    sides = [[view(skin, 0.0, yaw) for _ in range(6)] for yaw in (-40.0, 40.0)]
    both = texture(sides, UNROLL)
    half = SIDE // 2
    halves = [np.s_[:, : half - 20], np.s_[:, half + 20 :]]
    alone = [texture([views], UNROLL) for views in sides]
    for part in halves:
        best = max(likeness(one, skin, part) for one in alone)
        assert likeness(both, skin, part) > best - 0.03
        assert min(likeness(one, skin, part) for one in alone) < best - 0.1

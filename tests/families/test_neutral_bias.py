"""A driver's own resting face goes out of the readings; what they act stays."""

import numpy as np

from realtime.families.face_swap.autoencoder import _BIASED, KNOWN, SHARE, USUAL, NeutralBias
from realtime.frame import Floats
from realtime.tracking.face import Face

BROW_DOWN, JAW_OPEN, BLINK = 1, 25, 9
LIGHTENED = 0.61 - SHARE * (0.6 - USUAL[0])
"""What a brow that rests at 0.6 reads no more than."""


def face(track: int = 0, **read: float) -> Face:
    """A face whose blendshapes are 0.05 but for `brow`, `jaw` and `blink`."""
    told = np.full(52, 0.05, np.float32)
    for name, index in (("brow", BROW_DOWN), ("jaw", JAW_OPEN), ("blink", BLINK)):
        told[index] = read.get(name, 0.05)
    return Face(np.zeros((478, 3), np.float32), told, np.eye(4, dtype=np.float32), 1.0, track)


def brow_after(rest: NeutralBias, *brows: float, track: int = 0) -> Floats:
    """What is left of brow after brow."""
    return np.array([rest(face(track, brow=b))[BROW_DOWN] for b in brows], np.float32)


def test_readings_that_rest_where_most_peoples_do_stay_as_they_are() -> None:
    rest = NeutralBias()
    for shown in (face(), face(brow=0.9), face(jaw=0.8, blink=1.0), face(brow=0.3)):
        assert np.array_equal(rest(shown), shown.blendshapes)


def test_heavy_brows_are_lightened_from_the_first_frame_on_without_a_jump() -> None:
    left = brow_after(NeutralBias(), *[0.6] * 100)
    assert np.allclose(left, 0.6 - SHARE * (0.6 - USUAL[0]), atol=1e-3)


def test_a_frown_on_heavy_brows_moves_as_far_as_the_drivers() -> None:
    rest = NeutralBias()
    low, high = brow_after(rest, 0.5, 0.8)
    assert np.isclose(high - low, 0.3, atol=1e-3)


def test_a_brow_raised_at_the_start_is_soon_known_to_have_been_raised() -> None:
    rest = NeutralBias()
    brow_after(rest, *[0.9] * 5, *[0.0] * 30)
    assert brow_after(rest, 0.9)[0] > 0.88


def test_a_frown_of_ten_seconds_stays_a_frown() -> None:
    rest = NeutralBias()
    left = brow_after(rest, 0.0, *[0.7] * 300)
    assert left[-1] > 0.69


def test_lids_jaw_and_everything_else_are_never_touched() -> None:
    rest = NeutralBias()
    others = np.setdiff1d(np.arange(52), _BIASED)
    told = np.random.default_rng(5).uniform(0.5, 1, (20, 52)).astype(np.float32)
    for one in told:
        shown = Face(np.zeros((478, 3), np.float32), one, np.eye(4, dtype=np.float32), 1.0)
        left = rest(shown)
        assert np.array_equal(left[others], one[others])
        assert (left[_BIASED] < one[_BIASED]).all()
        assert left.min() >= 0


def test_two_people_in_one_picture_each_keep_their_own_rest() -> None:
    rest = NeutralBias()
    for _ in range(10):
        heavy, light = brow_after(rest, 0.6, track=1)[0], brow_after(rest, 0.05, track=2)[0]
    assert heavy < LIGHTENED
    assert np.isclose(light, 0.05)


def test_people_long_gone_are_forgotten() -> None:
    rest = NeutralBias()
    brow_after(rest, 0.0, track=0)
    for track in range(1, KNOWN + 1):
        brow_after(rest, 0.0, track=track)
    assert brow_after(rest, 0.6, track=0)[0] < LIGHTENED  # a new person to it, at rest with heavy brows
    assert np.isclose(brow_after(rest, 0.6, track=KNOWN)[0], 0.6)  # known, and frowning

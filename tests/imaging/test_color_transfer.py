"""`color_transfer`: each mode matches what its paper says it matches, over the masked pixels."""

import numpy as np
import pytest

from realtime.imaging.color_transfer import transfer_color

SIZE = 96


def mask():
    y, x = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    return (np.hypot(x, y) < 0.4 * SIZE).astype(np.float32)


def skin(mean, mixing, seed):
    """A picture of correlated colours about `mean` (BGR), with some structure in it."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(SIZE, SIZE, 3)) @ np.array(mixing, float).T + mean
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8)


OURS = skin((110, 120, 150), [[14, 3, 0], [6, 12, 2], [2, 8, 16]], 1)
THEIRS = skin((90, 125, 185), [[10, -2, 3], [4, 9, 1], [6, 5, 12]], 2)
INSIDE = mask() > 0.5


def moments(picture):
    samples = picture[INSIDE].astype(float)
    return samples.mean(axis=0), np.cov(samples.T)


@pytest.mark.parametrize("mode", ["lct", "mkl", "idt"])
def test_mean_and_covariance_are_matched(mode):
    out = transfer_color(mode, OURS, THEIRS, mask())
    mean, covariance = moments(out)
    like_mean, like_covariance = moments(THEIRS)
    assert np.abs(mean - like_mean).max() < 1.5
    assert np.abs(covariance - like_covariance).max() < 0.12 * np.abs(like_covariance).max()


def test_rct_brings_the_colours_near():
    out = transfer_color("rct", OURS, THEIRS, mask())
    before = np.abs(moments(OURS)[0] - moments(THEIRS)[0]).max()
    after = np.abs(moments(out)[0] - moments(THEIRS)[0]).max()
    # Not equal: with black outside the mask, the spread is that of brightness more than of the colours.
    assert before > 30
    assert after < 0.2 * before


def test_mkl_moves_colours_less_than_lct():
    """Monge-Kantorovitch is the linear map with the least mean squared change, where nothing need be stretched."""
    wide = np.clip((OURS - OURS[INSIDE].mean(0)) * 1.3 + OURS[INSIDE].mean(0), 0, 255).astype(np.uint8)
    change = {
        mode: ((transfer_color(mode, wide, THEIRS, mask())[INSIDE].astype(float) - wide[INSIDE]) ** 2).mean()
        for mode in ("mkl", "lct")
    }
    assert change["mkl"] <= change["lct"] + 0.5


def test_idt_matches_a_shape_that_no_linear_map_can():
    rng = np.random.default_rng(3)
    two_tones = np.where(rng.uniform(size=(SIZE, SIZE, 1)) < 0.5, 70, 190) + rng.normal(0, 4, (SIZE, SIZE, 3))
    theirs = np.clip(np.rint(two_tones), 0, 255).astype(np.uint8)
    ours = skin((128, 128, 128), 20 * np.eye(3), 4)
    middle = {
        mode: (np.abs(transfer_color(mode, ours, theirs, mask())[INSIDE].mean(axis=1) - 130) < 25).mean()
        for mode in ("mkl", "idt")
    }
    assert middle["mkl"] > 0.3
    assert middle["idt"] < 0.5 * middle["mkl"]


@pytest.mark.parametrize("mode", ["rct", "lct", "mkl", "idt"])
def test_a_picture_like_itself_stays(mode):
    out = transfer_color(mode, OURS, OURS, mask())
    assert np.abs(out.astype(int) - OURS).max() <= (2 if mode != "idt" else 3)


@pytest.mark.parametrize("mode", ["rct", "lct", "mkl", "idt"])
def test_steady_over_time(mode):
    """Camera noise of 3 levels must not make the colours pump: the mean may move by well under one level."""
    means = []
    for frame in range(8):
        noise = np.random.default_rng(frame).normal(0, 3, THEIRS.shape)
        noisy = np.clip(np.rint(THEIRS + noise), 0, 255).astype(np.uint8)
        means.append(transfer_color(mode, OURS, noisy, mask())[INSIDE].mean(axis=0))
    assert np.std(means, axis=0).max() < (0.4 if mode != "idt" else 0.6)


def test_what_lies_outside_the_mask_does_not_count():
    framed = THEIRS.copy()
    framed[~INSIDE] = (0, 255, 0)
    for mode in ("rct", "lct", "mkl", "idt"):
        ours = transfer_color(mode, OURS, THEIRS, mask())
        assert np.array_equal(ours, transfer_color(mode, OURS, framed, mask()))


def test_a_part_of_the_crop_gives_the_same_as_the_whole():
    rows = slice(8, 88)
    whole = transfer_color("rct", OURS, THEIRS, mask())
    part = transfer_color("rct", OURS[rows, rows], THEIRS[rows, rows], mask()[rows, rows], of=SIZE * SIZE)
    assert np.abs(part.astype(int) - whole[rows, rows]).max() <= 1


@pytest.mark.parametrize("mode", ["none", "rct", "lct", "mkl", "idt"])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_tiny_flat_and_unmasked_pictures(mode, side):
    flat = np.full((side, side, 3), 77, np.uint8)
    other = np.random.default_rng(5).integers(0, 256, (side, side, 3), dtype=np.uint8)
    for pixels, like in ((flat, other), (other, flat), (flat, flat)):
        for weight in (0.0, 1.0):
            out = transfer_color(mode, pixels, like, np.full((side, side), weight, np.float32))
            assert out.shape == pixels.shape
            assert out.dtype == np.uint8
            if weight == 0.0:
                assert np.array_equal(out, pixels)


def test_a_grey_face_does_not_turn_garish():
    levels = np.random.default_rng(6).normal(128, 12, (SIZE, SIZE, 1)).repeat(3, axis=2)
    grey = np.clip(levels, 0, 255).astype(np.uint8)
    grey[..., 0] ^= 1
    for mode in ("rct", "lct", "mkl"):
        out = transfer_color(mode, grey, THEIRS, mask())[INSIDE].astype(float)
        spread = (out[:, 2] - out[:, 0]).std()
        like = (THEIRS[INSIDE][:, 2].astype(float) - THEIRS[INSIDE][:, 0]).std()
        assert spread < 1.5 * like

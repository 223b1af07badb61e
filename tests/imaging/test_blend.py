"""`blend`: the recorded DeepFaceLive case stage by stage, the bytes outside the mask, and awkward sizes."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from similarities import similarity

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.imaging.affine import cut, invert
from realtime.imaging.align import FACE_OVAL
from realtime.imaging.blend import Swapped, Uncovered, blend, oval_mask, paste, shape_mask
from realtime.imaging.color_transfer import transfer_color

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "dflive_merge.npz"
PLAIN = Settings(mask_erode=0, mask_blur=0, color_transfer="none", sharpen=0)


@pytest.fixture(scope="module")
def recorded():
    if not REFERENCE.exists():
        pytest.skip("shared/reference/dflive_merge.npz is not here")
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


@pytest.fixture
def recorded_swap(recorded):
    mask = recorded["mask_u8"][:, :, 0].astype(np.float32) / 255
    return Swapped(recorded["swap"], mask, mask)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def disc(size, radius=0.35):
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    return (np.hypot(x, y) < radius * size).astype(np.float32)


def test_mask_is_deepfacelives(recorded, recorded_swap):
    ours = shape_mask(recorded_swap, Settings(mask_erode=5, mask_blur=25))
    # A tenth of a byte's step: the blur is done at half the size.
    assert np.abs(ours - recorded["face_mask_erode5_blur25"][:, :, 0]).max() < 4e-4


def test_rct_is_deepfacelives(recorded):
    mask = np.ascontiguousarray(recorded["face_mask_erode5_blur25"][:, :, 0])
    ours = transfer_color("rct", recorded["swap"], recorded["face_align"], mask)
    error = np.abs(ours - 255 * recorded["rct_face"].astype(np.float64))
    # Half a level is our rounding to bytes, the rest the recording's to half floats and our sampling.
    assert error.max() < 0.8
    assert error.mean() < 0.27


@pytest.mark.parametrize(("mode", "key"), [("rct", "merged_rct_crop_f16"), ("none", "merged_plain_crop_f16")])
def test_merge_is_deepfacelives(recorded, recorded_swap, mode, key):
    y0, _, x0, _ = recorded["crop_y0y1x0x1"].tolist()
    frame_from_crop = recorded["aligned_to_frame_mat"].astype(np.float64) - [[0, 0, x0], [0, 0, y0]]
    settings = Settings(mask_erode=5, mask_blur=25, color_transfer=mode, sharpen=0)
    ours = blend(recorded["frame"], recorded["face_align"], recorded_swap, invert(frame_from_crop), settings)
    error = np.abs(ours - 255 * recorded[key].astype(np.float64))
    # Ours mixes bytes: two roundings in place of none.
    assert error.max() < 2.0
    assert error.mean() < 0.35


def test_outside_the_mask_every_byte_is_the_frames():
    frame, matrix = noise(240, 320), similarity(0.8, 20, -60, -70)
    frame.flags.writeable = False
    mask = np.zeros((96, 96), np.float32)
    mask[30:50, 40:70] = 1.0
    swapped = Swapped(np.full((96, 96, 3), 255, np.uint8), mask)
    grown = Settings(mask_erode=-9, mask_blur=9, color_transfer="mkl", sharpen=50)
    for settings in (PLAIN, Settings(mask_erode=5, mask_blur=25, sharpen=0), grown):
        out = blend(frame, cut(frame, matrix, 96), swapped, matrix, settings)
        reach = cv2.warpAffine(shape_mask(swapped, settings), invert(matrix), (320, 240))
        untouched = reach == 0
        assert untouched.mean() > 0.5
        assert np.array_equal(out[untouched], frame[untouched])
        assert not np.array_equal(out, frame)
        assert out.flags.writeable


def test_inside_the_mask_it_is_the_new_face():
    frame, matrix = noise(200, 200), similarity(0.5, 0, -10, -20)
    swapped = Swapped(np.full((64, 64, 3), (10, 120, 250), np.uint8), disc(64, 0.45))
    out = blend(frame, cut(frame, matrix, 64), swapped, matrix, PLAIN)
    # The crop's centre (31.5, 31.5) lies at (83, 103) in the frame.
    assert (out[93:113, 73:93] == (10, 120, 250)).all()


def test_opacity_mixes():
    frame = np.full((64, 64, 3), 100, np.uint8)
    swapped = Swapped(np.full((64, 64, 3), 200, np.uint8), disc(64, 0.45))
    settings = PLAIN.model_copy(update={"opacity": 0.7})
    out = blend(frame, frame, swapped, np.eye(2, 3), settings)
    assert np.abs(out[32, 32].astype(int) - 170).max() <= 1


def test_every_mask_counts():
    ones = np.ones((64, 64), np.float32)
    left, top = ones.copy(), ones.copy()
    left[:, 32:] = 0
    top[32:] = 0
    mask = shape_mask(Swapped(np.zeros((64, 64, 3), np.uint8), ones, left), PLAIN, top)
    assert mask[1:32, 1:32].min() == 1
    assert mask.sum() == 31 * 31


def test_settings_look_the_same_at_every_size():
    settings = Settings(mask_erode=40, mask_blur=60)
    large = shape_mask(Swapped(np.zeros((448, 448, 3), np.uint8), disc(448)), settings)
    small = shape_mask(Swapped(np.zeros((112, 112, 3), np.uint8), disc(112)), settings)
    assert np.abs(cv2.resize(large, (112, 112), interpolation=cv2.INTER_AREA) - small).max() < 0.04


def test_erode_shrinks_and_a_negative_one_grows():
    def area(erode):
        settings = Settings(mask_erode=erode, mask_blur=0)
        return shape_mask(Swapped(np.zeros((224, 224, 3), np.uint8), disc(224)), settings).sum()

    assert area(40) < area(5) < area(0) < area(-5) < area(-40)


def test_no_edge_at_the_crops_border():
    frame = np.full((300, 300, 3), 60, np.uint8)
    swapped = Swapped(np.full((224, 224, 3), 200, np.uint8), np.ones((224, 224), np.float32))
    matrix = similarity(1.0, 0, -38, -38)
    out = blend(frame, cut(frame, matrix, 224), swapped, matrix, Settings(color_transfer="none", mask_blur=25))
    steps = np.abs(np.diff(out[150, :, 0].astype(int)))
    assert out[150, 150, 0] == 200
    assert steps.max() < 12


def test_sharpen_raises_detail_and_keeps_flat_parts():
    frame = np.full((128, 128, 3), 128, np.uint8)
    face = frame.copy()
    face[:, 64:] = 160
    swapped = Swapped(face, np.ones((128, 128), np.float32))
    out = blend(frame, frame, swapped, np.eye(2, 3), PLAIN.model_copy(update={"sharpen": 100}))
    assert out[64, 30, 0] == 128
    assert out[64, 100, 0] == 160
    assert out[64, 64, 0] > 165
    assert out[64, 63, 0] < 123


@pytest.mark.parametrize("size", [16, 61, 224])
@pytest.mark.parametrize(
    ("frame_shape", "scale", "at"),
    [
        ((1, 1), 1.0, (0, 0)),
        ((7, 3), 0.3, (1, 3)),
        ((241, 323), 0.05, (160, 120)),  # a face larger than the frame
        ((241, 323), 1.0, (0, 120)),  # half out of the picture
        ((241, 323), 30.0, (160, 120)),  # a face of a few pixels
        ((241, 323), 200.0, (50, 60)),  # of one pixel
        ((241, 323), 1.0, (-5000, 60)),  # beside the picture
    ],
)
def test_any_face_in_any_frame(size, frame_shape, scale, at):
    frame = noise(*frame_shape)
    scale *= size / 224
    matrix = similarity(scale, 15, 0, 0)
    matrix[:, 2] = size / 2 - matrix[:, :2] @ at
    crop = cut(frame, matrix, size)
    swapped = Swapped(noise(size, size, 1), disc(size, 0.45))
    for mode in ("none", "rct", "lct", "mkl", "idt"):
        out = blend(frame, crop, swapped, matrix, Settings(color_transfer=mode, sharpen=20))
        assert out.shape == frame.shape
        assert out.dtype == np.uint8
        assert out is not frame
        if at[0] < -1000:
            assert np.array_equal(out, frame)


def test_a_swap_of_another_size_than_the_crop():
    frame = noise(200, 200)
    matrix = similarity(0.5, 10, 0, -20)
    crop = cut(frame, matrix, 96)
    face = np.full((192, 192, 3), 40, np.uint8)
    out = blend(frame, crop, Swapped(face, disc(192)), matrix, PLAIN)
    again = paste(frame, cv2.resize(face, (96, 96)), disc(96), matrix)
    assert np.abs(out.astype(int) - again).mean() < 1.0


@pytest.mark.parametrize(
    ("mask", "settings"),
    [
        (np.zeros((64, 64), np.float32), Settings()),
        (np.full((64, 64), np.nan, np.float32), Settings()),
        (np.ones((32, 32), np.float32), Settings()),
        (disc(64), Settings(opacity=0.0)),
        (disc(64), Settings(opacity=0.4)),
        (disc(64), Settings(mask_erode=200)),
    ],
)
def test_a_driver_who_would_show_is_an_error(mask, settings):
    frame = noise(64, 64)
    with pytest.raises(ModelError) as caught:
        blend(frame, frame, Swapped(noise(64, 64, 1), mask), np.eye(2, 3), settings)
    assert "\n" not in str(caught.value)


def test_a_mask_beside_the_drivers_face_is_an_error():
    frame = noise(64, 64)
    mask, region = np.zeros((2, 64, 64), np.float32)
    mask[:, :30], region[:, 34:] = 1.0, 1.0
    with pytest.raises(ModelError, match="covers only 0 of"):
        blend(frame, frame, Swapped(frame, mask), np.eye(2, 3), Settings(), region)


def oval_landmarks(center, radius):
    """A face whose outline is a circle, the top of the forehead first."""
    landmarks = np.full((478, 3), center + (0.0,), np.float32)
    angles = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    landmarks[list(FACE_OVAL), 0] += radius * np.sin(angles)
    landmarks[list(FACE_OVAL), 1] -= radius * np.cos(angles)
    return landmarks


def test_the_oval_covers_the_face_and_a_little_forehead():
    landmarks = oval_landmarks((300.0, 200.0), 80.0)
    matrix = similarity(0.5, 0, -150 + 64, -100 + 64)
    mask = oval_mask(landmarks, matrix, 128)
    assert mask.shape == (128, 128)
    assert mask.dtype == np.float32
    assert mask.min() == 0
    assert mask.max() == pytest.approx(1.0)
    y, x = np.mgrid[0:128, 0:128] - 64.0
    assert mask[np.hypot(x, y) < 36].min() > 0.9
    assert mask[np.hypot(x, y) > 54].max() < 0.2
    grown_up, grown_down = mask[:64, 64].sum() - 40, mask[64:, 64].sum() - 40
    assert grown_up > grown_down + 2 > 2


def test_the_oval_turns_with_the_head():
    landmarks = oval_landmarks((64.0, 64.0), 40.0)
    upright = oval_mask(landmarks, np.eye(2, 3), 128)
    turned = oval_mask(landmarks, np.array([[0.0, -1.0, 127.0], [1.0, 0.0, 0.0]]), 128)
    assert np.abs(np.rot90(upright, -1) - turned).max() < 0.15


def test_an_oval_beside_the_crop_is_empty():
    assert oval_mask(oval_landmarks((5000.0, 64.0), 40.0), np.eye(2, 3), 96).max() == 0


def with_outline(visible, size=64):
    return Swapped(np.full((size, size, 3), 200, np.uint8), np.ones((size, size), np.float32), None, visible)


def held_from(column):
    """Something before all that lies right of a column."""
    visible = np.ones((64, 64), np.float32)
    visible[:, column:] = 0
    return visible


VISIBLE = Settings(color_transfer="none", sharpen=0)
EVERYWHERE = np.ones((64, 64), np.float32)


def test_a_hand_stays_and_no_rim_of_the_driver_around_it():
    frame = np.full((64, 64, 3), 50, np.uint8)
    middle = blend(frame, frame, with_outline(held_from(32)), np.eye(2, 3), VISIBLE, EVERYWHERE)[32, :, 0]
    assert (middle[34:] == 50).all()
    assert (middle[14:30] == 200).all()


def test_without_an_outline_the_mask_is_shaped_as_ever():
    shaped = [shape_mask(with_outline(outline), VISIBLE, EVERYWHERE)[4:-4, 4:-4] for outline in (EVERYWHERE, None)]
    np.testing.assert_allclose(*shaped, atol=1e-6)


@pytest.mark.parametrize("column", [0, 4])
def test_a_mask_that_finds_hands_everywhere_is_no_result(column):
    frame = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(Uncovered, match="the driver's own would show"):
        blend(frame, frame, with_outline(held_from(column)), np.eye(2, 3), VISIBLE, EVERYWHERE)


def test_a_fine_face_takes_the_region_of_the_smaller_crop():
    region = np.zeros((64, 64), np.float32)
    region[8:56, 8:56] = 1
    frame = np.full((64, 64, 3), 50, np.uint8)
    out = blend(frame, frame, with_outline(None, size=96), np.eye(2, 3), VISIBLE, region)
    assert (out[32, 24:40] == 200).all()
    assert (out[:4] == 50).all()


@pytest.mark.parametrize("corner", [(0, 0), (0, 7), (5, 3)])
def test_a_crop_by_whole_pixels_is_a_copy(corner):
    pixels = np.random.default_rng(1).integers(0, 255, (40, 30, 3), np.uint8)
    before, (x, y) = pixels.copy(), corner
    size = min(30 - x, 40 - y)
    crop = cut(pixels, np.array([[1.0, 0, -x], [0, 1.0, -y]]), size)
    np.testing.assert_array_equal(crop, pixels[y : y + size, x : x + size])
    crop[...] = 0
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("corner", [(6, 9), (-8, 4), (20, -5), (45, 35)])
def test_a_paste_by_whole_pixels_is_the_resampled_one(corner):
    random = np.random.default_rng(2)
    pixels, face = (random.integers(0, 255, (side, side, 3), np.uint8) for side in (60, 32))
    mask = cv2.GaussianBlur(random.random((32, 32)).astype(np.float32), (0, 0), 3)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    matrix = np.array([[1.0, 0, -corner[0]], [0, 1.0, -corner[1]]])
    almost = matrix + [[0, 0, 1e-7], [0, 0, 0]]
    pasted = paste(pixels, face, mask, matrix)
    assert np.abs(pasted.astype(int) - paste(pixels, face, mask, almost)).max() <= 2
    assert (pasted != pixels).any()

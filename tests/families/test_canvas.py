"""Where avatars stand: whole, without bars or seams, at the output's size; crops are laid in exactly."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line
from fakes import a_face
from motion_models import an_avatar

from realtime.errors import ConfigError
from realtime.families.motion.canvas import Canvas, blurred_cover, border_mask, cover, read_background, region_mask
from realtime.families.motion.motion_model import DrawnCrop
from realtime.families.motion.reference_pose import portrait_crop
from realtime.frame import Pixels
from realtime.imaging.affine import Matrix, cut
from realtime.models.avatar import Avatar

SIZE = (320, 180)


def smooth(width: int, height: int, seed: int = 2) -> Pixels:
    """A picture with detail, but none finer than three pixels."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.asarray(np.clip(128 + 45 * soft / np.std(soft), 0, 255), np.uint8)


def placed(avatar: Avatar, crop: int = 64, size: tuple[int, int] = SIZE, background=None) -> tuple[Canvas, Matrix]:
    stage = Canvas(avatar, size, background)
    assert avatar.face is not None
    matrix = portrait_crop(avatar.face.landmarks, crop)
    stage.place(matrix, crop)
    return stage, matrix


@pytest.mark.parametrize("width", [320, 640, 1234, 200])
@pytest.mark.parametrize("crop", [64, 100, 256])
def test_the_crop_of_the_picture_laid_into_the_picture_changes_nothing(width: int, crop: int) -> None:
    """Its place is exact to a fraction of a pixel, whatever the sizes; so there is no seam."""
    height = width * 9 // 16
    face = a_face((0.47 * width, 0.52 * height), 0.4 * height)
    picture = smooth(width, height) if width < 400 else cv2.resize(smooth(320, 180), (width, height))
    avatar = Avatar("a", "A", "synthetic", np.asarray(picture, np.uint8), None, face)
    stage, matrix = placed(avatar, crop)
    drawn = DrawnCrop(cut(avatar.pixels, matrix, crop, "edge"), border_mask(crop))
    for share in (1.0, 0.4):
        off = np.abs(stage.show(drawn, share).astype(int) - stage.still)
        # A crop of 64 pixels is coarser than what it is laid into.
        assert off.mean() < 1.0 + 60.0 / crop
        assert np.percentile(off, 99) < 4 + 900 / crop
    shifted = DrawnCrop(np.roll(drawn.pixels, 2, axis=1), drawn.mask)
    assert np.abs(stage.show(shifted).astype(int) - stage.still).mean() > off.mean()


def test_outside_the_mask_every_byte_is_the_stills() -> None:
    stage, _ = placed(an_avatar("a", 90, (640, 360)))
    white = DrawnCrop(np.full((64, 64, 3), 255, np.uint8), border_mask(64))
    picture = stage.show(white)
    changed = (picture != stage.still).any(axis=2)
    rows, columns = np.nonzero(changed)
    side = stage.enlarged * 64
    assert 0.8 * side < np.ptp(rows) < side
    assert 0.8 * side < np.ptp(columns) < side
    assert (picture[180 // 2, 320 // 2] == 255).all()
    # The rim rises without a step: no seam.
    profile = picture[90, :, 0].astype(int)
    assert np.abs(np.diff(profile)).max() < 0.25 * 165


def test_a_fading_crop_is_in_between() -> None:
    stage, _ = placed(an_avatar("a", 90, (640, 360)))
    white = DrawnCrop(np.full((64, 64, 3), 250, np.uint8), border_mask(64))
    full, half = stage.show(white).astype(int), stage.show(white, 0.5).astype(int)
    assert np.abs(half - (full + stage.still) / 2).max() <= 1


@pytest.mark.parametrize("size", [(100, 400), (900, 200), (50, 50), (64, 36)])
def test_a_picture_of_any_shape_goes_out_whole_and_without_black_bars(size: tuple[int, int]) -> None:
    avatar = an_avatar("a", 90, size)
    stage, _ = placed(avatar)
    assert stage.still.shape == (SIZE[1], SIZE[0], 3)
    assert stage.still[SIZE[1] // 2, SIZE[0] // 2, 0] == 90
    assert stage.still.min() > 50  # its own colour, dimmed
    edges = np.abs(np.diff(stage.still[:, :, 0].astype(int), axis=0)).max()
    edges = max(edges, np.abs(np.diff(stage.still[:, :, 0].astype(int), axis=1)).max())
    assert edges < 12  # it fades into what is beside it


def test_a_crop_beyond_the_picture_is_not_seen_beside_it() -> None:
    """A close-up in an upright picture: the square of the head is wider than the picture."""
    face = a_face((50, 60), 90)
    avatar = Avatar("a", "A", "synthetic", np.full((130, 100, 3), 90, np.uint8), None, face)
    stage, _ = placed(avatar)
    white = DrawnCrop(np.full((64, 64, 3), 255, np.uint8), border_mask(64))
    picture = stage.show(white)
    width = 100 * 180 / 130
    beside = round((SIZE[0] - width) / 2) - 3
    assert np.array_equal(picture[:, :beside], stage.still[:, :beside])
    assert (picture[90, 160] == 255).all()


def test_transparency_shows_what_is_behind() -> None:
    plain = an_avatar("a", 90, (320, 180), alpha=True)
    green = Canvas(plain, SIZE, lambda size: np.full((size[1], size[0], 3), (0, 200, 0), np.uint8))
    assert (green.picture[:, 10] == (0, 200, 0)).all()
    assert (green.picture[:, 300] == 90).all()
    green.place(portrait_crop(a_face((160, 90), 60).landmarks, 64), 64)
    assert (green.still[:, 10] == (0, 200, 0)).all()
    quiet = Canvas(plain, SIZE, None)
    assert 100 < quiet.picture[:, 10].mean() < 240
    assert np.array_equal(plain.pixels, np.full((180, 320, 3), 90, np.uint8))


def test_a_bust_without_background_stands_on_the_edge_and_does_not_float() -> None:
    face = a_face((100, 50), 40)
    alpha = np.zeros((100, 200), np.uint8)
    alpha[30:, 60:140] = 255
    bust = Avatar("a", "A", "synthetic", np.full((100, 200, 3), 90, np.uint8), alpha, face)
    white = lambda size: np.full((size[1], size[0], 3), 255, np.uint8)  # noqa: E731
    stage, _ = placed(bust, size=(200, 300), background=white)
    assert (stage.still[-1, 100] == 90).all()
    assert (stage.still[210, 100] == 255).all()
    alpha[-1] = 0
    stage, _ = placed(bust, size=(200, 300), background=white)  # whole, with room below: in the middle
    assert (stage.still[-1, 100] == 255).all()
    assert (stage.still[160, 100] == 90).all()


def test_a_picture_covers_a_canvas_of_another_shape() -> None:
    picture = smooth(400, 100)
    assert cover(picture, (200, 200)).shape == (200, 200, 3)
    middle = cover(picture, (100, 100))
    assert np.abs(middle.astype(int) - picture[:, 150:250]).mean() < 1
    assert blurred_cover(picture, (200, 100)).std(axis=(0, 1)).max() < 0.3 * picture.std()


@pytest.mark.parametrize("region", ["lips", "eyes"])
def test_a_region_is_its_part_of_the_face(region: str) -> None:
    face = a_face((320, 180), 200)
    matrix = portrait_crop(face.landmarks, 128)
    mask = region_mask(face.landmarks, matrix, 128, region)
    points = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]

    def at(landmark: int) -> float:
        x, y = np.round(points[landmark]).astype(int)
        return float(mask[y, x])

    lips, eyes = (61, 291, 0, 17, 13), (159, 145, 386, 374, 105, 334)
    inside, outside = (lips, eyes) if region == "lips" else (eyes, lips)
    assert min(map(at, inside)) > 0.7
    assert max(map(at, outside)) < 0.05
    assert max(at(4), at(10)) < 0.05 + (0.5 if region == "lips" else 0)  # nose tip, forehead
    assert mask[0].max() == mask[:, -1].max() == 0
    assert mask.dtype == np.float32


def test_backgrounds(tmp_path: Path) -> None:
    assert read_background("kept") is None
    assert read_background("blurred") is None
    blue = read_background("#0040ff")
    assert blue((30, 20)).shape == (20, 30, 3)
    assert (blue((30, 20)) == (255, 64, 0)).all()
    cv2.imwrite(str(tmp_path / "wall.png"), smooth(80, 60))
    picture = read_background(str(tmp_path / "wall.png"))
    assert picture((100, 20)).shape == (20, 100, 3)
    for wrong in ("green", "#12", "/no/such.png", "\0"):
        assert "is neither" in one_line(partial(read_background, wrong), ConfigError)

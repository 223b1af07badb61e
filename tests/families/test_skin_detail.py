"""An identity's own skin laid over a drawn face: where it lies, what it leaves alone, which files are refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from fakes import a_face

from realtime.config import Settings
from realtime.families.face_swap.autoencoder import FINE_FILE
from realtime.families.face_swap.effect import open_autoencoder
from realtime.families.face_swap.skin_detail import DETAIL_FILE, SIDE, UNCHANGED, SkinDetail, open_skin_detail, unrolled
from realtime.frame import Floats, Pixels
from realtime.imaging.align import crop_from_frame
from realtime.inference.session import Session, TensorSpec
from realtime.models.bundle import open_bundle
from realtime.models.library import built_in_folder
from realtime.tracking.pose import HeadPose

HEAD = HeadPose(built_in_folder() / "face" / "pose.npz").canonical
SIZE = 160
CHEEK, BY_THE_EAR = 50, 447
PLAIN = np.full((SIZE, SIZE, 3), 160, np.uint8)
AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])


def neutral() -> Pixels:
    return np.full((SIDE, SIDE, 3), UNCHANGED, np.uint8)


def spot(point: int) -> Pixels:
    made = neutral()
    cv2.circle(made, np.rint(unrolled(HEAD)[point]).astype(int).tolist(), 4, (64, 64, 64), -1)
    return made


def head(yaw_deg: float = 0.0, scale: float = 5.0, centre: tuple[float, float] = (80, 80)) -> Floats:
    """Landmarks of the canonical head, turned; y down, larger z farther away."""
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    points = HEAD @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T * (scale, -scale, -scale) + (*centre, 0)
    return np.concatenate([points, points[:10]]).astype(np.float32)


def changed(texture: Pixels, landmarks: Floats, face: Pixels = PLAIN) -> np.ndarray:
    """How much darker each pixel is."""
    laid = SkinDetail(texture, HEAD)(face, landmarks, AS_IT_IS, SIZE)
    return face.astype(int).sum(2) - laid.astype(int).sum(2)


@pytest.mark.parametrize("yaw_deg", [-30.0, 0.0, 25.0])
@pytest.mark.parametrize("scale", [4.0, 7.0])
def test_a_mole_stays_where_it_is_on_the_skin(yaw_deg: float, scale: float) -> None:
    landmarks = head(yaw_deg, scale, (84, 77))
    darker = changed(spot(CHEEK), landmarks)
    assert darker.max() == 240, "half as bright in the middle"
    rows, columns = np.indices(darker.shape)
    middle = (columns * darker).sum() / darker.sum(), (rows * darker).sum() / darker.sum()
    assert np.hypot(*(middle - landmarks[CHEEK, :2])) < 0.3 * scale, "within three millimetres"
    assert (darker > 0).sum() < 0.02 * SIZE**2


def test_an_open_mouth_takes_the_chin_along() -> None:
    shut, chin = head(), 199
    opened = shut.copy()
    lower = shut[:, 1] > shut[17, 1]
    opened[lower, 1] += 12
    before, after = (np.argwhere(changed(spot(chin), points) > 60).mean(0) for points in (shut, opened))
    assert after[0] - before[0] == pytest.approx(12, abs=1.5)


def test_what_is_turned_away_is_not_seen() -> None:
    assert changed(spot(BY_THE_EAR), head(0)).max() > 100
    there, hidden = (int(changed(spot(BY_THE_EAR), head(yaw)).sum()) for yaw in (-75, 75))
    assert hidden == 0
    assert there > 2000


def test_without_detail_and_beside_the_face_every_byte_stays() -> None:
    face = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert not changed(neutral(), head(20), face).any()
    dark = np.full((SIDE, SIDE, 3), 60, np.uint8)
    darker = changed(dark, head(0, 4.0), face)
    points = head(0, 4.0)[:, :2]
    low, high = points.min(0) - 3, points.max(0) + 3
    rows, columns = np.nonzero(darker)
    assert len(rows) > 2000
    assert ((columns >= low[0]) & (columns <= high[0]) & (rows >= low[1]) & (rows <= high[1])).all()


def test_a_larger_picture_of_the_same_crop_has_it_in_the_same_place() -> None:
    large = np.full((240, 240, 3), 160, np.uint8)
    detail = SkinDetail(spot(CHEEK), HEAD)
    small_rows, large_rows = (
        np.argwhere(detail(face, head(10), AS_IT_IS, SIZE)[..., 0] < 130).mean(0) for face in (PLAIN, large)
    )
    # A pixel's centre is at its coordinate.
    assert (large_rows + 0.5) / 1.5 - 0.5 == pytest.approx(small_rows, abs=0.5)


def test_a_bundle_with_detail_has_it_in_both_variants(tmp_path: Path) -> None:
    size, fine_size = 32, 48
    first = Script(
        {"face": TensorSpec((1, 3, size, size), np.dtype(np.float32))},
        {
            "celeb_face": np.full((1, 3, size, size), 0.6, np.float32),
            "celeb_mask": np.ones((1, 1, size, size), np.float32),
            "features": np.zeros((1, 4, 16, 16), np.float32),
        },
    )
    fine = Script(
        {"features": TensorSpec((1, 4, 16, 16), np.dtype(np.float32))},
        {"fine_face": np.full((1, 3, fine_size, fine_size), 0.6, np.float32)},
    )
    _, texture = cv2.imencode(".png", spot(CHEEK))
    made = a_bundle(
        tmp_path / "eve",
        contents={"swap.onnx": b"network", FINE_FILE: b"a larger face", DETAIL_FILE: texture.tobytes()},
        input={"size": size, "face_type": "full"},
        output={"features": "features", "fine": "fine_face", "fine_size": fine_size},
    )

    def opened(model: Path, **_: object) -> Session:
        return fine if model.name == FINE_FILE else first

    face = a_face()
    for variant, side in (("fast", size), ("fine", fine_size)):
        swapper = open_autoencoder(open_bundle(made), open_session=opened)
        matrix = crop_from_frame(face.landmarks, swapper.face_type, size, coverage=swapper.coverage)
        drawn = swapper(np.zeros((size, size, 3), np.uint8), face, matrix, Settings(variant=variant)).pixels
        assert drawn.shape == (side, side, 3)
        x, y = (matrix[:, :2] @ face.landmarks[CHEEK, :2] + matrix[:, 2] + 0.5) * side / size - 0.5
        assert drawn[round(y), round(x)].max() < 120
        assert drawn[round(y), round(side - 1 - x)].min() == 153


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((SIDE, 2 * SIDE, 3), np.uint8), f"must be a colour picture of {SIDE}x{SIDE} pixels"),
        (np.zeros((SIDE, SIDE, 4), np.uint8), f"must be a colour picture of {SIDE}x{SIDE} pixels"),
        (None, "not a whole picture"),
    ],
)
def test_a_file_that_is_no_detail_is_named(tmp_path: Path, picture: Pixels | None, said: str) -> None:
    file = tmp_path / DETAIL_FILE
    if picture is None:
        file.write_bytes(b"no picture")
    else:
        cv2.imwrite(str(file), picture)
    message = one_line(lambda: open_skin_detail(file, HEAD))
    assert said in message
    assert DETAIL_FILE in message

"""Who the output is taken for, with made-up embeddings; and the gallery."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from fakes import a_face

from benchmarks.moment import Moment
from benchmarks.retrieval import EVERY, Gallery, Retrieval, known_centre, load_gallery, nearest, worn_centre
from benchmarks.second_reader import EMBEDDING_SHA256, Box, DlibReader, Found, open_second_reader
from realtime.errors import ConfigError, ModelError
from realtime.frame import Pixels
from realtime.models.library import built_in_folder

Reals = npt.NDArray[np.float64]


def axis(n: int) -> Reals:
    """A person as far from all others as can be."""
    return np.asarray(np.eye(128)[n], dtype=np.float64)


WORN, DRIVER, OTHERS = axis(0), axis(1), np.stack([axis(n) for n in range(2, 12)])


class PaintedReader:
    """Takes a picture's top left pixel for whose face it is; 255 is nobody's."""

    def __init__(self) -> None:
        self.noise = np.random.default_rng(5)

    def find(self, pixels: Pixels, box: Box) -> Found | None:
        return None if pixels[0, 0, 0] == 255 else Found(np.zeros((5, 2)), pixels, None)

    def embedding(self, found: Found) -> Reals:
        return axis(int(found.crop[0, 0, 0])) + self.noise.normal(0, 0.01, 128)


def painted(who: int) -> Pixels:
    return np.full((16, 16, 3), who, np.uint8)


def shown(*outputs: int, driver: int = 1) -> dict[str, object]:
    examiner = Retrieval(PaintedReader(), WORN, Gallery(OTHERS))
    for n, who in enumerate(outputs):
        for step in range(EVERY):
            pictures = {"output": painted(who), "driver": painted(driver), "ceiling": painted(driver)}
            examiner.see(Moment(n * EVERY + step, pictures, a_face((160, 120), 140), None))
    return examiner.figures()


def test_the_nearest_of_all_is_named() -> None:
    named = {"worn": WORN, "driver": DRIVER}
    assert nearest(WORN + 0.01, named, OTHERS) == "worn"
    assert nearest(0.4 * WORN + 0.6 * DRIVER, named, OTHERS) == "driver"
    assert nearest(OTHERS[3], named, OTHERS) == "other"


def test_a_character_is_retrieved_as_worn() -> None:
    found = shown(0, 0, 0, 0)
    assert found["top1"] == {"worn": 1.0, "driver": 0.0, "other": 0.0}
    assert (found["driver_as_driver"], found["among"], found["frames"]) == (1.0, 12, 4)
    assert found["same_person"] == 1.0


def test_the_driver_and_strangers_showing_through_are_caught() -> None:
    assert shown(0, 1, 0, 5)["top1"] == {"worn": 0.5, "driver": 0.25, "other": 0.25}


def test_an_output_that_is_no_face_is_not_the_worn_one() -> None:
    found = shown(0, 255, 0, 0)
    assert found["top1"] == {"worn": 0.75, "driver": 0.0, "other": 0.0}
    assert found["no_face"] == 0.25
    assert "missing" in shown(255, 255, 255)
    assert "missing" in shown(0, 0, driver=255)


def test_the_gallery_that_ships_is_of_this_network() -> None:
    centres = load_gallery().centres
    assert centres.shape == (50, 128)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[~np.eye(50, dtype=bool)]
    assert apart.min() > 0.05


def test_another_gallery_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a gallery"):
        load_gallery(tmp_path / "none.npz")
    np.savez(tmp_path / "old.npz", embeddings=OTHERS, network_sha256=np.array("another"))
    with pytest.raises(ConfigError, match="another network"):
        load_gallery(tmp_path / "old.npz")


def test_the_worn_identity_comes_from_its_pictures(tmp_path: Path) -> None:
    for name, who in (("a.png", 3), ("b.png", 3), ("nobody.png", 255)):
        cv2.imwrite(str(tmp_path / name), painted(who))
    (tmp_path / "text.png").write_text("no picture")
    centre = worn_centre(PaintedReader(), [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "nobody.png"])
    assert not isinstance(centre, str)
    assert np.linalg.norm(centre - axis(3)) < 0.3
    assert "no face" in str(worn_centre(PaintedReader(), [tmp_path / "nobody.png"]))
    assert "no picture" in str(worn_centre(PaintedReader(), [tmp_path / "text.png"]))


def test_dlib_knows_the_preview_again() -> None:
    reader = open_second_reader()
    if isinstance(reader, str):
        pytest.skip(reader)
    pixels = cv2.imread(str(built_in_folder() / "ada" / "preview.jpg"))
    assert pixels is not None
    picture = np.asarray(pixels, dtype=np.uint8)
    box = (64.0, 64.0, 192.0, 192.0)
    found = reader.find(picture, box)
    assert found is not None
    # Eyes level, hers on her left first, and the nose between and below.
    (right, _), (left, level), nose = found.points[0], found.points[2], found.points[4]
    assert right > nose[0] > left
    assert abs(found.points[0, 1] - level) < 6
    assert nose[1] > level + 10
    own = reader.embedding(found)
    larger = np.asarray(cv2.resize(picture, (512, 512)), dtype=np.uint8)
    again = reader.find(larger, (128.0, 128.0, 384.0, 384.0))
    assert again is not None
    assert np.abs(again.points / 2 - found.points).max() < 2
    assert np.linalg.norm(reader.embedding(again) - own) < 0.2
    assert np.linalg.norm(load_gallery().centres - own, axis=1).min() > 0.2
    assert reader.find(np.zeros((256, 256, 3), np.uint8), box) is None
    assert reader.find(picture, (5.0, 5.0, 5.0, 5.0)) is None


def test_other_weights_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    with pytest.raises(ModelError, match="reinstall"):
        DlibReader(tmp_path)
    (tmp_path / "shape_predictor_5_face_landmarks.dat").write_bytes(b"something else")
    with pytest.raises(ModelError, match="not the file"):
        DlibReader(tmp_path)


def test_a_centre_belongs_to_one_preview(tmp_path: Path) -> None:
    preview, other = tmp_path / "preview.jpg", tmp_path / "other.jpg"
    preview.write_bytes(b"one")
    other.write_bytes(b"two")
    stored = {hashlib.sha256(b"one").hexdigest(): axis(3), "network_sha256": np.array(EMBEDDING_SHA256)}
    np.savez(tmp_path / "worn.npz", **stored)
    found = known_centre(preview, tmp_path / "worn.npz")
    assert found is not None
    assert np.allclose(found, axis(3))
    assert known_centre(other, tmp_path / "worn.npz") is None


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    preview = tmp_path / "preview.jpg"
    preview.write_bytes(b"one")
    (tmp_path / "worn.npz").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="holds no embeddings"):
        known_centre(preview, tmp_path / "worn.npz")
    np.savez(tmp_path / "other.npz", network_sha256=np.array("another"))
    with pytest.raises(ConfigError, match="another network"):
        known_centre(preview, tmp_path / "other.npz")


@pytest.mark.parametrize("name", ["ada", "amos", "fern"])
def test_every_packaged_identity_has_an_embedding(name: str) -> None:
    centre = known_centre(built_in_folder() / name / "preview.jpg")
    assert centre is not None
    assert centre.shape == (128,)

"""Who the output is taken for, with made-up embeddings; the gallery and the packaged identities; dlib itself."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import a_face

from benchmarks.metrics import MeasuredFrame, Reals
from benchmarks.metrics.identity import (
    EVERY,
    Retrieval,
    across_clips,
    embedding_of,
    known_embedding,
    load_gallery,
    nearest,
    steadiness,
)
from benchmarks.readers import EMBEDDING_SHA256, Box, Found, choose_reader, open_second_reader
from realtime.errors import ConfigError
from realtime.frame import Pixels
from realtime.models.library import built_in_folder


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


READER: Any = PaintedReader()


def painted(who: int) -> Pixels:
    return np.full((16, 16, 3), who, np.uint8)


def shown(*outputs: int, driver: int = 1) -> dict[str, Any]:
    metric = Retrieval(READER, WORN, OTHERS)
    for n, who in enumerate(outputs):
        for step in range(EVERY):
            pictures = {"output": painted(who), "driver": painted(driver), "ceiling": painted(driver)}
            metric.see(MeasuredFrame(n * EVERY + step, pictures, a_face((160, 120), 140), None))
    return metric.figures()


def test_the_nearest_of_all_is_named() -> None:
    named = {"worn": WORN, "driver": DRIVER}
    assert nearest(WORN + 0.01, named, OTHERS) == "worn"
    assert nearest(0.4 * WORN + 0.6 * DRIVER, named, OTHERS) == "driver"
    assert nearest(OTHERS[3], named, OTHERS) == "other"


@pytest.mark.parametrize(
    ("outputs", "top1", "no_face"),
    [
        ((0, 0, 0, 0), (1.0, 0.0, 0.0), 0.0),
        ((0, 1, 0, 5), (0.5, 0.25, 0.25), 0.0),
        ((0, 255, 0, 0), (0.75, 0.0, 0.0), 0.25),  # no face is not the identity either
    ],
)
def test_each_frame_counts_for_who_is_nearest(outputs: Any, top1: Any, no_face: float) -> None:
    found = shown(*outputs)
    assert tuple(found["top1"][who] for who in ("worn", "driver", "other")) == top1
    assert found["no_face"] == no_face
    assert (found["driver_as_driver"], found["among"], found["frames"]) == (1.0, 12, 4)


def test_without_output_or_driver_the_reason_is_said() -> None:
    assert "missing" in shown(255, 255, 255)
    assert "missing" in shown(0, 0, driver=255)


def test_the_gallery_that_ships_is_of_this_network(tmp_path: Path) -> None:
    centres = load_gallery()
    assert centres.shape == (50, 128)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[~np.eye(50, dtype=bool)]
    assert apart.min() > 0.05
    with pytest.raises(ConfigError, match="holds no embeddings"):
        load_gallery(tmp_path / "none.npz")
    np.savez(tmp_path / "old.npz", embeddings=OTHERS, network_sha256=np.array("another"))
    with pytest.raises(ConfigError, match="another network"):
        load_gallery(tmp_path / "old.npz")


def test_an_identity_comes_from_its_pictures(tmp_path: Path) -> None:
    for name, who in (("a.png", 3), ("b.png", 3), ("nobody.png", 255)):
        cv2.imwrite(str(tmp_path / name), painted(who))
    (tmp_path / "text.png").write_text("no picture")
    centre = embedding_of(READER, [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "nobody.png"])
    assert not isinstance(centre, str)
    assert np.linalg.norm(centre - axis(3)) < 0.3
    assert "no face" in str(embedding_of(READER, [tmp_path / "nobody.png"]))
    assert "no picture" in str(embedding_of(READER, [tmp_path / "text.png"]))
    assert "--worn" in str(embedding_of(READER, []))


def test_a_stored_embedding_belongs_to_one_preview(tmp_path: Path) -> None:
    preview, other, stored = tmp_path / "preview.jpg", tmp_path / "other.jpg", tmp_path / "identities.npz"
    preview.write_bytes(b"one")
    other.write_bytes(b"two")
    np.savez(stored, **{hashlib.sha256(b"one").hexdigest(): axis(3), "network_sha256": np.array(EMBEDDING_SHA256)})
    assert np.allclose(known_embedding(preview, stored), axis(3))  # type: ignore[arg-type]
    assert known_embedding(other, stored) is None
    stored.write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="holds no embeddings"):
        known_embedding(preview, stored)


@pytest.mark.parametrize("name", ["ada", "amos", "fern"])
def test_every_packaged_identity_has_an_embedding(name: str) -> None:
    centre = known_embedding(built_in_folder() / name / "preview.jpg")
    assert centre is not None
    assert centre.shape == (128,)


def test_one_steady_person_is_told_from_two() -> None:
    a, b = (v / np.linalg.norm(v) for v in np.random.default_rng(5).normal(size=(2, 4096)).astype(np.float32))
    assert steadiness([a, a, a])["mean"] == pytest.approx(1.0)
    assert (steadiness([a, b, a, b])["mean"] or 1) < 0.75
    assert steadiness([])["mean"] is None
    assert across_clips([[a, a], [a]], [[a], [b]]) == {"outputs": 1.0, "drivers": pytest.approx(float(a @ b), abs=1e-4)}
    assert across_clips([[a], []], [[a], [b]]) is None  # it takes two clips


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
    assert np.linalg.norm(load_gallery() - own, axis=1).min() > 0.2
    assert reader.find(np.zeros((256, 256, 3), np.uint8), box) is None
    assert reader.find(picture, (5.0, 5.0, 5.0, 5.0)) is None


def test_the_reader_asked_for_must_be_there() -> None:
    assert choose_reader("own") == "own"
    try:
        import mediapipe  # noqa: F401
    except ImportError:
        assert choose_reader("auto") == "own"
        with pytest.raises(ConfigError, match="mediapipe"):
            choose_reader("mediapipe")
    else:
        assert choose_reader("auto") == "mediapipe"

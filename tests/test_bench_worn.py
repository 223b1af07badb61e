"""What an identity looks like to the second reader, kept for the packaged ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from test_bench_retrieval import PaintedReader, axis, painted

from benchmarks.worn import BUNDLES, gather, known_centre, save
from realtime.errors import ConfigError
from trained_models.recipes.people.pairs import joined


def a_shard(path: Path, people: list[int]) -> Path:
    data, ends = joined([cv2.imencode(".png", painted(who))[1].tobytes() for who in people])
    np.savez(path, target_jpg=data, target_jpg_offsets=ends)
    return path


def test_the_centre_is_the_mean_of_the_pictures_with_a_face(tmp_path: Path) -> None:
    shard = a_shard(tmp_path / "shard_00000.npz", [7, 255, 7, 9, 7, 9, 255, 9])
    centre = gather(PaintedReader(), shard, 6)
    assert np.allclose(centre, (axis(7) + axis(9)) / 2, atol=0.02)


def test_pictures_come_from_all_over_the_shard(tmp_path: Path) -> None:
    shard = a_shard(tmp_path / "shard_00000.npz", [7] * 10 + [9] * 10)
    centre = gather(PaintedReader(), shard, 4)
    assert np.allclose(centre, (axis(7) + axis(9)) / 2, atol=0.02)


def test_too_few_faces_are_refused(tmp_path: Path) -> None:
    shard = a_shard(tmp_path / "shard_00000.npz", [7, 255, 255, 255])
    with pytest.raises(ConfigError, match="only 1 of 2"):
        gather(PaintedReader(), shard, 2)


def test_a_centre_belongs_to_one_preview(tmp_path: Path) -> None:
    preview, other = tmp_path / "preview.jpg", tmp_path / "other.jpg"
    preview.write_bytes(b"one")
    other.write_bytes(b"two")
    save({preview: axis(3)}, tmp_path / "worn.npz")
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
def test_every_packaged_identity_is_known(name: str) -> None:
    centre = known_centre(BUNDLES / name / "preview.jpg")
    assert centre is not None
    assert centre.shape == (128,)

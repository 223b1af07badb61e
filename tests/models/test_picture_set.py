"""Picture sets: what is written is read again, and a hostile one is refused in one printable line."""

import tomllib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import tomli_w
from bundles import one_line
from mesh_faces import a_face, a_picture

from realtime.models.bundle import hash_file, open_bundle
from realtime.models.library import new_card
from realtime.models.picture_set import KeyPicture, read_picture_set, write_picture_set

SAID = ("synthetic", "Nobody.")
SIDE = 256


def a_key(**changes: object) -> KeyPicture:
    face = a_face(at=(128, 130), px_per_cm=10.0)
    given: dict[str, object] = {"pixels": a_picture(SIDE, SIDE), "points": face.landmarks}
    return KeyPicture(**{**given, **changes})  # type: ignore[arg-type]


def written(folder: Path, *keys: KeyPicture) -> Path:
    folder.mkdir()
    write_picture_set(folder, keys, new_card(folder.name, "Eve", "CC0-1.0", SAID))
    return folder


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    skin = np.zeros((SIDE, SIDE), np.uint8)
    skin[60:200] = 255
    turned = a_key(expression="smile", view="left")
    bundle = open_bundle(written(tmp_path / "eve", turned, a_key(skin=skin)))
    found = read_picture_set(bundle)
    assert [(key.expression, key.view) for key in found.keys] == [("rest", "front"), ("smile", "left")]
    assert found.rest is found.find("rest")
    assert found.find("closed") is None
    assert np.abs(found.rest.pixels.astype(int) - a_picture(SIDE, SIDE)).mean() < 3
    assert found.rest.points.dtype == np.float32
    np.testing.assert_array_equal(found.rest.points, a_key().points)
    np.testing.assert_array_equal(found.rest.skin, skin)
    assert found.keys[1].skin is None
    assert bundle.preview is not None


def replaced(folder: Path, name: str, content: bytes) -> None:
    """Another file of that name, with its hash in the card."""
    old, file = hash_file(folder / name), folder / name
    file.write_bytes(content)
    card = folder / "model.toml"
    card.write_text(card.read_text().replace(old, hash_file(file)))


def points_of(**arrays: np.ndarray) -> bytes:
    packed = BytesIO()
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def png(width: int, height: int) -> bytes:
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rest_front.webp", b"RIFF\xff\xff\xff\x7fWEBPVP8 ", "no whole picture"),
        ("rest_front.webp", png(256, 300), "256x300"),
        ("rest_front.webp", png(9000, 9000), "9000x9000"),
        ("rest_front_skin.png", png(300, 300), "not as large"),
        ("points.npz", b"PK\x03\x04", "damaged"),
        ("points.npz", points_of(other=np.zeros((478, 3))), "lacks"),
        ("points.npz", points_of(rest_front=np.zeros((468, 3))), "landmarks"),
        ("points.npz", points_of(rest_front=np.full((478, 3), np.nan)), "landmarks"),
        ("points.npz", points_of(rest_front=np.full((478, 3), 1e9)), "landmarks"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    folder = written(tmp_path / "eve", a_key(skin=np.zeros((SIDE, SIDE), np.uint8)))
    replaced(folder, name, content)
    assert said in one_line(lambda: read_picture_set(open_bundle(folder)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda card: card["pictures"].pop(), "face_type"),
        (lambda card: card["pictures"][0].update(view="up"), "expression rest"),
        (lambda card: card["pictures"].append(card["pictures"][0]), "same expression"),
        (lambda card: card["files"].pop("points.npz"), "lacks points.npz"),
        (lambda card: card["pictures"][0].update(file="../x.webp"), "file"),
        (lambda card: card["pictures"][0].update(view="behind"), "view"),
        (lambda card: card.update(pictures=card["pictures"] * 100), "pictures"),
    ],
)
def test_a_hostile_card_is_refused(tmp_path: Path, change: Callable[[dict[str, object]], object], said: str) -> None:
    folder = written(tmp_path / "eve", a_key())
    card = tomllib.loads((folder / "model.toml").read_text())
    change(card)
    (folder / "model.toml").write_text(tomli_w.dumps(card))
    assert said in one_line(lambda: open_bundle(folder))

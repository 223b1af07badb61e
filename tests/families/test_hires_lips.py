"""The fine variant of a lip-sync network: what it moves, where it paints, how the loop asks for it, what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from puppets import an_avatar
from test_lip_sync_effect import LOUD, Says, a_frame, timer
from test_lip_sync_network import F32, S, a_mel
from test_lower_face import in_box

from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import FINE_FILE
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar
from realtime.families.lip_sync.network import (
    FIELD,
    LIP_SYNC_FILE,
    PAINT,
    SEEN,
    LipSyncNetwork,
    lip_planes,
    open_lip_sync,
)
from realtime.frame import Pixels
from realtime.inference.session import Session, TensorSpec
from realtime.models.bundle import Bundle, hash_file, open_bundle
from realtime.settings import Settings

LARGE = 2 * S
PORTS = {
    "mel": TensorSpec((1, 1, 80, 16), F32),
    "faces": TensorSpec((1, 6, S, S), F32),
    "lips": TensorSpec((1, 2, S, S), F32),
}
TOP = 10


def fine_bundle(folder: Path, **output: object) -> Bundle:
    contents = {LIP_SYNC_FILE: b"network of eve", FINE_FILE: b"a finer one"}
    made = a_bundle(
        folder,
        family="lip-sync",
        identity={"kind": "none"},
        input={"size": S},
        output={"fine_size": LARGE, **output},
        files=dict.fromkeys(contents, "sha256:" + "0" * 64),
    )
    for file in ("swap.onnx", "preview.jpg"):
        (made / file).unlink()
    card = (made / "model.toml").read_text(encoding="utf-8")
    for name, data in contents.items():
        (made / name).write_bytes(data)
        card = card.replace("sha256:" + "0" * 64, hash_file(made / name), 1)
    (made / "model.toml").write_text(card, encoding="utf-8")
    return open_bundle(made)


def first_network() -> Script:
    return Script(dict(PORTS), {"mouth": np.full((1, 3, S, S), 0.5, np.float32)})


def fine_network(across: float = 0.0, down: float = 0.0, seen: float = 0.0) -> Script:
    """All of the rows from TOP on comes from so far away, in sides, and is so far painted green."""
    field, paint, share = (np.zeros((1, count, S, S), np.float32) for count in (2, 3, 1))
    field[0, 0, TOP:], field[0, 1, TOP:], share[0, 0, TOP:] = across, down, seen
    paint[0, 1] = 1.0
    return Script(dict(PORTS), {FIELD: field, PAINT: paint, SEEN: share})


def opened(bundle: Bundle, first: Script, fine: Script) -> LipSyncNetwork:
    def session(model: Path, **_: object) -> Session:
        return fine if model.name == FINE_FILE else first

    return open_lip_sync(bundle, open_session=session)


def a_large_face(seed: int = 3) -> Pixels:
    noise = np.random.default_rng(seed).uniform(0, 255, (LARGE, LARGE, 3))
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0), np.uint8)


def test_the_faces_own_pixels_move_in_the_larger_picture(tmp_path: Path) -> None:
    network = opened(fine_bundle(tmp_path / "eve"), first_network(), fine_network(across=2 / LARGE, down=-1 / LARGE))
    face = a_large_face()
    drawn = network.mouth(face, a_mel())
    assert drawn.shape == face.shape
    first = 2 * TOP
    np.testing.assert_array_equal(drawn[:first], face[:first])
    inner = drawn[first + 3 : -3, 3:-3]
    np.testing.assert_array_equal(inner, face[first + 2 : -4, 5:-1])  # to the pixel: as sharp as it was


def test_what_is_painted_covers_by_its_share(tmp_path: Path) -> None:
    face = a_large_face()
    for seen in (0.0, 0.5, 1.0):
        network = opened(fine_bundle(tmp_path / f"eve{seen}"), first_network(), fine_network(seen=seen))
        drawn = network.mouth(face, a_mel())[2 * TOP + 3 :].astype(float)
        expected = (1 - seen) * face[2 * TOP + 3 :] + seen * np.array([0, 255, 0])
        assert np.abs(drawn - expected).max() <= 1.5
    assert drawn[..., 1].min() == 255


def test_it_is_fed_what_the_first_one_is_fed_of_the_smaller_picture(tmp_path: Path) -> None:
    first, fine = first_network(), fine_network()
    network = opened(fine_bundle(tmp_path / "eve"), first, fine)
    around = np.linspace(np.pi, 3 * np.pi, 20, endpoint=False)
    rings = [np.stack([S + w * np.cos(around), 1.4 * S + h * np.sin(around)], 1) for w, h in ((10, 6), (8, 3))]
    outline = np.concatenate(rings).astype(np.float32)
    face, mel, before = a_large_face(), a_mel(), len(first.fed)
    network.mouth(face, mel, outline)
    assert len(first.fed) == before  # one network a picture
    fed = fine.fed[-1]
    small = cv2.resize(face, (S, S), interpolation=cv2.INTER_AREA).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_allclose(fed["faces"][0, 3:], small, atol=1e-6)
    np.testing.assert_array_equal(fed["mel"][0, 0], mel)
    np.testing.assert_allclose(fed["lips"][0], lip_planes(outline / 2 - 0.25, S, S), atol=1e-6)
    network.mouth(np.ascontiguousarray(face[::2, ::2]), mel, outline)
    assert (len(first.fed), len(fine.fed)) == (before + 1, 2)  # a warm-up and one picture
    assert network.sessions == [first, fine]
    network.close()
    assert first.closed
    assert fine.closed


def test_the_settings_choose_for_filmed_faces_and_for_avatars(tmp_path: Path) -> None:
    first, fine = first_network(), fine_network(seen=1.0)
    network = opened(fine_bundle(tmp_path / "eve"), first, fine)
    assert (network.side("fast"), network.side("fine")) == (S, LARGE)
    picture = np.full((180, 320, 3), 90, np.uint8)
    filmed = LipSync(network, Says(LOUD), title="Eve")
    speaks = TalkingAvatar(network, Says(LOUD), [an_avatar("ann", 90)])
    for character, faces in ((filmed, [in_box(110, 30, 100, 120)]), (speaks, [])):
        counts = []
        for variant in ("fast", "fine", "fast"):
            before = len(first.fed), len(fine.fed)
            settings = Settings.model_validate({"variant": variant})
            assert character(a_frame(picture), faces, settings, timer()) is not None
            counts.append((len(first.fed) - before[0], len(fine.fed) - before[1]))
        assert counts == [(1, 0), (0, 1), (1, 0)]


def test_without_a_fine_network_both_variants_are_the_same(tmp_path: Path) -> None:
    from test_lip_sync_network import Lips, lip_bundle

    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=Lips().open)
    assert network.side("fine") == network.side("fast") == S


@pytest.mark.parametrize("wrong", ["size", "smaller", "inputs", "outputs"])
def test_a_fine_network_that_does_not_fit_is_refused(tmp_path: Path, wrong: str) -> None:
    first, fine, output = first_network(), fine_network(), dict[str, object]()
    if wrong == "smaller":
        output = {"fine_size": 16}
    elif wrong == "inputs":
        del fine.inputs["lips"]
    elif wrong == "outputs":
        fine.outputs = {**fine.outputs, SEEN: TensorSpec((1, 3, S, S), F32)}
    bundle = fine_bundle(tmp_path / "eve", **output)
    if wrong == "size":
        card = bundle.folder / "model.toml"
        card.write_text(card.read_text(encoding="utf-8").replace(f"fine_size = {LARGE}", ""), encoding="utf-8")
        bundle = open_bundle(bundle.folder)
    assert FINE_FILE in one_line(lambda: opened(bundle, first, fine))
    assert first.closed
    assert fine.closed


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    for name in (FIELD, PAINT, SEEN):
        fine = fine_network()
        network = opened(fine_bundle(tmp_path / name), first_network(), fine)
        fine.answers[name][0, 0, TOP, 0] = np.nan
        with pytest.raises(ModelError, match="no numbers"):
            network.mouth(a_large_face(), a_mel())

"""The lip-sync network: how a face and a sound go in, and what is refused. Parity: test_checkpoint_to_bundle."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from fakes import a_face
from lip_parts import F32, LOUD, Lips, S, Says, a_frame, a_mel, in_box, lip_bundle, outline_in, timer
from motion_models import an_avatar

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import FINE_FILE
from realtime.families.face_swap.effect import open_swapper
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar
from realtime.families.lip_sync.network import (
    FIELD,
    LIP_POINTS,
    LIP_SYNC_FILE,
    PAINT,
    SEEN,
    LipSyncNetwork,
    lip_outline,
    lip_planes,
    open_lip_sync,
)
from realtime.families.motion.mesh.head import INNER_LIPS, OUTER_LIPS
from realtime.frame import Pixels
from realtime.inference.session import Array, Session, TensorSpec
from realtime.models.bundle import Bundle, hash_file, open_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return lip_bundle(tmp_path / "eve")


def a_small_face(seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (S, S, 3), dtype=np.uint8)


def test_the_face_goes_in_twice_once_with_its_lower_half_black(bundle: Bundle) -> None:
    script = Lips()
    network = open_lip_sync(bundle, provider="cpu", precision="fp32", threads=1, open_session=script.open)
    assert script.opened_with == {"provider": "cpu", "precision": "fp32", "threads": 1}
    for seed in (1, 2):
        face, mel = a_small_face(seed), a_mel(seed)
        said = network.mouth(face, mel)
        fed = script.fed[-1]
        whole = face.transpose(2, 0, 1).astype(np.float32) / 255  # BGR
        np.testing.assert_allclose(fed["faces"][0, 3:], whole, atol=1e-6)
        np.testing.assert_allclose(fed["faces"][0, :3, : S // 2], whole[:, : S // 2], atol=1e-6)
        assert not fed["faces"][0, :3, S // 2 :].any()
        np.testing.assert_array_equal(fed["mel"][0, 0], mel)
    assert said.shape == (S, S, 3)
    assert said.dtype == np.uint8
    assert np.all(said == 128)
    assert (network.size, network.sessions) == (S, [script])
    network.close()
    network.close()
    assert script.closed == 2


def test_a_network_that_asks_is_told_where_the_lips_are(bundle: Bundle) -> None:
    script = Lips()
    script.inputs["lips"] = TensorSpec((1, 2, S, S), F32)
    network = open_lip_sync(bundle, open_session=script.open)
    outline = outline_in((12, 17), 5.0)
    network.mouth(a_small_face(), a_mel(), outline)
    np.testing.assert_array_equal(script.fed[-1]["lips"][0], lip_planes(outline, S, S))
    network.mouth(a_small_face(), a_mel())  # nobody knows
    assert not script.fed[-1]["lips"].any()


def _port(name: str, port: TensorSpec | None) -> Callable[[Lips], None]:
    def spoil(script: Lips) -> None:
        ports = script.inputs if name in script.inputs else script.outputs
        del ports[name]
        if port:
            ports[name] = port

    return spoil


def _lie(script: Lips) -> None:
    script.answers["mouth"] = np.zeros((1, 3, S, 9), np.float32)


UNFIT: dict[str, tuple[Callable[[Lips], None], str]] = {
    "no sound": (_port("mel", None), "lip_sync.onnx has faces; wanted is faces, mel"),
    "no faces": (_port("faces", None), "lip_sync.onnx has mel"),
    "no mouth": (_port("mouth", None), "lip_sync.onnx has nothing; wanted is mouth"),
    "one input more": (lambda s: s.inputs.update(z=TensorSpec((1,), F32)), "has faces, mel, z"),
    "another window": (_port("mel", TensorSpec((1, 1, 80, 32), F32)), "'mel' is (1, 1, 80, 32)"),
    "lips of another size": (lambda s: s.inputs.update(lips=TensorSpec((1, 2, 9, 9), F32)), "'lips' is (1, 2, 9, 9)"),
    "one face": (_port("faces", TensorSpec((1, 3, S, S), F32)), "'faces' is (1, 3, 24, 24)"),
    "another size": (_port("faces", TensorSpec((1, 6, 96, 96), F32)), "'faces' is (1, 6, 96, 96)"),
    "doubles": (_port("mouth", TensorSpec((1, 3, S, S), np.dtype(np.float64))), "float64"),
    "a lie": (_lie, "drew (1, 3, 24, 9)"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_network_that_does_not_fit_is_refused_and_closed(bundle: Bundle, case: str) -> None:
    spoil, says = UNFIT[case]
    script = Lips()
    spoil(script)
    line = one_line(lambda: open_lip_sync(bundle, open_session=script.open))
    assert says in line
    assert "eve" in line
    assert script.closed == 1


@pytest.mark.parametrize(
    ("mel", "says"),
    [
        (np.zeros((80, 15), np.float32), "(80, 15)"),
        (np.zeros((16, 80), np.float32), "(16, 80)"),
        (np.full((80, 16), np.nan, np.float32), "silence"),
        (np.full((80, 16), -np.inf, np.float32), "silence"),
    ],
)
def test_a_window_that_is_none_is_refused(bundle: Bundle, mel: Array, says: str) -> None:
    network: LipSyncNetwork = open_lip_sync(bundle, open_session=Lips().open)
    assert says in one_line(lambda: network.mouth(a_small_face(), mel))


def test_a_picture_that_is_none_is_refused(bundle: Bundle) -> None:
    script = Lips()
    network = open_lip_sync(bundle, open_session=script.open)
    script.answers["mouth"] = np.full((1, 3, S, S), np.nan, np.float32)
    assert "no numbers" in one_line(lambda: network.mouth(a_small_face(), a_mel()))
    with pytest.raises(ValueError, match="a crop is"):
        network.mouth(a_small_face()[:-1], a_mel())


def test_other_families_are_refused(tmp_path: Path, bundle: Bundle) -> None:
    swap = open_bundle(a_bundle(tmp_path / "swap", name="swap"))
    assert "family swap" in one_line(lambda: open_lip_sync(swap, open_session=Lips().open))
    assert "family lip-sync" in one_line(lambda: open_swapper(bundle))
    assert hash_file(bundle.path(LIP_SYNC_FILE)) == bundle.card.files[LIP_SYNC_FILE]


def test_upper_and_lower_lip_lie_about_the_open_mouth() -> None:
    upper, lower = lip_planes(outline_in((30, 20), 10), 64, 40)
    assert upper.shape == (40, 64)
    assert upper.dtype == np.float32
    assert (upper[13, 30], lower[13, 30]) == (1, 0)
    assert (upper[27, 30], lower[27, 30]) == (0, 1)
    assert upper[20, 30] == lower[20, 30] == 0  # the open mouth
    assert upper[8, 30] == lower[32, 30] == upper[20, 45] == 0
    assert np.isclose(upper.sum(), lower.sum(), rtol=0.1)


def test_lips_that_meet_leave_no_gap() -> None:
    upper, lower = lip_planes(outline_in((30, 20), 10, opened=0.0), 64, 40)
    column = (upper + lower)[12:28, 30]
    assert column.min() >= 0.99


def test_a_mouth_beyond_the_picture_is_cut_off() -> None:
    planes = lip_planes(outline_in((62, 2), 10), 64, 40)
    assert planes[1].any()
    assert not planes[:, 20:].any()
    assert not lip_planes(outline_in((1e9, -1e9), 10), 64, 40).any()


def test_the_outline_goes_from_the_persons_right_corner_over_the_upper_lip() -> None:
    face = a_face((80, 60), 60)
    matrix = np.array([[0.5, 0.0, 3.0], [0.0, 0.5, -4.0]])
    found = lip_outline(face.landmarks, matrix)
    assert list(LIP_POINTS[[0, 10, 20, 30]]) == [61, 291, 78, 308]
    assert set(LIP_POINTS[:20]) == set(OUTER_LIPS.tolist())
    assert set(LIP_POINTS[20:]) == set(INNER_LIPS.tolist())
    np.testing.assert_allclose(found[0], face.landmarks[61, :2] * 0.5 + (3, -4), atol=1e-4)


LARGE = 2 * S
PORTS = {
    "mel": TensorSpec((1, 1, 80, 16), F32),
    "faces": TensorSpec((1, 6, S, S), F32),
    "lips": TensorSpec((1, 2, S, S), F32),
}
TOP = 10


def fine_bundle(folder: Path, **output: object) -> Bundle:
    contents = {LIP_SYNC_FILE: b"network of eve", FINE_FILE: b"a finer one"}
    card = {"family": "lip-sync", "identity": {"kind": "none"}, "input": {"size": S}}
    return open_bundle(a_bundle(folder, contents=contents, output={"fine_size": LARGE, **output}, **card))


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

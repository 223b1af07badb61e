"""The lip-sync network: how a face and a sound go in, and what is refused. Parity: test_checkpoint_to_bundle."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from test_lip_masks import outline_in

from realtime.families.face_swap.effect import open_swapper
from realtime.families.lip_sync.network import LIP_SYNC_FILE, LipSyncNetwork, lip_planes, open_lip_sync
from realtime.frame import Pixels
from realtime.inference.session import Array, TensorSpec
from realtime.models.bundle import Bundle, hash_file, open_bundle

S = 24
F32 = np.dtype(np.float32)


class Lips(Script):
    """A scripted lip-sync network."""

    def __init__(self) -> None:
        ports = {"mel": TensorSpec((1, 1, 80, 16), F32), "faces": TensorSpec((1, 6, S, S), F32)}
        super().__init__(ports, {"mouth": np.full((1, 3, S, S), 0.5, np.float32)})

    def open(self, model: Path, **options: object) -> Script:
        assert model.name == LIP_SYNC_FILE
        self.opened_with = options
        return self


def lip_bundle(folder: Path, size: int = S, **changes: object) -> Bundle:
    made = a_bundle(folder, family="lip-sync", identity={"kind": "none"}, input={"size": size}, **changes)
    (made / "swap.onnx").rename(made / LIP_SYNC_FILE)
    card = (made / "model.toml").read_text(encoding="utf-8").replace('"swap.onnx"', f'"{LIP_SYNC_FILE}"')
    (made / "model.toml").write_text(card, encoding="utf-8")
    return open_bundle(made)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return lip_bundle(tmp_path / "eve")


def a_face(seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (S, S, 3), dtype=np.uint8)


def a_mel(seed: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(-4, 4, (80, 16)).astype(np.float32)


def test_the_face_goes_in_twice_once_with_its_lower_half_black(bundle: Bundle) -> None:
    script = Lips()
    network = open_lip_sync(bundle, provider="cpu", precision="fp32", threads=1, open_session=script.open)
    assert script.opened_with == {"provider": "cpu", "precision": "fp32", "threads": 1}
    for seed in (1, 2):
        face, mel = a_face(seed), a_mel(seed)
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
    network.mouth(a_face(), a_mel(), outline)
    np.testing.assert_array_equal(script.fed[-1]["lips"][0], lip_planes(outline, S, S))
    network.mouth(a_face(), a_mel())  # nobody knows
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
    assert says in one_line(lambda: network.mouth(a_face(), mel))  # type: ignore[arg-type]


def test_a_picture_that_is_none_is_refused(bundle: Bundle) -> None:
    script = Lips()
    network = open_lip_sync(bundle, open_session=script.open)
    script.answers["mouth"] = np.full((1, 3, S, S), np.nan, np.float32)
    assert "no numbers" in one_line(lambda: network.mouth(a_face(), a_mel()))
    with pytest.raises(ValueError, match="a crop is"):
        network.mouth(a_face()[:-1], a_mel())


def test_other_families_are_refused(tmp_path: Path, bundle: Bundle) -> None:
    swap = open_bundle(a_bundle(tmp_path / "swap", name="swap"))
    assert "family swap" in one_line(lambda: open_lip_sync(swap, open_session=Lips().open))
    assert "family lip-sync" in one_line(lambda: open_swapper(bundle))
    assert hash_file(bundle.path(LIP_SYNC_FILE)) == bundle.card.files[LIP_SYNC_FILE]

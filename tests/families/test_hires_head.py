"""The fine variant of a swap network: which network draws, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from fakes import a_face

from realtime.families.face_swap.autoencoder import FINE_FILE
from realtime.families.face_swap.effect import Swapper, open_swapper
from realtime.inference.session import Session, TensorSpec
from realtime.models.bundle import Bundle, hash_file, open_bundle
from realtime.settings import Settings

S, FINE, MAP = 32, 48, (1, 4, 16, 16)
F32 = np.dtype(np.float32)
OUTPUT = {"visible": "visible", "features": "features", "fine": "fine_face", "fine_size": FINE}


def a_fine_bundle(folder: Path, **output: object) -> Bundle:
    made = a_bundle(folder)
    (made / FINE_FILE).write_bytes(b"a larger face")
    card = {
        "files": {name: hash_file(made / name) for name in ("swap.onnx", FINE_FILE)},
        "input": {"size": S, "face_type": "full"},
        "output": {**OUTPUT, **output},
    }
    for file in made.iterdir():
        file.unlink()
    made.rmdir()
    made = a_bundle(folder, **card)
    (made / FINE_FILE).write_bytes(b"a larger face")
    return open_bundle(made)


def first_network() -> Script:
    return Script(
        {"face": TensorSpec((1, 3, S, S), F32)},
        {
            "celeb_face": np.full((1, 3, S, S), 0.2, np.float32),
            "celeb_mask": np.ones((1, 1, S, S), np.float32),
            "visible": np.full((1, 1, S, S), 0.5, np.float32),
            "features": np.full(MAP, 3.0, np.float32),
        },
    )


def fine_network(shape: tuple[int, ...] = MAP, size: int = FINE) -> Script:
    return Script({"features": TensorSpec(shape, F32)}, {"fine_face": np.full((1, 3, size, size), 0.8, np.float32)})


def worn(bundle: Bundle, first: Script, fine: Script) -> Swapper:
    def opened(model: Path, **_: object) -> Session:
        return fine if model.name == FINE_FILE else first

    return open_swapper(bundle, open_session=opened)


def test_the_variant_chooses_the_network_that_draws(tmp_path: Path) -> None:
    first, fine, crop = first_network(), fine_network(), np.zeros((S, S, 3), np.uint8)
    bundle = a_fine_bundle(tmp_path / "eve")
    fast = worn(bundle, first, fine)(crop, a_face(), np.eye(2, 3), Settings(variant="fast"))
    assert fast.pixels.shape == (S, S, 3)
    assert fine.fed == []
    large = worn(bundle, first, fine)(crop, a_face(), np.eye(2, 3), Settings(variant="fine"))
    assert large.pixels.shape == (FINE, FINE, 3)
    assert large.pixels.max() == round(0.8 * 255)
    assert large.mask.shape == (FINE, FINE)
    assert large.visible is not None
    assert large.visible.mean() == pytest.approx(0.5)
    assert np.array_equal(fine.fed[0]["features"], first.answers["features"])


def test_both_networks_are_counted_and_closed(tmp_path: Path) -> None:
    first, fine = first_network(), fine_network()
    some = worn(a_fine_bundle(tmp_path / "eve"), first, fine)
    assert some.sessions == [first, fine]
    some.close()
    assert (first.closed, fine.closed) == (1, 1)


@pytest.mark.parametrize(
    ("output", "fine", "said"),
    [
        ({"fine_size": 64}, fine_network(), "its card says"),
        ({"fine": "another"}, fine_network(), "must take 'features' and give 'another'"),
        ({}, fine_network(shape=(1, 4, 8, 8)), "does not give the 'features'"),
        ({}, fine_network(size=64), "its card says"),
    ],
)
def test_networks_that_do_not_fit_are_refused_and_closed(
    tmp_path: Path, output: dict[str, object], fine: Script, said: str
) -> None:
    first = first_network()
    fine.closed = 0
    line = one_line(lambda: worn(a_fine_bundle(tmp_path / "eve", **output), first, fine))
    assert said in line
    assert (first.closed, fine.closed) == (1, 1)


def test_a_fine_network_without_a_word_in_the_card_is_refused(tmp_path: Path) -> None:
    made = a_bundle(tmp_path / "eve")
    (made / FINE_FILE).write_bytes(b"a larger face")
    card = (made / "model.toml").read_text(encoding="utf-8")
    line = f'[files]\n"{FINE_FILE}" = "{hash_file(made / FINE_FILE)}"'
    card = card.replace("[files]", line).replace("size = 64", f"size = {S}")
    (made / "model.toml").write_text(card, encoding="utf-8")
    said = one_line(lambda: worn(open_bundle(made), first_network(), fine_network()))
    assert "[output] in its card must say fine" in said

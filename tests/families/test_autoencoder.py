"""The swap family on scripted networks: how pictures go in and come out, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from fakes import a_face

from realtime.config import Settings
from realtime.errors import ModelError
from realtime.families.face_swap.autoencoder import (
    _BIASED,
    FINE_FILE,
    KNOWN,
    LOWER,
    OUTER_EYES,
    SHARE,
    UPPER,
    USUAL,
    Autoencoder,
    NeutralBias,
    inner_lips,
)
from realtime.families.face_swap.effect import Swapper, open_autoencoder
from realtime.frame import Floats, Pixels
from realtime.inference.session import Array, Session, TensorSpec
from realtime.models.bundle import Bundle, open_bundle
from realtime.tracking.face import Face

S = 32
F32 = np.dtype(np.float32)


def a_crop(size: int = S, seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def ours(*inputs: str, **answers: Array) -> Script:
    ports = {
        "face": TensorSpec((None, 3, S, S), F32),
        "blendshapes": TensorSpec((1, 52), F32),
        "pose": TensorSpec((1, 3), F32),
        "lips": TensorSpec((1, 3), F32),
        "morph": TensorSpec((1,), F32),
        "audio": TensorSpec((1, 80), F32),
    }
    given: dict[str, Array] = {
        "celeb_face": np.zeros((1, 3, S, S), np.float32),
        "celeb_mask": np.zeros((1, 1, S, S), np.float32),
    } | answers
    return Script({name: ports[name] for name in inputs}, given)


NOWHERE = np.eye(2, 3)


def eve(tmp_path: Path, **changes: object) -> Bundle:
    return open_bundle(a_bundle(tmp_path / "eve", **{"input": {"size": S, "face_type": "full"}, **changes}))


def network_of(bundle: Bundle, script: Script) -> Autoencoder:
    return open_autoencoder(bundle, open_session=script.open)


def test_the_network_gets_the_crop_and_what_it_asks_for(tmp_path: Path) -> None:
    script = ours("face", "blendshapes", "pose", "lips")
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[[33, 263], 0] = 40, 120
    landmarks[[87, 14, 317], 1] = 8, 20, 4
    pose = np.eye(4, dtype=np.float32)
    pose[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    face = Face(landmarks, np.linspace(0, 0.4, 52, dtype=np.float32), pose, 1.0)
    swapper = network_of(eve(tmp_path), script)
    for seed in (1, 2):
        swapper(a_crop(seed=seed), face, NOWHERE, Settings())
    for seed, fed in zip((1, 2), script.fed, strict=True):
        np.testing.assert_allclose(fed["face"][0], a_crop(seed=seed).transpose(2, 0, 1) / 255, atol=1e-6)
        np.testing.assert_array_equal(fed["blendshapes"], face.blendshapes[None])
        np.testing.assert_allclose(fed["pose"], [[0, 0, 0.3]], atol=1e-6)
        np.testing.assert_allclose(fed["lips"], [[0.1, 0.25, 0.05]], atol=1e-6)


def test_the_morph_follows_the_settings(tmp_path: Path) -> None:
    script = ours("face", "morph")
    swapper = network_of(eve(tmp_path), script)
    for morph in (0.25, 1.0):
        swapper(a_crop(), a_face(), NOWHERE, Settings(morph=morph))
    assert [fed["morph"].tolist() for fed in script.fed] == [[0.25], [1.0]]
    assert script.fed[0]["morph"].dtype == np.float32


@pytest.mark.parametrize("extra", [(), ("blendshapes",), ("pose",), ("lips",), ("morph",)])
def test_any_of_the_further_inputs_may_be_absent(tmp_path: Path, extra: tuple[str, ...]) -> None:
    script = ours("face", *extra)
    network_of(eve(tmp_path), script)(a_crop(), a_face(), NOWHERE, Settings())
    assert set(script.fed[0]) == {"face", *extra}


def test_the_answer_is_the_face_and_its_mask(tmp_path: Path) -> None:
    drawn = np.random.default_rng(3).random((1, 3, S, S), dtype=np.float32)
    mask = np.random.default_rng(4).random((1, 1, S, S), dtype=np.float32)
    swapped = network_of(eve(tmp_path), ours("face", celeb_face=drawn, celeb_mask=mask))(
        a_crop(), a_face(), NOWHERE, Settings()
    )
    np.testing.assert_array_equal(swapped.pixels, np.rint(drawn[0].transpose(1, 2, 0) * 255))
    np.testing.assert_array_equal(swapped.mask, mask[0, 0])
    assert swapped.driver_mask is None


def test_the_card_names_the_outputs(tmp_path: Path) -> None:
    bundle = eve(tmp_path, output={"face": "f", "mask": "m", "driver_mask": "d"})
    one, three = np.ones((1, 1, S, S), np.float32), np.ones((1, 3, S, S), np.float32)
    swapped = network_of(bundle, ours("face", d=one / 2, m=one, f=three))(a_crop(), a_face(), NOWHERE, Settings())
    assert (swapped.pixels == 255).all()
    assert (swapped.mask == 1).all()
    assert swapped.driver_mask is not None
    assert (swapped.driver_mask == 0.5).all()


def test_it_says_what_the_engine_asks(tmp_path: Path) -> None:
    script = ours("face")
    bundle = eve(tmp_path, title="Eve the First", input={"size": S, "face_type": "head", "coverage": 2.5})
    swapper = open_autoencoder(bundle, provider="cuda", precision="fp32", threads=3, open_session=script.open)
    assert (swapper.title, swapper.face_type, swapper.size, swapper.coverage) == ("Eve the First", "head", S, 2.5)
    assert swapper.sessions == [script]
    assert script.opened_with == {"provider": "cuda", "precision": "fp32", "threads": 3}
    swapper.close()
    assert script.closed == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", ["celeb_face", "celeb_mask"])
def test_values_that_are_no_numbers_are_an_error(tmp_path: Path, bad: float, output: str) -> None:
    script = ours("face")
    script.answers[output][0, 0, 5, 5] = bad
    swapper = network_of(eve(tmp_path), script)
    assert "no numbers" in one_line(lambda: swapper(a_crop(), a_face(), NOWHERE, Settings()))


def test_an_answer_of_another_shape_is_an_error(tmp_path: Path) -> None:
    free = {"celeb_face": TensorSpec((None,) * 4, F32), "celeb_mask": TensorSpec((None,) * 4, F32)}
    answers: dict[str, Array] = {name: np.zeros((1, 1, 9, 9), np.float32) for name in free}
    swapper = network_of(eve(tmp_path), Script({"face": TensorSpec((1, 3, S, S), F32)}, answers, free))
    assert "promises (1, 3, 32, 32)" in one_line(lambda: swapper(a_crop(), a_face(), NOWHERE, Settings()))


UNFIT = {
    "an unknown input": (("face", "audio"), {}, "asks for 'audio'"),
    "no face": (("pose",), {}, "no input 'face'"),
    "a mask of three": (("face",), {"celeb_mask": np.zeros((1, 3, S, S), np.float32)}, "(1, 3, 32, 32)"),
    "a face of half the size": (
        ("face",),
        {"celeb_face": np.zeros((1, 3, 16, 16), np.float32)},
        "celeb_face",
    ),
    "half floats": (("face",), {"celeb_face": np.zeros((1, 3, S, S), np.float16)}, "float16"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_network_that_does_not_fit_its_card_is_refused_and_closed(tmp_path: Path, case: str) -> None:
    inputs, answers, says = UNFIT[case]
    script = ours(*inputs, **answers)
    assert says in one_line(lambda: network_of(eve(tmp_path), script))
    assert script.closed == 1


def test_a_missing_output_is_named_with_those_there_are(tmp_path: Path) -> None:
    message = one_line(lambda: network_of(eve(tmp_path, output={"face": "fase"}), ours("face")))
    assert "'fase'" in message
    assert "celeb_face, celeb_mask" in message


def test_a_card_that_is_wrong_about_the_size_is_refused(tmp_path: Path) -> None:
    bundle = eve(tmp_path, input={"size": 64, "face_type": "full"})
    assert "(1, 3, 64, 64)" in one_line(lambda: network_of(bundle, ours("face")))


def test_a_session_that_cannot_open_is_not_hidden(tmp_path: Path) -> None:
    def fail(model: Path, **_: object) -> Script:
        raise ModelError("cuda cannot run here: install it")

    bundle = eve(tmp_path)
    assert one_line(lambda: open_autoencoder(bundle, open_session=fail)) == "cuda cannot run here: install it"


FINE, MAP = 48, (1, 4, 16, 16)
OUTPUT = {"visible": "visible", "features": "features", "fine": "fine_face", "fine_size": FINE}


def a_fine_bundle(folder: Path, **output: object) -> Bundle:
    contents = {"swap.onnx": b"a face", FINE_FILE: b"a larger face"}
    card = {
        "input": {"size": S, "face_type": "full"},
        "output": {key: value for key, value in {**OUTPUT, **output}.items() if value},
    }
    return open_bundle(a_bundle(folder, contents=contents, **card))


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


def opened(bundle: Bundle, first: Script, fine: Script) -> Swapper:
    def session(model: Path, **_: object) -> Session:
        return fine if model.name == FINE_FILE else first

    return open_autoencoder(bundle, open_session=session)


def test_the_variant_chooses_the_network_that_draws(tmp_path: Path) -> None:
    first, fine, crop = first_network(), fine_network(), np.zeros((S, S, 3), np.uint8)
    bundle = a_fine_bundle(tmp_path / "eve")
    fast = opened(bundle, first, fine)(crop, a_face(), NOWHERE, Settings(variant="fast"))
    assert fast.pixels.shape == (S, S, 3)
    assert fine.fed == []
    large = opened(bundle, first, fine)(crop, a_face(), NOWHERE, Settings(variant="fine"))
    assert large.pixels.shape == (FINE, FINE, 3)
    assert large.pixels.max() == round(0.8 * 255)
    assert large.mask.shape == (FINE, FINE)
    assert large.visible is not None
    assert large.visible.mean() == pytest.approx(0.5)
    assert np.array_equal(fine.fed[0]["features"], first.answers["features"])


def test_both_networks_are_counted_and_closed(tmp_path: Path) -> None:
    first, fine = first_network(), fine_network()
    some = opened(a_fine_bundle(tmp_path / "eve"), first, fine)
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
    line = one_line(lambda: opened(a_fine_bundle(tmp_path / "eve", **output), first, fine))
    assert said in line
    assert (first.closed, fine.closed) == (1, 1)


def test_a_fine_network_without_a_word_in_the_card_is_refused(tmp_path: Path) -> None:
    bundle = a_fine_bundle(tmp_path / "eve", fine=None)
    said = one_line(lambda: opened(bundle, first_network(), fine_network()))
    assert "[output] in its card must say fine" in said


BROW_DOWN, JAW_OPEN, BLINK = 1, 25, 9
LIGHTENED = 0.61 - SHARE * (0.6 - USUAL[0])
"""What a brow that rests at 0.6 reads no more than."""


def face(track: int = 0, **read: float) -> Face:
    """A face whose blendshapes are 0.05 but for `brow`, `jaw` and `blink`."""
    told = np.full(52, 0.05, np.float32)
    for name, index in (("brow", BROW_DOWN), ("jaw", JAW_OPEN), ("blink", BLINK)):
        told[index] = read.get(name, 0.05)
    return Face(np.zeros((478, 3), np.float32), told, np.eye(4, dtype=np.float32), 1.0, track)


def brow_after(rest: NeutralBias, *brows: float, track: int = 0) -> Floats:
    """What is left of brow after brow."""
    return np.array([rest(face(track, brow=b))[BROW_DOWN] for b in brows], np.float32)


def test_readings_that_rest_where_most_peoples_do_stay_as_they_are() -> None:
    rest = NeutralBias()
    for shown in (face(), face(brow=0.9), face(jaw=0.8, blink=1.0), face(brow=0.3)):
        assert np.array_equal(rest(shown), shown.blendshapes)


def test_heavy_brows_are_lightened_from_the_first_frame_on_without_a_jump() -> None:
    left = brow_after(NeutralBias(), *[0.6] * 100)
    assert np.allclose(left, 0.6 - SHARE * (0.6 - USUAL[0]), atol=1e-3)


def test_a_frown_on_heavy_brows_moves_as_far_as_the_drivers() -> None:
    rest = NeutralBias()
    low, high = brow_after(rest, 0.5, 0.8)
    assert np.isclose(high - low, 0.3, atol=1e-3)


def test_a_brow_raised_at_the_start_is_soon_known_to_have_been_raised() -> None:
    rest = NeutralBias()
    brow_after(rest, *[0.9] * 5, *[0.0] * 30)
    assert brow_after(rest, 0.9)[0] > 0.88


def test_a_frown_of_ten_seconds_stays_a_frown() -> None:
    rest = NeutralBias()
    left = brow_after(rest, 0.0, *[0.7] * 300)
    assert left[-1] > 0.69


def test_lids_jaw_and_everything_else_are_never_touched() -> None:
    rest = NeutralBias()
    others = np.setdiff1d(np.arange(52), _BIASED)
    told = np.random.default_rng(5).uniform(0.5, 1, (20, 52)).astype(np.float32)
    for one in told:
        shown = Face(np.zeros((478, 3), np.float32), one, np.eye(4, dtype=np.float32), 1.0)
        left = rest(shown)
        assert np.array_equal(left[others], one[others])
        assert (left[_BIASED] < one[_BIASED]).all()
        assert left.min() >= 0


def test_two_people_in_one_picture_each_keep_their_own_rest() -> None:
    rest = NeutralBias()
    for _ in range(10):
        heavy, light = brow_after(rest, 0.6, track=1)[0], brow_after(rest, 0.05, track=2)[0]
    assert heavy < LIGHTENED
    assert np.isclose(light, 0.05)


def test_people_long_gone_are_forgotten() -> None:
    rest = NeutralBias()
    brow_after(rest, 0.0, track=0)
    for track in range(1, KNOWN + 1):
        brow_after(rest, 0.0, track=track)
    assert brow_after(rest, 0.6, track=0)[0] < LIGHTENED  # a new person to it, at rest with heavy brows
    assert np.isclose(brow_after(rest, 0.6, track=KNOWN)[0], 0.6)  # known, and frowning


def test_it_is_the_distance_in_parts_of_the_eyes_and_mirrors_with_the_face() -> None:
    face = np.zeros((478, 3), np.float32)
    face[list(OUTER_EYES), 0] = -50, 50
    face[list(LOWER), 1] = 10, 30, 20
    np.testing.assert_allclose(inner_lips(face), [0.1, 0.3, 0.2], rtol=1e-6)
    mirrored = face * np.float32([-1, 1, 1])
    mirrored[list(LOWER)] = mirrored[list(LOWER[::-1])]
    mirrored[list(UPPER)] = mirrored[list(UPPER[::-1])]
    np.testing.assert_allclose(inner_lips(mirrored), inner_lips(face)[::-1], rtol=1e-6)


@pytest.mark.parametrize("point", [*UPPER, *OUTER_EYES])
def test_a_face_of_one_point_has_no_opening_and_no_fault(point: int) -> None:
    face = np.zeros((478, 3), np.float32)
    assert inner_lips(face).tolist() == [0, 0, 0]
    face[point] = 1
    assert np.isfinite(inner_lips(face)).all()

"""The motion family's networks: opened whole or not at all, and the same pictures as upstream's."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from bundles import Script, a_bundle, one_line

from realtime.cli.app import main
from realtime.families.motion.effect import open_motion_model
from realtime.families.motion.first_order.keypoints import KeyPoints, RelativeMotion
from realtime.families.motion.first_order.network import (
    FRAME_FILE,
    KEYPOINTS_FILE,
    SOURCE_FILE,
    open_first_order,
)
from realtime.frame import Pixels
from realtime.inference.session import Array, TensorSpec
from realtime.models.bundle import Bundle, open_bundle

S, K = 32, 3
F32 = np.dtype(np.float32)
PICTURE = TensorSpec((1, 3, S, S), F32)
FILES = (SOURCE_FILE, KEYPOINTS_FILE, FRAME_FILE)
MOTION = {
    "family": "motion",
    "identity": {"kind": "none"},
    "input": {"size": S, "colour": "RGB", "range": "0..1"},
}


def numbers(*shape: int, of: float = 0.25) -> Array:
    return np.full(shape, of, np.float32)


def ports(answers: Mapping[str, Array]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(value.shape, value.dtype) for name, value in answers.items()}


class Networks:
    """Three scripted networks in the place of a bundle's files."""

    def __init__(self, *, jacobians: bool = True, small: bool = True) -> None:
        found = {"keypoints": numbers(1, K, 2)} | ({"jacobians": numbers(1, K, 2, 2)} if jacobians else {})
        avatar = {"features": numbers(1, 4, 8, 8)} | ({"source_small": numbers(1, 3, 8, 8)} if small else {}) | found
        names = {"features": "features", "source_small": "source_small"}
        draws = {names.get(name, f"source_{name}"): port for name, port in ports(avatar).items()}
        draws |= {f"driving_{name}": port for name, port in ports(found).items()}
        self.scripts = {
            SOURCE_FILE: Script({"source": PICTURE}, avatar),
            KEYPOINTS_FILE: Script({"driving": PICTURE}, found),
            FRAME_FILE: Script(draws, {"prediction": numbers(1, 3, S, S, of=0.5)}),
        }
        self.options: list[dict[str, object]] = []

    def open(self, model: Path, **options: object) -> Script:
        self.options.append(options)
        return self.scripts[model.name]

    @property
    def closed(self) -> list[int]:
        return [script.closed for script in self.scripts.values()]


def motion_bundle(folder: Path, **changes: object) -> Bundle:
    return open_bundle(a_bundle(folder, contents={file: file.encode() for file in FILES}, **{**MOTION, **changes}))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return motion_bundle(tmp_path / "eve")


def a_picture(seed: int = 1) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (S, S, 3), dtype=np.uint8)


def test_the_avatar_is_encoded_once_and_drawn_often(bundle: Bundle) -> None:
    networks = Networks()
    network = open_first_order(bundle, provider="cpu", precision="fp32", threads=1, open_session=networks.open)
    assert networks.options == [{"provider": "cpu", "precision": "fp32", "threads": 1}] * 3
    source, detector, frame = networks.scripts.values()
    proofs = [len(script.fed) for script in networks.scripts.values()]
    picture = a_picture()
    avatar = network.encode(picture)
    for turn in range(5):
        moved = KeyPoints(numbers(K, 2, of=turn / 10)[:], numbers(K, 2, 2))
        drawn = network.draw(avatar, moved)
        assert np.all(frame.fed[-1]["driving_keypoints"] == np.float32(turn / 10))
    assert [len(s.fed) - before for s, before in zip((source, detector, frame), proofs, strict=True)] == [1, 0, 5]
    np.testing.assert_allclose(source.fed[-1]["source"][0, 0], picture[:, :, 2] / 255, atol=1e-6)  # RGB
    assert drawn.shape == (S, S, 3)
    assert drawn.dtype == np.uint8
    assert np.all(drawn == 128)
    driving = network.keypoints(a_picture(2))
    np.testing.assert_array_equal(driving.value, numbers(K, 2))
    np.testing.assert_array_equal(avatar.keypoints.jacobian, numbers(K, 2, 2))
    assert (network.size, network.points, network.jacobians) == (S, K, True)
    assert network.sessions == list(networks.scripts.values())
    network.close()
    network.close()
    assert networks.closed == [2, 2, 2]


def test_an_avatar_outlives_the_buffers_of_its_network(bundle: Bundle) -> None:
    networks = Networks()
    network = open_first_order(bundle, open_session=networks.open)
    avatar = network.encode(a_picture())
    for value in networks.scripts[SOURCE_FILE].answers.values():
        value[...] = 9  # a runtime writes its next answer in the same place
    assert all(np.all(value == 0.25) for value in avatar.feed.values())
    assert np.all(avatar.keypoints.value == 0.25)


@pytest.mark.parametrize("small", [False, True])
def test_a_network_without_jacobians(bundle: Bundle, small: bool) -> None:
    networks = Networks(jacobians=False, small=small)
    network = open_first_order(bundle, open_session=networks.open)
    assert not network.jacobians
    avatar, driving = network.encode(a_picture()), network.keypoints(a_picture(2))
    spread = np.array([[0, 0], [0.5, 0], [0, 0.5]], np.float32)
    neutral = KeyPoints(spread, driving.jacobian)
    moved = RelativeMotion(avatar.keypoints, neutral)(KeyPoints(spread + 0.125, driving.jacobian))
    assert np.all(network.draw(avatar, moved) == 128)
    np.testing.assert_allclose(networks.scripts[FRAME_FILE].fed[-1]["driving_keypoints"], 0.375)
    assert not [name for name in networks.scripts[FRAME_FILE].fed[-1] if "jacobian" in name]


def rename(networks: Networks, file: str, side: str, old: str, new: str | None) -> None:
    script = networks.scripts[file]
    table = getattr(script, side)
    port = table.pop(old)
    if new:
        table[new] = port


def reshape(networks: Networks, file: str, side: str, name: str, shape: tuple[int | None, ...]) -> None:
    getattr(networks.scripts[file], side)[name] = TensorSpec(shape, F32)


UNFIT: dict[str, tuple[Callable[[Networks], None], str]] = {
    "an input of another name": (lambda n: rename(n, SOURCE_FILE, "inputs", "source", "x"), "source.onnx takes x"),
    "one input more": (lambda n: reshape(n, SOURCE_FILE, "inputs", "z", (1,)), "source.onnx takes source, z"),
    "no features": (lambda n: rename(n, SOURCE_FILE, "outputs", "features", None), "source.onnx gives jacobians"),
    "no key points": (lambda n: rename(n, KEYPOINTS_FILE, "outputs", "keypoints", None), "keypoints.onnx gives"),
    "no jacobians in one": (lambda n: rename(n, KEYPOINTS_FILE, "outputs", "jacobians", None), "keypoints.onnx gives"),
    "no prediction": (lambda n: rename(n, FRAME_FILE, "outputs", "prediction", "p"), "frame.onnx gives p"),
    "another size": (lambda n: reshape(n, SOURCE_FILE, "inputs", "source", (1, 3, 64, 64)), "'source' is"),
    "a batch of two": (lambda n: reshape(n, KEYPOINTS_FILE, "inputs", "driving", (2, 3, S, S)), "'driving' is"),
    "unknown key points": (lambda n: reshape(n, SOURCE_FILE, "outputs", "keypoints", (1, None, 2)), "how many"),
    "flat key points": (lambda n: reshape(n, SOURCE_FILE, "outputs", "keypoints", ()), "how many"),
    "other key points": (lambda n: reshape(n, KEYPOINTS_FILE, "outputs", "keypoints", (1, 9, 2)), "'keypoints' is"),
    "other features": (lambda n: reshape(n, FRAME_FILE, "inputs", "features", (1, 9, 8, 8)), "'features' is"),
    "a small picture": (lambda n: reshape(n, FRAME_FILE, "outputs", "prediction", (1, 3, 9, 9)), "'prediction' is"),
    "a lie about its picture": (
        lambda n: n.scripts[FRAME_FILE].answers.update(prediction=numbers(1, 3, 9, 9)),
        r"drew (1, 3, 9, 9)",
    ),
    "a lie about its key points": (
        lambda n: n.scripts[SOURCE_FILE].answers.update(keypoints=numbers(1, 9, 2)),
        "gave key points (1, 9, 2)",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_networks_that_do_not_fit_are_refused_and_closed(bundle: Bundle, case: str) -> None:
    spoil, says = UNFIT[case]
    networks = Networks()
    spoil(networks)
    line = one_line(lambda: open_first_order(bundle, open_session=networks.open))
    assert says in line
    assert "eve" in line
    assert networks.closed == [1, 1, 1]


def test_a_network_that_cannot_be_opened_closes_those_before_it(bundle: Bundle) -> None:
    networks = Networks()
    del networks.scripts[FRAME_FILE]
    with pytest.raises(KeyError):
        open_first_order(bundle, open_session=networks.open)
    assert networks.closed == [1, 1]


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("value", np.nan, "not finite"),
        ("jacobian", np.inf, "not finite"),
    ],
)
def test_key_points_that_are_none_are_not_drawn(bundle: Bundle, part: str, value: float, says: str) -> None:
    network = open_first_order(bundle, open_session=Networks().open)
    avatar = network.encode(a_picture())
    points = {"value": numbers(K, 2), "jacobian": numbers(K, 2, 2)}
    points[part] = points[part] * np.float32(value)
    assert says in one_line(lambda: network.draw(avatar, KeyPoints(**points)))


def test_a_picture_that_is_none_is_refused(bundle: Bundle) -> None:
    networks = Networks()
    network = open_first_order(bundle, open_session=networks.open)
    avatar = network.encode(a_picture())
    networks.scripts[FRAME_FILE].answers["prediction"] = numbers(1, 3, S, S, of=np.nan)
    assert "no numbers" in one_line(lambda: network.draw(avatar, avatar.keypoints))


def test_other_families_and_missing_files_are_refused(tmp_path: Path) -> None:
    swap = open_bundle(a_bundle(tmp_path / "swap", name="swap"))
    assert "family swap" in one_line(lambda: open_motion_model(swap, open_session=Networks().open))
    lacks = motion_bundle(tmp_path / "eve")
    lacks.card.files.pop(FRAME_FILE)
    networks = Networks()
    assert "lists no file 'frame.onnx'" in one_line(lambda: open_first_order(lacks, open_session=networks.open))
    assert networks.closed[:2] == [1, 1]


def test_the_command_shows_what_it_is_for(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["models", "show", str(bundle.folder)])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert 'family = "motion"' in shown
    assert "# a still picture moves as you do: masquerade run --model eve --avatar" in shown

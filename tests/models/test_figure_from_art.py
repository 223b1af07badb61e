"""Layered art becomes a figure by its layers' names; hostile files get one clear line."""

import io
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bundles import one_line
from commands import Call
from layered_art import (
    BLACK,
    BLUE,
    GREEN,
    PINK,
    RED,
    SIZE,
    a_face,
    a_whole_figure,
    blank_psd_header,
    save,
    write_ora,
)
from PIL import Image

from realtime.errors import ConfigError
from realtime.families.figure.drawing import Figure, Place, still
from realtime.families.figure.expression import MOUTHS, Expression
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import at_rest
from realtime.models.figure import MOUTH_NAMES, Rig, read_rig
from realtime.models.figure_from_art import rigged
from realtime.models.figure_import import add_figure
from realtime.models.layer_names import plain_name
from realtime.models.layered_art import read_art
from realtime.models.library import AVATARS

SAID = ("--identity", "synthetic", "--statement", "Drawn in a test.")
STEP_S = 1 / 30


def a_rig(tree: dict[str, Any], tmp_path: Path, suffix: str = ".ora") -> tuple[Rig, list[str], Path]:
    """What becomes of a tree of layers; its pictures are in the folder."""
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    scratch.mkdir()
    rig, said = rigged(read_art(save(tree, tmp_path / f"art{suffix}"), scratch), "art", out)
    return Rig.model_validate_json(json.dumps(rig)), said, out


@pytest.mark.parametrize("suffix", [".psd", ".ora", ".svg"])
def test_layers_are_known_by_their_names_in_each_format(tmp_path: Path, suffix: str) -> None:
    rig, said, folder = a_rig(a_whole_figure(), tmp_path, suffix)
    assert said == ["Parrot"]
    scale = rig.size[1] / SIZE[1]
    assert {part.group for part in rig.parts} == {"torso", "arm_l", "arm_r", "leg_l", "leg_r"}
    assert rig.head is not None
    by_name = {layer.name: layer for layer in rig.head.layers}
    assert {layer.mouth for layer in rig.head.layers} == {None, "neutral", "ah"}
    assert by_name["pupil_l"].open == "eyeBlinkLeft"
    assert by_name["pupil_l"].clip == "eyeball_l"
    assert by_name["pupil_l"].gaze == pytest.approx(5 * scale, abs=1)
    assert by_name["blink_r"].closed == "eyeBlinkRight"
    assert by_name["brow_r"].brow == "Right"
    assert by_name["hair"].spring > 0 > by_name["hair"].depth
    assert by_name["nose"].depth > by_name["mouth_neutral"].depth > by_name["face"].depth == 0
    assert [view.turn for view in rig.head.views] == ["left_quarter"]
    joints = {name: np.array(at) / scale for name, at in rig.joints.items()}
    np.testing.assert_allclose(joints["l_elbow"], (124, 130), atol=1)  # its handle
    np.testing.assert_allclose(joints["r_elbow"], (76, 125), atol=8)  # along the layer
    np.testing.assert_allclose(joints["r_shoulder"], (77, 96), atol=6)
    np.testing.assert_allclose(joints["l_toe"], (110, 249), atol=6)
    assert joints["hips"][1] > joints["l_shoulder"][1] > joints["neck"][1] - 10
    colours = seen(rig, folder, Expression())
    for colour in (GREEN, BLUE, RED, PINK):
        assert colour in colours
    assert len(read_rig_twice(rig).files) == len(set(rig.files))


def read_rig_twice(rig: Rig) -> Rig:
    """As it is after a file."""
    return Rig.model_validate_json(rig.model_dump_json())


def seen(rig: Rig, folder: Path, face: Expression) -> set[tuple[int, ...]]:
    """The colours (RGB) of the drawn figure."""
    scale = SIZE[1] / rig.size[1]
    figure, picture = Figure(rig, folder, scale), np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    for _ in range(4):
        figure.draw(picture, Painter(SIZE), at_rest(), face, Place(np.zeros(2)), STEP_S)
    return {tuple(pixel) for pixel in picture.reshape(-1, 3)[:, ::-1].tolist()}


def test_a_hidden_mouth_opens_and_lids_close(tmp_path: Path) -> None:
    tree = {"Head": a_face()}
    tree["Head"]["Mouth"]["Ah"] = (92, 68, 108, 80, (7, 77, 177))
    rig, _, folder = a_rig(tree, tmp_path, ".psd")
    assert (7, 77, 177) in seen(rig, folder, Expression(jaw=0.8))
    assert (7, 77, 177) not in seen(rig, folder, Expression())
    assert (250, 250, 250) in seen(rig, folder, Expression())
    assert (250, 250, 250) not in seen(rig, folder, Expression(blink=(1, 1)))


def test_eyes_without_closed_lids_stay_and_get_narrow(tmp_path: Path) -> None:
    tree = {"Head": a_face()}
    for side in ("Left", "Right"):
        del tree["Head"][f"{side} Eye"][f"{side} Blink"]
    rig, _, folder = a_rig(tree, tmp_path)
    assert any(min(c) > 200 and max(c) < 255 for c in seen(rig, folder, Expression(blink=(1, 1))))


@pytest.mark.parametrize(
    ("tree", "check"),
    [
        pytest.param({"Head": a_face()}, lambda rig: not rig.parts and rig.head, id="only a head"),
        pytest.param(a_face(), lambda rig: rig.head.layers[1].name == "face", id="a face without a group"),
        pytest.param(
            {"Body": {"Torso": (80, 88, 120, 170, GREEN)}}, lambda rig: rig.parts and not rig.head, id="only a body"
        ),
        pytest.param(
            {"Frontal": {"Head": a_face()}, "Left Profile": {"Head": a_face(9)}, "Back": {"X": (1, 1, 9, 9, RED)}},
            lambda rig: [view.turn for view in rig.head.views] == ["left_profile"],
            id="views of the whole",
        ),
        pytest.param(
            {"Head": {"Upward": a_face(), "Hat": (60, 5, 140, 15, RED)}},
            lambda rig: {"hat", "face"} <= {layer.name for layer in rig.head.layers},
            id="one view and no frontal one",
        ),
        pytest.param(
            {"Body": {"Left Arm": {"Upper Arm": (118, 92, 130, 130, BLUE), "Hand": (118, 160, 130, 170, BLACK)}}},
            lambda rig: [part.chain for part in rig.parts] == [("l_shoulder", "l_elbow"), ("l_wrist", "l_hand")],
            id="an arm in pieces",
        ),
        pytest.param(
            {"HEAD": {"left eye": (60, 40, 80, 50, RED), "Right Eye": (110, 40, 130, 50, BLUE)}},
            lambda rig: {layer.name: layer.open for layer in rig.head.layers}["eye_r"] == "eyeBlinkRight"
            and rig.head.layers[0].at[0] < rig.head.layers[1].at[0]
            and rig.head.layers[0].name == "eye_r",
            id="left means the picture's left",
        ),
        pytest.param(
            {"Body": {"Torso": (80, 88, 120, 170, GREEN), "Tail": (118, 150, 170, 160, RED)}},
            lambda rig: [p.spring for p in rig.parts] == [False, True]
            and rig.joints["tail"][0] < rig.joints["tail_end"][0],
            id="a tail",
        ),
    ],
)  # fmt: skip
def test_what_is_there_is_enough(tmp_path: Path, tree: dict[str, Any], check: Callable[[Rig], bool]) -> None:
    rig, _, folder = a_rig(tree, tmp_path)
    assert check(rig)
    assert len(seen(rig, folder, Expression())) > 1


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["psd", "ora", "svg"])
def test_the_templates_of_the_guide_become_pip(tmp_path: Path, suffix: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    art = read_art(Path(__file__).parents[2] / "docs" / "templates" / f"pip.{suffix}", scratch)
    said, unknown = rigged(art, "pip", tmp_path)
    rig, pip = Rig.model_validate_json(json.dumps(said)), read_rig(AVATARS.built_in / "pip")
    assert unknown == []
    assert rig.head is not None
    assert pip.head is not None
    assert [view.turn for view in rig.head.views] == [view.turn for view in pip.head.views]
    assert [len(view.layers) for view in rig.head.views] == [len(view.layers) for view in pip.head.views]
    scale = rig.size[1] / pip.size[1]
    for joint in ("l_shoulder", "r_elbow", "l_wrist", "r_knee", "l_ankle", "tail", "head"):
        np.testing.assert_allclose(np.array(rig.joints[joint]) / scale, pip.joints[joint], atol=20)


def test_names_are_compared_without_case_plus_and_numbers() -> None:
    for name in ("+Left Eye", "left_eye", "LEFT  EYE 2", "Left Eye copy", "left eye-12", "Left Eye copy 3"):
        assert plain_name(name) == "left eye"
    assert plain_name("W-Oo") == "w-oo"
    assert plain_name("12") == "12"
    assert set(MOUTHS) <= set(MOUTH_NAMES)


def spoilt(file: Path, change: Callable[[bytes], bytes]) -> Path:
    file.write_bytes(change(file.read_bytes()))
    return file


def a_png(size: tuple[int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("1", size).save(stream, "PNG")
    return stream.getvalue()


def a_psd(folder: Path) -> Path:
    return save({"Head": {"Face": (20, 10, 90, 90, PINK)}}, folder / "art.psd")


def a_psd_with(folder: Path, change: Callable[[Any], object]) -> Path:
    """The same after a change of its layers' records."""
    from psd_tools import PSDImage

    document = PSDImage.open(a_psd(folder))
    change(document._record.layer_and_mask_information.layer_info)
    document.save(folder / "art.psd")
    return folder / "art.psd"


def a_huge_layer(info: Any) -> None:
    info.layer_records[1].right = info.layer_records[1].bottom = 40_000


def a_zip_bomb(info: Any) -> None:
    from psd_tools.constants import Compression

    many = zlib.compress(bytes(64 << 20), 1)
    for channel in info.channel_image_data[1]:
        channel.compression, channel.data = Compression.ZIP, many


def an_svg(folder: Path, inside: str, head: str = 'viewBox="0 0 100 100"', before: str = "") -> Path:
    file = folder / "art.svg"
    file.write_text(f'{before}<svg xmlns="http://www.w3.org/2000/svg" {head}>{inside}</svg>')
    return file


def an_ora(folder: Path, layers: str, *pictures: bytes, size: str = 'w="100" h="100"') -> Path:
    return write_ora(folder / "art.ora", f"<image {size}><stack>{layers}</stack></image>", list(pictures))


def a_layer(**more: str) -> str:
    return "<layer " + " ".join(f'{k}="{v}"' for k, v in {"name": "Head", "src": "data/0.png", **more}.items()) + "/>"


USES = '<g id="u0"><rect width="5" height="5"/></g>' + "".join(
    f'<g id="u{k}">' + f'<use href="#u{k - 1}"/>' * 10 + "</g>" for k in range(1, 9)
)
HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "psd of 20,000 px": (lambda d: spoilt(a_psd(d), lambda c: blank_psd_header(20_000, 300) + c[26:]), "20000x300"),
    "psd of no size": (lambda d: spoilt(a_psd(d), lambda c: blank_psd_header(0, 0) + c[26:]), "0x0"),
    "psd cut off": (lambda d: spoilt(a_psd(d), lambda c: c[:300]), "damaged or cut off"),
    "psd header alone": (lambda d: spoilt(a_psd(d), lambda c: c[:26]), "damaged or cut off"),
    "psd of noise": (
        lambda d: spoilt(a_psd(d), lambda c: c[:26] + np.random.default_rng(1).bytes(4000)),
        "damaged or cut off",
    ),
    "psd with a huge layer": (lambda d: a_psd_with(d, a_huge_layer), "layer of"),
    "psd whose channels multiply": (lambda d: a_psd_with(d, a_zip_bomb), "damaged or cut off"),
    "psd without layers": (lambda d: save({}, d / "art.psd"), "no layer with anything on it"),
    "ora of 20,000 px": (lambda d: an_ora(d, a_layer(), size='w="20000" h="900"'), "20000x900"),
    "ora without sizes": (lambda d: an_ora(d, a_layer(), size=""), "not a whole OpenRaster"),
    "ora with nan": (lambda d: an_ora(d, a_layer(x="nan"), a_png((9, 9))), "not a whole OpenRaster"),
    "ora without its picture": (lambda d: an_ora(d, a_layer()), "not a whole OpenRaster"),
    "ora with a picture of 20,000 px": (lambda d: an_ora(d, a_layer(), a_png((20_000, 20_000))), "too many"),
    "ora with a zip bomb": (lambda d: an_ora(d, a_layer(), bytes(70 << 20)), "not a whole OpenRaster"),
    "ora with no picture in it": (lambda d: an_ora(d, a_layer(), b"no picture"), "not a whole OpenRaster"),
    "ora with a path outside": (lambda d: an_ora(d, a_layer(src="../../etc/passwd")), "not a whole OpenRaster"),
    "ora with deep groups": (lambda d: an_ora(d, "<stack>" * 99 + "</stack>" * 99), "groups in groups"),
    "ora with many layers": (lambda d: an_ora(d, a_layer() * 500, a_png((2, 2))), "more than 400 layers"),
    "ora with entities": (
        lambda d: write_ora(d / "art.ora", '<!DOCTYPE a [<!ENTITY b "c">]><image/>', []),
        "XML entities",
    ),
    "ora with half an xml": (lambda d: write_ora(d / "art.ora", "<image", []), "damaged or cut off"),
    "ora cut off": (lambda d: spoilt(an_ora(d, a_layer(), a_png((9, 9))), lambda c: c[:-40]), "not a whole OpenRaster"),
    "svg with entities": (lambda d: an_svg(d, "", before='<!DOCTYPE svg [<!ENTITY a "b">]>'), "XML entities"),
    "svg cut off": (lambda d: spoilt(an_svg(d, "<g>" * 9), lambda c: c[:-9]), "damaged or cut off"),
    "svg without a size": (lambda d: an_svg(d, '<rect id="Head"/>', head=""), "does not say its size"),
    "svg of nan": (lambda d: an_svg(d, '<rect id="Head"/>', head='viewBox="0 0 nan 9"'), "does not say its size"),
    "svg like a line": (lambda d: an_svg(d, '<rect id="Head"/>', head='viewBox="0 0 9999 1"'), "far longer than wide"),
    "svg with deep groups": (lambda d: an_svg(d, "<g>" * 400 + "</g>" * 400), "too deep"),
    "svg with many layers": (
        lambda d: an_svg(d, "".join(f'<rect id="Part {k}a"/>' for k in range(500))),
        "more than 400 layers",
    ),
    "svg with nothing in it": (lambda d: an_svg(d, '<g id="Head"/>'), "no layer with anything on it"),
    "svg that multiplies": (lambda d: an_svg(d, f'<defs>{USES}</defs><use id="Head" href="#u8"/>'), "cannot be drawn"),
    "svg that is its own part": (
        lambda d: an_svg(d, '<g id="Head"><use id="Face" href="#Head"/></g>'),
        "no layer with anything on it",
    ),
    "no art": (lambda d: spoilt(an_svg(d, ""), lambda c: b"words " + c), "no PSD, no OpenRaster file and no SVG"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_gets_one_clear_line(tmp_path: Path, kind: str) -> None:
    make, says = HOSTILE[kind]
    file = make(tmp_path)
    assert says in one_line(lambda: read_art(file, tmp_path), ConfigError)


def test_colours_of_an_svg_may_be_defined_in_another_layer(tmp_path: Path) -> None:
    colour = '<linearGradient id="c"><stop stop-color="#f00"/></linearGradient>'
    face = f'<g id="Head"><g id="Face">{colour}<rect width="30" height="30" fill="url(#c)"/></g>'
    art = read_art(
        an_svg(tmp_path, f'{face}<rect id="Nose" x="40" width="9" height="9" fill="url(#c)"/></g>'), tmp_path
    )
    middles = [leaf.picture[5, 5, :3].tolist() for leaf in art.root.leaves() if leaf.picture is not None]
    assert middles == [[0, 0, 255], [0, 0, 255]]


def test_an_svg_reads_nothing_but_itself(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (255, 0, 0)).save(tmp_path / "secret.png")
    shown = '<rect id="Face" width="9" height="9" fill="blue"/>'
    for place in (tmp_path / "secret.png", "secret.png", (tmp_path / "secret.png").as_uri()):
        art = read_art(an_svg(tmp_path, f'<image id="Head" width="40" height="40" href="{place}"/>{shown}'), tmp_path)
        assert [leaf.name for leaf in art.root.leaves()] == ["Face"]


@pytest.mark.slow
def test_art_is_added_by_the_command_and_what_was_not_understood_is_said(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    file = save(a_whole_figure(), tmp_path / "Chloe.svg")
    code, out, err = call("avatars", "add", str(file), *SAID)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "not understood, so they do not move by themselves: Parrot",
        "added chloe: masquerade run --avatar chloe",
    ]
    stored = AVATARS.find("chloe")
    assert set(stored.card.figure) == {"figure.json", *read_rig(stored.folder).files}
    assert {entry.name for entry in stored.folder.iterdir()} == {*stored.card.figure, "avatar.toml", "picture.png"}
    code, _, err = call("avatars", "add", str(an_svg(tmp_path, '<g id="Head"/>')), *SAID)
    assert code == 2
    assert err.count("\n") == 1
    assert "no layer with anything on it" in err
    code, _, err = call("avatars", "add", str(file))
    assert "--identity" in err
    assert [entry.name for entry in (tmp_path / "home" / "avatars").iterdir()] == ["chloe"]


@pytest.mark.parametrize(("module", "suffix"), [("psd_tools", ".psd"), ("resvg_py", ".svg")])
def test_without_its_library_a_format_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, suffix: str
) -> None:
    file = save({"Head": a_face()}, tmp_path / f"art{suffix}")
    monkeypatch.setitem(sys.modules, module, None)
    assert "pip install 'masquerade[art]'" in one_line(lambda: read_art(file, tmp_path), ConfigError)


def a_frame(mouth: int, lids: bool) -> Image.Image:
    """A grey face whose mouth is so high; red lids."""
    pixels = np.zeros((120, 100, 4), np.uint8)
    cv2.circle(pixels, (50, 60), 40, (128, 128, 128, 255), -1)
    cv2.rectangle(pixels, (40, 80 - mouth), (60, 80 + mouth), (0, 0, 0, 255), -1)
    cv2.rectangle(pixels, (35, 40), (65, 46), (255, 0, 0, 255) if lids else (255, 255, 255, 255), -1)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("how", ["folder", "gif"])
def test_pictures_of_a_talking_face_become_a_figure(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    frames = [a_frame(1, False), a_frame(9, False), a_frame(1, True)]
    if how == "folder":
        source = tmp_path / "talk"
        source.mkdir()
        for name, frame in zip(("Closed", "open", "BLINK"), frames, strict=True):
            frame.save(source / f"{name}.png")
        more: tuple[str, ...] = ()
    else:
        source = tmp_path / "talk.gif"
        frames[0].save(source, save_all=True, append_images=frames[1:], duration=100, disposal=2)
        more = ("--figure",)
    code, out, err = call("avatars", "add", str(source), *more, *SAID)
    assert (code, err) == (0, "")
    assert out == "added talk: masquerade run --avatar talk\n"
    folder = AVATARS.find("talk").folder
    figure, dark = Figure(read_rig(folder), folder, 1.0), {}
    for name, face in {"shut": Expression(), "open": Expression(jaw=0.8), "lids": Expression(blink=(1, 1))}.items():
        picture = np.full((140, 120, 3), 255, np.uint8)
        for _ in range(4):
            picture[:] = 255
            figure.draw(picture, Painter((120, 140)), at_rest(), face, Place(np.array([10.0, 10.0])), STEP_S)
        dark[name] = (
            int((picture.max(axis=2) < 60).sum()),
            int((picture[..., 2].astype(int) - picture[..., 0] > 90).sum()),
        )
    assert dark["open"][0] > 3 * dark["shut"][0] > 0
    assert dark["lids"][1] > 100 > dark["shut"][1] == 0


def test_one_picture_is_no_talking_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    a_frame(1, False).save(tmp_path / "one.png")

    def add() -> None:
        add_figure(tmp_path / "one.png", preview=still, identity="synthetic", statement="Drawn in a test.")

    assert "is one picture" in one_line(add, ConfigError)
    assert not list((tmp_path / "home" / "avatars").glob("*"))

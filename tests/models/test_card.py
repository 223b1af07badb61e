"""Cards: what is read from an honest one, and that a hostile one is refused in one printable line."""

import random
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from realtime.errors import ModelError
from realtime.imaging.align import FACE_TYPES
from realtime.models.avatar import read_avatar_card
from realtime.models.card import MAX_CARD_BYTES, FaceTypeName, bundle_name, parse_card, read_card_text
from realtime.text import printable, unprintable

HERE = Path("somewhere/ada")
VERSION_0_1 = Path(__file__).resolve().parents[1] / "data" / "version_0_1"
GOOD = f"""
schema = 1
name = "ada"
title = "Ada"
family = "swap"
licence = "CC0-1.0"
[identity]
kind = "synthetic"
statement = "Rendered character. No real person."
[files]
"swap.onnx" = "sha256:{"a" * 64}"
[input]
size = 160
face_type = "whole_face"
coverage = 2
blendshapes = true
[training]
recipe = "trained_models/recipes/autoencoder"
steps = 12000
note = "two\\nlines"
[measured]
correlation = {{ jawOpen = 0.9 }}
"""


def refusal(raw: str | bytes) -> str:
    """The error's text, after checking that it is one line that a terminal may print."""
    with pytest.raises(ModelError) as caught:
        parse_card(raw.encode() if isinstance(raw, str) else raw, HERE)
    message = str(caught.value)
    assert unprintable(message) is None
    assert len(message) < 420
    assert "ada" in message
    assert message.count(": ") >= 2, "what, which, what to do"
    return message


def test_an_honest_card_is_read() -> None:
    card = parse_card(GOOD.encode(), HERE)
    assert (card.name, card.title, card.family, card.licence) == ("ada", "Ada", "swap", "CC0-1.0")
    assert card.identity.kind == "synthetic"
    assert card.files == {"swap.onnx": "sha256:" + "a" * 64}
    assert (card.input.size, card.input.face_type, card.input.coverage) == (160, "whole_face", 2.0)
    assert (card.input.layout, card.input.colour, card.input.range) == ("NCHW", "BGR", "0..1")
    assert card.input.blendshapes
    assert not card.input.pose
    assert (card.output.face, card.output.mask, card.output.driver_mask) == ("celeb_face", "celeb_mask", None)
    assert card.training["steps"] == 12000
    assert card.measured["correlation"] == {"jawOpen": 0.9}


def test_a_card_written_by_a_windows_editor_is_read() -> None:
    assert parse_card(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(), HERE).name == "ada"


def test_the_face_types_are_those_that_align_can_cut() -> None:
    assert set(get_args(FaceTypeName)) == set(FACE_TYPES)


@pytest.mark.parametrize(
    ("family", "kind", "may"),
    [("swap", "synthetic", True), ("swap", "self", True), ("swap", "consented", False), ("motion", "none", False)],
)
def test_only_nobodys_face_or_ones_own_may_go_without_the_badge(family: str, kind: str, may: bool) -> None:
    text = GOOD.replace('"synthetic"', f'"{kind}"').replace('"swap"', f'"{family}"')
    assert parse_card(text.encode(), HERE).identity.may_hide_badge is may


HOSTILE = {
    "a later schema": ("schema = 1", "schema = 2", "schema 2"),
    "schema as text": ("schema = 1", 'schema = "1"', "schema"),
    "schema true": ("schema = 1", "schema = true", "schema"),
    "no schema": ("schema = 1", "", "no schema"),
    "no name": ('name = "ada"', "", "no name"),
    "a name with folders": ('name = "ada"', 'name = "../ada"', "name"),
    "a name for a device": ('name = "ada"', 'name = "con"', "name"),
    "a name that is a list": ('name = "ada"', 'name = ["ada"]', "name"),
    "an empty title": ('"Ada"', '"  "', "title"),
    "an endless title": ('"Ada"', f'"{"A" * 3000}"', "title"),
    "a title that clears the screen": ('"Ada"', '"\\u001b[2J\\u001b[1;1HAda"', "\\x1b"),
    "a title of two lines": ('"Ada"', '"Ada\\nok: verified"', "\\n"),
    "a title written backwards": ('"Ada"', '"\\u202eadA"', "\\u202e"),
    "a key that rings the bell": ("steps", '"\\u0007steps"', "\\x07"),
    "an unknown family": ('"swap"', '"swapp"', "family"),
    "no identity": ("[identity]", "[identities]", "whose face"),
    "an empty identity": ('kind = "synthetic"\nstatement = "Rendered character. No real person."', "", "kind"),
    "an unknown kind": ('"synthetic"', '"celebrity"', "kind"),
    "a face of nobody in a swap": ('"synthetic"', '"none"', "none"),
    "an empty statement": ("Rendered character. No real person.", " ", "statement"),
    "no statement": ('statement = "Rendered character. No real person."', "", "statement"),
    "an unknown key": ("[identity]", "run = 'it'\n[identity]", "run"),
    "an unknown input": ("coverage = 2", "covrage = 2", "covrage"),
    "a size of nothing": ("size = 160", "size = 0", "size"),
    "a size of everything": ("size = 160", "size = 100000", "size"),
    "a size that is text": ("size = 160", 'size = "160"', "size"),
    "a size that is a number": ("size = 160", "size = nan", "size"),
    "an endless size": ("size = 160", "size = " + "9" * 4000, "endless"),
    "an endless schema": ("schema = 1", "schema = 0x" + "F" * 4000, "endless"),
    "no size": ("size = 160", "", "size"),
    "an unknown face type": ("whole_face", "wholeface", "face_type"),
    "coverage of nothing": ("coverage = 2", "coverage = inf", "coverage"),
    "files that are none": (f'"swap.onnx" = "sha256:{"a" * 64}"', "", "files"),
    "a file above the folder": ('"swap.onnx"', '"../swap.onnx"', "plain"),
    "a file by its full path": ('"swap.onnx"', '"/etc/passwd"', "plain"),
    "a file by its Windows path": ('"swap.onnx"', "'C:\\swap.onnx'", "plain"),
    "a hidden file": ('"swap.onnx"', '".swap.onnx"', "plain"),
    "a file that is a device": ('"swap.onnx"', '"NUL.onnx"', "reserved"),
    "the card itself": ('"swap.onnx"', '"model.toml"', "reserved"),
    "a compiled engine": ('"swap.onnx"', '"swap.engine"', "code"),
    "a pickle": ('"swap.onnx"', '"swap.pth"', "code"),
    "a hash of another kind": ("sha256:", "md5:", "sha256"),
    "a short hash": ("a" * 64, "a" * 63, "sha256"),
    "a hash that is a table": (f'"sha256:{"a" * 64}"', "{ a = 1 }", "files"),
    "depth": ('"two\\nlines"', "{a={a={a={a={a={a={a={a={a=1}}}}}}}}}", "deeper"),
    "brackets": ('"two\\nlines"', "[\n" * 15000, "not TOML"),
    "no TOML": ("schema = 1", "schema : 1", "not TOML"),
    "a duplicate key": ("schema = 1", "schema = 1\nschema = 1", "not TOML"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_card_is_refused_in_one_line(case: str) -> None:
    old, new, says = HOSTILE[case]
    assert old in GOOD
    assert says in refusal(GOOD.replace(old, new, 1) if old != '"swap"' else GOOD.replace(old, new))


@pytest.mark.parametrize("raw", [b"", b"\0" * 100, b"\xff\xfe" + GOOD.encode("utf-16-le"), b"\xff" * 9, b"[" * 9])
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    refusal(raw)


def test_a_long_dotted_key_is_refused_before_it_costs_anything() -> None:
    assert "longer than 4 KiB" in refusal("a" + ".a" * (MAX_CARD_BYTES // 2 - 10) + " = 1")


def test_a_huge_card_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "model.toml").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(ModelError, match="larger than 64 KiB"):
        read_card_text(tmp_path)


def test_a_folder_without_a_card_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model\.toml"):
        read_card_text(tmp_path)
    (tmp_path / "model.toml").mkdir()
    with pytest.raises(ModelError, match=r"no model\.toml"):
        read_card_text(tmp_path)


def test_random_damage_never_gets_past_the_reader() -> None:
    rng = random.Random(7)
    good, accepted = GOOD.encode(), 0
    for _ in range(400):
        raw = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw))
            raw[at : at + rng.randint(0, 6)] = rng.randbytes(rng.randint(0, 6))
        card, refused = None, ""
        try:
            card = parse_card(bytes(raw), HERE)
        except ModelError as error:
            refused = str(error)
        assert unprintable(refused) is None
        if card is not None:
            accepted += 1
            assert card.identity.statement
            assert unprintable(card.title) is None
            assert all("/" not in file for file in card.files)
    assert accepted < 200, "most damage must be seen"


@pytest.mark.parametrize("kind", ["dfm", "swap", "motion", "lip-sync", "landmarks", "avatar"])
def test_cards_of_version_0_1_are_read(kind: str, tmp_path: Path) -> None:
    raw = (VERSION_0_1 / f"{kind}.toml").read_bytes()
    (tmp_path / "avatar.toml").write_bytes(raw)
    card = read_avatar_card(tmp_path) if kind == "avatar" else parse_card(raw, HERE)
    assert card.model_dump(by_alias=True, exclude_unset=True) == tomllib.loads(raw.decode())


@pytest.mark.parametrize("family", ["motion", "lip-sync"])
def test_a_model_that_animates_a_picture_says_its_size(family: str) -> None:
    text = (VERSION_0_1 / f"{family}.toml").read_text().split("[output]")[0].split("[training]")[0]
    assert f"a {family} model's [input] needs size" in refusal(re.sub("\nsize = .*", "", text))
    assert 'only "NCHW" is run' in refusal(text.replace("NCHW", "NHWC"))
    assert "unknown key input.sise" in refusal(re.sub("\nsize", "\nsise", text))
    assert "unknown key output.drawn" in refusal(text + '[output]\ndrawn = "x"')


def test_names_and_printing() -> None:
    assert bundle_name("ada-2.b_c") == "ada-2.b_c"
    for bad in ("", "Ada", "-a", "a/b", "a\\b", "a.", "nul.x", "a" * 65, "..", "ä"):
        with pytest.raises(ValueError, match="name"):
            bundle_name(bad)
    assert printable("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert len(printable("x" * 999)) == 160

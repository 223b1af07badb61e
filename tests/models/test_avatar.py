"""Avatars: pictures of every kind, whose faces they show said once, refused with the reason."""

import math
import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import one_line
from commands import Call
from fakes import a_face
from heads import pose_of

from realtime.cli.doctor import checks
from realtime.errors import ConfigError, ModelError
from realtime.frame import Pixels
from realtime.models.avatar import StoredAvatar, avatar_pixels
from realtime.models.avatar_loading import MOST_AVATARS, calmest_first, choose_avatars, ready_avatars, usable_face
from realtime.models.library import AVATARS, Broken, add_avatar
from realtime.tracking.face import Face


def a_file(path: Path, seed: int = 1, size: tuple[int, int] = (80, 60)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))
    return path


def added(path: Path, kind: str = "synthetic", seed: int = 1) -> StoredAvatar:
    return add_avatar(a_file(path, seed), identity=kind, statement="Nobody.")


def ramp(channels: int, depth: type, width: int = 80, height: int = 60) -> np.ndarray:  # type: ignore[type-arg]
    top = np.iinfo(depth).max
    rise = np.linspace(0, top, width).astype(depth)
    picture = np.broadcast_to(rise[None, :, None], (height, width, channels)).copy()
    if channels == 4:
        picture[:, :, 3] = 0
        picture[:, width // 2 :, 3] = top
    return picture if channels > 1 else picture[:, :, 0]


@pytest.mark.parametrize(
    ("suffix", "channels", "depth"),
    [
        (".png", 3, np.uint8), (".png", 1, np.uint8), (".png", 4, np.uint8), (".png", 3, np.uint16),
        (".png", 4, np.uint16), (".png", 1, np.uint16), (".jpg", 3, np.uint8), (".jpg", 1, np.uint8),
        (".webp", 3, np.uint8), (".webp", 4, np.uint8), (".bmp", 3, np.uint8), (".tiff", 3, np.uint8),
        (".tiff", 3, np.uint16), (".jp2", 3, np.uint8), (".ppm", 3, np.uint8), (".gif", 3, np.uint8),
    ],
)  # fmt: skip
def test_pictures_of_every_kind(tmp_path: Path, suffix: str, channels: int, depth: type) -> None:
    file = tmp_path / f"picture{suffix}"
    assert cv2.imwrite(str(file), ramp(channels, depth))
    pixels, alpha = avatar_pixels(file)
    assert pixels.shape == (60, 80, 3)
    assert pixels.dtype == np.uint8
    off = np.abs(pixels.astype(int) - np.linspace(0, 255, 80)[None, :, None])
    shown = slice(44, None) if channels == 4 else slice(None)
    # A GIF has few colours, and mixes others of dots.
    assert off[:, shown].mean() < 30 if suffix == ".gif" else off[:, shown].max() < 12
    assert (alpha is not None) == (channels == 4)
    if alpha is not None:
        assert (alpha[:, :36] == 0).all()
        assert (alpha[:, 44:] == 255).all()


def test_the_first_picture_of_an_animation(tmp_path: Path) -> None:
    still = cv2.Animation()
    still.frames = [np.full((60, 80, 4), (v, v, v, 255), np.uint8) for v in (200, 20, 90)]
    still.durations = [40, 40, 40]
    assert cv2.imwriteanimation(str(tmp_path / "a.gif"), still)
    pixels, _ = avatar_pixels(tmp_path / "a.gif")
    assert abs(float(pixels.mean()) - 200) < 8


def test_turned_huge_and_unfit_pictures(tmp_path: Path) -> None:
    exif = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)  # turned right
    lying = np.zeros((60, 80, 4), np.uint8)
    lying[:, :40] = 255
    blob = np.frombuffer(exif, np.uint8)
    _, encoded = cv2.imencodeWithMetadata(".png", lying, [cv2.IMAGE_METADATA_EXIF], [blob])
    (tmp_path / "turned.png").write_bytes(encoded.tobytes())
    upright, alpha = avatar_pixels(tmp_path / "turned.png")
    assert upright.shape == (80, 60, 3)
    assert (upright[:40] == 255).all()
    assert alpha is not None
    assert (alpha[:40] == 255).all()
    assert (alpha[40:] == 0).all()
    cv2.imwrite(str(tmp_path / "huge.png"), np.full((3000, 9000), 7, np.uint8))
    pixels, _ = avatar_pixels(tmp_path / "huge.png")
    assert pixels.shape == (853, 2560, 3)
    cases = {"small.png": np.zeros((20, 400, 3), np.uint8), "clear.png": np.zeros((60, 80, 4), np.uint8)}
    for name, picture in cases.items():
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "text.png").write_text("hello")
    assert "too small" in one_line(lambda: avatar_pixels(tmp_path / "small.png"), ConfigError)
    assert "transparent all over" in one_line(lambda: avatar_pixels(tmp_path / "clear.png"), ConfigError)
    assert "not a whole picture" in one_line(lambda: avatar_pixels(tmp_path / "text.png"), ConfigError)
    assert "cannot be read" in one_line(lambda: avatar_pixels(tmp_path / "none.png"), ConfigError)


def test_an_avatar_from_adding_to_removing(tmp_path: Path) -> None:
    avatar = added(tmp_path / "My Face (1).png", "self")
    assert avatar.card.name == "my-face-1"
    assert (avatar.card.identity.kind, avatar.card.identity.statement) == ("self", "Nobody.")
    assert AVATARS.find("my-face-1").picture.read_bytes() == (tmp_path / "My Face (1).png").read_bytes()
    assert [a.card.name for a in AVATARS.entries() if isinstance(a, StoredAvatar)][-1] == "my-face-1"
    AVATARS.remove("my-face-1")
    assert "no avatar" in one_line(lambda: AVATARS.find("my-face-1"), ModelError)
    assert "no avatar" in one_line(lambda: AVATARS.remove("my-face-1"), ModelError)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"identity": None}, "--identity self, consented or synthetic"),
        ({"identity": "celebrity"}, "not celebrity"),
        ({"statement": " "}, "--statement is missing"),
        ({"statement": "two\nlines"}, "holds the character"),
        ({"name": "../up"}, "cannot be a name"),
        ({"file": "none.png"}, "there is no file"),
        ({"file": "text.png"}, "not a whole picture"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(tmp_path: Path, changes: dict[str, str | None], says: str) -> None:
    a_file(tmp_path / "a.png")
    (tmp_path / "text.png").write_text("hello")
    options = {"identity": "self", "statement": "Me.", "name": None} | {k: v for k, v in changes.items() if k != "file"}
    assert says in one_line(lambda: add_avatar(tmp_path / str(changes.get("file", "a.png")), **options), ConfigError)
    assert not AVATARS.own.exists() or not any(AVATARS.own.iterdir())


def test_a_changed_picture_or_card_is_refused(tmp_path: Path) -> None:
    avatar = added(tmp_path / "eve.png")
    avatar.picture.write_bytes(a_file(tmp_path / "other.png", 9).read_bytes())
    assert "is not the file its card names" in one_line(lambda: AVATARS.find("eve"), ModelError)
    assert isinstance(AVATARS.entries()[-1], Broken)
    card = avatar.folder / "avatar.toml"
    text = card.read_text()
    for wrong, says in (
        (text.replace('kind = "synthetic"', 'kind = "none"'), "not possible"),
        (text.replace("eve", "mallory"), "names it mallory"),
        (text.replace("picture.png", "../../secret.png"), "without folders"),
        (text + "\n[surprise]\nx = 1\n", "surprise"),
        ("not toml", "not TOML"),
    ):
        card.write_text(wrong)
        avatar.picture.write_bytes((tmp_path / "eve.png").read_bytes())
        assert says in one_line(lambda: AVATARS.find("eve"), ModelError)
    AVATARS.remove("eve")  # broken ones too
    assert not avatar.folder.exists()


def test_a_picture_nobody_vouched_for_is_refused_with_the_command(tmp_path: Path) -> None:
    file = a_file(tmp_path / "it's me.png")
    line = one_line(lambda: choose_avatars(str(file)), ConfigError)
    assert "nobody has said yet whose face" in line
    assert "masquerade avatars add '" in line
    assert "--identity synthetic|self|consented --statement" in line
    add_avatar(file, identity="self", statement="Me.", name="me")
    assert [a.card.name for a in choose_avatars(str(file))] == ["me"]
    assert [a.card.name for a in choose_avatars("me")] == ["me"]
    copy = tmp_path / "elsewhere" / "copy.png"
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    assert [a.card.name for a in choose_avatars(str(copy))] == ["me"]  # by what it is, not by where


def test_a_folder_gives_all_its_pictures_in_order(tmp_path: Path) -> None:
    for seed, name in enumerate(("b", "a", "c")):
        added(tmp_path / "pictures" / f"{name}.png", seed=seed)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    assert [a.card.name for a in choose_avatars(str(tmp_path / "pictures"))] == ["a", "b", "c"]
    a_file(tmp_path / "pictures" / "d.png", 7)
    assert "d.png" in one_line(lambda: choose_avatars(str(tmp_path / "pictures")), ConfigError)
    (tmp_path / "empty").mkdir()
    assert "no picture in" in one_line(lambda: choose_avatars(str(tmp_path / "empty")), ConfigError)
    for i in range(MOST_AVATARS + 1):
        (tmp_path / "empty" / f"{i}.png").write_bytes(b"")
    assert "take a folder with fewer" in one_line(lambda: choose_avatars(str(tmp_path / "empty")), ConfigError)


def test_names_are_looked_up_before_files_and_near_ones_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(tmp_path / "greta.png")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greta").mkdir()
    assert choose_avatars("greta")[0].card.name == "greta"
    assert "did you mean greta" in one_line(lambda: choose_avatars("gretta"), ModelError)


def posed(face: Face, pitch: float = 0.0, yaw: float = 0.0) -> Face:
    return replace(face, pose=pose_of(math.radians(pitch), math.radians(yaw), 0.0))


@pytest.mark.parametrize(
    ("faces", "says"),
    [
        ([], "no face was found"),
        ([a_face((40, 30), 30)], "30 pixels high"),
        ([posed(a_face((200, 200), 100), yaw=60)], "turned by 60 degrees"),
        ([posed(a_face((200, 200), 100), pitch=-50)], "turned by 50 degrees"),
    ],
)
def test_a_face_that_cannot_be_used_is_refused_with_the_reason(faces: list[Face], says: str) -> None:
    line = one_line(lambda: usable_face("eve", faces), ConfigError)
    assert says in line
    assert "avatar eve" in line


def test_of_several_faces_the_largest_is_taken_and_said(caplog: pytest.LogCaptureFixture) -> None:
    small, large = a_face((50, 50), 60), a_face((200, 100), 90)
    assert usable_face("eve", [small, large]) is large
    assert "the largest is taken" in caplog.text


def test_pictures_are_made_ready_and_one_without_a_face_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stored = [added(tmp_path / f"{name}.png", seed=seed) for seed, name in enumerate("ab")]
    blank = avatar_pixels(stored[0].picture)[0]

    def find(pixels: Pixels) -> list[Face]:
        return [] if np.array_equal(pixels, blank) else [a_face((40, 30), 50)]

    ready = ready_avatars(stored, find)
    assert [a.name for a in ready] == ["b"]
    assert ready[0].face is not None
    assert "it is left out" in caplog.text
    assert "no face was found" in one_line(lambda: ready_avatars(stored[:1], find), ConfigError)
    assert [a.face for a in ready_avatars(stored, None)] == [None, None]  # a model of other things


def test_the_doctor_names_a_broken_avatar(tmp_path: Path) -> None:
    added(tmp_path / "eve.png").picture.unlink()
    check = next(check for check in checks() if check.what.startswith("avatar"))
    assert (check.what, check.well) == ("avatar eve", False)
    assert "picture.png is missing" in check.mend


def test_the_command(call: Call, tmp_path: Path) -> None:
    files = [a_file(tmp_path / f"{name}.png", seed) for seed, name in enumerate(("ann", "bob"))]
    code, out, err = call("avatars", "add", *files, "--identity", "consented", "--statement", "They said yes.")
    assert (code, err) == (0, "")
    assert "added ann: masquerade run --model motion --avatar ann" in out
    code, out, _ = call("avatars")
    assert code == 0
    assert "bob                  consented  bob" in out
    code, out, _ = call("avatars", "show", "ann")
    assert 'statement = "They said yes."' in out
    assert call("avatars", "remove", "ann")[0] == 0
    code, _, err = call("avatars", "show", "ann")
    assert code == 4
    assert err.count("\n") == 1
    assert call("avatars", "add", *files, "--identity", "self", "--statement", "x", "--name", "y")[0] == 2


def test_a_folder_of_one_person_is_one_avatar(tmp_path: Path, call: Call) -> None:
    files = [a_file(tmp_path / "ann" / f"{name}.png", seed) for seed, name in enumerate("abc")]
    assert "masquerade avatars add" in (line := one_line(lambda: choose_avatars(str(tmp_path / "ann")), ConfigError))
    assert f"whose face {tmp_path / 'ann'} shows" in line
    stored = add_avatar(files[1], more=[files[0], files[2]], identity="self", statement="Me.", name="ann")
    assert stored.picture.read_bytes() == files[1].read_bytes()
    assert [len(a.card.pictures) for a in choose_avatars(str(tmp_path / "ann"))] == [2]
    assert [a.name for a in choose_avatars(str(files[2]))] == ["ann"], "each of them is vouched for"
    (ready,) = ready_avatars([stored], lambda pixels: [a_face((40, 30), 50)])
    assert [np.array_equal(one.pixels, avatar_pixels(f)[0]) for one, f in zip(ready.more, files[::2], strict=True)] == [
        True,
        True,
    ]
    (stored.folder / stored.card.pictures[0].file).write_bytes(b"other")
    assert "picture1.png is not the file" in one_line(lambda: AVATARS.find("ann"), ModelError)
    code, _, err = call("avatars", "add", tmp_path / "ann", "--identity", "self", "--statement", "Me.", "--name", "eve")
    assert (code, "no face was found" in err.splitlines()[-1]) == (2, True), err


def test_the_calmest_picture_comes_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [a_file(tmp_path / f"{name}.png", seed) for seed, name in enumerate("abc")]
    known = [posed(a_face((40, 30), 50), yaw=30), None, a_face((40, 30), 50)]
    faces = {avatar_pixels(file)[0].tobytes(): face for file, face in zip(files, known, strict=True)}

    def find(pixels: Pixels) -> list[Face]:
        face = faces[pixels.tobytes()]
        return [] if face is None else [face]

    assert calmest_first(files, find) == [files[2], files[0]]
    assert "b.png: no face was found" in caplog.text

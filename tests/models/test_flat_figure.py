"""Flat pictures become figures: ten photographed children's drawings are cut out, their joints and faces proposed."""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Call
from drawings import CHILDREN, Child, Drawn, draw

from realtime.errors import ConfigError, DeviceError
from realtime.families.figure.drawing import Figure, Place, still
from realtime.families.figure.expression import Expression
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import at_rest
from realtime.models.avatar import open_avatar
from realtime.models.drawing_mask import figure_mask
from realtime.models.face_marks import drawn_marks
from realtime.models.figure import FaceMarks, read_rig
from realtime.models.flat_figure import THICK, TRUNK_THICK, add_picture, flat_rig, propose, save_joints
from realtime.models.joint_proposal import joint_faults, propose_joints
from realtime.models.library import AVATARS
from realtime.skeleton import BEFORE, JOINTS

drawn = cache(draw)


def saved(child: Child, folder: Path) -> Path:
    file = folder / f"{child.name}.png"
    cv2.imwrite(str(file), drawn(child).pixels)
    return file


def distances(found: dict[str, np.ndarray], truth: Drawn, tall: float) -> dict[str, float]:
    """Of each joint from the truth, in shares of the figure's height."""
    return {name: float(np.linalg.norm(found[name] - truth.joints[name])) / tall for name in JOINTS}


@pytest.mark.parametrize("child", CHILDREN, ids=lambda child: child.name)
def test_the_joints_of_a_childs_drawing_are_proposed(child: Child) -> None:
    truth = drawn(child)
    mask = figure_mask(truth.pixels, None)
    joints, whole = propose_joints(mask)
    away = distances(joints, truth, cv2.boundingRect(mask)[3])
    assert whole
    assert not joint_faults(joints, mask)
    assert np.median(list(away.values())) < 0.025, away
    assert max(away.values()) < 0.085, away
    assert max(away[f"{side}_{end}"] for side in "lr" for end in ("hand", "toe")) < 0.045, away


def test_eyes_and_mouth_of_the_drawings_are_found() -> None:
    mouths = 0
    for child in CHILDREN:
        truth = drawn(child)
        mask = figure_mask(truth.pixels, None)
        marks = drawn_marks(truth.pixels, mask, propose_joints(mask)[0]["head"])
        assert marks is not None, child.name
        tall = cv2.boundingRect(mask)[3]
        for eye, name in ((marks.l_eye, "l_eye"), (marks.r_eye, "r_eye")):
            assert eye is not None
            assert np.linalg.norm(np.array(eye[:2]) - truth.marks[name]) < 0.012 * tall, child.name
        if marks.mouth is not None:
            mouths += 1
            for corner, name in zip(marks.mouth, ("r_mouth", "l_mouth"), strict=True):
                assert np.linalg.norm(np.array(corner) - truth.marks[name]) < 0.03 * tall, child.name
    assert mouths >= 9


def test_a_picture_with_transparency_is_cut_out_by_it() -> None:
    truth = drawn(CHILDREN[1])
    alpha = figure_mask(truth.pixels, None)
    busy = np.random.default_rng(0).integers(0, 256, truth.pixels.shape, dtype=np.uint8)
    np.testing.assert_array_equal(figure_mask(busy, alpha), alpha)


def test_somebody_before_a_busy_wall_is_cut_out_by_their_bones() -> None:
    truth = drawn(CHILDREN[7])
    alpha = figure_mask(truth.pixels, None)
    tiles = np.random.default_rng(0).integers(90, 256, (20, 15, 3), dtype=np.uint8) | (0, 60, 0)
    wall = cv2.resize(tiles.astype(np.uint8), truth.pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    figure = np.full_like(wall, (40, 30, 120))
    pixels = np.where(alpha[..., None] > 0, figure, wall).astype(np.uint8)
    at = truth.joints
    bones = [(at[a], at[b], THICK.get(b[2:], TRUNK_THICK)) for b, a in BEFORE.items()]
    found = figure_mask(pixels, None, bones) > 0
    both = (found & (alpha > 0)).sum() / (found | (alpha > 0)).sum()
    assert both > 0.85


@pytest.mark.parametrize("picture", ["noise", "one colour"])
def test_where_nothing_stands_out_it_says_so(picture: str) -> None:
    pixels = np.full((300, 200, 3), 180, np.uint8)
    if picture == "noise":
        pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
    with pytest.raises(ConfigError, match="stands out"):
        figure_mask(pixels, None)


@pytest.mark.parametrize(
    ("joint", "to", "words"),
    [
        ("l_hand", (3.0, 3.0), "the left hand is outside the figure"),
        ("hips", (3.0, 3.0), "the hips are outside the figure"),
        ("r_elbow", "r_shoulder", "the right elbow is on top of the right shoulder"),
        ("neck", "l_ankle", "the neck is below the hips"),
        ("l_shoulder", "r_hand", "the left shoulder is at the left of the picture"),
    ],
)
def test_what_is_wrong_with_joints_is_said(joint: str, to: str | tuple[float, float], words: str) -> None:
    mask = figure_mask(drawn(CHILDREN[1]).pixels, None)
    joints, _ = propose_joints(mask)
    moved = joints | {joint: joints[to] if isinstance(to, str) else np.array(to)}
    assert any(words in fault for fault in joint_faults(moved, mask))


class Shown:
    """A figure at rest that makes faces."""

    def __init__(self, folder: Path) -> None:
        self.rig = read_rig(folder)
        self._figure, self._painter = Figure(self.rig, folder, 0.5), Painter(self.rig.size)

    def __call__(self, face: Expression) -> np.ndarray:
        picture = np.full((self.rig.size[1], self.rig.size[0], 3), 200, np.uint8)
        self._figure.draw(picture, self._painter, at_rest(), face, Place(np.zeros(2)), 0.0)
        return picture[: self.rig.size[1] // 2].astype(int)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talker")
    found = propose(saved(CHILDREN[5], folder))
    cv2.imwrite(str(folder / "source.png"), found.picture)
    (folder / "figure.json").write_text(
        json.dumps(flat_rig("Robot", "CC0-1.0", found.picture, found.joints, found.face))
    )
    return folder


def test_a_flat_face_blinks_and_talks_and_comes_back_as_drawn(talker: Path) -> None:
    shown = Shown(talker)
    marks = shown.rig.face
    assert marks is not None
    assert marks.l_eye is not None
    at_ease, blinking = shown(Expression()), shown(Expression(blink=(1.0, 0.0)))
    x, y, r = np.array(marks.l_eye) / 2
    ys, xs = np.nonzero(np.abs(blinking - at_ease).sum(axis=2) > 60)
    assert np.hypot(xs - x, ys - y).max() < 1.6 * r + 1  # the left eye alone
    assert at_ease[round(y), round(x)].sum() < 250 < blinking[round(y), round(x)].sum()
    jaws = np.linspace(0, 1, 7)
    gaps = [float((np.abs(shown(Expression(jaw=float(jaw))) - at_ease).sum(axis=2) > 60).sum()) for jaw in jaws]
    assert gaps[0] == 0
    assert np.corrcoef(gaps, jaws)[0, 1] > 0.95
    np.testing.assert_array_equal(shown(Expression()), at_ease)


def test_an_arm_drawn_against_the_head_leaves_it_in_one_piece(tmp_path: Path) -> None:
    truth = drawn(CHILDREN[3])  # arms up, at a large head
    mask = figure_mask(truth.pixels, None)
    joints, _ = propose_joints(mask)
    cut_out = np.dstack([truth.pixels, mask])
    cv2.imwrite(str(tmp_path / "source.png"), cut_out)
    (tmp_path / "figure.json").write_text(json.dumps(flat_rig("Big", "CC0-1.0", cut_out, joints, None)))
    rig = read_rig(tmp_path)
    picture = np.full((rig.size[1], rig.size[0], 3), (255, 0, 255), np.uint8)
    at = Figure(rig, tmp_path, 1.0).draw(picture, Painter(rig.size), at_rest(), Expression(), Place(np.zeros(2)), 0.0)
    drawn_on = (np.abs(picture.astype(int) - (255, 0, 255)).sum(axis=2) > 90).astype(np.uint8)
    pieces = cv2.connectedComponentsWithStats(drawn_on)[2][1:, cv2.CC_STAT_AREA]
    assert (pieces > 40).sum() == 1  # nothing flies about alone
    radius = rig.head_radius
    inside = [at["head"] + 0.9 * radius * np.array([np.cos(a), np.sin(a)]) for a in np.linspace(0, 2 * np.pi, 40)]
    assert all(drawn_on[round(y), round(x)] for x, y in inside)  # the head is whole


@pytest.mark.parametrize(
    "face",
    [
        {"l_eye": (0, 0, 1)}, {"l_eye": (4096, 4096, 4096)}, {"mouth": ((5, 5), (5, 5))},
        {"mouth": ((-4000, -4000), (8000, 8000))}, {"r_eye": (300, 150, 400), "mouth": ((900, 5), (2, 900))},
    ],
    ids=range(5),
)  # fmt: skip
def test_marks_anywhere_are_drawn_without_a_fault(talker: Path, tmp_path: Path, face: dict[str, object]) -> None:
    (tmp_path / "source.png").write_bytes((talker / "source.png").read_bytes())
    rig = json.loads((talker / "figure.json").read_text())
    (tmp_path / "figure.json").write_text(json.dumps(rig | {"face": face}))
    shown = Shown(tmp_path)
    assert (shown(Expression(jaw=1.0, blink=(0.5, 1.0), round=0.5)) != 200).any()


def test_the_command_takes_a_drawing_as_a_figure_and_a_portrait_as_a_picture(call: Call, tmp_path: Path) -> None:
    say = ("--identity", "synthetic", "--statement", "Drawn by a child.")
    code, out, _ = call("avatars", "add", str(saved(CHILDREN[1], tmp_path)), *say)
    assert code == 0
    assert "added crayon as a figure: masquerade run --avatar crayon" in out
    assert "on the page" in out
    avatar = AVATARS.find("crayon")
    assert avatar.is_figure
    assert read_rig(avatar.folder).face is not None
    portrait = AVATARS.find("mira").picture
    assert "--model motion" in call("avatars", "add", str(portrait), "--name", "face", *say)[1]
    code, out, _ = call("avatars", "add", str(portrait), "--figure", "--name", "whole", *say)
    assert code == 0
    assert "as a figure" in out


def test_mended_joints_take_the_place_of_the_old_ones_whole_or_not_at_all(tmp_path: Path) -> None:
    said = {"identity": "synthetic", "statement": "Drawn."}
    avatar, _ = add_picture(saved(CHILDREN[1], tmp_path), preview=still, figure=False, **said)
    found = propose(avatar.picture)
    marks = FaceMarks(mouth=((200, 100), (300, 100)))

    def fails(*_: object) -> np.ndarray:
        raise ConfigError("cannot be drawn")

    before = {file.name: file.read_bytes() for file in avatar.folder.iterdir()}
    with pytest.raises(ConfigError, match="cannot be drawn"):
        save_joints(avatar, found.picture, found.joints, marks, fails)
    assert {file.name: file.read_bytes() for file in avatar.folder.iterdir()} == before
    save_joints(avatar, found.picture, found.joints, marks, still)
    kept = open_avatar(avatar.folder)
    assert kept.is_figure
    assert (kept.card.title, kept.card.identity) == (avatar.card.title, avatar.card.identity)
    assert read_rig(kept.folder).face == marks
    assert [folder.name for folder in AVATARS.own.iterdir()] == [avatar.name]
    with pytest.raises(ConfigError, match="only your own avatars can be changed"):
        save_joints(AVATARS.find("kritzi"), found.picture, found.joints, None, still)


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    avatar, _ = add_picture(saved(CHILDREN[1], tmp_path), preview=still, identity="synthetic", statement="Drawn.")
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if target == avatar.folder and self.name.startswith(".unfinished") and (self / "avatar.toml").is_file():
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(DeviceError), AVATARS.replacing(avatar.name) as folder:
        (folder / "avatar.toml").write_text("other")
    assert open_avatar(avatar.folder).is_figure


def test_a_figure_is_cut_out_by_the_users_own_mask(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    truth = drawn(CHILDREN[1])
    mask = figure_mask(truth.pixels, None)
    noise = np.random.default_rng(3).integers(0, 256, truth.pixels.shape, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "busy.png"), np.where(mask[..., None] > 0, truth.pixels, noise))
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    cv2.imwrite(str(tmp_path / "wide.png"), mask[:200])
    said = ("--identity", "synthetic", "--statement", "Drawn in a test.")
    code, out, err = call("avatars", "add", str(tmp_path / "busy.png"), "--mask", str(tmp_path / "mask.png"), *said)
    assert (code, err) == (0, "")
    assert out.startswith("added busy as a figure")
    cut = cv2.imread(str(AVATARS.find("busy").folder / "source.png"), cv2.IMREAD_UNCHANGED)
    x, y, width, height = cv2.boundingRect(mask)
    shares = [float((a > 127).sum()) / a.size for a in (cut[12:-12, 12:-12, 3], mask[y : y + height, x : x + width])]
    assert shares[0] == pytest.approx(shares[1], abs=0.02)
    code, _, err = call("avatars", "add", str(tmp_path / "busy.png"), "--mask", str(tmp_path / "wide.png"), *said)
    assert code == 2
    assert "has another form than the picture" in err
    code, _, err = call("avatars", "add", str(tmp_path), "--mask", str(tmp_path / "mask.png"), *said)
    assert code == 2
    assert "--mask is for one picture" in err

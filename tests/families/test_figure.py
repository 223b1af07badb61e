"""The figure family: a drawing takes the driver's directions, keeps its own lengths, shows nothing of the source."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from bundles import one_line
from commands import Call
from fakes import FakeClock, a_face
from figures import COLOURS, JOINTS, ScriptedBodies, a_body, a_flat_figure, a_layered_figure, as_avatar, write_card

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.figure.drawing import Figure, Place, two_bones
from realtime.families.figure.effect import FigureEffect
from realtime.families.figure.expression import MOUTHS, Expression, choose_mouth, read_expression
from realtime.families.figure.mesh import turn
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import LIMBS, SIDES, FigurePose, Retarget, at_rest
from realtime.frame import Frame, Pixels
from realtime.models.avatar import open_avatar
from realtime.models.avatar_loading import choose_avatars
from realtime.models.figure import read_rig
from realtime.models.library import AVATARS
from realtime.tracking.body import AT, Body
from realtime.tracking.face import Face

SIZE = (640, 360)
STEP_S = 1 / 30


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_layered_figure(tmp_path_factory.mktemp("figures") / "toy")


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_flat_figure(tmp_path_factory.mktemp("figures") / "flat")


class Show:
    """The effect in a row of frames."""

    def __init__(self, folder: Path, bodies: ScriptedBodies, pixels: Pixels | None = None) -> None:
        self.effect = FigureEffect([as_avatar(folder)], bodies)  # type: ignore[arg-type]
        self._pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8) if pixels is None else pixels
        self._count = itertools.count()

    def __call__(self, faces: Sequence[Face] = (), **settings: object) -> Pixels:
        number = next(self._count)
        frame = Frame(self._pixels.copy(), number, 0, number * STEP_S)
        out = self.effect(frame, faces, Settings.model_validate(settings), StageTimer(FakeClock()))
        assert out is not None
        return out


def drawn_colours(picture: Pixels) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}


def posed(bodies: Sequence[Body | None], size: tuple[int, int] = (1280, 720)) -> list[FigurePose]:
    retarget = Retarget()
    return [retarget(body, STEP_S, size) for body in bodies]


def test_nothing_of_the_source_is_in_the_picture(layered: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    answers = [a_body((20, 70)), None, a_body((-40, 80)), None]
    black, noisy = (Show(layered, ScriptedBodies(*answers), pixels) for pixels in (None, noise))
    for faces in ([], [a_face()], [a_face()], [], []):
        np.testing.assert_array_equal(black(faces), noisy(faces))


@pytest.mark.parametrize("arms_deg", [(0.0, 60.0), (80.0, -10.0), (-70.0, 75.0), (-15.0, -15.0)])
def test_arms_take_the_drivers_direction_and_keep_their_own_length(
    layered: Path, arms_deg: tuple[float, float]
) -> None:
    rig = read_rig(layered)
    figure = Figure(rig, layered, 1.0)
    pose = posed([a_body(arms_deg, depth=0.0)] * 30)[-1]
    # A touching hand is where the driver's is; else the rule of the head may turn the arm outwards.
    at = figure.place(FigurePose(pose.bones, touches_face={"l": True, "r": True}), 1.0, STEP_S)
    for side, sign, angle in (("l", 1, arms_deg[0]), ("r", -1, arms_deg[1])):
        for start, end in itertools.pairwise(LIMBS["arm"]):
            bone = at[f"{side}_{end}"] - at[f"{side}_{start}"]
            wanted = np.array([sign * np.cos(np.radians(angle)), np.sin(np.radians(angle))])
            assert bone @ wanted / np.linalg.norm(bone) == pytest.approx(1.0, abs=1e-3)
            drawn = np.subtract(rig.joints[f"{side}_{end}"], rig.joints[f"{side}_{start}"])
            assert np.linalg.norm(bone) == pytest.approx(np.linalg.norm(drawn), rel=0.02)


@pytest.mark.parametrize("make", ["layered", "flat"])
def test_the_arm_is_drawn_where_its_joints_are(make: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(make)
    figure = Figure(read_rig(folder), folder, 1.0)
    for arms_deg in ((-30.0, 40.0), (60.0, 5.0)):
        pose = posed([a_body(arms_deg, depth=-0.05)] * 30)[-1]
        picture = np.full((300, 300, 3), 255, np.uint8)
        at = figure.draw(picture, Painter((300, 300)), pose, Expression(), Place(np.array([50.0, 20.0])), STEP_S)
        for side in SIDES:
            for start, end in itertools.pairwise(("shoulder", "elbow", "wrist")):
                x, y = np.rint(0.35 * at[f"{side}_{start}"] + 0.65 * at[f"{side}_{end}"]).astype(int)
                assert np.abs(picture[y, x].astype(int) - COLOURS[f"arm_{side}"]).max() < 12, (arms_deg, side, end)


def test_a_hand_beside_the_drivers_head_does_not_cover_the_figures(layered: Path) -> None:
    figure = Figure(read_rig(layered), layered, 1.0)
    pose = posed([a_body((-88, 75))] * 30)[-1]
    assert not any(pose.touches_face.values())
    for _ in range(30):
        at = figure.place(pose, 1.0, STEP_S)
    assert np.linalg.norm(at["l_wrist"] - at["head"]) > 26
    assert np.linalg.norm(at["l_hand"] - at["head"]) > 26


def test_what_is_no_longer_seen_is_held_then_eases_to_rest_without_a_jump() -> None:
    poses = posed([a_body((-20, 75))] * 20 + [None] * 120)
    angles = np.degrees([pose.bones["l_shoulder"].angle or 0.0 for pose in poses])
    assert angles[19] == pytest.approx(-20, abs=1)
    assert angles[22] == pytest.approx(-20, abs=8)  # held at first
    assert np.abs(np.diff(angles[20:])).max() < 6
    assert angles[-1] == pytest.approx(78, abs=3)


def test_hands_behind_the_back_are_drawn_behind_and_raised_arms_behind_the_head() -> None:
    behind = posed([a_body((70, 70), depth=0.3)] * 3)[-1]
    before = posed([a_body((70, 70), depth=-0.3)] * 3)[-1]
    raised = posed([a_body((-60, 70), depth=-0.1)] * 3)[-1]
    assert behind.order["l_arm"] < behind.order["l_leg"] < behind.order["torso"]
    assert before.order["l_arm"] > 1 > before.order["torso"]
    assert 0 < raised.order["l_arm"] < 1 < raised.order["r_arm"]


def test_seen_from_behind_limbs_follow_those_on_the_same_side_of_the_picture() -> None:
    away = a_body((-30, 75))
    for points in (away.landmarks, away.world):
        points[:, 0] = 2 * points[AT["left_hip"], 0] / 2 + 2 * points[AT["right_hip"], 0] / 2 - points[:, 0]
    away.world[:, 2] *= -1
    pose = posed([away] * 5)[-1]
    assert np.degrees(pose.bones["r_shoulder"].angle or 0) == pytest.approx(-150, abs=3)  # up, at the picture's left
    assert np.degrees(pose.bones["l_shoulder"].angle or 0) == pytest.approx(75, abs=3)


def test_the_view_changes_only_when_legs_stay_away() -> None:
    whole, bust = a_body(), a_body()
    bust.seen[[AT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("knee", "ankle")]] = 0
    flickering = posed([whole, bust] * 30)
    assert all(pose.whole for pose in flickering)
    settled = posed([whole] * 5 + [bust] * 40)
    changes = [i for i, (a, b) in enumerate(itertools.pairwise(settled)) if a.whole != b.whole]
    assert len(changes) == 1
    assert 20 <= changes[0] - 4 <= 30


@pytest.mark.slow
def test_another_view_is_come_to_by_a_zoom(layered: Path) -> None:
    whole, bust = a_body(), a_body()
    bust.seen[[AT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("knee", "ankle")]] = 0
    show = Show(layered, ScriptedBodies(*[whole] * 6, *[bust] * 40, *[whole] * 40), np.zeros((720, 1280, 3), np.uint8))
    heights, views, steps, last = [], set(), [], None
    for _ in range(170):  # two frames a reading
        show()
        at = np.array(list(show.effect.drawn.values()))
        inside = ((at >= 0) & (at < (1280, 720))).all(axis=1)
        heights.append(float(np.ptp(at[:, 1])))
        views.add(show.effect.pose.whole)
        if last is not None:
            steps.append(float(np.linalg.norm(at - last, axis=1)[inside].max()) / heights[-1])
        last = at
    assert views == {True, False}
    assert max(heights) > 1.6 * min(heights)
    assert heights[-1] == pytest.approx(heights[0], rel=0.02)
    assert max(steps[12:]) < 0.02


def test_between_two_readings_a_body_moves_on_as_it_did(layered: Path) -> None:
    angles = [float(degrees) for degrees in np.arange(60, -60, -6)]
    bodies = ScriptedBodies(*[a_body((degrees, 75.0)) for degrees in angles])
    show = Show(layered, bodies, np.zeros((720, 1280, 3), np.uint8))
    drawn = []
    for _ in range(2 * len(angles)):
        show()
        drawn.append(float(np.degrees(show.effect.pose.bones["l_shoulder"].angle or 0.0)))
    changes = -np.diff(drawn[6:-1])
    assert changes.min() > 1.5  # held, every second would be 0
    assert changes.max() < 4.5


def test_hands_on_hips_are_before_the_trunk_though_half_hidden() -> None:
    body = a_body((45, 45), depth=-0.02)
    for side in ("left", "right"):
        body.seen[AT[f"{side}_index"]] = 0.5
    assert posed([body] * 5)[-1].order["l_arm"] > 1
    for side in ("left", "right"):
        body.landmarks[AT[f"{side}_elbow"], 0] = body.landmarks[AT[f"{side}_shoulder"], 0]
    assert posed([body] * 5)[-1].order["l_arm"] < 0


def test_without_anybody_the_figure_rests_breathes_and_blinks(layered: Path) -> None:
    show = Show(layered, ScriptedBodies(None))
    pictures = [show() for _ in range(20)]
    assert show.effect.resting
    assert COLOURS["torso"] in drawn_colours(pictures[0])
    changes = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(pictures)]
    assert 0 < max(changes) < 2
    show = Show(layered, ScriptedBodies(None))
    show([a_face()])
    assert not show.effect.resting


def test_the_mouth_opens_with_the_drivers(layered: Path) -> None:
    show = Show(layered, ScriptedBodies(None))
    open_mouth = a_face()
    open_mouth.blendshapes[25] = 0.6
    assert COLOURS["open"] in drawn_colours(show([open_mouth]))
    quiet = a_face()
    quiet.blendshapes[:] = 0
    assert COLOURS["open"] in drawn_colours(show([quiet]))  # no mouth is seen for one picture only
    picture = show([quiet])
    assert COLOURS["closed"] in drawn_colours(picture)
    assert COLOURS["open"] not in drawn_colours(picture)


def test_every_mouth_that_artists_draw_is_chosen_for_its_own_shape_and_does_not_flicker() -> None:
    for name, (jaw, smile, rounded, wide, bite) in MOUTHS.items():
        face = Expression(jaw=jaw, smile=smile, round=rounded, wide=wide, bite=bite)
        assert choose_mouth(face, MOUTHS, None) == name
    between = [Expression(jaw=0.65 + wobble) for wobble in (-0.01, 0.01) * 5]
    now, chosen = None, []
    for face in between:
        now = choose_mouth(face, MOUTHS, now)
        chosen.append(now)
    assert len(set(chosen)) == 1
    assert choose_mouth(Expression(), (), None) is None


def test_blendshapes_become_an_expression() -> None:
    readings = np.zeros(52, np.float32)
    readings[[9, 44, 45, 15, 14]] = 1.0  # left blink, smile, both eyes to the picture's right
    face = read_expression(readings)
    assert face.blink == (1.0, 0.0)
    assert face.smile == 1.0
    assert face.gaze[0] == pytest.approx(1.0)
    assert read_expression(np.full(52, np.nan, np.float32)).jaw == 0.0


def test_landmarks_that_are_no_numbers_do_not_stop_the_show(layered: Path, flat: Path) -> None:
    broken = a_body()
    broken.landmarks[:] = np.nan
    broken.world[:] = np.nan
    far = a_body()
    far.landmarks[:] = 1e9
    for folder in (layered, flat):
        show = Show(folder, ScriptedBodies(a_body(), broken, far, broken, a_body()))
        for _ in range(12):
            assert show().shape == (SIZE[1], SIZE[0], 3)


def test_built_in_figures_are_whole_and_stand_in_the_picture() -> None:
    folders = [folder for folder in AVATARS.folders() if folder.parent == AVATARS.built_in]
    figures = [avatar for avatar in map(open_avatar, folders) if avatar.is_figure]
    assert len(figures) >= 6
    for avatar in figures:
        rig = read_rig(avatar.folder)
        assert set(avatar.card.figure) == {"figure.json", *rig.files}
        picture = np.full((rig.size[1] // 4, rig.size[0] // 4, 3), 255, np.uint8)
        figure = Figure(rig, avatar.folder, 0.25)
        figure.draw(
            picture, Painter((picture.shape[1], picture.shape[0])), at_rest(), Expression(), Place(np.zeros(2)), STEP_S
        )
        assert (picture < 250).any(axis=2).mean() > 0.1


def test_a_figure_and_a_picture_are_not_taken_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layered: Path
) -> None:
    from realtime.config import RunConfig
    from realtime.models.avatar_loading import is_figure, ready_avatars
    from realtime.pipeline.presets import recall

    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
    own = a_layered_figure(tmp_path / "avatars" / "toy")
    write_card(own, "toy")
    assert is_figure("toy")
    assert not is_figure("mira")
    assert not is_figure("nobody")
    assert "is a figure: run it with --model figure" in one_line(lambda: choose_avatars("toy"), ConfigError)
    assert "picture without joints" in one_line(lambda: choose_avatars("mira", figures=True), ConfigError)
    assert ready_avatars(choose_avatars("toy", figures=True), None)[0].figure is not None
    config, selection, _ = recall(RunConfig(avatar="toy"), use_last=False)  # an avatar says what it is
    assert config.model == selection.bundle.name == "figure"
    assert selection.may_hide_badge
    assert all(a.is_figure for a in choose_avatars(None, figures=True))
    assert not any(a.is_figure for a in choose_avatars(None))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"joints": {}}, "joints are missing"),
        ({"parts": [], "head": None}, "parts, a head, or one picture"),
        ({"size": [200, 10**6]}, "size"),
        ({"floor": "low"}, "floor"),
        ({"unknown": 1}, "unknown key unknown"),
    ],
)
def test_a_broken_figure_is_refused_in_one_line(tmp_path: Path, change: dict[str, object], says: str) -> None:
    from realtime.errors import ModelError

    folder = a_layered_figure(tmp_path / "toy", **change)
    assert says in one_line(lambda: read_rig(folder), ModelError)


def test_turning_is_clockwise_as_seen() -> None:
    np.testing.assert_allclose(turn(np.pi / 2) @ (1, 0), (0, 1), atol=1e-12)


def a_drawing(folder: Path) -> Path:
    """The flat figure as a character of AnimatedDrawings."""
    flat = a_flat_figure(folder)
    picture = cv2.imread(str(flat / "source.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / "texture.png"), picture[..., :3])
    cv2.imwrite(str(folder / "mask.png"), picture[..., 3])
    names = {"root": "hips", "torso": "neck", "neck": "head"}
    for theirs in ("shoulder", "elbow", "hand", "hip", "knee", "foot"):
        names |= {f"{word}_{theirs}": f"{word[0]}_{theirs.replace('foot', 'ankle')}" for word in ("left", "right")}
    joints = [{"name": theirs, "loc": list(JOINTS[ours]), "parent": None} for theirs, ours in names.items()]
    (folder / "char_cfg.yaml").write_text(yaml.safe_dump({"height": 240, "width": 200, "skeleton": joints}))
    for file in ("figure.json", "source.png"):
        (folder / file).unlink()
    return folder


def test_folders_of_figures_are_added_and_played_with_their_card(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    layered, drawing = a_layered_figure(tmp_path / "toy"), a_drawing(tmp_path / "sketch")
    said = ("--identity", "synthetic", "--statement", "Drawn in a test.")
    assert "masquerade avatars add" in one_line(lambda: choose_avatars(str(drawing), figures=True), ConfigError)
    code, out, err = call("avatars", "add", str(layered), str(drawing), *said)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "added toy: masquerade run --avatar toy",
        "added sketch: masquerade run --avatar sketch",
    ]
    for name in ("toy", "sketch"):
        stored = AVATARS.find(name)
        assert stored.is_figure
        preview = cv2.imread(str(stored.picture), cv2.IMREAD_UNCHANGED)
        assert preview.shape[2] == 4
        assert (preview[..., 3] == 255).mean() > 0.1
        assert choose_avatars(str(stored.folder), figures=True)[0].name == name  # a folder with its card
        show = Show(stored.folder, ScriptedBodies(a_body((-20, 60))))
        assert np.abs(show().astype(int) - COLOURS["torso"]).max(axis=2).min() < 30
    at = read_rig(AVATARS.find("sketch").folder).joints
    assert at["l_elbow"][0] > at["neck"][0] > at["r_elbow"][0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda f: (f / "char_cfg.yaml").write_text("skeleton: [{name: root, loc: [1, 2]}]"),
            "lacks joints (torso",
        ),
        (lambda f: (f / "char_cfg.yaml").write_text("!!python/object/apply:os.system ['true']"), "cannot be read"),
        (lambda f: (f / "char_cfg.yaml").write_text("just words"), "no character of AnimatedDrawings"),
        (lambda f: (f / "mask.png").write_bytes(b"no picture"), "mask.png"),
        (lambda f: cv2.imwrite(str(f / "mask.png"), np.zeros((240, 200), np.uint8)), "is empty"),
        (lambda f: cv2.imwrite(str(f / "mask.png"), np.zeros((24, 20), np.uint8)), "differ in size"),
    ],
)
def test_a_broken_drawing_is_refused_and_nothing_of_it_stays(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object], says: str
) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    folder = a_drawing(tmp_path / "sketch")
    spoil(folder)
    code, _, err = call("avatars", "add", str(folder), "--identity", "synthetic", "--statement", "Drawn in a test.")
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
    assert not list((tmp_path / "home" / "avatars").glob("*"))


def with_hands_at(left: tuple[float, float], right: tuple[float, float]) -> Body:
    """Somebody whose wrists are at these places, in metres from the hips' middle, elbows bent outwards."""
    body = a_body()
    for side, sign, place in (("left", 1, left), ("right", -1, right)):
        for joint in ("wrist", "index", "pinky", "thumb"):
            body.world[AT[f"{side}_{joint}"]] = (*place, -0.1)
        body.world[AT[f"{side}_elbow"]] = (sign * 0.42, -0.28, -0.05)
    body.landmarks[:] = body.world * 340 + (640, 400, 0)
    return body


def test_hands_that_touch_reach_the_same_place_on_the_figure(layered: Path) -> None:
    figure = Figure(read_rig(layered), layered, 1.0)
    cases = {
        "hip": with_hands_at((0.14, -0.02), (-0.14, -0.02)),
        "face": with_hands_at((0.03, -0.62), (-0.03, -0.62)),
        "hand": with_hands_at((0.02, -0.25), (-0.02, -0.25)),
    }
    for on, body in cases.items():
        pose = posed([body] * 30)[-1]
        assert {contact.on for contact in pose.contacts.values()} == {on}
        at = figure.place(pose, 1.0, STEP_S)
        apart = {
            "hip": max(np.linalg.norm(at[f"{side}_wrist"] - at[f"{side}_hip"]) for side in SIDES) / figure.torso,
            "face": max(np.linalg.norm(at[f"{side}_hand"] - at["head"]) for side in SIDES) / 26,
            "hand": np.linalg.norm(at["l_wrist"] - at["r_wrist"]) / figure.torso,
        }[on]
        assert apart < {"hip": 0.25, "face": 1.2, "hand": 0.15}[on], on
    assert not posed([a_body((80, 80))] * 3)[-1].contacts  # arms that hang touch nothing


@pytest.mark.parametrize("wanted", [(30.0, 10.0), (3.0, 50.0), (-40.0, 0.0), (500.0, 0.0), (0.0, 0.0)])
def test_two_bones_keep_their_lengths_and_the_side_they_bend_to(wanted: tuple[float, float]) -> None:
    start, middle, end = np.zeros(2), np.array([20.0, 20.0]), np.array([45.0, 25.0])
    bent, reached = two_bones(start, middle, end, np.array(wanted))
    assert np.linalg.norm(bent) == pytest.approx(np.linalg.norm(middle), rel=1e-3)
    assert np.linalg.norm(reached - bent) == pytest.approx(np.linalg.norm(end - middle), rel=1e-2)
    if 6 < np.hypot(*wanted) < 50:
        np.testing.assert_allclose(reached, wanted, atol=1e-6)
        sides = [a[0] * b[1] - a[1] * b[0] for a, b in ((middle, end), (bent, reached))]
        assert sides[0] * sides[1] > 0


def test_a_figure_that_would_be_drawn_beyond_any_frame_is_refused(tmp_path: Path) -> None:
    folder = a_layered_figure(tmp_path / "toy")
    for scale in (120.0, 400.0):
        assert "pixels large" in one_line(lambda scale=scale: Figure(read_rig(folder), folder, scale), ConfigError)

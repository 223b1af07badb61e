"""Nothing of a figure jumps, at no change of its head's drawing nor from whole to the waist up; what hangs swings."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fakes import FakeClock
from figures import ScriptedBodies, a_body, a_layered_figure, as_avatar

from realtime.clock import StageTimer
from realtime.config import Settings
from realtime.families.figure import head as head_module
from realtime.families.figure.drawing import Figure, Place
from realtime.families.figure.effect import FigureEffect
from realtime.families.figure.expression import MOUTHS, Expression
from realtime.families.figure.head import CHOSEN_AT, DRAWN_AT, DrawnHead, HeadState
from realtime.families.figure.painter import Painter
from realtime.families.figure.retarget import SIDES, at_rest
from realtime.families.figure.spring import Spring
from realtime.frame import Frame
from realtime.models.avatar import open_avatar
from realtime.models.figure import Rig, read_rig
from realtime.models.library import AVATARS
from realtime.skeleton import JOINTS
from realtime.tracking.body import AT

STEP_S = 1 / 30
MOST_STEP = 0.02  # of the figure's height, a frame
BUILT_IN = [
    folder.name
    for folder in AVATARS.folders()
    if folder.parent == AVATARS.built_in and open_avatar(folder).is_figure
]  # fmt: skip


def built_in(name: str) -> tuple[Rig, Path]:
    folder = AVATARS.built_in / name
    return read_rig(folder), folder


def a_head(name: str, scale: float) -> DrawnHead:
    rig, folder = built_in(name)
    figure = Figure(rig, folder, scale)
    assert figure._head is not None
    return figure._head


def drawn_places(
    head: DrawnHead, monkeypatch: pytest.MonkeyPatch, turns: Sequence[tuple[float, float]], face: Expression
) -> Iterator[tuple[HeadState, dict[str, list[np.ndarray]]]]:
    """Of each frame where the middle of each layer was drawn, by its name (two of them while a view passes)."""
    names = {id(layer.picture): layer.spec.name for view in head._views.values() for layer in view.layers}
    places: dict[str, list[np.ndarray]] = {}
    lay = head_module.lay_moved

    def noted(under: Any, picture: Any, matrix: np.ndarray, clip: Any = None) -> None:
        height, width = picture.shape[:2]
        places.setdefault(names[id(picture)], []).append(matrix @ (width / 2, height / 2, 1))
        lay(under, picture, matrix, clip)

    monkeypatch.setattr(head_module, "lay_moved", noted)
    for yaw, pitch in turns:
        places.clear()
        head.compose(face, (yaw, pitch, 0.0), STEP_S)
        yield head.state, {name: list(found) for name, found in places.items()}


def test_views_of_the_head_change_without_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, _ = built_in("pip")
    assert rig.head is not None
    scale = 0.15
    there = np.concatenate([np.arange(0, 75, 3.0), np.full(12, 74.0), np.arange(74, -76, -3.0), np.full(12, -75.0)])
    turns = [(np.radians(yaw), 0.0) for yaw in there]
    height = (rig.floor - rig.top) * scale
    seen, before, largest = set(), None, {}
    for state, places in drawn_places(a_head("pip", scale), monkeypatch, turns, Expression(smile=0.6)):
        seen.add(state.view)
        for name, found in places.items() if before else ():
            if name in before:
                steps = [min(np.linalg.norm(a - b) for b in before[name]) / height for a in found]
                largest[name] = max(largest.get(name, 0.0), *steps)
        before = places
    assert seen == {"front", "left_quarter", "left_profile", "right_quarter", "right_profile"}
    assert {"face", "nose", "eye_l", "eye_r", "mouth_smile", "ear_l"} <= set(largest)
    assert max(largest.values()) < MOST_STEP, largest


def test_no_view_comes_in_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two frames no pixel of the head changes by more than a third of the way, where nothing else moves."""
    head = a_head("pip", 0.3)
    for _ in range(5):
        still = head.compose(Expression(), (0.0, 0.0, 0.0), STEP_S).copy()
    head.state.view, frames = "front", [still]
    for _ in range(12):
        frames.append(head.compose(Expression(), (np.radians(28.0), 0.0, 0.0), STEP_S).copy())
    end = frames[-1].astype(int)
    whole = np.abs(end - frames[1]).sum()
    steps = [np.abs(b.astype(int) - a).sum() / whole for a, b in itertools.pairwise(frames[1:])]
    assert max(steps) < 0.5
    assert head.state.view == "left_quarter"
    assert head.state.before is None


def test_a_view_stays_until_another_is_clearly_nearer() -> None:
    head = a_head("pip", 0.1)
    views = []
    for yaw in [18.0, 16.0, 20.0] * 10:
        head.compose(Expression(), (np.radians(yaw), 0.0, 0.0), STEP_S)
        views.append(head.state.view)
    assert len(set(views)) == 1
    assert set(CHOSEN_AT) == set(DRAWN_AT)


def test_a_view_on_one_side_serves_the_other_mirrored() -> None:
    head = a_head("pip", 0.3)
    sheets = {}
    for yaw in (-40.0, 40.0):
        head.state.view = head.state.before = None
        for _ in range(40):
            sheets[yaw] = head.compose(
                Expression(blink=(1.0, 0.0)[:: 1 if yaw > 0 else -1]), (np.radians(yaw), 0.0, 0.0), STEP_S
            ).copy()
    middle = 2 * round(float(head.centre[0]))
    mirrored = sheets[-40.0][:, ::-1]
    width = mirrored.shape[1]
    shift = middle - width
    mirrored = np.roll(mirrored, shift, axis=1)
    assert np.abs(mirrored.astype(int) - sheets[40.0]).mean() < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [24.0, 50.0])
def test_from_whole_to_the_waist_up_and_back_nothing_jumps(tmp_path: Path, rate_hz: float) -> None:
    whole, bust = a_body(x=700.0), a_body(x=700.0)
    bust.seen[[AT[f"{side}_{joint}"] for side in ("left", "right") for joint in ("knee", "ankle")]] = 0
    for body in (whole, bust):
        body.landmarks[[AT[f"{side}_knee"] for side in ("left", "right")], 0] += 60  # not as the figure is drawn
        body.landmarks[:] /= 4  # into a frame of 320x180
    count = round(1.4 * rate_hz)  # of bodies, which are looked for in every second frame
    bodies = ScriptedBodies(*[whole] * (count // 4), *[bust] * count, *[whole] * count)
    effect = FigureEffect([as_avatar(a_layered_figure(tmp_path / "toy"))], bodies)  # type: ignore[arg-type]
    settings, blank = Settings(), np.zeros((180, 320, 3), np.uint8)
    joints = []
    for number in range(round(4.5 * count)):
        effect(Frame(blank, number, 0, number / rate_hz), [], settings, StageTimer(FakeClock()))
        joints.append(np.array([effect.drawn[name] for name in JOINTS]))
    heights = np.ptp(np.array(joints)[..., 1], axis=1)
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=2).max(axis=1) / heights[1:]
    torsos = np.array([np.linalg.norm(at[JOINTS.index("neck")] - at[JOINTS.index("hips")]) for at in joints])
    assert torsos.max() > 1.5 * torsos[0]  # it did come near
    assert torsos[-1] == pytest.approx(torsos[0], rel=0.01)
    assert steps.max() < MOST_STEP * max(30 / rate_hz, 1.0)


def test_a_spring_is_stable_at_any_rate_and_the_same_at_each() -> None:
    ends = []
    for count in (1, 3, 10, 1000):
        spring = Spring(2.4, 0.22)
        spring(0.0, 0.1)
        values = [spring((k + 1) / count, 0.1 / count) for k in range(count)]
        values += [spring(1.0, 0.6 / count) for _ in range(count)]
        ends.append(values[-1])
        assert max(map(abs, values)) < 1.6
    np.testing.assert_allclose(ends, ends[0], atol=1e-9)
    rng, spring = np.random.default_rng(2), Spring(2.4, 0.22)
    for step_s in rng.choice([0.0, 1e-4, 0.03, 0.5, 20.0], 2000):
        assert abs(spring(float(rng.uniform(-1, 1)), float(step_s))) < 20
    for _ in range(200):
        rest = spring(0.3, 0.05)
    assert rest == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize("name", ["pip", "nimka", "rivo", "solki"])
def test_what_hangs_loose_swings_after_a_turn_and_comes_to_rest(name: str) -> None:
    def swings(rate_hz: float) -> list[float]:
        head, found = a_head(name, 0.1), []
        for number in range(round(3 * rate_hz)):
            yaw = np.radians(15.0) * min(max(number / rate_hz - 0.2, 0.0) / 0.3, 1.0)
            head._swing((yaw, 0.0, 0.0), 1 / rate_hz, 0.0)
            found.append(head.state.swing[0])
        return found

    assert max(layer.spec.spring for layer in a_head(name, 0.1)._views["front"].layers) > 0
    slow, fast = swings(24.0), swings(120.0)
    for found in (slow, fast):
        assert min(found) < -np.radians(2)  # behind the head
        assert max(found) > np.radians(1)  # and beyond it where that stops
        assert abs(found[-1]) < np.radians(0.3)
    assert min(slow) == pytest.approx(min(fast), rel=0.1)


FACES = [name for name in BUILT_IN if built_in(name)[0].head is not None]


def settled(head: DrawnHead, face: Expression) -> np.ndarray:
    for _ in range(4):  # mouths stay for some pictures
        sheet = head.compose(face, (0.0, 0.0, 0.0), 0.0)
    return sheet.astype(np.float64)


@pytest.mark.parametrize("name", FACES)
def test_every_shape_of_the_mouth_is_drawn_and_differs_from_all_others(name: str) -> None:
    head, drawn = a_head(name, 0.3), {}
    for mouth, (jaw, smile, rounded, wide, bite) in MOUTHS.items():
        drawn[mouth] = settled(head, Expression(jaw=jaw, smile=smile, round=rounded, wide=wide, bite=bite))
        assert head.state.mouth == mouth
    for (a, first), (b, second) in itertools.combinations(drawn.items(), 2):
        assert (np.abs(first - second).max(axis=2) > 40).sum() > 4, (a, b)


def along(start: np.ndarray, end: np.ndarray) -> Callable[[np.ndarray], float]:
    """How far a picture is on the way from one to another, by its pixels."""
    way = end - start
    return lambda picture: float(((picture - start) * way).sum() / (way * way).sum())


@pytest.mark.parametrize("name", FACES)
def test_mouth_and_lids_are_read_back_from_the_pixels(name: str) -> None:
    head = a_head(name, 0.3)
    rest = settled(head, Expression())
    mouth = along(rest, settled(head, Expression(jaw=1.0)))
    lids = along(rest, settled(head, Expression(blink=(1.0, 1.0))))
    rows = []
    for number in range(90):
        time_s = number * STEP_S
        jaw = 0.5 - 0.5 * float(np.cos(2 * np.pi * 1.3 * time_s))
        blink = max(0.0, 1 - abs((time_s % 1.1) - 0.5) / 0.16)
        sheet = head.compose(Expression(jaw=jaw, blink=(blink, blink)), (0.0, 0.0, 0.0), STEP_S).astype(np.float64)
        rows.append((jaw, mouth(sheet), blink, lids(sheet)))
    jaws, mouths, blinks, lidded = np.array(rows).T
    assert np.corrcoef(jaws, mouths)[0, 1] > 0.95
    assert np.corrcoef(blinks, lidded)[0, 1] > 0.95


def test_a_blend_of_two_views_is_no_more_than_they_are() -> None:
    head = a_head("pip", 0.2)
    head.compose(Expression(), (0.0, 0.0, 0.0), STEP_S)
    for _ in range(4):
        sheet = head.compose(Expression(), (np.radians(40.0), 0.0, 0.0), STEP_S)
        assert head.state.before == "front"
        assert (sheet[..., :3].max(axis=2) <= sheet[..., 3].astype(int) + 1).all()
    assert cv2.countNonZero(sheet[..., 3]) > 0


def test_two_poses_of_one_figure_share_what_it_remembers() -> None:
    rig, folder = built_in("pip")
    small = Figure(rig, folder, 0.1)
    large = Figure(rig, folder, 0.2, small.state)
    picture = np.zeros((240, 240, 3), np.uint8)
    turned = replace(at_rest(), yaw=np.radians(40.0))
    for figure in (small, large):
        figure.draw(picture, Painter((240, 240)), turned, Expression(jaw=0.9), Place(np.zeros(2)), STEP_S)
    assert large.state.head.view == "left_quarter"
    assert large.mouth == small.mouth
    assert set(large.pushed) == set(SIDES)

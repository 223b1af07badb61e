"""The built-in motion model as a model: what it draws, what it refuses."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import Script, a_bundle, one_line
from mesh_faces import MESH, a_face, a_picture, a_shape, blinking, head

from realtime.errors import ConfigError, ModelError
from realtime.families.motion.effect import open_motion_model
from realtime.families.motion.mesh import flow
from realtime.families.motion.mesh.head import INNER_LIPS, Reading, open_head
from realtime.families.motion.mesh.model import MeshModel, open_mesh_model
from realtime.families.motion.mesh.refiner import INPUTS, OUTPUTS, Refiner
from realtime.families.motion.mesh.source import MeshSource
from realtime.families.motion.motion_model import Motion
from realtime.frame import Frame, Pixels
from realtime.inference.session import TensorSpec, report
from realtime.models.bundle import open_bundle
from realtime.models.library import built_in_folder, load_bundle
from realtime.tracking.face import Face

F32 = np.dtype(np.float32)
PORTS = {name: TensorSpec(shape, F32) for name, shape in INPUTS.items()}
FRAME = Frame(a_picture(64, 64), seq=0, captured_ns=0)


def a_model(change: float | None = None) -> MeshModel:
    if change is None:
        return MeshModel(head())
    return MeshModel(head(), Refiner(a_session(change)))


def a_session(change: float) -> Script:
    return Script(PORTS, {name: np.full(shape, change, np.float32) for name, shape in OUTPUTS.items()})


def reading(model: MeshModel, face: Face) -> Reading:
    found = model.encode_driving(FRAME, face, 1.0)
    return found


def drawn(model: MeshModel, source: MeshSource, face: Face, **how: object) -> Pixels:
    neutral = reading(model, a_face())
    return model.draw(source, reading(model, face), neutral, Motion(**how)).pixels


@pytest.fixture(scope="module")
def source() -> MeshSource:
    return a_model().encode_source(a_picture(), a_face())


def within_lips(source: MeshSource) -> Pixels:
    import cv2

    mask = np.zeros((source.size, source.size), np.uint8)
    cv2.fillPoly(mask, [np.rint(source.flat[INNER_LIPS]).astype(np.int32)], 255)
    return cv2.dilate(mask, np.ones((9, 9), np.uint8))


def test_a_cast_is_the_head_with_room_around_it(source: MeshSource) -> None:
    scale = source.crop_from_avatar[0, 0]
    assert source.crop_from_avatar[1, 1] == scale > 0
    assert source.crop_from_avatar[0, 1] == source.crop_from_avatar[1, 0] == 0
    assert source.still.shape == (source.size, source.size, 3)
    points = a_face().landmarks[:, :2] * scale + source.crop_from_avatar[:, 2]
    np.testing.assert_allclose(source.flat, points, atol=1e-3)
    assert (points > 0.15 * source.size).all()
    assert (points < 0.85 * source.size).all()


@pytest.mark.parametrize(("px_per_cm", "size"), [(2.0, 256), (8.0, 320), (40.0, 512)])
def test_a_crop_is_as_large_as_the_picture_is_fine(px_per_cm: float, size: int) -> None:
    found = a_model().encode_source(a_picture(900, 800), a_face(at=(450, 400), px_per_cm=px_per_cm))
    assert found.size == size


@pytest.mark.parametrize(
    "face",
    [
        a_face(a_shape(shut=(1.0, 1.0))),
        a_face(a_shape(jaw_cm=4.0)),
        a_face(turn_deg=(0, 55, 0)),
        a_face(turn_deg=(20, -40, 50)),
        a_face(at=(5.0, 5.0)),
        a_face(px_per_cm=0.5),
    ],
    ids=["asleep", "shouting", "aside", "tilted", "in the corner", "tiny"],
)
def test_odd_avatars_move_all_the_same(face: Face) -> None:
    model = a_model(0.01)
    source = model.encode_source(a_picture(), face)
    out = drawn(model, source, a_face(a_shape(jaw_cm=2.0, shut=(0.5, 1.0)), turn_deg=(10, 20, 5)))
    assert out.shape == source.still.shape
    assert np.abs(out.astype(int) - source.still).mean() > 0.5


def test_the_mask_ends_within_the_crop(source: MeshSource) -> None:
    edge = np.concatenate([source.mask[0], source.mask[-1], source.mask[:, 0], source.mask[:, -1]])
    assert not edge.any()
    assert source.mask[source.size // 2, source.size // 2] == 1


def test_no_strength_is_the_picture_itself(source: MeshSource) -> None:
    np.testing.assert_array_equal(drawn(a_model(), source, a_face(turn_deg=(0, 20, 0)), strength=0.0), source.still)


def test_a_driver_in_neutral_changes_next_to_nothing(source: MeshSource) -> None:
    off = np.abs(drawn(a_model(), source, a_face()).astype(int) - source.still)
    assert off.mean() < 1.0
    assert np.percentile(off, 97) <= 3


def test_the_crops_border_never_moves(source: MeshSource) -> None:
    face = a_face(a_shape(jaw_cm=3.0), turn_deg=(15, 25, 20), at=(220, 190), px_per_cm=9)
    out = drawn(a_model(), source, face).astype(int)
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.abs(out[side] - source.still[side]).max() <= 25  # the map is half as fine as the crop
        assert np.abs(out[side] - source.still[side]).mean() < 2


def test_an_opened_mouth_shows_teeth_and_dark_not_stretched_lips(source: MeshSource) -> None:
    still, opened = source.still, drawn(a_model(), source, a_face(a_shape(jaw_cm=3.0)))
    x, y = source.flat[INNER_LIPS].mean(axis=0).astype(int)
    below = int(1.5 * source.rest.scale)
    assert opened[y + below, x].mean() < 90
    assert np.abs(opened.astype(int) - still)[: source.size // 4].max() <= 3  # hair and brow stay


def test_a_shut_eye_is_covered_with_skin() -> None:
    picture = np.full((600, 640, 3), 120, np.uint8)
    large: dict[str, object] = {"at": (320.0, 300.0), "px_per_cm": 12.0}
    face = a_face(**large)
    model = a_model()
    x, y = np.rint(face.landmarks[468, :2]).astype(int)
    picture[y - 2 : y + 3, x - 5 : x + 6] = 10  # an iris
    source = model.encode_source(picture, face)
    neutral = reading(model, face)
    shut = reading(model, blinking(a_face(a_shape(shut=(1.0, 1.0)), **large), 0.6, 0.6))
    dark = [int((model.draw(source, r, neutral, Motion()).pixels < 60).sum()) for r in (neutral, shut)]
    assert dark[0] >= 60
    assert dark[1] < 0.3 * dark[0]


@pytest.mark.parametrize("seed", range(4))
def test_wild_drivers_give_calm_pictures(source: MeshSource, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = a_model(0.01)
    wild = replace(
        source.rest,
        shape=source.rest.shape + rng.normal(0, 10.0**seed, (478, 3)),
        place=rng.normal(0, 1e6, 2),
        scale=1e-5,
        blink=np.array([np.inf, -np.inf]) if seed == 3 else rng.normal(0, 5, 2),
    )
    with np.errstate(all="ignore"):
        out = model.draw(source, wild, source.rest, Motion()).pixels
    assert out.shape == source.still.shape
    corner = np.s_[: source.size // 12, : source.size // 12]
    assert np.abs(out[corner].astype(int) - source.still[corner]).mean() < 8


def test_readings_that_are_no_numbers_leave_the_picture_at_rest(source: MeshSource) -> None:
    broken = replace(source.rest, shape=np.full((478, 3), np.nan))
    out = a_model().draw(source, broken, source.rest, Motion()).pixels
    assert np.abs(out.astype(int) - source.still).mean() < 1


def test_no_face_is_a_miss_and_no_avatar() -> None:
    model = a_model()
    assert model.needs_face
    assert model.encode_driving(FRAME, None, 1.0) is None
    assert model.encode_driving(FRAME, replace(a_face(), landmarks=np.full((478, 3), np.nan, np.float32)), 1.0) is None
    assert "no face" in one_line(lambda: model.encode_source(a_picture(), None), ConfigError)


def test_the_network_paints_mouth_and_eyes_and_nothing_else(source: MeshSource) -> None:
    speaking = a_face(a_shape(jaw_cm=1.0))
    plain, mended = (drawn(a_model(change), source, speaking).astype(int) for change in (None, 0.2))
    added = (mended - plain).sum(axis=2)
    assert np.median(added[within_lips(source) > 0]) > 3 * 45
    outer = np.ones_like(added, bool)
    low, high = source.flat.min(axis=0).astype(int), source.flat.max(axis=0).astype(int)
    outer[low[1] : high[1], low[0] : high[0]] = False
    assert not added[: low[1]].any()
    assert np.abs(added[outer]).mean() < 2


def test_what_is_as_in_the_picture_is_not_mended(source: MeshSource) -> None:
    calm, shut = a_face(), blinking(a_face(a_shape(shut=(1.0, 0.0))), 0.6, 0.0)
    for face, moves in ((calm, False), (shut, True)):
        plain, mended = (drawn(a_model(change), source, face).astype(int) for change in (None, 0.2))
        changed = np.abs(mended - plain).sum(axis=2)
        right, left = (source.flat[iris].astype(int) for iris in (468, 473))
        assert (changed[right[1], right[0]] > 60) == moves
        assert changed[left[1], left[0]] < 25


def test_the_network_is_told_of_opening_and_rest(source: MeshSource) -> None:
    session = a_session(0.0)
    model = MeshModel(head(), Refiner(session))
    drawn(model, source, a_face(a_shape(jaw_cm=3.0)))
    drawn(model, source, a_face())
    opened, closed = (fed["mouth"][0] for fed in session.fed)
    assert opened[6].sum() > 3 * closed[6].sum()  # the opening
    np.testing.assert_array_equal(opened[3:6], closed[3:6])  # the picture at rest
    assert np.percentile(np.abs(closed[:3] - closed[3:6]), 98) < 0.05
    assert session.fed[0]["eyes"].shape == INPUTS["eyes"]
    model.close()
    model.close()
    assert session.closed


def test_a_network_of_another_form_or_without_numbers_is_refused(source: MeshSource) -> None:
    answers = {name: np.zeros(shape, np.float32) for name, shape in OUTPUTS.items()}
    wrong = Script({"mouth": PORTS["mouth"]}, answers)
    assert "replace the motion bundle" in one_line(lambda: Refiner(wrong))
    model = a_model(float("nan"))
    with pytest.raises(ModelError, match="no numbers"):
        drawn(model, source, a_face())


def test_bundles_of_other_kinds_are_refused(tmp_path: Path) -> None:
    swap = open_bundle(a_bundle(tmp_path / "eve"))
    assert "a motion model is needed" in one_line(lambda: open_motion_model(swap))
    bad = tmp_path / "mesh.npz"
    bad.write_bytes(b"no mesh")
    assert "mesh.npz is damaged" in one_line(lambda: open_head(bad))


def test_a_bundle_without_a_network_moves_all_the_same(tmp_path: Path) -> None:
    card = {"family": "motion", "identity": {"kind": "none"}, "input": {"size": 256}}
    home = a_bundle(tmp_path / "bare", contents={"mesh.npz": MESH.read_bytes()}, **card)
    model = open_mesh_model(open_bundle(home))
    assert not model.sessions
    source = model.encode_source(a_picture(), a_face())
    assert np.abs(drawn(model, source, a_face(turn_deg=(0, 15, 0))).astype(int) - source.still).mean() > 2


def test_the_built_in_model_opens_and_draws() -> None:
    model = open_mesh_model(load_bundle(built_in_folder() / "motion"), provider="cpu", threads=1)
    source = model.encode_source(a_picture(), a_face())
    before = report(model.sessions).spent_ns
    out = drawn(model, source, a_face(a_shape(jaw_cm=2.0), turn_deg=(0, 10, 0)))
    assert out.shape == source.still.shape
    assert report(model.sessions).spent_ns > before
    model.close()


FLOW_PORTS = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in flow.INPUTS.items()}


def a_flow_session(value: float) -> Script:
    return Script(FLOW_PORTS, {name: np.full(shape, value, np.float32) for name, shape in flow.OUTPUTS.items()})


def turned(model: MeshModel, source: MeshSource, turn_deg: tuple[float, float, float]) -> Pixels:
    neutral, driving = (model.encode_driving(FRAME, a_face(turn_deg=turn), 1.0) for turn in ((0, 0, 0), turn_deg))
    return model.draw(source, driving, neutral, Motion()).pixels


def test_hair_follows_and_the_face_and_the_border_do_not(source: MeshSource) -> None:
    turn = (0.0, 15.0, 0.0)
    plain = turned(MeshModel(head()), source, turn)
    led = turned(MeshModel(head(), None, flow.FlowNetwork(a_flow_session(0.03))), source, turn)
    off = np.abs(led.astype(int) - plain).max(axis=2)
    inner = cv2.erode(source.weave.shown, np.ones((21, 21), np.uint8))
    small = cv2.resize(off.astype(np.uint8), inner.shape[::-1], interpolation=cv2.INTER_NEAREST)
    assert (inner > 0).mean() > 0.02
    assert small[inner > 0].max() <= 1
    assert small[30:60, 100:156].mean() > 10  # above the forehead
    assert max(off[0].max(), off[-1].max(), off[:, 0].max(), off[:, -1].max()) == 0


def test_at_rest_it_is_not_even_asked(source: MeshSource) -> None:
    session = a_flow_session(0.05)
    out = turned(MeshModel(head(), None, flow.FlowNetwork(session)), source, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(out, turned(MeshModel(head()), source, (0.0, 0.0, 0.0)))
    assert session.fed == []
    assert flow.amount(np.zeros(6, np.float32)) == 0


def test_what_it_says_is_limited(source: MeshSource) -> None:
    for one, other in ((flow.FARTHEST, 5.0), (-flow.FARTHEST, -5.0)):
        models = [MeshModel(head(), None, flow.FlowNetwork(a_flow_session(value))) for value in (one, other)]
        made = [turned(model, source, (0.0, 20.0, 0.0)) for model in models]
        np.testing.assert_array_equal(*made)


def test_it_is_told_picture_map_face_and_pose(source: MeshSource) -> None:
    session = a_flow_session(0.0)
    turned(MeshModel(head(), None, flow.FlowNetwork(session)), source, (0.0, 20.0, 0.0))
    (fed,) = (feed[flow.AROUND][0] for feed in session.fed)
    np.testing.assert_allclose(fed[:3], source.tiny.transpose(2, 0, 1) / 255 - 0.5, atol=1e-6)
    assert np.abs(fed[3:6] - fed[:3]).mean() > 0.01
    assert np.abs(fed[6:8]).max() > 0.3
    assert 0.05 < fed[8].mean() < 0.4
    np.testing.assert_allclose(fed[10], 2 * np.radians(20), atol=0.06)
    assert (fed[15, 0, 0], fed[16, 0, 0]) == pytest.approx((1 / flow.SIDE - 1, 1 / flow.SIDE - 1))


def test_networks_of_another_form_or_without_numbers_are_refused(source: MeshSource) -> None:
    wrong = Script(FLOW_PORTS, {flow.ELSEWHERE: np.zeros((1, 3, flow.SIDE, flow.SIDE), np.float32)})
    assert "replace" in one_line(lambda: flow.FlowNetwork(wrong))
    model = MeshModel(head(), None, flow.FlowNetwork(a_flow_session(float("nan"))))
    with pytest.raises(ModelError, match="no numbers"):
        turned(model, source, (0.0, 20.0, 0.0))
    model.close()

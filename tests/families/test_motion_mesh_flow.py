"""What a network says of hair, neck and room: where it counts, and what it is told."""

import cv2
import numpy as np
import pytest
from bundles import Script, one_line
from mesh_faces import a_face, a_picture, head

from realtime.errors import ModelError
from realtime.families.motion.mesh.flow import (
    AROUND,
    ELSEWHERE,
    FARTHEST,
    INPUTS,
    OUTPUTS,
    SIDE,
    FlowNetwork,
    amount,
)
from realtime.families.motion.mesh.model import MeshModel
from realtime.families.motion.mesh.source import MeshSource
from realtime.families.motion.motion_model import Motion
from realtime.frame import Frame, Pixels
from realtime.inference.session import TensorSpec

PORTS = {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in INPUTS.items()}
FRAME = Frame(a_picture(64, 64), seq=0, captured_ns=0)


def a_session(value: float) -> Script:
    return Script(PORTS, {name: np.full(shape, value, np.float32) for name, shape in OUTPUTS.items()})


def drawn(puppet: MeshModel, source: MeshSource, turn_deg: tuple[float, float, float]) -> Pixels:
    neutral, driving = (puppet.encode_driving(FRAME, a_face(turn_deg=turn), 1.0) for turn in ((0, 0, 0), turn_deg))
    assert driving is not None
    return puppet.draw(source, driving, neutral, Motion()).pixels


@pytest.fixture(scope="module")
def source() -> MeshSource:
    return MeshModel(head()).encode_source(a_picture(), a_face())


def test_hair_follows_and_the_face_and_the_border_do_not(source: MeshSource) -> None:
    turn = (0.0, 15.0, 0.0)
    plain = drawn(MeshModel(head()), source, turn)
    led = drawn(MeshModel(head(), None, FlowNetwork(a_session(0.03))), source, turn)
    off = np.abs(led.astype(int) - plain).max(axis=2)
    inner = cv2.erode(source.weave.shown, np.ones((21, 21), np.uint8))
    small = cv2.resize(off.astype(np.uint8), inner.shape[::-1], interpolation=cv2.INTER_NEAREST)
    assert (inner > 0).mean() > 0.02
    assert small[inner > 0].max() <= 1
    assert small[30:60, 100:156].mean() > 10  # above the forehead
    assert max(off[0].max(), off[-1].max(), off[:, 0].max(), off[:, -1].max()) == 0


def test_at_rest_it_is_not_even_asked(source: MeshSource) -> None:
    session = a_session(0.05)
    out = drawn(MeshModel(head(), None, FlowNetwork(session)), source, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal(out, drawn(MeshModel(head()), source, (0.0, 0.0, 0.0)))
    assert session.fed == []
    assert amount(np.zeros(6, np.float32)) == 0


def test_what_it_says_is_limited(source: MeshSource) -> None:
    for one, other in ((FARTHEST, 5.0), (-FARTHEST, -5.0)):
        made = [
            drawn(MeshModel(head(), None, FlowNetwork(a_session(v))), source, (0.0, 20.0, 0.0)) for v in (one, other)
        ]
        np.testing.assert_array_equal(*made)


def test_it_is_told_picture_map_face_and_pose(source: MeshSource) -> None:
    session = a_session(0.0)
    drawn(MeshModel(head(), None, FlowNetwork(session)), source, (0.0, 20.0, 0.0))
    (fed,) = (feed[AROUND][0] for feed in session.fed)
    np.testing.assert_allclose(fed[:3], source.tiny.transpose(2, 0, 1) / 255 - 0.5, atol=1e-6)
    assert np.abs(fed[3:6] - fed[:3]).mean() > 0.01
    assert np.abs(fed[6:8]).max() > 0.3
    assert 0.05 < fed[8].mean() < 0.4
    np.testing.assert_allclose(fed[10], 2 * np.radians(20), atol=0.06)
    assert (fed[15, 0, 0], fed[16, 0, 0]) == pytest.approx((1 / SIDE - 1, 1 / SIDE - 1))


def test_networks_of_another_form_or_without_numbers_are_refused(source: MeshSource) -> None:
    wrong = Script(PORTS, {ELSEWHERE: np.zeros((1, 3, SIDE, SIDE), np.float32)})
    assert "replace" in one_line(lambda: FlowNetwork(wrong))
    puppet = MeshModel(head(), None, FlowNetwork(a_session(float("nan"))))
    with pytest.raises(ModelError, match="no numbers"):
        drawn(puppet, source, (0.0, 20.0, 0.0))
    puppet.close()

"""What every effect promises the engine, and what the families say of themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bundles import Script
from fakes import FakeSwapper, a_face
from lip_parts import LOUD, Lips, Says, in_box, lip_bundle, timer
from mesh_faces import a_face as a_mesh_face
from mesh_faces import a_picture, head
from motion_models import ToyModel, ToyNetwork, an_avatar

from realtime.config import Settings
from realtime.families import FAMILIES, IDENTITIES, family_of
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar
from realtime.families.lip_sync.network import LipSyncNetwork, open_lip_sync
from realtime.families.motion.effect import ReenactmentEffect
from realtime.families.motion.first_order.model import FirstOrderModel
from realtime.families.motion.mesh.flow import INPUTS, OUTPUTS, FlowNetwork
from realtime.families.motion.mesh.model import MeshModel
from realtime.frame import Frame
from realtime.inference.session import TensorSpec, report
from realtime.models.avatar import Avatar
from realtime.models.library import BUNDLES

SIZE = (200, 150)


def lips(folder: Path) -> LipSyncNetwork:
    return open_lip_sync(lip_bundle(folder / "eve"), open_session=Lips().open)


def mesh(_: Path) -> ReenactmentEffect[object, object]:
    floats = np.dtype(np.float32)
    answers = {name: np.zeros(shape, np.float32) for name, shape in OUTPUTS.items()}
    session = Script({name: TensorSpec(shape, floats) for name, shape in INPUTS.items()}, answers)
    avatar = Avatar("ann", "Ann", "synthetic", a_picture(), None, a_mesh_face())
    return ReenactmentEffect(MeshModel(head(), None, FlowNetwork(session)), [avatar])


def first_order(_: Path) -> ReenactmentEffect[object, object]:
    face = a_face((200, 150), 120)
    avatar = Avatar("ann", "Ann", "synthetic", ToyNetwork.picture_of(face), None, face)
    return ReenactmentEffect(FirstOrderModel(ToyNetwork()), [avatar])


EFFECTS: dict[str, Callable[[Path], Effect]] = {
    "face swap": lambda folder: FaceSwap(FakeSwapper()),
    "reenactment": lambda folder: ReenactmentEffect(ToyModel(), [an_avatar("ann", 90)]),
    "first order motion": first_order,
    "mesh": mesh,
    "lip sync": lambda folder: LipSync(lips(folder), Says(LOUD), title="Eve"),
    "talking avatar": lambda folder: TalkingAvatar(lips(folder), Says(LOUD), [an_avatar("ann", 90)]),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_keeps_the_engines_contract(tmp_path: Path, name: str) -> None:
    effect = EFFECTS[name](tmp_path)
    assert effect.title
    assert report(effect.sessions).provider == ("Script" if effect.sessions else "CPU")
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    effect.prepare(SIZE, Settings())
    for seq, settings in enumerate((Settings(), Settings(on_miss="blur"), Settings(avatar="nobody"))):
        effect(Frame(noise, seq, 0, seq / 25), [], settings, timer())  # nobody is there: no error
    timed = timer()
    face = in_box(50, 40, 60, 70)
    first = effect(Frame(noise.copy(), 3, 0, 3 / 25), [face], Settings(), timed)
    second = effect(Frame(noise.copy(), 4, 0, 4 / 25), [face], Settings(), timer())
    for picture in (first, second):
        assert (picture.shape, picture.dtype) == (noise.shape, np.uint8)
        assert picture.flags.writeable
    assert not np.shares_memory(first, second)
    assert not effect.resting
    assert set(timed.spans) <= {"align", "swap", "blend"}
    assert "align" in timed.spans
    effect.close()
    effect.close()


def test_every_family_says_how_to_use_it() -> None:
    assert IDENTITIES == ("swap", "face", "motion", "lip-sync", "figure")
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.hint.format(name="eve")
        assert (family.open is None) == (name == "landmarks")
        assert (not family.exported_as) == (name in ("face", "figure", "landmarks"))  # their networks are MediaPipe's
    assert [f.avatars for f in FAMILIES.values()] == ["none", "required", "required", "optional", "required", "none"]
    assert {f.name for f in FAMILIES.values() if f.speaks} == {"lip-sync"}


def test_every_bundle_that_comes_along_is_of_a_known_family() -> None:
    for bundle in BUNDLES.entries():
        assert family_of(bundle.card).name == bundle.card.family

"""The lip-sync character: whose mouth moves, by which sound, and what of the picture stays."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import Script
from fakes import a_face, pixels
from lip_parts import LOUD, QUIET, Lips, Says, a_frame, in_box, lip_bundle, timer
from mesh_faces import a_face as a_mesh_face
from mesh_faces import a_picture, head
from motion_models import an_avatar
from sounds import NS

from realtime.audio.delay_line import ReadAhead
from realtime.audio.sound_file import SoundFile
from realtime.audio.speech_buffer import MelWindow, SpeechBuffer
from realtime.audio.vad import SURE
from realtime.capture.recording import Recording
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.lip_sync.effect import LipSync, TalkingAvatar, open_lips
from realtime.families.lip_sync.network import LipSyncNetwork, open_lip_sync
from realtime.frame import Frame, Pixels
from realtime.inference.ort import open_session
from realtime.inference.session import Array, TensorSpec
from realtime.models.avatar import Avatar
from realtime.models.library import face_folder
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker


def a_character(tmp_path: Path, speech: Says) -> tuple[LipSync, Lips]:
    script = Lips()
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=script.open)
    return LipSync(network, speech, title="Eve"), script


def on_track(face: Face, track: int) -> Face:
    return Face(face.landmarks, face.blendshapes, face.pose, face.score, track)


def test_only_the_lower_face_changes(tmp_path: Path) -> None:
    character, script = a_character(tmp_path, Says())
    face = a_face((80, 60), 60)
    frame = a_frame(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8))
    timed = timer()
    said = character(frame, [face], Settings(), timed)
    assert said.shape == frame.pixels.shape
    changed = (said != frame.pixels).any(axis=2)
    rows, columns = np.nonzero(changed)
    nose, chin = face.landmarks[2, 1], face.landmarks[152, 1]
    assert rows.min() > nose - 12  # the crop has 24 pixels for 60 of the face: its soft edge is wide
    assert rows.max() < chin + 8
    assert columns.min() > face.landmarks[234, 0] - 4
    assert columns.max() < face.landmarks[454, 0] + 4
    assert changed[int(face.landmarks[13, 1]), int(face.landmarks[13, 0])]
    np.testing.assert_array_equal(script.fed[-1]["mel"][0, 0], LOUD.mel)
    assert {"align", "swap", "blend"} <= set(timed.spans)
    assert (character.title, character.sessions, character.resting) == ("Eve", [script], False)
    character.close()
    assert script.closed


def test_without_a_face_there_is_no_picture_but_the_voice_goes_on(tmp_path: Path) -> None:
    speech = Says()
    character, _ = a_character(tmp_path, speech)
    assert character(a_frame(pixels()), [], Settings(), timer()) is None
    assert speech.asked == [round(1.5 * NS)]


def test_a_live_voice_is_asked_by_the_clock_and_a_file_s_by_the_file(tmp_path: Path) -> None:
    for by_media, media_s, when in ((True, 1.5, 1.5), (True, None, 9), (False, 1.5, 9)):
        speech = Says(by_media=by_media)
        character, _ = a_character(tmp_path / f"{by_media}{media_s}", speech)
        character(a_frame(pixels(), media_s), [a_face()], Settings(), timer())
        assert speech.asked == [round(when * NS)]


def test_one_speaks_and_stays_the_one(tmp_path: Path) -> None:
    character, _ = a_character(tmp_path, Says())
    small, large = on_track(a_face((40, 60), 30), 1), on_track(a_face((110, 60), 50), 2)
    picture = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)

    def moved(faces: list[Face]) -> set[str]:
        said = character(a_frame(picture), faces, Settings(), timer())
        sides = (said != picture).any(axis=(0, 2))
        return {name for name, part in (("left", sides[:75]), ("right", sides[75:])) if part.any()}

    assert moved([small, large]) == {"right"}
    grown = on_track(a_face((40, 60), 80), 1)
    assert moved([grown, large]) == {"right"}  # whoever speaks goes on speaking
    assert moved([grown]) == {"left"}  # until gone


class Recorded(Script):
    """Gives back what upstream's network was recorded to give."""

    def __init__(self, outputs: Array) -> None:
        floats = np.dtype(np.float32)
        ports = {"mel": TensorSpec((1, 1, 80, 16), floats), "faces": TensorSpec((1, 6, 96, 96), floats)}
        super().__init__(ports, {"mouth": np.ascontiguousarray(outputs[:1], np.float32)})


def test_upstream_s_face_goes_into_the_network_as_upstream_cuts_it(shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "reference" / "w2l_keyfill_out.npz") as recorded:
        faces, mels, outputs = recorded["faces_u8"], recorded["mel_windows"], recorded["output"]
    script = Recorded(outputs)
    bundle = lip_bundle(tmp_path / "eve", 96)
    network = LipSyncNetwork(script, bundle.card)
    character = LipSync(network, Says(MelWindow(mels[0].astype(np.float32), 1.0, True)), title="Eve")
    picture = pixels(90, (200, 160))
    picture[30:126, 40:136] = faces[0]
    said = character(a_frame(picture), [in_box(40, 30, 96, 96)], Settings(), timer())
    fed = script.fed[-1]
    whole = faces[0].transpose(2, 0, 1).astype(np.float32) / 255
    inner = slice(1, -1)  # landmarks are float32: the outermost pixels may have a trace of their neighbours
    assert np.abs(fed["faces"][0, 3:, inner, inner] - whole[:, inner, inner]).max() < 0.003
    np.testing.assert_array_equal(fed["mel"][0, 0], mels[0].astype(np.float32))
    assert (said[:30] == 90).all()
    assert (said[126:] == 90).all()
    np.testing.assert_array_equal(said[30:70, 40:136], picture[30:70, 40:136])  # above the nose


def small_lips(size: int) -> bytes:
    """A network whose picture is the face, shaded by a seeded mix of the sound."""
    onnx = pytest.importorskip("onnx")
    mix = np.random.default_rng(3).normal(0, 0.02, (80 * 16, 3 * size * size)).astype(np.float32)
    constants = {"mix": mix, "from": np.array([3]), "to": np.array([6]), "axis": np.array([1])}
    constants |= {"flat": np.array([1, 80 * 16]), "square": np.array([1, 3, size, size])}
    node = onnx.helper.make_node
    nodes = [
        node("Reshape", ["mel", "flat"], ["row"]),
        node("MatMul", ["row", "mix"], ["mixed"]),
        node("Reshape", ["mixed", "square"], ["shade"]),
        node("Slice", ["faces", "from", "to", "axis"], ["face"]),
        node("Add", ["face", "shade"], ["sum"]),
        node("Sigmoid", ["sum"], ["mouth"]),
    ]
    shapes = {"mel": [1, 1, 80, 16], "faces": [1, 6, size, size], "mouth": [1, 3, size, size]}
    ports = [onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items()]
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(nodes, "lips", ports[:2], ports[2:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_voice_out_of_a_file_moves_a_real_face(shared: Path, tmp_path: Path) -> None:
    """What moves is not a mouth, but it moves with the speech and rests without it."""
    size = 48
    session = open_session(small_lips(size), provider="cpu", precision="fp32", threads=1)
    card = lip_bundle(tmp_path / "eve", size).card
    wav = shared / "reference" / "w2l_espeak16k.wav"
    speech = ReadAhead(lambda: SoundFile(wav), lambda: SpeechBuffer(exact=True))
    character = LipSync(LipSyncNetwork(session, card), speech, title="Eve")
    recording, tracker = Recording(shared / "clips" / "woman_720p.mp4"), Tracker(face_folder(), provider="cpu")
    still = recording.read()
    (face,) = tracker(still)
    tracker.close()
    recording.close()
    x0, y0, x1, y1 = (round(edge) for edge in face.box)
    motion, open_at = [], []
    before = still.pixels
    for i in range(4 * 15):  # the sound is 3 s long
        frame = Frame(still.pixels, i, i * NS // 15, i / 15)
        said = character(frame, [face], Settings(steadiness=0), timer())
        motion.append(float(np.abs(said[y0:y1, x0:x1].astype(int) - before[y0:y1, x0:x1]).mean()))
        open_at.append(speech(round(i / 15 * NS)).speech)
        before = said
    spoken = [m for m, o in zip(motion, open_at, strict=True) if o >= SURE]
    resting = motion[51:]  # behind its end
    assert len(spoken) > 15
    assert np.mean(spoken) > 1.0
    assert max(resting) <= 0.1 * float(np.mean(spoken))
    character.close()
    speech.close()


SIZE = (320, 180)


def talking(tmp_path: Path, speech: Says, *avatars: Avatar) -> tuple[TalkingAvatar, Lips]:
    script = Lips()
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=script.open)
    return TalkingAvatar(network, speech, avatars or [an_avatar("ann", 90)]), script


def camera(value: int = 7) -> Pixels:
    return pixels(value, SIZE)


def changed(a: Pixels, b: Pixels) -> tuple[float, float]:
    """The middle of what differs, in shares of the width and height."""
    rows, columns = np.nonzero((a != b).any(axis=2))
    return float(columns.mean() / SIZE[0]), float(rows.mean() / SIZE[1])


def test_the_mouth_moves_and_nothing_of_the_camera_is_seen(tmp_path: Path) -> None:
    speech = Says(QUIET)
    character, script = talking(tmp_path, speech)
    before = len(script.fed)
    rest = character(a_frame(camera()), [], Settings(), timer())
    assert rest.shape == (SIZE[1], SIZE[0], 3)
    assert not (rest == 7).all(axis=2).any()
    assert len(script.fed) == before  # nobody speaks: the network rests too
    speech.spoken = LOUD
    timed = timer()
    said = character(a_frame(camera(200)), [a_face()], Settings(), timed)
    x, y = changed(said, rest)
    assert x == pytest.approx(0.5, abs=0.03)
    assert 0.5 < y < 0.75
    speech.spoken = MelWindow(LOUD.mel, 0.4, True)
    half = character(a_frame(camera()), [], Settings(), timer())
    assert np.abs(half.astype(int) - rest).sum() < np.abs(said.astype(int) - rest).sum()
    assert {"align", "swap", "blend"} <= set(timed.spans)
    assert (character.title, character.sessions, character.resting) == ("Ann", [script], False)
    character.close()
    assert script.closed


def test_the_picture_given_out_is_the_caller_s(tmp_path: Path) -> None:
    character, _ = talking(tmp_path, Says(QUIET))
    first = character(a_frame(camera()), [], Settings(), timer())
    first[:] = 0
    second = character(a_frame(camera()), [], Settings(), timer())
    assert second.any()


@pytest.mark.parametrize("size", [(640, 360), (200, 300), (1234, 700)])
def test_wherever_the_face_lies_its_mouth_is_what_moves(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    face = a_face((0.4 * width, 0.45 * height), 0.5 * height)
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), (0, 0), 3)
    avatar = Avatar("ann", "Ann", "synthetic", np.asarray(picture, np.uint8), None, face)
    speech = Says(QUIET)
    character, _ = talking(tmp_path, speech, avatar)
    rest = character(a_frame(camera()), [], Settings(), timer())
    speech.spoken = LOUD
    said = character(a_frame(camera()), [], Settings(), timer())
    scale = min(SIZE[0] / width, SIZE[1] / height)
    at = (face.landmarks[13, :2] - (width / 2, height / 2)) * scale / SIZE + 0.5
    assert changed(said, rest) == pytest.approx((at[0], at[1]), abs=0.06)


def test_avatars_are_changed_live_and_a_bad_background_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    character, _ = talking(tmp_path, Says(QUIET), an_avatar("ann", 90), an_avatar("bob", 150))
    ann = character(a_frame(camera()), [], Settings(), timer())
    bob = character(a_frame(camera()), [], Settings(avatar="bob"), timer())
    assert (ann[90, 160, 0], bob[90, 160, 0], character.title) == (90, 150, "Bob")
    for _ in range(3):
        assert character(a_frame(camera()), [], Settings(background="nowhere"), timer()) is not None
    assert sum("stays as it is" in record.getMessage() for record in caplog.records) == 1
    fresh, _ = talking(tmp_path / "fresh", Says())
    with pytest.raises(ConfigError, match="nowhere"):
        fresh.prepare(SIZE, Settings(background="nowhere"))


def test_without_a_picture_or_a_face_there_is_nobody_to_speak(tmp_path: Path) -> None:
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=Lips().open)
    with pytest.raises(ConfigError, match="--avatar"):
        TalkingAvatar(network, Says(), [])
    faceless = Avatar("tree", "Tree", "synthetic", camera())
    with pytest.raises(ConfigError, match="tree has no face"):
        TalkingAvatar(network, Says(), [faceless])


def living(tmp_path: Path, speech: Says) -> TalkingAvatar:
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=Lips().open)
    avatar = Avatar("ann", "Ann", "synthetic", a_picture(), None, a_mesh_face())
    return TalkingAvatar(network, speech, [avatar], head=head())


def over(character: TalkingAvatar, settings: Settings, start: int = 0, count: int = 100) -> list[Pixels]:
    """What leaves in four seconds."""
    frames = [a_frame(camera(), (start + i) / 25) for i in range(count)]
    shown = [character(frame, [], settings, timer()) for frame in frames]
    return [picture for picture in shown if picture is not None]


def test_a_picture_that_speaks_is_alive_unless_told_not_to_be(tmp_path: Path) -> None:
    character = living(tmp_path, Says(QUIET))
    lively = over(character, Settings())
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(lively)]
    assert min(steps) > 0
    assert max(steps) < 6  # of a picture full of detail: no jump
    ending = over(character, Settings(idle=False), 100, 50)
    np.testing.assert_array_equal(ending[-1], ending[-2])
    glide = [np.abs(a.astype(int) - ending[-1]).mean() for a in ending]
    assert glide[0] > glide[12] > glide[-1] == 0  # it comes to rest, it does not jump
    still = living(tmp_path / "still", Says(QUIET))
    calm = over(still, Settings(idle=False), count=3)
    for picture in calm:
        np.testing.assert_array_equal(picture, ending[-1])


@pytest.mark.slow
def test_the_mouth_goes_with_the_head(tmp_path: Path) -> None:
    quiet, loud = living(tmp_path / "quiet", Says(QUIET)), living(tmp_path / "loud", Says(LOUD))
    rest, said = over(quiet, Settings(), count=80), over(loud, Settings(), count=80)
    middles = np.array([changed(a, b) for a, b in zip(said, rest, strict=True)]) * SIZE
    assert np.ptp(middles[:, 0]) > 0.5  # pixels of a small picture: the head sways by more than that
    assert np.all(np.abs(middles - middles.mean(axis=0)) < 4)


def test_an_avatar_speaks_or_the_picture_itself(tmp_path: Path) -> None:
    bundle = lip_bundle(tmp_path / "eve")
    for avatars, kind, title in (([an_avatar("ann", 90)], TalkingAvatar, "Ann"), ([], LipSync, "Eve")):
        script = Lips()
        character = open_lips(bundle, avatars, speech=Says(), open_session=script.open)
        assert isinstance(character, kind)
        assert character.title == title
        character.close()
        assert script.closed


def test_an_avatar_without_a_face_leaves_nothing_open(tmp_path: Path) -> None:
    script = Lips()
    tree = Avatar("tree", "Tree", "synthetic", pixels())
    with pytest.raises(ConfigError, match="tree"):
        open_lips(lip_bundle(tmp_path / "eve"), [tree], speech=Says(), open_session=script.open)
    assert script.closed

"""The lip-sync character: whose mouth moves, by which sound, and what of the picture stays."""

from pathlib import Path

import numpy as np
import pytest
from bundles import Script
from fakes import FakeClock, a_face, pixels
from sounds import NS
from test_lip_sync_network import Lips, lip_bundle
from test_lower_face import in_box

from realtime.audio.delay_line import ReadAhead
from realtime.audio.mel import SILENCE
from realtime.audio.sound_file import SoundFile
from realtime.audio.speech_buffer import MelWindow, SpeechBuffer
from realtime.audio.vad import SURE
from realtime.capture.recording import Recording
from realtime.clock import StageTimer
from realtime.families.lip_sync.effect import LipSync
from realtime.families.lip_sync.network import LipSyncNetwork, open_lip_sync
from realtime.frame import Frame, Pixels
from realtime.inference.ort import open_session
from realtime.inference.session import Array, TensorSpec
from realtime.models.library import face_folder
from realtime.settings import Settings
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

QUIET = MelWindow(np.full((80, 16), SILENCE, np.float32), 0.0, True)
LOUD = MelWindow(np.full((80, 16), 1.0, np.float32), 1.0, True)


class Says:
    """A voice that says one thing, and remembers when it was asked."""

    delay_s = 0.0

    def __init__(self, spoken: MelWindow = LOUD, *, by_media: bool = True) -> None:
        self.spoken, self.by_media = spoken, by_media
        self.asked: list[int] = []

    def __call__(self, at_ns: int) -> MelWindow:
        self.asked.append(at_ns)
        return self.spoken


def a_character(tmp_path: Path, speech: Says) -> tuple[LipSync, Lips]:
    script = Lips()
    network = open_lip_sync(lip_bundle(tmp_path / "eve"), open_session=script.open)
    return LipSync(network, speech, title="Eve"), script


def a_frame(picture: Pixels, media_s: float | None = 1.5) -> Frame:
    return Frame(picture, 0, 9 * NS, media_s)


def timer() -> StageTimer:
    return StageTimer(FakeClock())


def on_track(face: Face, track: int) -> Face:
    return Face(face.landmarks, face.blendshapes, face.pose, face.score, track)


def test_only_the_lower_face_changes(tmp_path: Path) -> None:
    character, script = a_character(tmp_path, Says())
    face = a_face((80, 60), 60)
    frame = a_frame(np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8))
    timed = timer()
    said = character(frame, [face], Settings(), timed)
    assert said is not None
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
        assert said is not None
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
    character = LipSync(network, Says(MelWindow(mels[0].astype(np.float32), 1.0, True)), title="Eve", upright=False)
    picture = pixels(90, (200, 160))
    picture[30:126, 40:136] = faces[0]
    said = character(a_frame(picture), [in_box(40, 30, 96, 96)], Settings(), timer())
    fed = script.fed[-1]
    whole = faces[0].transpose(2, 0, 1).astype(np.float32) / 255
    inner = slice(1, -1)  # landmarks are float32: the outermost pixels may have a trace of their neighbours
    assert np.abs(fed["faces"][0, 3:, inner, inner] - whole[:, inner, inner]).max() < 0.003
    np.testing.assert_array_equal(fed["mel"][0, 0], mels[0].astype(np.float32))
    assert said is not None
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
    assert still is not None
    (face,) = tracker(still)
    tracker.close()
    recording.close()
    x0, y0, x1, y1 = (round(edge) for edge in face.box)
    motion, open_at = [], []
    before = still.pixels
    for i in range(4 * 15):  # the sound is 3 s long
        frame = Frame(still.pixels, i, i * NS // 15, i / 15)
        said = character(frame, [face], Settings(steadiness=0), timer())
        assert said is not None
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

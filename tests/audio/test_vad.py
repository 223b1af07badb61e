"""Is somebody speaking, and what becomes of the mel."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from bundles import Script, one_line
from sounds import noise, whole_sound

from realtime.audio.mel import MelStream, Resampler
from realtime.audio.vad import SURE, NoVad, SileroVad, Vad, fade_to_silence, open_vad, speech_envelope
from realtime.frame import Floats
from realtime.inference.session import Array, TensorSpec

RATE = 16_000


def answers(gate: Vad, sound: Floats, size: int = 320) -> Floats:
    stream, out = MelStream(), []
    for i in range(0, len(sound), size):
        piece = sound[i : i + size]
        out.append(gate(piece, stream(piece)))
    return np.concatenate(out)


@pytest.fixture
def gate() -> Iterator[SileroVad]:
    opened = open_vad()
    yield opened
    opened.close()
    opened.close()


@pytest.mark.parametrize("kind", ["digital silence", "white noise", "hum", "keys"])
def test_silence_and_noise_are_no_speech(gate: SileroVad, kind: str) -> None:
    t = np.arange(4 * RATE) / RATE
    keys = noise(4, RATE, 0.5) * np.exp(-(t % 0.17) / 0.004).astype(np.float32)
    sound = {
        "digital silence": np.zeros(4 * RATE, np.float32),
        "white noise": noise(4, RATE, 0.05),
        "hum": (0.1 * np.sin(2 * np.pi * 50 * t) + 0.05 * np.sin(2 * np.pi * 150 * t)).astype(np.float32),
        "keys": keys,
    }[kind]
    told = answers(gate, sound)
    assert len(told) == 4 * 80 - 1
    assert (told[20:] >= SURE).mean() < 0.02


def test_real_voices_are_speech(shared: Path, gate: SileroVad) -> None:
    for clip in ("man", "woman"):
        sound, rate_hz = whole_sound(shared / "clips" / f"{clip}_720p.mp4")
        change = Resampler(rate_hz, RATE)
        told = answers(gate, np.concatenate([change(sound), change.finish()]))
        said = np.flatnonzero(told >= SURE)
        # One sentence in the middle, and nothing before it.
        assert 1.0 < (said[-1] - said[0]) / 80 < 2.5
        assert (told[said[0] : said[-1]] >= SURE).mean() > 0.95
        assert said[0] > 0.8 * 80


def test_the_blocks_do_not_matter(shared: Path) -> None:
    with np.load(shared / "reference" / "w2l_mel_espeak16k.npz") as recorded:
        sound = recorded["wav_f32"][:20_000]
    told = []
    for size in (len(sound), 160, 333, 1024):
        gate = open_vad()
        told.append(answers(gate, sound, size))
        gate.close()
    assert all(np.array_equal(told[0], other) for other in told[1:])
    assert told[0].max() > SURE > told[0].min()


class Detector(Script):
    """Says that a chunk is speech where its first sample says so; counts its calls in its state."""

    def __init__(self) -> None:
        floats = np.dtype(np.float32)
        ports = {
            "input": TensorSpec((None, None), floats),
            "state": TensorSpec((2, None, 128), floats),
            "sr": TensorSpec((), floats),
        }
        super().__init__(ports, {"output": np.zeros((1, 1), np.float32), "stateN": np.zeros((2, 1, 128), np.float32)})

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        assert feed["input"].shape == (1, 64 + 512)
        assert int(feed["sr"]) == RATE
        return {"output": feed["input"][:, 64:65], "stateN": feed["state"] + 1}


def test_a_frame_has_the_answer_of_the_chunk_heard_last() -> None:
    sound = np.zeros(40 * 512, np.float32)
    sound[10 * 512] = 1.0
    told = answers(SileroVad(Detector()), sound)
    spoken = np.flatnonzero(told)
    # Chunk 10 ends at sample 11 * 512; the frames that are known from there on, until chunk 11 is.
    assert spoken[0] == -(-(11 * 512 - 400) // 200)
    assert spoken[-1] == (12 * 512 - 1 - 400) // 200


def test_a_changed_or_missing_network_is_refused(tmp_path: Path) -> None:
    assert "missing" in one_line(lambda: open_vad(tmp_path))
    (tmp_path / "hearing").mkdir()
    (tmp_path / "hearing" / "speech.onnx").write_bytes(b"something else")
    assert "was changed" in one_line(lambda: open_vad(tmp_path))


def test_without_a_gate_all_is_speech() -> None:
    assert (answers(NoVad(), noise(0.5, RATE)) == 1).all()


def test_the_mouth_opens_before_a_word_and_closes_after_it() -> None:
    speech = np.zeros(60, np.float32)
    speech[30:33] = 0.6
    opened = speech_envelope(speech)
    assert np.flatnonzero(opened == 1).tolist() == list(range(24, 41))
    assert np.flatnonzero(opened).tolist() == list(range(20, 45))
    assert (np.diff(opened[19:25]) > 0).all()
    assert len(speech_envelope(np.zeros(0, np.float32))) == 0


def test_what_is_not_speech_becomes_silence() -> None:
    mel = np.full((80, 3), 2.0, np.float32)
    out = fade_to_silence(mel, np.array([0, 0.5, 1], np.float32))
    np.testing.assert_allclose(out[0], [-4, -1, 2])

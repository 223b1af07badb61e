"""The panic key in the whole program: a card and silence, in a call and in a recording, until it is pressed again."""

from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from heads import CLIP as HEAD
from sounds import FakeOutput, noise, write_sound
from speaking import a_cast

from realtime.audio.source import HEARD_HZ, Block
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.audio.voice_pipeline import open_speaker
from realtime.config import make_config
from realtime.frame import Floats
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session
from realtime.settings import Settings

PRESSED_S, AGAIN_S, END_S = 1.0, 2.0, 3.0


class Finger(SpeechBuffer):
    """Presses the key while it hears the second second."""

    def __init__(self) -> None:
        super().__init__(NoVad())
        self.session: Session | None = None
        self._first_ns: int | None = None

    def push(self, block: Block) -> None:
        self._first_ns = block.start_ns if self._first_ns is None else self._first_ns
        at_s = (block.start_ns - self._first_ns) / 1e9
        assert self.session is not None
        self.session.change(
            Settings(panic=PRESSED_S <= at_s < AGAIN_S), Settings(panic=not PRESSED_S <= at_s < AGAIN_S)
        )
        super().push(block)


def quiet_s(samples: Floats) -> float:
    """Seconds of the longest silence after the first sound, and before the last."""
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    return float(np.diff(loud).max(initial=0)) / HEARD_HZ


def sound_of(path: Path) -> Floats:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARD_HZ)
        pieces = [p.to_ndarray()[0] for f in container.decode(audio=0) for p in resampler.resample(f)]
    return np.concatenate(pieces)


@pytest.mark.parametrize("lips", [True, False])
def test_no_picture_and_no_sound_leaves(lips: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))
    swap = {"model": "ada", "source": str(HEAD), "loop": True}
    who = {"model": str(a_cast(tmp_path / "eve")), "avatar": "pia"} if lips else swap
    spoken = write_sound(tmp_path / "v.wav", [noise(END_S, 48_000, 0.2)], 48_000)
    out, cable, finger = tmp_path / "out.mkv", FakeOutput(), Finger()
    config = make_config(
        {},
        {**who, "sound": str(spoken), "output": [str(out), "null"], "pace": "live", "size": "160x160"}
        | {"virtual_microphone": True, "seconds": END_S + 0.6},
    )
    hears = partial(open_speaker, make_voice=lambda exact: finger, open_output=lambda: cable)
    finger.session = Session(open_parts(config, open_voice=hears))
    finger.session.run()
    # What waited when the key was pressed is not spoken, nor what was said while it was down.
    for heard in (np.concatenate(cable.written), sound_of(out)):
        assert quiet_s(heard) > AGAIN_S - PRESSED_S - 0.05
        assert np.abs(heard).max() > 0.1
    with av.open(str(out)) as container:
        pictures = [(float(f.time), f.to_ndarray(format="bgr24").astype(int)) for f in container.decode(video=0)]
    card = next(picture for time, picture in pictures if time > 1.6)
    alike = [time for time, picture in pictures if np.abs(picture - card).mean() < 2]
    others = {time for time, _ in pictures} - set(alike)
    assert sum(1.2 < time < 1.9 for time in alike) >= 3
    assert not any(1.3 < time < 1.7 for time in others)
    assert min(others) < 1.3
    assert max(others) > 1.7

"""The panic key in the whole program: a card and silence, in a call and in a recording, until it is pressed again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from fakes import FakeSink
from heads import CLIP as HEAD
from sounds import FakeOutput, noise, write_sound
from speaking import a_cast

from realtime.audio.source import HEARD_HZ, Block
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.audio.voice_pipeline import open_voice
from realtime.config import Settings, make_config
from realtime.frame import Floats, Frame, Pixels
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session

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


class Witness(FakeSink):
    """Notes pictures together with the key, where it did not move since the picture before."""

    def __init__(self, pressed: Callable[[], bool]) -> None:
        super().__init__("witness")
        self.seen: list[tuple[Pixels, bool]] = []
        self._pressed, self._last = pressed, False

    def show(self, frame: Frame) -> None:
        now = self._pressed()
        if now == self._last:
            self.seen.append((frame.pixels, now))
        self._last = now


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
    hears = partial(open_voice, make_voice=lambda exact: finger, open_output=lambda: cable)
    finger.session = Session(open_parts(config, open_voice=hears))
    witness = Witness(lambda: finger.session is not None and finger.session.parts.settings.get().panic)
    finger.session.parts.sinks.append(witness)
    finger.session.run()
    # What waited when the key was pressed is not spoken, nor what was said while it was down.
    for heard in (np.concatenate(cable.written), sound_of(out)):
        assert quiet_s(heard) > AGAIN_S - PRESSED_S - 0.05
        assert np.abs(heard).max() > 0.1
    # With the key down at a picture and at the one before, it is the slate; else Ada or Pia may be seen.
    slate = next(picture for picture, down in witness.seen if down)
    alike = [(bool(np.abs(picture.astype(int) - slate).mean() < 2), down) for picture, down in witness.seen]
    assert all(same for same, down in alike if down)
    first = alike.index((True, True))
    assert (False, False) in alike[:first]
    assert (False, False) in alike[first:]
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 1

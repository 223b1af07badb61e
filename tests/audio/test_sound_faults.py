"""A hundred sound faults, one after another, seeded: the pictures go on, and the voice comes back."""

from collections.abc import Iterator

import numpy as np
import pytest
from sounds import NS, Devices, FakeInput, noise

from realtime.audio.delay_line import MOST_S, DelayLine, LookAhead
from realtime.audio.microphone import Microphone, SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.errors import DeviceError
from realtime.frame import Floats

RATES = (8_000, 16_000, 44_100, 48_000, 96_000)
STEP_NS = NS // 50
GONE = SoundDeviceGone("unplugged")

Item = Floats | Exception | None


def fault(kind: str, rate_hz: int, rng: np.random.Generator) -> list[Item]:
    """What a device of that rate gives while it goes wrong."""
    piece = rate_hz // 50
    good = noise(0.02, rate_hz, 0.1, int(rng.integers(1000)))
    broken = good.copy()
    broken[rng.integers(0, piece, 5)] = rng.choice([np.nan, np.inf, -np.inf, 1e30], 5)
    return {
        "gone": [GONE],
        "stalls": [None] * int(rng.integers(1, 20)),
        "not numbers": [broken] * 3,
        "all not numbers": [np.full(piece, np.nan, np.float32)] * 3,
        "clipping": [np.clip(good * 50, -1, 1)] * 5,
        "beyond full scale": [good * 1e6] * 3,
        "silence": [np.zeros(piece, np.float32)] * 20,
        "ten seconds of silence": [np.zeros(piece, np.float32)] * 500,
        "half rate": [good[: piece // 2]] * 10,
        "double rate": [np.concatenate([good, good])] * 10,
        "empty": [np.zeros(0, np.float32)] * 3,
        "one sample": [good[:1]] * 5,
        "a burst": [np.tile(good, 40)],
        "constant": [np.full(piece, 0.5, np.float32)] * 5,
        "denormal": [np.full(piece, 1e-40, np.float32)] * 5,
    }[kind]


KINDS = (
    *("gone", "stalls", "not numbers", "all not numbers", "clipping", "beyond full scale", "silence", "half rate"),
    *("double rate", "empty", "one sample", "a burst", "constant", "denormal", "ten seconds of silence"),
)


class Clock:
    """20 ms for each thing the device does."""

    now = 1000 * NS

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += round(seconds * NS)
        return False


def devices(rng: np.random.Generator, clock: Clock, kinds: Iterator[str]) -> list[FakeInput | DeviceError]:
    """Devices that fail in these ways until there are no more, the last one good."""

    class Timed(FakeInput):
        def read(self, timeout_s: float) -> Floats | None:
            clock.now += STEP_NS
            return super().read(timeout_s)

    made: list[FakeInput | DeviceError] = []
    for kind in kinds:
        rate_hz = int(rng.choice(RATES))
        good = [noise(0.02, rate_hz, 0.1, i) for i in range(12)]
        made += [Timed([*good, *fault(kind, rate_hz, rng), *good, GONE], rate_hz)]
        if rng.random() < 0.3:
            made += [DeviceError("not yet")]
    return [*made, Timed([noise(0.02, 48_000, 0.1, i) for i in range(80)], 48_000)]


@pytest.mark.parametrize("seed", range(10))
def test_the_pictures_go_on_and_the_voice_comes_back(seed: int) -> None:
    rng, clock = np.random.default_rng(seed), Clock()
    kinds = [KINDS[(10 * seed + i) % len(KINDS)] for i in range(10)]
    script = devices(rng, clock, iter(kinds))
    mic = Microphone(None, open_input=Devices(*script), clock=clock, wait=clock.wait)
    voice = SpeechBuffer(NoVad())
    ahead = LookAhead(voice)
    out = DelayLine(voice, lambda: ahead.delay_s)
    last = script[-1]
    assert isinstance(last, FakeInput)
    states: set[str] = set()
    spoken, picture_ns, handed, began, until = None, clock.now, 0, clock.now, 0
    while mic.losses < len(kinds) or clock.now < until:
        block = mic.read()
        assert block is not None
        states.add(mic.state)
        voice.push(block)
        while picture_ns <= clock.now:
            picture_ns += NS // 25
            spoken = ahead(picture_ns)
            assert spoken.mel.shape == (80, 16)
            assert np.isfinite(spoken.mel).all()
            assert np.abs(spoken.mel).max() <= 4
            samples = out(picture_ns)
            assert np.isfinite(samples).all()
            handed += len(samples)
        if mic.losses < len(kinds):
            until = clock.now + NS  # and then a good second
    assert spoken is not None
    assert spoken.whole
    assert spoken.speech == 1.0
    assert mic.losses == len(kinds)
    assert all("\n" not in state for state in states)
    assert ahead.delay_s <= MOST_S
    # The listener's time is never stretched: what a second's pause or more skips is not made up.
    assert handed <= (clock.now - began) / NS * HEARD_HZ * 1.01
    mic.close()
    voice.close()

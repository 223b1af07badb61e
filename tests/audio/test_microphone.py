"""A microphone: unplugged, muted, too loud, exchanged, and a hundred faults one after another."""

from collections.abc import Iterator

import numpy as np
import pytest
from fakes import TurnedClock
from sounds import NS, Devices, FakeInput, noise, tone

from realtime.audio.delay_line import MOST_S, DelayLine, LookAhead
from realtime.audio.microphone import MUTE_S, SILENT_S, Microphone, SelectableMicrophone, SoundDeviceGone
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.errors import DeviceError
from realtime.frame import Floats

PIECE = tone(300, 0.02, 48_000)


def opened(*devices: FakeInput | DeviceError, hands: TurnedClock | None = None, name: str | None = None) -> Microphone:
    hands = hands or TurnedClock(0.02)
    return Microphone(name, open_input=Devices(*devices), clock=hands, wait=hands.wait)


def test_blocks_are_stamped_with_the_moment_of_their_first_sample() -> None:
    hands = TurnedClock(0.02)
    mic = opened(FakeInput([PIECE, PIECE], latency_s=0.03), hands=hands)
    block = mic.read()
    assert block.start_ns == hands.now - round(0.05 * NS)
    assert (block.rate_hz, mic.live, mic.state, mic.name) == (48_000, True, "ok", "fake microphone")
    np.testing.assert_array_equal(block.samples, PIECE)
    assert not block.samples.flags.writeable
    mic.close()
    mic.close()


def test_an_unplugged_microphone_is_waited_for() -> None:
    hands = TurnedClock(0.02)
    first, second = FakeInput([PIECE, SoundDeviceGone("pulled")]), FakeInput([PIECE])
    mic = opened(first, DeviceError("not yet"), DeviceError("not yet"), second, hands=hands, name="usb")
    assert mic.read() is not None
    block = mic.read()
    assert block.start_ns > 101 * NS
    assert (mic.losses, first.closed, hands.waits) == (1, 1, 3)
    assert mic.state == "ok"
    mic.close()
    assert second.closed == 1


def test_while_it_is_gone_it_says_so() -> None:
    hands = TurnedClock(0.02)
    mic = opened(FakeInput([SoundDeviceGone("pulled")]), hands=hands)
    states = []

    def wait(seconds: float) -> bool:
        states.append(mic.state)
        if len(states) == 5:
            mic.unblock()
        return False

    mic._wait = wait
    assert mic.read() is None
    assert set(states) == {"fake microphone is gone: waiting for it"}
    mic.close()


def test_one_that_sends_nothing_is_opened_again() -> None:
    nothing: list[None] = [None] * round(SILENT_S / 0.02 + 5)
    first = FakeInput(nothing)
    mic = opened(first, FakeInput([PIECE]))
    assert mic.read() is not None
    assert (mic.losses, first.closed) == (1, 1)
    mic.close()


def test_pure_silence_is_worth_a_word_and_sound_takes_it_back() -> None:
    count = round(MUTE_S / 0.02) + 3
    mic = opened(FakeInput([np.zeros(960, np.float32)] * count + [PIECE]))
    for _ in range(count):
        assert mic.read() is not None
    assert "pure silence" in mic.state
    mic.read()
    assert mic.state == "ok"
    mic.close()


def test_distortion_is_worth_a_word() -> None:
    mic = opened(FakeInput([np.clip(PIECE * 5, -1, 1), np.full(960, np.nan, np.float32), PIECE]))
    mic.read()
    assert "lower its level" in mic.state
    mic.read()
    mic.read()
    assert mic.state == "ok"
    mic.close()


def test_one_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(DeviceError, match="no such"):
        opened(DeviceError("no such microphone"))


def test_another_choice_is_listened_to_at_once_and_the_old_one_let_go() -> None:
    system, desk, again = (FakeInput([np.full(480, level, np.float32)] * 9) for level in (0.1, 0.5, 0.5))
    devices = Devices(system, desk, DeviceError("broken"), DeviceError("broken"), again)
    selectable = SelectableMicrophone(devices)
    assert (selectable.name, selectable.level) == (None, 0.0)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) > 2:
            selectable.select("desk")  # the broken one was looked for in vain
        return False

    mic = Microphone(None, open_input=selectable.open, clock=TurnedClock(0.02), wait=wait)
    levels = []
    for name in (None, "desk", "broken"):
        if name is not None:
            waits.clear()
            selectable.select(name)
        block = mic.read()
        levels.append(round(float(block.samples[0]), 3))
        assert round(selectable.level, 3) == levels[-1]
    assert levels == [0.1, 0.5, 0.5]
    assert devices.asked == [None, "desk", "broken", "broken", "desk"]
    assert (len(waits), system.closed, desk.closed) == (3, 1, 1)
    mic.close()
    assert selectable.level == 0.0


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


def devices(rng: np.random.Generator, clock: TurnedClock, kinds: Iterator[str]) -> list[FakeInput | DeviceError]:
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


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 10))])
def test_the_pictures_go_on_and_the_voice_comes_back(seed: int) -> None:
    rng, clock = np.random.default_rng(seed), TurnedClock()
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
    assert spoken.whole
    assert spoken.speech == 1.0
    assert mic.losses == len(kinds)
    assert all("\n" not in state for state in states)
    assert ahead.delay_s <= MOST_S
    # The listener's time is never stretched: what a second's pause or more skips is not made up.
    assert handed <= (clock.now - began) / NS * HEARD_HZ * 1.01
    mic.close()
    voice.close()

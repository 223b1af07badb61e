"""Mouth and voice together, live and from a file: shown by a click."""

from pathlib import Path

import numpy as np
import pytest
from sounds import NS, blocks, clicks, filled, noise, onsets, write_sound

from realtime.audio.delay_line import MOST_S, RESERVE_S, DelayLine, LookAhead, ReadAhead
from realtime.audio.mel import LOOK_AHEAD_S
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.frame import Floats

START = 500 * NS
FPS = 25


def live(
    sound: Floats, latency_s: float, seconds: float, jitter_s: float = 0.0
) -> tuple[LookAhead, list[float], Floats]:
    """A microphone's blocks of 20 ms and a camera's clock; the pictures' first mel levels, and the sound handed out."""
    voice = SpeechBuffer(NoVad())
    ahead = LookAhead(voice)
    out = DelayLine(voice, lambda: ahead.delay_s)
    late = np.random.default_rng(0).exponential(jitter_s, 10_000) if jitter_s else np.zeros(10_000)
    waiting = [
        (block.end_ns + round((latency_s + late[i]) * NS), block)
        for i, block in enumerate(blocks(sound, 48_000, START))
    ]
    levels, played = [], []
    for i in range(round(seconds * FPS)):
        now = START + i * NS // FPS
        while waiting and waiting[0][0] <= now:
            voice.push(waiting.pop(0)[1])
        levels.append(float(ahead(now).mel[:, 0].mean()))
        played.append(out(now))
    return ahead, levels, np.concatenate(played)


@pytest.mark.parametrize("latency_s", [0.0, 0.03])
def test_the_mouth_says_a_click_in_the_picture_in_which_it_is_heard(latency_s: float) -> None:
    ahead, levels, played = live(clicks([1.0, 2.0, 3.0], 5.0, 48_000), latency_s, 5.0)
    assert ahead.late == 0
    assert ahead.delay_s == pytest.approx(LOOK_AHEAD_S + RESERVE_S)
    heard = onsets(played, HEARD_HZ)
    assert heard == pytest.approx([t + ahead.delay_s for t in (1.0, 2.0, 3.0)], abs=0.001)
    level = np.array(levels)
    for at in heard:
        # The click's mel frame is the first of the window in the picture on the screen while it sounds.
        picture = int(at * FPS)
        assert level[picture - 2 : picture + 3].argmax() + picture - 2 in (picture, picture + 1)


def test_a_device_that_holds_back_more_delays_more_and_stays_in_step() -> None:
    ahead, _, played = live(clicks([3.0, 4.0], 6.0, 48_000), 0.15, 6.0, jitter_s=0.005)
    assert 0 < ahead.late < 50
    assert LOOK_AHEAD_S + 0.17 < ahead.delay_s < LOOK_AHEAD_S + 0.25
    assert onsets(played, HEARD_HZ) == pytest.approx([3.0 + ahead.delay_s, 4.0 + ahead.delay_s], abs=0.02)


def test_a_device_that_is_gone_does_not_raise_the_delay() -> None:
    ahead, levels, _ = live(noise(2.0, 48_000), 0.03, 8.0)
    assert ahead.delay_s < LOOK_AHEAD_S + RESERVE_S + 0.25 < MOST_S
    assert levels[-1] == -4.0  # silence: the mouth rests


def test_the_sound_handed_out_is_gapless_and_as_long_as_the_time() -> None:
    sound = noise(4.0, 48_000, level=0.05)
    ahead, _, played = live(sound, 0.03, 4.0)
    assert len(played) == pytest.approx(round((4.0 - 1 / FPS) * HEARD_HZ), abs=2)
    begin = round(ahead.delay_s * HEARD_HZ)
    np.testing.assert_allclose(played[begin : begin + 48_000], sound[:48_000], atol=1e-6)


def test_a_new_delay_waits_for_silence_unless_it_is_large() -> None:
    class Speaking(NoVad):
        """Speech from 1 s to 3 s."""

        frame = 0

        def __call__(self, samples: Floats, frames: Floats) -> Floats:
            at = self.frame + np.arange(frames.shape[1])
            self.frame += frames.shape[1]
            return ((at >= 80) & (at < 240)).astype(np.float32)

    voice = SpeechBuffer(Speaking())
    for block in blocks(noise(5.0, 48_000), 48_000, START):
        voice.push(block)
    wanted = [0.1]
    out = DelayLine(voice, lambda: wanted[0])
    steps: list[float] = []
    for i in range(240):
        now = START + i * NS // 50
        if i == 80:
            wanted[0] = 0.13
        if i == 200:
            wanted[0] = 0.3
        assert len(out(now)) in (0, 959, 960, 961)
        steps.append(out.delay_s)
    assert steps[80] == steps[150] == 0.1  # in the middle of speech
    assert steps[199] == 0.13  # a pause came
    assert steps[200] == 0.3  # seen by anybody: at once
    assert out.changes == 2


def test_what_the_loudspeaker_holds_back_is_taken_off() -> None:
    voice = filled(clicks([1.0], 3.0, 48_000), 48_000, START)
    out = DelayLine(voice, lambda: 0.2)
    played = np.concatenate([out(START + i * NS // 50, round(0.05 * NS)) for i in range(140)])
    assert onsets(played, HEARD_HZ) == pytest.approx([1.15], abs=0.001)


def test_after_a_pause_the_voice_goes_on_where_it_is_now() -> None:
    voice = filled(clicks([2.0], 5.0, 48_000), 48_000, START)
    out = DelayLine(voice, lambda: 0.1)
    assert len(out(START)) == 0
    assert len(out(START + NS // 50)) == 960
    assert len(out(START + 2 * NS)) == 0  # the machine slept
    assert onsets(
        np.concatenate([out(START + 2 * NS + i * NS // 50) for i in range(1, 50)]), HEARD_HZ
    ) == pytest.approx([0.1], abs=0.001)
    assert len(out(START)) == 0  # a clock that went back


def spoken_live(late_s: float, seconds: float, wanted_s: float, gone_s: float = 1e9) -> tuple[DelayLine, Floats]:
    """What is handed out every 10 ms, where the device gives blocks of 20 ms `late_s` after they were captured."""
    voice = SpeechBuffer(NoVad())
    waiting = blocks(noise(seconds, 48_000, level=0.05), 48_000, START)
    out = DelayLine(voice, lambda: wanted_s)
    handed = []
    for i in range(round(100 * seconds)):
        now = START + i * NS // 100
        while waiting and waiting[0].end_ns + round(late_s * NS) <= min(now, START + gone_s * NS):
            voice.push(waiting.pop(0))
        handed.append(out(now))
    return out, np.concatenate(handed)


def test_pictures_quicker_than_the_sound_leave_no_holes_in_a_voice() -> None:
    out, handed = spoken_live(late_s=0.03, seconds=4.0, wanted_s=0.012)
    holes = handed == 0.0
    assert not holes[HEARD_HZ // 2 :].any()
    assert 0.03 <= out.least_s <= out.delay_s <= 0.06
    assert out.changes <= 3  # it is learnt once, at the start
    slow, _ = spoken_live(late_s=0.03, seconds=2.0, wanted_s=0.2)
    assert (slow.least_s, slow.delay_s, slow.changes) == (0.0, 0.2, 0)


def test_what_a_busy_start_took_is_given_back() -> None:
    voice = SpeechBuffer(NoVad())
    waiting = blocks(noise(40.0, 48_000, level=0.05), 48_000, START)
    out = DelayLine(voice, lambda: 0.012)
    least = []
    for i in range(3900):
        now = START + i * NS // 100
        late_s = 0.08 if i < 300 else 0.01
        while waiting and waiting[0].end_ns + round(late_s * NS) <= now:
            voice.push(waiting.pop(0))
        out(now)
        least.append(out.least_s)
    assert max(least) > 0.08
    assert 0.01 < least[-1] < 0.05
    assert least[3000] == pytest.approx(least[-1], abs=1e-6)  # and then it stays


def test_a_microphone_that_is_gone_delays_no_more() -> None:
    out, _ = spoken_live(late_s=0.03, seconds=4.0, wanted_s=0.1, gone_s=1.0)
    assert out.delay_s < 0.1 + 0.2 + 0.05


def test_a_stall_longer_than_a_loudspeaker_s_buffer_is_not_made_up_for() -> None:
    voice = filled(clicks([1.0], 3.0, 48_000), 48_000, START)
    out = DelayLine(voice, lambda: 0.1)
    times = [START + i * NS // 100 for i in range(200) if not 50 <= i < 60]  # a tenth of a second is missing
    pieces = [out(now) for now in times]
    assert max(len(piece) for piece in pieces) <= 481
    # What is played goes on at the right time: the tenth is a hole, not a delay.
    at = next(i for i, piece in enumerate(pieces) if np.abs(piece).max(initial=0) > 0.3)
    assert (times[at] - START) / NS == pytest.approx(1.1, abs=0.011)


def test_a_file_is_read_just_as_far_as_needed(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [clicks([1.0, 4.0], 6.0, 48_000)], 48_000)
    opened: list[SoundFile] = []

    def open_file() -> SoundFile:
        opened.append(SoundFile(path))
        return opened[-1]

    ahead = ReadAhead(open_file, lambda: SpeechBuffer(NoVad(), exact=True))
    level = []
    for i in range(8 * FPS):
        spoken = ahead(i * NS // FPS)
        assert spoken.whole
        level.append(float(spoken.mel[:, 0].mean()))
        if i == FPS:
            assert ahead.voice.snapshot.sound_until_ns < 1.6 * NS
    peaks = [i / FPS for i in range(len(level)) if level[i] > -3.5]
    assert {round(p) for p in peaks} == {1, 4}
    assert min(peaks) == pytest.approx(1.0, abs=1 / FPS)
    assert ahead(round(1.0 * NS)).mel[:, 0].mean() > -3.5  # the pictures began again: so does the sound
    assert len(opened) == 2
    ahead.close()
    ahead.close()
    assert ahead.delay_s == 0.0


def test_silence_comes_at_once() -> None:
    voice = filled(noise(2.0, 48_000, level=0.05), 48_000, START)
    pressed = [False]
    out = DelayLine(voice, lambda: 0.1, lambda: pressed[0])
    pieces = []
    for i in range(30):
        pressed[0] = 20 <= i < 25
        pieces.append(out(START + i * NS // 50))
    assert [bool(piece.any()) for piece in pieces[10:]] == [True] * 10 + [False] * 5 + [True] * 5
    assert len(pieces[22]) == 960

"""A live voice in a recording: the clapper test, a flash and a click through mouth, delay and file."""

from pathlib import Path

import av
import numpy as np
import pytest
from recordings import SUFFIXES, frame, grey
from sounds import NS, blocks, clicks, noise, onsets

from realtime.audio.audio_track import VoiceTrack
from realtime.audio.delay_line import LookAhead
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.frame import Floats
from realtime.output.video_file import VideoFile

START_S = 4000
FPS = 25
EARLY_S, LATE_S = -0.020, 0.045
"""What the sound may be ahead of the picture and behind it."""


def recorded(path: Path, sound: Floats, seconds: float, *, mouth: bool, ppm: float = 0.0) -> LookAhead:
    """A microphone and a camera, recorded. With `mouth` the picture flashes where the mouth hears a click, else where
    the camera sees it. `ppm`: how much faster the microphone's crystal runs than the clock."""
    voice = SpeechBuffer(NoVad())
    ahead = LookAhead(voice)
    track = VoiceTrack(voice, (lambda: ahead.delay_s) if mouth else (lambda: 0.0))
    video = VideoFile(path, size=(64, 48), rate_hz=FPS, sound=track)
    waiting = blocks(sound, 48_000, START_S * NS)
    for i in range(round(seconds * FPS)):
        now_s = START_S + i / FPS
        while waiting and (waiting[0].end_ns / NS - START_S) / (1 + ppm * 1e-6) + 0.03 <= now_s - START_S:
            block = waiting.pop(0)
            true_ns = START_S * NS + round((block.start_ns - START_S * NS) / (1 + ppm * 1e-6))
            voice.push(type(block)(block.samples, 48_000, true_ns))
        if mouth:
            flash = bool(ahead(round(now_s * NS)).mel[:, :3].mean() > -3.0)
        else:
            seen = round((now_s - START_S) * 48_000)
            flash = bool(np.abs(sound[seen : seen + 48_000 // FPS]).max(initial=0) > 0.3)
        video.show_at(frame(grey(255 if flash else 0), i, now_s), round((now_s + 0.01) * NS))
    video.close()
    return ahead


def found(path: Path) -> tuple[list[float], list[float]]:
    """When the flashes and the clicks of a recording begin, in seconds."""
    with av.open(str(path)) as container:
        pictures = [(f.time, f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    flashes = [
        float(t) for (t, level), (_, before) in zip(pictures[1:], pictures, strict=False) if level > 100 > before
    ]
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=HEARD_HZ)
        sound = np.concatenate([piece.to_ndarray()[0] for f in frames for piece in resampler.resample(f)])
        start_s = float(frames[0].time)
    return flashes, [start_s + t for t in onsets(sound, HEARD_HZ)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("mouth", [True, False])
def test_flash_and_click_are_together(tmp_path: Path, suffix: str, mouth: bool) -> None:
    at = [1.013, 2.5, 3.99]
    path = tmp_path / f"a{suffix}"
    ahead = recorded(path, clicks(at, 6.0, 48_000), 5.0, mouth=mouth)
    flashes, heard = found(path)
    assert len(flashes) == len(heard) == 3
    for seen, sounded, true in zip(flashes, heard, at, strict=True):
        assert EARLY_S < sounded - seen < LATE_S
        assert sounded == pytest.approx(true + (ahead.delay_s if mouth else 0.0), abs=0.005)


def test_a_crystal_that_runs_apart_does_not_part_them(tmp_path: Path) -> None:
    at = [2.0, 14.0, 28.0]
    path = tmp_path / "a.mkv"
    recorded(path, clicks(at, 31.0, 48_000), 30.0, mouth=True, ppm=1000)  # as much as ten minutes of 50 ppm
    flashes, heard = found(path)
    offsets = [sounded - seen for seen, sounded in zip(flashes, heard, strict=True)]
    assert all(EARLY_S < offset < LATE_S for offset in offsets)
    # The click's true time in the clock, not in the microphone's samples.
    assert heard[-1] - heard[0] == pytest.approx(26.0 / (1 + 1000e-6), abs=0.006)


def test_a_microphone_that_is_lost_leaves_silence_and_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    recorded(path, noise(2.0, 48_000, 0.2), 5.0, mouth=True)
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert len(sound) / HEARD_HZ == pytest.approx(5.0, abs=0.08)
    assert np.abs(sound[HEARD_HZ : round(1.9 * HEARD_HZ)]).mean() > 0.05
    assert np.abs(sound[round(3.0 * HEARD_HZ) : round(4.9 * HEARD_HZ)]).max() < 1e-3


def test_a_delay_that_trembles_is_let_be(tmp_path: Path) -> None:
    voice = SpeechBuffer(NoVad())
    for block in blocks(clicks([1.0, 2.0, 3.0], 4.0, 48_000), 48_000, START_S * NS):
        voice.push(block)
    wanted = [0.025]
    video = VideoFile(tmp_path / "a.mkv", size=(64, 48), rate_hz=FPS, sound=VoiceTrack(voice, lambda: wanted[0]))
    for i in range(4 * FPS):
        wanted[0] = 0.050 if i > 62 else 0.030 if i > 37 else 0.025
        video.show_at(frame(grey(0), i, START_S + i / FPS), round((START_S + i / FPS + 0.01) * NS))
    video.close()
    assert found(tmp_path / "a.mkv")[1] == pytest.approx([1.025, 2.025, 3.050], abs=0.001)

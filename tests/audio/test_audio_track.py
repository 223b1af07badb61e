"""Sound in a recording: the source's own, cut to what was shown, and a live voice: flash and click together."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from beeps import film, flashes, heard
from beeps import recorded as recorded_film
from recordings import SIZE, SUFFIXES, bars, frame, grey, pictures
from sounds import NS, blocks, clicks, filled, noise, onsets

from realtime.audio.audio_track import SoundTrack, VoiceTrack
from realtime.audio.delay_line import LookAhead
from realtime.audio.source import HEARD_HZ
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.errors import ConfigError
from realtime.frame import Floats
from realtime.output.video_file import VideoFile


def loudness(path: Path, step_s: float = 0.01) -> tuple[np.ndarray, float]:
    """The sound's level in steps, from time 0 on, and its end in seconds."""
    levels = np.zeros(10_000)
    end = 0.0
    with av.open(str(path)) as container:
        for f in container.decode(audio=0):
            samples = np.abs(f.to_ndarray().astype(np.float64))
            top = 1.0 if f.format.name.startswith("flt") else 32768.0
            channels = 1 if f.format.is_planar else len(f.layout.channels)
            samples = samples.reshape(samples.shape[0], -1, channels).max(axis=(0, 2)) / top
            for i, level in enumerate(samples):
                k = int((f.time + i / f.sample_rate) / step_s)
                levels[k] = max(levels[k], level) if k >= 0 else levels[k]
            end = f.time + f.samples / f.sample_rate
    return levels, end


def make_source(path: Path, codec: str, *, seconds: int = 3, rate: int = 48_000) -> Path:
    """A source whose whole seconds 1, 2, … begin with a click."""
    t = np.arange(seconds * rate)
    sound = np.where((t % rate < rate // 50) & (t >= rate), 0.8 * np.sin(t * 2 * np.pi * 1000 / rate), 0)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=10, options={"bf": "0"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = out.add_stream(codec, rate=rate)
        fifo = av.AudioFifo()
        form = {"aac": "fltp", "libopus": "flt", "pcm_s16le": "s16"}[codec]
        audio.codec_context.layout, audio.codec_context.format = "mono", form
        for i in range(seconds * 10):
            out.mux(video.encode(av.VideoFrame.from_ndarray(bars(), format="bgr24")))
            for start in range(i * rate // 10, (i + 1) * rate // 10, rate // 50):
                chunk = sound[None, start : start + rate // 50]
                chunk = (chunk * 32767).astype(np.int16) if form == "s16" else chunk.astype(np.float32)
                piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk), format=form, layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = rate, start, Fraction(1, rate)
                for whole in _of_size(piece, audio, fifo):
                    out.mux(audio.encode(whole))
        out.mux(video.encode(None))
        out.mux(audio.encode(None))
    return path


def _of_size(piece: av.AudioFrame, audio: av.AudioStream, fifo: av.AudioFifo) -> Sequence[av.AudioFrame]:
    """Frames of the size the encoder wants."""
    if not audio.codec_context.is_open:
        audio.codec_context.open()
    size = audio.codec_context.frame_size
    if not size:
        return [piece]
    fifo.write(piece)
    return fifo.read_many(size)


@pytest.mark.parametrize(
    ("codec", "source", "target", "copied"),
    [
        ("aac", "s.mp4", "a.mp4", True),
        ("aac", "s.mp4", "a.mkv", True),
        ("aac", "s.mp4", "a.webm", False),
        ("libopus", "s.webm", "a.webm", True),
        ("libopus", "s.mkv", "a.mp4", False),
        ("pcm_s16le", "s.mkv", "a.mp4", False),
        ("pcm_s16le", "s.mkv", "a.mkv", True),
        ("aac", "s.ts", "a.mp4", False),
    ],
)
def test_sound_stays_in_step(tmp_path: Path, codec: str, source: str, target: str, copied: bool) -> None:
    track = SoundTrack.find(make_source(tmp_path / source.replace("webm", "mkv"), codec))
    assert track is not None
    path = tmp_path / target
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(25):  # from half a second into the source; its clicks are at 1 and 2 s
        media_s = 0.5 + i / 10
        sink.show(frame(grey(255 if media_s in (1.0, 2.0) else 0), i, 0, media_s))
    assert sink._sound.copied == copied
    sink.close()
    times, pixels = pictures(path)
    flashes = [t for t, p in zip(times, pixels, strict=True) if p.mean() > 128]
    levels, end = loudness(path)
    clicks = [k / 100 for k in range(1, 300) if levels[k] > 0.2 and levels[max(0, k - 9) : k].max() <= 0.2]
    assert flashes == pytest.approx([0.5, 1.5], abs=0.002)
    assert clicks == pytest.approx(flashes, abs=0.03)
    assert 2.4 <= end <= 2.56


def test_a_loop_takes_its_sound_along(tmp_path: Path) -> None:
    track = SoundTrack.find(make_source(tmp_path / "s.mp4", "aac"))
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track)
    for i in range(38):
        at_s = i / 10
        sink.show_at(frame(grey(0), i, at_s, at_s % 1.5), round((at_s + 0.05) * 1e9))
    sink.close()
    levels, end = loudness(path)
    clicks = [k / 100 for k in range(1, 500) if levels[k] > 0.2 and levels[max(0, k - 9) : k].max() <= 0.2]
    assert clicks == pytest.approx([1.0, 2.5], abs=0.03)
    assert 3.7 <= end <= 3.86


def test_sound_that_ends_early_does_not_hold_the_pictures_back(tmp_path: Path) -> None:
    track = SoundTrack.find(make_source(tmp_path / "s.mp4", "aac", seconds=1))
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(60):
        sink.show(frame(grey(i), i, 0, i / 10))
    so_far = len(pictures(path)[0])
    sink.close()
    assert so_far >= 45
    assert len(pictures(path)[0]) == 60


def test_a_damaged_sound_track_leaves_the_pictures_alone(tmp_path: Path) -> None:
    source = make_source(tmp_path / "s.mkv", "pcm_s16le")
    track = SoundTrack.find(source)
    source.write_bytes(source.read_bytes()[:4000])
    path = tmp_path / "a.mp4"
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(20):
        sink.show(frame(grey(i), i, 0, i / 10))
    sink.close()
    assert len(pictures(path)[0]) == 20


def test_no_sound_track_where_there_is_none(tmp_path: Path) -> None:
    quiet = tmp_path / "q.mp4"
    sink = VideoFile(quiet, size=SIZE, rate_hz=30)
    sink.show(frame(bars(), 0, 0))
    sink.close()
    assert SoundTrack.find(quiet) is None
    assert SoundTrack.find(Path(__file__)) is None


def test_never_writes_over_its_own_source(tmp_path: Path) -> None:
    source = make_source(tmp_path / "s.mp4", "aac", seconds=1)
    with pytest.raises(ConfigError, match="the source itself"):
        VideoFile(source, size=SIZE, rate_hz=30, sound=SoundTrack(source))


@pytest.mark.parametrize(("target", "copied"), [("a.mp4", True), ("a.webm", False)])
def test_where_it_is_to_be_silent_it_is(tmp_path: Path, target: str, copied: bool) -> None:
    pressed = [False]
    track = SoundTrack.find(make_source(tmp_path / "s.mp4", "aac", seconds=5), lambda: pressed[0])
    path = tmp_path / target
    sink = VideoFile(path, size=SIZE, rate_hz=10, sound=track, pace="all")
    for i in range(45):  # clicks at 1, 2, 3 and 4 s
        pressed[0] = 15 <= i < 35
        sink.show(frame(grey(0), i, 0, i / 10))
    assert sink._sound.copied == copied
    sink.close()
    levels, end = loudness(path)
    clicks = [k / 100 for k in range(1, 500) if levels[k] > 0.2 and levels[max(0, k - 9) : k].max() <= 0.2]
    assert clicks == pytest.approx([1.0, 4.0], abs=0.03)
    assert levels[165:340].max() < 0.01
    assert 4.4 <= end <= 4.56


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


@pytest.mark.slow
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
    voice = filled(clicks([1.0, 2.0, 3.0], 4.0, 48_000), 48_000, START_S * NS)
    wanted = [0.025]
    video = VideoFile(tmp_path / "a.mkv", size=(64, 48), rate_hz=FPS, sound=VoiceTrack(voice, lambda: wanted[0]))
    for i in range(4 * FPS):
        wanted[0] = 0.050 if i > 62 else 0.030 if i > 37 else 0.025
        video.show_at(frame(grey(0), i, START_S + i / FPS), round((START_S + i / FPS + 0.01) * NS))
    video.close()
    assert found(tmp_path / "a.mkv")[1] == pytest.approx([1.025, 2.025, 3.050], abs=0.001)


COPIED, ANEW = True, False
KINDS = [
    # codec, container, rate, channels; copied into an .mp4, an .mkv, a .webm
    ("aac", ".mp4", 48_000, "stereo", (COPIED, COPIED, ANEW)),
    ("aac", ".mp4", 11_025, "mono", (COPIED, COPIED, ANEW)),
    ("aac", ".ts", 48_000, "stereo", (ANEW, ANEW, ANEW)),
    ("ac3", ".ts", 48_000, "5.1(side)", (COPIED, COPIED, ANEW)),
    ("eac3", ".mkv", 48_000, "5.1(side)", (COPIED, COPIED, ANEW)),
    ("libmp3lame", ".mp4", 44_100, "stereo", (COPIED, COPIED, ANEW)),
    ("libmp3lame", ".mkv", 22_050, "mono", (COPIED, COPIED, ANEW)),
    ("mp2", ".ts", 48_000, "stereo", (ANEW, COPIED, ANEW)),
    ("alac", ".mp4", 44_100, "stereo", (COPIED, COPIED, ANEW)),
    ("flac", ".mkv", 96_000, "stereo", (ANEW, COPIED, ANEW)),
    ("pcm_s16be", ".mov", 48_000, "stereo", (ANEW, COPIED, ANEW)),
    ("pcm_bluray", ".m2ts", 48_000, "stereo", (ANEW, ANEW, ANEW)),
    ("pcm_f32le", ".mkv", 8_000, "quad", (ANEW, COPIED, ANEW)),
    ("pcm_u8", ".avi", 11_025, "mono", (ANEW, COPIED, ANEW)),
    ("libopus", ".mkv", 48_000, "5.1", (ANEW, COPIED, COPIED)),
    ("vorbis", ".mkv", 44_100, "stereo", (ANEW, COPIED, COPIED)),
]


@pytest.mark.parametrize(("codec", "suffix", "rate", "layout", "copied"), KINDS, ids=[f"{k[0]}{k[1]}" for k in KINDS])
def test_what_a_container_carries_is_copied_and_all_else_encoded_anew(
    tmp_path: Path, codec: str, suffix: str, rate: int, layout: str, copied: tuple[bool, ...]
) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    source = film(tmp_path / f"s{suffix}", codec, rate=rate, layout=layout, seconds=0.8, beeps=(0.0, 0.4))
    for target, as_it_is in zip(SUFFIXES, copied, strict=True):
        path = tmp_path / f"a{target}"
        assert recorded_film(source, path)[0] == as_it_is, target
        heard_at, _ = heard(path)
        assert heard_at == pytest.approx(flashes(path), abs=0.025), target
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            assert "5.1" not in layout or stream.codec_context.layout.nb_channels == 6
            assert as_it_is or stream.codec_context.codec.canonical_name == ("opus" if target == ".webm" else "aac")


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize(
    ("codec", "suffix"), [("aac", ".mp4"), ("libmp3lame", ".mp4"), ("ac3", ".mkv"), ("flac", ".mkv")]
)
def test_sound_that_begins_late_or_ends_early_keeps_its_place(
    tmp_path: Path, codec: str, suffix: str, target: str
) -> None:
    path = tmp_path / f"a{target}"
    for sound, beeps in (((0.5, 1.6), [1.2]), ((0.0, 0.9), [0.4])):
        recorded_film(film(tmp_path / f"{sound[0]}{suffix}", codec, sound=sound), path)
        # An .mkv cannot begin before 0: there the run-up of the sound moves everything by as much.
        assert heard(path)[0] == pytest.approx(beeps, abs=0.03)
        assert flashes(path) == pytest.approx([0.4, 1.2], abs=0.03)


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["aac", "libmp3lame"])
def test_no_packet_of_copied_sound_is_lost_or_doubled(tmp_path: Path, codec: str, target: str) -> None:
    source, path = film(tmp_path / "s.mp4", codec), tmp_path / f"a{target}"
    assert recorded_film(source, path)[0]
    packets = []
    for file in (source, path):
        with av.open(str(file)) as container:
            packets.append([bytes(p) for p in container.demux(audio=0) if p.size])
    assert len(packets[0]) - 2 <= len(packets[1]) <= len(packets[0])  # the end of the sound may outlast the pictures
    assert packets[1] == packets[0][: len(packets[1])]
    assert heard(path)[0] == pytest.approx(flashes(path), abs=0.005)


def test_the_camcorder_from_the_field(shared: Path, tmp_path: Path) -> None:
    source = shared / "cases" / "camcorder_ac3.m2ts"
    if not source.exists():
        pytest.skip("the cases are not here")
    for target in SUFFIXES:
        path = tmp_path / f"a{target}"
        path.write_bytes(b"old")
        _, times = recorded_film(source, path)
        assert len(times) == len(pictures(path)[0]) == 20
        assert heard(path)[0] == pytest.approx([0.0], abs=0.01)

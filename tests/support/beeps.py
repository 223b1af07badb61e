"""Films whose pictures flash when their sound beeps; and what is seen and heard in a file."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from recordings import SIZE

from realtime.audio.audio_track import SoundTrack
from realtime.capture.recording import Recording
from realtime.output.video_file import VideoFile

FPS = 25


def film(
    path: Path,
    codec: str | None = "aac",
    *,
    seconds: float = 1.6,
    beeps: Sequence[float] = (0.4, 1.2),
    rate: int = 48_000,
    layout: str = "stereo",
    sound: tuple[float, float] | None = None,
    start_s: float = 0.0,
    tracks: Sequence[tuple[int, str]] = ((1000, ""),),
    options: dict[str, str] | None = None,
    gap: tuple[float, float] | None = None,
) -> Path:
    """A film that flashes and beeps at these times.

    `sound`: from when to when there is some. `tracks`: of each sound track, its pitch and its disposition. `start_s`:
    its first time stamp. `gap`: from which time on all time stamps are later, and by how much.
    """
    begin_s, end_s = sound or (0.0, seconds)

    def stamped(at_s: float) -> float:
        return at_s + start_s + (gap[1] if gap and at_s >= gap[0] else 0.0)

    with av.open(str(path), "w", options=options or {}) as out:
        video = out.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, FPS if path.suffix == ".avi" else 90_000)
        video.codec_context.max_b_frames = 0
        sounds = []
        for hertz, disposition in tracks if codec else ():
            stream = out.add_stream(codec, rate=rate, options={"strict": "-2"})
            context = stream.codec_context
            context.layout, context.format = layout, av.Codec(codec, "w").audio_formats[0]
            context.bit_rate = 64_000 * av.AudioLayout(layout).nb_channels
            if disposition:
                stream.disposition = av.stream.Disposition[disposition]
            context.open()
            t = np.arange(round(begin_s * rate), round(end_s * rate)) / rate
            loud = np.any([(t >= at) & (t < at + 0.06) for at in beeps], axis=0) if beeps else np.zeros(len(t), bool)
            wave = np.where(loud, 0.6 * np.sin(2 * np.pi * hertz * t), 0).astype(np.float32)
            sounds.append(
                (stream, wave, context.frame_size or 1024, av.AudioResampler(context.format, layout, rate), [0])
            )
        for i in range(round(seconds * FPS)):
            at_s = i / FPS
            level = 235 if any(-1e-6 <= at_s - at < 0.06 for at in beeps) else 20
            picture = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), level, np.uint8), format="bgr24")
            ticks_hz = video.codec_context.time_base.denominator
            picture.pts, picture.time_base = round(stamped(at_s) * ticks_hz), Fraction(1, ticks_hz)
            out.mux(video.encode(picture))
            for stream, wave, size, resampler, sent in sounds:
                while sent[0] < len(wave) and begin_s + sent[0] / rate < at_s + 1 / FPS:
                    part = np.tile(wave[sent[0] : sent[0] + size], (av.AudioLayout(layout).nb_channels, 1))
                    piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", layout)
                    piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
                    first_s = begin_s + sent[0] / rate
                    piece.pts = round(stamped(first_s) * rate)
                    for coded in resampler.resample(piece):
                        coded.pts, coded.time_base = piece.pts, Fraction(1, rate)
                        out.mux(stream.encode(coded))
                    sent[0] += size
        out.mux(video.encode(None))
        for stream, *_ in sounds:
            out.mux(stream.encode(None))
    return path


def recorded(source: Path, path: Path, *, laps: int = 1) -> tuple[bool, list[float]]:
    """Copy a film as a run of `--pace all` does; gives whether its sound was copied, and its pictures' times."""
    clip = Recording(source)
    sink = VideoFile(path, size=clip.size, rate_hz=clip.rate_hz, sound=SoundTrack.of(clip), pace="all")
    copied, times = False, []
    for lap in range(laps):
        if lap:
            clip.rewind()
        while (frame := clip.read()) is not None:
            times.append(frame.media_s)
            sink.show(frame)
            copied = sink._sound is not None and getattr(sink._sound, "copied", False)
    sink.close()
    clip.close()
    return copied, times


def flashes(path: Path) -> list[float]:
    """When the pictures turn bright."""
    with av.open(str(path)) as container:
        seen = [(float(f.time), f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    return [t for i, (t, level) in enumerate(seen) if level > 128 and (not i or seen[i - 1][1] <= 128)]


def heard(path: Path) -> tuple[list[float], float]:
    """When the sound begins to beep, and its pitch; times as the file stamps them."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=48_000)
    pieces = [piece for frame in [*frames, None] for piece in resampler.resample(frame)]
    times, levels, next_s = [], [], 0.0
    for piece in pieces:
        samples = piece.to_ndarray()[0]
        start_s = next_s if piece.pts is None else float(piece.pts * piece.time_base)
        times.append(start_s + np.arange(len(samples)) / 48_000)
        levels.append(samples)
        next_s = start_s + len(samples) / 48_000
    at, samples = np.concatenate(times), np.concatenate(levels)
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    if not len(loud):
        return [], 0.0
    firsts = loud[np.concatenate([[True], np.diff(at[loud]) > 0.1])]
    start = firsts[0]
    crossings = np.count_nonzero(np.diff(np.signbit(samples[start : start + 1920])))
    return [float(at[i]) for i in firsts], crossings / 2 / 0.04

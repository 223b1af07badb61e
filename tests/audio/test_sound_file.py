"""Sound out of files: every format, rate and layout; and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from sounds import clicks, onsets, tone, whole_sound, write_sound

from realtime.audio.sound_file import SoundFile
from realtime.errors import ConfigError
from realtime.frame import Floats

RATE = 48_000
# suffix, codec, sample format, rate; the worst difference to what was written, None where the codec loses some
FORMS: list[tuple[str, str, str, int, float | None]] = [
    (".wav", "pcm_u8", "u8", 8_000, 0.01),
    (".wav", "pcm_s16le", "s16", 16_000, 1e-4),
    (".wav", "pcm_s32le", "s32", 96_000, 1e-6),
    (".wav", "pcm_f32le", "flt", 192_000, 1e-6),
    (".wav", "pcm_f64le", "dbl", 44_100, 1e-6),
    (".flac", "flac", "s16", 44_100, 1e-4),
    (".mka", "libopus", "flt", 48_000, None),
    (".m4a", "aac", "fltp", 48_000, None),
    (".mp3", "libmp3lame", "fltp", 22_050, None),
]


def likeness(found: Floats, made: Floats) -> tuple[float, int]:
    """The best correlation, and at which shift in samples."""
    n = len(found) + len(made)
    product = np.fft.irfft(np.fft.rfft(found, n) * np.conj(np.fft.rfft(made, n)), n)
    at = int(product.argmax())
    best = float(product[at] / (np.linalg.norm(found) * np.linalg.norm(made)))
    return best, at if at < n // 2 else at - n


@pytest.mark.parametrize(("suffix", "codec", "form", "rate_hz", "off"), FORMS, ids=[f[1] for f in FORMS])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_every_form_gives_the_same_mono(
    tmp_path: Path, suffix: str, codec: str, form: str, rate_hz: int, off: float | None, layout: str
) -> None:
    t = np.arange(rate_hz // 2) / rate_hz
    made = (0.4 * np.sin(2 * np.pi * (300 * t + 1200 * t * t))).astype(np.float32)
    channels = [made] if layout == "mono" else [made * 1.5, made * 0.5]
    path = write_sound(tmp_path / f"a{suffix}", channels, rate_hz, codec=codec, form=form, layout=layout)
    source = SoundFile(path)
    blocks = list(iter(source.read, None))
    source.close()
    source.close()
    assert {block.rate_hz for block in blocks} == {rate_hz}
    found = np.concatenate([block.samples for block in blocks])
    if off is not None:
        assert len(found) == len(made)
        assert np.abs(found - made).max() < off
        assert blocks[0].start_ns == 0
    else:
        best, shift = likeness(found, made)
        assert best > 0.98
        assert abs(blocks[0].start_ns / 1e9 + shift / rate_hz) < 0.002


def test_of_surround_the_centre_speaks(tmp_path: Path) -> None:
    voice, silent = tone(440, 0.2, RATE), np.zeros(round(0.2 * RATE), np.float32)
    bed = [silent, silent, voice, tone(40, 0.2, RATE), silent, silent]  # FL FR FC LFE BL BR
    found, rate_hz = whole_sound(write_sound(tmp_path / "a.wav", bed, RATE, layout="5.1"))
    assert rate_hz == RATE
    share = float(found[2000] / voice[2000])
    np.testing.assert_allclose(found, voice * share, atol=1e-4)
    assert 0.25 < share < 0.5


def test_a_video_s_sound_keeps_its_place(tmp_path: Path) -> None:
    path = write_sound(
        tmp_path / "a.mkv", [clicks([0.5, 1.5], 2.0, RATE)], RATE, codec="flac", form="s16", start_s=0.25
    )
    source = SoundFile(path)
    blocks = list(iter(source.read, None))
    source.close()
    # The file's time counts from its own start, 0.25 s.
    assert blocks[0].start_ns == pytest.approx(0, abs=2e6)
    found = np.concatenate([block.samples for block in blocks])
    assert onsets(found, RATE) == pytest.approx([0.5, 1.5], abs=0.002)


def test_reading_ends_when_unblocked(tmp_path: Path) -> None:
    source = SoundFile(write_sound(tmp_path / "a.wav", [tone(440, 1, RATE)], RATE))
    assert source.name == "a.wav"
    assert source.read() is not None
    source.unblock()
    assert source.read() is None
    source.close()


def _silent_video(path: Path) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        out.mux(stream.encode(None))


def test_what_is_no_sound_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound at all\n" * 100, encoding="utf-8")
    whole = write_sound(tmp_path / "whole.wav", [tone(440, 1, RATE)], RATE).read_bytes()
    (tmp_path / "head.wav").write_bytes(whole[:40])
    _silent_video(tmp_path / "silent.mp4")
    cases = {
        "absent.wav": "there is no file",
        "empty.wav": "is empty",
        "text.wav": "is not a sound or video",
        "silent.mp4": "has no sound in it",
        "head.wav": "head.wav",
        ".": "is a folder",
    }
    for name, says in cases.items():
        with pytest.raises(ConfigError) as refused:
            SoundFile(tmp_path / name)
        line = str(refused.value)
        assert says in line
        assert "\n" not in line


def test_a_damaged_file_gives_what_it_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_sound(tmp_path / "a.mp3", [tone(440, 2, RATE)], RATE, codec="libmp3lame", form="fltp")
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2):
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))
    source = SoundFile(path)
    count = sum(len(block.samples) for block in iter(source.read, None))
    assert source.read() is None
    source.close()
    assert RATE < count < 2 * RATE
    assert source.broken > 0
    assert sum("is damaged" in record.getMessage() for record in caplog.records) == 1

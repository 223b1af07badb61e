"""Sound out of files: every format, rate and layout; in real time; and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from fakes import TurnedClock
from sounds import NS, clicks, onsets, tone, whole_sound, write_sound

from realtime.audio.sound_file import PacedSound, SoundFile, to_mono, weights
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "a.wav", [tone(440, 0.5, 16_000)], 16_000)


def test_a_block_comes_when_its_last_sample_is_due(path: Path) -> None:
    clock = TurnedClock()
    source = PacedSound(lambda: SoundFile(path), clock=clock, wait=clock.wait)
    count = 0
    while (block := source.read()) is not None:
        assert block.start_ns == 100 * NS + count * NS // 16_000
        count += len(block.samples)
        assert clock.now == pytest.approx(block.end_ns, abs=2)
    assert count == 8000
    assert (source.name, source.state, source.live) == ("a.wav", "ok", True)
    source.close()
    source.close()


def test_a_loop_goes_on_without_a_gap(path: Path) -> None:
    clock = TurnedClock()
    source = PacedSound(lambda: SoundFile(path), loop=True, clock=clock, wait=clock.wait)
    end_ns = None
    for _ in range(30):
        block = source.read()
        assert end_ns is None or block.start_ns == pytest.approx(end_ns, abs=2)
        end_ns = block.end_ns
    assert clock.now > 101 * NS
    source.close()


SURROUND = ["FL", "FR", "FC", "LFE", "BL", "BR"]


def test_two_channels_are_averaged() -> None:
    both = np.array([[1.0, 0.5, 0.0], [0.0, 0.5, -1.0]], np.float32)
    np.testing.assert_array_equal(to_mono(both, ["FL", "FR"]), np.array([0.5, 0.5, -0.5], np.float32))


def test_one_channel_is_itself() -> None:
    one = np.array([[0.1, -0.2]], np.float32)
    np.testing.assert_array_equal(to_mono(one, ["FC"]), one[0])


def test_of_a_surround_bed_the_centre_counts_most_and_the_effects_not() -> None:
    share = dict(zip(SURROUND, weights(SURROUND), strict=True))
    assert share["FC"] == max(share.values())
    assert share["LFE"] == 0
    assert share["FL"] == share["FR"] > share["BL"] == share["BR"] > 0
    assert sum(share.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [["LFE", "LFE2", "LFE"], ["X1", "X2", "X3", "X4"], ["FL"]])
def test_full_scale_stays_full_scale_whatever_the_channels(names: list[str]) -> None:
    ones = np.ones((len(names), 5), np.float32)
    np.testing.assert_allclose(to_mono(ones, names), 1.0, atol=1e-6)

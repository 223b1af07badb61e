"""Files whose clocks jump, and files with several streams: which pictures and which sound, and when."""

from pathlib import Path

import av
import numpy as np
import pytest
from beeps import film, flashes, heard, recorded
from sounds import whole_sound

from realtime.audio.sound_file import SoundFile
from realtime.capture.media_file import Joints, MediaFile
from realtime.capture.recording import Recording
from realtime.errors import ConfigError

LAP_S = 1.6
WRAP_S = 2**33 / 90_000  # where the clock of MPEG-TS begins again


def joined(folder: Path, starts: tuple[float, ...], codec: str = "aac") -> Path:
    """Films end to end, as `cat` joins them, whose clocks begin at `starts`."""
    parts = [film(folder / f"{i}.ts", codec, start_s=start_s).read_bytes() for i, start_s in enumerate(starts)]
    path = folder / "joined.ts"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize(
    "starts",
    [(0, 0), (0, 7200), (7200, 0), (90_000, 0, 7200), (WRAP_S - 2.2,)],
    ids=["begins again", "hours on", "hours back", "all of it", "wraps around"],
)
def test_where_the_clock_jumps_pictures_and_sound_stay_together(tmp_path: Path, starts: tuple[float, ...]) -> None:
    source, path = joined(tmp_path, starts), tmp_path / "a.mkv"
    _, times = recorded(source, path)
    assert len(times) == 40 * len(starts)
    assert np.diff(times).min() > 0.03
    assert np.diff(times).max() < 0.1
    true = [lap * LAP_S + at for lap in range(len(starts)) for at in (0.4, 1.2)]
    assert flashes(path) == pytest.approx(true, abs=0.04 * len(starts))
    assert heard(path)[0] == pytest.approx(flashes(path), abs=0.012)
    voice = SoundFile(source)
    blocks = list(iter(voice.read, None))
    assert voice.duration_s == pytest.approx(LAP_S * len(starts), abs=0.05 * len(starts))
    voice.close()
    assert blocks[-1].end_ns / 1e9 == pytest.approx(LAP_S * len(starts), abs=0.05 * len(starts))


def test_a_joined_file_begins_again_at_its_very_start(tmp_path: Path) -> None:
    source, path = joined(tmp_path, (0, 0)), tmp_path / "a.mkv"
    _, times = recorded(source, path, laps=2)
    assert len(times) == 160
    assert times[80:] == pytest.approx(times[:80])
    assert len(flashes(path)) == 8
    assert heard(path)[0] == pytest.approx(flashes(path), abs=0.012)


def test_a_part_without_sound_is_silent_and_no_more(tmp_path: Path) -> None:
    mute, loud = film(tmp_path / "m.ts", None), film(tmp_path / "l.ts")
    source, path = tmp_path / "joined.ts", tmp_path / "a.mp4"
    source.write_bytes(mute.read_bytes() + loud.read_bytes())
    recorded(source, path)
    assert heard(path)[0] == pytest.approx(flashes(path)[2:], abs=0.012)


def test_a_pause_is_kept_and_hours_are_not(tmp_path: Path) -> None:
    for gap_s, kept_s in ((1.0, 2.2), (7200.0, 1.2)):
        path = tmp_path / "a.mp4"
        recorded(film(tmp_path / f"{gap_s}.mkv", gap=(0.8, gap_s)), path)
        assert flashes(path) == pytest.approx([0.4, kept_s], abs=0.04)
        assert heard(path)[0] == pytest.approx(flashes(path), abs=0.012)


def test_what_an_edit_list_cuts_away_is_neither_seen_nor_heard(tmp_path: Path) -> None:
    source, cut, path = film(tmp_path / "s.mp4", beeps=(0.2, 0.8, 1.2)), tmp_path / "cut.mp4", tmp_path / "a.mp4"
    with av.open(str(source)) as whole, av.open(str(cut), "w") as out:
        streams = [out.add_stream_from_template(stream) for stream in whole.streams]
        for packet in whole.demux():
            if packet.dts is not None and packet.pts is not None:
                ticks = round(0.48 / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    _, times = recorded(cut, path)
    assert times[0] == 0.0
    assert flashes(path) == pytest.approx([0.32, 0.72], abs=0.04)
    assert heard(path)[0] == pytest.approx(flashes(path), abs=0.025)


def test_sound_that_nobody_decodes_is_left_out_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = film(tmp_path / "s.mkv", seconds=0.4)
    source.write_bytes(source.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    recorded(source, tmp_path / "a.mp4")
    assert [record.message for record in caplog.records] == ["the sound of s.mkv cannot be decoded, and is left out"]
    with pytest.raises(ConfigError, match="no sound in it that can be decoded"):
        SoundFile(source)


def test_joints_move_all_streams_of_a_part_alike() -> None:
    joints = Joints(10.0, 0.1, 10.0)
    picture, sound = 0, 1
    for i in range(10):
        assert joints.shift_s(picture, 10.0 + i, 10.0 + i, 1.0) == 0.0
    assert joints.shift_s(picture, 10.0, 10.0, 1.0) == 10.0  # begun anew, behind 20
    assert joints.shift_s(sound, 19.5, 19.5, 0.5) == 0.0  # still of the first part
    assert joints.shift_s(sound, 10.0, 10.0, 0.5) == 10.0
    assert joints.shift_s(picture, None, 11.0, 1.0) == 10.0  # without a decoding time
    assert joints.joined
    assert joints.end_s == 22.0


@pytest.mark.parametrize(
    ("tracks", "hertz"),
    [
        (((500, ""), (2000, "default")), 2000),
        (((500, "default"), (2000, "comment")), 500),
        (((500, ""), (2000, "")), 500),
        (((500, "comment"), (2000, "")), 2000),
        (((500, "visual_impaired"), (2000, "")), 2000),
    ],
)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_default_sound_is_taken(tmp_path: Path, suffix: str, tracks: list[tuple[int, str]], hertz: int) -> None:
    if suffix == ".mp4" and "default" not in dict(tracks).values() and len({d for _, d in tracks}) > 1:
        pytest.skip("an .mp4 calls its first track the default one")
    source, path = film(tmp_path / f"s{suffix}", tracks=tracks, seconds=0.6, beeps=(0.2,)), tmp_path / "a.mp4"
    recorded(source, path)
    assert heard(path)[1] == pytest.approx(hertz, rel=0.05)
    samples, rate_hz = whole_sound(source)
    loud = samples[round(0.21 * rate_hz) : round(0.25 * rate_hz)]
    assert np.count_nonzero(np.diff(np.signbit(loud))) / 2 / 0.04 == pytest.approx(hertz, rel=0.06)


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as out:
        sound, cover = out.add_stream("libmp3lame", rate=48_000), out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="bgr24")))
        for i in range(10):
            piece = av.AudioFrame.from_ndarray(np.zeros((2, 1152), np.int16), "s16p", "stereo")
            piece.sample_rate, piece.pts = 48_000, i * 1152
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
    media = MediaFile(path)
    assert len(media.container.streams.video) == 1
    assert (media.pictures, media.sound is not None) == (None, True)
    media.close()
    with pytest.raises(ConfigError, match="only sound"):
        Recording(path)
    assert len(whole_sound(path)[0]) > 9 * 1152


def test_the_joined_recording_from_the_field(shared: Path, tmp_path: Path) -> None:
    source, path = shared / "cases" / "joined_clock.ts", tmp_path / "a.mp4"
    if not source.exists():
        pytest.skip("the cases are not here")
    _, times = recorded(source, path)
    assert len(times) == 60
    assert heard(path)[0] == pytest.approx([0.0, 1.0, 1.2, 2.2], abs=0.04)
    voice = SoundFile(source)
    assert list(iter(voice.read, None))[-1].end_ns / 1e9 == pytest.approx(2.4, abs=0.1)
    voice.close()

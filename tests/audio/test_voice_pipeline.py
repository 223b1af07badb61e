"""`--sound` as one object: a file beside the pictures, a microphone, and a virtual one, in a crew's threads."""

from pathlib import Path

import numpy as np
import pytest
from sounds import NS, Devices, FakeInput, FakeOutput, clicks, noise, tone, write_sound

from realtime.audio.audio_track import SoundTrack, VoiceTrack
from realtime.audio.mel import LOOK_AHEAD_S
from realtime.audio.microphone import Microphone
from realtime.audio.sound_devices import full_name, has_sound_server, how_to_get_one
from realtime.audio.sound_file import PacedSound
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.vad import NoVad
from realtime.audio.voice_pipeline import check_sound, open_sound, open_voice
from realtime.errors import ConfigError, DeviceError
from realtime.threads import Crew


class Closing(NoVad):
    """Counts its closings."""

    closed = 0

    def close(self) -> None:
        type(self).closed += 1


def a_voice(exact: bool) -> SpeechBuffer:
    return SpeechBuffer(Closing(), exact=exact)


@pytest.fixture(autouse=True)
def _counted() -> None:
    Closing.closed = 0


def test_a_file_goes_along_with_the_pictures(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [clicks([1.0], 2.0, 48_000)], 48_000)
    pipeline = open_voice(str(path), along_with_media=True, make_voice=a_voice)
    assert isinstance(pipeline.track, SoundTrack)
    assert pipeline.works == ()
    assert pipeline.speech.by_media
    assert pipeline.speech(NS).mel[:, 0].mean() > pipeline.speech(round(1.2 * NS)).mel[:, 0].mean()
    assert (pipeline.state, pipeline.report()) == ("ok", {"state": "ok", "delay_s": 0.0})
    pipeline.close()
    pipeline.close()
    assert Closing.closed == 1


def test_a_microphone_listens_and_speaks_in_threads_of_its_own() -> None:
    mic = FakeInput([noise(0.02, 48_000, 0.1, i) for i in range(100)])
    out = FakeOutput()
    pipeline = open_voice(
        "mic",
        along_with_media=True,
        virtual_microphone=True,
        make_voice=a_voice,
        open_input=Devices(mic),
        open_output=lambda: out,
    )
    assert isinstance(pipeline.track, VoiceTrack)
    assert not pipeline.speech.by_media
    assert [work.name for work in pipeline.works] == ["listen", "speak"]
    voice = pipeline.track.voice
    with Crew() as crew:
        for work in pipeline.works:
            crew.start(work.name, work.do, work.unblock)
        assert mic.gone.wait(60.0)  # all was read, and the device is waited for
        assert out.begun.wait(60.0)
        assert pipeline.state == "fake microphone is gone: waiting for it"
        crew.stop()
    assert voice.snapshot.pieces
    told = pipeline.report()
    assert told["delay_s"] > LOOK_AHEAD_S
    stream = {"state", "delay_s", "live", "late", "gaps", "missing_s", "clipped", "broken"}
    assert set(told) == {*stream, "spoken_delay_s", "lost", "dry"}
    pipeline.close()
    assert (Closing.closed, out.closed) == (1, 1)


def test_a_file_beside_a_live_picture_is_spoken_in_real_time(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [noise(0.1, 16_000)], 16_000)
    pipeline = open_voice(str(path), along_with_media=False, make_voice=a_voice)
    assert isinstance(pipeline.track, VoiceTrack)
    (work,) = pipeline.works
    work.do()  # a tenth of a second
    assert pipeline.track.voice.snapshot.ended
    np.testing.assert_array_equal(pipeline.speech(0).mel.shape, (80, 16))
    pipeline.close()


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    mic = FakeInput([])

    def no_cable() -> FakeOutput:
        raise DeviceError("no virtual microphone")

    with pytest.raises(DeviceError, match="no virtual microphone"):
        open_voice(
            "mic",
            along_with_media=False,
            virtual_microphone=True,
            make_voice=a_voice,
            open_input=Devices(mic),
            open_output=no_cable,
        )
    assert (mic.closed, Closing.closed) == (1, 1)
    with pytest.raises(ConfigError):
        open_voice(str(tmp_path / "nothing.wav"), along_with_media=True, make_voice=a_voice)


@pytest.mark.parametrize("lips", [True, False])
def test_a_call_hears_the_voice_as_late_as_it_sees_the_picture(lips: bool) -> None:
    pipeline = open_voice(
        "mic",
        along_with_media=False,
        virtual_microphone=True,
        lips=lips,
        latency_s=lambda: 0.1,
        age_s=lambda: 0.025,
        make_voice=a_voice,
        open_input=Devices(FakeInput([])),
        open_output=FakeOutput,
    )
    told = pipeline.report()
    assert told["delay_s"] == (pytest.approx(LOOK_AHEAD_S + 0.06) if lips else 0.0)
    # A recording has the time of capture: its sound waits for the look ahead, and for what a picture is older.
    assert isinstance(pipeline.track, VoiceTrack)
    assert pipeline.track.delay_s() == told["delay_s"] + 0.025
    assert told["spoken_delay_s"] == pytest.approx(pipeline.track.delay_s() + 0.1)
    pipeline.close()


def test_it_is_over_when_the_last_sound_was_seen(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [noise(0.5, 16_000)], 16_000)
    for along in (True, False):
        pipeline = open_voice(str(path), along_with_media=along, make_voice=a_voice)
        assert not pipeline.over(10 * NS)  # nobody has listened yet
        for work in pipeline.works:
            work.do()
        pipeline.speech(NS // 2 if along else pipeline.speech.voice.snapshot.zero_ns)
        end_ns = pipeline.speech.voice.snapshot.sound_until_ns + round(pipeline.speech.delay_s * NS)
        assert not pipeline.over(end_ns - NS // 20)
        assert pipeline.over(end_ns + 1)
        pipeline.close()


def test_only_a_live_voice_can_be_overheard() -> None:
    live = open_voice(
        "mic",
        along_with_media=False,
        latency_s=lambda: 0.04,
        make_voice=a_voice,
        open_input=lambda name: FakeInput([]),
    )
    overheard = live.overhear()
    assert overheard.delay_s == pytest.approx(live.speech.delay_s + 0.04)
    assert live.overhear() is not overheard
    assert live.report()["live"] is True
    live.close()


def test_a_microphone_by_name_or_any() -> None:
    devices = Devices(FakeInput([tone(1, 0.1, 48_000)]), FakeInput([]))
    for spec in ("mic", "mic:usb"):
        source = open_sound(spec, open_input=devices)
        assert isinstance(source, Microphone)
        source.close()
    assert devices.asked == [None, "usb"]


def test_a_file_is_spoken_in_real_time(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", [tone(440, 0.2, 16_000)], 16_000)
    source = open_sound(str(path))
    assert isinstance(source, PacedSound)
    assert source.live
    source.close()
    check_sound(str(path))


@pytest.mark.parametrize("spec", ["", "mic:", "nowhere.wav"])
def test_what_is_no_sound_is_refused_before_anything_is_opened(spec: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_sound(spec)
    assert "\n" not in str(refused.value)


def test_a_part_of_a_name_is_enough_where_it_is_clear() -> None:
    known = ["alsa_input.usb-Blue_Yeti", "alsa_input.pci-0000"]
    assert full_name(None, known) is None
    assert full_name("yeti", known) == known[0]
    assert full_name(known[1], known) == known[1]
    with pytest.raises(DeviceError, match="not clear"):
        full_name("alsa", known)
    with pytest.raises(DeviceError, match="not there: known are alsa_input"):
        full_name("rode", known)


def test_where_the_server_s_tools_are_missing_it_is_not_asked() -> None:
    assert has_sound_server(lambda tool: "/usr/bin/" + tool, "linux")
    assert not has_sound_server(lambda tool: None, "linux")
    assert not has_sound_server(lambda tool: "/usr/bin/" + tool, "darwin")


@pytest.mark.parametrize(
    ("platform", "says"), [("linux", "pulseaudio-utils"), ("darwin", "blackhole"), ("win32", "CABLE")]
)
def test_what_to_install_for_a_virtual_microphone(platform: str, says: str) -> None:
    assert says in how_to_get_one(platform)

"""From `--sound` to a source, and what is said where there is none."""

from pathlib import Path

import pytest
from sounds import Devices, FakeInput, tone, write_sound

from realtime.audio.microphone import Microphone
from realtime.audio.sound_devices import full_name, has_sound_server, how_to_get_one
from realtime.audio.sound_file import PacedSound
from realtime.audio.voice_pipeline import check_sound, open_sound
from realtime.errors import ConfigError, DeviceError


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

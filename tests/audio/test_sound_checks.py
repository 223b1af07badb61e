"""What `doctor` says about sound."""

from realtime.audio.sound_devices import microphone_lines, sound_checks
from realtime.errors import DeviceError


def no_server() -> list[str]:
    raise DeviceError("pactl is missing: sudo apt install pulseaudio-utils")


def no_cable() -> str | None:
    raise DeviceError("the sound devices can't be asked: restart the sound system")


def test_all_is_well() -> None:
    found = list(sound_checks(lambda: ["usb", "built in"], lambda: "BlackHole 2ch"))
    assert found == [
        ("microphone: usb, built in", None),
        ("virtual microphone: BlackHole 2ch", None),
        ("voice detection", None),
    ]


def test_what_is_missing_is_said_with_how_to_mend_it() -> None:
    for microphones, cable, says in (
        (no_server, no_cable, ("pulseaudio-utils", "restart")),
        (lambda: [], lambda: None, ("--sound FILE", "no virtual microphone")),
    ):
        found = list(sound_checks(microphones, cable))
        assert [mend is None for _, mend in found] == [False, False, True]
        for (_, mend), word in zip(found, says, strict=False):
            assert mend is not None
            assert word in mend
            assert "\n" not in mend


def test_on_this_machine_asking_never_fails() -> None:
    assert len(list(sound_checks())) == 3
    assert microphone_lines()

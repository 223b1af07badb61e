"""What a live run gets for its page: a recorder, a virtual camera with a switch, a source that can change."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from realtime.audio.microphone import ChosenMicrophone
from realtime.audio.open_sound import is_microphone, open_microphone
from realtime.audio.voice_pipeline import OpenSpeaker
from realtime.capture.switched import Switched
from realtime.config import RunConfig
from realtime.errors import DeviceError
from realtime.output.open_sink import wants_page
from realtime.output.recorder import Recorder
from realtime.output.sink import Sink
from realtime.output.video_file import CONTAINERS
from realtime.output.virtual_camera import CameraSwitch, VirtualCamera
from realtime.web.live_devices import LiveDevices
from realtime.web.server import Panel


def with_controls(
    panel: Panel,
    sinks: Sequence[Sink],
    open_sink: Callable[[str], Sink],
    source: Switched | None,
    microphone: ChosenMicrophone | None,
    lost: Callable[[DeviceError], None],
) -> list[Sink]:
    """The sinks of a run, and those that its page can switch, which the panel is told of.

    `open_sink` opens what an `--output` names, `source` and `microphone` are what can change, and `lost` gets the
    error of a virtual camera that fails.
    """
    recorder = Recorder(lambda path: open_sink(str(path)))
    camera = next((sink for sink in sinks if isinstance(sink, VirtualCamera)), None)
    switch = CameraSwitch(lambda: open_sink("camera"), camera, lost)
    files = [sink.name for sink in sinks if Path(sink.name).suffix.lower() in CONTAINERS]

    def busy() -> str | None:
        made = recorder.recording or next(iter(files), None)
        return None if made is None else f"{made} is being recorded, and has this source's sound: stop it first"

    panel.recorder, panel.devices = recorder, LiveDevices(source, switch, microphone, busy)
    return [*(sink for sink in sinks if sink is not camera), switch, recorder]


def chosen_microphone(config: RunConfig, open_speaker: OpenSpeaker) -> tuple[ChosenMicrophone | None, OpenSpeaker]:
    """For a run with a microphone and a page: the one it listens to, None else, and what opens its voice with it."""
    if config.sound is None or not is_microphone(config.sound) or not wants_page(config.output):
        return None, open_speaker
    microphone = ChosenMicrophone(open_microphone)
    return microphone, partial(open_speaker, open_input=microphone.open)

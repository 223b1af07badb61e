"""What can be changed of a live run's devices while it goes on: source, virtual camera, microphone, recording."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from realtime.audio.microphone import SelectableMicrophone
from realtime.audio.sound_devices import open_microphone
from realtime.audio.voice_pipeline import OpenSpeaker, is_microphone
from realtime.capture.open_source import open_source
from realtime.capture.source import Source
from realtime.capture.switched import Choice, Switched
from realtime.clock import Clock
from realtime.config import RunConfig
from realtime.errors import DeviceError
from realtime.output.recorder import Recorder
from realtime.output.sink import Sink
from realtime.output.video_file import CONTAINERS
from realtime.output.virtual_camera import CameraSwitch, VirtualCamera
from realtime.pipeline.av_sync import AvPlan


@dataclass(frozen=True, slots=True)
class Switches:
    """The switches of one run. `source` and `microphone` are None where they are fixed.

    `busy` says why the source may not change now, None where it may.
    """

    source: Switched | None
    camera: CameraSwitch
    microphone: SelectableMicrophone | None
    recorder: Recorder
    busy: Callable[[], str | None]


def with_switches(
    sinks: Sequence[Sink],
    open_sink: Callable[[str], Sink],
    source: Switched | None,
    microphone: SelectableMicrophone | None,
    lost: Callable[[DeviceError], None],
) -> tuple[list[Sink], Switches]:
    """The sinks of a run with a recorder and with a virtual camera that can be switched, and these switches.

    `open_sink` opens what an `--output` names; `lost` gets the error of a virtual camera that fails.
    """
    recorder = Recorder(lambda path: open_sink(str(path)))
    camera = next((sink for sink in sinks if isinstance(sink, VirtualCamera)), None)
    switch = CameraSwitch(lambda: open_sink("camera"), camera, lost)
    files = [sink.name for sink in sinks if Path(sink.name).suffix.lower() in CONTAINERS]

    def busy() -> str | None:
        made = recorder.recording or next(iter(files), None)
        return None if made is None else f"{made} is being recorded, and has this source's sound: stop it first"

    others = [sink for sink in sinks if sink is not camera]
    return [*others, switch, recorder], Switches(source, switch, microphone, recorder, busy)


def chosen_microphone(config: RunConfig, open_speaker: OpenSpeaker) -> tuple[SelectableMicrophone | None, OpenSpeaker]:
    """The microphone of a live run that can be changed, None without one, and what opens its voice with it."""
    if config.sound is None or not is_microphone(config.sound):
        return None, open_speaker
    microphone = SelectableMicrophone(open_microphone)
    return microphone, partial(open_speaker, open_input=microphone.open)


def switchable(source: Source, config: RunConfig, plan: AvPlan, clock: Clock) -> Switched | None:
    """The source of a live run, so that it can change; None where a voice or a still picture sets the beat."""
    along = config.sound is not None and not is_microphone(config.sound)
    if plan.pace != "live" or plan.still or along:
        return None

    def open_one(choice: Choice) -> Source:
        return open_source(choice.address, size=choice.size, fps=config.fps, clock=clock, pace="live", loop=config.loop)

    return Switched(source, Choice(plan.source, config.size), open_one)

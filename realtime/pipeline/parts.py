"""Opens everything that a run is made of, in order, and closes it in reverse."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from realtime import __version__
from realtime.audio.audio_track import SoundTrack
from realtime.audio.microphone import SelectableMicrophone
from realtime.audio.sound_devices import open_microphone
from realtime.audio.voice_pipeline import OpenVoice, VoicePipeline, is_microphone, open_voice
from realtime.capture.open_source import open_source
from realtime.capture.source import Source
from realtime.capture.wrappers import MediaLimit, SourceSpec, SwitchableSource, Until
from realtime.clock import Clock, now_ns
from realtime.config import RunConfig, Settings
from realtime.errors import DeviceError
from realtime.families.effect import Effect
from realtime.files import check_output
from realtime.inference.providers import why_not
from realtime.models.library import face_folder
from realtime.output.disclosure import metadata
from realtime.output.motion_file import MotionRecorder
from realtime.output.open_sink import check_specs, open_sinks, wants_page
from realtime.output.recorder import Recorder
from realtime.output.sink import Sink
from realtime.output.video_file import CONTAINERS
from realtime.output.virtual_camera import CameraSwitch, VirtualCamera
from realtime.pipeline.active_identity import ActiveIdentity, IdentitySwitch, Selection, open_effect
from realtime.pipeline.av_sync import AvPlan, latency_s, open_pictures, picture_age_s, plan_av, start_settings
from realtime.pipeline.engine import FaceFinder
from realtime.pipeline.fallback import Fallback, check_allowed
from realtime.pipeline.leak_guard import LeakGuard
from realtime.pipeline.metrics import Tally
from realtime.pipeline.presets import recall
from realtime.threads import Latest
from realtime.tracking.face_search import open_face_search
from realtime.tracking.tracker import NoFaces, Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Switches:
    """What the page can switch in a run: None where it is fixed. `busy` says why the source may not change now."""

    source: SwitchableSource | None
    camera: CameraSwitch
    microphone: SelectableMicrophone | None
    recorder: Recorder
    busy: Callable[[], str | None]


@dataclass(slots=True, eq=False)
class Parts:
    """What one run is made of, open and ready. Leaving the `with` block closes all of it.

    `size` (width, height) and `rate_hz` are the sinks'. `switches`: what the page of a live run can turn on and off.
    `lost` gets the errors of sinks that failed while the run went on.
    """

    config: RunConfig
    plan: AvPlan
    settings: Latest[Settings]
    source: Source
    tracker: FaceFinder
    guard: LeakGuard | None
    identities: IdentitySwitch
    fallback: Fallback
    sinks: list[Sink]
    size: tuple[int, int]
    rate_hz: float
    clock: Clock
    voice: VoicePipeline | None = None
    switches: Switches | None = None
    tally: Tally = field(default_factory=Tally)
    lost: list[DeviceError] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Close everything, the sinks first. May be called twice."""
        self.closing.close()

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_parts(
    config: RunConfig, *, page: Sink | None = None, open_voice: OpenVoice = open_voice, clock: Clock = now_ns
) -> Parts:
    """Everything that `config` asks for, open: options, models, voice, source, outputs.

    What can be refused is refused before a device is touched. The source comes before the sinks, because its size is
    theirs. `page` is the open page, for runs that want one; `open_voice` opens what `--sound` names (tests give their
    own). Raises MasqueradeError; what was opened is closed again.
    """
    check_specs(config.output, config.source)
    if config.metrics is not None:
        check_output(config.metrics, "--metrics", (config.source, config.sound, config.avatar, *config.output))
    if config.record_motion is not None:
        check_output(
            config.record_motion, "--record-motion", (config.source, config.sound, config.avatar, *config.output)
        )
    with_page = page is not None and wants_page(config.output)
    config, selection, avatar = recall(config, use_last=with_page and config.pace != "all")
    check_allowed(config, allow_raw=config.allow_raw, badge_optional=selection.may_hide_badge)
    plan = plan_av(config, selection)
    settings = Latest(start_settings(config, plan).model_copy(update={"avatar": avatar}))
    tally = Tally()
    lost: list[DeviceError] = []
    source: Source | None = None  # the voice asks it how old its pictures are, and is opened first

    def silent() -> bool:
        return settings.get().panic

    with ExitStack() as opened:
        microphone = None
        if with_page and config.sound is not None and is_microphone(config.sound):
            microphone = SelectableMicrophone(open_microphone)
            open_voice = partial(open_voice, open_input=microphone.open)
        voice = None
        if config.sound is not None:
            voice = open_voice(
                config.sound,
                along_with_media=plan.sound_follows_source,
                virtual_microphone=plan.call_hears,
                lips=plan.drives_lips,
                loop=config.loop,
                latency_s=lambda: latency_s(tally, settings.get()),
                age_s=lambda: picture_age_s(source) if source is not None and not plan.drives_lips else 0.0,
                silent=silent,
                clock=clock,
            )
            opened.callback(voice.close)
        load = partial(
            open_effect,
            provider=config.provider,
            precision=config.precision,
            speech=voice.speech if voice is not None and plan.drives_lips else None,
            filmed=plan.finds_faces,
        )
        effect = load(selection)
        opened.callback(effect.close)
        tracker = open_tracker(config) if plan.finds_faces else NoFaces()
        opened.callback(tracker.close)
        guard = None
        if plan.finds_faces:
            search = open_face_search(face_folder(), _tracking_provider(config))
            opened.callback(search.close)
            guard = LeakGuard(search, allow_raw=config.allow_raw)
        limited = partial(Until, over=MediaLimit(config.seconds)) if config.seconds else lambda source: source
        source = limited(open_pictures(config, plan, voice, clock))
        switched = switchable(source, config, plan, clock, limited) if with_page else None
        source = switched or source
        opened.callback(source.close)
        size = config.size or source.size
        rate_hz = config.fps or source.rate_hz or 30.0

        def load_ready(another: Selection) -> Effect:
            ready = load(another)
            ready.prepare(source.size, settings.get())
            return ready

        def stay() -> None:
            shown = identities.active.selection
            kept = {"model": shown.bundle.name, "avatar": shown.shown(settings.get())}
            settings.update(lambda live: live.model_copy(update=kept))

        identities = IdentitySwitch(ActiveIdentity(selection, effect), load_ready, failed=stay)
        opened.callback(identities.close)
        effect.prepare(source.size, settings.get())

        def sinks_of(specs: Sequence[str]) -> list[Sink]:
            shown = identities.active.selection
            return open_sinks(
                specs,
                size=size,
                rate_hz=rate_hz,
                metadata=metadata(shown.name, shown.identity_kind, __version__),
                sound=voice.track if voice is not None else SoundTrack.of(source, silent),
                page=page,
                source=plan.source,
                pace=plan.pace,
                clock=clock,
            )

        recorder = [] if config.record_motion is None else [MotionRecorder(config.record_motion)]
        parts = Parts(
            config=config,
            plan=plan,
            settings=settings,
            source=source,
            tracker=tracker,
            guard=guard,
            identities=identities,
            fallback=Fallback(size, effect.title, allow_raw=config.allow_raw),
            sinks=[*sinks_of(config.output), *recorder],
            size=size,
            rate_hz=rate_hz,
            clock=clock,
            voice=voice,
            tally=tally,
            lost=lost,
        )
        opened.callback(_close_sinks, parts)
        if page in parts.sinks and plan.pace == "live":
            parts.sinks, parts.switches = with_switches(
                parts.sinks, lambda spec: sinks_of([spec])[0], switched, microphone, lost.append
            )
        parts.closing = opened.pop_all()
        return parts


def with_switches(
    sinks: Sequence[Sink],
    open_sink: Callable[[str], Sink],
    source: SwitchableSource | None,
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


def switchable(
    source: Source, config: RunConfig, plan: AvPlan, clock: Clock, limited: Callable[[Source], Source]
) -> SwitchableSource | None:
    """The source of a live run, so that it can change; None where a voice or a still picture sets the beat.

    `limited` ends another source where the run's time is over.
    """
    along = config.sound is not None and not is_microphone(config.sound)
    if plan.pace != "live" or plan.still or along:
        return None

    def open_one(choice: SourceSpec) -> Source:
        opened = open_source(
            choice.address, size=choice.size, fps=config.fps, clock=clock, pace="live", loop=config.loop
        )
        return limited(opened)

    return SwitchableSource(source, SourceSpec(plan.source, config.size), open_one)


def open_tracker(config: RunConfig) -> FaceFinder:
    """The face tracker that `config` names, loaded and warm. Raises MasqueradeError."""
    if config.detector == "mediapipe":
        from realtime.tracking.mediapipe_detector import MediapipeDetector

        return MediapipeDetector(face_folder(), faces=config.faces)
    provider = _tracking_provider(config)
    return Tracker(face_folder(), provider=provider, faces=config.faces, steadiness=config.steadiness)


def _tracking_provider(config: RunConfig) -> str:
    """Small networks in a row: on a graphics card their transfers cost more than they save."""
    if config.provider in ("cpu", "openvino"):
        return config.provider
    return "cpu" if why_not("openvino") else "openvino"


def _close_sinks(parts: Parts) -> None:
    for sink in parts.sinks:
        try:
            sink.close()
        except DeviceError as error:
            log.warning("%s", error)
            parts.lost.append(error)

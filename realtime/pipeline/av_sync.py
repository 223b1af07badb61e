"""How pictures and sound go together in one run: pace, delays, whose mouth moves, what a call hears."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from realtime.audio.delay_line import speech_time_ns
from realtime.audio.voice_pipeline import VoicePipeline, is_microphone
from realtime.capture.open_source import file_path, is_still, open_source
from realtime.capture.picture import Picture, load_picture
from realtime.capture.source import Pace, Source
from realtime.capture.wrappers import Continued, Paced, SeekableSource, Until, innermost
from realtime.clock import Clock
from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError
from realtime.families import family_of
from realtime.output.open_sink import is_camera
from realtime.output.virtual_camera import find_virtual_camera
from realtime.pipeline.active_identity import Selection
from realtime.pipeline.metrics import Tally

log = logging.getLogger(__name__)

STILL_HZ = 25.0
"""How often a still picture that speaks is shown: Wav2Lip's own rate."""

PICTURE_AGE = 0.75
"""Latency of a camera in frame periods; vendors do not publish it. Between a half (the time stamp is the middle of a
short exposure) and one and a quarter (a long one was read out)."""

SLOWEST_HZ = 10.0

UNHEARD_S = 0.25  # less of a voice's end is missed by nobody

FIGURE_SIZE = (1280, 720)
"""Of a figure that only a voice drives, unless --size says otherwise."""

LARGEST_STILL = (1280, 1280)
"""Larger pictures are shown smaller unless --size says otherwise: a mouth of 96 pixels gains nothing by more."""


@dataclass(frozen=True, slots=True)
class AvPlan:
    """How a run's pictures and sound go together.

    `source`: what is read, as in `--source`. `drives_lips`: the voice moves a mouth. `still`: the source is one
    picture, shown as long as the voice lasts, in `size` (None: its own). `finds_faces`: False where nobody is searched.
    `dubbed`: the source is a file whose own people get another voice, so their faces are seen. `sound_follows_source`:
    a sound file starts with the pictures' file and keeps its time. `call_hears`: as `virtual_microphone` of
    `open_voice`.
    """

    source: str
    pace: Pace
    drives_lips: bool = False
    still: bool = False
    size: tuple[int, int] | None = None
    finds_faces: bool = True
    dubbed: bool = False
    sound_follows_source: bool = False
    call_hears: bool | None = False


def plan_av(config: RunConfig, selection: Selection) -> AvPlan:
    """The plan for these options. Raises ConfigError, in one line, for those that don't go together."""
    family = family_of(selection.bundle.card)
    if config.avatar and not family.takes_avatars:
        raise ConfigError(
            f"--avatar is for models that show pictures, and {selection.bundle.name} is a {family.name} model: "
            "wear it with --model face, or move it with --model motion"
        )
    check_selection(config, selection)
    speaks = family.follows(config.sound)
    # Nobody has to be filmed for a picture that speaks: without --source it sets the beat itself.
    alone = speaks and bool(selection.avatars) and "source" not in config.model_fields_set
    source = str(selection.avatars[0].picture) if alone else config.source
    file = os.path.isfile(file_path(source))
    dubs = speaks and not selection.avatars
    pace = _pace(config, file)
    call_hears = _call_hears(config, pace)
    return AvPlan(
        source=source,
        pace=pace,
        drives_lips=speaks,
        still=alone or (speaks and file and is_still(source)),
        size=config.size or (FIGURE_SIZE if alone and family.figures else None),
        finds_faces=dubs or not (alone or family.speaks),
        dubbed=dubs and file,
        sound_follows_source=pace == "all" or (file and not alone and call_hears is False),
        call_hears=call_hears,
    )


def start_settings(config: RunConfig, plan: AvPlan) -> Settings:
    """The live settings at the start.

    A dubbed file's owner allowed its own pictures (`check_selection` refuses it otherwise), so they stay where nobody's
    face is in them, unless something else was asked for.
    """
    settings = config.settings()
    shown = {"on_miss": "raw", "others": "show"} if plan.dubbed else {}
    return settings.model_copy(update={key: v for key, v in shown.items() if key not in config.model_fields_set})


def check_selection(config: RunConfig, selection: Selection) -> None:
    """Refuse who cannot be shown with this sound, or may not be seen. Raises ConfigError."""
    name, family = selection.bundle.name, family_of(selection.bundle.card)
    if family.speaks and config.sound is None:
        raise ConfigError(f"{name} is a {family.name} model and needs a voice: give --sound mic or --sound FILE")
    if family.shows_source and not selection.avatars and not config.allow_raw:
        raise ConfigError(
            f"{name} without --avatar shows the face that is in the source, with another mouth: give --avatar PICTURE, "
            "or start with --allow-raw if that face is yours to show"
        )


def check_change(config: RunConfig, plan: AvPlan, after: Selection) -> None:
    """Refuse who cannot be shown in the middle of a run, where the sound's delay is what it is. Raises ConfigError."""
    check_selection(config, after)
    family = family_of(after.bundle.card)
    if not family.may_speak and family.speaks != plan.drives_lips:
        name = after.bundle.name
        raise ConfigError(f"{name} handles sound differently: restart with --model {name}")


def latency_s(tally: Tally, settings: Settings) -> float:
    """How late the sound must be to leave with its picture: the measured latency and the user's offset."""
    return max(tally.late_ns / 1e9 + settings.voice_offset_ms / 1e3, 0.0)


def picture_age_s(source: Source) -> float:
    """How long before its time stamp a camera's picture happened, as people see it; whole milliseconds.

    The camera gives it when its exposure and the reading of its rows are over: a quarter of a period earlier, on
    average, it was seen. And it is shown for a period, so that it stands for what is half a period later. A file's
    pictures have the same time as its sound, and a mouth has the voice's.
    """
    return round(PICTURE_AGE / max(source.rate_hz, SLOWEST_HZ), 3) if source.live else 0.0


def open_pictures(config: RunConfig, plan: AvPlan, voice: VoicePipeline | None, clock: Clock) -> Source:
    """The source of the run, open. Raises ConfigError or DeviceError."""
    if not plan.still:
        source = open_source(
            plan.source, size=config.size, fps=config.fps, clock=clock, pace=plan.pace, loop=config.loop
        )
        return _continued(source, config, plan, voice, clock)
    path = file_path(plan.source)
    still = Picture(path, size=plan.size or _still_size(path), rate_hz=config.fps or STILL_HZ, clock=clock)
    source = Paced(still, clock=clock) if plan.pace == "live" else still
    if voice is None:
        return source
    return Until(source, lambda frame: voice.over(speech_time_ns(frame, voice.speech)))


def _continued(source: Source, config: RunConfig, plan: AvPlan, voice: VoicePipeline | None, clock: Clock) -> Source:
    """The source, going on where it is shorter than its voice; says so where it does not."""
    if plan.pace == "all" and voice is not None and (config.loop or plan.drives_lips):
        return Continued(
            cast(SeekableSource, source),
            lambda frame: frame.time_s >= voice.sounds_until_s,
            turns=not config.loop,
            clock=clock,
        )
    if plan.pace == "all" and config.loop:
        if config.seconds is not None:
            return Continued(cast(SeekableSource, source), lambda frame: False, rises=False, clock=clock)
        log.warning("--loop has no end with --pace all: %s is played once; give --seconds", source.name)
    lasts_s = getattr(innermost(source), "duration_s", None)
    if voice is None or not plan.sound_follows_source or config.seconds or not lasts_s:
        return source
    if (voice.length_s or 0.0) > lasts_s and (left_s := voice.sounds_until_s - lasts_s) > UNHEARD_S:
        log.warning("the last %.1f s of the voice are left out: %s ends before it", left_s, source.name)
    return source


def _still_size(path: Path) -> tuple[int, int]:
    height, width = load_picture(path).shape[:2]
    share = min(1.0, LARGEST_STILL[0] / width, LARGEST_STILL[1] / height)
    return max(16, round(width * share)), max(16, round(height * share))


def _pace(config: RunConfig, file: bool) -> Pace:
    """A file that goes into files only is processed in full; everything else is live."""
    microphone = config.sound is not None and is_microphone(config.sound)
    if config.pace == "all" and microphone:
        raise ConfigError("--pace all cannot wait for a microphone: use --pace live, or --sound FILE")
    if config.pace is not None:
        return config.pace
    live_outputs = not config.output or any(o in ("page", "null") or is_camera(o) for o in config.output)
    return "live" if live_outputs or microphone or not file else "all"


def _call_hears(config: RunConfig, pace: Pace) -> bool | None:
    """Whether a video call is to hear the voice: where it sees the picture, unless the user decided."""
    if config.sound is None:
        if config.virtual_microphone:
            raise ConfigError("--virtual-microphone needs a voice: give --sound mic or --sound FILE")
        return False
    if pace == "all":
        if config.virtual_microphone:
            raise ConfigError("--virtual-microphone speaks live: leave out --pace all, or add --output camera")
        return False
    if config.virtual_microphone is not None:
        return config.virtual_microphone
    camera = any(is_camera(spec) for spec in config.output)
    # Without --output it is the camera where there is one (`open_sinks`).
    return None if camera or (not config.output and find_virtual_camera() is not None) else False

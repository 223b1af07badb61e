"""What `--sound` means for one run: which pictures go with the voice, in whose time, and who may be seen speaking."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realtime.audio.open_sound import is_microphone
from realtime.audio.voice_pipeline import OpenSpeaker, VoicePipeline
from realtime.capture.open_source import is_still, open_source
from realtime.capture.paced import Paced
from realtime.capture.picture import Picture, load_picture
from realtime.capture.source import Source
from realtime.capture.wrappers import Until
from realtime.clock import Clock
from realtime.config import RunConfig
from realtime.errors import ConfigError
from realtime.families.lip_sync.effect import speech_time_ns
from realtime.output.timeline import Pace
from realtime.output.virtual_camera import find_virtual_camera
from realtime.pipeline.active_identity import ActiveIdentity
from realtime.pipeline.loop import Loop
from realtime.settings import Settings

STILL_HZ = 25.0
"""How often a still picture that speaks is shown: Wav2Lip's own rate."""

PICTURE_AGE = 0.75
"""Periods of a camera. Its makers tell nobody: between a half (its stamp is in the middle of an exposure that is short)
and one and a quarter (it comes when a long one was read out)."""

SLOWEST_HZ = 10.0

LARGEST_STILL = (1280, 1280)
"""Larger pictures are shown smaller unless --size says otherwise: a mouth of 96 pixels gains nothing by more."""


@dataclass(frozen=True, slots=True)
class AvPlan:
    """How a run's pictures and voice go together.

    `source`: what is read, as in `--source`. `lips`: the voice moves a mouth. `still`: the source is one picture, shown
    as long as the voice lasts. `looks`: False where nobody's face is looked for. `revoiced`: the source is a file, and
    the people in it speak: their own faces are seen. `along`: a sound file starts with the pictures' file and keeps its
    time. `called`: as `virtual_microphone` of `open_speaker`.
    """

    source: str
    pace: Pace
    lips: bool = False
    still: bool = False
    looks: bool = True
    revoiced: bool = False
    along: bool = False
    called: bool | None = False


def voicing(config: RunConfig, role: ActiveIdentity) -> AvPlan:
    """What is to be done for these options. Raises ConfigError, in one line, for those that don't go together."""
    family = role.bundle.card.family
    if family == "swap" and config.avatar:
        raise ConfigError(f"--avatar is for motion and lip-sync models: {role.bundle.name} is a swap model")
    check_role(config, role)
    speaks = family == "lip-sync"
    # Nobody has to be filmed for a picture that speaks: without --source it sets the beat itself.
    alone = speaks and bool(role.avatars) and "source" not in config.model_fields_set
    source = str(role.avatars[0].picture) if alone else config.source
    file = os.path.isfile(source)
    pace = _pace(config, file)
    called = _called(config, pace)
    return AvPlan(
        source=source,
        pace=pace,
        lips=speaks,
        still=alone or (speaks and file and is_still(source)),
        looks=not (speaks and role.avatars),
        revoiced=speaks and file and not role.avatars,
        along=pace == "all" or (file and not alone and called is False),
        called=called,
    )


def settings_of(config: RunConfig, plan: AvPlan) -> Settings:
    """The live settings at the start.

    A re-voiced file's owner allowed its own pictures (`check_role` refuses it otherwise), so they stay where nobody's
    face is in them, unless something else was asked for.
    """
    settings = config.settings()
    if plan.revoiced and "on_miss" not in config.model_fields_set:
        return settings.model_copy(update={"on_miss": "raw"})
    return settings


def check_role(config: RunConfig, role: ActiveIdentity) -> None:
    """Refuse who cannot be worn with this voice, or may not be seen. Raises ConfigError."""
    name, family = role.bundle.name, role.bundle.card.family
    if family != "lip-sync":
        return
    if config.sound is None:
        raise ConfigError(f"{name} is a lip-sync model and needs a voice: give --sound mic or --sound FILE")
    if not role.avatars and not config.allow_raw:
        raise ConfigError(
            f"{name} without --avatar shows the face that is in the source, with another mouth: give --avatar PICTURE, "
            "or start with --allow-raw if that face is yours to show"
        )


def check_change(config: RunConfig, before: ActiveIdentity, after: ActiveIdentity) -> None:
    """Refuse who cannot be worn in the middle of a run, where the voice's delay is what it is. Raises ConfigError."""
    check_role(config, after)
    if (before.bundle.card.family == "lip-sync") != (after.bundle.card.family == "lip-sync"):
        raise ConfigError(
            f"{after.bundle.name} has another way with sound: start again with --model {after.bundle.name}"
        )


def open_voice(
    config: RunConfig, plan: AvPlan, open_speaker: OpenSpeaker, loop: Callable[[], Loop | None], clock: Clock
) -> VoicePipeline | None:
    """What `--sound` says, open; None without it. `loop` is there once the run has begun: it tells the latency.

    Raises ConfigError, DeviceError or ModelError.
    """
    if config.sound is None:
        return None
    return open_speaker(
        config.sound,
        along_with_media=plan.along,
        virtual_microphone=plan.called,
        lips=plan.lips,
        loop=config.loop,
        latency_s=lambda: _latency_s(loop()),
        age_s=lambda: 0.0 if plan.lips or (at_work := loop()) is None else picture_age_s(at_work.source),
        silent=lambda: is_silent(loop()),
        clock=clock,
    )


def _latency_s(loop: Loop | None) -> float:
    """How old a picture of somebody who moves is when it leaves, and what the user puts on top of it.

    What shows the picture may be late, too.
    """
    if loop is None:
        return 0.0
    return max(loop.tally.late_ns / 1e9 + loop.settings().voice_offset_ms / 1e3, 0.0)


def is_silent(loop: Loop | None) -> bool:
    """True while the panic key is down: what shows the card gives no sound either."""
    return loop is not None and loop.settings().panic


def picture_age_s(source: Source) -> float:
    """How long before its time a camera's picture happened, as people see it; whole milliseconds.

    The camera gives it when its exposure and the reading of its rows are over: a quarter of a period earlier, on
    average, it was seen. And it is shown for a period, so that it stands for what is half a period later. A file's
    pictures have the same time as its sound, and a mouth has the voice's.
    """
    return round(PICTURE_AGE / max(source.rate_hz, SLOWEST_HZ), 3) if source.live else 0.0


def open_pictures(config: RunConfig, plan: AvPlan, speaker: VoicePipeline | None, clock: Clock) -> Source:
    """The source of the run, open. Raises ConfigError or DeviceError."""
    if not plan.still:
        return open_source(plan.source, size=config.size, fps=config.fps, clock=clock, pace=plan.pace, loop=config.loop)
    path = Path(plan.source)
    still = Picture(path, size=config.size or _still_size(path), rate_hz=config.fps or STILL_HZ, clock=clock)
    source = Paced(still, clock=clock) if plan.pace == "live" else still
    if speaker is None:
        return source
    return Until(source, lambda frame: speaker.over(speech_time_ns(frame, speaker.speech)))


def _still_size(path: Path) -> tuple[int, int]:
    height, width = load_picture(path).shape[:2]
    share = min(1.0, LARGEST_STILL[0] / width, LARGEST_STILL[1] / height)
    return max(16, round(width * share)), max(16, round(height * share))


def _pace(config: RunConfig, file: bool) -> Pace:
    """A file that goes into files only is worked off in full; everything else is live."""
    microphone = config.sound is not None and is_microphone(config.sound)
    if config.pace == "all" and microphone:
        raise ConfigError("--pace all cannot wait for a microphone: use --pace live, or --sound FILE")
    if config.pace is not None:
        return config.pace
    live_outputs = not config.output or any(o in ("page", "null") or o.startswith("camera") for o in config.output)
    return "live" if live_outputs or microphone or not file else "all"


def _called(config: RunConfig, pace: Pace) -> bool | None:
    """Whether a video call is to hear the voice: where one sees the picture, unless the user said so or not."""
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
    camera = any(spec.startswith("camera") for spec in config.output)
    # Without --output it is the camera where there is one (`open_sinks`).
    return None if camera or (not config.output and find_virtual_camera() is not None) else False

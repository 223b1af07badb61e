"""Everything `--sound` stands for, in one object: the voice, the mouth's delay, and the threads it needs."""

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from realtime.audio.audio_track import SoundTrack, VoiceTrack
from realtime.audio.delay_line import DelayLine, LookAhead, ReadAhead, Undelayed
from realtime.audio.microphone import Microphone, OpenInput
from realtime.audio.sound_devices import open_microphone, open_virtual_microphone
from realtime.audio.sound_file import PacedSound, SoundFile, sounds_until_s
from realtime.audio.source import SoundSource
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.virtual_microphone import PAUSE_S, OpenOutput, VirtualMicrophone
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import ConfigError, DeviceError

log = logging.getLogger(__name__)

FORMS = "mic, mic:NAME or a sound or video file"


def is_microphone(spec: str) -> bool:
    """True where `--sound` means a microphone."""
    return spec == "mic" or (spec.startswith("mic:") and not os.path.isfile(spec))


def check_sound(spec: str) -> float | None:
    """Refuse what can't be a sound, before anything is opened; gives a file's length in seconds. Raises ConfigError."""
    if is_microphone(spec) and spec != "mic:":
        return None
    if spec in ("", "mic:"):
        raise ConfigError(f"sound {spec!r}: use {FORMS}")
    with closing(SoundFile(Path(spec))) as file:
        return file.duration_s


def open_sound(
    spec: str, *, loop: bool = False, clock: Clock = now_ns, open_input: OpenInput = open_microphone
) -> SoundSource:
    """A live source: the microphone, or a file played in real time. Raises ConfigError, DeviceError.

    For a file whose pictures are all processed use `SoundFile` with `ReadAhead`.
    """
    check_sound(spec)
    if is_microphone(spec):
        return Microphone(spec[4:] or None, open_input=open_input, clock=clock)
    return PacedSound(lambda: SoundFile(Path(spec)), loop=loop, clock=clock)


@dataclass(frozen=True, slots=True)
class Work:
    """A thread's name, what it does until it is unblocked, and how to do that: the arguments of `Crew.start`."""

    name: str
    do: Callable[[], None]
    unblock: Callable[[], None]


class VoicePipeline:
    """A voice ready to be used; made by `open_voice`.

    `speech` is for the effect, `track` for recordings (None: no sound), `works` for the crew's threads. `heard_s`: how
    late the voice is to be heard now. `length_s`: how long its file is, None where nobody knows.
    """

    def __init__(
        self,
        speech: LookAhead | ReadAhead | Undelayed,
        track: SoundTrack | VoiceTrack | None,
        closes: ExitStack,
        *,
        source: SoundSource | None = None,
        out: VirtualMicrophone | None = None,
        heard_s: Callable[[], float] = lambda: 0.0,
        silent: Callable[[], bool] = lambda: False,
        length_s: float | None = None,
    ) -> None:
        self.speech, self.track, self.length_s = speech, track, length_s
        self._closes, self._source, self._out = closes, source, out
        self._heard_s, self._silent = heard_s, silent

    @property
    def works(self) -> tuple[Work, ...]:
        """What must run in threads of its own: nothing for a file that is read along with the pictures."""
        works = []
        if self._source is not None:
            works.append(Work("listen", self._listen, self._source.unblock))
        if self._out is not None:
            works.append(Work("speak", self._out.run, self._out.unblock))
        return tuple(works)

    def _listen(self) -> None:
        assert self._source is not None
        while (block := self._source.read()) is not None:
            self.speech.voice.push(block)
        self.speech.voice.end()

    @property
    def state(self) -> str:
        """`ok`, or what is wrong with the sound in one line."""
        states = [part.state for part in (self._source, self._out) if part is not None]
        return next((state for state in states if state != "ok"), "ok")

    def overhear(self) -> DelayLine | None:
        """The voice for one more listener, as late as the pictures; None for a file that is read along with them."""
        if self._source is None:
            return None
        return DelayLine(self.speech.voice, self._heard_s, self._silent)

    def over(self, at_ns: int) -> bool:
        """True where the voice has ended, and its last sound belongs to a picture before that of `at_ns`.

        `at_ns` as for `speech`. Any thread.
        """
        heard = self.speech.voice.snapshot
        return heard.ended and at_ns >= heard.sound_until_ns + round(self.speech.delay_s * NS_PER_S)

    @cached_property
    def sounds_until_s(self) -> float:
        """When the last that can be heard of a file that goes along with the pictures ends."""
        return sounds_until_s(self.track.path) if isinstance(self.track, SoundTrack) else 0.0

    def report(self) -> dict[str, float | str]:
        """How the voice is delayed, and what was wrong so far: for the metrics. `live`: `overhear` gives one."""
        report: dict[str, float | str] = {"state": self.state, "delay_s": round(self.speech.delay_s, 4)}
        if self._source is not None:
            voice = self.speech.voice
            report |= {
                "live": True,
                "late": self.speech.late if isinstance(self.speech, LookAhead) else 0,
                "gaps": voice.timing.gaps,
                "missing_s": round(voice.timing.missing_s, 3),
                "clipped": voice.clipped,
                "broken": voice.broken,
            }
        if self._out is not None:
            report |= {"spoken_delay_s": round(self._out.delay_s, 4), "lost": self._out.lost, "dry": self._out.dry}
        return report

    def close(self) -> None:
        """Close the device, the file and the voice detector. May be called twice; not while its threads run."""
        self._closes.close()


def open_voice(
    spec: str,
    *,
    along_with_media: bool,
    virtual_microphone: bool | None = False,
    lips: bool = True,
    loop: bool = False,
    latency_s: Callable[[], float] = lambda: 0.0,
    age_s: Callable[[], float] = lambda: 0.0,
    silent: Callable[[], bool] = lambda: False,
    clock: Clock = now_ns,
    make_voice: Callable[[bool], SpeechBuffer] = lambda exact: SpeechBuffer(exact=exact),
    open_input: OpenInput = open_microphone,
    open_output: OpenOutput = open_virtual_microphone,
) -> VoicePipeline:
    """What `--sound` says, open.

    `along_with_media`: the pictures come out of a file and have its times, so a sound file goes along with them, from
    its start with theirs; a microphone never does. `virtual_microphone`: the voice is spoken for video calls too; None:
    where that can be had, else a warning. `lips`: the voice moves a mouth, which needs to hear what comes. `loop`: a
    file spoken live begins again. `latency_s`: how old a picture is when it leaves, as measured; `age_s`: how old what
    it shows was already when it came. While `silent` says so no listener and no recording gets any sound. Raises
    ConfigError, DeviceError or ModelError; nothing is left open then.
    """
    length_s = check_sound(spec)
    with ExitStack() as opened:
        if along_with_media and not is_microphone(spec):
            path = Path(spec)
            ahead = ReadAhead(lambda: SoundFile(path), lambda: make_voice(True))
            opened.callback(ahead.close)
            return VoicePipeline(ahead, SoundTrack.find(path, silent), opened.pop_all(), length_s=length_s)
        voice = make_voice(False)
        voice.silent = silent
        opened.callback(voice.close)
        source = open_sound(spec, loop=loop, clock=clock, open_input=open_input)
        opened.callback(source.close)
        speech = LookAhead(voice) if lips else Undelayed(voice)

        def recorded_s() -> float:
            return speech.delay_s + age_s()

        def heard_s() -> float:
            return recorded_s() + latency_s()

        out = None
        if virtual_microphone is not False:
            delayed = DelayLine(voice, heard_s, silent, PAUSE_S)
            try:
                out = VirtualMicrophone(delayed, open_output=open_output, clock=clock)
                opened.callback(out.close)
            except DeviceError as error:
                if virtual_microphone:
                    raise
                log.warning("%s; a call will see the mouth, but not hear this voice", error)
        track = VoiceTrack(voice, recorded_s)
        return VoicePipeline(
            speech, track, opened.pop_all(), source=source, out=out, heard_s=heard_s, silent=silent, length_s=length_s
        )


OpenVoice = Callable[..., VoicePipeline]  # `open_voice`, or what stands in for it

"""Everything `--sound` stands for, in one object: what is said, what is heard of it, and the threads it needs."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from realtime.audio.audio_track import SoundTrack, VoiceTrack
from realtime.audio.delay_line import AsHeard, Delayed, LookAhead, ReadAhead
from realtime.audio.microphone import OpenInput, OpenOutput
from realtime.audio.open_sound import check_sound, is_microphone, open_sound, open_virtual_microphone
from realtime.audio.sound_file import SoundFile
from realtime.audio.source import SoundSource
from realtime.audio.speech_buffer import SpeechBuffer
from realtime.audio.virtual_microphone import PAUSE_S, VirtualMicrophone
from realtime.clock import NS_PER_S, Clock, now_ns
from realtime.errors import DeviceError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """A thread's name, what it does until it is unblocked, and how to do that: the arguments of `Crew.start`."""

    name: str
    do: Callable[[], None]
    unblock: Callable[[], None]


class VoicePipeline:
    """A voice ready to be used. Constructed means open; use `open_speaker`.

    `speech` is for the character, `track` for recordings (None: no sound), `works` for the crew's threads. `spoken_s`:
    how late the voice is to be heard now.
    """

    def __init__(
        self,
        speech: LookAhead | ReadAhead | AsHeard,
        track: SoundTrack | VoiceTrack | None,
        closes: ExitStack,
        *,
        source: SoundSource | None = None,
        out: VirtualMicrophone | None = None,
        spoken_s: Callable[[], float] = lambda: 0.0,
        silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self.speech, self.track = speech, track
        self._closes, self._source, self._out = closes, source, out
        self._spoken_s, self._silent = spoken_s, silent

    @property
    def works(self) -> tuple[Work, ...]:
        """What must run in threads of its own: nothing for a file that is read along with the pictures."""
        works = []
        if self._source is not None:
            works.append(Work("listen", self._listen, self._source.unblock))
        if self._out is not None:
            works.append(Work("speak", self._out.speak, self._out.unblock))
        return tuple(works)

    def _listen(self) -> None:
        assert self._source is not None
        while (block := self._source.read()) is not None:
            self.speech.voice.hear(block)
        self.speech.voice.end()

    @property
    def state(self) -> str:
        """`ok`, or what is wrong with the sound in one line."""
        states = [part.state for part in (self._source, self._out) if part is not None]
        return next((state for state in states if state != "ok"), "ok")

    def overhear(self) -> Delayed | None:
        """The voice for one more listener, as late as the pictures; None for a file that is read along with them."""
        if self._source is None:
            return None
        return Delayed(self.speech.voice, self._spoken_s, self._silent)

    def over(self, at_ns: int) -> bool:
        """True where the voice has ended, and its last sound belongs to a picture before that of `at_ns`.

        `at_ns` as for `speech`. Any thread.
        """
        heard = self.speech.voice.heard
        return heard.ended and at_ns >= heard.sound_until_ns + round(self.speech.delay_s * NS_PER_S)

    def report(self) -> dict[str, float | str]:
        """How the voice is delayed, and what was wrong with it so far: for the metrics. `live`: it can be overheard."""
        told: dict[str, float | str] = {"state": self.state, "delay_s": round(self.speech.delay_s, 4)}
        if self._source is not None:
            voice = self.speech.voice
            told |= {
                "live": True,
                "late": self.speech.late if isinstance(self.speech, LookAhead) else 0,
                "gaps": voice.arrival.gaps,
                "missing_s": round(voice.arrival.missing_s, 3),
                "clipped": voice.clipped,
                "broken": voice.broken,
            }
        if self._out is not None:
            told |= {"spoken_delay_s": round(self._out.delay_s, 4), "lost": self._out.lost, "dry": self._out.dry}
        return told

    def close(self) -> None:
        """Close the device, the file and the gate. May be called twice; not while its threads run."""
        self._closes.close()


def open_speaker(
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
    open_input: OpenInput | None = None,
    open_output: OpenOutput | None = None,
) -> VoicePipeline:
    """What `--sound` says, open.

    `along_with_media`: the pictures come out of a file and have its times, so a sound file goes along with them, from
    its start with theirs; a microphone never does. `virtual_microphone`: the voice is spoken for video calls too; None:
    where that can be had, else a warning. `lips`: the voice moves a mouth, which needs to hear what comes. `loop`: a
    file spoken live begins again. `latency_s`: how old a picture is when it leaves, as measured; `age_s`: how old what
    it shows was already when it came. While `silent` says so no listener and no recording gets any sound. Raises
    ConfigError, DeviceError or ModelError; nothing is left open then.
    """
    check_sound(spec)
    with ExitStack() as opened:
        if along_with_media and not is_microphone(spec):
            path = Path(spec)
            ahead = ReadAhead(lambda: SoundFile(path), lambda: make_voice(True))
            opened.callback(ahead.close)
            return VoicePipeline(ahead, SoundTrack.find(path, silent), opened.pop_all())
        voice = make_voice(False)
        voice.silent = silent
        opened.callback(voice.close)
        source = open_sound(spec, loop=loop, clock=clock, open_input=open_input)
        opened.callback(source.close)
        speech = LookAhead(voice) if lips else AsHeard(voice)

        def recorded_s() -> float:
            return speech.delay_s + age_s()

        def spoken_s() -> float:
            return recorded_s() + latency_s()

        out = None
        if virtual_microphone is not False:
            delayed = Delayed(voice, spoken_s, silent, PAUSE_S)
            try:
                out = VirtualMicrophone(delayed, open_output=open_output or open_virtual_microphone, clock=clock)
                opened.callback(out.close)
            except DeviceError as error:
                if virtual_microphone:
                    raise
                log.warning("%s; a call will see the mouth, but not hear this voice", error)
        track = VoiceTrack(voice, recorded_s)
        return VoicePipeline(speech, track, opened.pop_all(), source=source, out=out, spoken_s=spoken_s, silent=silent)


OpenSpeaker = Callable[..., VoicePipeline]
"""`open_speaker`, or what stands in for it."""

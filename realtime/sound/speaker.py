"""Everything `--sound` stands for, in one object: what is said, what is heard of it, and the threads it needs."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from realtime.clock import Clock, now_ns
from realtime.output.sound_track import SoundTrack
from realtime.output.voice_track import VoiceTrack
from realtime.sound import SoundSource
from realtime.sound.delayed import Delayed
from realtime.sound.device import OpenInput, OpenOutput
from realtime.sound.look_ahead import LookAhead, ReadAhead, Speech
from realtime.sound.open_sound import check_sound, is_microphone, open_sound, open_virtual_microphone
from realtime.sound.sound_file import SoundFile
from realtime.sound.virtual_microphone import VirtualMicrophone
from realtime.sound.voice import Voice


@dataclass(frozen=True, slots=True)
class Work:
    """A thread's name, what it does until it is unblocked, and how to do that: the arguments of `Crew.start`."""

    name: str
    do: Callable[[], None]
    unblock: Callable[[], None]


class Speaker:
    """A voice ready to be used. Constructed means open; use `open_speaker`.

    `speech` is for the character, `track` for recordings (None: no sound), `works` for the crew's threads.
    """

    def __init__(
        self,
        speech: Speech,
        track: SoundTrack | VoiceTrack | None,
        closes: ExitStack,
        *,
        source: SoundSource | None = None,
        voice: Voice | None = None,
        out: VirtualMicrophone | None = None,
    ) -> None:
        self.speech, self.track = speech, track
        self._closes, self._source, self._voice, self._out = closes, source, voice, out

    @property
    def works(self) -> tuple[Work, ...]:
        """What must run in threads of its own: nothing for a file that is read along with the pictures."""
        works = []
        if self._source is not None and self._voice is not None:
            works.append(Work("listen", self._listen, self._source.unblock))
        if self._out is not None:
            works.append(Work("speak", self._out.speak, self._out.unblock))
        return tuple(works)

    def _listen(self) -> None:
        assert self._source is not None
        assert self._voice is not None
        while (block := self._source.read()) is not None:
            self._voice.hear(block)
        self._voice.end()

    @property
    def state(self) -> str:
        """`ok`, or what is wrong with the sound in one line."""
        states = [part.state for part in (self._source, self._out) if part is not None]
        return next((state for state in states if state != "ok"), "ok")

    def report(self) -> dict[str, float]:
        """How the voice is delayed, and what was wrong with it so far: for the metrics."""
        told = {"delay_s": round(self.speech.delay_s, 4)}
        if isinstance(self.speech, LookAhead):
            voice = self.speech.voice
            told |= {
                "late": self.speech.late,
                "gaps": voice.arrival.gaps,
                "missing_s": round(voice.arrival.missing_s, 3),
                "clipped": voice.clipped,
                "broken": voice.broken,
            }
        return told

    def close(self) -> None:
        """Close the device, the file and the gate. May be called twice; not while its threads run."""
        self._closes.close()


def open_speaker(
    spec: str,
    *,
    along_with_media: bool,
    virtual_microphone: bool = False,
    clock: Clock = now_ns,
    make_voice: Callable[[bool], Voice] = lambda exact: Voice(exact=exact),
    open_input: OpenInput | None = None,
    open_output: OpenOutput | None = None,
) -> Speaker:
    """What `--sound` says, open.

    `along_with_media`: the pictures come out of a file and have its times, so a sound file goes along with them, from
    its start with theirs; a microphone never does. `virtual_microphone`: the voice is spoken for video calls too.
    Raises ConfigError, DeviceError or ModelError; nothing is left open then.
    """
    check_sound(spec)
    with ExitStack() as opened:
        if along_with_media and not is_microphone(spec):
            path = Path(spec)
            ahead = ReadAhead(lambda: SoundFile(path), lambda: make_voice(True))
            opened.callback(ahead.close)
            return Speaker(ahead, SoundTrack.find(path), opened.pop_all())
        voice = make_voice(False)
        opened.callback(voice.close)
        source = open_sound(spec, clock=clock, open_input=open_input)
        opened.callback(source.close)
        speech = LookAhead(voice)
        out = None
        if virtual_microphone:
            delayed = Delayed(voice, lambda: speech.delay_s)
            out = VirtualMicrophone(delayed, open_output=open_output or open_virtual_microphone, clock=clock)
            opened.callback(out.close)
        track = VoiceTrack(voice, lambda: speech.delay_s)
        return Speaker(speech, track, opened.pop_all(), source=source, voice=voice, out=out)

"""Where a voice comes from, and what it is on its way. One file a source; all obey `SoundSource`."""

from dataclasses import dataclass
from typing import Protocol

from realtime.frame import Floats

SPEECH_HZ = 16_000  # what the lip-sync networks hear at (Wav2Lip, Prajwal et al. 2020).
HEARD_HZ = 48_000  # what people hear: the delayed voice keeps the band of the microphone


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A stretch of sound without a gap in it.

    `samples`: (n,) float32 mono, 1.0 is full scale, read-only; `rate_hz` a second. `start_ns` is the clock's reading
    when the first sample was captured, as far as the source can tell; a block that belongs right behind the one before
    is a little late or early by the device's jitter.
    """

    samples: Floats
    rate_hz: int
    start_ns: int

    @property
    def end_ns(self) -> int:
        """When the sample after the last one is due."""
        return self.start_ns + len(self.samples) * 1_000_000_000 // self.rate_hz


class SoundSource(Protocol):
    """A stream of blocks. Constructed means open.

    `read` blocks until there is sound and returns it; None when it has ended or `unblock` was called. A live source
    that loses its device does not raise: it retries inside `read` until the device is back, and says so in `state`,
    which is `ok` or one line. `unblock` may be called from any thread; `close` twice.
    """

    @property
    def name(self) -> str: ...

    @property
    def live(self) -> bool:
        """True where sound comes by itself in real time."""

    @property
    def state(self) -> str: ...

    def read(self) -> Block | None: ...

    def unblock(self) -> None: ...

    def close(self) -> None: ...

"""A recording that begins and ends while the run goes on."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from realtime.errors import ConfigError, DeviceError, MasqueradeError
from realtime.frame import Frame
from realtime.home import private_dir, user_home
from realtime.models.atomic_dir import storage_error
from realtime.output.sink import Sink
from realtime.text import printable
from realtime.threads import Latest

log = logging.getLogger(__name__)


class Recorder:
    """A sink that passes pictures on to a recording while there is one.

    `open_recording` opens one at a path that does not exist yet. It has a name of our making in `folder`, by default
    the user's own recordings. `start` and `stop` come from one thread, `show` from the output's. A recording that fails
    ends, with a warning; the other outputs never notice.
    """

    name = "recorder"

    def __init__(self, open_recording: Callable[[Path], Sink], folder: Path | None = None) -> None:
        self._open = open_recording
        self.folder = folder or user_home() / "recordings"
        self._now: Latest[tuple[Sink, Path] | None] = Latest(None)

    @property
    def recording(self) -> str | None:
        """The file's name while one is being made."""
        now = self._now.get()
        return now[1].name if now is not None else None

    def start(self, when: datetime) -> str:
        """Begin; gives the file's name. Raises ConfigError where one is being made, DeviceError, by the disk."""
        if self._now.get() is not None:
            raise ConfigError("a recording is being made already: stop it first")
        try:
            private_dir(self.folder)
        except OSError as error:
            raise storage_error("a recording cannot be stored in", self.folder, error, "make room there") from error
        stem = f"masquerade-{when:%Y-%m-%d-%H%M%S}"
        names = (f"{stem}{'' if again == 0 else f'-{again}'}.mp4" for again in range(1000))
        path = next((path for name in names if not (path := self.folder / name).exists()), None)
        if path is None:
            raise ConfigError("there are a thousand recordings of this second: wait for the next")
        self._now.set((self._open(path), path))
        return path.name

    def stop(self) -> str | None:
        """End the recording, so that its file is whole; gives its name, None where there was none.

        Raises DeviceError where the end could not be written.
        """
        now = self._now.get()
        if now is None:
            return None
        self._now.set(None)  # from here on `show` has nothing to pass on to
        now[0].close()
        return now[1].name

    def files(self) -> list[Path]:
        """The finished recordings, newest first."""
        now = self._now.get()
        try:
            found = [path for path in self.folder.glob("*.mp4") if path.is_file() and not path.is_symlink()]
        except OSError:  # no folder yet
            return []
        return sorted((path for path in found if now is None or path != now[1]), reverse=True)

    def show(self, frame: Frame) -> None:
        """Pass the picture on, if a recording is being made."""
        now = self._now.get()
        if now is None:
            return
        try:
            now[0].show(frame)
        except DeviceError as error:
            if self._now.get() is not now:
                return  # it was just stopped, and is closed
            self._now.set(None)
            log.warning("%s; the recording ends, everything else goes on", printable(error, 300))
            try:
                now[0].close()
            except MasqueradeError:
                log.info("the recording's end could not be written either")

    def close(self) -> None:
        self.stop()

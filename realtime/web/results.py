"""The finished files, in a folder of the user's own."""

import os
from pathlib import Path

from realtime.errors import ConfigError
from realtime.models.atomic_dir import storage_error
from realtime.models.library import user_home
from realtime.text import printable


class Results:
    """The .mp4 files of `folder`, by default the user's own. Read anew each time: two runs may share it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or user_home() / "results"

    def files(self) -> list[Path]:
        """The finished files, newest first. Links and empty files are none."""
        found: list[tuple[int, Path]] = []
        try:
            for path in self.folder.iterdir():
                at = path.lstat()
                if path.suffix == ".mp4" and path.is_file() and not path.is_symlink() and at.st_size > 0:
                    found.append((at.st_mtime_ns, path))
        except OSError:  # no folder yet, or a file that just went
            pass
        return [path for _, path in sorted(found, reverse=True)]

    def keep(self, finished: Path, stem: str) -> str:
        """Move a finished file here; gives its name, which is new. `stem` is a safe name. Raises DeviceError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = self._reserved(stem)
            os.replace(finished, self.folder / name)
        except OSError as error:
            raise storage_error("the file cannot be stored in", self.folder, error, "make room there") from error
        return name

    def _reserved(self, stem: str) -> str:
        """A name that no other file has, with an empty file that keeps it."""
        number = 1
        while True:
            name = f"{stem}.mp4" if number == 1 else f"{stem}-{number}.mp4"
            try:
                (self.folder / name).open("xb").close()
                return name
            except FileExistsError:
                number += 1

    def remove(self, name: str) -> None:
        """Delete a finished file. Its name is compared, and never part of a path. Raises ConfigError, DeviceError."""
        file = next((file for file in self.files() if file.name == name), None)
        if file is None:
            raise ConfigError(f"there is no file {printable(name, 80)!r}: it was removed, or never made")
        try:
            file.unlink()
        except OSError as error:
            raise storage_error(f"{name} cannot be removed from", self.folder, error, "close what uses it") from error

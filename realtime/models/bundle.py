"""One bundle: a folder with a card and the files that the card vouches for."""

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from realtime.errors import ModelError
from realtime.models.card import CARD_FILE, ModelCard, parse_card, read_card_text, refusal
from realtime.text import printable

PREVIEW_FILE = "preview.jpg"
MAX_FILE_BYTES = 2 << 30  # of one ONNX file (protobuf's limit); hashing an endless file would never end


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `folder` is absolute; every file of `card.files` had its hash when it was opened."""

    folder: Path
    card: ModelCard

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.card.name

    def path(self, file: str) -> Path:
        """Where a file of the card lies. Raises ModelError for a file that the card does not list."""
        if file not in self.card.files:
            raise refusal(self.folder, f"its card lists no file {printable(file, 60)!r}")
        return self.folder / file

    @property
    def preview(self) -> Path | None:
        """A picture of the identity, None where there is none. Not hashed unless the card lists it."""
        path = self.folder / PREVIEW_FILE
        return path if path.is_file() and not path.is_symlink() else None

    @property
    def model(self) -> str:
        """The name of the one network file of a `swap` bundle: `swap.onnx`, or something.dfm.

        Raises ModelError where there is none or more than one.
        """
        found = [file for file in self.card.files if file == "swap.onnx" or file.lower().endswith(".dfm")]
        if len(found) != 1:
            which = " and ".join(sorted(found)) or "neither"
            raise refusal(self.folder, f"[files] needs one network, swap.onnx or a .dfm, and has {which}")
        return found[0]


def open_bundle(folder: Path, card_text: bytes | None = None) -> Bundle:
    """The bundle in `folder`, every file checked against its hash. Raises ModelError, in one line.

    `card_text`, where it is given, stands in for what is written in the folder's card.
    """
    try:
        home = folder.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"no bundle at {printable(folder)}: see the ones there are (masquerade models)") from error
    check_file(home, CARD_FILE)
    card = parse_card(read_card_text(home) if card_text is None else card_text, home)
    for file, wanted in card.files.items():
        check_file(home, file, wanted)
    return Bundle(home, card)


def hash_file(path: Path) -> str:
    """`sha256:` and the digest of a file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@lru_cache(maxsize=1024)
def _known_hash(path: Path, inode: int, size: int, changed: tuple[int, int]) -> str:
    """The hash of a file, computed once until one of the arguments is another."""
    return hash_file(path)


def check_file(home: Path, file: str, wanted: str | None = None) -> None:
    """Refuse a link out of `home`, whose target is not what was handed over, and another hash than `wanted`.

    `home` is resolved. A file is hashed once in a process, until it changes. Raises ModelError.
    """
    path = home / file
    try:
        if not path.resolve().is_relative_to(home):
            raise refusal(home, f"{file} is a link out of the folder", "put the file itself there")
        if wanted is None:
            return
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise refusal(home, f"{file} is not a file", "get it again")
        if found.st_size > MAX_FILE_BYTES:
            raise refusal(home, f"{file} is larger than 2 GiB, which no model is", "get it again")
        got = _known_hash(path, found.st_ino, found.st_size, (found.st_mtime_ns, found.st_ctime_ns))
    except FileNotFoundError as error:
        raise refusal(home, f"{file} is missing", "get it again") from error
    except RuntimeError as error:
        raise refusal(home, f"{file} is a link that leads nowhere", "get it again") from error
    except OSError as error:
        raise refusal(home, f"{file} cannot be read ({error.strerror})", "look at its permissions") from error
    if got != wanted:
        what = f"{file} is not the file its card names (sha256 {got[7:15]}…, expected {wanted[7:15]}…)"
        raise refusal(home, what, "it was changed or damaged, get it again")

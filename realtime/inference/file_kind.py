"""Says what a file really is, by its first bytes: downloads often save something else under a model's name."""

import errno
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime.errors import ModelError
from realtime.text import printable

Reader = Literal["onnx", "torch", "torchscript", "safetensors", "pickle", ""]
HEAD_BYTES = 4096
MAX_ARRAYS = 256 << 20
"""Of an .npz, in bytes when unpacked: those of models hold a few hundred kilobytes."""
MAX_DIRECTORY = 8 << 20
"""Of a zip, in bytes: the largest checkpoints have some 1000 entries of 100 bytes."""
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What reading a damaged zip may raise."""

AGAIN = "download it again"
UNPACK = "unpack it and give the file inside"
WRONG = "give a model's file"
EXPORT = "masquerade export makes a bundle of it"


class FileKind(NamedTuple):
    """`reader`: what reads it, "" where nothing here does. `title` and `do` are for errors: what it is, what to do."""

    reader: Reader
    title: str
    do: str = WRONG


UNKNOWN = "no kind of file that is known here"
TORCH = "give the PyTorch checkpoint instead"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
"""What torch.save wrote first before PyTorch 1.6."""

_STARTS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "a gzip archive", UNPACK),
    (0, b"BZh", "a bzip2 archive", UNPACK),
    (0, b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", TORCH),
    (0, b"GGUF", "a GGUF file, a language model", WRONG),
    (4, b"TFL3", "a TensorFlow Lite model", TORCH),
    (0, b"\x93NUMPY", "a NumPy array", WRONG),
    (0, b"\xff\xd8\xff", "a JPEG picture", WRONG),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", WRONG),
    (0, b"GIF8", "a GIF picture", WRONG),
    (8, b"WEBP", "a WebP picture", WRONG),
    (0, b"II*\0", "a TIFF picture", WRONG),
    (0, b"MM\0*", "a TIFF picture", WRONG),
    (4, b"ftypavif", "an AVIF picture", WRONG),
    (4, b"ftyphei", "a HEIC picture", WRONG),
    (4, b"ftypmif1", "a HEIC picture", WRONG),
    (4, b"ftyp", "a video", WRONG),
    (0, b"\x1aE\xdf\xa3", "a video", WRONG),
    (8, b"AVI ", "a video", WRONG),
    (8, b"WAVE", "a sound file", WRONG),
    (0, b"ID3", "a sound file", WRONG),
    (0, b"OggS", "a sound file", WRONG),
    (0, b"fLaC", "a sound file", WRONG),
    (0, b"%PDF", "a PDF", WRONG),
    (
        0,
        b"MZ",
        "a Windows program",
        "run it on Windows if you trust it (a self-extracting archive?), give what it unpacks",
    ),
    (0, b"\x7fELF", "a Linux program", WRONG),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program", WRONG),
    (0, b"SQLite format 3\0", "a database", WRONG),
    (0, b"\0\x05\x16\x07", "a macOS note about a file (its name begins with ._)", "give the file without ._"),
)
_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("version https://git-lfs", "a Git LFS pointer, which stands for a file", "run git lfs pull, or download the file"),
    ("<net ", "an OpenVINO model", "give the ONNX or PyTorch file it was made of"),
    ("<!doctype", "a web page, saved in place of the file", AGAIN),
    ("<html", "a web page, saved in place of the file", AGAIN),
    ("<head", "a web page, saved in place of the file", AGAIN),
    ("<?xml", "an XML text, perhaps a server's error", AGAIN),
    ("<error", "an XML text, perhaps a server's error", AGAIN),
    ("[internetshortcut]", "a link to a web page", "open it in a browser and download the file"),
)


def kind_of(source: Path | bytes) -> FileKind:
    """What a file, a folder or a file's content is. Raises OSError where it cannot be read."""
    if isinstance(source, Path):
        if source.is_dir():
            saved = (source / "saved_model.pb").exists()
            return FileKind("", "a TensorFlow SavedModel", TORCH) if saved else FileKind("", "a folder", "give a file")
        with source.open("rb") as file:
            head, size = file.read(HEAD_BYTES), source.stat().st_size
    else:
        head, size = source[:HEAD_BYTES], len(source)
    if not head:
        return FileKind("", "empty", AGAIN)
    if not any(head):
        return FileKind("", "nothing but zeros, a download that was never finished", AGAIN)
    for at, start, title, do in _STARTS:
        if head.startswith(start, at):
            return FileKind("", title, do)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(source)
    if head[:1] == b"\x80" and len(head) > 2 and 2 <= head[1] <= 5:
        old = LEGACY_MAGIC in head[:32]
        return FileKind("torch", "a PyTorch checkpoint", EXPORT) if old else FileKind("pickle", "a pickle")
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8:
        return FileKind("safetensors", "a safetensors file", EXPORT)
    unknown = FileKind("onnx", "an ONNX network") if head[:1] == b"\x08" else FileKind("", UNKNOWN, AGAIN)
    return _text_kind(head, size) or unknown


def _text_kind(head: bytes, size: int) -> FileKind | None:
    coding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(coding, "replace").strip()
    low = text.lower()
    for start, title, do in _TEXTS:
        if low.startswith(start) or (start == "<net " and low.startswith("<?xml") and start in low):
            return FileKind("", title, do)
    if (
        not text
        or text.count("\ufffd") > 1
        or any(character < " " and character not in "\t\r\n\f" for character in text)
    ):
        return None  # a cut character at the head's end is one
    if "/annex/objects/" in text:
        return FileKind("", "a git-annex pointer, which stands for a file", "run git annex get, or download the file")
    quoted = f"it begins: {printable(' '.join(text.split()), 60)}"
    if text[:1] in "{[" and (size > HEAD_BYTES or _is_json(text)):
        return FileKind("", f"a JSON text, perhaps a server's error ({quoted})", AGAIN)
    return FileKind("", f"a text ({quoted})", WRONG)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _zip_kind(source: Path | bytes) -> FileKind:
    try:
        with open_zip(source) as archive:
            entries = archive.infolist()
    except (*ZIP_ERRORS, OSError):
        return FileKind("", "a zip archive or checkpoint that is cut off or damaged", AGAIN)
    names = [entry.filename for entry in entries]
    files = {name.partition("/")[2] or name for name in names}
    if any(entry.flag_bits & 1 for entry in entries):
        return FileKind("", "a zip archive with a password", UNPACK)
    if {"constants.pkl", "data.pkl"} <= files or (
        "model.json" in files and any(n.startswith("tensors/") for n in files)
    ):
        return FileKind("torchscript", "a TorchScript file", EXPORT)
    if "data.pkl" in files:
        return FileKind("torch", "a PyTorch checkpoint", EXPORT)
    if names and all(name.endswith(".npy") for name in names):
        return FileKind("", "an archive of NumPy arrays (.npz)")
    inside = printable(", ".join(name for name in names if not name.endswith("/")), 80)
    return FileKind("", f"a zip archive of other files ({inside})" if inside else "an empty zip archive", UNPACK)


class _Limited(io.BufferedReader):
    """A file that gives no more than `most` bytes at a time: zipfile reads a directory at once, whatever its size."""

    most = MAX_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(self.most + 1 if size is None or size < 0 else min(size, self.most + 1))
        if len(content) > self.most:
            raise zipfile.BadZipFile("its directory is larger than any model's")
        return content


@contextmanager
def open_zip(source: Path | bytes) -> Iterator[zipfile.ZipFile]:
    """A zip archive to read, its directory no larger than `MAX_DIRECTORY`. Raises what `ZIP_ERRORS` lists, OSError."""
    raw: Any = io.FileIO(source) if isinstance(source, Path) else io.BytesIO(source)
    try:
        with _Limited(raw) as file, zipfile.ZipFile(file) as archive:
            file.most = sys.maxsize - 1
            yield archive
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise zipfile.BadZipFile("something in it lies outside of it") from error


def read_arrays(file: Path, *names: str) -> list[npt.NDArray[Any]]:
    """Arrays of a model's .npz, which holds no more than `MAX_ARRAYS`. Raises ModelError."""
    try:
        with open_zip(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_ARRAYS:
                raise ValueError("its arrays are larger than any model's")
        with np.load(file, allow_pickle=False) as stored:
            found = [stored[name] for name in names]
        if any(array.dtype.kind not in "fiub" for array in found):
            raise ValueError("not numbers")
    except Exception as error:  # a damaged header makes NumPy raise nearly anything
        do = "reinstall masquerade, or get the model again"
        raise ModelError(f"{file.name} is damaged or lacks one of {', '.join(names)}: {do}") from error
    return found

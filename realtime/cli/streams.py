"""Makes standard output and error such that they are there, can print any name, and end no run when they go."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Stream(io.FileIO):
    """A standard stream that forgets what nobody can take any more; `failed` is the first reason."""

    failed: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            written = super().write(data)
        except OSError as error:  # the reader has gone, or the terminal, or the disk is full
            self.failed = self.failed or error
            written = None
        return len(data) if written is None else written  # None too where it would have to wait


@contextmanager
def standard_streams() -> Iterator[list[OSError]]:
    """Replace `sys.stdout` and `sys.stderr` for the block; gives what standard output lost on a full disk, at its end.

    Both may be missing: `>&-`, a service, pythonw. Then the next file that is opened, a recording, would get their
    numbers, and with them what libraries print.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    before = sys.stdout, sys.stderr
    lost: list[OSError] = []
    made = [_replaced("stdout"), _replaced("stderr")]
    try:
        yield lost
    finally:
        for stream in filter(None, made):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before
        out = made[0].buffer.raw if made[0] is not None else None  # type: ignore[attr-defined]
        if out is not None and out.failed is not None and out.failed.errno in _LOST:
            lost.append(out.failed)


def _replaced(name: str) -> io.TextIOWrapper | None:
    """The stream in its new form; None where it is no file (a console of Windows, a test's)."""
    now = getattr(sys, name)
    buffer = getattr(now, "buffer", None)
    if now is None:
        raw, encoding = _Stream(os.devnull, "wb"), "utf-8"
    elif isinstance(getattr(buffer, "raw", buffer), io.FileIO):  # PYTHONUNBUFFERED leaves the buffer out
        raw, encoding = _Stream(now.fileno(), "wb", closefd=False), now.encoding
    else:
        return None
    stream = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
    setattr(sys, name, stream)
    return stream

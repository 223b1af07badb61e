"""Every error masquerade raises on purpose. A message is one line: what, which value, what to do."""

import shlex
import sys

CPU_TORCH = "https://download.pytorch.org/whl/cpu"
"""On Linux, PyPI's PyTorch brings CUDA: 6 GB. A version of this index, with `+cpu` behind its number, goes first."""


class MasqueradeError(Exception):
    """The root: its text is shown to the user as it is, in one line."""

    exit_code = 1


class ConfigError(MasqueradeError):
    """A wrong argument, setting or input file."""

    exit_code = 2


class DeviceError(MasqueradeError):
    """A camera, virtual camera, stream or disk that cannot be used."""

    exit_code = 3


class ModelError(MasqueradeError):
    """A model or bundle that cannot be used."""

    exit_code = 4


class StuckThread(MasqueradeError):
    """A thread that did not end in time."""

    exit_code = 5


def pip_install(extra: str) -> str:
    """The command that installs an extra, as it can be typed: a plain `pip` may be another Python's."""
    python = f'"{sys.executable}"' if sys.platform == "win32" else shlex.quote(sys.executable)
    index = f"--extra-index-url {CPU_TORCH} " if extra in ("export", "train") and sys.platform == "linux" else ""
    return f'{python} -m pip install {index}"masquerade[{extra}]"'

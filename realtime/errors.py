"""Every error masquerade raises on purpose. A message is one line: what, which value, what to do."""


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

"""The command as tests call it: see the fixture `call`."""

from collections.abc import Callable

Call = Callable[..., tuple[int, str, str]]


def one_line(err: str) -> str:
    """What was said on stderr, if it is one line and no traceback."""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]

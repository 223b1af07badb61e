"""A drawn figure on its way into a file: signed with where it was measured, written whole, and closed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.stamp import one_line
from realtime.errors import ConfigError


@contextmanager
def written(figure: Any, path: Path, stamp: Mapping[str, Any], *, below: float = -0.01) -> Iterator[None]:
    """Draw on `figure` inside; afterwards it is in `path`, the stamp `below` its lower edge (in its heights).

    Raises ConfigError where it can't be written. The same drawing gives the same file.
    """
    from matplotlib import pyplot

    try:
        yield
        figure.text(0.5, below, one_line(dict(stamp)), ha="center", va="top", fontsize=6.5, color="#555555")
        # Without the date the same figures give the same file.
        undated = {"Date": None} if path.suffix.lower() == ".svg" else None
        figure.savefig(path, bbox_inches="tight", dpi=130, metadata=undated)
    except OSError as error:
        raise ConfigError(f"the chart can't be written to {path}: {error.strerror}") from error
    finally:
        pyplot.close(figure)

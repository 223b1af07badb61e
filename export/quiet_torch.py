"""PyTorch's exporter without its chatter."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def quietly() -> Iterator[None]:
    """Without torch's remarks about its own insides, and without the thread that its progress bars leave behind."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    if find_spec("tqdm"):
        from tqdm import tqdm

        tqdm.monitor_interval = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)

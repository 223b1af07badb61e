"""Reads and writes rendered samples: `.npz` files without pickles, pictures as encoded files one after the other."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime.frame import Pixels
from trained_models.training.files import save_arrays


def joined(files: list[bytes]) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Files one after the other, and the (n + 1,) offsets between them."""
    offsets = np.cumsum([0] + [len(f) for f in files]).astype(np.int64)
    return np.frombuffer(b"".join(files), np.uint8), offsets


def decoded(fields: Any, name: str, how: int = cv2.IMREAD_COLOR) -> list[Pixels]:
    """The pictures of one `joined` stream; `how`: one of OpenCV's IMREAD flags. Raises ValueError."""
    data, ends = fields[name], fields[name + "_offsets"]
    pictures = [cv2.imdecode(data[a:b], how) for a, b in pairwise(ends)]
    if any(picture is None for picture in pictures):
        raise ValueError(f"a picture of {name} cannot be decoded: render the file again")
    return [np.asarray(picture, np.uint8) for picture in pictures]


def jpeg(pixels: npt.NDArray[Any], quality: int) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def png(pixels: npt.NDArray[Any]) -> bytes:
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def numbered(folder: Path, number: int, stem: str | None = None) -> Path:
    """File `number` in a folder, named after it unless a `stem` is given: frames/frames_00007.npz."""
    return folder / f"{stem or folder.name}_{number:05d}.npz"


def finished(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{folder.name}_?????.npz"))


def fill_folder(
    folder: Path, numbers: Iterable[int], make: Callable[[int], dict[str, Any] | None], stopped: Callable[[], bool]
) -> Iterator[int]:
    """Write the numbered files that are missing; yields each number when it is done. `make` gives the arrays of a
    number, None where there is nothing. Ends early where `stopped` says so."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = numbered(folder, number)
        if path.exists():
            continue
        if stopped():
            return
        fields = make(number)
        if fields is not None:
            save_arrays(path, fields)
            yield number


def use_one_core() -> None:
    """Render in this process on one core: others may share the work."""
    import torch

    os.environ["LP_NUM_THREADS"] = "1"  # Mesa reads it when it makes its context
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


_worker: Any = None  # A worker process's own; made by the pool's initializer


def in_processes(
    open_worker: Callable[..., Any], given: Any, jobs: list[Any], workers: int, stopped: Callable[[], bool]
) -> Iterator[Any]:
    """What `open_worker(given)` gives for each job, in processes of one core each. `stopped` may end it early."""
    # Mesa reads this when a process makes its context: before the workers are born, not only inside them.
    os.environ["LP_NUM_THREADS"] = "1"
    with get_context("spawn").Pool(workers, _open, (open_worker, given)) as pool:
        for made in pool.imap_unordered(_work, jobs):
            yield made
            if stopped():
                return


def _open(open_worker: Callable[..., Any], given: Any) -> None:
    global _worker
    use_one_core()
    _worker = open_worker(given)


def _work(job: Any) -> Any:
    return _worker(job)

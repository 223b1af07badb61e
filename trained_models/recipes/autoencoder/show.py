"""Identities side by side on one driver, for the documentation: a short clip and a contact sheet."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from realtime.config import RunConfig
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session

Pixels = npt.NDArray[np.uint8]

HEIGHT = 216
SHEET_ROWS = 5
CRF = "27"


def show(clip: Path, names: Sequence[str], out: Path, *, variant: str = "fast") -> None:
    """Write `out`.mp4 and `out`.jpg: the driver, then each identity in `names`, as the live loop draws them.

    `clip` is any video with one face; `variant` as in the settings.
    """
    with tempfile.TemporaryDirectory(prefix="masquerade-") as made:
        worn = [_worn(clip, name, Path(made) / f"{name}.mp4", variant) for name in names]
        rows: list[Pixels] = []
        with av.open(str(out.with_suffix(".mp4")), "w") as container:
            stream = None
            for frames in zip(*(_small(file) for file in (clip, *worn)), strict=False):
                row = np.ascontiguousarray(np.hstack(frames))
                rows.append(row)
                if stream is None:
                    stream = container.add_stream("libx264", rate=25, options={"crf": CRF, "preset": "veryslow"})
                    stream.height, stream.width = row.shape[0] // 2 * 2, row.shape[1] // 2 * 2
                    stream.pix_fmt = "yuv420p"
                picture = av.VideoFrame.from_ndarray(row[: stream.height, : stream.width], format="bgr24")
                container.mux(stream.encode(picture))
            if stream is not None:
                container.mux(stream.encode())
    some = [rows[k] for k in np.linspace(len(rows) * 0.05, len(rows) * 0.95, SHEET_ROWS).astype(int)]
    cv2.imwrite(str(out.with_suffix(".jpg")), np.vstack(some), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _worn(clip: Path, name: str, out: Path, variant: str) -> Path:
    """A recording of the clip with the identity on."""
    config = RunConfig.model_validate(
        {"source": str(clip), "model": name, "output": (str(out),), "pace": "all", "variant": variant}
    )
    Session(open_parts(config)).run()
    return out


def _small(file: Path) -> Iterator[Pixels]:
    """The pictures of a video file, `HEIGHT` pixels high, BGR."""
    with av.open(str(file)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="bgr24")
            width = round(pixels.shape[1] * HEIGHT / pixels.shape[0])
            yield np.asarray(cv2.resize(pixels, (width, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)

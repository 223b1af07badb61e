"""Video files written with FFmpeg, and pictures whose place and number show."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from realtime.capture.synthetic import COLUMNS, ROWS, Synthetic, number_bits
from realtime.frame import Pixels

BLUE, GREEN, RED, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(width: int = 96, height: int = 64) -> Pixels:
    """Blue, green above; red, white below."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = BLUE
    image[: height // 2, width // 2 :] = GREEN
    image[height // 2 :, : width // 2] = RED
    image[height // 2 :, width // 2 :] = WHITE
    return image


def numbered_pictures(count: int, size: tuple[int, int] = (320, 180)) -> list[Pixels]:
    source = Synthetic(size, count=count)
    frames = [source.read() for _ in range(count)]
    source.close()
    return [frame.pixels for frame in frames if frame is not None]


def written(
    path: Path,
    pictures: Sequence[Pixels],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: Fraction | int = 30,
    times_ms: Sequence[int] | None = None,
    sound: bool = False,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    ratio: Fraction | None = None,
    space: tuple[str, int, int] | None = None,
) -> Path:
    """A video file. `space`: (matrix's name, its number, range: 1 video, 2 full)."""
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {"crf": "4"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if ratio:
            stream.codec_context.sample_aspect_ratio = ratio
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        track = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "bgr24")
            if space:
                name, number, span = space
                frame = frame.reformat(format=pix_fmt, dst_colorspace=name, dst_color_range=span)
                frame.colorspace = stream.codec_context.colorspace = number
                frame.color_range = stream.codec_context.color_range = span
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if track is not None:
            for i in range(20):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts, tone.time_base = 48000, 1024 * i, Fraction(1, 48000)
                container.mux(track.encode(tone))
            container.mux(track.encode())
    return path


def corners(pixels: Pixels) -> list[tuple[int, ...]]:
    """The four quarters' colours, rounded to 0 or 255."""
    height, width = pixels.shape[:2]
    spots = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [tuple(255 if v > 127 else 0 for v in pixels[spot]) for spot in spots]


def number_of(pixels: Pixels) -> int | None:
    """The number a synthetic picture carries; None where there is none to be read.

    Reads scaled copies too, as long as the picture still fills the frame.
    """
    height, width = pixels.shape[:2]
    side = width / (2 * COLUMNS)
    if side < 1 or height < ROWS * side:
        return None
    # The middle half of each square, so that blur from scaling and coding stays outside.
    values = np.empty(ROWS * COLUMNS)
    for i in range(ROWS * COLUMNS):
        top = height - (ROWS - i // COLUMNS) * side
        left = (i % COLUMNS) * side
        y0, x0 = int(top + side / 4), int(left + side / 4)
        y1, x1 = max(y0 + 1, int(top + side * 3 / 4)), max(x0 + 1, int(left + side * 3 / 4))
        values[i] = pixels[y0:y1, x0:x1].mean()
    if np.any(np.abs(values - 128) < 32):
        return None
    bits = values > 128
    number = int(np.packbits(bits[:32]).view(">u4")[0])
    return number if np.array_equal(bits, number_bits(number)) else None

"""Decoded video to upright SDR pixels in BGR: turned, squared, laid over grey, tone-mapped, de-interlaced."""

import logging
import struct
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.sidedata.sidedata import SideData
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from realtime.frame import Pixels
from realtime.imaging.resize import capped
from realtime.imaging.sdr import is_sdr, over_grey, sdr_lut

log = logging.getLogger(__name__)

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_IPT_C2 = 15  # AVCOL_SPC_IPT_C2
_BT709, _BT2020 = 1, 9  # AVCOL_SPC_BT709, AVCOL_SPC_BT2020_NCL; and their primaries
_MATRICES = (0, 1, 2, 3, 4, 5, 6, 7, 9)  # that swscale knows
_HD = (1280, 576)  # from this width on, or above this height, untagged video is taken as BT.709, as players do
_PNG_FORMS = ("rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be", "ya8", "ya16be", "pal8", "monob")
_DOLBY_TAGS = ("dvh1", "dvhe", "dvav", "dva1", "dav1")
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders leave alpha out
_TICK = Fraction(1, 1000)  # of graphs whose times nobody reads


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """What decodes the packets of a stream with all that they hold, alpha included."""
    alpha = _WITH_ALPHA.get(stream.codec_context.name) if stream.metadata.get("alpha_mode") == "1" else None
    if alpha not in av.codecs_available:
        return stream.codec_context
    return cast(VideoCodecContext, av.CodecContext.create(alpha, "r"))


class ToBgr:
    """Makes pixels of one stream's frames.

    The display matrix (a telephone's rotation, a mirror) is looked up only when the rotation changes: PyAV's side data
    and frame hold each other, so asking every frame would keep each of them, some megabytes, until the garbage
    collector comes by.
    """

    def __init__(self, stream: VideoStream, decoder: VideoCodecContext) -> None:
        self._stream, self._decoder = stream, decoder
        self._first_ratio: Fraction | None = None
        self._turn: tuple[int, tuple[int, int, int, int]] | None = None
        self._to_sdr = ToSdr()
        self._warned = False

    def __call__(self, frame: VideoFrame) -> Pixels:
        """(H, W, 3) uint8 BGR, upright, at most 3840x2160, whatever the pixel format, depth and dynamic range."""
        if not self._warned:
            self._warned = True
            if _needs_dolby_vision(frame, self._stream.codec_context.codec_tag):
                log.warning(
                    "this video is Dolby Vision profile 5, whose colours only Dolby's players decode: green and violet "
                    "here; export it as HDR10, HLG or SDR"
                )
            elif frame.colorspace not in _MATRICES:
                log.warning("this video's colours are coded in an unusual way and will look wrong: export it as BT.709")
        if frame.colorspace not in _MATRICES:  # FFmpeg would refuse the frame
            frame.colorspace = _BT2020 if frame.color_primaries == _BT2020 else _BT709
        form = "bgra" if _has_alpha(frame) else "bgr24"
        if not is_sdr(frame.color_primaries, frame.color_trc):
            frame = self._to_sdr(frame)
        hd = frame.width >= _HD[0] or frame.height > _HD[1]
        matrix = "ITU709" if frame.colorspace == _UNSPECIFIED and hd else None
        width, height = self._square(frame)
        pixels = np.asarray(
            frame.to_ndarray(width=width, height=height, format=form, src_colorspace=matrix), dtype=np.uint8
        )
        return _turned(over_grey(pixels), self._matrix(frame))

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """(width, height) of what the frame becomes."""
        width, height = self._square(frame)
        upright = self._matrix(frame)[0] != 0
        return (width, height) if upright else (height, width)

    def _square(self, frame: VideoFrame) -> tuple[int, int]:
        """The size with square pixels, within the limit: the width stretched by the pixels' own ratio."""
        coded = self._decoder.sample_aspect_ratio or Fraction(1)
        if self._first_ratio is None:
            self._first_ratio = coded
        # The container's word goes for what it describes: the start. A decoder that says otherwise later is newer.
        ratio = coded if coded != self._first_ratio else self._stream.sample_aspect_ratio or coded
        return capped((max(1, round(frame.width * float(ratio))), frame.height))

    def _matrix(self, frame: VideoFrame) -> tuple[int, int, int, int]:
        if self._turn is None or self._turn[0] != frame.rotation:
            self._turn = frame.rotation, _matrix(frame)
        return self._turn[1]


class ToSdr:
    """Tone-maps frames, by the primaries and transfer that they name."""

    def __init__(self) -> None:
        self._lut: tuple[tuple[int, int, str, int, int], _Lut] | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """SDR of the frame, in planar RGB of 16 bits."""
        primaries, transfer = int(frame.color_primaries), int(frame.color_trc)
        matrix = "BT2020" if frame.colorspace == _UNSPECIFIED else None
        deep = frame.reformat(format="gbrap16le" if _has_alpha(frame) else "gbrp16le", src_colorspace=matrix)
        key = deep.width, deep.height, deep.format.name, primaries, transfer
        if self._lut is None or self._lut[0] != key:
            found = sdr_lut(primaries, transfer)
            table = np.empty(found.shape, np.uint16)
            table[..., _lut_channels()] = found * 65535 + 0.5
            self._lut = key, _Lut(table, deep)
        return self._lut[1](deep)


class _Lut:
    """An FFmpeg graph that takes frames like `frame`, in RGB, through a 3-D table as `sdr_lut` gives.

    `table`: (n, n, n, 3) uint16, n a square number, indexed blue, green, red.
    """

    def __init__(self, table: npt.NDArray[np.uint16], frame: VideoFrame) -> None:
        side = round(table.shape[0] ** 1.5)  # a Hald image: the table's cube as a square
        hald = VideoFrame.from_ndarray(table.reshape(side, side, 3), "rgb48le").reformat(format=frame.format.name)
        hald.pts, hald.time_base = 0, _TICK
        self._graph = Graph()
        self._source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_TICK
        )
        clut = self._graph.add_buffer(width=side, height=side, format=frame.format, time_base=_TICK)
        look_up = self._graph.add("haldclut", "interp=tetrahedral")
        self._sink = self._graph.add("buffersink")
        self._source.link_to(look_up, 0, 0)
        clut.link_to(look_up, 0, 1)
        look_up.link_to(self._sink)
        self._graph.configure()
        clut.push(hald)
        clut.push(None)
        self._count = 0

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        frame.pts, frame.time_base = self._count, _TICK
        self._count += 1
        self._source.push(frame)
        return cast(VideoFrame, self._sink.pull())


@lru_cache(maxsize=1)
def _lut_channels() -> list[int]:
    """Where haldclut wants red, green and blue in a planar table: FFmpeg 8 takes its planes for R, G, B, not G, B, R.

    Packed pixels are read right, but take three times as long.
    """
    steps = np.linspace(0, 65535, 4).astype(np.uint16)
    identity = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")[::-1], axis=-1)
    colour = np.empty((8, 8, 3), np.uint8)
    colour[:] = 0, 100, 200
    frame = VideoFrame.from_ndarray(colour, "rgb24").reformat(format="gbrp16le")
    found = _Lut(identity, frame)(frame).to_ndarray(format="rgb24")[0, 0].astype(int)
    return [int(np.abs(value - colour[0, 0]).argmin()) for value in found]


def deinterlaced(frames: Iterable[VideoFrame]) -> Generator[VideoFrame]:
    """The frames with their times, but of interlaced ones the two fields made one picture (FFmpeg's bwdif).

    From the first interlaced frame on they come one late, because the field after them is needed.
    """
    graph: Graph | None = None
    shape: tuple[int, int, str] | None = None
    waiting: deque[VideoFrame] = deque()
    for frame in frames:
        now = frame.width, frame.height, frame.format.name
        if graph is not None and now != shape:
            yield from _pulled(graph, None, waiting)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, shape = _bwdif(frame), now
        if graph is None:
            yield frame
        else:
            yield from _pulled(graph, frame, waiting)
    if graph is not None:
        yield from _pulled(graph, None, waiting)


def _bwdif(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_TICK),
        graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _pulled(graph: Graph, frame: VideoFrame | None, waiting: deque[VideoFrame]) -> Iterator[VideoFrame]:
    """Pushes `frame`, or the end, and gives what comes; `waiting` are the frames that went in before."""
    graph.push(frame)
    if frame is not None:
        waiting.append(frame)
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            done, before = cast(VideoFrame, graph.pull()), waiting.popleft()
            done.pts, done.dts, done.time_base = before.pts, before.dts, before.time_base
            yield done


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.name == "pal8" or any(component.is_alpha for component in frame.format.components)


def _side_data(frame: VideoFrame, kind: str) -> SideData | None:
    """What comes with a frame. PNG's are not asked: PyAV 18.1 frees the name of their colour profile twice."""
    return None if frame.format.name in _PNG_FORMS else cast(SideData | None, frame.side_data.get(kind))


def _needs_dolby_vision(frame: VideoFrame, tag: str) -> bool:
    """True for Dolby Vision profile 5: its base layer is coded in IPT, and says nothing of its colours."""
    untagged = frame.color_trc == _UNSPECIFIED and frame.colorspace == _UNSPECIFIED
    dolby = tag in _DOLBY_TAGS or _side_data(frame, "DOVI_METADATA") is not None
    return frame.colorspace == _IPT_C2 or (untagged and dolby)


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) of the display matrix, each -1, 0 or 1: x' = a x + c y, y' = b x + d y.

    Rotations that are no quarter turns are rounded to the nearest one; no matrix is the identity.
    """
    side = _side_data(frame, "DISPLAYMATRIX")
    if side is None or side.buffer_size < 36:
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from("=5i", bytes(side))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (-1 if a < 0 else 1), 0, 0, (-1 if d < 0 else 1)
    return 0, (-1 if b < 0 else 1), (-1 if c < 0 else 1), 0


def _turned(pixels: Pixels, matrix: tuple[int, int, int, int]) -> Pixels:
    a, b, c, d = matrix
    turned: object = pixels
    if not a:
        turned = cv2.transpose(pixels)
        a, d = c, b  # now x' = c x and y' = b y
    if (a, d) != (1, 1):
        turned = cv2.flip(turned, {(-1, -1): -1, (-1, 1): 1, (1, -1): 0}[a, d])  # type: ignore[call-overload]
    return np.ascontiguousarray(turned, dtype=np.uint8)

"""A camera on Linux, straight from the kernel: the newest picture, its true time, never a long wait.

OpenCV's own reader can block for ten seconds when a device falls silent, hides the driver's timestamps and damage
flags, and with one buffer loses every second frame of some cameras. Here the driver keeps four buffers so that it never
runs dry, and each read takes the newest and returns the others unread: as fresh as one buffer, without its losses.
"""

import contextlib
import ctypes as c
import errno
import fcntl
import mmap
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture.webcam import CameraFound, CameraGone, CameraRequest, Mode, RawFrame, choose
from realtime.errors import DeviceError
from realtime.frame import Pixels

# Structures and numbers are those of linux/videodev2.h (stable kernel interface); sizes follow from the C types, so
# they hold on 32 and 64 bits.
CAPTURE, OUTPUT = 1, 2  # V4L2_BUF_TYPE_VIDEO_CAPTURE, ..._OUTPUT
MMAP = 1  # V4L2_MEMORY_MMAP
CAN_CAPTURE, CAN_STREAM, HAS_NODE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
FLAG_BROKEN = 0x40  # V4L2_BUF_FLAG_ERROR
FLAG_CLOCK, CLOCK_MONOTONIC = 0xE000, 0x2000  # V4L2_BUF_FLAG_TIMESTAMP_MASK, ..._MONOTONIC
LOOPBACK_DRIVER = "v4l2 loopback"

_STANDARD_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (960, 540), (1280, 720), (1920, 1080))
Entry = TypeVar("Entry", bound=c.Structure)
_MOST = 256  # some drivers never say that a list has ended


U32 = c.c_uint32


class Capability(c.Structure):
    _fields_ = [
        ("driver", c.c_char * 16), ("card", c.c_char * 32), ("bus_info", c.c_char * 32), ("version", U32),
        ("capabilities", U32), ("device_caps", U32), ("reserved", U32 * 3),
    ]  # fmt: skip


class FormatName(c.Structure):
    _fields_ = [
        ("index", U32), ("type", U32), ("flags", U32), ("description", c.c_char * 32), ("pixelformat", U32),
        ("mbus_code", U32), ("reserved", U32 * 3),
    ]  # fmt: skip


class FrameSize(c.Structure):
    _fields_ = [("index", U32), ("pixel_format", U32), ("type", U32), ("numbers", U32 * 6), ("reserved", U32 * 2)]


class FrameInterval(c.Structure):
    _fields_ = [
        ("index", U32), ("pixel_format", U32), ("width", U32), ("height", U32), ("type", U32), ("numbers", U32 * 6),
        ("reserved", U32 * 2),
    ]  # fmt: skip


class PixelFormat(c.Structure):
    _fields_ = [
        ("width", U32), ("height", U32), ("pixelformat", U32), ("field", U32), ("bytesperline", U32),
        ("sizeimage", U32), ("rest", U32 * 6),
    ]  # fmt: skip


class _FormatUnion(c.Union):
    _fields_ = [("pix", PixelFormat), ("raw", c.c_uint8 * 200), ("align", c.c_void_p)]


class Format(c.Structure):
    _fields_ = [("type", U32), ("fmt", _FormatUnion)]


class StreamParameters(c.Structure):
    _fields_ = [
        ("type", U32), ("capability", U32), ("capturemode", U32), ("numerator", U32), ("denominator", U32),
        ("rest", c.c_uint8 * 184),
    ]  # fmt: skip


class BufferRequest(c.Structure):
    _fields_ = [("count", U32), ("type", U32), ("memory", U32), ("capabilities", U32), ("flags", U32)]


class Buffer(c.Structure):
    _fields_ = [
        ("index", U32), ("type", U32), ("bytesused", U32), ("flags", U32), ("field", U32), ("seconds", c.c_long),
        ("microseconds", c.c_long), ("timecode", U32 * 4), ("sequence", U32), ("memory", U32), ("offset", c.c_ulong),
        ("length", U32), ("reserved", U32), ("request_fd", c.c_int32),
    ]  # fmt: skip


_READ, _WRITE = 2, 1


def _request(direction: int, number: int, argument: type[c.Structure] | type[c.c_int]) -> int:
    """The kernel's _IOC macro (asm-generic) for type 'V'."""
    return direction << 30 | c.sizeof(argument) << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatName)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, BufferRequest)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, c.c_int)
STREAMOFF = _request(_WRITE, 19, c.c_int)
S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, FrameInterval)


def ioctl(descriptor: int, request: int, argument: c.Structure | c.c_int) -> None:
    """Ask the driver; the answer is in `argument`. Raises OSError."""
    while True:
        with contextlib.suppress(InterruptedError):  # a signal came: Python does not ask again by itself
            fcntl.ioctl(descriptor, request, argument, True)
            return


def capability(descriptor: int) -> Capability:
    """What the device is. Raises OSError for what is no V4L2 device."""
    answer = Capability()
    ioctl(descriptor, QUERYCAP, answer)
    return answer


def is_camera(answer: Capability) -> bool:
    """True where pictures can be had from this node (not its metadata twin, not a pure output)."""
    caps = answer.device_caps if answer.capabilities & HAS_NODE_CAPS else answer.capabilities
    return bool(caps & CAN_CAPTURE and caps & CAN_STREAM)


def list_modes(descriptor: int) -> list[Mode]:
    """All formats, sizes and rates the driver lists."""
    found: dict[Mode, None] = {}  # some drivers name one twice
    for fourcc in _formats(descriptor):
        for size in _sizes(descriptor, fourcc):
            for rate in _rates(descriptor, fourcc, size):
                found[Mode(fourcc_text(fourcc), size, round(rate, 3))] = None
    return list(found)


def fourcc_text(fourcc: int) -> str:
    """The kernel's number as four letters."""
    return fourcc.to_bytes(4, "little").decode("latin-1").strip()


def _listed(descriptor: int, request: int, entry: Callable[[int], Entry]) -> Iterator[Entry]:
    """The driver's entries of a list, by index; EINVAL ends every list, ENOTTY says that the driver has none."""
    for index in range(_MOST):
        asked = entry(index)
        try:
            ioctl(descriptor, request, asked)
        except OSError:
            return
        yield asked


def _formats(descriptor: int) -> Iterator[int]:
    for entry in _listed(descriptor, ENUM_FMT, lambda i: FormatName(index=i, type=CAPTURE)):
        yield entry.pixelformat


def _sizes(descriptor: int, fourcc: int) -> Iterator[tuple[int, int]]:
    for entry in _listed(descriptor, ENUM_FRAMESIZES, lambda i: FrameSize(index=i, pixel_format=fourcc)):
        n = entry.numbers
        if entry.type == 1:
            yield n[0], n[1]
            continue
        # A range: name the usual sizes within, or the largest.
        fits = [(w, h) for w, h in _STANDARD_SIZES if n[0] <= w <= n[1] and n[3] <= h <= n[4]]
        yield from fits or [(n[1], n[4])]
        return


def _rates(descriptor: int, fourcc: int, size: tuple[int, int]) -> Iterator[float]:
    def asked(index: int) -> FrameInterval:
        return FrameInterval(index=index, pixel_format=fourcc, width=size[0], height=size[1])

    entry = None
    for entry in _listed(descriptor, ENUM_FRAMEINTERVALS, asked):
        n = entry.numbers
        fastest = n[1] / n[0] if n[0] else 30.0
        if entry.type == 1:
            yield fastest
            continue
        slowest = n[3] / n[2] if n[2] else fastest
        yield 30.0 if slowest <= 30.0 <= fastest else fastest
        return
    if entry is None:
        yield 30.0  # the driver names no rates: the usual one, measured later anyway


BUFFERS = 4
_GONE = (errno.ENODEV, errno.EIO, errno.EBADF, errno.ENXIO)


class V4l2Camera:
    """An open, streaming camera. Obeys `Camera`. Raises DeviceError when it cannot be had."""

    def __init__(self, found: CameraFound, path: str, request: CameraRequest) -> None:
        self.found = found
        self._maps: list[mmap.mmap] = []
        self._seen_end = False
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _refused(found, path, error) from error
        try:
            self._set_format(request)
            self._start()
        except OSError as error:
            self.close()
            raise _refused(found, path, error) from error
        except BaseException:
            self.close()
            raise

    def _set_format(self, request: CameraRequest) -> None:
        # Known already when the camera comes back: some drivers list thousands.
        modes = self.found.modes or tuple(list_modes(self._descriptor))
        self.found = replace(self.found, modes=modes)
        best = choose(modes, request.size, request.rate_hz)
        if best is None:
            kinds = ", ".join(sorted({mode.fourcc for mode in modes})) or "none"
            raise DeviceError(
                f"camera {self.found.address} has no picture format masquerade reads (it has: {kinds}): "
                "choose another camera (masquerade devices)"
            )
        width, height = request.size or best.size
        form = Format(type=CAPTURE)
        form.fmt.pix.width, form.fmt.pix.height = width, height
        form.fmt.pix.pixelformat = int.from_bytes(best.fourcc.encode("ascii"), "little")
        ioctl(self._descriptor, S_FMT, form)
        pix = form.fmt.pix
        self._stride, self._bytes = pix.bytesperline, pix.sizeimage
        rate = StreamParameters(type=CAPTURE)
        rate.numerator, rate.denominator = 1000, round(1000 * best.rate_hz)
        # Some drivers keep their own rate; it is measured anyway.
        with contextlib.suppress(OSError):
            ioctl(self._descriptor, S_PARM, rate)
        real = rate.denominator / rate.numerator if rate.numerator and rate.denominator else best.rate_hz
        self.mode = Mode(fourcc_text(pix.pixelformat), (pix.width, pix.height), real)

    def _start(self) -> None:
        asked = BufferRequest(count=BUFFERS, type=CAPTURE, memory=MMAP)
        ioctl(self._descriptor, REQBUFS, asked)
        for index in range(asked.count):
            buffer = Buffer(index=index, type=CAPTURE, memory=MMAP)
            ioctl(self._descriptor, QUERYBUF, buffer)
            self._maps.append(
                mmap.mmap(self._descriptor, buffer.length, mmap.MAP_SHARED, mmap.PROT_READ, offset=buffer.offset)
            )
            ioctl(self._descriptor, QBUF, buffer)
        ioctl(self._descriptor, STREAMON, c.c_int(CAPTURE))
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def read(self, seconds: float) -> RawFrame | None:
        """The newest picture, waiting so long for one; None if none came. Raises CameraGone."""
        events = self._poll.poll(seconds * 1000)
        if not events:
            return None
        newest: Buffer | None = None
        try:
            while (buffer := self._dequeued()) is not None:
                if newest is not None:
                    ioctl(self._descriptor, QBUF, newest)
                newest = buffer
            if newest is None:
                if events[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                    raise CameraGone("the driver reports an error")
                return None
            shot = RawFrame(self._picture(newest), _stamp(newest))
            ioctl(self._descriptor, QBUF, newest)
            return shot
        except OSError as error:
            raise CameraGone(error.strerror or "the device does not answer") from error

    def _dequeued(self) -> Buffer | None:
        buffer = Buffer(type=CAPTURE, memory=MMAP)
        try:
            ioctl(self._descriptor, DQBUF, buffer)
            return buffer
        except BlockingIOError:
            return None

    def _picture(self, buffer: Buffer) -> Pixels | None:
        if buffer.flags & FLAG_BROKEN or not buffer.bytesused:
            return None
        encoded = np.frombuffer(self._maps[buffer.index], np.uint8, buffer.bytesused)
        if self.mode.fourcc in ("MJPG", "JPEG"):
            whole = ends_well(encoded)
            self._seen_end |= whole
            # A camera that never writes the end marker is let be; one that does has lost the rest.
            return None if self._seen_end and not whole else picture_from(encoded, self.mode, 0)
        return picture_from(encoded, self.mode, self._stride)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                ioctl(descriptor, STREAMOFF, c.c_int(CAPTURE))
            for mapped in self._maps:
                with contextlib.suppress(BufferError):
                    mapped.close()
            self._maps.clear()
            os.close(descriptor)


_PLANAR = {"NV12": cv2.COLOR_YUV2BGR_NV12, "YU12": cv2.COLOR_YUV2BGR_I420, "YV12": cv2.COLOR_YUV2BGR_YV12}
_PACKED = {"YUYV": cv2.COLOR_YUV2BGR_YUY2, "UYVY": cv2.COLOR_YUV2BGR_UYVY}
_DEEP = {"BGR3": 3, "RGB3": 3, "GREY": 1}


def picture_from(encoded: npt.NDArray[np.uint8], mode: Mode, stride: int) -> Pixels | None:
    """A driver's bytes as BGR; None where they are too few or damaged. `stride`: bytes a row, 0 if packed.

    Cameras send BT.601 video range, as the USB video class says; OpenCV's conversions take it so.
    """
    (width, height), fourcc = mode.size, mode.fourcc
    if fourcc in ("MJPG", "JPEG"):
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        # The binding returns None for what does not decode, whatever its stub says.
        return None if decoded is None else np.ascontiguousarray(decoded, dtype=np.uint8)
    if fourcc in _PLANAR:
        # Rows may be padded: converted with the padding (chroma rows have half of it), then cut.
        rows, stride = height * 3 // 2, max(stride, width)
        if encoded.size < rows * stride:
            return None
        padded = _bgr(encoded[: rows * stride].reshape(rows, stride), _PLANAR[fourcc])
        return np.ascontiguousarray(padded[:, :width])
    depth = 2 if fourcc in _PACKED else _DEEP[fourcc]
    stride = max(stride, width * depth)
    if encoded.size < stride * (height - 1) + width * depth:
        return None
    shape, strides = (height, width, depth), (stride, depth, 1)
    rows_of = np.lib.stride_tricks.as_strided(encoded, shape, strides, writeable=False)
    if fourcc in _PACKED:
        return _bgr(np.ascontiguousarray(rows_of), _PACKED[fourcc])
    if fourcc == "GREY":
        return np.repeat(rows_of, 3, axis=2)
    return np.array(rows_of[..., ::-1] if fourcc == "RGB3" else rows_of, order="C")


def ends_well(encoded: npt.NDArray[np.uint8]) -> bool:
    """True where a JPEG starts and ends as it should; cameras may pad the end with zeros."""
    if encoded.size < 4 or encoded[0] != 0xFF or encoded[1] != 0xD8:
        return False
    tail = encoded[-4096:].tobytes().rstrip(b"\0")
    return tail.endswith(b"\xff\xd9")


def _bgr(array: npt.NDArray[np.uint8], code: int) -> Pixels:
    return np.ascontiguousarray(cv2.cvtColor(array, code), dtype=np.uint8)


def _stamp(buffer: Buffer) -> int | None:
    """The driver's time where it is on the monotonic clock, which is `perf_counter` on Linux."""
    if buffer.flags & FLAG_CLOCK != CLOCK_MONOTONIC:
        return None
    return int(buffer.seconds) * 1_000_000_000 + int(buffer.microseconds) * 1000


def _refused(found: CameraFound, path: str, error: OSError) -> DeviceError:
    who = f"camera {found.address}"
    if error.errno == errno.EBUSY:
        return DeviceError(f"{who} is in use by another program: close that (a call, a browser tab) and try again")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeviceError(f"{who} ({path}) may not be opened: run `sudo usermod -aG video $USER` and log in again")
    if error.errno in _GONE or error.errno == errno.ENOENT:
        return DeviceError(f"{who} is not there any more: plug it in again, then `masquerade devices`")
    return DeviceError(f"{who} refuses to start ({error.strerror}): choose another camera (masquerade devices)")

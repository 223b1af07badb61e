"""Linux's camera interface, the part we need: what a device is and which formats it has.

Structures and numbers are those of `linux/videodev2.h` (stable kernel interface); sizes follow from
the C types, so they hold on 32 and 64 bits.
"""

import ctypes as c
import fcntl
from collections.abc import Iterator

from realtime.capture.camera import Mode

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MMAP = 1  # V4L2_MEMORY_MMAP
CAN_CAPTURE, CAN_STREAM, HAS_NODE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
FLAG_BROKEN = 0x40  # V4L2_BUF_FLAG_ERROR
FLAG_CLOCK, CLOCK_MONOTONIC = 0xE000, 0x2000  # V4L2_BUF_FLAG_TIMESTAMP_MASK, ..._MONOTONIC
LOOPBACK_DRIVER = "v4l2 loopback"

_STANDARD_SIZES = ((320, 240), (640, 360), (640, 480), (800, 600), (960, 540), (1280, 720), (1920, 1080))
_MOST = 256  # some drivers never say that a list has ended


class Capability(c.Structure):
    _fields_ = [
        ("driver", c.c_char * 16), ("card", c.c_char * 32), ("bus_info", c.c_char * 32),
        ("version", c.c_uint32), ("capabilities", c.c_uint32), ("device_caps", c.c_uint32),
        ("reserved", c.c_uint32 * 3),
    ]  # fmt: skip


class FormatName(c.Structure):
    _fields_ = [
        ("index", c.c_uint32), ("type", c.c_uint32), ("flags", c.c_uint32), ("description", c.c_char * 32),
        ("pixelformat", c.c_uint32), ("mbus_code", c.c_uint32), ("reserved", c.c_uint32 * 3),
    ]  # fmt: skip


class FrameSize(c.Structure):
    _fields_ = [
        ("index", c.c_uint32), ("pixel_format", c.c_uint32), ("type", c.c_uint32),
        ("numbers", c.c_uint32 * 6), ("reserved", c.c_uint32 * 2),
    ]  # fmt: skip


class FrameInterval(c.Structure):
    _fields_ = [
        ("index", c.c_uint32), ("pixel_format", c.c_uint32), ("width", c.c_uint32), ("height", c.c_uint32),
        ("type", c.c_uint32), ("numbers", c.c_uint32 * 6), ("reserved", c.c_uint32 * 2),
    ]  # fmt: skip


class PixelFormat(c.Structure):
    _fields_ = [
        ("width", c.c_uint32), ("height", c.c_uint32), ("pixelformat", c.c_uint32), ("field", c.c_uint32),
        ("bytesperline", c.c_uint32), ("sizeimage", c.c_uint32), ("rest", c.c_uint32 * 6),
    ]  # fmt: skip


class _FormatUnion(c.Union):
    _fields_ = [("pix", PixelFormat), ("raw", c.c_uint8 * 200), ("align", c.c_void_p)]


class Format(c.Structure):
    _fields_ = [("type", c.c_uint32), ("fmt", _FormatUnion)]


class StreamParameters(c.Structure):
    _fields_ = [
        ("type", c.c_uint32), ("capability", c.c_uint32), ("capturemode", c.c_uint32),
        ("numerator", c.c_uint32), ("denominator", c.c_uint32), ("rest", c.c_uint8 * 184),
    ]  # fmt: skip


class BufferRequest(c.Structure):
    _fields_ = [
        ("count", c.c_uint32), ("type", c.c_uint32), ("memory", c.c_uint32), ("capabilities", c.c_uint32),
        ("flags", c.c_uint32),
    ]  # fmt: skip


class Buffer(c.Structure):
    _fields_ = [
        ("index", c.c_uint32), ("type", c.c_uint32), ("bytesused", c.c_uint32), ("flags", c.c_uint32),
        ("field", c.c_uint32), ("seconds", c.c_long), ("microseconds", c.c_long),
        ("timecode", c.c_uint32 * 4), ("sequence", c.c_uint32), ("memory", c.c_uint32),
        ("offset", c.c_ulong), ("length", c.c_uint32), ("reserved", c.c_uint32), ("request_fd", c.c_int32),
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
        try:
            fcntl.ioctl(descriptor, request, argument, True)
            return
        except InterruptedError:
            continue


def capability(descriptor: int) -> Capability:
    """What the device is. Raises OSError for what is no V4L2 device."""
    answer = Capability()
    ioctl(descriptor, QUERYCAP, answer)
    return answer


def is_camera(answer: Capability) -> bool:
    """True where pictures can be had from this node (not its metadata twin, not a pure output)."""
    caps = answer.device_caps if answer.capabilities & HAS_NODE_CAPS else answer.capabilities
    return bool(caps & CAN_CAPTURE and caps & CAN_STREAM)


def modes(descriptor: int) -> list[Mode]:
    """All formats, sizes and rates the driver lists."""
    found: dict[Mode, None] = {}  # some drivers name one twice
    for fourcc in _formats(descriptor):
        for size in _sizes(descriptor, fourcc):
            for rate in _rates(descriptor, fourcc, size):
                found[Mode(text(fourcc), size, round(rate, 3))] = None
    return list(found)


def number(fourcc: str) -> int:
    """A FourCC as the kernel's number."""
    return int.from_bytes(fourcc.encode("ascii"), "little")


def text(fourcc: int) -> str:
    """The kernel's number as four letters."""
    return fourcc.to_bytes(4, "little").decode("latin-1").strip()


def _asked(descriptor: int, request: int, entry: c.Structure) -> bool:
    try:
        ioctl(descriptor, request, entry)
        return True
    except OSError:
        return False  # EINVAL ends every list; ENOTTY: the driver does not know the question


def _formats(descriptor: int) -> Iterator[int]:
    for index in range(_MOST):
        entry = FormatName(index=index, type=CAPTURE)
        if not _asked(descriptor, ENUM_FMT, entry):
            return
        yield entry.pixelformat


def _sizes(descriptor: int, fourcc: int) -> Iterator[tuple[int, int]]:
    for index in range(_MOST):
        entry = FrameSize(index=index, pixel_format=fourcc)
        if not _asked(descriptor, ENUM_FRAMESIZES, entry):
            return
        n = entry.numbers
        if entry.type == 1:
            yield n[0], n[1]
            continue
        # A range: name the usual sizes within, and the largest.
        fits = [(w, h) for w, h in _STANDARD_SIZES if n[0] <= w <= n[1] and n[3] <= h <= n[4]]
        yield from fits or [(n[1], n[4])]
        return


def _rates(descriptor: int, fourcc: int, size: tuple[int, int]) -> Iterator[float]:
    for index in range(_MOST):
        entry = FrameInterval(index=index, pixel_format=fourcc, width=size[0], height=size[1])
        if not _asked(descriptor, ENUM_FRAMEINTERVALS, entry):
            if index == 0:
                yield 30.0  # the driver names no rates: the usual one, measured later anyway
            return
        n = entry.numbers
        fastest = n[1] / n[0] if n[0] else 30.0
        if entry.type == 1:
            yield fastest
            continue
        slowest = n[3] / n[2] if n[2] else fastest
        yield 30.0 if slowest <= 30.0 <= fastest else fastest
        return

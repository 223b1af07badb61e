"""A camera on Linux, straight from the kernel: the newest picture, its true time, never a long wait.

OpenCV's own reader can block for ten seconds when a device falls silent, hides the driver's
timestamps and damage flags, and with one buffer loses every second frame of some cameras. Here
the driver keeps four buffers so that it never runs dry, and each read takes the newest and
returns the others unread: as fresh as one buffer, without its losses.
"""

import contextlib
import ctypes as c
import errno
import mmap
import os
import select
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime.capture import v4l2
from realtime.capture.camera import CameraFound, CameraGone, CameraRequest, Mode, RawFrame, choose
from realtime.errors import DeviceError
from realtime.frame import Pixels

BUFFERS = 4
_GONE = (errno.ENODEV, errno.EIO, errno.EBADF, errno.ENXIO)


class V4l2Camera:
    """An open, streaming camera. Obeys `Camera`. Raises DeviceError when it cannot be had."""

    def __init__(self, found: CameraFound, path: str, wish: CameraRequest) -> None:
        self._found = found
        self._maps: list[mmap.mmap] = []
        self._seen_end = False
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _refused(found, path, error) from error
        try:
            self._set_format(wish)
            self._start()
        except OSError as error:
            self.close()
            raise _refused(found, path, error) from error
        except BaseException:
            self.close()
            raise

    def _set_format(self, wish: CameraRequest) -> None:
        # Known already when the camera comes back: some drivers list thousands.
        modes = self._found.modes or tuple(v4l2.modes(self._descriptor))
        self._found = replace(self._found, modes=modes)
        best = choose(modes, wish.size, wish.rate_hz)
        if best is None:
            kinds = ", ".join(sorted({mode.fourcc for mode in modes})) or "none"
            raise DeviceError(
                f"camera {self._found.address} has no picture format masquerade reads (it has: {kinds}): "
                "choose another camera (masquerade devices)"
            )
        width, height = wish.size or best.size
        form = v4l2.Format(type=v4l2.CAPTURE)
        form.fmt.pix.width, form.fmt.pix.height = width, height
        form.fmt.pix.pixelformat = v4l2.number(best.fourcc)
        v4l2.ioctl(self._descriptor, v4l2.S_FMT, form)
        pix = form.fmt.pix
        self._stride, self._bytes = pix.bytesperline, pix.sizeimage
        rate = v4l2.StreamParameters(type=v4l2.CAPTURE)
        rate.numerator, rate.denominator = 1000, round(1000 * best.rate_hz)
        # Some drivers keep their own rate; it is measured anyway.
        with contextlib.suppress(OSError):
            v4l2.ioctl(self._descriptor, v4l2.S_PARM, rate)
        real = rate.denominator / rate.numerator if rate.numerator and rate.denominator else best.rate_hz
        self._mode = Mode(v4l2.text(pix.pixelformat), (pix.width, pix.height), real)

    def _start(self) -> None:
        asked = v4l2.BufferRequest(count=BUFFERS, type=v4l2.CAPTURE, memory=v4l2.MMAP)
        v4l2.ioctl(self._descriptor, v4l2.REQBUFS, asked)
        for index in range(asked.count):
            buffer = v4l2.Buffer(index=index, type=v4l2.CAPTURE, memory=v4l2.MMAP)
            v4l2.ioctl(self._descriptor, v4l2.QUERYBUF, buffer)
            self._maps.append(
                mmap.mmap(self._descriptor, buffer.length, mmap.MAP_SHARED, mmap.PROT_READ, offset=buffer.offset)
            )
            v4l2.ioctl(self._descriptor, v4l2.QBUF, buffer)
        v4l2.ioctl(self._descriptor, v4l2.STREAMON, c.c_int(v4l2.CAPTURE))
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    @property
    def found(self) -> CameraFound:
        """Which camera this is."""
        return self._found

    @property
    def mode(self) -> Mode:
        """What the driver says it sends."""
        return self._mode

    def read(self, seconds: float) -> RawFrame | None:
        """The newest picture, waiting so long for one; None if none came. Raises CameraGone."""
        events = self._poll.poll(seconds * 1000)
        if not events:
            return None
        newest: v4l2.Buffer | None = None
        try:
            while (buffer := self._dequeued()) is not None:
                if newest is not None:
                    v4l2.ioctl(self._descriptor, v4l2.QBUF, newest)
                newest = buffer
            if newest is None:
                if events[0][1] & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                    raise CameraGone("the driver reports an error")
                return None
            shot = RawFrame(self._picture(newest), _stamp(newest))
            v4l2.ioctl(self._descriptor, v4l2.QBUF, newest)
            return shot
        except OSError as error:
            raise CameraGone(error.strerror or "the device does not answer") from error

    def _dequeued(self) -> v4l2.Buffer | None:
        buffer = v4l2.Buffer(type=v4l2.CAPTURE, memory=v4l2.MMAP)
        try:
            v4l2.ioctl(self._descriptor, v4l2.DQBUF, buffer)
            return buffer
        except BlockingIOError:
            return None

    def _picture(self, buffer: v4l2.Buffer) -> Pixels | None:
        if buffer.flags & v4l2.FLAG_BROKEN or not buffer.bytesused:
            return None
        encoded = np.frombuffer(self._maps[buffer.index], np.uint8, buffer.bytesused)
        if self._mode.fourcc in ("MJPG", "JPEG"):
            whole = ends_well(encoded)
            self._seen_end |= whole
            # A camera that never writes the end marker is let be; one that does has lost the rest.
            return None if self._seen_end and not whole else picture_from(encoded, self._mode, 0)
        return picture_from(encoded, self._mode, self._stride)

    def close(self) -> None:
        """Stop and let go of the device. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                v4l2.ioctl(descriptor, v4l2.STREAMOFF, c.c_int(v4l2.CAPTURE))
            for mapped in self._maps:
                with contextlib.suppress(BufferError):
                    mapped.close()
            self._maps.clear()
            os.close(descriptor)


_PLANAR = {
    "NV12": cv2.COLOR_YUV2BGR_NV12,
    "YU12": cv2.COLOR_YUV2BGR_I420,
    "YV12": cv2.COLOR_YUV2BGR_YV12,
}
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


def _stamp(buffer: v4l2.Buffer) -> int | None:
    """The driver's time where it is on the monotonic clock, which is `perf_counter` on Linux."""
    if buffer.flags & v4l2.FLAG_CLOCK != v4l2.CLOCK_MONOTONIC:
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

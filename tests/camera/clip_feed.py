"""A webcam made of a clip: numbered pictures of a face, and a program that feeds them to a device.

    python tests/camera/clip_feed.py FEED.npz /dev/video30 0 8

plays pictures 0 to 7 there and back until it is ended: to other programs the loopback device is then
a webcam with somebody before it. Every picture carries its number in black and white
blocks along its lower edge, so that whoever sees it later can tell which one it was.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

BITS = 6
BLOCK_PX = 24
RATE_HZ = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """`pictures` (N, H, W, 3) uint8 BGR; in each, `face` (N, H, W) bool is well inside the face and
    `around` (N, H, W) bool is far from it."""

    pictures: Pixels
    face: npt.NDArray[np.bool_]
    around: npt.NDArray[np.bool_]

    def save(self, path: Path) -> None:
        np.savez_compressed(path, pictures=self.pictures, face=self.face, around=self.around)

    @classmethod
    def load(cls, path: Path) -> "Feed":
        with np.load(path) as stored:
            return cls(stored["pictures"], stored["face"], stored["around"])


def write_number(picture: Pixels, number: int) -> None:
    """Write a number in place: its bits, then the same inverted, so that a torn picture is noticed."""
    for i in range(2 * BITS):
        bit = (number >> (i % BITS)) & 1
        white = bool(bit) != (i >= BITS)
        picture[-BLOCK_PX:, i * BLOCK_PX : (i + 1) * BLOCK_PX] = 255 if white else 0


def read_number(picture: Pixels) -> int | None:
    """The number in a picture; None where there is none, or not a whole one."""
    edge = BLOCK_PX // 4
    blocks = [
        float(picture[-BLOCK_PX + edge : -edge, i * BLOCK_PX + edge : (i + 1) * BLOCK_PX - edge].mean())
        for i in range(2 * BITS)
    ]
    if any(60 < block < 195 for block in blocks):
        return None
    bits = [block >= 195 for block in blocks]
    if any(bits[i] == bits[i + BITS] for i in range(BITS)):
        return None
    return sum(int(bit) << i for i, bit in enumerate(bits[:BITS]))


def make_feed(clip: Path, size: tuple[int, int], count: int) -> Feed:
    """The first `count` pictures of a clip (every second one), letterboxed to `size`, with their faces found."""
    import av
    import cv2

    from realtime.imaging.resize import letterbox
    from realtime.models.library import face_folder
    from realtime.tracking.tracker import Tracker

    tracker = Tracker(face_folder(), provider="cpu")
    pictures, faces, arounds = [], [], []
    with av.open(str(clip)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index % 2 or len(pictures) == count:
                continue
            large = np.ascontiguousarray(decoded.to_ndarray(format="bgr24"))
            scale = min(size[0] / large.shape[1], size[1] / large.shape[0])
            small = cv2.resize(large, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture = np.array(letterbox(np.asarray(small, np.uint8), size))
            write_number(picture, len(pictures))
            found = tracker.find(picture)
            if len(found) != 1:
                raise SystemExit(f"{clip}: picture {index} shows {len(found)} faces: use a clip with one")
            x0, y0, x1, y1 = found[0].box
            hull = cv2.convexHull(found[0].landmarks[:, :2].astype(np.float32)).astype(np.int32)
            face = np.zeros(picture.shape[:2], np.uint8)
            cv2.fillConvexPoly(face, hull, 1)
            face = np.asarray(cv2.erode(face, np.ones((3, 3)), iterations=round((x1 - x0) / 8)), np.uint8)
            around = np.ones(picture.shape[:2], bool)
            wide, high = 0.6 * (x1 - x0), 0.6 * (y1 - y0)
            around[max(0, int(y0 - high)) : int(y1 + high), max(0, int(x0 - wide)) : int(x1 + wide)] = False
            pictures.append(picture)
            faces.append(face.astype(bool))
            arounds.append(around)
    tracker.close()
    if len(pictures) < count:
        raise SystemExit(f"{clip} has just {len(pictures)} pictures: use a longer one")
    return Feed(np.stack(pictures), np.stack(faces), np.stack(arounds))


def play(pictures: Pixels, device: str) -> None:
    """Feed a loopback device for ever."""
    import pyvirtualcam

    from realtime.output.virtual_camera import revive

    count, height, width, _ = pictures.shape
    there_and_back = [*range(count), *range(count - 2, 0, -1)]
    form = pyvirtualcam.PixelFormat.BGR
    for left in reversed(range(20)):
        # The program under test knocks at its webcam every half second: between two knocks it can be fed.
        revive(device)
        try:
            driver = pyvirtualcam.Camera(width, height, RATE_HZ, fmt=form, device=device)
            break
        except RuntimeError:
            if not left:
                raise
            time.sleep(0.3)
    with driver:
        sent, started = 0, time.monotonic()
        while True:
            driver.send(pictures[there_and_back[sent % len(there_and_back)]])
            sent += 1
            if sent == 1:
                print(f"feeding {device}", flush=True)
            time.sleep(max(0.0, started + sent / RATE_HZ - time.monotonic()))


if __name__ == "__main__":
    first, end = int(sys.argv[3]), int(sys.argv[4])
    play(Feed.load(Path(sys.argv[1])).pictures[first:end], sys.argv[2])

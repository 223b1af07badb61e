"""The webcam source on a real V4L2 device: run it inside a machine with `vivid` and `v4l2loopback`.

    python tests/camera/webcam_guest.py --camera 20 --loopback 10

`vivid` stands for the webcam; the loopback carries the label "masquerade (AI)" and stands for our own virtual camera.
Needs root, for pulling the camera out. One line a check, a JSON report last; ends with 1 when a check failed.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from loop_guest import DRIVER, PATIENCE_S, check, ended, until

from realtime.capture.devices import delivered, list_cameras, open_camera
from realtime.capture.open_source import open_source
from realtime.capture.webcam import Webcam
from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.threads import Closed, Crew, Slot

report: dict[str, object] = {}


def refused(action: Callable[[], object]) -> str:
    """The DeviceError an action ends in; empty where it does not."""
    try:
        action()
    except DeviceError as error:
        return str(error)
    return ""


@contextmanager
def watched(source: Webcam) -> Iterator[Slot[Frame]]:
    """Reads the source in a thread, newest frame in the slot, until the block ends."""
    slot: Slot[Frame] = Slot()

    def capture() -> None:
        while (frame := source.read()) is not None:
            slot.put(frame)
        slot.close()

    with Crew() as crew:
        crew.start("capture", capture, source.unblock)
        yield slot


def listing(camera: str, loopback: str) -> None:
    found = {each.address: each for each in list_cameras()}
    vivid = found.get(camera)
    check(vivid is not None and "vivid" in vivid.name, f"camera {camera} is listed: {vivid and vivid.name}")
    if vivid is not None:
        report["modes"] = [str(mode) for mode in vivid.modes if mode.fourcc == "YUYV"]
        check(len(vivid.modes) > 5 and not vivid.own, f"with {len(vivid.modes)} modes")
    ours = found.get(loopback)
    check(ours is None or ours.own, "our own virtual camera is marked as such, or not a camera yet")


def own_camera_is_refused(loopback: str) -> None:
    """With a producer the loopback becomes a camera: even then it is not to be had."""
    import numpy as np
    import pyvirtualcam

    with pyvirtualcam.Camera(320, 240, 15, device=f"/dev/video{loopback}") as producer:
        producer.send(np.zeros((240, 320, 3), np.uint8))
        ours = {each.address: each for each in list_cameras()}.get(loopback)
        check(ours is not None and ours.own, "fed, it is listed and marked as our own")
        said = refused(lambda: open_source(f"/dev/video{loopback}", pace="live"))
        check("masquerade's own virtual camera" in said, said or "it was not refused")


def pictures(camera: str) -> None:
    source = open_source(camera, size=(640, 360), fps=30.0)
    assert isinstance(source, Webcam)
    try:
        frames = [frame for frame in (source.read() for _ in range(45)) if frame is not None]
        check(len(frames) == 45 and {f.size for f in frames} == {(640, 360)}, f"{source.rate_hz:.1f} frames a second")
        # vivid's test picture: bars of saturated colours, so all three channels use their range.
        spread = frames[-1].pixels.reshape(-1, 3).std(axis=0)
        check(bool((spread > 40).all()), f"the pictures show colour bars (spread {spread.round()})")
        stamps = [frame.captured_ns for frame in frames]
        check(stamps == sorted(set(stamps)), "times never go back")
        check(10 < source.rate_hz < 40, f"{source.rate_hz:.1f} frames a second")
        report["format"] = f"{source.size[0]}x{source.size[1]} at {source.rate_hz:.1f}"
        busy = refused(lambda: open_source(camera, pace="live"))
        check("in use by another program" in busy, busy or "a busy camera was not refused")
    finally:
        source.close()
    opened = open_camera(source._wish)
    report["delivered"] = str(delivered(opened))
    opened.close()
    said = refused(lambda: open_source(camera, size=(1000, 700)))
    check("asked for 1000x700: pass --size" in said, said or "a size nobody has was given")
    check("there is no camera 77" in (said := refused(lambda: open_source("77"))), said)
    default = open_source("0")
    check(default.read() is not None, f"camera 0 is the only one there: {default.name}, {default.size}")
    report["default"] = getattr(default, "format", "")
    default.close()


def unplugging(camera: str) -> None:
    started = time.monotonic()
    source = open_source(camera, size=(640, 360))
    assert isinstance(source, Webcam)
    opening_s = time.monotonic() - started  # under a second on real machines, many when emulated and busy
    report["opening_s"] = round(opening_s, 2)
    node = Path(f"/dev/video{camera}")
    seen: list[int] = []
    try:
        with watched(source) as slot:

            def flows() -> bool:
                try:
                    frame = slot.get(0.2)
                except Closed:
                    return False
                seen.extend([frame.seq] if frame is not None else [])
                return frame is not None

            check(until(flows) < PATIENCE_S, "frames flow")
            for name in ("first", "second"):
                (DRIVER / "unbind").write_text("vivid.0")
                gone_s = until(lambda: "is gone" in source.state)
                noticed = f"{name} unplugging noticed after {gone_s:.2f} s: {source.state}"
                check(gone_s < 3 + opening_s, noticed)
                while slot.get(0.0) is not None:
                    pass
                check(not node.exists(), "the device is away")
                (DRIVER / "bind").write_text("vivid.0")
                there_s = until(node.exists)
                back_s = until(flows)
                report[f"back_after_{name}_s"] = round(back_s, 2)
                back = f"back {back_s:.2f} s after the device ({there_s:.2f} s for that)"
                check(back_s < 2.0 + opening_s, back)
                check(source.state == "ok", f"state {source.state}")
            before = source.losses
            subprocess.run(["v4l2-ctl", "-d", str(node), "-c", "disconnect=1"], check=True)
            lost_s = until(lambda: source.losses > before)
            while slot.get(0.0) is not None:
                pass
            back_s = until(flows)
            report["back_after_disconnect_s"] = round(back_s, 2)
            again = f"a dead device is opened again: {lost_s:.2f} s, {back_s:.2f} s"
            check(max(lost_s, back_s) < 3 + opening_s, again)
            (DRIVER / "unbind").write_text("vivid.0")
            until(lambda: "is gone" in source.state)
            started = time.monotonic()
        check(time.monotonic() - started < 5, "unblocked while the camera is away, the thread ends")
        check(seen == sorted(set(seen)), "frame numbers go on across all this")
    finally:
        source.close()
        (DRIVER / "bind").write_text("vivid.0")


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--camera", default="20")
    arguments.add_argument("--loopback", default="10")
    chosen = arguments.parse_args()
    listing(chosen.camera, chosen.loopback)
    own_camera_is_refused(chosen.loopback)
    pictures(chosen.camera)
    unplugging(chosen.camera)
    return ended(**report)


if __name__ == "__main__":
    sys.exit(main())

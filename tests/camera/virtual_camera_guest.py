"""In the test bed's VM: our sink writes to a real v4l2loopback device, another program reads it back.

    python tests/camera/virtual_camera_guest.py [FOLDER]

Leaves `virtual_camera.json`, and `virtual_camera.png` as the reader saw it, in FOLDER. Exit 0 only if the
reader got our colours, the device's name says AI, and a device that is in use is named as such.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from realtime.errors import DeviceError
from realtime.frame import Frame
from realtime.output.virtual_camera import VirtualCamera, find_loopbacks

SIZE = (640, 360)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (40, 120, 200)]

READER = """
import cv2, sys
reader = cv2.VideoCapture(sys.argv[1], cv2.CAP_V4L2)
got = None
for _ in range(15):
    ok, picture = reader.read()
    got = picture if ok else got
sys.exit(0 if got is not None and cv2.imwrite(sys.argv[2], got) else 1)
"""


def bars() -> np.ndarray:
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        picture[:, SIZE[0] * i // 5 : SIZE[0] * (i + 1) // 5] = colour
    return picture


def main(folder: Path) -> int:
    found = find_loopbacks()
    sink = VirtualCamera(size=SIZE, rate_hz=15)
    report: dict[str, object] = {
        "loopbacks": [str(loop) for loop in found],
        "device": sink.device,
        "label": sink.label,
        "state": sink.state,
    }
    try:
        VirtualCamera(size=SIZE, rate_hz=15, device=sink.device)
    except DeviceError as error:
        report["second"] = str(error)
    seen = folder / "virtual_camera.png"
    reader: subprocess.Popen[bytes] | None = None
    picture, sent, busy_s, start = bars(), 0, 0.0, time.perf_counter()
    while time.perf_counter() - start < 120 and (reader is None or reader.poll() is None):
        before = time.perf_counter()
        sink.show(Frame(picture, sent, time.perf_counter_ns()))
        busy_s += time.perf_counter() - before
        sent += 1
        if sent == 10:  # with exclusive_caps the device can be read only once it has been written to
            reader = subprocess.Popen([sys.executable, "-c", READER, sink.device, str(seen)])
        time.sleep(max(0.0, start + sent / 15 - time.perf_counter()))
    assert reader is not None
    report["reader"] = reader.poll()
    if reader.poll() is None:
        reader.kill()
    sink.close()
    report |= {"sent": sent, "ms_per_show": round(1000 * busy_s / sent, 2)}
    read = cv2.imread(str(seen)) if seen.exists() else None
    if read is not None:
        spots = [read[SIZE[1] // 2, SIZE[0] * (2 * i + 1) // 10] for i in range(5)]
        report["colour_error"] = max(
            int(np.abs(spot.astype(int) - colour).max()) for spot, colour in zip(spots, COLOURS, strict=True)
        )
    error = report.get("colour_error")
    report["ok"] = bool(
        isinstance(error, int)
        and error <= 6
        and sink.state == "ok"
        and "masquerade" in sink.label
        and "is in use" in str(report.get("second"))
    )
    print(json.dumps(report, indent=1))
    (folder / "virtual_camera.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))

"""Another program that has the virtual camera open, and the verdict on all that it gets."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from clip_feed import Feed, read_number
from verdict import Judge, Verdict

READER = """
import os, sys, time
import cv2, numpy as np
device, folder = sys.argv[1:]
seen = kept = 0
last = None
while True:
    reader = cv2.VideoCapture(device, cv2.CAP_V4L2)
    while reader.isOpened():
        good, picture = reader.read()
        if not good:
            break
        seen += 1
        if last is None or np.abs(picture[::2, ::2].astype(np.int16) - last[::2, ::2]).mean() > 0.3:
            np.save(f"{folder}/part.npy", picture)
            os.replace(f"{folder}/part.npy", f"{folder}/{kept:05d}.npy")
            kept, last = kept + 1, picture
        with open(f"{folder}/part", "w") as file:
            print(seen, file=file)
        os.replace(f"{folder}/part", f"{folder}/seen")
    reader.release()
    time.sleep(0.5)
"""


class Reader:
    """Another program with the virtual camera open. Keeps each picture that differs from the last one."""

    def __init__(self, device: str, feed: Feed) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="seen-"))
        self._feed = feed
        self._judge = Judge(feed.pictures, feed.face, feed.around, "Ada")
        self.kept: dict[str, list[tuple[Verdict, np.ndarray]]] = {}
        self.verdicts: list[Verdict] = []
        quiet = os.environ | {"OPENCV_LOG_LEVEL": "SILENT"}  # until the device can be opened, it cannot
        self._process = subprocess.Popen([sys.executable, "-c", READER, device, str(self.folder)], env=quiet)

    @property
    def count(self) -> int:
        """Pictures read so far, repeats too."""
        try:
            return int((self.folder / "seen").read_text())
        except OSError:
            return 0

    def look(self) -> list[Verdict]:
        """The verdict on every different picture so far."""
        for path in sorted(self.folder.glob("[0-9]*.npy")):
            picture = np.load(path)
            path.unlink()
            verdict = self._judge(picture, read_number(picture))
            if not self.verdicts or verdict.kind != self.verdicts[-1].kind or verdict.kind == "raw":
                print(f"      picture {len(self.verdicts)}: {verdict}", flush=True)
            self.verdicts.append(verdict)
            self.kept.setdefault(verdict.kind, []).append((verdict, picture))
            # Memory is scarce in the guest: of each kind, its first pictures and its last.
            del self.kept[verdict.kind][2:-1]
        return self.verdicts

    def kinds(self) -> Counter[str]:
        """How many different pictures of each kind were seen."""
        return Counter(verdict.kind for verdict in self.look())

    def replaced(self) -> set[int]:
        """The numbers of the pictures with a replaced face."""
        return {v.number for v in self.look() if v.kind == "replaced" and v.number is not None}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)

    def leave_a_picture(self, path: Path) -> None:
        """Left what went in, right what was read: some of each kind of picture."""
        rows = []
        for kind, pairs in self.kept.items():
            for verdict, picture in pairs:
                known = verdict.number is not None and kind != "card"
                sent = self._feed.pictures[verdict.number] if known else np.zeros_like(picture)
                rows.append(np.hstack([sent, picture]))
        cv2.imwrite(str(path), np.vstack(rows))

"""The installed program as a user starts it: webcam device in, virtual camera device out.

    python tests/camera/loop_guest.py FEED.npz FOLDER

Needs root and the devices of `make test-camera` (see run.py). Another program (OpenCV, its own process) reads the
virtual camera, and every picture that it gets is judged; what was seen is left in FOLDER as `loop.png`. One line a
check; ends with 1 when one failed. Nothing depends on the order or the rate of pictures.
"""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clip_feed import Feed
from reader import Reader

HERE = Path(__file__).resolve().parent
PROGRAM = Path(sys.executable).parent / "masquerade"
OUT, VIVID, WEBCAM = "/dev/video10", "/dev/video20", "/dev/video30"
DRIVER = Path("/sys/bus/platform/drivers/vivid")
PATIENCE_S = float(os.environ.get("CAMERA_PATIENCE_S", "600"))  # an emulated processor on a busy one
GONE = r"(is gone|sends nothing): waiting"
COMMON = ("--model", "ada", "--size", "640x360", "--fps", "10")
TO_CAMERA = ("--output", f"camera:{OUT}")

failures: list[str] = []


def check(true: bool, what: str) -> bool:
    print(("ok    " if true else "FAIL  ") + what, flush=True)
    if not true:
        failures.append(what)
    return true


def ended(**report: object) -> int:
    """Print what failed; gives the exit code."""
    print(json.dumps({**report, "failed": failures}, indent=1))
    return 1 if failures else 0


def until(condition: Callable[[], bool]) -> float:
    """Seconds until the condition holds; PATIENCE_S or more where it never does."""
    started = time.monotonic()
    while not condition() and time.monotonic() - started < PATIENCE_S:
        time.sleep(0.1)
    return time.monotonic() - started


def ask_device(device: str, *question: str) -> str:
    """What v4l2-ctl says of it."""
    return subprocess.run(["v4l2-ctl", "-d", device, *question], capture_output=True, text=True).stdout


class Program:
    """`masquerade run`, in a terminal of its own for the keys, its lines in a file."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self._said, self._complained = folder / f"{name}.out", folder / f"{name}.err"
        self._metrics = folder / f"{name}.json"
        self._keys, terminal = pty.openpty()
        command = [str(PROGRAM), "run", *options, *COMMON, "--metrics", str(self._metrics)]
        print("      $ masquerade " + " ".join(command[1:]), flush=True)
        with self._said.open("w") as out, self._complained.open("w") as err:
            self._process = subprocess.Popen(command, stdin=terminal, stdout=out, stderr=err)
        os.close(terminal)

    @property
    def lines(self) -> list[str]:
        return self._said.read_text().splitlines()

    @property
    def complaints(self) -> list[str]:
        return self._complained.read_text().splitlines()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def p95_s(self) -> float:
        """The latency that it tells in its live line."""
        told = re.findall(r"p95 (\d+) ms", "\n".join(self.lines))
        return int(told[-1]) / 1000 if told else 0.0

    def says(self, pattern: str) -> bool:
        """True once a line that is printed from now on matches; False where none does, or it ends."""
        old, wanted = len(self.lines), re.compile(pattern)
        until(lambda: any(map(wanted.search, self.lines[old:])) or not self.running)
        return any(map(wanted.search, self.lines[old:]))

    def press(self, key: str) -> None:
        os.write(self._keys, key.encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def exit_code(self) -> int | None:
        until(lambda: not self.running)
        return self._process.poll()

    def report(self) -> dict[str, object]:
        return dict(json.loads(self._metrics.read_text())) if self._metrics.exists() else {}

    def close(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()
            print("\n".join(["      it said:", *self.lines[-5:], *self.complaints[-5:]]), flush=True)
        os.close(self._keys)


@contextmanager
def webcam_fed(feed: Path, first: int, end: int) -> Iterator[None]:
    """While the block runs, the loopback at WEBCAM is a camera that shows these pictures of the feed."""
    command = [sys.executable, str(HERE / "clip_feed.py"), str(feed), WEBCAM, str(first), str(end)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("feeding"), "the test's own webcam does not start"
        yield
    finally:
        process.kill()
        process.wait()


def nobody_before_the_camera(feed: Feed, folder: Path) -> None:
    """vivid shows colour bars: what leaves is the card, also while it is pulled out, and never the bars."""
    with ExitStack() as stack:
        program = Program(folder, "vivid", "--source", VIVID, *TO_CAMERA)
        stack.callback(program.close)
        reader = Reader(OUT, feed)
        stack.callback(reader.close)
        waited = until(lambda: reader.count >= 5 or not program.running)
        if not check(reader.count >= 5, f"the virtual camera can be read, after {waited} s"):
            return
        label = next((line for line in ask_device(OUT, "-D").splitlines() if "Card type" in line), "")
        check("masquerade (AI)" in label, f"it is called {label.strip()}")
        check(program.says("card$"), f"it says so: {program.lines[-1]}")
        (DRIVER / "unbind").write_text("vivid.0")
        check(program.says(GONE), f"pulled out: {program.lines[-1]}")
        before = reader.count
        until(lambda: reader.count >= before + 10 or not program.running)
        check(reader.count >= before + 10, "the virtual camera goes on without it")
        (DRIVER / "bind").write_text("vivid.0")
        check(program.says("card$"), f"put back: {program.lines[-1]}")
        before = reader.count
        until(lambda: reader.count >= before + 5)
        check(set(reader.kinds()) == {"card"}, f"all that was seen, in {reader.count} pictures: {dict(reader.kinds())}")
        check(all(verdict.has_badge for verdict in reader.verdicts), "with the badge")
        program.interrupt()
        code = program.exit_code()
        check(code == 130, f"interrupted: exit code {code}, {program.complaints}")
        frames = program.report().get("frames")
        assert isinstance(frames, dict)
        check(frames["raw"] == 0 and frames["emitted"] == frames["guarded"] > 0, f"counted: {frames}")


def somebody_before_the_camera(feed: Feed, stored: Path, folder: Path) -> None:
    """The face is replaced, the rest is not, the badge is there; also after the webcam went and came."""
    with ExitStack() as stack:
        half = len(feed.pictures) // 2
        with webcam_fed(stored, 0, half):
            program = Program(folder, "swap", "--source", WEBCAM, *TO_CAMERA)
            stack.callback(program.close)
            reader = Reader(OUT, feed)
            stack.callback(reader.close)
            waited = until(lambda: len(reader.replaced()) >= 3 or not program.running)
            print(f"      first pictures after {waited} s: {program.complaints}", flush=True)
            if not check(len(reader.replaced()) >= 3, f"replaced faces in pictures {reader.replaced()}"):
                return
        check(program.says(GONE), f"webcam away: {program.lines[-1]}")
        until(lambda: reader.look()[-1].kind == "card" or not program.running)
        check(reader.look()[-1].kind == "card", "then the card is shown")
        with webcam_fed(stored, half, len(feed.pictures)):
            # Other pictures than before, so that none of the first ones counts that is still on its way.
            waited = until(lambda: max(reader.replaced()) >= half or not program.running)
            check(max(reader.replaced()) >= half, f"webcam back: a replaced face after {waited} s")
        # Ended while nobody is there: an emulated processor takes longer for one picture than the
        # 5 s that a thread is given to end.
        check(program.says(GONE), f"webcam away again: {program.lines[-1]}")
        time.sleep(3 * program.p95_s)
        program.press("q")
        code = program.exit_code()
        check(code == 0, f"key q: exit code {code}, {program.lines[-1]}")
        verdicts = reader.look()
        shown = [verdict for verdict in verdicts if verdict.kind == "replaced"]
        kinds = reader.kinds()
        check(kinds["raw"] == 0, f"never the user's own face, in {reader.count} pictures")
        # v4l2loopback may overwrite a picture that is being read: a few can be mixtures of two.
        few = max(1, len(verdicts) // 20)
        check(kinds["unknown"] <= few, f"all that was seen: {dict(kinds)}")
        check(all(v.has_badge for v in verdicts if v.kind != "unknown"), "the badge is on every one")
        worst = max(verdict.around for verdict in shown)
        check(worst < 6, f"the rest is the webcam's picture: {worst:.1f} grey levels off at most")
        least = min(verdict.face for verdict in shown)
        check(least > 6, f"the face is not: {least:.1f} grey levels off at least")
        report = program.report()
        frames = report.get("frames")
        check(isinstance(frames, dict) and frames["raw"] == 0, f"counted: {frames}")
        print(f"      ran on {report.get('providers')}, stages {report.get('stages_ms')}", flush=True)
        reader.leave_a_picture(folder / "loop.png")


def no_such_camera(folder: Path) -> None:
    program = Program(folder, "none", "--source", "/dev/video77", *TO_CAMERA)
    code = program.exit_code()
    said = program.complaints
    check(code == 3 and len(said) == 1 and "no camera /dev/video77" in said[0], f"exit code {code}: {said}")
    program.close()


def main(stored: Path, folder: Path) -> int:
    feed = Feed.load(stored)
    nobody_before_the_camera(feed, folder)
    somebody_before_the_camera(feed, stored, folder)
    no_such_camera(folder)
    return ended()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

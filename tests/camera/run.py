"""`make test-camera`: the installed program on real video devices, in a small virtual machine.

    python tests/camera/run.py [webcam] [virtual_camera] [loop] [page] [--cache DIR] [--results DIR]

Boots one VM (../shared/vm/run_vm.py, software emulation: minutes) with v4l2loopback and vivid, runs
the named guest scripts in it (all of them if none is named), prints a line a check, and ends with 0 if
all passed, 1 if one failed, 2 if the test could not be run here, and says why.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VM = ROOT.parent / "shared" / "vm" / "run_vm.py"
CLIP = ROOT / "trained_models" / "clips" / "driving.mp4"
SIZE = (640, 360)
PICTURES = 16

MODULES = (
    'v4l2loopback devices=2 video_nr=10,30 exclusive_caps=1,1 max_buffers=8 card_label="masquerade (AI),Test Webcam"',
    "vivid n_devs=1 node_types=0x1 vid_cap_nr=20",
)

VM_FAILED, TIMED_OUT = 125, 124
"""Exit codes of run_vm.py."""

GUESTS = {
    "webcam": ("webcam_guest.py", "--camera", "20", "--loopback", "10"),
    "virtual_camera": ("virtual_camera_guest.py", "{results}"),
    "loop": ("loop_guest.py", "{results}/feed.npz", "{results}"),
    "page": ("page_guest.py", "{results}/feed.npz", "{results}"),
}


def inside(names: list[str], results: str) -> int:
    """In the guest: every script after the other; one that fails does not keep the others from running."""
    failed = []
    for name in names:
        script, *arguments = GUESTS[name]
        print(f"=== {name}", flush=True)
        started = time.monotonic()
        filled = [argument.format(results=results) for argument in arguments]
        code = subprocess.run([sys.executable, str(HERE / script), *filled], cwd=ROOT).returncode
        passed = f"{'PASS' if code == 0 else 'FAIL'}  {name} ({time.monotonic() - started:.0f} s)"
        print(passed if code == 0 else f"{passed}, exit code {code}", flush=True)
        failed += [name] if code else []
    return 1 if failed else 0


def missing() -> str:
    """What keeps the test from being run here, and what to do; empty where nothing does."""
    if not sys.platform.startswith("linux"):
        return f"it needs Linux, and this is {sys.platform}"
    if not VM.exists():
        return f"the test bed's VM is not here: {VM}"
    if not CLIP.exists():
        return f"the bundled clip is not here: {CLIP} (git checkout {CLIP.relative_to(ROOT)})"
    if not (Path(sys.executable).parent / "masquerade").exists():
        return f"masquerade is not installed beside {sys.executable}: make test-camera installs it"
    return ""


def outside(names: list[str], options: argparse.Namespace, results: Path) -> int:
    """On this machine: make the feed, boot the VM, pass on what it prints."""
    if {"loop", "page"} & set(names):
        from clip_feed import make_feed

        make_feed(CLIP, SIZE, PICTURES).save(results / "feed.npz")
    command = [sys.executable, str(VM), "--cache", str(options.cache), "--results", str(results)]
    command += ["--timeout", str(options.timeout), "--cwd", str(ROOT)]
    command += ["--env", f"CAMERA_PATIENCE_S={options.patience}"]
    for module in MODULES:
        command += ["--load", module]
    if options.cpu:
        command += ["--cpu", options.cpu]
    command += ["--", sys.executable, str(HERE / "run.py"), "--inside", "/results", *names]
    with subprocess.Popen(command) as vm:
        try:
            code = vm.wait()
        except KeyboardInterrupt:
            vm.terminate()  # it ends QEMU and clears up
            raise
    if code == VM_FAILED:
        print(f"test-camera was not run: the VM failed, {results}/console.log may say why", file=sys.stderr)
        return 2
    verdict = {0: "passed", TIMED_OUT: f"FAILED: {options.timeout:g} s were not enough (--timeout)"}
    print(f"test-camera {verdict.get(code, 'FAILED')}; what was seen: {results}")
    return 1 if code else 0


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GUESTS))
    cache = os.environ.get("VM_CACHE") or Path.home() / ".cache" / "masquerade-vm"
    arguments.add_argument("--cache", type=Path, default=cache, help="where the VM's kernel is kept (170 MB)")
    arguments.add_argument("--results", type=Path, help="where pictures and logs go; a temporary folder")
    arguments.add_argument("--timeout", type=float, default=3600, help="seconds for all of it")
    arguments.add_argument("--patience", type=float, default=600, help="seconds that one step may take")
    arguments.add_argument("--cpu", help="the VM's processor; the default has no AVX, max has")
    arguments.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    names = options.names or list(GUESTS)
    if unknown := [name for name in names if name not in GUESTS]:
        print(f"test-camera: there is no {unknown[0]}: choose of {', '.join(GUESTS)}", file=sys.stderr)
        return 2
    if options.inside:
        return inside(names, options.inside)
    if why := missing():
        print(f"test-camera was not run: {why}", file=sys.stderr)
        return 2
    results = options.results or Path(tempfile.mkdtemp(prefix="test-camera-"))
    results.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        return outside(names, options, results.resolve())
    except KeyboardInterrupt:
        print("test-camera was interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

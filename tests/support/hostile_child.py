"""A process that opens hostile model files, one after the other, and reports on each: see test_hostile_models.py.

Called with a folder that holds `jobs.json`. It answers on its first stdout with one JSON line before and one after
each job, so that whoever reads along knows the file that stopped it. Everything a file could do wrong is watched:
what Python's audit events tell of (programs started, connections, writes outside the folder), a canary file that
every payload tries to make, text on stdout and stderr, files left behind, memory (a limit on the address space)
and time (a deadline a file, after which the process shows where it was and ends).
"""

import faulthandler
import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEADLINE_S = float(os.environ.get("DEADLINE_S", "40"))  # per file; the slowest takes under one second on an idle core
MORE_MEMORY = 1 << 30

ROOT = Path(sys.argv[1]).resolve()
CANARY, LIBRARY = ROOT / "canary", ROOT / "home" / "models"
FORBIDDEN = frozenset({
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.putenv",
    "os.kill", "subprocess.Popen", "pty.spawn", "socket.connect", "socket.bind", "socket.sendto",
    "socket.getaddrinfo", "urllib.Request", "webbrowser.open", "ctypes.dlopen", "ftplib.connect",
    "smtplib.connect", "pickle.find_class", "sys.settrace", "sys.setprofile",
})  # fmt: skip
DRIVERS = ("libcuda.so.1", "nvcuda.dll")  # whether there is a GPU is asked of its driver
OWN_CHILD = "realtime.inference.trial"  # foreign networks are tried out in it before they are stored
WRITES = frozenset({
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "shutil.rmtree",
})  # fmt: skip

deeds: list[str] = []
watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if not watching:
        return
    if event == "ctypes.dlopen" and arguments[0] in DRIVERS:
        return
    if event == "subprocess.Popen" and OWN_CHILD in arguments[1]:
        return
    if event in FORBIDDEN:
        deeds.append(f"{event} {arguments!r:.120}")
    elif event in WRITES or (event == "open" and _opens_to_write(arguments)):
        path = arguments[0]
        if isinstance(path, str | bytes | os.PathLike) and not _inside(os.fsdecode(path)):
            deeds.append(f"{event} {path!r:.120}")


def _opens_to_write(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if mode is None else bool(set(mode) & set("wax+"))


def _inside(path: str) -> bool:
    whole = Path(os.path.abspath(path))
    return whole == Path(os.devnull) or whole.is_relative_to(ROOT)


def _finite(network: Any) -> str:
    import torch

    state = network.state_dict()
    if not state or not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise AssertionError("it was read with values that are no numbers")
    return f"{sum(value.numel() for value in state.values())} numbers"


def read_motion(path: Path) -> str:
    from export.families.first_order_motion import read_first_order_motion

    model = read_first_order_motion(path, align_corners=True)
    return _finite(model.generator) + " and " + _finite(model.detector)


def read_lips(path: Path) -> str:
    from export.families.wav2lip import read_wav2lip

    return _finite(read_wav2lip(path))


def read_deepfacelab(path: Path) -> str:
    from export.families.deepfacelab import read_deepfacelab

    return _finite(read_deepfacelab(path).network)


def read_yaml(path: Path) -> str:
    from export.families.first_order_motion import read_motion_yaml

    return str(read_motion_yaml(path).config.key_points)


def open_onnx(path: Path, provider: str = "cpu") -> str:
    from realtime.inference.ort import open_session

    session = open_session(path, provider=provider, precision="fp32", threads=1)
    session.close()
    return ", ".join(session.outputs)


def try_out(path: Path) -> str:
    """What would stop the process that runs it is met by a child."""
    from realtime.inference.trial import try_model

    try_model(path)
    return "it runs"


def add_model(path: Path) -> str:
    """As `masquerade models add`: what is refused must leave the library as it was."""
    from realtime.cli import models
    from realtime.models.library import BUNDLES, load_bundle

    given = {} if path.is_dir() else {"identity": "self", "statement": "Me."}
    name = models.add_model(path, **given).name
    load_bundle(name)
    BUNDLES.remove(name)
    return name


def load_model(path: Path) -> str:
    """A bundle's folder, up to the network that its card names; a link or a pipe must not be followed."""
    from realtime.families.face_swap.effect import open_swapper
    from realtime.models.library import BUNDLES, load_bundle

    BUNDLES.entries()
    bundle = load_bundle(path)
    open_swapper(bundle, provider="cpu", precision="fp32", threads=1).close()
    return bundle.name


def read_carelessly(path: Path) -> str:
    """What no reader of ours does: the watch must see it."""
    import pickle

    return str(pickle.loads(path.read_bytes()))


def take_memory(path: Path) -> str:
    return str(len(bytearray(4 << 30)))


def never_end(path: Path) -> str:
    while True:
        pass


READERS: dict[str, Callable[[Path], str]] = {
    "motion": read_motion,
    "lips": read_lips,
    "deepfacelab": read_deepfacelab,
    "yaml": read_yaml,
    "onnx": open_onnx,
    "trial": try_out,
    "add": add_model,
    "load": load_model,
    "careless": read_carelessly,
    "hungry": take_memory,
    "endless": never_end,
}
FAMILY = {"motion": "first-order-motion", "lips": "wav2lip", "deepfacelab": "deepfacelab"}


def read(job: dict[str, str]) -> dict[str, str]:
    """`read` with what was read, or `refused` with the line; anything else is a `fault`."""
    from realtime.errors import MasqueradeError

    try:
        return {"end": "read", "line": READERS[job["reader"]](ROOT / job["path"])}
    except MasqueradeError as error:
        return {"end": "refused", "line": str(error)}
    except BaseException as error:
        return {"end": "fault", "line": f"{type(error).__name__}: {error}"}


def export(job: dict[str, str]) -> dict[str, str]:
    """The same file by `masquerade export`: the same refusal, an exit code, and no folder."""
    from realtime.cli.app import main

    checkpoint = str(ROOT / job["path"])
    arguments = ["export", checkpoint, "--family", FAMILY.get(job["reader"], "first-order-motion")]
    if job["reader"] == "yaml":
        arguments = ["export", str(ROOT / "good.pth"), "--family", "first-order-motion", "--config", checkpoint]
    try:
        main([*arguments, "--out", str(ROOT / "exported")])
    except SystemExit as end:
        return {"export": str(end.code)}
    except BaseException as error:
        return {"export": f"{type(error).__name__}: {error}"}
    return {"export": "0"}


def left_behind() -> list[str]:
    """What lies where nothing may be left: the canary, the library, temporary files, an exported folder."""
    places = [CANARY, ROOT / "exported", *LIBRARY.glob("*"), *LIBRARY.glob(".*"), *(ROOT / "tmp").iterdir()]
    places += [path for path in ROOT.iterdir() if path.name.startswith(".unfinished")]
    return [str(place.relative_to(ROOT)) for place in places if os.path.lexists(place)]


def main() -> None:
    global watching
    jobs = json.loads((ROOT / "jobs.json").read_text())
    reports = os.fdopen(os.dup(1), "w")
    said = ROOT / "said"
    for stream in (1, 2):  # what a file makes libraries print is caught where they write it
        os.dup2(os.open(said, os.O_RDWR | os.O_CREAT | os.O_APPEND), stream)
    crashed = (ROOT / "crashed").open("w")
    sys.addaudithook(_watch)
    import cv2  # sets a variable of the environment  # noqa: F401

    for job in jobs:
        if job["must"] == "read":  # the good ones load every library first
            read(job)
    if any(job["export"] for job in jobs):
        export({"reader": "motion", "path": "jobs.json"})
    _limit_memory()
    before = set(left_behind())  # PyTorch's own folders
    threads, modules, surroundings = threading.active_count(), set(sys.modules), dict(os.environ)
    os.truncate(said, 0)
    for job in jobs:
        print(json.dumps({"id": job["id"]}), file=reports, flush=True)
        faulthandler.dump_traceback_later(DEADLINE_S, exit=True, file=crashed)
        deeds.clear()
        watching = True
        report = read(job)
        sys.stdout.flush()
        sys.stderr.flush()
        report["said"] = said.read_text(errors="replace")
        if job["export"]:
            report |= export(job)
            sys.stderr.flush()
            report["exported"] = said.read_text(errors="replace")
        os.truncate(said, 0)
        watching = False
        faulthandler.cancel_dump_traceback_later()
        wrong = [*deeds, *(f"left {name}" for name in left_behind() if name not in before)]
        wrong += [f"imported {name}" for name in sorted(set(sys.modules) - modules) if name.startswith("canary")]
        wrong += ["changed the environment"] if dict(os.environ) != surroundings else []
        wrong += ["left a thread"] if threading.active_count() > threads else []
        print(json.dumps({**report, "id": job["id"], "wrong": wrong}), file=reports, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_mb": peak // 1024}), file=reports, flush=True)


def _limit_memory() -> None:
    try:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return  # elsewhere than on Linux the address space tells little
    resource.setrlimit(resource.RLIMIT_AS, (now + MORE_MEMORY, now + MORE_MEMORY))


if __name__ == "__main__":
    main()

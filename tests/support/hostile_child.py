"""A process that opens hostile model files, one after the other, and reports on each: see test_hostile_models.py.

Called with a folder that holds `jobs.json`. It answers on its first stdout with one JSON line before and one after
each job, so that whoever reads along knows the file that stopped it. Everything a file could do wrong is watched:
what Python's audit events tell of (programs started, connections, writes outside the folder), a canary file that
every payload tries to make, text on stdout and stderr, files left behind, memory (a limit on the address space)
and time (a deadline a file, after which the process shows where it was and ends).
"""

import faulthandler
import gc
import json
import os
import resource
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

DEADLINE_S = 40.0  # per file; the slowest takes under one second on an idle core
MORE_MEMORY = 1 << 30

ROOT = Path(sys.argv[1]).resolve()
CANARY, said = ROOT / "canary", ROOT / "said"
crashed = (ROOT / "crashed").open("w")
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


class Refused(Exception):
    """What a command said in one line, with exit code 2, 3 or 4."""


def command(*arguments: object) -> str:
    """The command in this process. Raises Refused."""
    from realtime.cli.app import main

    start = len(said.read_bytes())
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    lines = said.read_bytes()[start:].decode(errors="replace").splitlines()
    os.truncate(said, start)
    if code not in (2, 3, 4) and code != 0:
        raise AssertionError(f"exit code {code}: {lines}")
    if code:
        assert len(lines) == 1, lines
        raise Refused(lines[0])
    return "done"


def checkpoint(family: str, path: Path, *more: object) -> str:
    """Read alone, as an export of what is whole takes seconds; what is refused, by the command too."""
    import torch

    from export.families import deepfacelab, first_order_motion, wav2lip
    from realtime.errors import MasqueradeError

    try:
        if more:
            return str(first_order_motion.read_motion_yaml(Path(str(more[1]))).config.key_points)
        if family == "deepfacelab":
            networks = [deepfacelab.read_deepfacelab(path).network]
        elif family == "wav2lip":
            networks = [wav2lip.read_wav2lip(path)]
        else:
            model = first_order_motion.read_first_order_motion(path, align_corners=True)
            networks = [model.generator, model.detector]
    except MasqueradeError as error:
        if path.stem.endswith(("0", "5")) or more:
            command("export", path, "--family", family, "--out", ROOT / "exported", *more)
        raise Refused(str(error)) from error
    values = [value for network in networks for value in network.state_dict().values()]
    assert values
    assert all(bool(torch.isfinite(value).all()) for value in values), "it has values that are no numbers"
    return f"{sum(value.numel() for value in values)} numbers"


def open_onnx(path: Path) -> str:
    from realtime.inference.ort import open_session

    session = open_session(path, provider="cpu", precision="fp32", threads=1)
    session.close()
    return ", ".join(session.outputs)


def try_out(path: Path) -> None:
    """What would stop the process that runs it is met by a child."""
    from realtime.inference.trial import try_model

    try_model(path)


def add(kind: str, path: Path) -> str:
    """`models add` or `avatars add`: what is refused must leave the library as it was."""
    from realtime.models.library import AVATARS, BUNDLES

    library = BUNDLES if kind == "models" else AVATARS
    said_who = () if path.is_dir() else ("--identity", "self", "--statement", "Me.")
    command(kind, "add", path, *said_who)
    name = next(library.own.iterdir()).name
    library.find(name)
    library.remove(name)
    return name


def load_model(path: Path) -> str:
    """A bundle's folder, up to the network that its card names; a link or a pipe must not be followed."""
    from realtime.families.face_swap.effect import open_swapper
    from realtime.models.library import BUNDLES, load_bundle

    BUNDLES.entries()
    bundle = load_bundle(path)
    open_swapper(bundle, provider="cpu", precision="fp32", threads=1).close()
    return bundle.name


def play(path: Path) -> str:
    """As `--source`: opened, some pictures read, closed."""
    from realtime.capture.open_source import open_source

    source = open_source(str(path), pace="all")
    try:
        return str(sum(source.read() is not None for _ in range(12)))
    finally:
        source.close()


def listen(path: Path) -> str:
    """As `--sound`."""
    from realtime.audio.sound_file import SoundFile

    sound = SoundFile(path)
    try:
        return str(sum(sound.read() is not None for _ in range(60)))
    finally:
        sound.close()


def run(path: Path) -> str:
    """The whole command, to a recording: picture, sound and container."""
    out = ROOT / "tmp" / "out.mkv"
    try:
        given = ("--pace", "all", "--seconds", "0.3", "--provider", "cpu", "--output", out)
        return command("run", "--source", path, "--model", "ada", *given)
    finally:
        out.unlink(missing_ok=True)


def upload(path: Path) -> str:
    """As the page stores and adds a file that is sent to it."""
    import asyncio
    from collections.abc import AsyncIterator

    from realtime.models.library import AVATARS, BUNDLES
    from realtime.web.auth import Refused as Refusal
    from realtime.web.upload import Offer, receive

    async def chunks() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    kind = {".zip": "bundle", ".dfm": "dfm"}.get(path.suffix, "picture")
    whose = (None, None) if kind == "bundle" else ("self", "Me.")
    try:
        added, name = asyncio.run(receive(Offer(kind, "Eve", *whose), path.stat().st_size, chunks(), spare_bytes=0))
    except Refusal as error:
        raise Refused(str(error)) from error
    (BUNDLES if added == "model" else AVATARS).remove(name)
    return name


def settle(path: Path) -> str:
    """Presets, or a configuration file."""
    from realtime.config import make_config, read_toml
    from realtime.pipeline.presets import Presets

    if path.suffix == ".toml":
        return str(make_config(read_toml(path), {}).fps)
    presets = Presets(path)
    return str([presets.change(name) for name in presets.names()])


def open_mesh(path: Path) -> str:
    from realtime.families.motion.mesh.head import open_head

    return str(open_head(path).weights.size)


def read_carelessly(path: Path) -> str:
    """What no reader of ours does: the watch must see it."""
    import pickle

    return str(pickle.loads(path.read_bytes()))


def take_memory(path: Path) -> str:
    return str(len(bytearray(4 << 30)))


def never_end(path: Path) -> str:
    if watching:  # from here on, and not for long, so that the process is seen to end here however slow the machine is
        start_watching(0.1)
    while True:
        pass


READERS: dict[str, Callable[[Path], object]] = {
    "motion": partial(checkpoint, "first-order-motion"),
    "lips": partial(checkpoint, "wav2lip"),
    "deepfacelab": partial(checkpoint, "deepfacelab"),
    "yaml": lambda path: checkpoint("first-order-motion", ROOT / "good.pth", "--config", path),
    "onnx": open_onnx,
    "trial": try_out,
    "models add": partial(add, "models"),
    "avatars add": partial(add, "avatars"),
    "load": load_model,
    "source": play,
    "sound": listen,
    "run": run,
    "upload": upload,
    "settings": settle,
    "mesh": open_mesh,
    "careless": read_carelessly,
    "hungry": take_memory,
    "endless": never_end,
    "stopping": lambda path: os.abort(),
}


def read(job: dict[str, str]) -> dict[str, str]:
    """`read` with what was read, or `refused` with the line; anything else is a `fault`."""
    from realtime.errors import MasqueradeError

    try:
        return {"end": "read", "line": str(READERS[job["reader"]](ROOT / job["path"]))}
    except (MasqueradeError, Refused) as error:
        return {"end": "refused", "line": str(error)}
    except BaseException as error:
        return {"end": "fault", "line": f"{type(error).__name__}: {error} {traceback.format_exc()[-600:]}"}


def left_behind() -> list[str]:
    """What lies where nothing may be left: the canary, the library, temporary files, an exported folder."""
    places = [CANARY, ROOT / "exported", *(ROOT / "home").glob("*/*"), *(ROOT / "tmp").iterdir()]
    places += [path for at in (ROOT, ROOT / "home") for path in at.glob(".*")]
    return [str(place.relative_to(ROOT)) for place in places if os.path.lexists(place)]


def start_watching(seconds: float = DEADLINE_S) -> None:
    """What is done is noted from now on; after so long the process ends."""
    global watching
    faulthandler.dump_traceback_later(seconds, exit=True, file=crashed)
    deeds.clear()
    watching = True


def main() -> None:
    global watching
    jobs = json.loads((ROOT / "jobs.json").read_text())
    reports = os.fdopen(os.dup(1), "w")
    for stream in (1, 2):  # what a file makes libraries print is caught where they write it
        os.dup2(os.open(said, os.O_RDWR | os.O_CREAT | os.O_APPEND), stream)
    faulthandler.enable(crashed)
    sys.addaudithook(_watch)
    import cv2  # sets a variable of the environment  # noqa: F401

    readers = {job["reader"] for job in jobs}
    for job in json.loads((ROOT / "good.json").read_text()):  # loads every library first
        if job["reader"] in readers:
            read(job)
    _limit_memory()
    before = set(left_behind())  # PyTorch's own folders
    threads, modules, surroundings = threading.active_count(), set(sys.modules), dict(os.environ)
    os.truncate(said, 0)
    for job in jobs:
        print(json.dumps({"id": job["id"]}), file=reports, flush=True)
        start_watching()
        report = read(job)
        gc.collect()  # what damaged memory ends the process here, not at another file
        sys.stdout.flush()
        sys.stderr.flush()
        report["said"] = said.read_text(errors="replace")
        os.truncate(said, 0)
        watching = False
        faulthandler.cancel_dump_traceback_later()
        wrong = [*deeds, *(f"left {name}" for name in left_behind() if name not in before)]
        wrong += [f"imported {name}" for name in sorted(set(sys.modules) - modules) if name.startswith("canary")]
        wrong += ["changed the environment"] if dict(os.environ) != surroundings else []
        wrong += ["left a thread"] if threading.active_count() > threads else []
        print(json.dumps({**report, "id": job["id"], "wrong": wrong}), file=reports, flush=True)


def _limit_memory() -> None:
    try:
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return  # elsewhere than on Linux the address space tells little
    resource.setrlimit(resource.RLIMIT_AS, (now + MORE_MEMORY, now + MORE_MEMORY))


if __name__ == "__main__":
    main()

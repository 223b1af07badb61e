"""Runs a command under watch: what it connects to, looks up and writes, and that all of it is its own.

Python's audit events tell it of every process of ours, children included; `strace`, where it is there, of native code
too. A home of its own shows what lies there afterwards.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_HOOK = r"""
import os, sys
_log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_NETWORK = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
            "socket.gethostbyaddr", "socket.getnameinfo"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
os.write(_log, b"watching\n")
def _watch(event, args):
    if event in _NETWORK:
        line = f"{event} {args!r}"
    elif event == "open" and isinstance(args[2], int) and args[2] & _WRITES and not isinstance(args[0], int):
        line = f"writes {os.path.abspath(os.fsdecode(args[0]))}"
    elif event == "os.mkdir":
        line = f"writes {os.path.abspath(os.fsdecode(args[0]))}"
    else:
        return
    os.write(_log, (line + "\n").encode("utf-8", "backslashreplace"))
sys.addaudithook(_watch)
"""

_NEAR = re.compile(r'inet_addr\("127\.|"::1"|"::ffff:127\.|\'127\.|\'::1\'|\(None,|\(\'localhost\'')
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)")
_STRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-y", "-s", "200", "-e", "signal=none")
_SEEN = "trace=%network,?open,openat,?creat,?mkdir,mkdirat"


@dataclass(frozen=True)
class Seen:
    """How a watched command ended, what it said, and what it did that it should not have."""

    code: int
    out: str
    err: str
    wrong: list[str]
    home: list[str]


def can_trace() -> bool:
    """True where `strace` may follow a process."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run([*_STRACE, "-e", _SEEN, "-o", os.devnull, "true"], capture_output=True).returncode == 0


class Watch:
    """Runs commands with `folder` for everything: home, temporary files, working directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.here, self._temp = (folder / name for name in ("home", "here", "temp"))
        for made in (self.home, self.here, self._temp, folder / "hook"):
            made.mkdir(exist_ok=True)
        (folder / "hook" / "sitecustomize.py").write_text(_HOOK, encoding="utf-8")
        self._logs = folder / "audit.log", folder / "strace.log"
        self._trace = can_trace()

    def start(self, *command: object) -> "subprocess.Popen[str]":
        """The arguments of a Python, started."""
        for log in self._logs:
            log.unlink(missing_ok=True)
        kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "LANG")
        env = {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(self.home),
            "TMPDIR": str(self._temp),
            "PYTHONPATH": os.pathsep.join((str(self.folder / "hook"), str(ROOT))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "WATCH_LOG": str(self._logs[0]),
        }
        traced = (*_STRACE, "-e", _SEEN, "-o", str(self._logs[1])) if self._trace else ()
        return subprocess.Popen(
            [*traced, sys.executable, *map(str, command)],
            cwd=self.here, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def end(self, process: "subprocess.Popen[str]") -> Seen:
        """Wait for its end, and tell what was seen."""
        out, err = process.communicate(timeout=280)
        audit, trace = (log.read_text("utf-8", "replace").splitlines() if log.exists() else [] for log in self._logs)
        assert audit, "the watch was not on"
        wrong = [line for line in audit if not self._audited(line)]
        wrong += [line for line in trace if not self._traced(line)]
        home = sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if not path.is_dir())
        return Seen(process.returncode, out, err, wrong, home)

    def run(self, *command: object) -> Seen:
        return self.end(self.start(*command))

    def interrupt(self, process: "subprocess.Popen[str]") -> None:
        """Ctrl-C for the program, which is a child of what traces it where something does."""
        traced = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if self._trace else []
        os.kill(int(traced[0]) if traced else process.pid, signal.SIGINT)

    def _ours(self, path: str) -> bool:
        return path.startswith((str(self.folder), "/dev/", "/proc/self/")) or path == os.devnull

    def _audited(self, line: str) -> bool:
        what, _, rest = line.partition(" ")
        if what in ("watching", "writes"):
            return what == "watching" or self._ours(rest)
        return bool(_NEAR.search(rest)) or (what == "socket.connect" and rest.endswith(", '/var/run/nscd/socket')"))

    def _traced(self, line: str) -> bool:
        call, rest = found.groups() if (found := _CALL.match(line)) else ("", "")
        if call in ("connect", "sendto", "sendmsg", "sendmmsg"):  # one that fails was tried all the same
            return "sa_family=AF_INET" not in line or bool(_NEAR.search(line))
        writes = call in ("creat", "mkdir", "mkdirat") or re.search(r"O_(WRONLY|RDWR|CREAT)", rest)
        path = re.search(r'"((?:[^"\\]|\\.)*)"', rest)
        if not writes or path is None or re.search(r"= -1 E\w+", line):
            return True
        base = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>, ", rest)
        return self._ours(os.path.join(base[1] if base else str(self.here), path[1]))

"""Runs every hostile file through the program's own doors, in watched children: `python tests/support/hostile_run.py`.

A child opens many files (hostile_child.py) and is started again behind a file that ended it. Prints a table, kind of
file against how it ended, and what is wrong; the exit code is 0 where nothing is. `--share 0.1` takes a tenth.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import hostile_folders
import hostile_media
import hostile_onnx
import hostile_torch
from bundles import a_bundle
from torch_keyfill import keyfill

from export.networks.autoencoder import Archi, SaehdShape, saehd
from export.networks.wav2lip import Level, LipShape, Wav2Lip
from realtime.text import unprintable

HERE = Path(__file__).resolve().parent
LIPS = LipShape(face=tuple([Level(2, 0)] * 3), picture=tuple([Level(2, 0)] * 3), head=2)
CANARY_CODE = "import os\nos.mkdir(os.environ['CANARY'])\ndef run(): os.mkdir(os.environ['CANARY'] + '2')\n"
ENDS = ("read", "refused", "crashed", "hung", "fault")


class Ward:
    """A folder of files to read, and what the processes that read them said. `share`: how many of them are taken."""

    def __init__(self, root: Path, share: float = 1.0) -> None:
        self.root, self.share, self.chance = root, share, random.Random(9)
        self.jobs: list[dict[str, Any]] = []
        for folder in ("files", "tmp", "work", "code", "made"):
            (root / folder).mkdir(parents=True)
        (root / "code" / "canary_code.py").write_text(CANARY_CODE)

    @property
    def canary(self) -> str:
        return str(self.root / "canary")

    def add(self, reader: str, title: str, make: Callable[[Path], object], must: str, suffix: str = "") -> None:
        if not title.startswith("good") and self.chance.random() >= self.share:
            return
        path = self.root / "files" / f"f{len(self.jobs)}{suffix}"
        make(path)
        named = f"{reader}: {suffix.lstrip('.')} {title} ({len(self.jobs)})"
        self.jobs.append({"id": named, "reader": reader, "path": str(path.relative_to(self.root)), "must": must})

    def add_files(self, reader: str, cases: Iterable[tuple[str, bytes, str]], suffix: str) -> None:
        for title, content, must in cases:
            self.add(reader, title, partial(Path.write_bytes, data=content), must, suffix)

    def add_folders(self, reader: str, cases: Iterable[hostile_folders.FolderCase]) -> None:
        for title, make, must in cases:
            self.add(reader, title, make, must)

    def run(self) -> dict[str, dict[str, Any]]:
        """The report on each job."""
        good = [job for job in self.jobs if job["must"] == "read"]
        (self.root / "good.json").write_text(json.dumps(good))
        ends: dict[str, dict[str, Any]] = {}
        while left := [job for job in self.jobs if job["id"] not in ends]:
            (self.root / "jobs.json").write_text(json.dumps(left))
            ended, now = self._child(ends), None
            if ended:
                code, now, where = ended
                assert now is not None, f"the child ended before the first file ({code}): {where}"
                end = "hung" if "Timeout" in where else "crashed"
                ends[now] = {"end": end, "line": f"{code}: {where[:1500]}", "wrong": [], "said": ""}
        return ends

    def _child(self, ends: dict[str, dict[str, Any]]) -> tuple[int, str | None, str] | None:
        """Runs a child to its end; what it said goes into `ends`. How it ended, and at which file, where not well."""
        more = {"CANARY": self.canary, "MASQUERADE_HOME": str(self.root / "home")}
        more |= {"TMPDIR": str(self.root / "tmp"), "XDG_CACHE_HOME": str(self.root / "cache")}
        more["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), str(self.root / "code")])
        more |= dict.fromkeys(("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
        started = None
        process = subprocess.Popen(
            [sys.executable, str(HERE / "hostile_child.py"), str(self.root)],
            cwd=self.root / "work", env={**os.environ, **more}, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            for line in map(json.loads, process.stdout):
                started = line["id"]
                if "end" in line:
                    ends[started] = line
        if not process.returncode:
            return None
        return process.returncode, None if started in ends else started, (self.root / "crashed").read_text()


def fault_of(job: dict[str, Any], report: dict[str, Any]) -> str:
    """What is wrong with how a job ended; empty where nothing is."""
    title, line = job["id"], report["line"]
    said = [text for text in report["said"].splitlines() if not text.startswith("masquerade: ")]
    if report["end"] not in ("read", "refused") or report["wrong"] or said:
        return f"{title}: {report['end']} {line:.1500} {report['wrong']} {said!r:.300}"
    if job["must"] not in ("any", report["end"]):
        return f"{title}: was {report['end']}, must be {job['must']}: {line:.200}"
    if report["end"] == "refused" and (unprintable(line) or not line or len(line) > 600):
        return f"{title}: its line is {line!r:.700}"
    return ""


def fill_with_checkpoints(ward: Ward) -> None:
    found = hostile_torch.a_motion_checkpoint()
    good, old = (hostile_torch.saved(found, legacy=legacy) for legacy in (False, True))
    (ward.root / "good.pth").write_bytes(good)
    motion = itertools.chain(
        [("good", good, "read"), ("good, as a stream", old, "read")],
        hostile_torch.hostile(ward.canary),
        hostile_torch.archives(good),
        hostile_torch.damaged(good, 60, seed=1),
        hostile_torch.damaged(old, 40, seed=2),
    )
    ward.add_files("motion", motion, ".pth.tar")
    state = keyfill(Wav2Lip(LIPS))
    whole, script = hostile_torch.saved({"state_dict": state, "global_step": 1}), hostile_torch.scripted(state)
    lips = [("good", whole, "read"), ("good script", script, "read"), ("another family", good, "refused")]
    ward.add_files("lips", lips, ".pth")
    ward.add_files("lips", hostile_torch.hostile_scripts(script, ward.canary), ".pth")
    for seed, content in ((3, whole), (13, script)):
        ward.add_files("lips", hostile_torch.damaged(content, 24, seed), ".pth")
    ward.add_files("lips", hostile_media.safetensors(), ".safetensors")
    ward.add_files("yaml", hostile_folders.yaml_files(ward.canary), ".yaml")
    shape = SaehdShape(Archi.parse("df"), resolution=64, ae_dims=16, e_dims=8, d_dims=8, d_mask_dims=4)
    network = saehd(shape)
    ward.add_folders("deepfacelab", hostile_folders.deepfacelab(network, ward.canary))
    ward.add_folders("deepfacelab", hostile_folders.damaged_models(network, 32, seed=4))


def fill_with_networks(ward: Ward) -> None:
    good = hostile_onnx.a_network().SerializeToString()
    onnx_files = itertools.chain(
        [("good", good, "read")],
        hostile_onnx.growing(),
        hostile_onnx.forbidden(),
        hostile_onnx.broken(),
        hostile_onnx.mutated(good, 60, seed=5),
        hostile_torch.damaged(good, 60, seed=6),
    )
    ward.add_files("onnx", onnx_files, ".onnx")
    ward.add_files("trial", [("good", good, "read"), *hostile_onnx.stopping()], ".onnx")
    dfm = hostile_onnx.a_dfm().SerializeToString()
    ward.add_files("models add", [("good", dfm, "read"), ("a network", good, "refused")], ".dfm")
    ward.add_files("models add", hostile_onnx.mutated(dfm, 24, seed=10), ".dfm")
    ward.add_files("models add", hostile_torch.damaged(dfm, 16, seed=11), ".dfm")
    whole = partial(a_bundle, contents={"eve.dfm": dfm}, input={"size": 16, "face_type": "full"})
    ward.add_folders("models add", [("good folder", whole, "read")])
    ward.add_folders("load", hostile_folders.bundles())
    ward.add_folders("load", hostile_folders.damaged_cards(40, seed=7))
    ward.add_files("upload", hostile_media.bundle_zips(ward.root / "made"), ".zip")
    for kind, title, content in hostile_media.settings():
        ward.add_files("settings", [(title, content, "any")], f".{kind}")
    mesh = (HERE.parents[1] / "trained_models" / "motion" / "mesh.npz").read_bytes()
    ward.add_files("mesh", [("good", mesh, "read"), *hostile_media.arrays(mesh)], ".npz")


def fill_with_media(ward: Ward) -> None:
    good = hostile_media.pictures()
    for reader, seed, count in (("avatars add", 0, 14), ("source", 50, 10), ("upload", 90, 8)):
        for kind, content in good.items():
            ward.add_files(reader, [("good", content, "any" if kind in ("ppm", "heic") else "read")], f".{kind}")
            ward.add_files(reader, hostile_torch.damaged(content, count, seed), f".{kind}")
            ward.add_files(reader, hostile_media.absurd(content, count, seed + 1), f".{kind}")
            seed += 2
        bombs = itertools.chain(hostile_media.picture_bombs(good), hostile_media.lists(str(ward.root)))
        for kind, title, content in bombs:
            ward.add_files(reader, [(title, content, "any")], f".{kind}")
    films = hostile_media.films(ward.root / "made")
    for seed, (kind, content) in enumerate(films.items(), 200):
        sound = kind in hostile_media.SOUNDS
        reader = "sound" if sound else "source"
        ward.add_files(reader, [("good", content, "read")], f".{kind}")
        ward.add_files(reader, hostile_torch.damaged(content, 24, seed), f".{kind}")
        ward.add_files(reader, hostile_media.absurd(content, 24, seed), f".{kind}")
        if not sound:
            ward.add_files("run", [("good", content, "read")] if kind == "mp4" else [], f".{kind}")
            ward.add_files("run", hostile_media.absurd(content, 3, seed + 50), f".{kind}")
    for kind, title, content in hostile_media.lists(str(ward.root)):
        ward.add_files("sound", [(title, content, "any")], f".{kind}")


FILLERS = (fill_with_checkpoints, fill_with_networks, fill_with_media)


def examine(
    root: Path, share: float, fillers: Iterable[Callable[[Ward], None]] = FILLERS
) -> tuple[list[str], Counter[Any]]:
    """Makes the files and has them read. What is wrong, and how many files of each kind ended how."""
    wards = [Ward(root / filler.__name__, share) for filler in fillers]
    for ward, filler in zip(wards, fillers, strict=True):
        filler(ward)
    faults: list[str] = []
    counted: Counter[Any] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for ward, ends in zip(wards, pool.map(Ward.run, wards), strict=True):
            faults += [fault for job in ward.jobs if (fault := fault_of(job, ends[job["id"]]))]
            counted.update((job["reader"], ends[job["id"]]["end"]) for job in ward.jobs)
    return faults, counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how many of the files, 0 to 1")
    parser.add_argument("--keep", type=Path, help="a folder to leave the files in")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        faults, counted = examine(root, given.share)
    print(*faults, sep="\n")
    print(f"{'kind':<12}" + "".join(f"{end:>9}" for end in ENDS))
    for kind in [*dict.fromkeys(reader for reader, _ in counted), "all"]:
        row = [sum(n for (r, e), n in counted.items() if e == end and kind in (r, "all")) for end in ENDS]
        print(f"{kind:<12}" + "".join(f"{number:>9}" for number in row))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

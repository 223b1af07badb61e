"""Some 700 damaged and hostile model files through every reader: no code run, one line, nothing left behind."""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the export needs the extra `export`")
onnx = pytest.importorskip("onnx", reason="the export needs the extra `export`")
pytest.importorskip("resource", reason="memory is limited by the system's own means")

import hostile_folders  # noqa: E402
import hostile_onnx  # noqa: E402
import hostile_pickles  # noqa: E402
import hostile_torch  # noqa: E402
from bundles import a_bundle  # noqa: E402
from torch_keyfill import keyfill  # noqa: E402

from export.networks.autoencoder import Archi, SaehdShape, saehd  # noqa: E402
from export.networks.wav2lip import Level, LipShape, Wav2Lip  # noqa: E402
from realtime.text import unprintable  # noqa: E402

HERE = Path(__file__).resolve().parents[1] / "support"
LIPS = LipShape(face=tuple([Level(2, 0)] * 3), picture=tuple([Level(2, 0)] * 3), head=2)
EXPORTED = ("motion", "lips", "deepfacelab", "yaml")
CANARY_CODE = "import os\nos.mkdir(os.environ['CANARY'])\ndef run(): os.mkdir(os.environ['CANARY'] + '2')\n"


class Ward:
    """A folder of files to read, and what the process that read them said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs: list[dict[str, Any]] = []
        for folder in ("files", "tmp", "work", "code"):
            (root / folder).mkdir(parents=True)
        (root / "code" / "canary_code.py").write_text(CANARY_CODE)

    @property
    def canary(self) -> str:
        return str(self.root / "canary")

    def add(self, reader: str, title: str, make: Callable[[Path], object], must: str, suffix: str = "") -> None:
        path = self.root / "files" / f"{len(self.jobs)}{suffix}"
        make(path)
        job = {"id": f"{reader}: {title}", "reader": reader, "path": str(path.relative_to(self.root)), "must": must}
        # Not all: they are the same readers, behind one more door.
        self.jobs.append({**job, "export": must == "refused" and reader in EXPORTED and len(self.jobs) % 3 == 0})

    def add_files(self, reader: str, cases: Iterable[tuple[str, bytes, str]], suffix: str) -> None:
        for title, content, must in cases:
            self.add(reader, title, partial(Path.write_bytes, data=content), must, suffix)

    def add_folders(self, reader: str, cases: Iterable[hostile_folders.FolderCase]) -> None:
        for title, make, must in cases:
            self.add(reader, title, make, must)

    def start(self, **more: str) -> "subprocess.Popen[str]":
        (self.root / "jobs.json").write_text(json.dumps(self.jobs))
        more |= {"CANARY": self.canary, "MASQUERADE_HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp")}
        more["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), str(self.root / "code")])
        more |= dict.fromkeys(("PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
        command = [sys.executable, str(HERE / "hostile_child.py"), str(self.root)]
        return subprocess.Popen(
            command, cwd=self.root / "work", env={**os.environ, **more}, stdout=subprocess.PIPE, text=True
        )

    def check(self, process: "subprocess.Popen[str]") -> Counter[str]:
        """Every job answered as it must. Returns how many ended how."""
        ended = self.ends(process)
        assert len(ended) == len(self.jobs) == len({job["id"] for job in self.jobs})
        faults = [fault for job in self.jobs if (fault := _fault(job, ended[job["id"]]))]
        assert not faults, "\n".join(faults[:20])
        return Counter(report["end"] for report in ended.values())

    def ends(self, process: "subprocess.Popen[str]") -> dict[str, dict[str, Any]]:
        """The report on each job. Fails where the process did not come to its end."""
        with process:
            assert process.stdout is not None
            lines = [json.loads(line) for line in process.stdout]
        started = [line["id"] for line in lines if "id" in line and "end" not in line]
        where = (self.root / "crashed").read_text()
        assert process.returncode == 0, f"{started[-1:]} ended the process ({process.returncode}) {where}"
        return {line["id"]: line for line in lines if "end" in line}


def _fault(job: dict[str, Any], report: dict[str, Any]) -> str:
    """What is wrong with how a job ended; empty where nothing is."""
    title, line = job["id"], report["line"]
    if report["end"] == "fault" or report["wrong"] or report["said"]:
        return f"{title}: {line:.200} {report['wrong']} {report['said']:.300}"
    if job["must"] not in ("any", report["end"]):
        return f"{title}: was {report['end']}, must be {job['must']}: {line:.200}"
    if report["end"] == "refused" and (unprintable(line) or not line or len(line) > 600):
        return f"{title}: its line is {line!r:.700}"
    if job["export"] and (report["export"] not in ("2", "4") or report["exported"].count("\n") != 1):
        return f"{title}: export ended with {report['export']} and {report['exported']!r:.300}"
    return ""


@pytest.mark.timeout(300)
def test_no_hostile_file_does_anything(tmp_path: Path) -> None:
    with_torch, without = Ward(tmp_path / "torch"), Ward(tmp_path / "runtime")
    _fill_with_checkpoints(with_torch)
    _fill_with_networks(without)
    assert len(with_torch.jobs) + len(without.jobs) >= 500
    processes = [(ward, ward.start()) for ward in (with_torch, without)]
    ends = sum((ward.check(process) for ward, process in processes), Counter[str]())
    # Changed numbers are numbers, and some damage hits what nobody reads; most must be seen.
    assert ends["refused"] > 3 * ends["read"] > 0


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    payloads = hostile_pickles.payloads(ward.canary)
    seen = ["mkdir", "system", "eval", "a module of theirs", "open", "import", "call", "inst"]
    seen += ["a connection", "a library"]
    ward.add_files("careless", ((title, hostile_pickles.pickled(payloads[title]), "read") for title in seen), "")
    ward.add("hungry", "memory", Path.touch, "refused")
    ends = ward.ends(ward.start())
    assert len(ends) == len(seen) + 1
    assert [job["id"] for job in ward.jobs if not _fault(job, ends[job["id"]])] == []
    assert "MemoryError" in ends["hungry: memory"]["line"]


def test_the_watch_ends_what_does_not_end(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.add("endless", "loop", Path.touch, "refused")
    with pytest.raises(AssertionError, match=r"endless: loop'\] ended the process[\s\S]*never_end"):
        ward.check(ward.start(DEADLINE_S="0.5"))


def _fill_with_checkpoints(ward: Ward) -> None:
    found = hostile_torch.a_motion_checkpoint()
    good, old = (hostile_torch.saved(found, legacy=legacy) for legacy in (False, True))
    (ward.root / "good.pth").write_bytes(good)
    motion = itertools.chain(
        [("good", good, "read"), ("good, as a stream", old, "read")],
        hostile_torch.hostile(ward.canary),
        hostile_torch.archives(good),
        hostile_torch.tars(ward.canary),
        hostile_torch.swapped(found),
        hostile_torch.damaged(good, 48, seed=1),
    )
    ward.add_files("motion", motion, ".pth.tar")
    streams = [(f"{title}, as a stream", content, must) for title, content, must in hostile_torch.damaged(old, 32, 2)]
    ward.add_files("motion", streams, ".pth.tar")
    lips = {"state_dict": keyfill(Wav2Lip(LIPS)), "global_step": 1}
    whole = hostile_torch.saved(lips)
    ward.add_files("lips", [("good", whole, "read"), ("another family", good, "refused")], ".pth")
    ward.add_files("lips", hostile_torch.damaged(whole, 6, seed=3), ".pth")
    ward.add_files("yaml", hostile_folders.yaml_files(ward.canary), ".yaml")
    shape = SaehdShape(Archi.parse("df"), resolution=64, ae_dims=16, e_dims=8, d_dims=8, d_mask_dims=4)
    network = saehd(shape)
    ward.add_folders("deepfacelab", hostile_folders.deepfacelab(network, ward.canary))
    ward.add_folders("deepfacelab", hostile_folders.damaged_models(network, 24, seed=4))


def _fill_with_networks(ward: Ward) -> None:
    good = hostile_onnx.a_network().SerializeToString()
    onnx_files = itertools.chain(
        [("good", good, "read")],
        hostile_onnx.growing(),
        hostile_onnx.forbidden(),
        hostile_onnx.broken(),
        hostile_onnx.mutated(good, 40, seed=5),
        hostile_torch.damaged(good, 40, seed=6),
    )
    ward.add_files("onnx", onnx_files, ".onnx")
    ward.add_files("trial", [("good", good, "read"), *hostile_onnx.stopping()], ".onnx")
    dfm = hostile_onnx.a_dfm().SerializeToString()
    ward.add_files("add", [("good", dfm, "read"), ("a network", good, "refused")], ".dfm")
    ward.add_files("add", hostile_onnx.mutated(dfm, 24, seed=10), ".dfm")
    ward.add_files("add", hostile_torch.damaged(dfm, 16, seed=11), ".dfm")
    whole = partial(a_bundle, contents={"eve.dfm": dfm}, input={"size": 16, "face_type": "full"})
    ward.add_folders("add", [("good folder", whole, "read")])
    ward.add_folders("load", hostile_folders.bundles())
    ward.add_folders("load", hostile_folders.damaged_cards(40, seed=7))

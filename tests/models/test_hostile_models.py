"""Damaged and hostile files through every door of the program: no code run, one line, nothing left behind.

The seeded share here is of what `python tests/support/hostile_run.py` runs whole: over 2,000 files.
"""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the export needs the extra `export`")
pytest.importorskip("onnx", reason="the export needs the extra `export`")
pytest.importorskip("resource", reason="memory is limited by the system's own means")

import hostile_pickles
from hostile_run import Ward, examine, fault_of


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_hostile_file_does_anything(tmp_path: Path) -> None:
    faults, counted = examine(tmp_path, share=0.15)
    assert not faults, "\n".join(faults[:20])
    assert counted.total() >= 300
    refused = sum(number for (_, end), number in counted.items() if end == "refused")
    # Changed numbers are numbers, and some damage hits what nobody reads; most must be seen.
    assert 2 * refused > counted.total() > refused


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    payloads = hostile_pickles.payloads(ward.canary)
    seen = ["mkdir", "system", "eval", "a module of theirs", "open", "import", "call", "inst"]
    seen += ["a connection", "a library"]
    ward.add_files("careless", ((title, hostile_pickles.pickled(payloads[title]), "any") for title in seen), "")
    for reader in ("hungry", "stopping"):
        ward.add(reader, reader, Path.touch, "any")
    ends = ward.run()
    assert len(ends) == len(seen) + 2
    assert [job["id"] for job in ward.jobs if not fault_of(job, ends[job["id"]])] == []
    assert "MemoryError" in ends[ward.jobs[-2]["id"]]["line"]
    assert ends[ward.jobs[-1]["id"]]["end"] == "crashed"


def test_the_watch_ends_what_does_not_end(tmp_path: Path) -> None:
    ward = Ward(tmp_path)
    ward.add("endless", "loop", Path.touch, "any")
    ward.add("sound", "behind it", Path.touch, "any")
    ends = ward.run()
    assert "never_end" in ends[ward.jobs[0]["id"]]["line"]
    assert [ends[job["id"]]["end"] for job in ward.jobs] == ["hung", "refused"]

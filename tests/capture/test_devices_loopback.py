"""Which loopback devices are our own output: those that another masquerade holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from realtime.capture.devices import _fed_by_masquerade

PROGRAM = "import sys\nheld = open(sys.argv[1])\nprint('open', flush=True)\nsys.stdin.read()\n"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells who has a device open")
def test_ours_when_another_masquerade_holds_it_not_when_we_look_at_it(tmp_path: Path) -> None:
    device, program = tmp_path / "video9", tmp_path / "masquerade"
    program.write_text(PROGRAM)
    with device.open("w"):
        assert not _fed_by_masquerade(str(device))
        command = [sys.executable, str(program), str(device)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            assert _fed_by_masquerade(str(device))
    assert not _fed_by_masquerade(str(device))

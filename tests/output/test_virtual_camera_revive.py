"""A loopback device that an earlier program left unusable is made a virtual camera again."""

from pathlib import Path

import pytest

from realtime.output.virtual_camera import abilities, revive


@pytest.mark.parametrize(("says", "needed"), [(0, True), (1, False), (2, False), (3, False)])
def test_only_a_device_that_is_neither_camera_nor_output_is_revived(tmp_path: Path, says: int, needed: bool) -> None:
    device = tmp_path / "video9"
    device.touch()
    assert revive(str(device), lambda descriptor: says) is needed


def test_what_is_no_loopback_is_left_alone(tmp_path: Path) -> None:
    assert not revive(str(tmp_path / "absent"))
    plain = tmp_path / "video9"
    plain.touch()
    assert not revive(str(plain))
    with plain.open() as file, pytest.raises(OSError, match="ioctl"):
        abilities(file.fileno())

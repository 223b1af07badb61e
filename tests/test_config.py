from pathlib import Path

import pytest

from realtime.config import make_config, read_toml
from realtime.errors import ConfigError


def test_flags_win_over_the_file() -> None:
    config = make_config({"source": "a.mp4", "mask_blur": 10, "size": "640x360"}, {"source": "b.mp4"})
    assert config.source == "b.mp4"
    assert config.mask_blur == 10
    assert config.size == (640, 360)
    assert config.settings().mask_blur == 10


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": 1}, ["unknown option colour", "color_transfer"]),
        ({"size": "wide"}, ["size", "'wide'", "WIDTHxHEIGHT"]),
        ({"size": "1x1"}, ["size", "16x16"]),
        ({"fps": 0}, ["fps", "0", "greater than 0"]),
        ({"pace": "slow"}, ["pace", "'slow'", "live", "all"]),
        ({"mask_blur": 1000}, ["mask_blur", "1000", "200"]),
        ({"faces": 0}, ["faces", "0"]),
        ({"on_miss": "show"}, ["on_miss", "'show'", "hold"]),
        ({"seconds": -1}, ["seconds", "-1"]),
        ({"opacity": "thick"}, ["opacity", "'thick'"]),
        ({"provider": "tpu"}, ["provider", "'tpu'", "openvino"]),
    ],
)
def test_a_wrong_option_names_key_value_and_what_is_allowed(given: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config({}, given)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("source = ")
    with pytest.raises(ConfigError, match=r"a\.toml can't be read"):
        read_toml(path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_toml(tmp_path / "none.toml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="can't be read"):
        read_toml(path)

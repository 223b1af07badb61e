"""What the page may set: names and colours, never a path."""

import pytest
from bundles import one_line

from realtime.errors import ConfigError
from realtime.settings import Settings
from realtime.web.settings_change import changed_settings


def test_names_and_colours_are_taken() -> None:
    after = changed_settings(Settings(), {"model": "ada", "avatar": "mira.2", "background": "#A0b1C2", "panic": True})
    assert (after.model, after.avatar, after.background, after.panic) == ("ada", "mira.2", "#A0b1C2", True)
    assert changed_settings(after, {"model": None}).model is None


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../ada", "models/ada", "C:\\ada", "~", ".", "ada\n", "ÄDA", "x" * 65, ""]
)
@pytest.mark.parametrize("key", ["model", "avatar", "background"])
def test_no_path_gets_through(key: str, path: str) -> None:
    assert key in one_line(lambda: changed_settings(Settings(), {key: path}), ConfigError)


def test_what_the_command_line_gave_may_stay() -> None:
    begun = Settings(model="/home/me/bundle", background="/home/me/room.png")
    after = changed_settings(begun, {**begun.model_dump(), "mirror": True})
    assert after.mirror
    assert after.background == "/home/me/room.png"

import os

import pytest

from realtime.config import Settings
from realtime.pipeline.hotkeys import changed, typed_keys


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("m", {"mirror": False}, {"mirror": True}),
        ("c", {"color_transfer": "mkl"}, {"color_transfer": "idt"}),
        ("+", {"mask_blur": 12}, {"mask_blur": 17}),
        ("-", {"mask_blur": 0}, {"mask_blur": 0}),
        ("h", {"on_miss": "hold"}, {"on_miss": "card"}),
        ("p", {"panic": False}, {"panic": True}),
        ("p", {"panic": True}, {"panic": False}),
        ("r", {"reference": 0}, {"reference": 1}),
        ("e", {"region": "all"}, {"region": "expression"}),
    ],
)
def test_a_key_changes_one_setting(key: str, before: dict[str, object], after: dict[str, object]) -> None:
    assert changed(Settings.model_validate(before), key) == Settings.model_validate({**before, **after})


@pytest.mark.parametrize("key", ["x", "a", "1", "²"])
def test_other_keys_mean_nothing(key: str) -> None:
    assert changed(Settings(), key) is None


def test_no_key_leads_to_the_raw_face() -> None:
    settings = Settings()
    for _ in range(10):
        settings = changed(settings, "h") or settings
        assert settings.on_miss != "raw"


def test_keys_choose_among_avatars() -> None:
    names = ("ann", "bob", "cleo")
    settings = Settings()
    shown = []
    for key in "aaaA1329":
        settings = changed(settings, key, names) or settings
        shown.append(settings.avatar)
    assert shown == ["bob", "cleo", "ann", "cleo", "ann", "cleo", "bob", "bob"]  # there is no ninth


def test_a_terminal_that_is_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pty = pytest.importorskip("pty", reason="terminals are other things here")
    ours, theirs = pty.openpty()
    with open(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        with typed_keys() as read:
            os.write(ours, b"m")
            assert read(60) == "m"
            os.close(ours)

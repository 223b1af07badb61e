"""Settings and presets as the page may change them: whole or not at all, and never a path."""

import asyncio
import json

import pytest
from bundles import one_line
from pages import Opened

from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.web.settings import DebouncedSave, changed_settings


def test_settings_change_together_or_not_at_all(opened: Opened) -> None:
    changed = opened.browser.post("/api/settings", {"mirror": True, "mask_blur": 40})
    assert (changed.status, changed.json["mask_blur"]) == (200, 40)
    assert opened.browser.get("/api/settings").json == opened.settings.get().model_dump()
    assert opened.settings.get().mirror
    assert opened.browser.post("/api/settings", {"mirror": False, "mask_blur": 900}).status == 400
    assert opened.settings.get().mirror


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"mask_blur": 900}', ["mask_blur", "900", "200"]),
        ('{"mask_blur": "5"}', ["mask_blur", "5", "integer"]),
        ('{"opacity": NaN}', ["opacity", "nan"]),
        ('{"color_transfer": "red"}', ["color_transfer", "red", "rct", "idt"]),
        ('{"speed": 3}', ["speed", "mask_blur"]),
        ('{"badge": "off"}', ["badge"]),
        ('{"mirror": 1e999}', ["mirror"]),
        ("[]", ["object"]),
        ("{", ["JSON"]),
        ("[" * 10_000, ["JSON"]),
        ("", ["JSON"]),
    ],
)
def test_wrong_settings_name_key_value_and_allowed(opened: Opened, body: str, words: list[str]) -> None:
    answer = opened.browser.post("/api/settings", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    said = answer.json["error"]
    assert "\n" not in said
    assert all(word in said for word in words), said
    assert opened.settings.get() == Settings()


def test_only_json_of_a_sane_size_is_read(opened: Opened) -> None:
    plain = {"Content-Type": "text/plain"}
    assert opened.browser.post("/api/settings", data='{"mirror": true}', headers=plain).status == 415
    assert opened.browser.post("/api/settings", {"mirror": "x" * 100_000}).status == 413
    assert opened.browser.ask("PUT", "/api/settings", json={}).status == 405
    for change in ({"model": str(opened.folder)}, {"avatar": "../../x"}, {"background": "/etc/passwd"}):
        assert opened.browser.post("/api/settings", change).status == 400
    assert opened.settings.get() == Settings()


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


@pytest.mark.parametrize("body", [{"do": "use"}, {"do": "use", "name": 3}, {"do": "fly", "name": "x"}, [], "x", {}])
def test_presets_want_two_strings(opened: Opened, body: object) -> None:
    assert opened.browser.post("/api/presets", body).status == 400


def test_a_preset_is_used_whole_or_not_at_all(opened: Opened) -> None:
    browser = opened.browser
    assert browser.post("/api/settings", {"sharpen": 5, "avatar": "mira"}).status == 200
    assert browser.post("/api/presets", {"do": "save", "name": "soft"}).json == ["soft"]
    assert browser.post("/api/settings", {"sharpen": 80, "panic": True}).status == 200
    assert browser.post("/api/presets", {"do": "use", "name": "soft"}).status == 200
    settings = opened.settings.get()
    assert (settings.sharpen, settings.model) == (5, "ada")
    assert settings.panic  # a preset does not end a panic
    stored = json.loads((opened.folder / "presets.json").read_text(encoding="utf-8"))
    stored["presets"]["soft"] |= {"badge": "off", "sharpen": 99}
    (opened.folder / "presets.json").write_text(json.dumps(stored), encoding="utf-8")
    refused = browser.post("/api/presets", {"do": "use", "name": "soft"})
    assert refused.status == 400
    assert "badge" in refused.text
    assert opened.settings.get() == settings
    assert browser.get("/api/presets").json == ["soft"]
    assert browser.post("/api/presets", {"do": "remove", "name": "soft"}).json == []


def test_many_changes_are_saved_once_and_none_is_lost_at_the_end(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.web.settings.SAVE_AFTER_S", 3600.0)
    saved: list[int] = []

    async def story() -> None:
        save = DebouncedSave(asyncio.get_running_loop(), lambda: saved.append(len(saved)))
        await save.close()
        assert saved == []  # nothing changed
        for _ in range(60):
            save.touch()
            await asyncio.sleep(0)
        await save.close()

    asyncio.run(story())
    assert saved == [0]
    kept: list[int] = []
    opened.attach(keep=lambda: kept.append(opened.settings.get().sharpen))
    assert opened.browser.post("/api/settings", {"sharpen": 35}).status == 200
    opened.page.close()
    assert kept == [35]

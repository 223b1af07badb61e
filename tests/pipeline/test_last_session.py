"""A run begins with the last session's identity and settings, unless its options say otherwise."""

import asyncio
from pathlib import Path

import cv2
import numpy as np
import pytest
from aiohttp import ClientSession
from pages import open_page

from realtime.config import RunConfig
from realtime.models.library import AVATARS, add_avatar
from realtime.pipeline.presets import keep_session, last_session, recall
from realtime.settings import Settings
from realtime.web.debounced_save import Keeping


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path / "home"))


def test_the_last_identity_is_shown_again() -> None:
    keep_session(Settings(model="motion", avatar="mira", sharpen=35, mirror=True, panic=True, reference=7))
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar) == ("motion", "mira")
    assert "mira" in selection.avatar_names
    assert len(selection.avatar_names) > 1  # the others are ready as well
    assert (config.sharpen, config.mirror, config.panic, config.reference) == (35, True, False, 0)
    config, selection, avatar = recall(RunConfig(), use_last=False)
    assert (selection.bundle.name, avatar, config.sharpen) == ("ada", None, Settings().sharpen)


def test_what_is_asked_for_wins() -> None:
    keep_session(Settings(model="motion", avatar="mira", sharpen=35, mask_blur=40))
    config, selection, avatar = recall(RunConfig(model="fern", sharpen=10), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen, config.mask_blur) == ("fern", None, 10, 40)
    _, selection, avatar = recall(RunConfig(model="motion", avatar="finn"), use_last=True)
    assert (selection.avatar_names, avatar) == (("finn",), None)


def test_what_shows_the_user_is_not_remembered() -> None:
    keep_session(Settings(on_miss="raw", opacity=0.5, sharpen=35))
    for config in (RunConfig(), RunConfig(allow_raw=True)):
        began, _, _ = recall(config, use_last=True)
        assert (began.on_miss, began.opacity, began.sharpen) == ("hold", 1.0, 35)


def test_the_badge_stays_off_only_where_it_may(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "friend.png"), np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    add_avatar(tmp_path / "friend.png", identity="consented", statement="A friend who said yes.")
    keep_session(Settings(model="motion", avatar="friend", badge="off"))
    assert recall(RunConfig(), use_last=True)[0].badge == "on"
    keep_session(Settings(model="ada", badge="off"))
    assert recall(RunConfig(), use_last=True)[0].badge == "off"


def test_what_has_gone_is_no_reason_not_to_start(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "twin.png"), np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    add_avatar(tmp_path / "twin.png", identity="synthetic", statement="Noise.")
    keep_session(Settings(model="motion", avatar="twin", sharpen=35))
    assert recall(RunConfig(), use_last=True)[2] == "twin"
    AVATARS.remove("twin")
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen) == ("motion", None, 35)
    keep_session(Settings(model="a-model-of-mine", sharpen=35))
    config, selection, avatar = recall(RunConfig(), use_last=True)
    assert (selection.bundle.name, avatar, config.sharpen) == ("ada", None, 35)
    file = tmp_path / "home" / "last-look.json"
    for broken in ("", "{", '{"presets": {"last": {"sharpen": "much"}}}', '{"presets": {"last": {"sharpen": 9000}}}'):
        file.write_text(broken, encoding="utf-8")
        config, selection, _ = recall(RunConfig(), use_last=True)
        assert (selection.bundle.name, config.sharpen) == ("ada", Settings().sharpen)
    keep_session(Settings(sharpen=35))  # the damaged file is not touched, and nothing is raised


def test_many_changes_are_kept_once_and_the_last_at_the_end() -> None:
    kept: list[int] = []

    async def story() -> None:
        keeping = Keeping(asyncio.get_running_loop(), lambda: kept.append(len(kept)))
        await keeping.close()
        assert kept == []  # nothing changed
        for _ in range(60):
            keeping.touch()
            await asyncio.sleep(0)
        await keeping.close()

    asyncio.run(story())
    assert kept == [0]


def test_the_page_keeps_what_is_changed_on_it() -> None:
    with open_page() as opened:
        opened.attach(keep=lambda: keep_session(opened.settings.get()))

        async def visit(browser: ClientSession) -> None:
            async with browser.post(opened.home + "/api/settings", json={"sharpen": 35}) as answer:
                assert answer.status == 200

        opened.browse(visit)
        opened.page.close()
        assert last_session().change("last")["sharpen"] == 35

"""What others on this machine and pages of other sites may try: nothing gets in, and the pictures go on."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
from aiohttp import ClientError, ClientSession, TCPConnector, WSMsgType, WSServerHandshakeError
from pages import Opened, open_page
from yarl import URL

from realtime.frame import Frame
from realtime.output.recorder import Recorder
from realtime.settings import Settings


@pytest.fixture
def opened() -> Iterator[Opened]:
    with open_page() as panel:
        yield panel


DOING = [
    ("/api/settings", {"panic": True}),
    ("/api/presets", {"do": "save", "name": "mine"}),
    ("/api/recording", {"do": "start"}),
    ("/api/remove", {"kind": "avatar", "name": "mira"}),
    ("/api/jobs/drop", {"job": "1"}),
    ("/api/results", {"do": "remove", "name": "secret.mp4"}),
    ("/api/camera", {"do": "on"}),
    ("/api/source", {"source": "0", "size": ""}),
    ("/api/microphone", {"name": "Laptop"}),
]


@pytest.mark.parametrize(("path", "body"), DOING, ids=[path for path, _ in DOING])
def test_without_the_cookie_or_from_another_site_nothing_is_done(
    opened: Opened, path: str, body: dict[str, object]
) -> None:
    async def stranger(browser: ClientSession) -> None:
        async with browser.post(opened.home + path, json=body) as answer:
            assert answer.status == 403

    async def tricked(browser: ClientSession) -> None:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": f"evil.example:{opened.page.port}"},
        ):
            async with browser.post(opened.home + path, json=body, headers=headers) as answer:
                assert answer.status == 403
        # What a form of another page could send without asking.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            async with browser.post(opened.home + path, data="{}", headers={"Content-Type": kind}) as answer:
                assert answer.status in (409, 415)

    opened.browse(stranger, let_in=False)
    opened.browse(tricked)
    assert opened.settings.get() == Settings()
    assert not list(opened.folder.iterdir())


@pytest.mark.parametrize("path", ["/ws/own", "/ws/live"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", None])
def test_the_own_camera_is_for_its_owner(opened: Opened, path: str, origin: str | None) -> None:
    async def tricked(browser: ClientSession) -> None:
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.ws_connect(opened.home + path, origin=origin)
        assert caught.value.status == 403

    async def stranger(browser: ClientSession) -> None:
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.ws_connect(opened.home + path, origin=opened.home)
        assert caught.value.status == 403

    opened.browse(tricked)
    opened.browse(stranger, let_in=False)


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fpresets.json", "%2e%2e%2fpresets.json", "....//presets.json", "..%5cpresets.json", "%2fetc%2fpasswd",
        "presets.json", "secret.mp4%00.txt", "%00", "a" * 3000, ".", "..", "CON", "secret.mp4/", "%ff%fe", "*",
        "link.mp4",
    ],
)  # fmt: skip
def test_no_name_leads_to_a_file_that_was_not_listed(opened: Opened, name: str) -> None:
    (opened.folder / "presets.json").write_text('{"presets": {"top": {}}}', encoding="utf-8")
    (opened.folder / "secret.mp4").write_bytes(b"secret")
    recorder = Recorder(lambda path: _no_sink(), opened.folder / "recordings")
    opened.attach(recorder=recorder)
    recorder.folder.mkdir()
    (recorder.folder / "link.mp4").symlink_to(opened.folder / "presets.json")

    async def visit(browser: ClientSession) -> None:
        for start in ("/api/recordings/", "/api/results/", "/api/preview/avatar/", "/api/preview/model/", "/"):
            async with browser.get(URL(opened.home + start + name, encoded=True)) as answer:
                text = await answer.text()
                assert answer.status in (400, 404) or (answer.status == 200 and name in (".", "..")), (start, text)
                assert "top" not in text or "<main>" in text
                assert "secret" not in text
        for kind in ("model", "avatar", "preset"):
            async with browser.post(opened.home + "/api/remove", json={"kind": kind, "name": name}) as answer:
                assert answer.status == 400
        assert (opened.folder / "secret.mp4").exists()

    opened.browse(visit)


def _no_sink() -> object:  # type: ignore[misc]
    raise AssertionError("nothing is recorded here")


@pytest.mark.parametrize(
    "path",
    [
        "/api/add?kind=dfm&title=x&identity=self&statement=Me.",
        "/api/jobs?title=x&model=ada",
        "/api/settings",
        "/api/presets",
    ],
)
def test_ten_gigabytes_are_refused_at_once(opened: Opened, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        block = bytes(1 << 20)
        for _ in range(10_000):
            sent += len(block)
            yield block

    async def visit(browser: ClientSession) -> None:
        kind = "application/octet-stream" if "title" in path else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(10_000 << 20)}
        try:
            async with browser.post(opened.home + path, data=endless(), headers=headers) as answer:
                assert answer.status == 413
        except (ClientError, ConnectionError):
            pass  # closed in our face: as good
        async with browser.get(opened.home + "/api/settings") as answer:
            assert answer.status == 200

    opened.browse(visit)
    assert sent < 4 << 30
    assert not list(opened.folder.iterdir())


def test_strangers_in_crowds_get_nothing_and_its_owner_is_still_served(opened: Opened) -> None:
    choice = random.Random(1)
    paths = ["/", "/?token=guess", "/api/report", "/api/gallery", "/ws/own", "/api/settings", "/page.js"]
    picture = Frame(np.zeros((720, 1280, 3), np.uint8), 0, 0)

    async def knock(crowd: ClientSession) -> int:
        try:
            async with crowd.get(opened.home + choice.choice(paths)) as answer:
                await answer.read()
                return answer.status
        except ClientError:  # hung up, for want of room
            return 403

    async def visit(browser: ClientSession) -> None:
        async with ClientSession(connector=TCPConnector(limit=0)) as crowd:
            knocking = [asyncio.create_task(knock(crowd)) for _ in range(1000)]
            async with browser.ws_connect(opened.home + "/ws/live", origin=opened.home) as ws:
                drawn = 0
                while drawn < 20:
                    opened.page.show(picture)
                    if (await ws.receive(timeout=20)).type is WSMsgType.BINARY:
                        await ws.send_str("drawn")
                        drawn += 1
            assert {await task for task in knocking} == {403}
        async with browser.get(opened.home + "/api/report") as answer:
            assert answer.status == 200

    opened.browse(visit)


def test_a_path_is_no_identity_and_no_background(opened: Opened) -> None:
    async def visit(browser: ClientSession) -> None:
        for change in ({"model": str(opened.folder)}, {"avatar": "../../x"}, {"background": "/etc/passwd"}):
            async with browser.post(opened.home + "/api/settings", json=change) as answer:
                assert answer.status == 400

    opened.browse(visit)
    assert opened.settings.get() == Settings()

"""Who is let in to the page, and what others on this machine and pages of other sites cannot do."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest
from aiohttp import ClientError, WSServerHandshakeError
from pages import Opened

from realtime.config import Settings
from realtime.frame import Frame
from realtime.output.recorder import Recorder

PATHS = [
    "/api/report", "/api/settings", "/api/minute", "/api/gallery", "/api/presets", "/api/devices", "/api/snapshot",
    "/api/recordings", "/api/results", "/api/preview/model/ada", "/api/recordings/x.mp4", "/metrics", "/ws/own",
    "/ws/live",
]  # fmt: skip
SOCKETS = ["/ws/live", "/ws/own", "/ws/sound"]
FOREIGN = [
    {"Host": "evil.example"}, {"Host": "evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:1"},
    {"Host": "127.0.0.1:{port}.evil.example"}, {"Host": "[::1]:{port}"}, {"Host": ""},
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://localhost:{port}"}, {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
]  # fmt: skip
CHANGES = [
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


def test_the_address_gives_the_token_once_to_a_browser_and_to_a_program(opened: Opened) -> None:
    stranger, url = opened.stranger, opened.page.new_url()
    shown = stranger.get(url)
    token = opened.browser.token
    assert shown.status == 200
    assert f'<meta name="token" content="{token}">' in shown.text
    assert "Set-Cookie" not in shown.headers  # every port of this machine would get it
    assert url.partition("token=")[2] != token
    for again in (stranger.get(url), stranger.enter(url), stranger.get("/")):
        assert again.status == 403
        assert str(token) not in again.text
    assert stranger.ask("HEAD", second := opened.page.new_url()).status == 403  # a look does not use it up
    assert stranger.enter(second).json == {"token": token}
    assert stranger.get("/api/report").status == 200


@pytest.mark.parametrize("sent", ["", "Basic {}", "Bearer", "Bearer x{}", "Bearer {}x", "{}", "Bearer \xff{}"])
def test_only_the_token_itself_opens_anything(opened: Opened, sent: str) -> None:
    token = str(opened.browser.token)
    for headers in ({"Authorization": sent.format(token)}, {"Cookie": f"token={token}; masquerade={token}"}):
        for path in [*PATHS, f"/api/report?token={token}", f"/api/report?ticket={token}"]:
            answer = opened.stranger.get(path, headers=headers)
            assert answer.status == 403, path
            assert "works once" in answer.json["error"]
    for scheme in ("Bearer", "bearer"):
        assert opened.stranger.get("/api/report", headers={"Authorization": f"{scheme} {token}"}).status == 200


def test_a_ticket_opens_its_own_path_and_nothing_else(opened: Opened) -> None:
    entry = next(entry for entry in opened.browser.get("/api/gallery").json if entry["name"] == "ada")
    own = f"/api/preview/model/ada?ticket={entry['ticket']}"
    assert opened.stranger.get(own).status == 200
    assert opened.stranger.post(own, {}).status == 403
    for path in PATHS:
        if not path.startswith("/api/preview"):
            assert opened.stranger.get(f"{path}?ticket={entry['ticket']}").status == 403, path


def test_without_the_token_nothing_is_served(opened: Opened) -> None:
    for path in ["/", *PATHS]:
        for query in ("", "?token=", "?token=wrong", "?token=%FF%00", "?ticket=%FF", "?token=" + "a" * 4000):
            answer = opened.stranger.get(path + query)
            assert answer.status == 403, path + query
            assert str(opened.browser.token) not in answer.text
    # A page that is loaded again gets what it needs to look for the token that it kept: the program's own text.
    assert opened.stranger.get("/talk.js").status == 200


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_pages_are_refused_even_with_the_token(opened: Opened, headers: dict[str, str]) -> None:
    sent = {name: value.replace("{port}", str(opened.page.port)) for name, value in headers.items()}
    refused = (400, 403) if sent == {"Host": ""} else (403,)  # an empty Host is refused by the HTTP parser itself
    for path in [*PATHS, "/nothing"]:
        answer = opened.browser.get(path, headers=sent)
        assert answer.status in refused, path
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert opened.browser.ask("OPTIONS", path, headers=sent).status in refused
    assert opened.browser.post("/api/settings", {"mirror": True}, headers=sent).status in refused
    assert not opened.settings.get().mirror


@pytest.mark.parametrize(("path", "body"), CHANGES, ids=[path for path, _ in CHANGES])
def test_without_the_token_or_from_another_site_nothing_is_done(
    opened: Opened, path: str, body: dict[str, object]
) -> None:
    assert opened.stranger.post(path, body).status == 403
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": f"evil.example:{opened.page.port}"},
    ):
        assert opened.browser.post(path, body, headers=headers).status == 403
    # What a form of another page could send without a preflight request.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert opened.browser.post(path, data="{}", headers={"Content-Type": kind}).status in (409, 415)
    assert opened.settings.get() == Settings()
    assert not list(opened.folder.iterdir())


MALFORMED = [
    "Host: 127.0.0.1:{port}", "Host: evil.example", "Origin: {home}\r\nOrigin: http://evil.example",
    "Authorization: Bearer {token}", "Content-Type: application/json; charset=klingon",
    "Content-Type: application/json; charset=rot13", "Content-Type: application/json; charset=\x00",
    "Content-Length: -1",
    "Content-Length: 2\r\nContent-Length: 3", "Transfer-Encoding: nothing", "Transfer-Encoding: chunked",
    "Content-Type: application/json\r\nContent-Encoding: gzip",
    "Content-Type: application/octet-stream\r\nContent-Encoding: br",
    "no colon", "X: " + "a" * 20_000, "X: a\x00b",
]  # fmt: skip


@pytest.mark.parametrize("line", MALFORMED)
def test_a_malformed_request_is_a_400_and_no_traceback(
    opened: Opened, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    port, token = opened.page.port, opened.browser.token
    head = line.format(port=port, token=token, home=f"http://127.0.0.1:{port}")
    uploads = ["/api/add?kind=picture&title=x&identity=self&statement=Me.", "/api/jobs?title=x&model=ada"]
    for path in [*(path for path, _ in CHANGES), *uploads]:
        start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n{head}\r\n"
        end = b"\r\n{}" if "Content-Length" in line or "Transfer" in line else b"Content-Length: 2\r\n\r\n{}"
        with socket.create_connection(("127.0.0.1", port)) as sent:
            sent.sendall(start.encode("latin-1") + end)
            status = int(sent.recv(4096).split()[1])
        # What reads no body, or wants another kind, may say so first.
        assert status in ((400, 409, 413, 415) if line.startswith("Content-T") else (400,)), (path, status)
    assert opened.browser.get("/api/report").status == 200
    assert not caplog.records


@pytest.mark.parametrize("path", SOCKETS)
def test_a_websocket_needs_the_token_and_our_origin(opened: Opened, path: str) -> None:
    tries = [(opened.stranger, "")]
    tries += [(opened.browser, o) for o in ("http://evil.example", "null", "http://127.0.0.1:1", None)]
    for browser, origin in tries:
        with pytest.raises(WSServerHandshakeError) as caught, browser.socket(path, origin):
            pass
        assert caught.value.status == 403


def test_every_answer_carries_the_headers(opened: Opened) -> None:
    for path in ["/", "/talk.js", *PATHS[:-2], "/nothing"]:
        headers = opened.browser.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.startswith("Access-Control")]


def test_the_page_holds_nothing_inline(opened: Opened) -> None:
    text = opened.browser.get("/").text
    assert "<style" not in text
    assert " style=" not in text
    assert "onclick" not in text
    assert "http" not in text.replace("http-equiv", "")


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
    recorder = Recorder(lambda path: pytest.fail("nothing is recorded here"), opened.folder / "recordings")
    opened.attach(recorder=recorder)
    recorder.folder.mkdir()
    (recorder.folder / "link.mp4").symlink_to(opened.folder / "presets.json")
    for start in ("/api/recordings/", "/api/results/", "/api/preview/avatar/", "/api/preview/model/", "/"):
        answer = opened.browser.get(start + name)
        assert answer.status in (400, 404) or (answer.status == 200 and name in (".", "..")), (start, answer.text)
        assert "top" not in answer.text or "<main>" in answer.text
        assert "secret" not in answer.text
    for kind in ("model", "avatar", "preset"):
        assert opened.browser.post("/api/remove", {"kind": kind, "name": name}).status == 400
    assert (opened.folder / "secret.mp4").exists()


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

    kind = "application/octet-stream" if "title" in path else "application/json"
    headers = {"Content-Type": kind, "Content-Length": str(10_000 << 20)}
    with suppress(ClientError, ConnectionError):  # closed in our face: as good
        assert opened.browser.post(path, data=endless(), headers=headers).status == 413
    assert opened.browser.get("/api/settings").status == 200
    assert sent < 4 << 30
    assert not list(opened.folder.iterdir())


def test_while_a_crowd_is_refused_the_owner_is_still_served(opened: Opened) -> None:
    paths = itertools.cycle(["/", "/?token=guess", "/api/report", "/api/gallery", "/ws/own", "/api/settings"])

    async def crowd() -> set[int]:
        answers = await asyncio.gather(*(opened.stranger.answer("GET", next(paths)) for _ in range(200)))
        return {answer.status for answer in answers}

    with ThreadPoolExecutor(1) as pool:
        refused = pool.submit(opened.stranger.run, crowd())
        with opened.browser.socket("/ws/live") as ws:
            for number in range(20):
                opened.page.show(Frame(np.zeros((72, 128, 3), np.uint8), number, 0))
                ws.picture()
                ws.send("drawn")
        assert refused.result(60) == {403}

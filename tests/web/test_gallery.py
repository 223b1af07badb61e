"""The gallery and what is added to it over the page: with consent, whole or not at all, and removed again."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from bundles import a_bundle
from layered_art import a_face, save
from pages import Answer, Opened

from realtime.errors import MasqueradeError
from realtime.models.library import AVATARS, load_bundle
from realtime.web.auth import Refused
from realtime.web.gallery import PREVIEW_PX
from realtime.web.upload import LIMITS, Offer, receive


def png(seed: int = 1, size: tuple[int, int] = (400, 300)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


SAID = {"kind": "picture", "title": "My Drawing", "identity": "synthetic", "statement": "Drawn by me."}


async def adding(opened: Opened, body: Any, **said: str) -> Answer:
    return await opened.browser.upload("/api/add", body, {**SAID, **said})


def add(opened: Opened, body: Any, **said: str) -> tuple[int, dict[str, Any]]:
    answer = opened.browser.run(adding(opened, body, **said))
    return answer.status, answer.json


def left_behind(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.name.startswith((".incoming", ".unfinished"))]


def test_what_is_built_in_is_shown_with_licence_and_owner(opened: Opened) -> None:
    entries = {(entry["kind"], entry["name"]): entry for entry in opened.browser.get("/api/gallery").json}
    ada = entries["model", "ada"]
    assert (ada["title"], ada["family"], ada["licence"], ada["whose"]) == ("Ada", "swap", "CC0-1.0", "synthetic")
    assert not ada["own"]
    assert entries["avatar", "mira"]["preview"]
    assert entries["model", "face"]["family"] == "face"
    assert ("model", "face_mask") not in entries  # a part of the program, not an identity
    answer = opened.browser.get("/api/preview/avatar/mira")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert max(cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR).shape) == PREVIEW_PX
    answer = opened.browser.get("/api/preview/avatar/pip")
    assert answer.headers["Content-Type"] == "image/webp"
    cut_out = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert cut_out.shape[2] == 4
    assert cut_out[0, 0, 3] == 0  # nothing behind it: the tile's own colour shows


def test_layered_art_is_added_as_a_figure(opened: Opened, tmp_path: Path) -> None:
    body = save({"Head": a_face()}, tmp_path / "art.ora").read_bytes()
    assert add(opened, body) == (200, {"kind": "avatar", "name": "my-drawing"})
    stored = AVATARS.find("my-drawing")
    assert stored.is_figure
    assert stored.card.title == "My Drawing"
    status, said = add(opened, body[:-40], title="Other")
    assert status == 400
    assert "Other is not a whole OpenRaster file" in said["error"]


def test_a_picture_is_added_shown_and_removed(opened: Opened) -> None:
    assert add(opened, png(), licence="CC0-1.0") == (200, {"kind": "avatar", "name": "my-drawing"})
    card = AVATARS.find("my-drawing").card
    assert (card.title, card.licence, card.picture.file) == ("My Drawing", "CC0-1.0", "picture.png")
    assert card.identity.statement == "Drawn by me."
    own = [entry for entry in opened.browser.get("/api/gallery").json if entry["own"]]
    assert [entry["name"] for entry in own] == ["my-drawing"]
    opened.report.update(family="motion", model="motion", avatar="my-drawing")
    remove = {"kind": "avatar", "name": "my-drawing"}
    refused = opened.browser.post("/api/remove", remove)
    assert refused.status == 409
    assert "in use" in refused.text
    opened.report.update(avatar="mira")
    assert opened.browser.post("/api/remove", remove).status == 200
    assert not (opened.folder / "avatars" / "my-drawing").exists()
    assert not left_behind(opened.folder)


def zipped(bundle: Path) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for file in bundle.iterdir():
            archive.write(file, f"{bundle.name}/{file.name}")
    return held.getvalue()


def test_a_packed_bundle_is_added_with_the_statement_of_its_card(opened: Opened, tmp_path: Path) -> None:
    body = zipped(a_bundle(tmp_path / "eve"))
    added = add(opened, body, kind="bundle", identity="", statement="")
    assert added == (200, {"kind": "model", "name": "eve"})
    assert load_bundle("eve").card.identity.statement == "Nobody."
    assert opened.browser.get("/api/preview/model/eve").status == 404  # its preview is no picture
    status, said = add(opened, body, kind="bundle")
    assert status == 400
    assert "already" in said["error"]
    opened.report.update(model="eve")
    assert opened.browser.post("/api/remove", {"kind": "model", "name": "eve"}).status == 409
    opened.report.update(model="ada")
    assert opened.browser.post("/api/remove", {"kind": "model", "name": "eve"}).status == 200
    assert not left_behind(opened.folder)


def test_a_bundle_that_does_not_say_whose_face_it_is_needs_the_users_statement(opened: Opened, tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "eve")
    card = (bundle / "model.toml").read_text(encoding="utf-8")
    before, _, after = card.partition("[identity]")
    (bundle / "model.toml").write_text(before + "[" + after.partition("[")[2], encoding="utf-8")
    status, said = add(opened, zipped(bundle), kind="bundle", identity="", statement="")
    assert status == 400
    assert "whose face" in said["error"]
    assert add(opened, zipped(bundle), kind="bundle", identity="self", statement="Me.")[0] == 200
    assert load_bundle("eve").card.identity.kind == "self"


@pytest.mark.parametrize(
    ("change", "body", "words"),
    [
        ({"identity": ""}, png(), "whose face"),
        ({"identity": "celebrity"}, png(), "whose face"),
        ({"statement": ""}, png(), "who it is"),
        ({"statement": "a\nb"}, png(), "character"),
        ({"title": ""}, png(), "name"),
        ({"title": "///"}, png(), "name"),
        ({"kind": "program"}, png(), "picture"),
        ({}, b"", "empty"),
        ({}, b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "does not say its size"),
        ({}, b"<html><script>alert(1)</script>", "is a web page"),
        ({}, png()[:200], "not a whole picture"),
        ({}, png(size=(8, 8)), "too small"),
        ({"kind": "dfm"}, b"not a network", "my-drawing.dfm"),
        ({"kind": "dfm", "face_type": "nose"}, b"network", "face"),
        ({"kind": "bundle"}, b"not an archive", ".zip"),
    ],
    ids=range(15),
)
def test_what_cannot_be_added_is_refused_in_words_and_leaves_nothing(
    opened: Opened, change: dict[str, str], body: bytes, words: str
) -> None:
    status, said = add(opened, body, **change)
    assert status == 400
    assert words in said["error"]
    assert "\n" not in said["error"]
    assert str(opened.folder) not in said["error"]
    assert not [path for path in opened.folder.rglob("*") if path.is_file()]
    assert not left_behind(opened.folder)


@pytest.mark.parametrize(
    "title", ["../../../evil", "/etc/passwd", "C:\\x\\evil", "<img src=x onerror=alert(1)>", "\u202egnp"]
)
def test_a_name_becomes_no_path(opened: Opened, title: str) -> None:
    status, said = add(opened, png(), title=title)
    if status == 200:
        assert (opened.folder / "avatars" / said["name"] / "picture.png").is_file()
        assert "/" not in said["name"]
    outside = {path.name for path in opened.folder.parent.iterdir()}
    assert not outside & {"evil", "passwd", "evil.png"}
    assert {path.name for path in opened.folder.iterdir()} <= {"avatars"}


def test_only_one_file_at_a_time_and_one_that_breaks_off_leaves_nothing(opened: Opened) -> None:
    async def visit() -> None:
        hold, begun = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield png()[:100]
            begun.set()
            await hold.wait()
            raise ConnectionResetError

        first = asyncio.create_task(adding(opened, slow()))
        await begun.wait()
        while not left_behind(opened.folder):
            await opened.browser.answer("GET", "/api/settings")
        second = await adding(opened, png())
        assert second.status == 429
        assert "wait" in second.text
        hold.set()
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever the client makes of its own fault)
            await first
        while left_behind(opened.folder):
            await opened.browser.answer("GET", "/api/settings")
        assert (await adding(opened, png())).status == 200

    opened.browser.run(visit())


@pytest.mark.parametrize("claimed", [None, 5])
def test_a_file_that_is_too_large_is_cut_off_whatever_it_claims(opened: Opened, claimed: int | None) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        block = bytes(1 << 20)
        while True:
            taken += len(block)
            yield block

    offer = Offer("picture", "big", "self", "Me.")
    with pytest.raises(Refused, match="larger than 64 MiB") as caught:
        asyncio.run(receive(offer, claimed, endless()))
    assert caught.value.status == 413
    assert taken == LIMITS["picture"] + (1 << 20)
    assert not list(opened.folder.iterdir())


def test_a_file_that_the_disk_has_no_room_for_is_refused_before_it_comes(opened: Opened) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("nothing may be read")
        yield b""

    offer = Offer("dfm", "big", "self", "Me.")
    with pytest.raises(MasqueradeError, match="no room"):
        asyncio.run(receive(offer, 5, never(), spare_bytes=1 << 60))
    assert not list(opened.folder.iterdir())

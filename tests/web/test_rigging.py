"""Joints and faces of flat figures on the page: proposed, tried, saved; and in a browser, by dragging."""

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from aiohttp import ClientError
from browsers import Tab, walk
from drawings import CHILDREN, draw
from pages import Opened, open_page
from PIL import Image

from realtime.clock import now_ns
from realtime.families.figure.drawing import still
from realtime.models.figure import read_rig
from realtime.models.flat_figure import add_picture
from realtime.models.library import AVATARS
from realtime.skeleton import JOINTS
from realtime.threads import Event
from realtime.web import rigging as routes

GIRL = CHILDREN[2]


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("drawings") / "girl.png"
    cv2.imwrite(str(file), draw(GIRL).pixels)
    return file


@pytest.fixture
def opened(drawing: Path) -> Iterator[Opened]:
    """A page of somebody who has one drawing, added as a picture."""
    with open_page(now_ns) as page:
        add_picture(drawing, preview=still, figure=False, identity="synthetic", statement="Drawn.")
        yield page


def rigging(opened: Opened) -> dict[str, Any]:
    """What the page would send of the girl, unchanged."""
    said = opened.browser.get("/api/rig/girl").json
    return {"name": "girl", "joints": said["joints"], "face": said["face"]}


def test_a_picture_becomes_a_figure_with_the_joints_that_were_moved(opened: Opened) -> None:
    entry = next(one for one in opened.browser.get("/api/gallery").json if one["name"] == "girl")
    assert (entry["family"], entry["joints"]) == ("picture", True)
    asked = rigging(opened)
    assert set(asked["joints"]) == set(JOINTS)
    assert asked["face"]["mouth"]
    picture = opened.browser.get("/api/rig/girl/picture")
    cut_out = cv2.imdecode(np.frombuffer(picture.body, np.uint8), cv2.IMREAD_UNCHANGED)
    assert [cut_out.shape[1], cut_out.shape[0]] == opened.browser.get("/api/rig/girl").json["size"]
    assert cut_out[0, 0, 3] == 0
    tried = opened.browser.post("/api/rig/try", asked).json
    assert tried["faults"] == []
    moving = Image.open(io.BytesIO(base64.b64decode(tried["preview"].partition(",")[2])))
    assert (moving.format, moving.n_frames) == ("WEBP", 40)
    asked["joints"]["l_hand"] = [2.0, 2.0]
    assert opened.browser.post("/api/rig/try", asked).json["faults"] == ["the left hand is outside the figure"]
    asked["joints"]["l_hand"] = [800.0, 300.0]
    assert opened.browser.post("/api/rig/save", asked).status == 200
    kept = AVATARS.find("girl")
    assert kept.is_figure
    assert read_rig(kept.folder).joints["l_hand"] == (800.0, 300.0)
    assert opened.browser.get("/api/rig/girl").json["joints"]["l_hand"] == [800.0, 300.0]
    assert opened.browser.post("/api/rig/save", asked | {"face": None}).status == 200
    assert read_rig(AVATARS.find("girl").folder).face is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "nobody"}, {"name": "../girl"}, {"name": 5}, {"name": "kritzi"}, {"name": "ada"}, {"joints": None},
        {"joints": []}, {"joints": {}}, {"joints": {"hips": [1, 2]}}, {"face": "none"}, {"face": {"nose": [1, 2, 3]}},
        {"face": {"l_eye": [1, 2]}}, {"face": {"l_eye": [1, 2, -3]}}, {"face": {"mouth": [[1, 2]]}}, {"more": 1},
        {"joint": {"head": ["1", 2]}}, {"joint": {"head": [1, 2, 3]}}, {"joint": {"head": [1e9, 2]}},
        {"joint": {"head": [float("nan"), 2]}}, {"joint": {"head": [float("inf"), 2]}}, {"joint": {"tail": [1, 2]}},
    ],
    ids=range(21),
)  # fmt: skip
def test_what_is_no_rig_is_refused_and_changes_nothing(opened: Opened, change: dict[str, Any]) -> None:
    joints = {name: [10.0, 10.0] for name in JOINTS} | change.pop("joint", {})
    body = {"name": "girl", "joints": joints, "face": None} | change
    before = AVATARS.find("girl")
    for what in ("try", "save"):
        answer = opened.browser.post(
            f"/api/rig/{what}", data=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status in (400, 403, 409), answer.text
        assert answer.json["error"]
    assert AVATARS.find("girl") == before


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'"x"', b"[" * 9000, b'{"name": "girl", "joints": ' + b'{"a":' * 2000]
)
def test_what_is_no_json_is_refused(opened: Opened, body: bytes) -> None:
    for what in ("try", "save"):
        answer = opened.browser.post(f"/api/rig/{what}", data=body, headers={"Content-Type": "application/json"})
        assert answer.status == 400
    assert opened.browser.post("/api/rig/save", data=body).status == 415


@pytest.mark.parametrize("place", [[0.0, 0.0], [400.0, 500.0], [-4096.0, -4096.0], [8192.0, 8192.0]])
def test_joints_that_make_no_figure_are_no_fault_of_the_server(opened: Opened, place: list[float]) -> None:
    body = {"name": "girl", "joints": dict.fromkeys(JOINTS, place), "face": None}
    for what in ("try", "save"):
        answer = opened.browser.post(f"/api/rig/{what}", body)
        assert answer.status in (200, 400), answer.text


def test_strangers_and_other_avatars_get_nothing(opened: Opened) -> None:
    for path in ("/api/rig/girl", "/api/rig/girl/picture"):
        assert opened.stranger.get(path).status == 403
    for what in ("try", "save"):
        assert opened.stranger.post(f"/api/rig/{what}", {"name": "girl"}).status == 403
    for name, status in (("pip", 403), ("mira", 403), ("nobody", 400), ("%2e%2e%2fgirl", 400)):
        assert opened.browser.get(f"/api/rig/{name}").status == status, name


def test_the_page_closes_while_joints_are_tried(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = Event(), Event()

    def without_end(*_: object) -> Iterator[np.ndarray[Any, Any]]:
        try:
            while True:
                yield np.zeros((16, 16, 3), np.uint8)
                begun.set()
        finally:
            ended.set()

    asked = rigging(opened)
    monkeypatch.setattr(routes, "moving", without_end)
    trying = opened.browser.start(opened.browser.answer("POST", "/api/rig/try", json=asked))
    assert opened.browser.run(asyncio.to_thread(begun.wait, 60))
    opened.page.close()
    assert ended.is_set()
    opened.browser.run(asyncio.wait([trying]))
    assert isinstance(trying.exception(), ClientError)


@pytest.mark.slow
@pytest.mark.parametrize("screen", [(1280, 800), (390, 844)], ids=["desk", "phone"])
def test_joints_are_dragged_undone_mirrored_and_saved(opened: Opened, screen: tuple[int, int]) -> None:
    joints = rigging(opened)["joints"]
    width = opened.browser.get("/api/rig/girl").json["size"][0]

    async def story(tab: Tab) -> None:
        await tab.page.set_viewport_size({"width": screen[0], "height": screen[1]})
        await tab.click("li:has([data-name=girl]) .joints")
        await tab.until("!document.getElementById('rig-preview').hidden")
        assert await tab.js("document.documentElement.scrollWidth") <= screen[0]
        assert await tab.js(
            "document.getElementById('rigging').scrollWidth <= document.getElementById('rigging').clientWidth"
        )
        board = tab.page.locator("#rig-board")

        async def drag(joint: str, down: float) -> None:
            """Drag a joint by so much of the board's height; the mouse takes it a little beside its middle."""
            await board.scroll_into_view_if_needed()
            box = await board.bounding_box()
            assert box is not None
            one = box["width"] / width
            x, y = box["x"] + joints[joint][0] * one + 3, box["y"] + joints[joint][1] * one + 3
            await tab.page.mouse.move(x, y)
            await tab.page.mouse.down()
            await tab.page.mouse.move(x, y + down * box["height"], steps=3)
            await tab.page.mouse.up()

        faults = "document.getElementById('rig-faults').textContent"
        await drag("l_hand", -0.3)
        await tab.until(f"{faults}.includes('the left hand is outside the figure')")
        assert await tab.js("document.getElementById('rig-joint').value") == "l_hand"
        await tab.click("#rig-undo")
        await tab.until(f"{faults} === ''")
        await drag("r_elbow", 0.015)
        await tab.click("#rig-mirror")
        await tab.until("document.getElementById('rig-preview').classList.contains('old') === false")
        await tab.page.focus("#rig-board")
        await tab.key("ArrowUp")
        await tab.click("#rig-face")
        await tab.click("#rig-save")
        await tab.until("!document.getElementById('rigging').open")
        await tab.until("document.querySelector('[data-name=girl] img.figure')")
        await tab.until("!document.getElementById('rig-preview').classList.contains('old')")  # the last try has ended
        assert tab.faults == []

    walk(opened, story)
    rig = read_rig(AVATARS.find("girl").folder)
    assert rig.face is None
    assert rig.joints["r_elbow"][1] > joints["r_elbow"][1] + 2
    axis = np.array(rig.joints["head"]) - rig.joints["hips"]
    for joint in ("elbow", "hand", "knee"):
        if joint != "elbow":  # which the arrow key moved
            middle = (np.array(rig.joints[f"l_{joint}"]) + rig.joints[f"r_{joint}"]) / 2 - rig.joints["hips"]
            assert abs(axis[0] * middle[1] - axis[1] * middle[0]) / np.linalg.norm(axis) < 1.5, joint

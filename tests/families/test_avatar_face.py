"""`--model face`: an avatar's pictures worn, from a still and from a folder; what cannot be worn."""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Call, one_line

from realtime.errors import ConfigError
from realtime.families.face_swap.avatar_face import AvatarFace
from realtime.frame import Pixels
from realtime.models.avatar import avatar_pixels
from realtime.models.library import AVATARS, built_in_folder

CLIP = built_in_folder() / "clips" / "driving.mp4"
WHOSE = ("--identity", "synthetic", "--statement", "Rendered. No real person.")
FRAMES = {"rest": 82, "smile": 213, "open": 89, "closed": 59, "aside": 124}  # what the clip shows there


@cache
def _of_clip() -> dict[str, Pixels]:
    clip, found = cv2.VideoCapture(str(CLIP)), {}
    for number in range(max(FRAMES.values()) + 1):
        _, pixels = clip.read()
        found |= {name: pixels for name, wanted in FRAMES.items() if wanted == number}
    return found


def run(call: Call, folder: Path, *arguments: object) -> dict[str, object]:
    metrics = folder / "n.json"
    code, _, err = call(
        "run",
        "--source",
        CLIP,
        "--seconds",
        "0.4",
        "--pace",
        "all",
        *arguments,
        "--model",
        "face",
        "--metrics",
        metrics,
    )
    assert code == 0, err
    report: dict[str, object] = json.loads(metrics.read_text())
    return report


@pytest.mark.slow
def test_a_still_picture_is_worn(call: Call, tmp_path: Path) -> None:
    me = tmp_path / "me.png"
    cv2.imwrite(str(me), avatar_pixels(AVATARS.find("mira").picture)[0][100:, 200:1100])
    refused = call("run", "--source", CLIP, "--model", "face", "--avatar", me, "--output", "null")
    assert (refused[0], "nobody has said yet whose face" in one_line(refused[2])) == (2, True)
    assert call("avatars", "add", me, *WHOSE)[0] == 0
    # In Mira's own tone: by default her skin comes so near the driver's that little changes there.
    report = run(call, tmp_path, "--avatar", me, "--skin", "0", "--output", tmp_path / "out.mp4")
    assert (report["family"], report["avatar"], report["title"]) == ("face", "me", "me")
    frames = report["frames"]
    assert isinstance(frames, dict)
    assert (frames["guarded"], frames["raw"]) == (0, 0)
    drawn, driver = (cv2.VideoCapture(str(file)).read()[1].astype(int) for file in (tmp_path / "out.mp4", CLIP))
    changed = np.abs(drawn - driver).mean(axis=2)
    eye = driver.shape[1] // 2
    assert changed[200:420, eye - 60 : eye + 60].mean() > 8 * changed[450:, :200].mean(), "the face, and nothing else"


@pytest.mark.slow
def test_a_folder_of_one_person_is_worn_with_its_own_smile_and_lids(call: Call, tmp_path: Path) -> None:
    for name, pixels in _of_clip().items():
        (tmp_path / "eve").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "eve" / f"{name}.png"), pixels)
    code, out, err = call("avatars", "add", tmp_path / "eve", *WHOSE)
    assert (code, "--model face" in out) == (0, True), err
    stored = AVATARS.find("eve")
    assert len(stored.card.pictures) == len(FRAMES) - 1
    assert np.array_equal(avatar_pixels(stored.picture)[0], _of_clip()["rest"]), "the calmest comes first"
    report = run(call, tmp_path, "--avatar", tmp_path / "eve", "--output", "null")
    assert report["avatar"] == "eve"


def _blank() -> Pixels:
    return np.full((400, 400, 3), 128, np.uint8)


def _tiny() -> Pixels:
    small = cv2.resize(_of_clip()["rest"], None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 100, 100, 100, 100, cv2.BORDER_CONSTANT, value=(90, 90, 90))


@pytest.mark.parametrize(("picture", "says"), [(_blank, "no face was found"), (_tiny, "pixels high, at least 48")])
def test_what_cannot_be_worn_is_one_line(call: Call, tmp_path: Path, picture: object, says: str) -> None:
    assert callable(picture)
    cv2.imwrite(str(tmp_path / "eve.png"), picture())
    assert call("avatars", "add", tmp_path / "eve.png", *WHOSE)[0] == 0
    code, _, err = call("run", "--source", CLIP, "--model", "face", "--avatar", "eve", "--output", "null")
    assert (code, says in one_line(err)) == (2, True), err


def test_a_damaged_or_endless_picture_is_refused_when_it_is_added(call: Call, tmp_path: Path) -> None:
    ok, png = cv2.imencode(".png", _blank())
    assert ok
    (tmp_path / "half.png").write_bytes(png.tobytes()[:200])
    header = bytearray(png.tobytes())
    header[16:24] = (20000).to_bytes(4, "big") * 2
    (tmp_path / "wide.png").write_bytes(bytes(header))
    for name in ("half.png", "wide.png"):
        code, _, err = call("avatars", "add", tmp_path / name, *WHOSE)
        assert (code, name in one_line(err)) == (2, True), err


def test_without_a_picture_there_is_nothing_to_wear() -> None:
    with pytest.raises(ConfigError, match="no picture to wear"):
        AvatarFace([], None, None)  # type: ignore[arg-type]

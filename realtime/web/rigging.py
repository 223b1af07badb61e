"""The server's routes for the joints of flat figures: proposed, tried with a short motion, saved."""

import asyncio
import base64
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import numpy.typing as npt
from aiohttp import web
from pydantic import ValidationError, field_validator

from realtime.capture.motion_file import MotionFile
from realtime.capture.picture import decode_picture
from realtime.families.figure.drawing import still
from realtime.families.figure.trying import moving
from realtime.frame import Doubles
from realtime.models.avatar import StoredAvatar, open_avatar
from realtime.models.card import Table, first_fault
from realtime.models.figure import FaceMarks, Point, read_rig
from realtime.models.flat_figure import mask_of, propose, save_joints, write_figure
from realtime.models.joint_proposal import joint_faults
from realtime.models.library import AVATARS, built_in_folder
from realtime.skeleton import BEFORE, JOINTS
from realtime.threads import Event
from realtime.web.auth import Refused, read_object

TRIED_PX: Final = 360
"""The height of the moving picture in which joints are tried."""

WEBP_OPTIONS: Final = {"quality": "70", "compression_level": "0"}

RIGGING: web.AppKey[asyncio.Lock] = web.AppKey("rigging", asyncio.Lock)
"""One at a time: cutting out and trying take the processor for a while, which the live picture needs."""

routes = web.RouteTableDef()


class Rigging(Table):
    """What the page sends: whose joints, where they are in the cut-out picture, and its face."""

    name: str
    joints: dict[str, Point]
    face: FaceMarks | None = None

    @field_validator("joints")
    @classmethod
    def _are_all(cls, joints: dict[str, Point]) -> dict[str, Point]:
        if set(joints) != set(JOINTS):
            raise ValueError(f"the joints must be these {len(JOINTS)}: {', '.join(JOINTS)}")
        return joints

    @property
    def places(self) -> dict[str, Doubles]:
        """The joints, as arrays."""
        return {name: np.array(self.joints[name]) for name in JOINTS}


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """A flat figure, or what is proposed for a picture that is none yet: cut out, (H, W, 4) BGRA."""

    avatar: StoredAvatar
    picture: npt.NDArray[np.uint8]
    joints: Mapping[str, Any]
    face: FaceMarks | None


def open_flat(name: str) -> Flat:
    """Raises Refused for an avatar without joints to move, MasqueradeError for what cannot be read or cut out."""
    avatar = AVATARS.find(name)
    if avatar.folder.parent != AVATARS.own:
        raise Refused(403, f"{avatar.name} comes with masquerade: only your own figures can be changed")
    return _read(avatar.folder, (avatar.card.picture.sha256, *avatar.card.figure.values()))


@lru_cache(maxsize=3)
def _read(folder: Path, digests: tuple[str, ...]) -> Flat:
    """`digests` tell a changed avatar from the one before."""
    avatar = open_avatar(folder)
    if not avatar.is_figure:
        found = propose(avatar.picture)
        return Flat(avatar, found.picture, found.joints, found.face)
    rig = read_rig(folder)
    if rig.picture is None:
        raise Refused(409, f"{avatar.name} is made of layers: its joints stand in figure.json")
    picture = decode_picture(folder / rig.picture)
    if picture.shape[2] == 3:
        picture = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    return Flat(avatar, picture, rig.joints, rig.face)


def tried(flat: Flat, rigging: Rigging, stopped: Callable[[], bool]) -> bytes:
    """A short animation (WebP) of the figure with these joints; nothing from the moment it is `stopped`.

    Raises MasqueradeError where none can be drawn.
    """
    scale = TRIED_PX / flat.picture.shape[0]
    size = max(round(flat.picture.shape[1] * scale), 32), TRIED_PX
    picture = np.asarray(cv2.resize(flat.picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    joints = {name: place * scale for name, place in rigging.places.items()}
    face = None if rigging.face is None else rigging.face.moved(scale)
    motion = MotionFile(built_in_folder() / "clips" / "figure.npz")
    held = io.BytesIO()
    with tempfile.TemporaryDirectory() as made, av.open(held, "w", format="webp", options={"loop": "0"}) as film:
        write_figure(Path(made), flat.avatar.card.title, flat.avatar.card.licence, picture, joints, face)
        rate = Fraction(motion.rate_hz).limit_denominator(1000)
        stream = film.add_stream("libwebp_anim", rate=rate, options=WEBP_OPTIONS)
        stream.pix_fmt = "yuv420p"
        for one in moving(read_rig(Path(made)), Path(made), iter(motion.read, None), TRIED_PX):
            if stopped():
                return b""
            if not stream.codec_context.is_open:
                stream.height, stream.width = one.shape[:2]
            film.mux(stream.encode(av.VideoFrame.from_ndarray(one, "bgr24")))
        film.mux(stream.encode(None))
    return held.getvalue()


@routes.get("/api/rig/{name}")
async def _get(request: web.Request) -> web.StreamResponse:
    async with request.app[RIGGING]:
        flat = await asyncio.to_thread(open_flat, request.match_info["name"])
    places = {name: np.array(flat.joints[name], np.float64) for name in JOINTS}
    return web.json_response(
        {
            "title": flat.avatar.card.title,
            "size": [flat.picture.shape[1], flat.picture.shape[0]],
            "joints": {name: np.round(place, 1).tolist() for name, place in places.items()},
            "face": None if flat.face is None else flat.face.model_dump(mode="json"),
            "bones": [[start, end] for end, start in BEFORE.items()],
        }
    )


@routes.get("/api/rig/{name}/picture")
async def _picture(request: web.Request) -> web.StreamResponse:
    async with request.app[RIGGING]:
        flat = await asyncio.to_thread(open_flat, request.match_info["name"])
    ok, encoded = await asyncio.to_thread(cv2.imencode, ".png", flat.picture)
    assert ok
    return web.Response(body=encoded.tobytes(), content_type="image/png")


@routes.post("/api/rig/try")
async def _try(request: web.Request) -> web.StreamResponse:
    """What is wrong, in words, and the figure in motion, where it can be drawn."""
    rigging = await _rigging(request)
    async with request.app[RIGGING]:
        flat = await asyncio.to_thread(open_flat, rigging.name)
        faults = await asyncio.to_thread(joint_faults, rigging.places, mask_of(flat.picture))
        left = Event()
        try:
            moved = await asyncio.to_thread(tried, flat, rigging, left.is_set)
        finally:
            left.set()  # a page that closes ends this wait, and its thread has to end too
    return web.json_response(
        {"faults": faults, "preview": f"data:image/webp;base64,{base64.b64encode(moved).decode()}"}
    )


@routes.post("/api/rig/save")
async def _save(request: web.Request) -> web.StreamResponse:
    rigging = await _rigging(request)
    async with request.app[RIGGING]:
        flat = await asyncio.to_thread(open_flat, rigging.name)
        await asyncio.to_thread(save_joints, flat.avatar, flat.picture, rigging.places, rigging.face, still)
    return web.json_response({})


async def _rigging(request: web.Request) -> Rigging:
    body = await read_object(request, "name, joints and face")
    try:
        return Rigging.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise Refused(400, first_fault(error)) from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, "the body is no rig") from error

"""Makes figures of flat pictures: cut out, joints and face proposed, then mended by hand and saved."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tomli_w

from realtime.capture.picture import decode_picture
from realtime.errors import ConfigError
from realtime.frame import Doubles, Pixels
from realtime.imaging.sdr import over_grey
from realtime.models.avatar import AVATAR_FILE, StoredAvatar, avatar_pixels, read_avatar_card
from realtime.models.bundle import hash_file
from realtime.models.card import name_from, require_consent, title_from
from realtime.models.drawing_mask import Mask, figure_mask
from realtime.models.face_marks import drawn_marks, tracked_marks
from realtime.models.figure import FIGURE_FILE, FaceMarks, Rig, read_rig
from realtime.models.joint_proposal import body_joints, fits, is_seen_whole, joint_faults, propose_joints
from realtime.models.library import AVATARS, add_avatar, built_in_folder, face_folder, new_card
from realtime.skeleton import BEFORE
from realtime.text import printable
from realtime.tracking.body import Body, BodyNetworks
from realtime.tracking.face import Face
from realtime.tracking.tracker import Tracker

Preview = Callable[[Rig, Path], npt.NDArray[np.uint8]]
"""Draws a figure, (H, W, 4) BGRA."""

CUT_OUT, PREVIEW = "source.png", "picture.png"
CANVAS_PX, RIM_PX, MOST_ENLARGED = 1080, 12, 3.0  # what a figure is scaled to, and the nothing around it
EDGE_SIGMA_PX = 1.2
THICK = {"elbow": 0.028, "wrist": 0.025, "hand": 0.03, "knee": 0.045, "ankle": 0.035, "toe": 0.03}
"""Half of what a person's limbs measure across, by the joint that a bone ends at, in shares of the height."""
TRUNK_THICK = 0.075
AGREE = 0.12  # of the figure's height
PORTRAIT = 0.22  # of the picture's height: a larger face is a portrait's, if the picture cuts its body off


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A figure cut out of a picture: (H, W, 4) BGRA, its joints and face in its pixels.

    `whole`: somebody was seen from head to feet, or the drawing's hands and feet were found. `by`: what found them.
    """

    picture: npt.NDArray[np.uint8]
    joints: Mapping[str, Doubles]
    face: FaceMarks | None
    whole: bool
    by: str

    @property
    def mask(self) -> Mask:
        return mask_of(self.picture)


def mask_of(picture: npt.NDArray[np.uint8]) -> Mask:
    """Where a cut-out picture shows something."""
    return ((picture[..., 3] > 100) * 255).astype(np.uint8)


def look(pixels: Pixels) -> tuple[Body | None, list[Face]]:
    """The body and the faces seen in a still picture."""
    networks = BodyNetworks(built_in_folder() / "figure", provider="cpu")
    try:
        body = None
        for region in networks.detect(pixels)[:1]:
            for _ in range(2):  # the second time it looks where the body turned out to be
                found = networks.body(pixels, region)
                if found is None:
                    break
                body, region = found
    finally:
        for session in networks.sessions:
            session.close()
    with closing(Tracker(face_folder(), provider="cpu", faces=2)) as tracker:
        return body, tracker.find(pixels)


def propose(file: Path, mask_file: Path | None = None) -> Proposal:
    """The figure in a picture, cut out by its transparency or by another picture, white where the figure is.

    Raises ConfigError for no picture, and where nothing stands out in it.
    """
    colour, alpha = avatar_pixels(file)
    if mask_file is not None:
        alpha = _mask_in(mask_file, (colour.shape[1], colour.shape[0]))
    body, faces = look(colour if alpha is None else over_grey(np.dstack([colour, alpha])))
    seen = body_joints(body) if body is not None and is_seen_whole(body) else None
    mask, joints, whole = _by_outline(colour, alpha, must=seen is None)
    by = "outline"
    if seen is not None and not (mask is not None and whole and _agree(joints, seen)):
        bones = [(seen[start], seen[end], THICK.get(end[2:], TRUNK_THICK)) for end, start in BEFORE.items()]
        around = figure_mask(colour, alpha, bones)
        if mask is None or fits(seen, around):
            mask, joints, whole, by = around, seen, True, "body"
    assert mask is not None
    faces = [face for face in faces if _is_at(face, joints["head"])]  # a tracker sees faces in drawn clothes, too
    tracked = tracked_marks(faces[0]) if faces else None
    drawn = drawn_marks(colour, mask, joints["head"]) if by == "outline" else None
    marks = drawn or tracked
    cut_off = bool((mask[-2:] > 0).any())
    portrait = cut_off and any(face.box[3] - face.box[1] > PORTRAIT * colour.shape[0] for face in faces)
    picture, scale, shift = _cut_out(colour, alpha, mask)
    placed = {name: np.asarray(point * scale + shift) for name, point in joints.items()}
    return Proposal(
        picture,
        placed,
        None if marks is None else marks.moved(scale, (float(shift[0]), float(shift[1]))),
        whole and (by == "body" or not portrait),
        by,
    )


def _mask_in(file: Path, size: tuple[int, int]) -> Mask:
    """A mask of a picture's form, in its size. Raises ConfigError."""
    pixels = decode_picture(file)
    given = pixels[..., 3] if pixels.shape[2] == 4 else pixels.max(axis=2)
    if abs(given.shape[1] / given.shape[0] - size[0] / size[1]) > 0.02 * size[0] / size[1]:
        raise ConfigError(f"{printable(file)} has another form than the picture: save both from one canvas")
    return np.asarray(cv2.resize(np.ascontiguousarray(given), size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _by_outline(colour: Pixels, alpha: Mask | None, *, must: bool) -> tuple[Mask | None, Mapping[str, Doubles], bool]:
    """The figure's mask, its joints by the rule, and whether it is whole; no mask where nothing stands out.

    Raises ConfigError for that where it `must`.
    """
    try:
        mask = figure_mask(colour, alpha)
    except ConfigError:
        if must:
            raise
        return None, {}, False
    return mask, *propose_joints(mask)


def _agree(joints: Mapping[str, Doubles], others: Mapping[str, Doubles]) -> bool:
    """Whether two readings are of the same figure: then the outline's is nearer to a drawing."""
    tall = max(float(np.ptp([place[1] for place in joints.values()])), 1.0)
    return bool(np.median([np.linalg.norm(joints[name] - others[name]) for name in joints]) < AGREE * tall)


def _is_at(face: Face, head: Doubles) -> bool:
    x0, y0, x1, y1 = face.box
    return bool(np.hypot((x0 + x1) / 2 - head[0], (y0 + y1) / 2 - head[1]) < 0.6 * (y1 - y0))


def _cut_out(colour: Pixels, alpha: Mask | None, mask: Mask) -> tuple[npt.NDArray[np.uint8], float, Doubles]:
    """The figure alone on its canvas, and how the picture's pixels come there: scaled, then shifted."""
    x, y, width, height = cv2.boundingRect(mask)
    scale = min((CANVAS_PX - 2 * RIM_PX) / max(width, height), MOST_ENLARGED)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    at = slice(y, y + height), slice(x, x + width)
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(np.ascontiguousarray(colour[at]), size, interpolation=kernel)
    if alpha is not None:
        edge = cv2.resize(np.ascontiguousarray(np.minimum(alpha, mask)[at]), size, interpolation=kernel)
    else:
        solid = (cv2.resize(np.ascontiguousarray(mask[at]), size, interpolation=cv2.INTER_LINEAR) > 127) * np.uint8(255)
        edge = cv2.GaussianBlur(solid, (0, 0), EDGE_SIGMA_PX)
    picture = cv2.copyMakeBorder(np.dstack([large, edge]), *(RIM_PX,) * 4, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    return np.asarray(picture, np.uint8), scale, np.array([RIM_PX - x * scale, RIM_PX - y * scale])


def flat_rig(
    title: str, licence: str, picture: npt.NDArray[np.uint8], joints: Mapping[str, Any], face: FaceMarks | None
) -> dict[str, Any]:
    """What figure.json says of a cut-out picture. Raises ConfigError where nothing is in it."""
    rows = np.flatnonzero(picture[..., 3].max(axis=1) > 99)
    if not len(rows):
        raise ConfigError("the picture is transparent all over: give a picture that shows something")
    rig: dict[str, Any] = {
        "name": printable(title, 80),
        "licence": licence,
        "size": [picture.shape[1], picture.shape[0]],
        "floor": float(rows[-1]),
        "top": float(rows[0]),
        "picture": CUT_OUT,
        "joints": {name: [round(float(v), 1) for v in place] for name, place in joints.items()},
    }
    thick = cv2.distanceTransform(mask_of(picture), cv2.DIST_L2, 5)
    x, y = (int(np.clip(v, 0, n - 1)) for v, n in zip(joints["head"], rig["size"], strict=True))
    if thick[y, x] > 1:
        rig["radius"] = round(float(thick[y, x]), 1)
    if face is not None:
        rig["face"] = face.model_dump(mode="json", exclude_none=True)
    return rig


def add_picture(
    file: Path,
    *,
    preview: Preview,
    identity: str | None,
    statement: str | None,
    figure: bool | None = None,
    name: str | None = None,
    title: str | None = None,
    licence: str | None = None,
    mask: Path | None = None,
) -> tuple[StoredAvatar, list[str]]:
    """Keep a picture as an avatar: as a figure where it shows one from head to feet, else as a picture of a face.

    Gives it and what is wrong with its proposed joints. `figure`: whether it is one; None: looked for. `preview`
    draws it. `mask`: a picture that is white where the figure is. Raises ConfigError for the arguments or the picture,
    DeviceError where it cannot be stored.
    """
    named: dict[str, Any] = {
        "identity": identity,
        "statement": statement,
        "name": name,
        "title": title,
        "licence": licence,
    }
    said = require_consent(identity, statement)
    if not file.is_file():
        raise ConfigError(f"there is no file {printable(file)}: check the path")
    if figure is False:
        return add_avatar(file, **named), []
    try:
        found = propose(file, mask)
    except ConfigError:
        if figure:
            raise
        return add_avatar(file, **named), []  # whose own words fit a picture that cannot be read at all
    if figure is None and not found.whole:
        return add_avatar(file, **named), []
    chosen = name or name_from(file.stem)
    card = new_card(chosen, title_from(title or name or file.stem), licence, said)
    with AVATARS.adding(chosen) as folder:
        _write(folder, card, found.picture, found.joints, found.face, preview)
        stored = StoredAvatar(AVATARS.own / chosen, read_avatar_card(folder))
    return stored, joint_faults(found.joints, found.mask)


def save_joints(
    avatar: StoredAvatar,
    picture: npt.NDArray[np.uint8],
    joints: Mapping[str, Any],
    face: FaceMarks | None,
    preview: Preview,
) -> None:
    """Give one of the user's own avatars these joints and this face; a picture becomes a figure so.

    Raises ConfigError for what comes with masquerade and where nothing could be drawn, DeviceError.
    """
    card = avatar.card.model_dump(mode="json", exclude={"schema_version", "pictures"}) | {
        "schema": avatar.card.schema_version
    }
    with AVATARS.replacing(avatar.name) as folder:
        _write(folder, card, picture, joints, face, preview)


def _write(
    folder: Path,
    card: dict[str, Any],
    picture: npt.NDArray[np.uint8],
    joints: Mapping[str, Any],
    face: FaceMarks | None,
    preview: Preview,
) -> None:
    """Fill an avatar's folder with a flat figure and its card."""
    write_figure(folder, card["title"], card["licence"], picture, joints, face)
    (folder / PREVIEW).write_bytes(_png(preview(read_rig(folder), folder)))
    card["picture"] = {"file": PREVIEW, "sha256": hash_file(folder / PREVIEW)}
    card["figure"] = {file: hash_file(folder / file) for file in (FIGURE_FILE, CUT_OUT)}
    (folder / AVATAR_FILE).write_text(tomli_w.dumps(card), encoding="utf-8")


def write_figure(
    folder: Path,
    title: str,
    licence: str,
    picture: npt.NDArray[np.uint8],
    joints: Mapping[str, Any],
    face: FaceMarks | None,
) -> None:
    """Write figure.json and the cut-out picture."""
    (folder / CUT_OUT).write_bytes(_png(picture))
    rig = flat_rig(title, licence, picture, joints, face)
    (folder / FIGURE_FILE).write_text(json.dumps(rig), encoding="utf-8")


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    ok, encoded = cv2.imencode(".png", picture)
    assert ok
    return encoded.tobytes()

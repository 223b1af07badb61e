"""Makes the built-in picture sets and avatars of people that do not exist; see README.md."""

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import av
import click
import cv2
import numpy as np
import tomli_w

from realtime.clock import StageTimer, now_ns
from realtime.config import Settings
from realtime.families.face_swap.effect import open_face_swap
from realtime.families.motion.reference_pose import crop_of_square, portrait_square
from realtime.frame import Frame, Pixels
from realtime.imaging.affine import cut
from realtime.models.avatar import AVATAR_FILE
from realtime.models.bundle import hash_file, open_bundle
from realtime.models.card import Expression, View
from realtime.models.library import face_folder, new_card
from realtime.models.picture_set import KeyPicture, write_picture_set
from realtime.tracking.tracker import Tracker
from trained_models.recipes.people.skin import tone
from trained_models.recipes.portraits.characters import (
    AVATAR_EXPRESSIONS,
    AVATARS,
    CHANGED,
    CHARACTERS,
    IDENTITIES,
    KEYS,
    VIEWS,
    Character,
    Region,
)
from trained_models.recipes.portraits.maps import write_maps
from trained_models.recipes.portraits.sculpt import sculpt

ROOT = Path(__file__).resolve().parents[2]
SCENE = "trained_models.recipes.portraits.scene"
TEETH_TEXTURE = "teeth/materials/teeth.png"
STATEMENT = "Rendered character. No real person."
RECIPE = "trained_models/recipes/portraits"
FACE_REGION = (0.28, 0.26, 0.72, 0.80)  # of a portrait: what an expression changes
SOFT_EDGE = 0.02  # of the picture's side
PATH = click.Path(path_type=Path)
CLIP, CLIP_FPS = ROOT / "clips" / "driving.mp4", 25
PREVIEW_SIDE, PREVIEW_FRAME, CLOSE = 256, 12, 0.78  # a smile in the clip; of a portrait
KEY_PX, PORTRAIT_PX = 448, 768
WEBP_QUALITY = 90


def prepare(who: Character, folder: Path, makehuman: Path) -> None:
    """Geometry, maps and the character's data for `scene`, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "geometry.npz", **sculpt(who, makehuman))
    write_maps(who, folder)
    told = asdict(who) | {"teeth": str(makehuman / TEETH_TEXTURE)}
    told["neck"] = [*(tone(who.melanin) * [0.97, 0.93, 0.93]).tolist(), 1.0]
    (folder / "character.json").write_text(json.dumps(told))


def shots(who: Character, folder: Path, size: int, samples: int) -> list[dict[str, Any]]:
    """What is drawn of a character: key pictures and their skin maps, or a portrait with expressions."""

    def shot(look: str, expression: Expression, view: View = "front", region: Region | None = None) -> dict[str, Any]:
        yaw, pitch = VIEWS[view]
        told = {"file": str(folder / f"{look}_{expression}_{view}.png"), "expression": expression, "look": look}
        return told | {"size": size, "samples": samples, "yaw": yaw, "pitch": pitch, "region": region}

    if who in IDENTITIES:
        return [shot(look, *key, region=region_of(*key)) for key in KEYS for look in ("key", "skin")]
    others = [shot("portrait", e, region=FACE_REGION) for e in AVATAR_EXPRESSIONS]
    return [shot("portrait", "rest"), *others]


def region_of(expression: Expression, view: View) -> Region | None:
    """The part of a key picture that is drawn: all of it at rest and turned."""
    return CHANGED.get(expression) if view == "front" else None


def laid_over(rest: Pixels, changed: Pixels, region: Region | None) -> Pixels:
    """`changed`, of which only `region` was drawn, completed by the picture at rest."""
    if region is None:
        return changed
    side = rest.shape[0]
    left, top, right, bottom = (round(share * side) for share in region)
    margin = round(2 * SOFT_EDGE * side)
    inside = np.zeros((side, side), np.float32)
    inside[top + margin : bottom - margin, left + margin : right - margin] = 1
    share = cv2.GaussianBlur(inside, (0, 0), SOFT_EDGE * side / 2).reshape(side, side, *[1] * (rest.ndim - 2))
    return np.asarray(changed * share + rest * (1 - share) + 0.5, np.uint8)


def draw(folder: Path, wanted: list[dict[str, Any]], blender: Path) -> None:
    """Run `scene` on a character's folder; what was drawn before is kept."""
    job = folder / "job.json"
    job.write_text(json.dumps(wanted))
    command = [blender, "-m", SCENE, folder.absolute(), job.absolute()]
    subprocess.run(command, check=True, cwd=ROOT.parent, env={**os.environ, "OMP_NUM_THREADS": "1"})


def picture(path: Path, channels: int = cv2.IMREAD_COLOR) -> Pixels:
    pixels = cv2.imread(str(path), channels)
    if pixels is None:
        raise FileNotFoundError(path)
    return np.asarray(pixels, np.uint8)


def write_identity(who: Character, folder: Path, out: Path, tracker: Tracker) -> None:
    """The bundle of a picture set from the drawn pictures in `folder`."""

    def drawn(look: str, expression: Expression, view: View, channels: int) -> Pixels:
        pixels = picture(folder / f"{look}_{expression}_{view}.png", channels)
        rest = picture(folder / f"{look}_rest_front.png", channels)
        return laid_over(rest, pixels, region_of(expression, view))

    keys = []
    for expression, view in KEYS:
        pixels = drawn("key", expression, view, cv2.IMREAD_COLOR)
        faces = tracker.find(pixels)
        if not faces:
            raise ValueError(f"{who.name}: no face was found in {expression}, {view}")
        skin = drawn("skin", expression, view, cv2.IMREAD_GRAYSCALE)
        keys.append(KeyPicture(pixels, faces[0].landmarks, expression, view, skin))
    out.mkdir(parents=True, exist_ok=True)
    card = new_card(who.name, who.title, "CC0-1.0", ("synthetic", STATEMENT))
    write_picture_set(out, keys, card | {"training": {"recipe": RECIPE, "shows": who.about, "seed": who.seed}})


def write_preview(bundle: Path) -> None:
    """What the bundled clip's driver looks like with an identity: its own pictures have no hair."""
    effect, tracker = open_face_swap(open_bundle(bundle), provider="cpu"), Tracker(face_folder(), provider="cpu")
    with closing(effect), av.open(str(CLIP)) as clip:
        for number, filmed in enumerate(islice(clip.decode(video=0), PREVIEW_FRAME + 1)):
            pixels = np.ascontiguousarray(filmed.to_ndarray(format="bgr24"), np.uint8)
            frame = Frame(pixels, number, number * 10**9 // CLIP_FPS, number / CLIP_FPS)
            faces = tracker(frame)
            worn = effect(frame, faces, Settings(skin=0.0), StageTimer(now_ns))
    if worn is None:
        raise ValueError(f"{bundle}: nobody is drawn in frame {PREVIEW_FRAME} of {CLIP}")
    x, y, side = portrait_square(faces[0].landmarks)
    square = cut(worn, crop_of_square(x, y, CLOSE * side, PREVIEW_SIDE), PREVIEW_SIDE)
    cv2.imwrite(str(bundle / "preview.jpg"), square, [cv2.IMWRITE_JPEG_QUALITY, 92])


def write_avatar(who: Character, folder: Path, out: Path) -> None:
    """The avatar's pictures and card from the drawn portraits in `folder`."""
    out.mkdir(parents=True, exist_ok=True)
    rest = picture(folder / "portrait_rest_front.png")

    def kept(name: str, pixels: Any) -> dict[str, str]:
        file = f"{name}.webp"
        cv2.imwrite(str(out / file), np.asarray(pixels, np.uint8), [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
        return {"file": file, "sha256": hash_file(out / file)}

    card: dict[str, Any] = new_card(who.name, who.title, "CC0-1.0", ("synthetic", STATEMENT))
    card["picture"] = kept("picture", rest)
    card["pictures"] = [
        kept(e, laid_over(rest, picture(folder / f"portrait_{e}_front.png"), FACE_REGION))
        | {"expression": e, "view": "front"}
        for e in AVATAR_EXPRESSIONS
    ]
    about = f"# {who.about[0].upper()}{who.about[1:]}. Drawn by {RECIPE}, seed {who.seed}.\n"
    (out / AVATAR_FILE).write_text(about + tomli_w.dumps(card))


@click.command(help=__doc__)
@click.argument("names", nargs=-1, type=click.Choice(sorted(CHARACTERS)))
@click.option("--makehuman", type=PATH, required=True, help="The folder `base` of MakeHuman's assets.")
@click.option("--blender", type=PATH, default=Path(sys.executable), help="A Python that has bpy.")
@click.option("--data", type=PATH, default=Path.home() / ".cache/masquerade/portraits")
@click.option("--out", type=PATH, default=ROOT, show_default="trained_models")
@click.option("--samples", type=int, default=4)
def main(names: tuple[str, ...], makehuman: Path, blender: Path, data: Path, out: Path, samples: int) -> None:
    tracker = Tracker(face_folder(), provider="cpu")
    for who in [CHARACTERS[name] for name in names] or [*IDENTITIES, *AVATARS]:
        folder = data / who.name
        if not (folder / "character.json").exists():
            prepare(who, folder, makehuman)
        draw(folder, shots(who, folder, KEY_PX if who in IDENTITIES else PORTRAIT_PX, samples), blender)
        if who in IDENTITIES:
            write_identity(who, folder, out / who.name, tracker)
            write_preview(out / who.name)
        else:
            write_avatar(who, folder, out / "avatars" / who.name)
    tracker.close()


if __name__ == "__main__":
    main()

"""Learns an identity from clips: reads them, chooses key pictures, makes what is missing, stores the bundle."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from realtime.capture.recording import Recording
from realtime.clock import StageTimer, now_ns
from realtime.config import Settings
from realtime.errors import ConfigError
from realtime.families.face_swap.effect import open_face_swap
from realtime.families.face_swap.key_pictures import Photo, open_key_picture_maker
from realtime.frame import Frame, Pixels
from realtime.models.bundle import Bundle
from realtime.models.card import bundle_name, require_consent, title_from
from realtime.models.library import BUNDLES, add_folder, built_in_folder, face_folder, new_card
from realtime.models.picture_set import PictureSet, write_picture_set
from realtime.text import printable
from realtime.tracking.tracker import Tracker
from trained_models.learn.footage import MOST_FRAMES, RATE_HZ, ReadClip, one_person, read_clip, shape_reader
from trained_models.learn.frame_selection import Choice, choose

LICENCE = "for the person shown to decide"
SAY_EVERY_S = 2.0  # of work: so often a line says how far the reading is

Say = Callable[[str], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be learnt, from what, and whose face it is; on how many cores."""

    clips: tuple[Path, ...]
    name: str
    identity: str | None
    statement: str | None
    title: str | None = None
    threads: int = 2


def learn(request: Request, say: Say, progress: Say, clock: Clock = time.monotonic) -> Bundle:
    """The bundle `request.name` among the user's own. `say` gets lines that stay, `progress` ones that pass.

    Raises ConfigError, DeviceError or ModelError in one line; nothing is left behind then.
    """
    began_s = clock()
    said = require_consent(request.identity, request.statement)
    name = _free_name(request.name)
    card = new_card(name, request.title or title_from(name), LICENCE, said)
    choice = choose(one_person(read_clips(request.clips, request.threads, progress, clock)))
    for line in choice.lines():
        say(line)
    progress("cutting the pictures out")
    photos = _photos(request.clips, choice)
    progress("making what is missing")
    with closing(open_key_picture_maker(provider="cpu", threads=request.threads)) as maker:
        pictures = maker(name, photos)
    if len(photos) == 1:
        say("nothing more was learnt than one picture shows: film what is missing, or wear the picture (--model face)")
    bundle = _stored(card, pictures, choice, clock() - began_s)
    _try(bundle, photos[0])
    took = f"ready to wear {clock() - began_s:.0f} s after the command"
    say(f"{took}, with {len(photos)} pictures of the clips: {bundle.folder}")
    return bundle


def _free_name(name: str) -> str:
    """`name`, if a new bundle can have it. Raises ConfigError."""
    try:
        bundle_name(name)
    except ValueError as error:
        raise ConfigError(
            f"{printable(name, 80)!r} cannot be a bundle's name ({error}): give another --name"
        ) from error
    if BUNDLES.folder(name) is not None:
        raise ConfigError(f"there is a bundle {name} already: give another --name, or masquerade models remove {name}")
    return name


def read_clips(paths: Sequence[Path], threads: int, progress: Say, clock: Clock) -> list[ReadClip]:
    """Everyone in the clips. Raises ConfigError."""
    with ExitStack() as opened:
        sources = [opened.enter_context(closing(_opened(path))) for path in paths]
        whole_s = sum(source.duration_s or 60.0 for source in sources)
        rate_hz = min(RATE_HZ, MOST_FRAMES / max(whole_s, 1.0))
        shape = shape_reader(built_in_folder() / "face" / "pose.npz")
        said_s = clock()
        clips = []
        for number, source in enumerate(sources):

            def at(at_s: float, source: Recording = source) -> None:
                nonlocal said_s
                if clock() - said_s >= SAY_EVERY_S:
                    said_s = clock()
                    progress(f"reading {source.name}: {at_s:.0f} s of {source.duration_s or 0:.0f}")

            progress(f"reading {source.name}")
            tracker = Tracker(face_folder(), provider="cpu", faces=2, steadiness=0.0, threads=threads)
            with closing(tracker):
                clips.append(read_clip(source, number, tracker, shape, rate_hz=rate_hz, progress=at))
        return clips


def _opened(path: Path) -> Recording:
    if path.is_dir():
        raise ConfigError(f"{printable(path)} is a folder: give the video files in it")
    if not path.is_file():
        raise ConfigError(f"there is no file {printable(path)}: give video files")
    return Recording(path)


def _photos(paths: Sequence[Path], choice: Choice) -> list[Photo]:
    """The chosen frames, read again, in their order."""
    looks = choice.looks
    found: dict[int, Pixels] = {}
    for number, path in enumerate(paths):
        wanted = {int(looks.seq[i]): i for i in choice.best.values() if looks.clip[i] == number}
        with closing(_opened(path)) as source:
            while wanted and (frame := source.read()) is not None:
                if frame.seq in wanted:
                    found[wanted.pop(frame.seq)] = frame.pixels
    return [Photo(found[i], looks.face[i], *kind) for kind, i in choice.best.items() if i in found]


def _stored(card: dict[str, object], pictures: PictureSet, choice: Choice, seconds: float) -> Bundle:
    filmed = set(choice.best)
    made = [key.expression for key in pictures.keys if (key.expression, key.view) not in filmed]
    training = {
        "recipe": "masquerade learn",
        "frames": len(choice.looks),
        "made_of_the_resting_picture": made,
        "seconds": round(seconds, 1),
    }
    with tempfile.TemporaryDirectory(prefix="masquerade-") as folder:
        write_picture_set(Path(folder), pictures.keys, {**card, "training": training})
        return add_folder(Path(folder))


def _try(bundle: Bundle, photo: Photo) -> None:
    """Wear the bundle once, on the person's own picture. Raises ModelError."""
    with closing(open_face_swap(bundle, provider="cpu")) as effect:
        frame = Frame(photo.pixels, 0, 0)
        effect.prepare(frame.size, Settings())
        effect(frame, [photo.face], Settings(), StageTimer(now_ns))

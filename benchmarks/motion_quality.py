"""`masquerade bench quality` for models that move a still picture: each clip drives each avatar, or its own person."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

from benchmarks.goals import MOTION_GOALS, REENACTMENT_GOALS, judge_all, table
from benchmarks.mask_truth import open_clip
from benchmarks.motion_figures import motion_figures, told
from benchmarks.puppet_stand import PuppetStand, freeze
from benchmarks.reading import open_reader
from benchmarks.second_reader import DlibReader, SecondReader, open_second_reader
from benchmarks.self_reenactment import reenact
from benchmarks.self_reenactment import told as told_reenacted
from benchmarks.sheet import Sheet
from benchmarks.watched_puppet import open_avatars, open_watched
from realtime.config import RunConfig
from realtime.families.motion.open_model import open_puppet
from realtime.models.avatar import Avatar
from realtime.models.bundle import Bundle
from realtime.pipeline.engine import FaceFinder

Say = Callable[[str], None]


def drive_avatars(
    clips: Sequence[Path],
    bundle: Bundle,
    config: RunConfig,
    spec: str | None,
    finders: Callable[[RunConfig], FaceFinder],
    *,
    which: Literal["own", "mediapipe"],
    frames: int | None,
    quick: bool,
    say: Say,
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip and avatar): every clip drives every avatar that `spec` names.

    `finders` opens a face finder as a run would. Raises MasqueradeError.
    """
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    ran: dict[str, str] = {}
    with closing(open_puppet(bundle, provider=config.provider)) as probe:
        avatars = open_avatars(spec, with_face=probe.needs_face)
    second = None if quick else _second(say)
    for clip in clips:
        for avatar in avatars:
            sheets.append(Sheet(f"{clip.name} moves {avatar.name}"))
            figures, ran = _drive(clip, bundle, config, avatar, finders, which, frames, quick, second, sheets[-1])
            found.append(figures)
            say("\n".join(told(figures)))
    everything = judge_all(found, MOTION_GOALS)
    table([{**c, "clip": f"{c['avatar']} {c['clip']}"} for c in found], everything, say)
    report = {
        "family": "motion",
        "avatars": [avatar.name for avatar in avatars],
        "model_files": dict(bundle.card.files),
        "providers": {"detect": ran["detect"], "motion": ran["motion"]},
        "precision": {"detect": "fp32", "motion": ran["precision"]},
        "goals": everything,
        "clips": found,
    }
    return report, sheets


def drive_themselves(
    clips: Sequence[Path], bundle: Bundle, config: RunConfig, *, frames: int | None, quick: bool, say: Say
) -> tuple[dict[str, Any], list[Sheet]]:
    """(the report's part, a contact sheet a clip): self-reenactment. Raises MasqueradeError."""
    found: list[dict[str, Any]] = []
    sheets: list[Sheet] = []
    second = None if quick else _second(say)
    with closing(open_puppet(bundle, provider=config.provider, precision=config.precision)) as puppet:
        for clip in clips:
            sheets.append(Sheet(f"{clip.name}: truth"))
            with closing(open_clip(clip, config.size)) as source:
                found.append(reenact(source, clip.name, puppet, second, sheets[-1], frames))
            say(told_reenacted(found[-1]))
        ran_on, precision = puppet.ran_on, puppet.precision
    everything = judge_all(found, REENACTMENT_GOALS)
    table(found, everything, say)
    report = {
        "family": "reenactment",
        "model_files": dict(bundle.card.files),
        "second_reader": "none" if second is None else "dlib, 5 points",
        "providers": {"motion": ran_on},
        "precision": {"motion": precision},
        "goals": everything,
        "clips": found,
    }
    return report, sheets


def _drive(
    clip: Path,
    bundle: Bundle,
    config: RunConfig,
    avatar: Avatar,
    finders: Callable[[RunConfig], FaceFinder],
    which: Literal["own", "mediapipe"],
    frames: int | None,
    quick: bool,
    second: SecondReader | None,
    sheet: Sheet,
) -> tuple[dict[str, Any], dict[str, str]]:
    with ExitStack() as parts:

        def character() -> Any:
            made = open_watched(bundle, [avatar], provider=config.provider, precision=config.precision)
            parts.callback(made[0].close)
            return made

        def finder() -> FaceFinder:
            return parts.enter_context(closing(finders(config)))

        live = config.settings()
        puppeteer, puppet = character()
        follows = finder()
        readers = [parts.enter_context(closing(open_reader(which, "auto"))) for _ in range(3)]
        source = parts.enter_context(closing(open_clip(clip, config.size)))
        stand = PuppetStand(follows, puppeteer, puppet, avatar, live, readers, second)
        record = stand.work(source, clip.name, sheet, frames)
        if not quick:
            another, watched = character()
            freeze(finder(), another, watched, avatar, live, record)
        ran = {"detect": follows.ran_on, "motion": puppet.ran_on, "precision": puppet.precision}
    return motion_figures(record), ran


def _second(say: Say) -> DlibReader | None:
    opened = open_second_reader()
    if isinstance(opened, str):
        say(f"without a second reader: {opened}")
        return None
    return opened

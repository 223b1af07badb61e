"""Learns an identity from clips: read, choose frames, train, store. The next call goes on from what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from realtime.capture.recording import Recording
from realtime.models.bundle import Bundle
from realtime.models.card import require_consent, title_from, validate_line
from realtime.models.library import built_in_folder, face_folder
from realtime.tracking.tracker import Tracker
from trained_models.autoencoder.crops import finder
from trained_models.autoencoder.dataset import Pairs
from trained_models.autoencoder.skin_detail import detail_of
from trained_models.autoencoder.training import Plan
from trained_models.autoencoder.weights import from_bundle
from trained_models.learn import fit as fitting
from trained_models.learn.bundle import Learnt, store_bundle
from trained_models.learn.footage import MOST_FRAMES, RATE_HZ, ReadClip, one_person, read_clip, shape_reader
from trained_models.learn.frame_selection import choose
from trained_models.learn.learner import LEARN_PLAN, Learner
from trained_models.learn.read_back import lips_factor, read_back
from trained_models.learn.run_dir import RunDir, footage_key, free_name
from trained_models.learn.samples import HELD_OUT, load_drivers, save_frames
from trained_models.learn.sheets import drivers_of, kept_sheet, table, write_sheet

START = "ada"  # the packaged identity whose encoder stays, and whose decoder is begun with
KEPT_SHEET = "kept.jpg"
DEFAULT_LIMITS = fitting.Limits()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be learnt, from what, and whose face it is; for how long to train at most."""

    clips: tuple[Path, ...]
    name: str
    identity: str | None
    statement: str | None
    title: str | None = None
    limits: fitting.Limits = DEFAULT_LIMITS
    plan: Plan = LEARN_PLAN
    threads: int = 2


def learn(request: Request, say: Say, progress: Say) -> Bundle:
    """The bundle `request.name` among the user's own. `say` gets lines that stay, `progress` ones that pass.

    Raises ConfigError, DeviceError or ModelError in one line; `fit.Stopped` when interrupted in training, with all
    saved: the same call goes on.
    """
    kind, statement = require_consent(request.identity, request.statement)
    name = free_name(request.name)
    title = validate_line("--title", request.title or title_from(name), "give a title", 80)
    driving, start = built_in_folder() / "clips" / "driving.mp4", built_in_folder() / START
    run_dir = RunDir(name, footage_key(request.clips, start / "swap.onnx"))
    torch.set_num_threads(request.threads)
    cv2.setNumThreads(1)  # the pictures are made beside it
    if run_dir.lines is None:
        run_dir.clear_frames()
        run_dir.note(_read(request, run_dir, progress))
    for line in run_dir.lines or []:
        say(line)
    say(
        f"look at what is learnt from: {run_dir.folder / KEPT_SHEET}, "
        f"and at how it goes: {run_dir.folder / fitting.PREVIEW}"
    )
    frames, held_out = Pairs(run_dir.frames, request.plan.seed), Pairs(run_dir.frames / HELD_OUT)
    learner = Learner(from_bundle(start), *load_drivers(), request.plan)
    if (run_dir.folder / fitting.STATE).exists():
        say("goes on where it was interrupted")
    fitting.fit(learner, frames, held_out, drivers_of(driving), run_dir.folder, request.limits, progress)
    say(f"trained {learner.step_number} steps in {learner.seconds:.0f} s on {learner.device}; measuring and storing it")
    learnt = Learnt(name, title, kind, statement, len(frames), learner.step_number, learner.seconds, learner.best_error)
    network = learner.learnt()
    network.decoder.condition.take_lips_as(lips_factor(read_back(network, driving)))
    detail, report = detail_of(network, frames, finder()), read_back(network, driving)
    bundle = store_bundle(network, learnt, held_out if len(held_out) > 8 else frames, report, detail)
    run_dir.clear()
    say(f"worn by the packaged driver: {report.line()}")
    return bundle


def _read(request: Request, run_dir: RunDir, progress: Say) -> list[str]:
    """Read and judge the clips, write the chosen frames, and give what there is to say of them."""
    clips, rate_hz = read_clips(request.clips, progress)
    looks = one_person(clips)
    choice = choose(looks, rate_hz)
    trained, tested = save_frames(choice.kept, run_dir.frames)
    write_sheet(run_dir.folder / KEPT_SHEET, kept_sheet(choice.kept))
    return [choice.line(), *table(choice.kept), f"{trained} frames to learn from, {tested} held out to judge by"]


def read_clips(paths: Sequence[Path], progress: Say) -> tuple[list[ReadClip], float]:
    """Everyone in the clips, and how many frames a second were looked at. Raises ConfigError."""
    sources: list[Recording] = []
    try:
        sources += [Recording(path) for path in paths]
        whole_s = sum(source.duration_s or 60.0 for source in sources)
        rate_hz = min(RATE_HZ, MOST_FRAMES / max(whole_s, 1.0))
        shape = shape_reader(built_in_folder() / "face" / "pose.npz")
        clips = []
        for number, source in enumerate(sources):
            tracker = Tracker(face_folder(), provider="cpu", faces=2, steadiness=0.0)
            told = [0.0]

            def at(at_s: float, source: Recording = source, told: list[float] = told) -> None:
                if at_s >= told[0]:
                    progress(f"reading {source.name}: {at_s:.0f} s of {source.duration_s or 0:.0f}")
                    told[0] = at_s + 5.0

            try:
                clips.append(read_clip(source, number, tracker, shape, rate_hz=rate_hz, progress=at))
            finally:
                tracker.close()
        # A clip slower than that gives all its frames.
        seen_s = sum(clip.seconds for clip in clips)
        return clips, sum(clip.frames for clip in clips) / max(seen_s, 1e-3)
    finally:
        for source in sources:
            source.close()

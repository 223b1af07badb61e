"""From clips to an identity to wear: read, choose, train, finish. The next call goes on from what is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime.capture.recording import Recording
from realtime.models.bundle import Bundle
from realtime.models.card import require_consent, title_from, validate_line
from realtime.models.library import built_in_folder
from realtime.tracking.tracker import Tracker
from trained_models.recipes.autoencoder.learn import fit as fitting
from trained_models.recipes.autoencoder.learn.choose import choose
from trained_models.recipes.autoencoder.learn.coverage import kept_sheet, table
from trained_models.recipes.autoencoder.learn.drivers import load_drivers
from trained_models.recipes.autoencoder.learn.finish import Learnt, bundle_of, summary
from trained_models.recipes.autoencoder.learn.footage import MOST_FRAMES, RATE_HZ, ReadClip, read_clip, skull
from trained_models.recipes.autoencoder.learn.learner import LEARN_PLAN, Learner
from trained_models.recipes.autoencoder.learn.lips import part_lips
from trained_models.recipes.autoencoder.learn.person import one_person
from trained_models.recipes.autoencoder.learn.preview import drivers_of, write_sheet
from trained_models.recipes.autoencoder.learn.training_set import HELD_OUT, save_frames
from trained_models.recipes.autoencoder.learn.workbench import Workbench, footage_key, free_name
from trained_models.recipes.autoencoder.pairs_dataset import Pairs
from trained_models.recipes.autoencoder.prepare import finder
from trained_models.recipes.autoencoder.skin import detail_of
from trained_models.recipes.autoencoder.training import Plan
from trained_models.recipes.autoencoder.weights import from_bundle

START = "ada"
"""The packaged identity whose encoder stays, and whose decoder is begun with."""
KEPT_SHEET = "kept.jpg"
DEFAULT_LIMITS = fitting.Limits()

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What is to be learnt, from what, and whose face it is; for how long to train at most."""

    clips: tuple[Path, ...]
    name: str
    identity: str | None
    statement: str | None
    title: str | None = None
    limits: fitting.Limits = DEFAULT_LIMITS
    plan: Plan = LEARN_PLAN
    threads: int = 2


def learn(wish: CameraRequest, say: Say, progress: Say) -> Bundle:
    """The bundle `wish.name` among the user's own. `say` gets lines that stay, `progress` ones that pass.

    Raises ConfigError, DeviceError or ModelError in one line; `fit.Stopped` when interrupted in training, with all
    saved: the same call goes on.
    """
    kind, statement = require_consent(wish.identity, wish.statement)
    name = free_name(wish.name)
    title = validate_line("--title", wish.title or title_from(name), "give a title", 80)
    driving, start = built_in_folder() / "clips" / "driving.mp4", built_in_folder() / START
    bench = Workbench(name, footage_key(wish.clips, start / "swap.onnx"))
    fitting.quiet_threads(wish.threads)
    if bench.lines is None:
        bench.clear_frames()
        bench.note(_read(wish, bench, progress))
    for line in bench.lines or []:
        say(line)
    say(
        f"look at what is learnt from: {bench.folder / KEPT_SHEET}, "
        f"and at how it goes: {bench.folder / fitting.PREVIEW}"
    )
    frames, held_out = Pairs(bench.frames, wish.plan.seed), Pairs(bench.frames / HELD_OUT)
    learner = Learner(from_bundle(start), *load_drivers(), wish.plan)
    if (bench.folder / fitting.STATE).exists():
        say("goes on where it was interrupted")
    fitting.fit(learner, frames, held_out, drivers_of(driving), bench.folder, wish.limits, progress)
    say(f"trained {learner.step_number} steps in {learner.seconds:.0f} s on {learner.device}; measuring and storing it")
    learnt = Learnt(name, title, kind, statement, len(frames), learner.step_number, learner.seconds, learner.best_error)
    network = learner.learnt()
    part_lips(network, driving)
    detail = detail_of(network, frames, finder())
    bundle, report = bundle_of(network, learnt, held_out if len(held_out) > 8 else frames, driving, detail=detail)
    bench.put_away()
    say(f"worn by the packaged driver: {summary(report)}")
    return bundle


def _read(wish: CameraRequest, bench: Workbench, progress: Say) -> list[str]:
    """Read and judge the clips, write the chosen frames, and give what there is to say of them."""
    clips, rate_hz = read_clips(wish.clips, progress)
    looks = one_person(clips)
    choice = choose(looks, rate_hz)
    trained, tested = save_frames(choice.kept, bench.frames)
    write_sheet(bench.folder / KEPT_SHEET, kept_sheet(choice.kept))
    return [choice.line(), *table(choice.kept), f"{trained} frames to learn from, {tested} held out to judge by"]


def read_clips(paths: Sequence[Path], progress: Say) -> tuple[list[ReadClip], float]:
    """Everyone in the clips, and how many frames a second were looked at. Raises ConfigError."""
    sources: list[Recording] = []
    try:
        sources += [Recording(path) for path in paths]
        whole_s = sum(source.duration_s or 60.0 for source in sources)
        rate_hz = min(RATE_HZ, MOST_FRAMES / max(whole_s, 1.0))
        shape = skull(built_in_folder() / "face" / "pose.npz")
        clips = []
        for number, source in enumerate(sources):
            tracker = Tracker(provider="cpu", faces=2, steadiness=0.0)
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

"""What a whole frame costs, from the camera's picture to ours, beside the full-width network as upstream runs it.

Ours is everything: the face found and read in a frame of the size asked for, the avatar moved, laid into its picture.
Upstream's is its network alone: the First Order Motion Model's key points of a crop that somebody has cut for it, the
avatar encoded again, and the picture, in eager PyTorch, as its own demo does for every frame.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.rounds import faster, take_turns
from benchmarks.upstream_networks import Upstream, first_order_motion
from benchmarks.watched_puppet import open_avatars, open_watched
from realtime.capture.open_source import open_source
from realtime.capture.source import Source
from realtime.clock import now_ns
from realtime.config import RunConfig
from realtime.errors import ConfigError
from realtime.frame import Frame
from realtime.models.library import load_bundle
from realtime.pipeline.engine import Engine

WANTED = 8.0
"""Times as fast as upstream: what is promised of a whole frame."""

ROUNDS, SECONDS = 60, 90.0

FEWEST_FRAMES = 30
"""So many of the source's are worked off again and again."""


def against_upstream(
    config: RunConfig,
    finders: Callable[[RunConfig], Any],
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    contest: Callable[[], Upstream] = first_order_motion,
) -> dict[str, Any]:
    """The contest's figures, in turns in this process. Raises MasqueradeError."""
    import torch

    bundle = load_bundle(config.model or "")
    with ExitStack() as opened:
        character, _ = open_watched(
            bundle, open_avatars(config.avatar, with_face=True), provider=config.provider, precision=config.precision
        )
        opened.callback(character.close)
        finder = finders(config)
        opened.callback(finder.close)
        settings = config.settings()
        engine = Engine(finder, character, lambda: settings, now_ns)
        source = open_source(config.source, size=config.size, pace="all")
        opened.callback(source.close)
        play = Player(_frames(source), engine)
        for _ in range(len(play)):
            play()  # the neutral pose is found, and everything warm
        upstream = contest()
        assert upstream.eager is not None
        eager, feed = upstream.eager, upstream.feeds[0]

        def theirs() -> object:
            with torch.no_grad():
                return eager(feed)

        times = take_turns({"upstream": theirs, "ours": play}, rounds, warm_up=1, seconds=seconds)
        ran = {"ran_on": character.ran_on, "precision": character.precision}
    ratio = faster(times["upstream"], times["ours"])
    return {
        "what": f"{upstream.what}, eager PyTorch fp32, source encoded again; ours: the whole frame",
        "torch_threads": torch.get_num_threads(),
        "upstream": times["upstream"].figures(),
        "ours": {**times["ours"].figures(), **ran, "without_a_picture": play.missed},
        "times_as_fast": ratio,
        "wanted": WANTED,
        "met": ratio["in_rounds"] is not None and ratio["in_rounds"] >= WANTED,
    }


class Player:
    """Lets an engine work off the same frames round and round, forwards and backwards, a frame a call."""

    def __init__(self, frames: list[Frame], engine: Engine) -> None:
        # There and back: nothing jumps, and the tracker never starts anew.
        self._frames = frames + frames[-2:0:-1]
        self._engine = engine
        self._at = 0
        self.missed = 0

    def __len__(self) -> int:
        return len(self._frames)

    def __call__(self) -> object:
        """One frame."""
        frame, rate_hz = self._frames[self._at % len(self._frames)], 30.0
        timed = Frame(frame.pixels, self._at, now_ns(), self._at / rate_hz)
        self._at += 1
        result = self._engine(timed)
        if result.error is not None:
            raise result.error
        self.missed += result.pixels is None
        return result


def told(contest: dict[str, Any]) -> str:
    """The contest in a line."""
    ours, theirs, ratio = contest["ours"]["wall_ms"], contest["upstream"]["wall_ms"], contest["times_as_fast"]
    return (
        f"upstream's network {theirs['p50']} ms a frame, our whole frame {ours['p50']} ms: {ratio['in_rounds']} times "
        f"as fast ({ratio['in_cpu_time']} in processor time; promised {contest['wanted']:g})"
    )


def _frames(source: Source, count: int = FEWEST_FRAMES) -> list[Frame]:
    frames: list[Frame] = []
    while len(frames) < count and (frame := source.read()) is not None:
        frames.append(frame)
    if len(frames) < count:
        raise ConfigError(f"{source.name} has {len(frames)} frames, {count} are needed: give a longer source")
    return frames

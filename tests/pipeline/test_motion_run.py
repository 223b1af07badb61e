"""Whole runs on what is built in: files in, files out, identities and families changed while they run."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import Call
from fakes import SIZE, FakeSelection, FakeSink, FakeSource, FakeSwapper, a_loop, pixels
from heads import CLIP as HEAD
from heads import pictures as frames
from motion_models import ToyModel, a_reenactment, an_avatar

from realtime.capture import wrappers
from realtime.config import RunConfig, Settings
from realtime.errors import ConfigError, ModelError
from realtime.families.effect import Effect
from realtime.families.face_swap.effect import FaceSwap
from realtime.frame import Frame
from realtime.models.library import add_avatar, built_in_folder
from realtime.pipeline.loop import run_offline
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session


def test_a_file_drives_an_avatar_into_a_file(call: Call, tmp_path: Path) -> None:
    ada = built_in_folder() / "ada" / "preview.jpg"
    assert call("avatars", "add", ada, "--identity", "synthetic", "--statement", "Ada.", "--name", "eve")[0] == 0
    out, metrics = tmp_path / "out.mp4", tmp_path / "metrics.json"
    code, _, err = call(
        "run", "--source", HEAD, "--model", "motion", "--avatar", "eve", "--pace", "all", "--output", out,
        "--metrics", metrics, "--size", "320x240", "--provider", "cpu", "--seconds", "60",
    )  # fmt: skip
    assert (code, err) == (0, "")
    report = json.loads(metrics.read_text())
    counted = report["frames"]
    assert counted["raw"] == counted["guarded"] == counted["dropped"] == 0
    assert counted["emitted"] == counted["captured"] == len(frames(HEAD)) == len(frames(out))
    assert (report["family"], report["title"], report["avatars"]) == ("motion", "eve", ["eve"])
    assert {"detect", "align", "swap", "blend", "output"} <= set(report["stages_ms"])
    made = np.stack(frames(out)).astype(int)
    assert made.shape[1:] == (240, 320, 3)
    # It moves, and it is Ada: near her still picture, far from the driver's.
    assert np.abs(np.diff(made, axis=0)).mean(axis=(1, 2, 3)).max() > 0.05
    still = np.median(made, axis=0)
    driver = np.stack([cv2.resize(p, (320, 240)) for p in frames(HEAD)]).astype(int)
    assert np.abs(made - still).mean() < 0.3 * np.abs(made - driver).mean()


@pytest.mark.parametrize("family", ["swap to motion", "motion to swap"])
def test_families_change_while_it_runs_without_a_raw_or_wrong_frame(family: str) -> None:
    """The driver's own face has the value 17; the swap's is 200, the avatar's whole picture 90."""

    class Source(FakeSource):
        def read(self):  # type: ignore[no-untyped-def]
            frame = super().read()
            if frame is not None and frame.seq == 4 and loop.identities is not None:
                loop.identities.request(FakeSelection("other"))  # type: ignore[arg-type]
            return frame

    settings = Settings(color_transfer="none", mask_blur=0, mask_erode=0, sharpen=0)
    swapper, model = FakeSwapper(200, "Swap"), ToyModel()
    swap: Effect = FaceSwap(swapper)
    moved: Effect = a_reenactment(model, [an_avatar("ann", 90)])
    first, second = (swap, moved) if family == "swap to motion" else (moved, swap)
    sink = FakeSink()
    loop = a_loop(
        Source([pixels(17)] * 10), [sink], effect=first, settings=lambda: settings, load=lambda selection: second
    )
    run_offline(loop, lambda: False)
    middles = [int(p[SIZE[1] // 2, SIZE[0] // 2, 0]) for p in sink.shown]
    before, after = (200, 90) if family == "swap to motion" else (90, 200)
    assert len(middles) == 10
    assert all(abs(m - before) <= 2 for m in middles[:4])
    assert all(abs(m - after) <= 2 for m in middles[5:])
    assert abs(middles[4] - before) <= 2 or abs(middles[4] - after) <= 2
    assert loop.tally.raw == 0
    corners = [int(p[-1, 0, 0]) for p in sink.shown]
    motion = slice(5, None) if family == "swap to motion" else slice(0, 4)
    assert all(corner == 90 for corner in corners[motion])  # nothing of the frame, not even its corner
    assert (swapper.closed, model.closed) == ((1, 0) if family == "swap to motion" else (0, 1))


class Over(Exception):
    """The story is told."""


@pytest.mark.slow
def test_identities_change_live_and_a_panic_outlasts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the clip's own state would stand in place of the picture's.
    monkeypatch.setattr(wrappers, "MAX_LATE_S", math.inf)
    finn = cv2.imread(str(built_in_folder() / "avatars" / "finn" / "picture.jpg"))
    assert finn is not None
    cv2.imwrite(str(tmp_path / "twin.png"), np.ascontiguousarray(finn[:, ::-1]))

    def story(session: Session) -> Iterator[Callable[[], bool]]:
        """Each step does something and gives what must come true before the next."""

        def now(**wanted: object) -> bool:
            report = session.report()
            return all(report[key] == value for key, value in wanted.items())

        def change(**what: object) -> None:
            before = session.parts.settings.get()
            session.change(before.model_copy(update=what), before)

        yield lambda: now(title="Ada", state="synthetic", outputs=["page"])
        change(model="motion", avatar="mira")
        yield lambda: now(model="motion", avatar="mira", title="Mira", changing=None)
        add_avatar(tmp_path / "twin.png", identity="synthetic", statement="Finn in a mirror.")
        before = session.parts.settings.get()
        change(panic=True)
        session.change(before.model_copy(update={"avatar": "twin"}), before)  # chosen before the panic
        yield lambda: now(avatar="twin", title="twin", state="card", changing=None)
        with pytest.raises(ModelError, match="nobody"):
            change(model="nobody")
        with pytest.raises(ModelError, match="stranger"):
            change(avatar="stranger")
        with pytest.raises(ConfigError, match="allow-raw"):
            change(model="ada", on_miss="raw")
        assert session.report()["model"] == "motion"
        change(model="ada")
        yield lambda: now(model="ada", title="Ada", state="card", changing=None)
        assert session.report()["frames"]["raw"] == 0
        change(panic=False)
        yield lambda: now(title="Ada", state="synthetic")

    waiting: list[Callable[[], bool]] = []

    def next_step(_: Frame) -> None:
        """Called with every captured frame."""
        if not waiting or waiting[0]():
            waiting[:] = [step] if (step := next(steps, None)) is not None else []
            if not waiting:
                raise Over

    clip = built_in_folder() / "clips" / "driving.mp4"  # few frames, so that what loads gets the processor
    config = RunConfig(source=str(clip), loop=True, output=("page",), provider="cpu", size=(480, 270), fps=5)
    page = FakeSink("page")
    session = Session(open_parts(config, page=page))
    session.loop.on_source_frame = next_step
    steps = story(session)
    with pytest.raises(Over):
        session.run()
    assert page.closed

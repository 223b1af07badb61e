"""A whole run on what is built in, its identity changed while it runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeSink

from realtime.config import RunConfig
from realtime.errors import ConfigError, ModelError
from realtime.frame import Frame
from realtime.models.library import add_avatar, built_in_folder
from realtime.pipeline.parts import open_parts
from realtime.pipeline.session import Session


class Over(Exception):
    """The story is told."""


def test_identities_change_live_and_a_panic_outlasts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASQUERADE_HOME", str(tmp_path))
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
        session.change(
            before.model_copy(update={"avatar": "twin"}), before
        )  # chosen before the panic, and looked up long
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

    config = RunConfig(
        source=str(built_in_folder() / "clips" / "driving.mp4"), loop=True, output=("page",), provider="cpu"
    )
    page = FakeSink("page")
    session = Session(open_parts(config, page=page))
    session.loop.on_source_frame = next_step
    steps = story(session)
    with pytest.raises(Over):
        session.run()
    assert page.closed
